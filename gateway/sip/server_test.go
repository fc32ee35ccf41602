package sip

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sipsmpp/gateway/sms"
)

// record is a carrier that keeps what it was given.
type record struct {
	net  transport
	sent []string
	to   []*net.UDPAddr
}

func (r *record) transport() transport { return r.net }

func (r *record) send(p *packet) {
	r.sent = append(r.sent, string(p.b))
	r.to = append(r.to, p.addr)
	p.free()
}

// last takes the one thing that was sent since the last call; empty: nothing.
func (r *record) last(t testing.TB) string {
	t.Helper()
	if len(r.sent) > 1 {
		t.Fatalf("%d answers: %q", len(r.sent), r.sent)
	}
	defer func() { r.sent, r.to = nil, nil }()
	return strings.Join(r.sent, "")
}

// bench is an endpoint without sockets, and a peer that it hears.
type bench struct {
	*Endpoint
	*record
	in    inbox
	from  origin
	got   []*sms.Message
	notes []*Notification
	hold  bool // the handler does not answer
	open  []func(int, time.Duration)

	changes []ContactChange
	arrived []string
	unkept  error
}

func newBench(cfg Config) *bench {
	b := &bench{record: &record{net: byUDP}}
	b.Endpoint = newEndpoint(cfg, b, slog.New(slog.DiscardHandler))
	b.from = origin{
		by: b.record, addr: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1).To4(), Port: 40000},
		from: netip.MustParseAddrPort("127.0.0.1:40000"), trusted: true,
	}
	return b
}

func (b *bench) Message(m *sms.Message, answer func(int, time.Duration)) {
	b.got = append(b.got, m)
	if b.hold {
		b.open = append(b.open, answer)
		return
	}
	answer(202, 0)
}

func (b *bench) Notification(n *Notification, answer func(int, time.Duration)) {
	b.notes = append(b.notes, n)
	answer(202, 0)
}

func (b *bench) NextHopDown(string, string) {}
func (b *bench) NextHopUp(string)           {}

func (b *bench) ContactsChanged(changes []ContactChange, done func(error)) {
	b.changes = append(b.changes, changes...)
	if done != nil {
		done(b.unkept)
	}
}

func (b *bench) UserArrived(u *sms.SIPUser) { b.arrived = append(b.arrived, u.Name) }

func (b *bench) hear(request string) { b.received(&b.in, []byte(request), b.from) }

// message is a good MESSAGE, changed by pairs of what to replace and by what.
func aMessage(changes ...string) string {
	s := "MESSAGE sip:+4915112345678@gw.example.com SIP/2.0\r\n" +
		"Via: SIP/2.0/UDP 127.0.0.1:40000;branch=z9hG4bK1\r\n" +
		"Max-Forwards: 70\r\n" +
		"From: \"Al\" <sip:100@example.com>;tag=f1\r\n" +
		"To: <sip:+4915112345678@gw.example.com>\r\n" +
		"Call-ID: c1@example.com\r\n" +
		"CSeq: 1 MESSAGE\r\n" +
		"Content-Type: text/plain\r\n" +
		"Content-Length: 5\r\n" +
		"\r\n" +
		"hello"
	return strings.NewReplacer(changes...).Replace(s)
}

func method(name string, changes ...string) string {
	return aMessage(append([]string{"MESSAGE", name}, changes...)...)
}

func TestAnswers(t *testing.T) {
	const maxForwards = "Max-Forwards: 70\r\n"
	tests := []struct {
		name    string
		request string
		answer  string // status line; empty: none
		header  string // that the answer has
	}{
		{"a message", aMessage(), "202 Accepted", "Content-Length: 0\r\n\r\n"},
		{"compact forms", aMessage("Via:", "v:", "From:", "f :", "To:", "t:", "Call-ID", "i", "Content-Type", "c", "Content-Length", "l"), "202 Accepted", ""},
		{"lower case", aMessage("Via:", "via:", "CSeq", "cseq", "From", "FROM"), "202 Accepted", ""},
		{"folded lines", aMessage("From: \"Al\"", "From: \"Al\"\r\n\t", "Via: SIP/2.0/UDP", "Via: SIP/2.0/UDP\r\n "), "202 Accepted", ""},
		{"no Content-Length by UDP", aMessage("Content-Length: 5\r\n", ""), "202 Accepted", ""},
		{"no body", aMessage("Content-Length: 5", "Content-Length: 0", "Content-Type: text/plain\r\n", "", "hello", ""), "202 Accepted", ""},
		{"octets after the body", aMessage("hello", "hello and more"), "202 Accepted", ""},
		{"tel: Request-URI", aMessage("MESSAGE sip:+4915112345678@gw.example.com", "MESSAGE tel:+4915112345678"), "202 Accepted", ""},
		{"To with a tag", aMessage("gw.example.com>", "gw.example.com>;tag=x"), "202 Accepted", "gw.example.com>;tag=x\r\n"},

		{"no From", aMessage("From", "X-From"), "400 Missing From", "Call-ID: c1@example.com"},
		{"no Call-ID", aMessage("Call-ID", "X-Id"), "400 Missing Call-ID", "CSeq: 1 MESSAGE"},
		{"two Call-IDs", aMessage("Call-ID: c1@example.com", "Call-ID: a\r\ni: b"), "400 Header Field Given Twice", ""},
		{"CSeq of another method", aMessage("CSeq: 1 MESSAGE", "CSeq: 1 INVITE"), "400 Bad Sequence Number", ""},
		{"CSeq too large", aMessage("CSeq: 1 ", "CSeq: 2147483648 "), "400 Bad Sequence Number", ""},
		{"body cut", aMessage("Content-Length: 5", "Content-Length: 6"), "400 Body Shorter Than Content-Length", ""},
		{"negative length", aMessage("Content-Length: 5", "Content-Length: -5"), "400 Bad Content-Length", ""},
		{"two lengths", aMessage("Content-Length: 5", "Content-Length: 5\r\nl: 4"), "400 Bad Content-Length", ""},
		{"no empty line", strings.SplitAfter(aMessage(), "Content-Length: 5\r\n")[0], "400 No Empty Line After The Header", ""},
		{"bare LF", aMessage("70\r\n", "70\n"), "400 Header Line Without CRLF", ""},
		{"NUL", aMessage("70", "7\x000"), "400 Header Line Without CRLF", ""},
		{"no colon", aMessage("Max-Forwards: 70", "Max-Forwards 70"), "400 Header Field Without Colon", ""},
		{"bad Max-Forwards", aMessage("Max-Forwards: 70", "Max-Forwards: many"), "400 Bad Max-Forwards", ""},
		{"spaces in the Request-URI", aMessage("MESSAGE sip:+4915112345678@", "MESSAGE sip:+49 151@"), "400 Bad Request-URI", ""},
		{"body without a type", aMessage("Content-Type: text/plain\r\n", ""), "400 Missing Content-Type", ""},
		{"too many fields", aMessage(maxForwards, strings.Repeat("X: y\r\n", 300)), "400 Too Many Header Fields", ""},
		{"another version", aMessage(" SIP/2.0\r\nVia", " SIP/3.0\r\nVia"), "505 Version Not Supported", ""},

		{"OPTIONS", method("OPTIONS"), "200 OK", allow + accept},
		{"OPTIONS at its last hop", method("OPTIONS", "70", "0"), "200 OK", ""},
		{"INVITE", method("INVITE"), "405 Method Not Allowed", allow},
		{"REGISTER", method("REGISTER"), "405 Method Not Allowed", allow},
		{"BYE", method("BYE"), "481 Call/Transaction Does Not Exist", ""},
		{"CANCEL", method("CANCEL"), "481 Call/Transaction Does Not Exist", ""},
		{"in a dialog", method("INFO", "gw.example.com>", "gw.example.com>;tag=x"), "481 Call/Transaction Does Not Exist", ""},
		{"ACK", method("ACK"), "", ""},
		{"unknown method", method("SING"), "501 Not Implemented", ""},
		{"method in lower case", method("message"), "501 Not Implemented", ""},
		{"no hop left", aMessage("70", "0"), "483 Too Many Hops", ""},
		{"Require", aMessage(maxForwards, "Require: 100rel, path\r\nrequire: x\r\n"), "420 Bad Extension", "Unsupported: 100rel, path, x\r\n"},
		{"urn:", aMessage("MESSAGE sip:+4915112345678@gw.example.com", "MESSAGE urn:service:sos"), "416 Unsupported URI Scheme", ""},
		{"another type", aMessage("text/plain", "application/sdp"), "415 Unsupported Media Type", accept},
		{"no type at all", aMessage("text/plain", ";;"), "415 Unsupported Media Type", accept},
		{"another charset", aMessage("text/plain", "text/plain;charset=x-klingon"), "415 Unsupported Media Type", accept},
		{"compressed by what we do not know", aMessage(maxForwards, "e: br\r\n"), "415 Unsupported Media Type", acceptEncoding},
		{"too large", aMessage("hello", strings.Repeat("x", 101), "Content-Length: 5", "Content-Length: 101"), "413 Request Entity Too Large", ""},
		{"as large as may be", aMessage("hello", strings.Repeat("x", 100), "Content-Length: 5", "Content-Length: 100"), "202 Accepted", ""},

		{"no SIP", "GET / HTTP/1.1\r\n\r\n", "", ""},
		{"keep-alive", "\r\n\r\n", "", ""},
		{"no Via", aMessage("Via", "X-Via"), "", ""},
		{"a Via that says no host", aMessage("UDP 127.0.0.1:40000", "UDP :"), "", ""},
		{"a response", aMessage("MESSAGE sip:+4915112345678@gw.example.com SIP/2.0", "SIP/2.0 200 OK"), "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(Config{MaxBody: 100})
			b.hear(test.request)
			answer := b.last(t)
			want := ""
			if test.answer != "" {
				want = "SIP/2.0 " + test.answer + "\r\n"
			}
			if !strings.HasPrefix(answer, want) || want == "" && answer != "" || !strings.Contains(answer, test.header) {
				t.Errorf("got\n%s\nwant %q with %q", answer, want, test.header)
			}
			if handed := len(b.got) > 0; handed != (test.answer == "202 Accepted") {
				t.Errorf("handed over: %v", handed)
			}
			if strings.Contains(answer, "Contact") || answer != "" && !strings.HasSuffix(answer, "Content-Length: 0\r\n\r\n") {
				t.Errorf("an answer has no Contact and no body:\n%s", answer)
			}
			// Whatever it was, a good message is still taken.
			b.hear(aMessage("c1@", "other@"))
			if answer := b.last(t); !strings.HasPrefix(answer, "SIP/2.0 202") {
				t.Errorf("afterwards a good message gets\n%s", answer)
			}
		})
	}
}

func TestWhoIsNotTrusted(t *testing.T) {
	b := newBench(Config{})
	b.from.trusted = false
	for i, request := range []string{aMessage(), method("OPTIONS"), method("INVITE"), method("SING"), aMessage("From:", "X-From:")} {
		b.hear(request)
		if answer := b.last(t); !strings.HasPrefix(answer, "SIP/2.0 403 Forbidden\r\n") {
			t.Errorf("%d: got\n%s", i, answer)
		}
	}
	b.hear(method("ACK"))
	if answer := b.last(t); answer != "" || len(b.got) > 0 {
		t.Errorf("ACK is answered:\n%s", answer)
	}
	for i := range b.answered.shards {
		if n := b.answered.shards[i].gens[0].n; n > 0 {
			t.Errorf("%d entries are kept of strangers", n)
		}
	}
}

func TestAnswerEchoes(t *testing.T) {
	tests := []struct {
		name, via string
		want      string // the Via fields of the answer
		port      int    // where it goes
	}{
		{"as it says", "SIP/2.0/UDP 127.0.0.1:40000;branch=z9hG4bK1", "Via: SIP/2.0/UDP 127.0.0.1:40000;branch=z9hG4bK1\r\nFrom", 40000},
		{"the port of sent-by", "SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1", "127.0.0.1:5070;branch=z9hG4bK1\r\nFrom", 5070},
		{"no port", "SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1", "127.0.0.1;branch=z9hG4bK1\r\nFrom", 5060},
		{"a name", "SIP/2.0/UDP pc.example.com;branch=z9hG4bK1", "pc.example.com;branch=z9hG4bK1;received=127.0.0.1\r\nFrom", 5060},
		{"another address", "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1", "10.0.0.1:5060;branch=z9hG4bK1;received=127.0.0.1\r\nFrom", 5060},
		{"rport", "SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bK1", "10.0.0.1;branch=z9hG4bK1;received=127.0.0.1;rport=40000\r\nFrom", 40000},
		{"a received that lies", "SIP/2.0/UDP 10.0.0.1;received=1.2.3.4;branch=z9hG4bK1", "10.0.0.1;branch=z9hG4bK1;received=127.0.0.1\r\nFrom", 5060},
		{"maddr is kept and not obeyed", "SIP/2.0/UDP 127.0.0.1;maddr=224.0.0.1;branch=z9hG4bK1", "127.0.0.1;maddr=224.0.0.1;branch=z9hG4bK1\r\nFrom", 5060},
		{"many", "SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1;x=\"a,b;c\" , SIP/2.0/TCP b;branch=z9hG4bK2\r\nv: SIP/2.0/UDP c",
			"Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1;x=\"a,b;c\", SIP/2.0/TCP b;branch=z9hG4bK2\r\nVia: SIP/2.0/UDP c\r\nFrom", 5060},
		{"spaces", "SIP / 2.0 / UDP   127.0.0.1 : 5070 ; branch = z9hG4bK1", "Via: SIP / 2.0 / UDP   127.0.0.1 : 5070 ;branch=z9hG4bK1\r\nFrom", 5070},
		{"IPv6", "SIP/2.0/UDP [2001:db8::1]:5070;branch=z9hG4bK1", "[2001:db8::1]:5070;branch=z9hG4bK1;received=127.0.0.1\r\nFrom", 5070},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(Config{})
			b.hear(aMessage("SIP/2.0/UDP 127.0.0.1:40000;branch=z9hG4bK1", test.via))
			to := b.to
			answer := b.last(t)
			if !strings.Contains(answer, test.want) {
				t.Errorf("got\n%s\nwant %s", answer, test.want)
			}
			if to[0].Port != test.port || !to[0].IP.Equal(net.IPv4(127, 0, 0, 1)) {
				t.Errorf("it goes to %v, want port %d", to[0], test.port)
			}
		})
	}
}

func TestRetransmissions(t *testing.T) {
	b := newBench(Config{})
	b.hold = true
	for range 3 {
		b.hear(aMessage())
		if answer := b.last(t); answer != "" {
			t.Fatalf("answered before the handler did:\n%s", answer)
		}
	}
	if len(b.got) != 1 {
		t.Fatalf("handed over %d times", len(b.got))
	}
	b.open[0](480, 1500*time.Millisecond)
	first := b.last(t)
	if !strings.HasPrefix(first, "SIP/2.0 480 Temporarily Unavailable\r\n") || !strings.Contains(first, "\r\nRetry-After: 2\r\n") {
		t.Fatalf("got\n%s", first)
	}
	b.hear(aMessage())
	if again := b.last(t); again != first {
		t.Errorf("the retransmission gets\n%s\nand the first got\n%s", again, first)
	}
	b.open[0](202, 0) // a handler that goes wrong
	if answer := b.last(t); answer != "" {
		t.Errorf("answered twice:\n%s", answer)
	}
	if s := b.Stats(); s.Requests != 4 || s.Retransmissions != 3 || s.InProgress != 0 || len(b.got) != 1 {
		t.Errorf("stats %+v, handed over %d", s, len(b.got))
	}
}

func TestMergedRequests(t *testing.T) {
	other := func() string { return aMessage("z9hG4bK1", "z9hG4bK2") }
	b := newBench(Config{})
	b.hold = true
	b.hear(aMessage())
	for range 2 {
		b.hear(other())
		if answer := b.last(t); !strings.HasPrefix(answer, "SIP/2.0 482 Loop Detected\r\n") || !strings.Contains(answer, "z9hG4bK2") {
			t.Fatalf("by another path it gets\n%s", answer)
		}
	}
	b.open[0](202, 0)
	b.last(t)
	if b.hear(other()); !strings.HasPrefix(b.last(t), "SIP/2.0 482") {
		t.Error("by another path it is not 482 after it was accepted")
	}
	if b.hear(aMessage("z9hG4bK1", "no-cookie")); !strings.HasPrefix(b.last(t), "SIP/2.0 482") {
		t.Error("by another path, of a client of RFC 2543, it is not 482")
	}
	b.hear(aMessage("CSeq: 1", "CSeq: 2"))
	b.hear(aMessage("tag=f1", "tag=f2"))
	if len(b.got) != 3 {
		t.Errorf("handed over %d, want the first and two that are others", len(b.got))
	}
	// What was refused may be tried again by another path.
	b.open[1](503, 0)
	b.last(t)
	b.hear(aMessage("CSeq: 1", "CSeq: 2", "z9hG4bK1", "z9hG4bK3"))
	if len(b.got) != 4 {
		t.Error("a proxy's second attempt of what was refused is not handed over")
	}
}

func TestTooManyInProgress(t *testing.T) {
	b := newBench(Config{MaxInProgress: 2})
	b.hold = true
	for i := range 4 {
		b.hear(aMessage("c1@", fmt.Sprintf("c%d@", i)))
	}
	if len(b.got) != 2 || len(b.sent) != 2 {
		t.Fatalf("handed over %d, refused %d", len(b.got), len(b.sent))
	}
	for _, answer := range b.sent {
		if !strings.HasPrefix(answer, "SIP/2.0 503 Service Unavailable\r\n") || !strings.Contains(answer, "\r\nRetry-After: 2\r\n") {
			t.Errorf("got\n%s", answer)
		}
	}
	b.sent = nil
	b.hear(aMessage("c1@", "c0@")) // a retransmission is not new
	if answer := b.last(t); answer != "" {
		t.Errorf("a retransmission gets\n%s", answer)
	}
	b.open[0](202, 0)
	b.last(t)
	b.hear(aMessage("c1@", "c3@"))
	if len(b.got) != 3 {
		t.Error("when one was answered there is place for one more")
	}
}

func TestMessageFields(t *testing.T) {
	b := newBench(Config{})
	before := time.Now()
	b.hear(aMessage("Max-Forwards: 70\r\n", "Max-Forwards: 17\r\nExpires: 60\r\nP-Asserted-Identity: \"Al\" <sip:+4930123@example.com;user=phone>, <tel:+4930456>\r\n"))
	m := b.got[0]
	if m.From.String() != "+4930123" || m.To.String() != "+4915112345678" || m.Text != "hello" || m.Ref != "c1@example.com" ||
		m.Peer != "udp:127.0.0.1:40000" || m.Ingress != sms.SIP || !m.ID.IsZero() || m.Received.Before(before) ||
		m.Expires.Sub(m.Received) != time.Minute || m.Hops != 17 {
		t.Errorf("got %+v", m)
	}
}

func TestExpiry(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		expires, date string
		want          time.Time
	}{
		{"60", "", now.Add(time.Minute)},
		{"60", "Mon, 23 Nov 2026 11:59:30 GMT", now.Add(30 * time.Second)},
		{"60", "Mon, 23 Nov 2026 11:00:00 GMT", now.Add(-59 * time.Minute)},
		{"60", "Mon, 23 Nov 2026 13:00:00 GMT", now.Add(time.Minute)},
		{"60", "yesterday", now.Add(time.Minute)},
		{"soon", "", time.Time{}},
		{"-1", "", time.Time{}},
		{"4294967296", "", time.Time{}},
	}
	for _, test := range tests {
		if got := expiry(test.expires, test.date, now); !got.Equal(test.want) {
			t.Errorf("Expires %q, Date %q: %v, want %v", test.expires, test.date, got, test.want)
		}
	}
}

// FuzzDatagram: whatever comes in, there is at most one answer, it is one SIP message, and the endpoint goes on.
func FuzzDatagram(f *testing.F) {
	f.Add([]byte(aMessage()))
	f.Add([]byte(method("OPTIONS", "Via:", "v:", "127.0.0.1:40000", "[::1]:1;rport")))
	f.Add([]byte(aMessage("text/plain", "multipart/mixed;boundary=b", "hello", "--b\r\n\r\nx\r\n--b--")))
	f.Add([]byte(aMessage("MESSAGE sip:+4915112345678@gw.example.com SIP/2.0", "SIP/2.0 503 No", "z9hG4bK1", "z9hG4bK0123456789abcdef")))
	f.Add([]byte(aMessage("\"Al\"", "\"A\\\"l;<\"", "70\r\n", "70\r\n \r\n\tx\r\n")))
	f.Fuzz(func(t *testing.T, b []byte) {
		e := newBench(Config{})
		e.received(&e.in, append([]byte(nil), b...), e.from)
		if len(e.sent) > 1 {
			t.Fatalf("%d answers", len(e.sent))
		}
		for _, answer := range e.sent {
			var m message
			if !m.scan([]byte(answer)) || m.status == 0 || len(m.body) > 0 {
				t.Fatalf("the answer is none:\n%q", answer)
			}
		}
		e.sent, e.got = nil, nil
		e.hear(aMessage("c1@", "after-all-that@"))
		if len(e.got) != 1 {
			t.Fatal("a good message is not taken any more")
		}
	})
}

// BenchmarkReceive is a datagram in, the handler, and the octets of the answer.
func BenchmarkReceive(b *testing.B) {
	e := newBench(Config{})
	e.Endpoint.handler = handlerFunc(func(_ *sms.Message, answer func(int, time.Duration)) { answer(202, 0) })
	sink := &discard{}
	e.from.by = sink
	datagram := []byte(aMessage("Call-ID: c1", "Call-ID: 0000000000000000c1"))
	at := strings.Index(string(datagram), "0000000000000000c1")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		appendHex(datagram[:at], uint64(i))
		e.received(&e.in, datagram, e.from)
	}
	if sink.n != int(e.Stats().Answered) {
		b.Fatalf("%d answers, %+v", sink.n, e.Stats())
	}
}

// BenchmarkRetransmission is a datagram that was answered before.
func BenchmarkRetransmission(b *testing.B) {
	e := newBench(Config{})
	e.from.by = &discard{}
	datagram := []byte(aMessage())
	b.ReportAllocs()
	for b.Loop() {
		e.received(&e.in, datagram, e.from)
	}
}

type discard struct{ n int }

func (d *discard) transport() transport { return byUDP }
func (d *discard) send(p *packet)       { d.n++; p.free() }
