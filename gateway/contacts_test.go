package gateway_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"sipsmpp/events"
	"sipsmpp/gateway"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/sms"
)

// TestRegisteredPhone: a phone registers, hears what the SMSC has for its number, over a restart as well, answers, and goes.
func TestRegisteredPhone(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.config.SIP.Registrar, r.config.SIP.OutboundURI, r.config.SIP.Realm = true, nil, "example.com"
	r.restart()
	password, numbers := "secret", []string{"100"}
	if err := r.gw.AddSIPUser(r.ctx, "al", gateway.SIPUserChange{Password: &password, Numbers: &numbers}); err != nil {
		t.Fatal(err)
	}
	toPhone := func(text string) sms.Outcome {
		t.Helper()
		done := make(chan sms.Outcome, 1)
		r.gw.Accept(&sms.Message{
			Ingress: sms.Connection("smsc"), From: sms.ParseAddress("+4915112345678"), To: sms.ParseAddress("100"), Text: text, Received: time.Now(),
		}, func(o sms.Outcome) { done <- o })
		return <-done
	}
	explain := func() (string, []sms.Contact) {
		t.Helper()
		test := r.gw.TestRoute(&sms.Message{Ingress: sms.Connection("smsc"), To: sms.ParseAddress("100"), Text: "x"})
		if len(test.States) != 1 {
			t.Fatalf("%+v", test)
		}
		return test.States[0], test.Contacts
	}
	if o := toPhone("nobody there"); o.Fate != sms.Refused || o.Status != 480 || o.Severity != sms.Temporary || !o.Deferred {
		t.Errorf("away: %+v", o)
	}
	if state, _ := explain(); state != "away" {
		t.Errorf("state %q", state)
	}
	register := func(user, password string, expires int) int {
		t.Helper()
		code, err := r.phone.Register(r.ctx, "sip:"+r.sip, user, password, expires)
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	if code := register("al", "wrong", 600); code != 401 {
		t.Errorf("with a wrong password: %d", code)
	}
	if code := register("al", "secret", 600); code != 200 {
		t.Fatalf("%d", code)
	}
	e := r.event("E_SIP_REGISTERED").(events.SIPRegistered)
	if e.User != "al" || e.Contact != "sip:al@"+r.phone.Addr() || e.Received != "udp:"+r.phone.Addr() || time.Until(time.Time(e.Expires)) > 10*time.Minute {
		t.Errorf("%+v", e)
	}
	if m := r.message(); m.Text != "nobody there" { // it was kept for the user
		t.Errorf("%+v", m)
	}
	r.emptied()
	if state, contacts := explain(); state != "registered" || len(contacts) != 1 {
		t.Errorf("state %q, %v", state, contacts)
	}
	for range 2 {
		if o := toPhone("grüß dich"); o.Fate != sms.Accepted {
			t.Fatalf("%+v", o)
		}
		if m := r.message(); m.Text != "grüß dich" || m.To != "sip:al@"+r.phone.Addr() || !strings.HasPrefix(m.From, "sip:+4915112345678@") {
			t.Errorf("%+v", m)
		}
		r.restart() // and it is still known
	}
	contacts, err := r.gw.SIPContacts(r.ctx, "al")
	if err != nil || len(contacts) != 1 || contacts[0].URI != "sip:al@"+r.phone.Addr() || contacts[0].Q != 1000 {
		t.Errorf("%v, %v", contacts, err)
	}
	if _, err := r.gw.SIPContacts(r.ctx, "bo"); !errors.Is(err, gateway.ErrUnknownSIPUser) {
		t.Error(err)
	}
	if code := r.send("and you"); code != 202 {
		t.Errorf("%d", code)
	}
	if text, _ := r.received(); text != "and you" {
		t.Errorf("%q", text)
	}
	if code := register("al", "secret", 0); code != 200 {
		t.Errorf("%d", code)
	}
	if e := r.event("E_SIP_UNREGISTERED").(events.SIPUnregistered); e.User != "al" || e.Contact != "sip:al@"+r.phone.Addr() || e.Reason == "" {
		t.Errorf("%+v", e)
	}
	r.restart()
	if contacts, _ := r.gw.SIPContacts(r.ctx, ""); len(contacts) > 0 {
		t.Errorf("%v", contacts)
	}

	// The operator's word, and the user's end.
	register("al", "secret", 600)
	if _, err := r.gw.DeleteSIPContacts(r.ctx, "al", "sip:bo@h"); !errors.Is(err, gateway.ErrUnknownContact) {
		t.Error(err)
	}
	if n, err := r.gw.DeleteSIPContacts(r.ctx, "al", ""); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	r.event("E_SIP_UNREGISTERED")
	register("al", "secret", 600)
	if err := r.gw.DeleteSIPUser(r.ctx, "al"); err != nil {
		t.Fatal(err)
	}
	r.event("E_SIP_UNREGISTERED")
	if code := register("al", "secret", 600); code != 403 && code != 401 {
		t.Errorf("%d", code)
	}
	r.config.SIP.Registrar = false
	r.restart()
	if _, err := r.gw.DeleteSIPContacts(r.ctx, "al", ""); !errors.Is(err, gateway.ErrNoRegistrar) {
		t.Error(err)
	}
	if code := register("al", "secret", 600); code != 405 {
		t.Errorf("without a registrar: %d", code)
	}
}
