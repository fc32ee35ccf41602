package gateway_test

import (
	"strings"
	"testing"

	"sipsmpp/events"
	"sipsmpp/gateway"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/sms"
)

const askingHead = "From: <im:100@example.com>\r\nTo: <im:+4915112345678@example.com>\r\nDateTime: 2026-01-02T03:04:05Z\r\n" +
	"NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: m-1\r\nimdn.Disposition-Notification: "

// sendCPIM sends a text in CPIM by the simulated phone.
func (r *rig) sendCPIM(wishes string) {
	r.t.Helper()
	body := askingHead + wishes + "\r\n\r\nContent-Type: text/plain;charset=utf-8\r\n\r\nhello"
	code, err := r.phone.SendBody(r.ctx, "sip:+4915112345678@"+r.sipTCP+";transport=tcp", "100", "message/cpim", body)
	if err != nil || code != 202 {
		r.t.Fatalf("%d, %v", code, err)
	}
}

func TestNotificationToSender(t *testing.T) {
	undeliverable := with(gatewaytest.Action{ReceiptStat: "UNDELIV"})
	for name, c := range map[string]struct {
		wishes string
		onSMSC func(gatewaytest.Submit) gatewaytest.Action
		want   string // the status; empty: no notification
	}{
		"delivered":              {"positive-delivery, negative-delivery", nil, "<delivered/>"},
		"rejected":               {"positive-delivery, negative-delivery", with(gatewaytest.Action{ReceiptStat: "REJECTD"}), "<forbidden/>"},
		"failed":                 {"negative-delivery", undeliverable, "<failed/>"},
		"failed, unasked":        {"positive-delivery", undeliverable, ""},
		"display is not our own": {"display", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: c.onSMSC}, nil)
			r.sendCPIM(c.wishes)
			if text, _ := r.received(); text != "hello" {
				t.Errorf("the SMSC got %q", text)
			}
			if c.want == "" {
				if c.wishes != "display" {
					r.event("E_MESSAGE_REPORT")
				}
				r.accept(&sms.Message{To: sms.ParseAddress("+491"), From: sms.ParseAddress("+492"), Text: "after"})
				select {
				case m := <-r.phone.Received():
					t.Errorf("%+v", m)
				default:
				}
				return
			}
			m := r.message()
			if m.To != "sip:100@127.0.0.1" || m.ContentType != "message/cpim" || !strings.Contains(m.From, "+4915112345678@") ||
				!strings.Contains(m.Text, "To: <im:100@example.com>\r\n") || !strings.Contains(m.Text, "<message-id>m-1</message-id>") ||
				!strings.Contains(m.Text, c.want) || strings.Contains(m.Text, "Disposition-Notification") {
				t.Errorf("%+v", m)
			}
		})
	}
}

// A report that comes after a restart finds the sender by what the database keeps.
func TestNotificationAfterRestart(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: with(gatewaytest.Action{NoReceipt: true})}, nil)
	r.sendCPIM("positive-delivery")
	id := r.event("E_MESSAGE_SENT").(events.MessageSent).SMSCIDs[0]
	r.restart()
	r.receipt("gw", id)
	if m := r.message(); !strings.Contains(m.Text, "<message-id>m-1</message-id>") {
		t.Errorf("%+v", m)
	}
}

// A report whose sender is away for a moment is sent again.
func TestNotificationComesLater(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.phone.Answer(480)
	r.sendCPIM("positive-delivery")
	for range 3 {
		if m := r.message(); !strings.Contains(m.Text, "<message-id>m-1</message-id>") {
			t.Errorf("%+v", m)
		}
	}
}

func TestTextReports(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.config.SIP.Reports = "text"
	r.restart()
	if code := r.send("hello"); code != 202 {
		t.Fatalf("%d", code)
	}
	if m := r.message(); m.Text != "Your message to +4915112345678 was delivered." || m.To != "sip:100@127.0.0.1" {
		t.Errorf("%+v", m)
	}
}

// A message to SIP whose report is wanted is reported by what the other end says.
func TestReportFromSIP(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, func(c *sms.ConnectionConfig) { c.Enabled = false })
	send := func(answer int) (sms.ID, gatewaytest.UAMessage) {
		t.Helper()
		r.phone.Answer(answer)
		m := &sms.Message{
			Ingress: sms.Connection("smsc"), From: sms.ParseAddress("+491"), To: sms.ParseAddress("100"), Text: "hello",
			Receipt: sms.ReceiptFinal,
		}
		done := make(chan sms.Outcome, 1)
		r.gw.Accept(m, func(o sms.Outcome) { done <- o })
		if o := <-done; o.Fate != sms.Accepted {
			t.Fatalf("%+v", o)
		}
		return m.ID, r.message()
	}
	id, m := send(200)
	if !strings.Contains(m.Text, "imdn.Message-ID: "+id.String()) || !strings.HasSuffix(m.Text, "\r\n\r\nhello") {
		t.Errorf("%+v", m)
	}
	if e := r.event("E_MESSAGE_REPORT").(events.MessageReport); e.ID != id.String() || e.State != "delivered" {
		t.Errorf("%+v", e)
	}
	id, _ = send(202)
	r.none("E_MESSAGE_REPORT")
	code, err := r.phone.SendBody(r.ctx, "sip:491@"+r.sipTCP+";transport=tcp", "100", "message/cpim",
		askingHead+"positive-delivery\r\n\r\nContent-Type: message/imdn+xml\r\n\r\n"+
			`<imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>`+id.String()+`</message-id><datetime>x</datetime>`+
			`<delivery-notification><status><failed/></status></delivery-notification></imdn>`)
	if err != nil || code != 200 {
		t.Fatalf("%d, %v", code, err)
	}
	if e := r.event("E_MESSAGE_REPORT").(events.MessageReport); e.ID != id.String() || e.State != "undeliverable" || e.Error != "failed" {
		t.Errorf("%+v", e)
	}
}

func TestReportsConfig(t *testing.T) {
	faults := gateway.Config{SIP: gateway.SIPConfig{Reports: "loud"}}.WithDefaults().Check()
	if len(faults) != 1 || faults[0].Path != "sip.reports" {
		t.Errorf("%v", faults)
	}
}
