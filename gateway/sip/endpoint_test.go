package sip

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"sipsmpp/gateway/sms"
)

type handlerFunc func(m *sms.Message, answer func(int, time.Duration))

func (handlerFunc) NextHopDown(string, string) {}
func (handlerFunc) NextHopUp(string)           {}
func (handlerFunc) ContactsChanged(_ []ContactChange, done func(error)) {
	if done != nil {
		go done(nil)
	}
}
func (handlerFunc) UserArrived(*sms.SIPUser) {}

func (f handlerFunc) Message(m *sms.Message, answer func(int, time.Duration)) { f(m, answer) }

func (f handlerFunc) Notification(_ *Notification, answer func(int, time.Duration)) { answer(202, 0) }

// open is an endpoint on real sockets of loopback that accepts everything unless h says otherwise.
func open(t testing.TB, cfg Config, h handlerFunc) *Endpoint {
	t.Helper()
	if h == nil {
		h = func(_ *sms.Message, answer func(int, time.Duration)) { answer(202, 0) }
	}
	if cfg.Listen == nil {
		cfg.Listen = []string{"udp:127.0.0.1:0", "tcp:127.0.0.1:0"}
	}
	e, err := New(cfg, h, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	e.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = e.Close(ctx)
	})
	return e
}

// TestTwoEndpoints sends a message from one endpoint to another, by each transport and kind of address.
func TestTwoEndpoints(t *testing.T) {
	for _, test := range []struct{ from, to, host string }{
		{"udp:127.0.0.1:0", "udp:127.0.0.1:0", "127.0.0.1"},
		{"udp:127.0.0.1:0", "tcp:127.0.0.1:0", "127.0.0.1"},
		{"udp:[::1]:0", "udp:[::1]:0", "[::1]"},
		{"udp:[::1]:0", "tcp:[::1]:0", "[::1]"},
		{"udp:0.0.0.0:0", "udp:[::]:0", "127.0.0.1"},
		{"udp:[::]:0", "udp:[::]:0", "127.0.0.1"},
		{"udp:[::]:0", "udp:[::]:0", "[::1]"},
		{"udp:[::]:0", "udp:127.0.0.1:0", "localhost"},
	} {
		t.Run(test.from+" to "+test.to, func(t *testing.T) {
			if conn, err := net.ListenPacket("udp", "[::1]:0"); err == nil {
				_ = conn.Close()
			} else if strings.Contains(test.from+test.to, "[::") {
				t.Skip("no IPv6 here")
			}
			got := make(chan *sms.Message, 1)
			to := open(t, Config{Listen: []string{test.to}}, func(m *sms.Message, answer func(int, time.Duration)) {
				got <- m
				answer(202, 0)
			})
			a := to.Addrs()[0]
			_, port, _ := net.SplitHostPort(a.String())
			from := open(t, Config{
				Listen: []string{test.from}, Domain: "example.com",
				OutboundURI: []string{"sip:" + test.host + ":" + port + ";transport=" + a.Network()},
			}, nil)
			outcome := make(chan sms.Outcome, 1)
			from.Send(&sms.Message{
				From: sms.ParseAddress("ACME & Söhne"), To: sms.ParseAddress("+4915112345678"), Text: "grüß dich 👋",
			}, func(o sms.Outcome) { outcome <- o })
			if o := <-outcome; o.Fate != sms.Accepted || o.Status != 202 {
				t.Fatalf("outcome %+v", o)
			}
			m := <-got
			if m.From.String() != "ACME & Söhne" || m.To.String() != "+4915112345678" || m.Text != "grüß dich 👋" {
				t.Errorf("message %+v", m)
			}
			t.Log(m.Peer)
		})
	}
}
