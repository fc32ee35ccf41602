package gateway_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"sipsmpp/events"
	"sipsmpp/gateway"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// A user's MESSAGE is challenged, taken with the right password, and known by the user's name from then on.
func TestSIPUserSends(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.config.SIP.Trusted = []string{"192.0.2.0/24"}
	r.config.SIP.Realm = "example.com"
	r.restart()
	if code := r.send("hello"); code != 403 {
		t.Errorf("a stranger got %d", code)
	}
	password, numbers := "secret", []string{"100"}
	if err := r.gw.AddSIPUser(r.ctx, "al", gateway.SIPUserChange{Password: &password, Numbers: &numbers}); err != nil {
		t.Fatal(err)
	}
	if err := r.gw.AddSIPUser(r.ctx, "al", gateway.SIPUserChange{Password: &password}); !errors.Is(err, gateway.ErrSIPUserExists) {
		t.Error(err)
	}
	if code := r.send("hello"); code != 401 {
		t.Errorf("without credentials: %d", code)
	}
	as := func(user, password, from string) int {
		t.Helper()
		code, err := r.phone.SendAs(r.ctx, user, password, "sip:+4915112345678@"+r.sip, from, "hello")
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	if code := as("al", "secret", "100"); code != 202 {
		t.Fatalf("with credentials: %d", code)
	}
	if e := r.event("E_MESSAGE_RECEIVED").(events.MessageReceived); e.Ingress != "sip:al" || e.From != "100" {
		t.Errorf("%+v", e)
	}
	if code := as("al", "wrong", "100"); code != 401 {
		t.Errorf("with a wrong password: %d", code)
	}
	if code := as("al", "secret", "101"); code != 403 {
		t.Errorf("with another's number: %d", code)
	}

	// What the MI changes holds at once, and after a restart.
	no, anything := false, []string{"*"}
	if err := r.gw.SetSIPUser(r.ctx, "al", gateway.SIPUserChange{Numbers: &anything}); err != nil {
		t.Fatal(err)
	}
	r.restart()
	if code := as("al", "secret", "101"); code != 202 {
		t.Errorf("with any number: %d", code)
	}
	if err := r.gw.SetSIPUser(r.ctx, "al", gateway.SIPUserChange{Enabled: &no}); err != nil {
		t.Fatal(err)
	}
	if code := as("al", "secret", "100"); code != 403 {
		t.Errorf("disabled: %d", code)
	}
	if err := r.gw.DeleteSIPUser(r.ctx, "al"); err != nil {
		t.Fatal(err)
	}
	if users, err := r.gw.SIPUsers(r.ctx); err != nil || len(users) != 0 {
		t.Errorf("%v, %v", users, err)
	}
}

func TestSIPUserFaults(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	password := "secret"
	if err := r.gw.SetSIPUser(r.ctx, "al", gateway.SIPUserChange{Password: &password}); !errors.Is(err, gateway.ErrUnknownSIPUser) {
		t.Error(err)
	}
	if err := r.gw.DeleteSIPUser(r.ctx, "al"); !errors.Is(err, gateway.ErrUnknownSIPUser) {
		t.Error(err)
	}
	bad := new(gateway.FaultsError)
	if err := r.gw.AddSIPUser(r.ctx, "a b", gateway.SIPUserChange{Password: &password}); !errors.As(err, &bad) {
		t.Error(err)
	}
	db, err := store.Open(context.Background(), r.config.DB)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.PutSIPUser(r.ctx, sms.SIPUser{Name: "al", Realm: "elsewhere", HA1: strings.Repeat("a", 32)}, true); err != nil {
		t.Fatal(err)
	}
	if _, err := r.gw.ReloadSIPUsers(r.ctx); !errors.As(err, &bad) || !strings.Contains(err.Error(), "].realm: ") {
		t.Error(err)
	}
	if err := r.gw.SetSIPUser(r.ctx, "al", gateway.SIPUserChange{Password: &password}); err != nil {
		t.Error(err)
	}
	if n, err := r.gw.ReloadSIPUsers(r.ctx); err != nil || n != 1 {
		t.Error(n, err)
	}
}
