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
