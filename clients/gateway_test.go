package clients_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sipsmpp/clients"
	"sipsmpp/events"
	"sipsmpp/gateway"
	"sipsmpp/gateway/sip"
	"sipsmpp/gateway/smpp"
	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
	"sipsmpp/mi"
	"sipsmpp/mi/server"
)

// fakeCore takes every message by acme, and knows no other connection.
type fakeCore struct {
	server.Core
	hub *events.Hub
}

func (c fakeCore) Events() *events.Hub { return c.hub }

func (c fakeCore) Durables() *events.Durables { return nil }

func (c fakeCore) Accept(m *sms.Message, done func(sms.Outcome)) {
	m.ID = sms.ID{1}
	if m.Text == "refuse" {
		done(sms.Outcome{Fate: sms.Refused, Severity: sms.Permanent, Cause: sms.CauseRefused, Protocol: sms.ProtocolSMPP, Status: 11})
		return
	}
	done(sms.Outcome{Fate: sms.Accepted, Segments: 1, SMSCIDs: []string{m.Text}, Alphabet: sms.AlphabetGSM7, Egress: sms.Connection("acme")})
}

// Trace shows two PDUs at once.
func (c fakeCore) Trace(name string, sink func(smpp.TracedPDU)) (sms.Leg, smpp.Dissector, func(), error) {
	if name != "acme" {
		return sms.Leg{}, smpp.Dissector{}, nil, gateway.ErrUnknownConnection
	}
	for _, command := range []wire.CommandID{wire.CmdEnquireLink, wire.CmdEnquireLinkResp} {
		sink(smpp.TracedPDU{Sent: true, Header: wire.Header{Command: command}})
	}
	return sms.Connection(name), smpp.Dissector{}, func() {}, nil
}

func (c fakeCore) Enable(name string) error { return gateway.ErrUnknownConnection }
func (c fakeCore) Disable(string) error     { return nil }
func (c fakeCore) Rebind(string) error      { return nil }

// serveGateway serves the MI of a fake core on loopback and on a Unix socket, to whoever has the token.
func serveGateway(t *testing.T) (hub *events.Hub, urls []string) {
	t.Helper()
	hub, urls, stop, err := startGateway(filepath.Join(t.TempDir(), "mi.sock"), gateway.MIToken{Name: "test", Hash: mi.HashToken("secret"), Role: "admin"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return hub, urls
}

func startGateway(path string, tokens ...gateway.MIToken) (hub *events.Hub, urls []string, stop func() error, err error) {
	hub = events.NewHub("gw", 100)
	s := server.New(fakeCore{hub: hub}, server.Options{Tokens: tokens})
	web, err := s.Listen("127.0.0.1:0")
	if err != nil {
		return nil, nil, nil, err
	}
	socket, err := s.ListenSocket(path)
	if err != nil {
		_ = web.Close()
		return nil, nil, nil, err
	}
	served := make(chan error, 2)
	go func() { served <- s.Serve(web) }()
	go func() { served <- s.ServeSocket(socket) }()
	address := web.Addr().String()
	return hub, []string{"http://" + address + "/mi", "ws://" + address + "/mi", "unix:" + path}, func() error {
		return errors.Join(s.Close(context.Background()), <-served, <-served)
	}, nil
}

// The client and the server of the contract, over each transport.
func TestGateway(t *testing.T) {
	hub, urls := serveGateway(t)
	for _, url := range urls {
		c := dial(t, url, clients.WithToken("secret"))
		ctx := t.Context()
		sent, err := c.MessageSend(ctx, mi.MessageSendParams{From: "100", To: "+4915112345678", Text: "hi ü <&>", Receipt: mi.ReceiptFinal})
		if err != nil || sent.Connection != "acme" || len(sent.SMSCIDs) != 1 || sent.SMSCIDs[0] != "hi ü <&>" {
			t.Errorf("%s: %+v, %v", url, sent, err)
		}
		var refusal *mi.Error
		if _, err := c.MessageSend(ctx, mi.MessageSendParams{From: "1", To: "2", Text: "refuse"}); !errors.As(err, &refusal) || refusal.Code != mi.CodeForbidden || !strings.Contains(string(refusal.Data), `"status":11`) {
			t.Errorf("%s: %v", url, err)
		}
		if _, err := clients.Call(ctx, c, mi.SMPPEnable, mi.NameParams{Name: "x"}); !errors.As(err, &refusal) || refusal.Code != mi.CodeNotFound {
			t.Errorf("%s: %v", url, err)
		}
		names, err := clients.Call(ctx, c, mi.Which, mi.WhichParams{})
		if err != nil || len(names.Names) != len(mi.Methods())+len(mi.OtherNames()) {
			t.Errorf("%s: which: %v, %v", url, names, err)
		}
		version, err := clients.Call(ctx, c, mi.Version, mi.None{})
		if err != nil || version.Server != "sipsmpp" {
			t.Errorf("%s: version: %v, %v", url, version, err)
		}
	}

	for i := range 5 {
		hub.Publish(events.MessageDeferred{ID: "m", Attempt: i + 1})
	}
	for _, url := range urls {
		c := dial(t, url, clients.WithToken("secret"))
		var got []string
		for n, err := range c.Events(t.Context(), "E_MESSAGE_*,E_THE_END", clients.After(2)) {
			if err != nil {
				t.Fatal(err)
			}
			if n.Event.Name() == "E_THE_END" {
				break
			}
			if got = append(got, fmt.Sprint(n.Seq, n.Event.(events.MessageDeferred).Attempt)); len(got) == 3 {
				if _, err := clients.Call(t.Context(), c, mi.RaiseEvent, mi.RaiseEventParams{Event: "E_THE_END"}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if want := "[3 3 4 4 5 5]"; fmt.Sprint(got) != want {
			t.Errorf("%s: got %v, want %s", url, got, want)
		}
		for _, err := range c.Events(t.Context(), "[") {
			var refusal *mi.Error
			if !errors.As(err, &refusal) || refusal.Code != 400 {
				t.Errorf("%s: a bad filter: %v", url, err)
			}
		}
	}

	for _, url := range urls[:2] {
		c := dial(t, url)
		var refusal *mi.Error
		if _, err := clients.Call(t.Context(), c, mi.Version, mi.None{}); !errors.As(err, &refusal) || refusal.Code != mi.CodeUnauthorized || !strings.HasPrefix(refusal.Message, "a token is wanted") {
			t.Errorf("%s: without a token: %v", url, err)
		}
		for _, err := range c.Events(t.Context(), "") {
			if !errors.As(err, &refusal) || refusal.Code != mi.CodeUnauthorized {
				t.Errorf("%s: events without a token: %v", url, err)
			}
		}
	}
}

func BenchmarkCall(b *testing.B) {
	hub := events.NewHub("gw", 100)
	s := server.New(fakeCore{hub: hub}, server.Options{})
	l, err := s.Listen("127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	defer func() {
		if err := errors.Join(s.Close(context.Background()), <-served); err != nil {
			b.Error(err)
		}
	}()
	for _, scheme := range []string{"http", "ws"} {
		b.Run(scheme, func(b *testing.B) {
			b.ReportAllocs()
			c, err := clients.Dial(scheme + "://" + l.Addr().String() + "/mi")
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			for b.Loop() {
				if _, err := c.MessageSend(b.Context(), mi.MessageSendParams{From: "100", To: "+4915112345678", Text: "hi"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TraceSIP shows one message at once.
func (c fakeCore) TraceSIP(f sip.TraceFilter, sink func(sip.Traced)) func() {
	sink(sip.Traced{Peer: "tcp:" + f.Peer, Octets: []byte("SIP/2.0 200 OK\r\n\r\n")})
	return func() {}
}

func TestTraceSIP(t *testing.T) {
	_, urls := serveGateway(t)
	for _, url := range urls {
		c, err := clients.Dial(url, clients.WithToken("secret"))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for m, err := range c.TraceSIP(t.Context(), mi.SIPTraceParams{Peer: "192.0.2.7:5060", Count: 1}) {
			if err != nil {
				t.Fatalf("%s: %v", url, err)
			}
			got = append(got, m.Peer+" "+m.Direction+" "+m.StartLine)
		}
		if want := []string{"tcp:192.0.2.7:5060 received SIP/2.0 200 OK"}; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestTrace(t *testing.T) {
	_, urls := serveGateway(t)
	for _, url := range urls {
		c, err := clients.Dial(url, clients.WithToken("secret"))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for p, err := range c.Trace(t.Context(), mi.SMPPTraceParams{Name: "acme", Count: 2}) {
			if err != nil {
				t.Fatalf("%s: %v", url, err)
			}
			got = append(got, p.Connection+" "+p.Direction+" "+p.Command+" "+p.Status)
		}
		if want := []string{"acme sent enquire_link ", "acme sent enquire_link_resp ESME_ROK (0x00)"}; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
		for _, err := range c.Trace(t.Context(), mi.SMPPTraceParams{Name: "nobody"}) {
			if refused := new(mi.Error); !errors.As(err, &refused) || refused.Code != mi.CodeNotFound {
				t.Errorf("%s: %v", url, err)
			}
		}
		for range c.Trace(t.Context(), mi.SMPPTraceParams{Name: "acme", Seconds: 3600}) {
			break // and nobody waits for the rest
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}
