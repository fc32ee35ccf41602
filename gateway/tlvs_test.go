package gateway_test

import (
	"maps"
	"strings"
	"testing"

	"sipsmpp/events"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/sms"
)

// A vendor's optional parameters are kept as octets and shown by the names that the connection gives them.
func TestTLVsThatCameIn(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, func(c *sms.ConnectionConfig) { c.TLVNames = "0x1400=operator_id,0x0204=ours" })
	status, err := r.smsc.Deliver(r.ctx, gatewaytest.Deliver{From: "+4915112345678", To: "100", ShortMessage: []byte("x"), TLVs: []gatewaytest.TLV{
		{Tag: 0x1400, Value: []byte{1, 2}}, {Tag: 0x1400, Value: []byte{3}}, {Tag: 0x1401}, {Tag: 0x020A, Value: []byte{0, 7}},
		{Tag: 0x0204, Value: []byte("b")},
	}})
	if err != nil || status != 0 {
		t.Fatalf("%#x, %v", status, err)
	}
	want := map[string]string{"operator_id": "\x01\x02", "operator_id#2": "\x03", "0x1401": "", "source_port": "\x00\x07", "ours": "b"}
	got := map[string]string{}
	for name, value := range r.event("E_MESSAGE_RECEIVED").(events.MessageReceived).TLVs {
		got[name] = string(value)
	}
	if !maps.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestTLVsThatGoOut(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, func(c *sms.ConnectionConfig) { c.TLVNames = "0x1400=operator_id" })
	tlvs, err := r.gw.ParseTLVs("smsc", map[string]string{
		"operator_id": "text:12", "0x1401": "0aFF", "5122": "", "user_message_reference": "0007", "callback_num": "no hex",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"x", strings.Repeat("long ", 60)} {
		m := &sms.Message{Text: text, TLVs: tlvs, Receipt: sms.ReceiptFinal}
		if o := r.accept(m); o.Fate != sms.Accepted {
			t.Fatalf("%+v", o)
		}
		if record, err := r.gw.Message(r.ctx, m.ID); err != nil || len(r.gw.TLVs(record.Egress, record.Message.TLVs)) != 5 {
			t.Errorf("%+v, %v", record, err)
		}
		segments := 1 + len(text)/200
		submits, err := r.smsc.Take(r.ctx, segments)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range submits {
			for tag, want := range map[uint16]string{0x1400: "12", 0x1401: "\x0a\xff", 0x1402: "", 0x0204: "\x00\x07", 0x0381: "no hex"} {
				if got, there := s.TLV(tag); !there || string(got) != want {
					t.Errorf("%#x: %q, %v, want %q", tag, got, there, want)
				}
			}
		}
	}
}

func TestTLVsThatAreRefused(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, func(c *sms.ConnectionConfig) { c.TLVNames = "0x1400=operator_id" })
	other := r.row("other", r.smsc.Addr())
	other.TLVNames, other.Enabled = "0x1500=operator_id,0x1501=tariff", false
	r.put(other)
	if _, err := r.gw.Reload(r.ctx); err != nil {
		t.Fatal(err)
	}
	many := map[string]string{}
	for i := range 33 {
		many[sms.FormatTag(uint16(0x1400+i))] = ""
	}
	for _, c := range []struct {
		connection string
		values     map[string]string
		want       string
	}{
		{"", map[string]string{"operator_id": ""}, "say which connection"},
		{"smsc", map[string]string{"tariff": ""}, "no optional parameter that is known"},
		{"smsc", map[string]string{"message_payload": "00"}, "for the gateway to set"},
		{"smsc", map[string]string{"0x020c": "0001"}, "for the gateway to set"},
		{"smsc", map[string]string{"operator_id": "123"}, "odd number of hexadecimal digits"},
		{"smsc", map[string]string{"operator_id": "", "0x1400": ""}, "given twice"},
		{"smsc", map[string]string{"operator_id": strings.Repeat("00", 5000)}, "more than 4096 octets"},
		{"smsc", many, "too many"},
	} {
		if tlvs, err := r.gw.ParseTLVs(c.connection, c.values); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, %v, want %s", c.values, tlvs, err, c.want)
		}
	}
	if tlvs, err := r.gw.ParseTLVs("", map[string]string{"tariff": "01"}); err != nil || tlvs[0].Tag != 0x1501 {
		t.Errorf("a name that only one connection has: %v, %v", tlvs, err)
	}
}
