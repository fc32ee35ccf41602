package gateway

import (
	"testing"

	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// A message is not looked for among all receipts that wait: a peer that floods us with receipts must not slow down what we send it.
func TestEarlyReceiptsCostLittle(t *testing.T) {
	asked := 0
	r := newReports(nil, nil, nil, func(l sms.Leg) []sms.Leg { asked++; return []sms.Leg{l} }, nil)
	leg := sms.Connection("acme")
	for range 3 {
		r.sending(leg)
	}
	others := make(map[*incoming]struct{})
	for range 100 {
		others[&incoming{leg: leg, keys: []string{"other"}}] = struct{}{}
	}
	r.early["other"] = others
	r.sent(leg)
	record := &store.Record{Message: &sms.Message{}, Egress: leg, Segments: []store.Segment{{Part: 1, SMSCID: "1", Key: "1"}}}
	r.expect(record, func(*store.Record, func(error)) {}, func() {})
	if asked > 0 {
		t.Errorf("looked at %d receipts of other messages", asked)
	}
}
