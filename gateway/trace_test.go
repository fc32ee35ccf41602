package gateway_test

import (
	"errors"
	"testing"

	"sipsmpp/gateway"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/smpp"
	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

func TestTrace(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, func(c *sms.ConnectionConfig) {
		c.Alphabet, c.TLVNames = sms.AlphabetLatin1, "0x1400=operator_id"
	})
	came := make(chan smpp.TracedPDU, 10)
	leg, how, stop, err := r.gw.Trace("smsc", func(p smpp.TracedPDU) { came <- p })
	if err != nil || leg != sms.Connection("smsc") || how.Alphabet != sms.AlphabetLatin1 || how.TLVNames != "0x1400=operator_id" {
		t.Fatalf("%v, %+v, %v", leg, how, err)
	}
	if o := r.accept(&sms.Message{Text: "hi"}); o.Fate != sms.Accepted {
		t.Fatalf("%+v", o)
	}
	stop()
	if p := <-came; !p.Sent || p.Header.Command != wire.CmdSubmitSM {
		t.Errorf("%+v", p)
	}
	if p := <-came; p.Sent || p.Header.Command != wire.CmdSubmitSMResp {
		t.Errorf("%+v", p)
	}
	if _, _, _, err := r.gw.Trace("nobody", nil); !errors.Is(err, gateway.ErrUnknownConnection) {
		t.Errorf("%v", err)
	}
}
