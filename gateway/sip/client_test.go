package sip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sipsmpp/gateway/sms"

	"golang.org/x/net/ipv4"
)

// sentAt is a datagram and when it left.
type sentAt struct {
	at time.Time
	b  string
	to *net.UDPAddr
}

// fakeSocket is a UDP socket in memory.
type fakeSocket struct {
	in     chan sentAt
	closed chan struct{}

	unreadable atomic.Bool

	mu   sync.Mutex
	sent []sentAt
	fail error // of every write
}

func newFakeSocket() *fakeSocket {
	return &fakeSocket{in: make(chan sentAt, 100), closed: make(chan struct{})}
}

func (f *fakeSocket) readRefusal([]byte) (int, bool, bool) { return 0, false, false }

func (f *fakeSocket) ReadBatch(ms []ipv4.Message, _ int) (int, error) {
	if f.unreadable.Load() {
		return 0, syscall.ENOBUFS
	}
	select {
	case d := <-f.in:
		ms[0].N, ms[0].Addr = copy(ms[0].Buffers[0], d.b), d.to
		return 1, nil
	case <-f.closed:
		return 0, net.ErrClosed
	}
}

func (f *fakeSocket) WriteBatch(ms []ipv4.Message, _ int) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return 0, f.fail
	}
	for _, m := range ms {
		f.sent = append(f.sent, sentAt{time.Now(), string(m.Buffers[0]), m.Addr.(*net.UDPAddr)})
	}
	return len(ms), nil
}

func (f *fakeSocket) LocalAddr() net.Addr {
	return &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5060}
}
func (f *fakeSocket) Close() error { close(f.closed); return nil }

// unreachable is what ICMP quotes of a datagram that nobody took.
func (c *client) unreachable(quoted []byte) {
	if branch, ok := quotedBranch(quoted); ok {
		c.unsent(branch, errNobodyListens)
	}
}

// take gives what was sent since the last call.
func (f *fakeSocket) take() []sentAt {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() { f.sent = nil }()
	return f.sent
}

// reply lets a response to a request come in.
func (f *fakeSocket) reply(request sentAt, code int, fields ...string) {
	head, _, _ := strings.Cut(request.b, "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	response := []string{fmt.Sprintf("SIP/2.0 %d X", code)}
	for _, line := range lines {
		for _, name := range []string{"Via:", "From:", "To:", "Call-ID:", "CSeq:"} {
			if strings.HasPrefix(line, name) {
				response = append(response, line)
			}
		}
	}
	response = append(append(response, fields...), "Content-Length: 0", "", "")
	f.in <- sentAt{b: strings.Join(response, "\r\n"), to: request.to}
}

// client is an endpoint on a fake socket, inside a synctest bubble.
type client struct {
	*Endpoint
	*fakeSocket
	outcomes  []sms.Outcome
	hopEvents []string
}

func (c *client) Message(*sms.Message, func(int, time.Duration))       {}
func (c *client) Notification(*Notification, func(int, time.Duration)) {}

func (c *client) NextHopDown(uri, _ string) { c.happened("down " + uri) }
func (c *client) NextHopUp(uri string)      { c.happened("up " + uri) }

func (c *client) ContactsChanged(_ []ContactChange, done func(error)) {
	if done != nil {
		done(nil)
	}
}

func (c *client) UserArrived(*sms.SIPUser) {}

func (c *client) happened(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hopEvents = append(c.hopEvents, what)
}

func newClient(t *testing.T, hops ...string) *client {
	return newClientWith(t, Config{OutboundURI: hops, Domain: "example.com"})
}

func newClientWith(t *testing.T, cfg Config) *client {
	c := &client{fakeSocket: newFakeSocket()}
	c.Endpoint = newEndpoint(cfg, c, slog.New(slog.DiscardHandler))
	c.addSocket(c.fakeSocket)
	c.lookup = func(context.Context, string, string) ([]netip.Addr, error) { return nil, errors.New("no such host") }
	c.lookupSRV = func(context.Context, string, string, string) (string, []*net.SRV, error) {
		return "", nil, errors.New("no such name")
	}
	c.dialTCP = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("unreachable") }
	c.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_ = c.Endpoint.Close(ctx)
	})
	return c
}

// text sends a message and lets everything settle that needs no time.
func (c *client) text(s string) {
	c.Send(&sms.Message{From: sms.ParseAddress("100"), To: sms.ParseAddress("+491"), Text: s},
		c.told)
	synctest.Wait()
}

func (c *client) outcome(t *testing.T) sms.Outcome {
	t.Helper()
	synctest.Wait()
	all := c.all()
	if len(all) != 1 {
		t.Fatalf("%d outcomes: %+v", len(all), all)
	}
	return all[0]
}

// told is the done of every message.
func (c *client) told(o sms.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outcomes = append(c.outcomes, o)
}

// all takes the outcomes since the last call.
func (c *client) all() []sms.Outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() { c.outcomes = nil }()
	return c.outcomes
}

const hopA, hopB = "sip:192.0.2.10:5060", "sip:192.0.2.11:5070;transport=udp"

// pass lets the fake clock run, and everything settle.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func schedule(sent []sentAt) (s []time.Duration) {
	for _, d := range sent {
		s = append(s, d.at.Sub(sent[0].at))
	}
	return s
}

func millis(ms ...int) (s []time.Duration) {
	for _, m := range ms {
		s = append(s, time.Duration(m)*time.Millisecond)
	}
	return s
}

// TestRetransmissionSchedule: RFC 3261, 17.1.2.2.
func TestRetransmissionSchedule(t *testing.T) {
	t.Run("no answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newClient(t, hopA)
			began := time.Now()
			c.text("hi")
			pass(31999 * time.Millisecond)
			if len(c.all()) > 0 {
				t.Fatal("it ended before Timer F fired")
			}
			pass(time.Millisecond)
			o := c.outcome(t)
			if o.Fate != sms.Unknown || o.Severity != sms.Temporary || o.Cause != sms.CauseNoAnswer || time.Since(began) != 32*time.Second {
				t.Errorf("outcome %+v after %v", o, time.Since(began))
			}
			sent := c.take()
			want := millis(0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500)
			if got := schedule(sent); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("sent after %v\nwant       %v", got, want)
			}
			for _, d := range sent {
				if d.b != sent[0].b || d.to.String() != "192.0.2.10:5060" {
					t.Errorf("a retransmission differs: to %v\n%s", d.to, d.b)
				}
			}
			pass(time.Minute)
			if more := c.take(); len(more) > 0 {
				t.Errorf("%d datagrams after the end", len(more))
			}
		})
	})
	t.Run("provisional", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newClient(t, hopA)
			c.text("hi")
			first := c.sent[0]
			pass(100 * time.Millisecond)
			c.reply(first, 100)
			pass(10 * time.Second)
			if got, want := schedule(c.take()), millis(0, 500, 4500, 8500); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("sent after %v, want %v", got, want)
			}
		})
	})
	t.Run("answered", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newClient(t, hopA)
			c.text("hi")
			pass(600 * time.Millisecond)
			sent := c.take()
			c.reply(sent[0], 200)
			c.reply(sent[1], 200) // the answer to the retransmission
			if o := c.outcome(t); o.Fate != sms.Accepted || o.Status != 200 || o.Egress != sms.SIP || time.Since(o.Begun) != 600*time.Millisecond {
				t.Errorf("outcome %+v", o)
			}
			pass(time.Minute)
			if more := c.take(); len(more) > 0 {
				t.Errorf("%d datagrams after the answer", len(more))
			}
			if s := c.Stats(); s.Stray != 1 || s.InFlight != 0 || s.Accepted != 1 || s.Resent != 1 {
				t.Errorf("stats %+v", s)
			}
			by := c.Transports()
			if len(by) != 1 || by[0].Transport != "udp" || by[0].Sent != 1 || by[0].Accepted != 1 {
				t.Errorf("by transport %+v", by)
			}
			if r := by[0].Response; r.Count != 1 || r.Sum != 600*time.Millisecond {
				t.Errorf("%d answers in %v, want one in 600 ms", r.Count, r.Sum)
			}
		})
	})
}

func TestResponsesThatAreNotOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, hopA)
		c.text("hi")
		good := c.take()[0]
		for _, change := range [][2]string{
			{"CSeq: 1 MESSAGE", "CSeq: 1 INVITE"},
			{cookie, cookie + "0"},
			{"Via: SIP/2.0/UDP", "Via: SIP/2.0/UDP 1.2.3.4:5060\r\nVia: SIP/2.0/UDP"},
			{"\r\nCall-ID", "\r\nX-ID"},
		} {
			bad := good
			bad.b = strings.Replace(good.b, change[0], change[1], 1)
			c.reply(bad, 200)
		}
		synctest.Wait()
		if all := c.all(); len(all) > 0 || c.Stats().Stray != 4 {
			t.Fatalf("outcomes %+v, stats %+v", all, c.Stats())
		}
		c.reply(good, 200)
		if o := c.outcome(t); o.Fate != sms.Accepted {
			t.Errorf("outcome %+v", o)
		}
	})
}

// TestRequest is a whole request, but for what is random in it.
func TestRequest(t *testing.T) {
	id, _ := sms.ParseID("01j0000000000000000000000z")
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.FixedZone("CET", 3600))
	e := newEndpoint(Config{Domain: "gw.example.com", OutboundURI: []string{"sip:[2001:db8::1]:5070;transport=tcp;user=phone;x=y"}}, handlerFunc(nil), slog.New(slog.DiscardHandler))
	o := &outgoing{
		m: &sms.Message{ID: id, From: sms.ParseAddress("ACME"), To: sms.ParseAddress("+4915112345678"), Text: "gr\u00fc\u00df\xff",
			Expires: now.Add(90*time.Second + time.Millisecond)},
		hop: e.hops[0], to: &target{sentBy: [transports]string{"192.0.2.1:5060", "192.0.2.1:5061"}}, branch: 0xabc, fromTag: 0xdef,
	}
	got := string(e.appendRequest(nil, o, byTCP, now))
	want := strings.ReplaceAll(`MESSAGE sip:+4915112345678@[2001:db8::1]:5070;x=y;user=phone SIP/2.0
Via: SIP/2.0/TCP 192.0.2.1:5061;branch=z9hG4bK0000000000000abc;rport
Max-Forwards: 70
From: "ACME" <sip:ACME@gw.example.com>;tag=0000000000000def
To: <sip:+4915112345678@[2001:db8::1]:5070>
Call-ID: 01j0000000000000000000000z@gw.example.com
CSeq: 1 MESSAGE
Date: Mon, 23 Nov 2026 11:00:00 GMT
Expires: 91
Content-Type: text/plain;charset=UTF-8
Content-Length: 9

`, "\n", "\r\n") + "gr\u00fc\u00df\uFFFD"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestOutcomes(t *testing.T) {
	for code, want := range map[int]sms.Outcome{
		200: {Fate: sms.Accepted}, 202: {Fate: sms.Accepted},
		302: {Severity: sms.Permanent}, 400: {Severity: sms.Permanent},
		401: {Severity: sms.Configuration}, 407: {Severity: sms.Configuration},
		403: {Severity: sms.Permanent}, 404: {Severity: sms.Permanent}, 410: {Severity: sms.Permanent},
		413: {Severity: sms.Permanent}, 415: {Severity: sms.Permanent}, 484: {Severity: sms.Permanent},
		488: {Severity: sms.Permanent}, 513: {Severity: sms.Permanent}, 603: {Severity: sms.Permanent},
		604: {Severity: sms.Permanent}, 606: {Severity: sms.Permanent},
		408: {Severity: sms.Temporary}, 480: {Severity: sms.Temporary}, 486: {Severity: sms.Temporary},
		600: {Severity: sms.Temporary}, 500: {Severity: sms.Temporary}, 503: {Severity: sms.Temporary},
		504: {Severity: sms.Temporary}, 599: {Severity: sms.Temporary},
		482: {Severity: sms.Permanent, Cause: sms.CauseLoop}, 483: {Severity: sms.Permanent, Cause: sms.CauseLoop},
	} {
		got := outcomeOf(code)
		if want.Fate == 0 {
			want.Fate = sms.Refused
			if want.Cause == 0 {
				want.Cause = sms.CauseRefused
			}
		}
		if got.Fate != want.Fate || got.Severity != want.Severity || got.Cause != want.Cause ||
			got.Protocol != sms.ProtocolSIP || got.Status != uint32(code) || got.Egress != sms.SIP {
			t.Errorf("%d: %+v, want %+v", code, got, want)
		}
	}
}

func TestNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := sms.Message{From: sms.ParseAddress("100"), To: sms.ParseAddress("+491"), Text: "hi"}
		with := func(change func(*sms.Message)) *sms.Message { m := good; change(&m); return &m }
		c, lonely := newClient(t, hopA), newClient(t)
		full := newClient(t, hopA)
		full.cfg.MaxPending = 1
		full.Send(&good, func(sms.Outcome) {})
		for _, test := range []struct {
			name string
			e    *client
			m    *sms.Message
			want sms.Outcome
		}{
			{"no next hop", lonely, &good, sms.Failed(sms.Permanent, sms.CauseNoRoute, "messages to SIP have no next hop; set sip.outbound_uri")},
			{"binary", c, with(func(m *sms.Message) { m.Alphabet = sms.AlphabetBinary }), sms.Failed(sms.Permanent, sms.CauseUnencodable, "a binary message cannot go to SIP")},
			{"no recipient", c, with(func(m *sms.Message) { m.To = sms.Address{} }), sms.Failed(sms.Permanent, sms.CauseUnencodable, "the message has no recipient")},
			{"expired", c, with(func(m *sms.Message) { m.Expires = time.Now() }), sms.Failed(sms.Permanent, sms.CauseExpired, "")},
			{"too many", full, &good, sms.Failed(sms.Temporary, sms.CauseQueueFull, "1 messages to SIP wait for an answer")},
		} {
			test.e.Send(test.m, test.e.told)
			test.want.Egress = sms.SIP
			if o := test.e.outcome(t); fmt.Sprint(o) != fmt.Sprint(test.want) {
				t.Errorf("%s: %+v, want %+v", test.name, o, test.want)
			}
		}
	})
}

func TestFailover(t *testing.T) {
	t.Run("503 with Retry-After", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newClient(t, hopA, hopB)
			c.text("one")
			first := c.take()[0]
			c.reply(first, 503, "Retry-After: 60 (busy)")
			synctest.Wait()
			second := c.take()[0]
			if second.to.String() != "192.0.2.11:5070" || first.b == second.b {
				t.Errorf("then it goes to %v\n%s", second.to, second.b)
			}
			c.reply(second, 202)
			if o := c.outcome(t); o.Fate != sms.Accepted {
				t.Errorf("outcome %+v", o)
			}
			pass(59 * time.Second)
			c.text("two")
			sent := c.take()
			if sent[0].to.String() != "192.0.2.11:5070" {
				t.Errorf("within Retry-After it goes to %v", sent[0].to)
			}
			c.reply(sent[0], 503, "Retry-After: 60")
			if o := c.outcome(t); o.Fate != sms.Refused || o.Status != 503 || o.Severity != sms.Temporary {
				t.Errorf("outcome %+v", o)
			}
			c.text("three")
			if o := c.outcome(t); o.Fate != sms.NotSent || o.Severity != sms.Temporary || o.Cause != sms.CauseNotReady || len(c.take()) > 0 {
				t.Errorf("with all set aside: %+v", o)
			}
			pass(time.Second + time.Millisecond)
			c.text("four")
			if sent := c.take(); len(sent) != 1 || sent[0].to.String() != "192.0.2.10:5060" {
				t.Errorf("after Retry-After: %v", sent)
			}
		})
	})
	t.Run("no answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newClient(t, hopA, hopB)
			c.text("one")
			pass(32 * time.Second)
			if o := c.outcome(t); o.Fate != sms.Unknown {
				t.Errorf("outcome %+v", o)
			}
			c.take()
			c.text("two")
			if sent := c.take(); sent[0].to.String() != "192.0.2.11:5070" {
				t.Errorf("after a timeout of the first it goes to %v", sent[0].to)
			}
		})
	})
	t.Run("the kernel does not take it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newClient(t, hopA, hopB)
			c.fail = syscall.ENETUNREACH
			c.Send(&sms.Message{To: sms.ParseAddress("+491"), Text: "one"}, func(o sms.Outcome) {
				c.told(o)
				if !c.sockets[0].writing.TryLock() {
					t.Error("nothing can be sent while it is told")
					return
				}
				c.sockets[0].writing.Unlock()
			})
			if o := c.outcome(t); o.Fate != sms.NotSent || o.Severity != sms.Temporary || o.Cause != sms.CauseNotReady ||
				!strings.Contains(o.Detail, "192.0.2.11:5070: network is unreachable") {
				t.Errorf("outcome %+v", o)
			}
		})
	})
	t.Run("ICMP", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newClient(t, hopA, hopB)
			c.text("one")
			c.unreachable([]byte(c.take()[0].b)[:300])
			synctest.Wait()
			second := c.take()[0]
			if second.to.String() != "192.0.2.11:5070" {
				t.Errorf("then it goes to %v", second.to)
			}
			pass(500 * time.Millisecond)
			c.unreachable([]byte(second.b)) // the first copy may have been taken
			if o := c.outcome(t); o.Fate != sms.Unknown {
				t.Errorf("outcome %+v", o)
			}
		})
	})
}

func TestNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, "sip:sip.example.com", hopB)
		asked := 0
		answer := []netip.Addr{netip.MustParseAddr("192.0.2.20"), netip.MustParseAddr("192.0.2.21")}
		c.lookup = func(_ context.Context, network, host string) ([]netip.Addr, error) {
			asked++
			time.Sleep(time.Second) // a slow server
			if answer == nil {
				return nil, errors.New("no such host")
			}
			return answer, nil
		}
		c.text("one")
		c.text("two")
		if len(c.take()) > 0 {
			t.Fatal("sent before the name is known")
		}
		pass(time.Second)
		sent := c.take()
		if len(sent) != 2 || sent[0].to.String() != "192.0.2.20:5060" || asked != 1 {
			t.Fatalf("asked %d times, sent %v", asked, sent)
		}
		c.unreachable([]byte(sent[0].b))
		synctest.Wait()
		if sent := c.take(); len(sent) != 1 || sent[0].to.String() != "192.0.2.21:5060" {
			t.Errorf("after the first address: %v", sent)
		}
		pass(40 * time.Second)
		c.take()
		c.all()
		c.hops[0].suspect.Store(0)
		answer = nil
		c.text("three") // the answer is stale: it is used, and asked for again
		if sent := c.take(); len(sent) != 1 || sent[0].to.String() != "192.0.2.20:5060" {
			t.Errorf("with a stale answer: %v", sent)
		}
		pass(time.Second)
		if asked != 2 {
			t.Errorf("asked %d times", asked)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, "sip:nowhere.example.com", hopB)
		c.text("one")
		if sent := c.take(); len(sent) != 1 || sent[0].to.String() != "192.0.2.11:5070" {
			t.Errorf("a name that is not known: %v", sent)
		}
	})
}

func TestCloseTellsEveryOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, hopA, "sip:slow.example.com")
		c.lookup = func(ctx context.Context, _, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		c.text("in flight")
		c.hops[0].aside.Store(time.Now().Add(time.Hour).UnixNano())
		c.text("waits for a name")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		closed := make(chan error)
		go func() { closed <- c.Endpoint.Close(ctx) }()
		synctest.Wait()
		c.Send(&sms.Message{To: sms.ParseAddress("+491")}, func(o sms.Outcome) {
			if o.Fate != sms.NotSent || o.Cause != sms.CauseShutdown {
				t.Errorf("while it closes: %+v", o)
			}
		})
		if err := <-closed; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close: %v", err)
		}
		if all := c.all(); len(all) != 2 || all[0].Fate != sms.Unknown || all[1].Fate != sms.NotSent {
			t.Errorf("outcomes %+v", all)
		}
	})
}

// BenchmarkSend is a message to the octets of its request, and the response that ends it.
func BenchmarkSend(b *testing.B) {
	e := newEndpoint(Config{OutboundURI: []string{hopA}, Domain: "example.com"}, handlerFunc(nil), slog.New(slog.DiscardHandler))
	e.addSocket(newFakeSocket())
	socket := e.sockets[0]
	ids := sms.NewIDs()
	m := &sms.Message{ID: ids.Next(), From: sms.ParseAddress("ACME"), To: sms.ParseAddress("+4915112345678"), Text: strings.Repeat("hello ", 20)}
	accepted := 0
	done := func(o sms.Outcome) {
		if o.Fate == sms.Accepted {
			accepted++
		}
	}
	e.lookUp(e.hops[0])
	var in inbox
	response := []byte("SIP/2.0 202 Accepted\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=" + cookie + "0123456789abcdef;rport=5060\r\n" +
		"From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n")
	at := strings.Index(string(response), "0123456789abcdef")
	from := origin{by: socket, trusted: true}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		e.Send(m, done)
		p := socket.out[0]
		socket.out = socket.out[:0]
		appendHex(response[:at], p.branch)
		p.free()
		e.received(&in, response, from)
		if n++; n%4096 == 0 {
			e.wheel.advance(time.Now(), e.tick)
		}
	}
	if accepted != n {
		b.Fatalf("%d of %d accepted", accepted, n)
	}
}

// A socket that cannot be read is read again, and the log is not flooded.
func TestReadFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		socket := newFakeSocket()
		socket.unreadable.Store(true)
		var log strings.Builder
		c := newEndpoint(Config{OutboundURI: []string{hopA}}, handlerFunc(nil), slog.New(slog.NewTextHandler(&log, nil)))
		c.addSocket(socket)
		c.Start()
		pass(time.Minute)
		if lines := strings.Count(log.String(), "\n"); lines < 60 || lines > 70 {
			t.Errorf("%d lines in a minute", lines)
		}
		socket.unreadable.Store(false)
		socket.in <- sentAt{b: "?", to: &net.UDPAddr{IP: net.IPv4(192, 0, 2, 7).To4(), Port: 5060}}
		if pass(time.Second); len(socket.in) > 0 {
			t.Error("it is not read any more")
		}
		_ = c.Close(t.Context())
	})
}
