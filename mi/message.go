package mi

// Message is what is recorded of a message.
type Message struct {
	ID         string    `json:"id"`
	Ref        string    `json:"ref,omitempty"`
	State      string    `json:"state"`
	Ingress    string    `json:"ingress"` // sip, smpp:NAME, account:SYSTEM_ID, mi
	Egress     string    `json:"egress,omitempty"`
	Connection string    `json:"connection,omitempty"`
	From       string    `json:"from"`
	To         string    `json:"to"`
	Text       string    `json:"text,omitempty"`
	Data       Hex       `json:"data,omitempty"`
	Coding     string    `json:"coding,omitempty"`
	Received   Time      `json:"received,omitzero"`
	Expires    Time      `json:"expires,omitzero"`
	Attempts   []Attempt `json:"attempts"`
	Segments   []Segment `json:"segments"`
	Report     *Report   `json:"report,omitempty"` // once the SMSC told anything
}

// Attempt is one attempt to hand a message to a next hop.
type Attempt struct {
	Attempt int    `json:"attempt"` // from 1
	Egress  string `json:"egress"`
	Time    Time   `json:"time,omitzero"`
	Fate    string `json:"fate"` // not sent, unknown, refused, accepted
	Reason  string `json:"reason,omitempty"`
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
