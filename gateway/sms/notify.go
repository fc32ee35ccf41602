package sms

// Notify is where the report of a message from SIP goes, and in which words: a notification (RFC 5438) to a sender who asked for
// one, else a text. It is stored with the message, so that a report that comes after a restart finds its way.
type Notify struct {
	URI       string `json:"uri"`                  // of the sender, what the request with the report is sent to
	MessageID string `json:"message_id,omitempty"` // imdn.Message-ID of the message; empty: the report is a text
	From      string `json:"from,omitempty"`       // the CPIM header fields of the message, as they came (RFC 3862)
	To        string `json:"to,omitempty"`
	DateTime  string `json:"date_time,omitempty"`
	Positive  bool   `json:"positive,omitempty"` // positive-delivery was asked for
	Negative  bool   `json:"negative,omitempty"` // negative-delivery was asked for
}

// Wants says that a state is one that was asked for.
func (n *Notify) Wants(s State) bool {
	return s.Final() && (s == StateDelivered && n.Positive || s != StateDelivered && n.Negative)
}
