package sip

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"sipsmpp/gateway/sms"
)

type handlerFunc func(m *sms.Message, answer func(int, time.Duration))

func (f handlerFunc) Message(m *sms.Message, answer func(int, time.Duration)) { f(m, answer) }

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

func outbound(a net.Addr) []string {
	return []string{"sip:" + a.String() + ";transport=" + a.Network()}
}

// TestTwoEndpoints sends a message from one endpoint to another, by each transport.
func TestTwoEndpoints(t *testing.T) {
	for i, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			got := make(chan *sms.Message, 1)
			to := open(t, Config{}, func(m *sms.Message, answer func(int, time.Duration)) {
				got <- m
				answer(202, 0)
			})
			from := open(t, Config{OutboundURI: outbound(to.Addrs()[i]), Domain: "example.com"}, nil)
			outcome := make(chan sms.Outcome, 1)
			from.Send(&sms.Message{
				From: sms.ParseAddress("ACME & Söhne"), To: sms.ParseAddress("+4915112345678"), Text: "grüß dich 👋",
			}, func(o sms.Outcome) { outcome <- o })
			m, o := <-got, <-outcome
			if o.Fate != sms.Accepted || o.Status != 202 {
				t.Errorf("outcome %+v", o)
			}
			if m.From.String() != "ACME & Söhne" || m.To.String() != "+4915112345678" || m.Text != "grüß dich 👋" {
				t.Errorf("message %+v", m)
			}
		})
	}
}
