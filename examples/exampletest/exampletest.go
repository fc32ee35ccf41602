// Package exampletest starts a whole gateway beside a simulated SMSC, so that the examples are run by tests as they stand.
package exampletest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"sipsmpp/clients"
	"sipsmpp/gateway"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/mi"
	"sipsmpp/mi/server"
)

// Rig is a gateway with one connection, `sim`, to an SMSC.
type Rig struct {
	*testing.T
	URL    string // of the MI
	SIP    string // host:port of its SIP listener
	Client *clients.Client
	SMSC   *gatewaytest.SMSC
}

// New starts one. outbound is the next hop for messages to SIP; empty: there is none.
func New(t *testing.T, outbound string) *Rig {
	t.Helper()
	smsc, err := gatewaytest.NewSMSC(gatewaytest.SMSCConfig{ReceiptDelay: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(smsc.Close)
	config := gateway.Config{Node: "gw", DB: "sqlite:" + filepath.Join(t.TempDir(), "gateway.db")}
	config.SIP.Listen, config.SMPP.Listen = []string{"udp:127.0.0.1:0"}, []string{"127.0.0.1:0"}
	if outbound != "" {
		config.SIP.OutboundURI = gateway.List{outbound}
	}
	log := slog.New(slog.DiscardHandler)
	g, err := gateway.New(t.Context(), config, log)
	if err != nil {
		t.Fatal(err)
	}
	s := server.New(g, server.Options{Log: log})
	l, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(g.Close(context.Background()), s.Close(context.Background()), <-served); err != nil {
			t.Error(err)
		}
	})
	if err := g.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := &Rig{T: t, URL: "http://" + l.Addr().String(), SIP: g.SIPAddrs()[0][len("udp:"):], SMSC: smsc}
	if r.Client, err = clients.Dial(r.URL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Client.Close() })
	host, port, _ := net.SplitHostPort(smsc.Addr())
	if _, err := r.Client.SMPPAdd(t.Context(), mi.SMPPAddParams{Name: "sim", IP: mi.Value(host), Port: mi.Value(port)}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := smsc.WaitBinds(ctx, 1); err != nil {
		t.Fatal(err)
	}
	return r
}

// Run runs an example beside the test, and at the end of it tells it to stop and wants no error of it.
func (r *Rig) Run(example func(context.Context) error) {
	r.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- example(ctx) }()
	r.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			r.Errorf("the example ended with %v", err)
		}
	})
}

// Phone lets a message come in as from a phone, again and again until done: an example that was just started may not listen yet.
func (r *Rig) Phone(from, to, text string, done func() bool) {
	r.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); {
		if time.Now().After(deadline) {
			r.Fatal("nothing came of it")
		}
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
		_, err := r.SMSC.Deliver(ctx, gatewaytest.Deliver{From: from, To: to, Text: text})
		cancel()
		if err != nil {
			r.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Next is the next message that the SMSC gets.
func (r *Rig) Next() gatewaytest.Submit {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	submit, err := r.SMSC.Next(ctx)
	if err != nil {
		r.Fatal(err)
	}
	return submit
}
