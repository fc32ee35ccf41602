package gateway

import (
	"fmt"
	"testing"
	"time"

	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

// Submits that are refused leave nothing behind, also while one that was taken is remembered.
func TestRefusedSubmitsAreForgotten(t *testing.T) {
	var d duplicates
	d.set([]sms.AccountConfig{{SystemID: "shop", DuplicateWindow: time.Hour}})
	for i := range 5000 {
		status := wire.StatusThrottled
		if i == 0 {
			status = wire.StatusOK
		}
		m := &sms.Message{Ingress: sms.Account("shop"), Text: fmt.Sprint(i)}
		d.first(m, func(wire.Status, sms.ID) {})(status, sms.ID{})
	}
	if len(d.known) != 1 || len(d.order) > 100 {
		t.Errorf("%d are known, and %d are kept", len(d.known), len(d.order))
	}
}

// A submit that is worked on for longer than the window is still the same when it comes again.
func TestUnansweredSubmitsAreNotForgotten(t *testing.T) {
	var d duplicates
	d.set([]sms.AccountConfig{{SystemID: "shop", DuplicateWindow: time.Nanosecond}})
	answers := 0
	come := func(text string) func(wire.Status, sms.ID) {
		return d.first(&sms.Message{Ingress: sms.Account("shop"), Text: text}, func(wire.Status, sms.ID) { answers++ })
	}
	answer := come("slow")
	for i := range 3 {
		come(fmt.Sprint(i))(wire.StatusOK, sms.ID{})
	}
	if come("slow") != nil {
		t.Error("it is worked on twice")
	}
	answers = 0
	if answer(wire.StatusOK, sms.ID{}); answers != 2 {
		t.Errorf("%d answers", answers)
	}
	if come("another"); len(d.known) != 1 || len(d.order) != 1 {
		t.Errorf("%d are known, and %d are kept", len(d.known), len(d.order))
	}
}
