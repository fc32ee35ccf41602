package mi

// Message is what is recorded of a message.
type Message struct {
	ID         string         `json:"id"`
	Ref        string         `json:"ref,omitempty"`
	State      string         `json:"state"`   // deferred, sent (its report is awaited), reported, done, failed
	Ingress    string         `json:"ingress"` // sip, smpp:NAME, account:SYSTEM_ID, mi
	Egress     string         `json:"egress,omitempty"`
	Connection string         `json:"connection,omitempty"`
	From       string         `json:"from"`
	To         string         `json:"to"`
	Text       string         `json:"text,omitempty"`
	Data       Hex            `json:"data,omitempty"`
	Coding     string         `json:"coding,omitempty"`
	TLVs       map[string]Hex `json:"tlvs,omitempty"` // the optional parameters that it came with, by name or tag
	Received   Time           `json:"received,omitzero"`
	Expires    Time           `json:"expires,omitzero"`
	Receipt    Receipt        `json:"receipt"` // what its sender asked for
	Node       string         `json:"node"`
	Rule       string         `json:"rule,omitempty"` // the rule that named its target
	Attempts   int            `json:"attempts"`
	// FailedAttempts are those that were refused or had no answer, at most the last 20; message_show alone tells them.
	FailedAttempts []FailedAttempt `json:"failed_attempts,omitempty"`
	Next           Time            `json:"next_attempt,omitzero"` // while State is deferred
	Deferral       *Deferral       `json:"deferral,omitempty"`    // while State is deferred
	ReportDue      Time            `json:"report_due,omitzero"`   // while State is sent: when its report is given up
	Updated        Time            `json:"updated,omitzero"`
	Segments       []Segment       `json:"segments"`
	Report         *Report         `json:"report,omitempty"` // once the SMSC told anything
}

// FailedAttempt is an attempt that was refused or had no answer. One that found nobody there is counted, and not among them.
type FailedAttempt struct {
	Attempt int    `json:"attempt"` // from 1
	Time    Time   `json:"time"`    // when it ended
	Egress  string `json:"egress"`  // what it was tried with: smpp:NAME, account:SYSTEM_ID, sip, the URI of a next hop
	Reason  string `json:"reason"`
}

// Deferral is how a message waits that nobody has taken yet.
type Deferral struct {
	Target  string `json:"target"`  // the legs that it may go by: smpp:acme
	Waiting string `json:"waiting"` // time: for next_attempt; behind: for an older message to its recipient; retry: for message_retry
	Reason  string `json:"reason"`  // of the last attempt that failed
	GiveUp  Time   `json:"give_up"` // when it is given up
	// UnknownFates counts the attempts that had no answer: each may have delivered it.
	UnknownFates int `json:"unknown_fates"`
}

// Segment is one short message on the wire.
type Segment struct {
	Segment  int    `json:"segment"` // from 1
	SMSCID   string `json:"smsc_id"`
	State    string `json:"state"` // empty until a receipt told it
	Error    string `json:"error,omitempty"`
	DoneTime Time   `json:"done_time,omitzero"`
}

// Report is what the receipts of all segments say of the message.
type Report struct {
	State    string `json:"state"` // delivered, undeliverable, expired, rejected, deleted, accepted, enroute, unknown
	Error    string `json:"error,omitempty"`
	DoneTime Time   `json:"done_time,omitzero"`
}
