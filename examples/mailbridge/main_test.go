package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"sipsmpp/examples/exampletest"
	"sipsmpp/mi"
)

// relay is an SMTP server that takes everything.
type relay struct {
	l    net.Listener
	mu   sync.Mutex
	mail []string
}

func newRelay(t *testing.T) *relay {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	r := &relay{l: l}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(c)
		}
	}()
	return r
}

func (r *relay) serve(c net.Conn) {
	defer c.Close()
	text := textproto.NewReader(bufio.NewReader(c))
	fmt.Fprint(c, "220 relay\r\n")
	for {
		line, err := text.ReadLine()
		if err != nil {
			return
		}
		switch strings.ToUpper(strings.Fields(line + " x")[0]) {
		case "DATA":
			fmt.Fprint(c, "354 go on\r\n")
			body, err := text.ReadDotLines()
			if err != nil {
				return
			}
			r.mu.Lock()
			r.mail = append(r.mail, strings.Join(body, "\n"))
			r.mu.Unlock()
		case "QUIT":
			fmt.Fprint(c, "221 bye\r\n")
			return
		}
		fmt.Fprint(c, "250 ok\r\n")
	}
}

func (r *relay) received() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.mail...)
}

// A message becomes a mail, and the answer to that mail a message.
func TestMailBridge(t *testing.T) {
	r := exampletest.New(t, "")
	smtp := newRelay(t)
	b := bridge{url: r.URL, number: "4711", domain: "sms.example.org", relay: smtp.l.Addr().String(), to: "alice@example.org", from: "alice@example.org", retry: time.Second}
	if _, err := r.Client.RouteAdd(t.Context(), mi.RouteAddParams{Targets: "app", ToMatch: "4711"}); err != nil {
		t.Fatal(err)
	}
	r.Run(b.serve)
	r.Phone("+4915112345678", "4711", "Grüße 👋", func() bool { return len(smtp.received()) > 0 })
	first := smtp.received()[0]
	for _, want := range []string{"From: <+4915112345678@sms.example.org>", "To: alice@example.org", "Gr=C3=BC=C3=9Fe =F0=9F=91=8B"} {
		if !strings.Contains(first, want) {
			t.Errorf("no %q in\n%s", want, first)
		}
	}
	answer := "From: Alice <alice@example.org>\r\nTo: <+4915112345678@sms.example.org>\r\nMessage-ID: <1@example.org>\r\n" +
		"Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe zur=C3=BCck\r\n\r\n> Hello\r\n"
	for range 2 { // the mail server tries twice
		if err := b.deliver(context.Background(), strings.NewReader(answer)); err != nil {
			t.Fatal(err)
		}
	}
	stranger := strings.ReplaceAll(answer, "alice@", "mallory@")
	if err := b.deliver(context.Background(), strings.NewReader(stranger)); err != nil {
		t.Fatal(err)
	}
	if got := r.Next(); got.From != "4711" || got.To != "4915112345678" || got.Text() != "Grüße zurück" || len(r.SMSC.Submits()) != 1 {
		t.Errorf("got %q from %s to %s, %d messages", got.Text(), got.From, got.To, len(r.SMSC.Submits()))
	}
}
