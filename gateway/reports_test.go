package gateway_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"sipsmpp/events"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// report sends a message that wants a receipt and gives the event of its report.
func (r *rig) report(text string) (events.MessageReport, sms.Outcome, sms.ID) {
	r.t.Helper()
	m := &sms.Message{Text: text, Ref: "my ref", Receipt: sms.ReceiptFinal}
	o := r.accept(m)
	if o.Fate != sms.Accepted {
		r.t.Fatalf("%+v", o)
	}
	e := r.event("E_MESSAGE_REPORT").(events.MessageReport)
	if e.ID != m.ID.String() || e.Ref != "my ref" || e.From != "100" || e.To != "+4915112345678" {
		r.t.Errorf("%+v", e)
	}
	return e, o, m.ID
}

func TestReports(t *testing.T) {
	hex := func(n uint64) string { return fmt.Sprintf("%08X", n+0xABCDE) }
	long := strings.Repeat("long ", 60) // two segments
	for name, c := range map[string]struct {
		smsc gatewaytest.SMSCConfig
		text string
		want string
	}{
		"delivered":                  {gatewaytest.SMSCConfig{}, "x", "delivered"},
		"undeliverable":              {gatewaytest.SMSCConfig{ReceiptStat: "UNDELIV"}, "x", "undeliverable"},
		"text alone":                 {gatewaytest.SMSCConfig{ReceiptNoTLVs: true}, "x", "delivered"},
		"TLVs alone":                 {gatewaytest.SMSCConfig{ReceiptNoText: true}, "x", "delivered"},
		"hex, then decimal":          {gatewaytest.SMSCConfig{MessageID: hex, ReceiptID: hexToDecimal}, "x", "delivered"},
		"before its response":        {gatewaytest.SMSCConfig{OnSubmit: with(gatewaytest.Action{ReceiptFirst: true, Delay: 50 * time.Millisecond})}, "x", "delivered"},
		"twice":                      {gatewaytest.SMSCConfig{OnSubmit: with(gatewaytest.Action{ReceiptTwice: true})}, "x", "delivered"},
		"two segments":               {gatewaytest.SMSCConfig{}, long, "delivered"},
		"two segments, each twice":   {gatewaytest.SMSCConfig{OnSubmit: with(gatewaytest.Action{ReceiptTwice: true})}, long, "delivered"},
		"two segments, one of which": {gatewaytest.SMSCConfig{OnSubmit: secondFails}, long, "undeliverable"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c.smsc, nil)
			e, o, id := r.report(c.text)
			if e.State != c.want || len(e.SMSCIDs) != o.Segments {
				t.Errorf("%+v of %d segments, want %s", e, o.Segments, c.want)
			}
			record, err := r.gw.Message(r.ctx, id)
			if err != nil || record.State != store.RecordReported || record.Report.String() != c.want || len(record.Segments) != o.Segments {
				t.Errorf("%+v, %v", record, err)
			}
			// A second report would come after what the same SMSC answers next.
			if code := r.send("after"); code != 202 {
				t.Errorf("the gateway answered %d", code)
			}
			r.none("E_MESSAGE_REPORT")
			r.none("E_RECEIPT_UNMATCHED")
		})
	}
}

func with(a gatewaytest.Action) func(gatewaytest.Submit) gatewaytest.Action {
	return func(gatewaytest.Submit) gatewaytest.Action { return a }
}

func secondFails(s gatewaytest.Submit) gatewaytest.Action {
	if _, _, seq := s.Part(); seq == 2 {
		return gatewaytest.Action{ReceiptStat: "UNDELIV"}
	}
	return gatewaytest.Action{}
}

func hexToDecimal(id string) string {
	n, _ := strconv.ParseUint(id, 16, 64)
	return strconv.FormatUint(n, 10)
}

func TestReportAfterRestart(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: with(gatewaytest.Action{NoReceipt: true})}, nil)
	m := &sms.Message{Text: strings.Repeat("long ", 60), Receipt: sms.ReceiptFinal}
	o := r.accept(m)
	if len(o.SMSCIDs) != 2 {
		t.Fatalf("%+v", o)
	}
	r.restart()
	for _, id := range o.SMSCIDs {
		r.receipt("gw", id)
	}
	if e := r.event("E_MESSAGE_REPORT").(events.MessageReport); e.ID != m.ID.String() || e.State != "delivered" {
		t.Errorf("%+v", e)
	}
}

// receipt delivers one that the SMSC did not make by itself, and wants it answered with ESME_ROK.
func (r *rig) receipt(systemID, smscID string) {
	r.t.Helper()
	status, err := r.smsc.Deliver(r.ctx, gatewaytest.Deliver{
		SystemID: systemID, From: "+4915112345678", To: "100", ESMClass: 0x04,
		ShortMessage: fmt.Appendf(nil, "id:%s sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:DELIVRD err:000 text:", smscID),
	})
	if err != nil || status != 0 {
		r.t.Errorf("receipt for %s: status %#x, %v", smscID, status, err)
	}
}

// An operator with a row for the transmitter and one for the receiver gets the receipts of the one by the other.
func TestReportByTheOtherConnection(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, func(c *sms.ConnectionConfig) { c.SessionType = sms.Transmitter })
	receiver := r.row("receiver", r.smsc.Addr())
	receiver.SessionType = sms.Receiver
	r.put(receiver)
	if _, err := r.gw.Reload(r.ctx); err != nil {
		t.Fatal(err)
	}
	r.event("E_SMPP_BIND_UP")
	if e, _, _ := r.report("x"); e.State != "delivered" {
		t.Errorf("%+v", e)
	}
}

func TestConnectionAsksForReceipts(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, func(c *sms.ConnectionConfig) { c.Receipt = sms.ReceiptFinal })
	if code := r.send("from SIP"); code != 202 {
		t.Fatalf("the gateway answered %d", code)
	}
	if e := r.event("E_MESSAGE_REPORT").(events.MessageReport); e.State != "delivered" {
		t.Errorf("%+v", e)
	}
}

func TestUnmatchedReceipt(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.receipt("", "4711")
	if e := r.event("E_RECEIPT_UNMATCHED").(events.ReceiptUnmatched); e.Connection != "smsc" || e.SMSCID != "4711" ||
		e.State != "delivered" || e.LikelyCause == "" {
		t.Errorf("%+v", e)
	}
}

// A receipt that cannot be written, or looked up, is not answered with success: the SMSC sends it again, and then it is told once.
func TestReceiptWithoutTheDatabase(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: with(gatewaytest.Action{NoReceipt: true})}, nil)
	for _, remembered := range []bool{true, false} {
		m, ids := r.awaiting(sms.ReceiptFinal, "x")
		if !remembered {
			r.restart()
		}
		its := gatewaytest.Deliver{
			From: "491", To: "100", ESMClass: 0x04, ShortMessage: []byte("id:" + ids[0] + " stat:DELIVRD err:000"),
		}
		r.sql("ALTER TABLE message_segment RENAME TO message_segment_gone")
		for range 2 {
			if status, err := r.smsc.Deliver(r.ctx, its); err != nil || status != 0x64 {
				t.Errorf("status %#x, %v, want 0x64", status, err)
			}
		}
		r.none("E_MESSAGE_REPORT")
		r.sql("ALTER TABLE message_segment_gone RENAME TO message_segment")
		r.deliver(its)
		if e := r.event("E_MESSAGE_REPORT").(events.MessageReport); e.ID != m.ID.String() || e.State != "delivered" {
			t.Errorf("%+v", e)
		}
		r.deliver(its)
		r.none("E_MESSAGE_REPORT")
		r.none("E_RECEIPT_UNMATCHED")
	}
}
