package sip

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sipsmpp/gateway/sms"
)

// readHead reads one message without a body.
func readHead(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("after %q: %v", b.String(), err)
		}
		b.WriteString(line)
		if line == "\r\n" {
			return b.String()
		}
	}
}

func dialTCP(t *testing.T, e *Endpoint) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", e.Addrs()[1].String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	return conn, bufio.NewReader(conn)
}

func TestTCP(t *testing.T) {
	var answers []func(int, time.Duration)
	held := make(chan struct{}, 1)
	e := open(t, Config{MaxBody: 100}, func(m *sms.Message, answer func(int, time.Duration)) {
		if strings.HasPrefix(m.Ref, "hold") {
			answers = append(answers, answer)
			held <- struct{}{}
			return
		}
		answer(202, 0)
	})
	conn, r := dialTCP(t, e)
	tcp := func(changes ...string) string { return aMessage(append(changes, "SIP/2.0/UDP", "SIP/2.0/TCP")...) }

	// Three at once, one of them too large: three answers in order.
	large := tcp("c1@", "c2@", "Content-Length: 5", "Content-Length: 200", "hello", strings.Repeat("x", 200))
	fmt.Fprint(conn, tcp("c1@", "c1@")+large+"\r\n\r\n"+tcp("c1@", "c3@"))
	for i, want := range []string{"SIP/2.0 202 Accepted\r\n", "SIP/2.0 413 Request Entity Too Large\r\n", "\r\n", "SIP/2.0 202 Accepted\r\n"} {
		if got := readHead(t, r); !strings.HasPrefix(got, want) {
			t.Errorf("answer %d: %q, want %q", i, got, want)
		}
	}
	// An answer that comes later goes by the same connection.
	fmt.Fprint(conn, tcp("c1@", "hold1@"))
	<-held
	answers[0](480, 0)
	if got := readHead(t, r); !strings.HasPrefix(got, "SIP/2.0 480 ") || !strings.Contains(got, "hold1@") {
		t.Errorf("got %q", got)
	}
	// What cannot be framed is answered and ends the connection.
	fmt.Fprint(conn, tcp("c1@", "c4@", "Content-Length: 5\r\n", ""))
	if got := readHead(t, r); !strings.HasPrefix(got, "SIP/2.0 400 Content-Length Is Needed Here\r\n") {
		t.Errorf("got %q", got)
	}
	if _, err := r.ReadByte(); err == nil {
		t.Error("the connection lives on")
	}
	// An answer to a connection that is gone is lost, and nothing else is.
	gone, _ := dialTCP(t, e)
	fmt.Fprint(gone, tcp("c1@", "hold2@"))
	<-held
	_ = gone.Close()
	answers[1](202, 0)
	conn, r = dialTCP(t, e)
	fmt.Fprint(conn, tcp("c1@", "c5@"))
	if got := readHead(t, r); !strings.HasPrefix(got, "SIP/2.0 202 ") {
		t.Errorf("got %q", got)
	}
}

func TestTooManyConnections(t *testing.T) {
	e := open(t, Config{MaxConnections: 4, Trusted: []netip.Prefix{}}, nil)
	for i := range 3 {
		conn, r := dialTCP(t, e)
		fmt.Fprint(conn, aMessage())
		if i < 2 {
			if got := readHead(t, r); !strings.HasPrefix(got, "SIP/2.0 403 ") {
				t.Errorf("got %q", got)
			}
		} else if _, err := r.ReadByte(); err == nil {
			t.Error("strangers may hold more than half of the connections")
		}
	}
}

func TestConnectionTimes(t *testing.T) {
	ends := func(t *testing.T, after time.Duration, write string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			e := newEndpoint(Config{IdleTimeout: time.Minute}, handlerFunc(func(_ *sms.Message, answer func(int, time.Duration)) { answer(202, 0) }), slog.New(slog.DiscardHandler))
			ours, theirs := net.Pipe()
			gone := make(chan struct{})
			e.start(newStream(e, ours, func() { close(gone) }))
			began := time.Now()
			go func() { _, _ = io.Copy(io.Discard, theirs) }()
			if write != "" {
				_, _ = io.WriteString(theirs, write)
			}
			<-gone
			if took := time.Since(began); took != after {
				t.Errorf("closed after %v, want %v", took, after)
			}
		})
	}
	t.Run("idle", func(t *testing.T) { ends(t, time.Minute, "") })
	t.Run("in use by us", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := newEndpoint(Config{IdleTimeout: time.Minute}, handlerFunc(nil), slog.New(slog.DiscardHandler))
			ours, theirs := net.Pipe()
			gone := make(chan struct{})
			s := newStream(e, ours, func() { close(gone) })
			e.start(s)
			began := time.Now()
			go func() { _, _ = io.Copy(io.Discard, theirs) }()
			time.Sleep(50 * time.Second)
			s.queue([]byte("a request of ours"))
			<-gone
			if took := time.Since(began); took != 110*time.Second {
				t.Errorf("closed after %v, want 110 s", took)
			}
		})
	})
	t.Run("idle after a message", func(t *testing.T) { ends(t, time.Minute, aMessage()) })
	t.Run("idle after a line end", func(t *testing.T) { ends(t, time.Minute, "\r\n") })
	t.Run("a message that does not end", func(t *testing.T) { ends(t, messageTime, aMessage()+aMessage()[:100]) })
}

// TestPeerThatDoesNotRead: its answers are bounded.
func TestPeerThatDoesNotRead(t *testing.T) {
	e := newEndpoint(Config{}, handlerFunc(nil), slog.New(slog.DiscardHandler))
	ours, theirs := net.Pipe()
	defer theirs.Close()
	gone := false
	s := newStream(e, ours, func() { gone = true })
	for range maxUnsent/1000 + 1 {
		p := newPacket()
		p.b = append(p.b, make([]byte, 1000)...)
		s.send(p)
	}
	if !gone || len(s.out) > maxUnsent {
		t.Errorf("closed: %v; %d octets wait", gone, len(s.out))
	}
}

// TestLargeRequests: RFC 3261, 18.1.1.
func TestLargeRequests(t *testing.T) {
	const large = 1500
	setup := func(t *testing.T, dial func() (net.Conn, error)) *client {
		c := newClient(t, hopA)
		c.dialTCP = func(_ context.Context, _, address string) (net.Conn, error) {
			if address != "192.0.2.10:5060" {
				t.Errorf("dials %s", address)
			}
			return dial()
		}
		return c
	}
	t.Run("by TCP", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			dialled := 0
			ours, theirs := net.Pipe()
			c := setup(t, func() (net.Conn, error) { dialled++; return ours, nil })
			r := bufio.NewReader(theirs)
			for i := range 2 {
				c.text(strings.Repeat("x", large))
				head := readHead(t, r)
				if !strings.Contains(head, "\r\nVia: SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK") {
					t.Errorf("got %s", head)
				}
				_, _ = io.CopyN(io.Discard, r, large)
				via := strings.Replace(head[strings.Index(head, "Via:"):], "Content-Length: 1500", "Content-Length: 0", 1)
				if i == 0 {
					fmt.Fprintf(theirs, "SIP/2.0 202 OK\r\n%s", via)
					if o := c.outcome(t); o.Fate != sms.Accepted {
						t.Errorf("outcome %+v", o)
					}
				}
			}
			if dialled != 1 {
				t.Errorf("dialled %d times", dialled)
			}
			synctest.Wait()
			_ = theirs.Close() // before the second is answered
			if o := c.outcome(t); o.Fate != sms.Unknown || o.Cause != sms.CauseNoAnswer {
				t.Errorf("outcome %+v", o)
			}
			if len(c.take()) > 0 {
				t.Error("something went by UDP")
			}
		})
	})
	t.Run("by TCP, and no answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			c := setup(t, func() (net.Conn, error) { return ours, nil })
			sent := make(chan int64)
			go func() {
				n, _ := io.Copy(io.Discard, theirs)
				sent <- n
			}()
			began := time.Now()
			c.text(strings.Repeat("x", large))
			pass(31999 * time.Millisecond)
			if all := c.all(); len(all) > 0 {
				t.Errorf("after %v: %+v", time.Since(began), all)
			}
			pass(time.Millisecond)
			if o := c.outcome(t); o.Fate != sms.Unknown || o.Cause != sms.CauseNoAnswer {
				t.Errorf("outcome %+v", o)
			}
			_ = theirs.Close()
			if n := <-sent; n > 2*large {
				t.Errorf("%d octets were sent: TCP needs no retransmissions", n)
			}
		})
	})
	t.Run("no TCP there", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := setup(t, func() (net.Conn, error) { return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED} })
			c.text(strings.Repeat("x", large))
			if o := c.outcome(t); o.Fate != sms.NotSent || o.Severity != sms.Temporary || !strings.Contains(o.Detail, "sip.udp_safe") || len(c.take()) > 0 {
				t.Errorf("outcome %+v", o)
			}
			c.text("short")
			if sent := c.take(); len(sent) != 1 || len(c.hopEvents) > 0 {
				t.Errorf("what is short does not go there: %v, %v", sent, c.hopEvents)
			}
		})
	})
	t.Run("declared safe", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newClientWith(t, Config{OutboundURI: []string{hopA}, UDPSafe: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
			c.text(strings.Repeat("x", large))
			sent := c.take()
			if len(sent) != 1 || !strings.Contains(sent[0].b, "Via: SIP/2.0/UDP ") || len(sent[0].b) < large {
				t.Fatalf("by UDP: %v", sent)
			}
		})
	})
	t.Run("no way there", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := setup(t, func() (net.Conn, error) { return nil, errors.New("i/o timeout") })
			c.text(strings.Repeat("x", large))
			if o := c.outcome(t); o.Fate != sms.NotSent || o.Severity != sms.Temporary || len(c.take()) > 0 {
				t.Errorf("outcome %+v", o)
			}
		})
	})
	t.Run("the limit", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := setup(t, func() (net.Conn, error) { return nil, errors.New("dialled") })
			c.text("")
			head := len(c.take()[0].b)
			c.text(strings.Repeat("x", maxDatagram-head-2)) // Content-Length has two digits more
			if sent := c.take(); len(sent) != 1 || len(sent[0].b) != maxDatagram {
				t.Errorf("1300 octets do not go by UDP: %v", sent)
			}
			c.text(strings.Repeat("x", maxDatagram-head-1))
			if sent := c.take(); len(sent) > 0 {
				t.Errorf("1301 octets go by UDP")
			}
		})
	})
}
