package mi

import (
	"bytes"
	"encoding/json"
)

// TraceEvent is the method of the notification in which a live trace shows one PDU; its params are a TracedPDU. It goes to the one
// who asked, and to nobody else.
const TraceEvent = "E_SMPP_TRACE"

// SMPPTraceParams say what to trace, and until when: whichever of Seconds and Count ends first.
type SMPPTraceParams struct {
	Name    string `json:"name"`              // of a connection, or of an account
	Seconds uint32 `json:"seconds,omitempty"` // 10 unless given, 3600 at most; 30 at most without Live
	Count   uint32 `json:"count,omitempty"`   // PDUs; 100 unless given, 10,000 at most; 1,000 at most without Live
	Text    bool   `json:"text,omitempty"`    // shows what messages say, too; passwords are never shown
	// Live shows each PDU at once, as a notification E_SMPP_TRACE on the WebSocket or Unix socket that asks; the result comes at
	// the end and lists none.
	Live bool `json:"live,omitempty"`
}

// SMPPTraceResult is what crossed the sessions meanwhile.
type SMPPTraceResult struct {
	PDUs []TracedPDU `json:"pdus"`
	Lost uint64      `json:"lost,omitempty"` // PDUs that came too fast to be shown
}

// TracedPDU is a PDU, readable.
type TracedPDU struct {
	Time       Time    `json:"time"`
	Connection string  `json:"connection,omitempty"`
	Account    string  `json:"account,omitempty"`
	Peer       string  `json:"peer"`      // host:port
	Direction  string  `json:"direction"` // sent, received
	Command    string  `json:"command"`
	Sequence   uint32  `json:"sequence"`
	Status     string  `json:"status,omitempty"` // of a response: ESME_ROK (0x00)
	Fields     Members `json:"fields"`           // in the order that they stand in; those that are 0 or empty are left out
}

// Member is one member of Members.
type Member struct{ Name, Value string }

// Members are an object whose members keep their order.
type Members []Member

// MarshalJSON writes an object.
func (m Members) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, member := range m {
		if i > 0 {
			b = append(b, ',')
		}
		name, err := json.Marshal(member.Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(member.Value)
		if err != nil {
			return nil, err
		}
		b = append(append(append(b, name...), ':'), value...)
	}
	return append(b, '}'), nil
}

// UnmarshalJSON reads an object of strings.
func (m *Members) UnmarshalJSON(b []byte) error {
	*m = nil
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return &json.UnmarshalTypeError{Value: "no object", Offset: d.InputOffset()}
	}
	for d.More() {
		var member Member
		name, err := d.Token()
		if err != nil {
			return err
		}
		member.Name, _ = name.(string)
		if err := d.Decode(&member.Value); err != nil {
			return err
		}
		*m = append(*m, member)
	}
	return nil
}
