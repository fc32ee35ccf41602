package gateway_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sipsmpp/events"
	"sipsmpp/gateway"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// overdue makes every report that is awaited overdue.
func (r *rig) overdue(set string) {
	r.t.Helper()
	r.sql("UPDATE message SET next_attempt = 1" + set + " WHERE state = 'sent'")
}

// A report that never comes is closed once, with what is known, and whoever waits for it is told; a restart in between changes nothing.
func TestReportThatNeverComes(t *testing.T) {
	silent := gatewaytest.SMSCConfig{OnSubmit: func(s gatewaytest.Submit) gatewaytest.Action {
		if _, _, seq := s.Part(); seq == 1 {
			return gatewaytest.Action{} // of two segments one is reported
		}
		return gatewaytest.Action{NoReceipt: true}
	}}
	r := newRig(t, silent, nil)
	r.stop(r.gw)
	r.config.Records.ReportTimeout = gateway.Duration(time.Second)
	r.config.Records.Keep = gateway.Duration(time.Hour)
	r.start()
	r.event("E_SMPP_BIND_UP")

	// In time nothing is closed.
	m := &sms.Message{Text: strings.Repeat("long ", 60), Ref: "mine", Receipt: sms.ReceiptFinal}
	o := r.accept(m)
	if o.Fate != sms.Accepted || o.Segments != 2 {
		t.Fatalf("%+v", o)
	}
	record, err := r.gw.Message(r.ctx, m.ID)
	if err != nil || record.State != store.RecordSent || time.Until(record.NextAttempt) > time.Second || record.NextAttempt.Before(m.Received) {
		t.Fatalf("%+v, %v", record, err)
	}
	r.restart()
	e := r.event("E_MESSAGE_REPORT").(events.MessageReport)
	if e.ID != m.ID.String() || e.Ref != "mine" || e.State != "unknown" || fmt.Sprint(e.SMSCIDs) != fmt.Sprint(o.SMSCIDs) {
		t.Errorf("%+v", e)
	}
	// What comes now is stored with its segment, and told to nobody.
	r.receipt("gw", o.SMSCIDs[1])
	record, err = r.gw.Message(r.ctx, m.ID)
	if err != nil || record.State != store.RecordReported || record.Report != sms.StateUnknown || record.Segments[1].State != sms.StateDelivered {
		t.Errorf("%+v, %v", record, err)
	}
	r.none("E_MESSAGE_REPORT")
	r.none("E_RECEIPT_UNMATCHED")
	for _, s := range r.gw.Statistics() {
		if s.Group == "receipt" && s.Name == "overdue" && s.Value != 1 {
			t.Errorf("%+v", s)
		}
	}
}

// A message whose validity has ended is expired; who wanted to hear of failures alone hears nothing, since an SMSC that is asked for
// those says nothing of success.
func TestOverdueReportByWhatWasWanted(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: with(gatewaytest.Action{NoReceipt: true})}, nil)
	r.stop(r.gw)
	r.config.Records.ReportTimeout = gateway.Duration(4 * time.Second) // looked for each second
	r.start()
	r.event("E_SMPP_BIND_UP")
	failures := &sms.Message{Text: "x", Receipt: sms.ReceiptFailure}
	expires := &sms.Message{Text: "x", Receipt: sms.ReceiptFinal, Expires: time.Now().Add(time.Hour)}
	for _, m := range []*sms.Message{failures, expires} {
		if o := r.accept(m); o.Fate != sms.Accepted {
			t.Fatalf("%+v", o)
		}
	}
	if record, err := r.gw.Message(r.ctx, expires.ID); err != nil || !record.NextAttempt.Equal(expires.Expires.Add(4*time.Second).Truncate(time.Millisecond)) {
		t.Errorf("%+v, %v", record, err)
	}
	r.overdue(", expires = CASE WHEN expires > 0 THEN 2 ELSE 0 END")
	if e := r.event("E_MESSAGE_REPORT").(events.MessageReport); e.ID != expires.ID.String() || e.State != "expired" {
		t.Errorf("%+v", e)
	}
	r.none("E_MESSAGE_REPORT")
	if record, err := r.gw.Message(r.ctx, failures.ID); err != nil || record.State != store.RecordReported || record.Report != sms.StateUnknown {
		t.Errorf("%+v, %v", record, err)
	}
}

// The account that submitted the message gets a receipt, its last, which says UNKNOWN.
func TestOverdueReportToAnAccount(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: with(gatewaytest.Action{NoReceipt: true})}, nil)
	r.stop(r.gw)
	r.config.Records.ReportTimeout = gateway.Duration(time.Second)
	r.start()
	r.account(nil)
	e := r.esme(nil)
	ids := r.submit(e, gatewaytest.Outgoing{Text: "x", RegisteredDelivery: 1})
	r.receiptFor(e, ids, "UNKNOWN", 7)
}
