package sip_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/sip"
	"sipsmpp/gateway/sms"
)

// toHandler hands messages to a channel and answers with what is set.
type toHandler struct {
	got  chan *sms.Message
	code int
}

func (h toHandler) Message(m *sms.Message, answer func(int, time.Duration)) {
	h.got <- m
	answer(h.code, 0)
}

func (h toHandler) Notification(_ *sip.Notification, answer func(int, time.Duration)) {
	answer(h.code, 0)
}

func (toHandler) NextHopDown(string, string)                              {}
func (toHandler) NextHopUp(string)                                        {}
func (toHandler) ContactsChanged(_ []sip.ContactChange, done func(error)) {}
func (toHandler) UserArrived(*sms.SIPUser)                                {}

func start(t *testing.T, cfg sip.Config, h sip.Handler) *sip.Endpoint {
	t.Helper()
	cfg.Listen = []string{"udp:127.0.0.1:0", "tcp:127.0.0.1:0"}
	e, err := sip.New(cfg, h, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	e.Start()
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return e
}

func agent(t *testing.T) *gatewaytest.UserAgent {
	t.Helper()
	u, err := gatewaytest.NewUserAgent("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = u.Close() })
	return u
}

// TestFromAUserAgent: another implementation's MESSAGE, by each transport.
func TestFromAUserAgent(t *testing.T) {
	h := toHandler{make(chan *sms.Message, 1), 202}
	refuse := toHandler{make(chan *sms.Message, 1), 404}
	good, bad := start(t, sip.Config{}, h), start(t, sip.Config{}, refuse)
	u := agent(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for i := range 2 {
		for _, test := range []struct {
			e *sip.Endpoint
			h toHandler
		}{{good, h}, {bad, refuse}} {
			a := test.e.Addrs()[i]
			code, err := u.Send(ctx, fmt.Sprintf("sip:+4915112345678@%s;transport=%s", a, a.Network()), "100", "grüß dich")
			if err != nil || code != test.h.code {
				t.Fatalf("by %s: %d, %v", a.Network(), code, err)
			}
			if m := <-test.h.got; m.From.String() != "100" || m.To.String() != "+4915112345678" || m.Text != "grüß dich" {
				t.Errorf("by %s: %+v", a.Network(), m)
			}
		}
	}
}

// TestToAUserAgent: another implementation reads our MESSAGE.
func TestToAUserAgent(t *testing.T) {
	u := agent(t)
	for _, transport := range []string{"udp", "tcp"} {
		e := start(t, sip.Config{OutboundURI: []string{"sip:" + u.Addr() + ";user=phone;transport=" + transport}, Domain: "gw.example.com"}, handlerFunc(nil))
		for _, test := range []struct {
			text, from, sender string
			code               int
			fate               sms.Fate
		}{
			{"grüß dich", "+4930123", "sip:+4930123@gw.example.com", 200, sms.Accepted},
			{strings.Repeat("long ", 400), "ACME Bank", "sip:ACME%20Bank@gw.example.com", 202, sms.Accepted},
			{"no", "100", "sip:100@gw.example.com", 404, sms.Refused},
		} {
			u.Answer(test.code)
			outcome := make(chan sms.Outcome, 1)
			e.Send(&sms.Message{ID: sms.NewIDs().Next(), From: sms.ParseAddress(test.from), To: sms.ParseAddress("+4915112345678"), Text: test.text},
				func(o sms.Outcome) { outcome <- o })
			if o := <-outcome; o.Fate != test.fate || o.Status != uint32(test.code) {
				t.Errorf("by %s: outcome %+v", transport, o)
			}
			m := <-u.Received()
			if m.Text != test.text || m.From != test.sender || m.To != "sip:+4915112345678@"+u.Addr()+";user=phone" ||
				m.ContentType != "text/plain;charset=UTF-8" {
				t.Errorf("by %s: got %+v", transport, m)
			}
		}
	}
}

// TestNobodyListens: ICMP tells at once that the first next hop is not there, by UDP; a refused connection does by TCP.
func TestNobodyListens(t *testing.T) {
	u := agent(t)
	nobody, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := nobody.LocalAddr().String()
	_ = nobody.Close()
	for _, transport := range []string{"udp", "tcp"} {
		hop := "sip:" + address + ";transport=" + transport
		e := start(t, sip.Config{OutboundURI: []string{hop, "sip:" + u.Addr()}}, handlerFunc(nil))
		alone := start(t, sip.Config{OutboundURI: []string{hop}}, handlerFunc(nil))
		outcome := make(chan sms.Outcome, 1)
		m := &sms.Message{From: sms.ParseAddress("100"), To: sms.ParseAddress("+4915112345678"), Text: "hi"}
		e.Send(m, func(o sms.Outcome) { outcome <- o })
		if o := <-outcome; o.Fate != sms.Accepted {
			t.Errorf("by %s: outcome %+v", transport, o)
		}
		alone.Send(m, func(o sms.Outcome) { outcome <- o })
		if o := <-outcome; o.Fate != sms.NotSent || o.Severity != sms.Temporary || !strings.Contains(o.Detail, address) {
			t.Errorf("by %s, alone: outcome %+v", transport, o)
		}
	}
}

// TestBesideADeadHop: the ICMP errors of one next hop do not fail what goes to another. The kernel sends only so many of them a
// second, so that some of a burst find out by the next retransmission; the fate of those is not known.
func TestBesideADeadHop(t *testing.T) {
	u := agent(t)
	nobody, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := "sip:" + nobody.LocalAddr().String()
	_ = nobody.Close()
	e := start(t, sip.Config{OutboundURI: []string{dead, "sip:" + u.Addr()}, T1: 20 * time.Millisecond}, handlerFunc(nil))
	const n = 200
	outcomes := make(chan sms.Outcome, n)
	for range n {
		e.Send(&sms.Message{From: sms.ParseAddress("100"), To: sms.ParseAddress("+4915112345678"), Text: "hi"},
			func(o sms.Outcome) { outcomes <- o })
	}
	accepted := 0
	for range n {
		o := <-outcomes
		if o.Fate == sms.Accepted {
			accepted++
		} else if o.Fate != sms.Unknown || !strings.Contains(o.Detail, strings.TrimPrefix(dead, "sip:")) {
			t.Errorf("outcome %+v", o)
		}
	}
	if accepted == 0 {
		t.Error("none went by the other next hop")
	}
}

// TestCloseWaits: what is in progress is answered before the sockets close, and what comes meanwhile gets 503.
func TestCloseWaits(t *testing.T) {
	answers := make(chan func(int, time.Duration), 1)
	e, err := sip.New(sip.Config{Listen: []string{"udp:127.0.0.1:0"}}, handlerFunc(func(_ *sms.Message, answer func(int, time.Duration)) {
		answers <- answer
	}), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	e.Start()
	u := agent(t)
	to := "sip:+4915112345678@" + e.Addrs()[0].String()
	codes, closed := make(chan int, 1), make(chan error, 1)
	send := func() int {
		code, err := u.Send(t.Context(), to, "100", "hi")
		if err != nil {
			t.Error(err)
		}
		return code
	}
	go func() { codes <- send() }()
	answer := <-answers
	go func() { closed <- e.Close(t.Context()) }()
	for {
		// The first may come before Close has begun; then it is answered by hand.
		second := make(chan int, 1)
		go func() { second <- send() }()
		select {
		case early := <-answers:
			early(200, 0)
			<-second
			continue
		case code := <-second:
			if code != 503 {
				t.Errorf("while it closes a request gets %d", code)
			}
		}
		break
	}
	answer(202, 0)
	if code := <-codes; code != 202 {
		t.Errorf("what was in progress got %d", code)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
}

type handlerFunc func(m *sms.Message, answer func(int, time.Duration))

func (handlerFunc) NextHopDown(string, string)                       {}
func (handlerFunc) NextHopUp(string)                                 {}
func (handlerFunc) ContactsChanged([]sip.ContactChange, func(error)) {}
func (handlerFunc) UserArrived(*sms.SIPUser)                         {}

func (f handlerFunc) Message(m *sms.Message, answer func(int, time.Duration)) { f(m, answer) }

func (f handlerFunc) Notification(_ *sip.Notification, answer func(int, time.Duration)) {
	answer(202, 0)
}
