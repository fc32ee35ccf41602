package gateway_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/route"
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

// All that waits for a recipient goes another way, and not its oldest alone, while nobody is there whom it waited for.
func TestAllOfARecipientGoAnotherWay(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.rule(route.Rule{Name: "one", To: "+49*", Targets: "smpp:gone"})
	const recipients = 30
	for i := range 3 * recipients {
		m := &sms.Message{From: sms.ParseAddress("100"), To: sms.ParseAddress(fmt.Sprintf("+4917%02d", i%recipients)), Text: fmt.Sprint(i / recipients)}
		if o := r.accept(m); !o.Deferred {
			t.Fatalf("%+v", o)
		}
	}
	r.rule(route.Rule{Name: "later", Priority: 1, To: "+49*", Targets: "smpp:smsc"})
	for to, texts := range r.texts(3 * recipients) {
		if !slices.Equal(texts, []string{"0", "1", "2"}) {
			t.Errorf("%s got %q", to, texts)
		}
	}
	r.emptied()
}

// So it does where the other way is not up either, whichever of the messages has the time of their queue.
func TestYoungerMessagesFollow(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil, soon)
	r.down()
	r.rule(route.Rule{Name: "one", To: "+49*", Targets: "smpp:gone"})
	const recipients = 30
	for i := range 2 * recipients {
		m := &sms.Message{From: sms.ParseAddress("100"), To: sms.ParseAddress(fmt.Sprintf("+4917%02d", i%recipients)), Text: fmt.Sprint(i / recipients)}
		if o := r.accept(m); !o.Deferred {
			t.Fatalf("%+v", o)
		}
	}
	r.sql("UPDATE deferred SET waiting = 1 - waiting")
	r.rule(route.Rule{Name: "later", Priority: 1, To: "+49*", Targets: "smpp:smsc"})
	for r.gw.DeferredFor(sms.Connection("smsc")) < 2*recipients {
		select {
		case <-r.ctx.Done():
			t.Fatalf("%d of %d wait for the other way", r.gw.DeferredFor(sms.Connection("smsc")), 2*recipients)
		case <-time.After(5 * time.Millisecond):
		}
	}
	r.back()
	for to, texts := range r.texts(2 * recipients) {
		if !slices.Equal(texts, []string{"0", "1"}) {
			t.Errorf("%s got %q", to, texts)
		}
	}
	r.emptied()
}
