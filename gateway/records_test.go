package gateway_test

import (
	"errors"
	"testing"

	"sipsmpp/gateway"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// Every message has a record, whoever took it or refused it, once it is answered.
func TestEveryMessageIsRecorded(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: func(s gatewaytest.Submit) gatewaytest.Action {
		if s.To == "4911" {
			return gatewaytest.Action{Status: 0x0B}
		}
		return gatewaytest.Action{}
	}}, nil)
	for _, c := range []struct {
		name   string
		to     string
		state  store.RecordState
		reason sms.Cause
		ids    int
	}{
		{"accepted", "+4915112345678", store.RecordDone, sms.CauseNone, 1},
		{"refused", "+4911", store.RecordFailed, sms.CauseRefused, 0},
	} {
		m := &sms.Message{From: sms.ParseAddress("100"), To: sms.ParseAddress(c.to), Text: "é", Ref: "mine"}
		if o := r.accept(m); o.Cause != c.reason {
			t.Errorf("%s: %+v", c.name, o)
		}
		record, err := r.gw.Message(r.ctx, m.ID)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if record.State != c.state || record.Message.Text != "é" || record.Message.Ref != "mine" || record.Egress != sms.Connection("smsc") ||
			record.Attempts != 1 || len(record.Segments) != c.ids {
			t.Errorf("%s: %+v", c.name, record)
		}
	}
}

// With `records: pending` only what waits for something is on disk.
func TestOnlyPendingRecords(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.stop(r.gw)
	r.config.Records.Messages = "pending"
	r.start()
	r.event("E_SMPP_BIND_UP")
	plain, awaited := &sms.Message{Text: "x"}, &sms.Message{Text: "x", Receipt: sms.ReceiptFinal}
	for _, m := range []*sms.Message{plain, awaited} {
		if o := r.accept(m); o.Fate != sms.Accepted {
			t.Fatalf("%+v", o)
		}
	}
	if _, err := r.gw.Message(r.ctx, plain.ID); !errors.Is(err, gateway.ErrUnknownMessage) {
		t.Errorf("a message that nobody waits for: %v", err)
	}
	if _, err := r.gw.Message(r.ctx, awaited.ID); err != nil {
		t.Errorf("a message whose report is awaited: %v", err)
	}
}
