package gateway_test

import (
	"testing"
	"time"

	"sipsmpp/events"
	"sipsmpp/gateway"
	"sipsmpp/gateway/gatewaytest"
)

// An account that asks for it may send a message again, by any bind: it is answered as the first was, also while that is under way.
func TestRepeatedSubmit(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: with(gatewaytest.Action{Delay: 50 * time.Millisecond})}, nil)
	options := `{"duplicate_window": "1m"}`
	r.account(func(c *gateway.AccountChange) { c.Options = &options })
	one, other := r.esme(nil), r.esme(nil)

	long := gatewaytest.Outgoing{Text: "x", From: "100", To: "+4915112345678"}
	answers := make(chan gatewaytest.Answer, 2)
	for _, e := range []*gatewaytest.ESME{one, other} {
		if err := e.Send(r.ctx, long, func(a gatewaytest.Answer) { answers <- a }); err != nil {
			t.Fatal(err)
		}
	}
	first, second := <-answers, <-answers
	if first.Status != 0 || first.MessageID == "" || second.Status != first.Status || second.MessageID != first.MessageID {
		t.Errorf("answered %+v and %+v", first, second)
	}
	if again := r.submit(other, long); again[0] != first.MessageID {
		t.Errorf("answered %s later, and %s before", again[0], first.MessageID)
	}
	if another := r.submit(one, gatewaytest.Outgoing{Text: "y", From: "100", To: "+4915112345678"}); another[0] == first.MessageID {
		t.Error("another text is taken for the same message")
	}
	r.event("E_MESSAGE_SENT")
	r.event("E_MESSAGE_SENT")
	r.none("E_MESSAGE_SENT")
}

// What was refused for now is worked on when it comes again.
func TestRefusedSubmitIsNoDuplicate(t *testing.T) {
	full := true
	r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: func(gatewaytest.Submit) gatewaytest.Action {
		if full {
			full = false
			return gatewaytest.Action{Status: 0x0A} // final, so that nothing keeps the message
		}
		return gatewaytest.Action{}
	}}, nil)
	options := `{"duplicate_window": "1m"}`
	r.account(func(c *gateway.AccountChange) { c.Options = &options })
	e := r.esme(nil)
	o := gatewaytest.Outgoing{Text: "x", From: "100", To: "+4915112345678"}
	answers, err := e.Submit(r.ctx, o)
	if err != nil || answers[0].Status != 0x0A {
		t.Fatalf("%+v, %v", answers, err)
	}
	r.submit(e, o)
	if sent := r.event("E_MESSAGE_SENT").(events.MessageSent); sent.Connection != "smsc" {
		t.Errorf("%+v", sent)
	}
}
