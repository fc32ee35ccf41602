package route

import (
	"slices"
	"testing"

	"sipsmpp/gateway/sms"
)

func TestDecide(t *testing.T) {
	with := New("acme", []string{"acme", "other"})
	for _, c := range []struct {
		name  string
		table *Table
		m     sms.Message
		want  []sms.Leg
	}{
		{"SIP to the default connection", with, sms.Message{Ingress: sms.SIP}, []sms.Leg{sms.Connection("acme")}},
		{"MI to the default connection", with, sms.Message{Ingress: sms.MI}, []sms.Leg{sms.Connection("acme")}},
		{"the connection asked for", with, sms.Message{Ingress: sms.MI, Connection: "other"}, []sms.Leg{sms.Connection("other")}},
		{"a connection that is not there", with, sms.Message{Ingress: sms.MI, Connection: "nobody"}, nil},
		{"SMPP to SIP", with, sms.Message{Ingress: sms.Connection("acme")}, []sms.Leg{sms.SIP}},
		{"no default connection", New("", []string{"acme"}), sms.Message{Ingress: sms.SIP}, nil},
	} {
		if got := c.table.Decide(&c.m).Targets; !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	b.ReportAllocs()
	t := New("acme", []string{"acme"})
	m := &sms.Message{Ingress: sms.SIP}
	for b.Loop() {
		if len(t.Decide(m).Targets) != 1 {
			b.Fatal("no route")
		}
	}
}
