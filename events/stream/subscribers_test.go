package stream

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sipsmpp/events"
)

func newSubscribers(t *testing.T, hub *events.Hub) *Subscribers {
	t.Helper()
	s := NewSubscribers(hub, slog.New(slog.DiscardHandler))
	t.Cleanup(s.Close)
	return s
}

func mustFilter(t *testing.T, s string) events.Filter {
	t.Helper()
	f, err := events.ParseFilter(s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestDatagrams(t *testing.T) {
	hub := events.NewHub("gw", 10)
	s := newSubscribers(t, hub)
	l, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := s.Subscribe(mustFilter(t, "E_MESSAGE_*"), "udp:"+l.LocalAddr().String(), time.Minute); err != nil {
		t.Fatal(err)
	}
	hub.Publish(events.Reloaded{})
	hub.Publish(events.MessageReceived{Text: strings.Repeat("x", maxDatagram)}) // too long: left out
	hub.Publish(events.MessageDeferred{Attempt: 1})
	b := make([]byte, maxDatagram)
	n, err := l.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := events.Parse(b[:n]); err != nil || e.Seq != 3 {
		t.Errorf("got %+v, %v", e, err)
	}
}

// A TCP subscriber that went away and comes back gets what it missed.
func TestObjects(t *testing.T) {
	hub := events.NewHub("gw", 10)
	logged := make(chan string, 100)
	s := NewSubscribers(hub, slog.New(slog.NewTextHandler(lineWriter(logged), &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer s.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close() // nobody is there yet
	if err := s.Subscribe(events.Filter{}, "tcp:"+address, time.Minute); err != nil {
		t.Fatal(err)
	}
	hub.Publish(events.MessageDeferred{Attempt: 1})
	if line := <-logged; !strings.Contains(line, "cannot be reached") {
		t.Errorf("logged: %s", line)
	}
	hub.Publish(events.MessageDeferred{Attempt: 2})
	if l, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if seqs := objects(t, c, 2); !slices.Equal(seqs, []uint64{1, 2}) {
		t.Errorf("got %v", seqs)
	}
}

// objects reads n events with nothing between them and gives their numbers.
func objects(t *testing.T, r io.Reader, n int) (seqs []uint64) {
	t.Helper()
	decoder := json.NewDecoder(r)
	for range n {
		var object json.RawMessage
		if err := decoder.Decode(&object); err != nil {
			t.Fatal(err)
		}
		e, err := events.Parse(object)
		if err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, e.Seq)
		if rest, _ := io.ReadAll(io.LimitReader(decoder.Buffered(), 1)); len(rest) > 0 && rest[0] != '{' {
			t.Errorf("%q stands between two objects", rest)
		}
	}
	return seqs
}

// A TCP subscriber that hangs up after each read, as that of python-opensips does, is connected anew for the next event.
func TestHangsUp(t *testing.T) {
	hub := events.NewHub("gw", 10)
	s := newSubscribers(t, hub)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := s.Subscribe(events.Filter{}, "tcp:"+l.Addr().String(), time.Minute); err != nil {
		t.Fatal(err)
	}
	for want := uint64(1); want <= 3; want++ {
		hub.Publish(events.MessageDeferred{})
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if seqs := objects(t, c, 1); seqs[0] != want {
			t.Errorf("got %v, want %d", seqs, want)
		}
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err != io.EOF { // the sender noticed, and closes too
			t.Fatal(err)
		}
		_ = c.Close()
	}
}

type lineWriter chan string

func (w lineWriter) Write(b []byte) (int, error) {
	w <- string(b)
	return len(b), nil
}

func TestSubscribeRefuses(t *testing.T) {
	s := newSubscribers(t, events.NewHub("gw", 10))
	for _, socket := range []string{"", "udp", "udp:", "udp:host", "udp:host:", "sctp:host:1", "host:1"} {
		if err := s.Subscribe(events.Filter{}, socket, time.Minute); !errors.Is(err, ErrSocket) {
			t.Errorf("%q: %v", socket, err)
		}
	}
	if err := s.Subscribe(events.Filter{}, "udp:127.0.0.1:9", 0); err != nil {
		t.Errorf("ended what was over: %v", err)
	}
	for i := range maxActive + 1 {
		err := s.Subscribe(events.Filter{}, fmt.Sprintf("udp:127.0.0.1:%d", 1000+i), time.Minute)
		if errors.Is(err, ErrTooMany) != (i == maxActive) {
			t.Errorf("subscription %d: %v", i+1, err)
		}
	}
}

func TestSubscriptionsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSubscribers(events.NewHub("gw", 10), slog.New(slog.DiscardHandler))
		defer s.Close()
		subscribe := func(expire time.Duration) {
			t.Helper()
			if err := s.Subscribe(mustFilter(t, "E_*"), "tcp:127.0.0.1:9", expire); err != nil {
				t.Fatal(err)
			}
		}
		list := func() string {
			synctest.Wait()
			var b strings.Builder
			for _, l := range s.List() {
				fmt.Fprint(&b, l.Socket, " ", l.Filter, " ", l.Expire)
			}
			return b.String()
		}
		subscribe(10 * time.Second)
		time.Sleep(4500 * time.Millisecond)
		if got := list(); got != "tcp:127.0.0.1:9 E_* 6" {
			t.Errorf("got %s", got)
		}
		subscribe(10 * time.Second) // for longer
		time.Sleep(9 * time.Second)
		if got := list(); got != "tcp:127.0.0.1:9 E_* 1" {
			t.Errorf("got %s", got)
		}
		time.Sleep(time.Second)
		if got := list(); got != "" {
			t.Errorf("got %s", got)
		}
		subscribe(time.Minute)
		subscribe(0)
		if got := list(); got != "" {
			t.Errorf("got %s", got)
		}
		subscribe(time.Minute) // ended and begun anew, at once
		if got := list(); got != "tcp:127.0.0.1:9 E_* 60" {
			t.Errorf("got %s", got)
		}
	})
}
