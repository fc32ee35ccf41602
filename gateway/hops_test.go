package gateway_test

import (
	"bytes"
	"testing"

	"sipsmpp/events"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/sms"
)

// The count of hops goes from SIP to SMPP and back in the parameter that the connection names, one less each time, and is no
// parameter that anybody else gets to see.
func TestHopsAreCounted(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, func(c *sms.ConnectionConfig) { c.HopsTLV = 0x1500 })
	for _, c := range []struct {
		hops int16 // as it came
		want byte
	}{{0, 69}, {5, 4}, {1, 0}} {
		if o := r.accept(&sms.Message{Text: "x", Hops: c.hops}); o.Fate != sms.Accepted {
			t.Fatalf("%+v", o)
		}
		got, err := r.smsc.Next(r.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if v, _ := got.TLV(0x1500); !bytes.Equal(v, []byte{c.want}) {
			t.Errorf("with %d hops left the SMSC got %v, want %d", c.hops, v, c.want)
		}
	}
	r.event("E_MESSAGE_RECEIVED") // three from the MI
	r.event("E_MESSAGE_RECEIVED")
	r.event("E_MESSAGE_RECEIVED")

	deliver := func(left byte) uint32 {
		t.Helper()
		status, err := r.smsc.Deliver(r.ctx, gatewaytest.Deliver{
			SystemID: "gw", From: "+4915112345678", To: "100", ShortMessage: []byte("mo"), TLVs: []gatewaytest.TLV{{Tag: 0x1500, Value: []byte{left}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return status
	}
	if status := deliver(3); status != 0 {
		t.Errorf("status %#x", status)
	}
	if m := r.message(); m.Text != "mo" || m.MaxForwards != 2 {
		t.Errorf("the phone got %+v", m)
	}
	if e := r.event("E_MESSAGE_RECEIVED").(events.MessageReceived); len(e.TLVs) > 0 {
		t.Errorf("%+v", e)
	}
	if status := deliver(0); status != 0x65 {
		t.Errorf("a message without a hop left gets status %#x", status)
	}
	if e := r.event("E_MESSAGE_LOOP").(events.MessageLoop); e.Ingress != "smpp:smsc" || e.To != "100" || e.Reason == "" {
		t.Errorf("%+v", e)
	}
}

// A next hop that sees a loop is believed.
func TestLoopThatANextHopSees(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.phone.Answer(482)
	status, err := r.smsc.Deliver(r.ctx, gatewaytest.Deliver{SystemID: "gw", From: "+4915112345678", To: "100", ShortMessage: []byte("mo")})
	if err != nil || status != 0x65 {
		t.Errorf("status %#x, %v", status, err)
	}
	if e := r.event("E_MESSAGE_LOOP").(events.MessageLoop); e.Reason == "" {
		t.Errorf("%+v", e)
	}
	if e := r.event("E_MESSAGE_FAILED").(events.MessageFailed); e.Code != 482 {
		t.Errorf("%+v", e)
	}
}
