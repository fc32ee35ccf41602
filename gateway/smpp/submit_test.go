package smpp

import (
	"testing"

	"sipsmpp/gateway/sms"
)

func TestSubmitAndResponse(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		p := w.net.next().accept()
		one := w.send("hello")
		seq, sm := p.submit()
		if string(sm.ShortMessage) != "hello" || sm.Dest != (sms.Address{Value: "4915112345678", TON: 1, NPI: 1}) {
			t.Fatalf("%+v", sm)
		}
		w.open(one)
		p.respond(seq, "4711")
		o := w.outcome(one)
		if o.Fate != sms.Accepted || len(o.SMSCIDs) != 1 || o.SMSCIDs[0] != "4711" || o.Segments != 1 ||
			o.Egress != sms.Connection("acme") || o.Alphabet != sms.AlphabetGSM7 {
			t.Fatalf("%+v", o)
		}
		if s := w.status(); s.Sent != 1 || s.State != ConnectionBound || s.Binds[0].State != BindBound {
			t.Fatalf("%+v", s)
		}
		go w.conns.Close(t.Context())
		p.unbinds()
	})
}
