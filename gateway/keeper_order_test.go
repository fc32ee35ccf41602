package gateway_test

import (
	"slices"
	"testing"

	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/sms"
)

// Two messages that came side by side may be written down so that the younger one has the time of their queue. While nobody is there who
// takes them, the older one stays as it is, and so must the younger: it was put behind the other, and nobody woke either.
func TestYoungerMessageHasTheTime(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil, soon)
	r.down()
	for _, m := range [][2]string{{"+491", "older"}, {"+491", "younger"}, {"+492", "by SIP"}} {
		if o := r.accept(&sms.Message{From: sms.ParseAddress("100"), To: sms.ParseAddress(m[0]), Text: m[1]}); !o.Deferred {
			t.Fatalf("%+v", o)
		}
	}
	r.sql("UPDATE deferred SET waiting = 1 - waiting WHERE queue = (SELECT queue FROM deferred GROUP BY queue HAVING COUNT(*) = 2)")
	r.addRoute("INSERT INTO route (name, to_match, targets) VALUES ('other way', '+492*', 'sip')")
	if m := r.message(); m.Text != "by SIP" { // by which all that waits was looked at
		t.Fatalf("%+v", m)
	}
	r.back()
	if got := r.texts(2)["491"]; !slices.Equal(got, []string{"older", "younger"}) {
		t.Errorf("%q", got)
	}
}
