package events

import (
	"strings"
	"testing"
)

func TestFilterByParameter(t *testing.T) {
	sent := MessageSent{ID: "1", Connection: "acme", Egress: "smpp:acme", SMSCIDs: List{"a/1", "b2"}, Attempt: 2}
	report := &MessageReport{ID: "2", From: "100", To: "+4915112345678", State: "delivered"}
	raised, err := NewRaised("E_MINE", []byte(`{"connection":"acme","n":7,"list":["x","y"]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		filter string
		takes  string // s(ent), r(eport), m(ine)
	}{
		{"connection=acme", "sm"},
		{"connection=ac*", "sm"},
		{"connection=other", ""},
		{"connection=other,connection=acme", "sm"},
		{"E_MESSAGE_*,connection=acme", "s"},
		{"to=+49*", "r"},
		{"to= 49*", "r"}, // a plus sign that came in a URL as it is
		{"E_MESSAGE_*,to=+49*,state=delivered", "r"},
		{"E_MESSAGE_*,to=+49*,state=failed", ""},
		{"smsc_ids=b2", "s"},
		{"smsc_ids=a*", "s"},
		{"attempt=2", "s"},
		{"n=7", "m"},
		{"list=y", "m"},
		{"ref=", "sr"},
		{"no_such=*", ""},
	} {
		f, err := ParseFilter(tt.filter)
		if err != nil {
			t.Errorf("%s: %v", tt.filter, err)
			continue
		}
		for letter, e := range map[string]Event{"s": sent, "r": report, "m": raised} {
			if got := f.Takes(e); got != strings.Contains(tt.takes, letter) {
				t.Errorf("%s takes %s: %t", tt.filter, e.Name(), got)
			}
		}
		again, err := ParseFilter(f.String())
		if err != nil || again.String() != f.String() {
			t.Errorf("%s is written %q, which is read as %q, %v", tt.filter, f, again, err)
		}
	}
	for _, bad := range []string{"=x", "a b=x", "to=[", "E_*,to=[", "*=x", strings.Repeat("a=b,", 64) + "a=b"} {
		if _, err := ParseFilter(bad); err == nil {
			t.Errorf("%q is a filter", bad)
		}
	}
}

func TestFilterWithin(t *testing.T) {
	all, err := ParseFilter("*")
	if err != nil {
		t.Fatal(err)
	}
	f := all.Within([]string{"E_MESSAGE_*", "E_SMPP_*"}, []string{"acme"}, []string{"Shop"})
	for _, tt := range []struct {
		event Event
		want  bool
	}{
		{MIChanged{}, false},
		{BindUp{Connection: "acme"}, true},
		{BindUp{Connection: "other"}, false},
		{MessageSent{Connection: "other", Egress: "smpp:other"}, false},
		{MessageSent{From: "Shop", To: "1", Connection: "acme", Egress: "smpp:acme"}, true},
		{MessageSent{From: "Bank", To: "1", Connection: "acme", Egress: "smpp:acme"}, false},
		{MessageDeferred{From: "Shop", To: "1"}, true},
		{MessageDeferred{From: "Bank", To: "1"}, false},
		{MessageFailed{From: "Shop", To: "1"}, true},
		{MessageFailed{From: "Bank", To: "1"}, false},
		{MessageFailed{}, false},
		{MessageReceived{From: "Shop", To: "1", Ingress: "mi:shop"}, true},
		{MessageReceived{From: "1", To: "Shop", Ingress: "smpp:acme"}, true},
		{MessageReceived{From: "1", To: "Shop", Ingress: "smpp:other"}, false},
		{MessageReceived{From: "Bank", To: "1", Ingress: "mi"}, false},
		{MessageReport{From: "Bank", To: "1"}, false},
	} {
		if got := f.Takes(tt.event); got != tt.want {
			t.Errorf("%s %+v: %t", tt.event.Name(), tt.event, got)
		}
	}
}

// A subscription with a condition gets only what it asks for, and waits past the rest.
func TestSubscribeByParameter(t *testing.T) {
	hub := NewHub("gw", 10)
	f, err := ParseFilter("connection=acme")
	if err != nil {
		t.Fatal(err)
	}
	s := hub.Subscribe(f, Now)
	hub.Publish(BindUp{Connection: "other"})
	hub.Publish(BindUp{Connection: "acme"})
	entries, err := s.Next(t.Context())
	if err != nil || len(entries) != 1 || entries[0].Seq != 2 {
		t.Errorf("%+v, %v", entries, err)
	}
}

func BenchmarkFilterByParameter(b *testing.B) {
	f, err := ParseFilter("E_MESSAGE_*,connection=acme")
	if err != nil {
		b.Fatal(err)
	}
	var e Event = MessageSent{ID: "1", Connection: "acme"}
	b.ReportAllocs()
	for b.Loop() {
		if !f.Takes(e) {
			b.Fatal("not taken")
		}
	}
}
