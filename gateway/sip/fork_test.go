package sip

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sipsmpp/gateway/sms"

	"github.com/gorilla/websocket"
)

// newRegistrarClient is an endpoint with a registrar on a fake socket, inside a synctest bubble. Its hop is hopA.
func newRegistrarClient(t *testing.T) *client {
	c := newClientWith(t, Config{OutboundURI: []string{hopA}, Domain: "example.com", Registrar: true})
	c.SetUsers([]sms.SIPUser{al("100", "+4930123")})
	return c
}

// phone registers al at a port of 192.0.2.7, with more fields if they are given.
func (c *client) phone(t *testing.T, port int, contact string, fields ...string) {
	t.Helper()
	from := &net.UDPAddr{IP: net.IPv4(192, 0, 2, 7).To4(), Port: port}
	request := aRegister("<sip:al@127.0.0.1:40000>", contact, "r1@", fmt.Sprintf("p%d@", port), "z9hG4bKr1", fmt.Sprintf("z9hG4bKp%d;rport", port),
		"User-Agent:", strings.Join(append(fields, "User-Agent:"), "\r\n"))
	c.in <- sentAt{b: request, to: from}
	synctest.Wait()
	challenge := c.take()
	if len(challenge) != 1 {
		t.Fatalf("%v", challenge)
	}
	c.in <- sentAt{b: withCredentials(t, request, challenge[0].b, "al"), to: from}
	synctest.Wait()
	if sent := c.take(); len(sent) != 1 || !strings.HasPrefix(sent[0].b, "SIP/2.0 200") || sent[0].to.Port != port {
		t.Fatalf("%v", sent)
	}
}

func (c *client) toAl(s string) {
	c.Send(&sms.Message{From: sms.ParseAddress("+491"), To: sms.ParseAddress("+100"), Text: s}, c.told)
	synctest.Wait()
}

// field is a field of a message.
func field(b, name string) string {
	_, after, _ := strings.Cut(b, "\r\n"+name+": ")
	value, _, _ := strings.Cut(after, "\r\n")
	return value
}

func TestToContacts(t *testing.T) {
	t.Run("all at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newRegistrarClient(t)
			c.phone(t, 5071, "<sip:al@10.0.0.7:5060;ob>")
			pass(time.Second)
			c.phone(t, 5072, "<sip:al@10.0.0.8>;q=1.0")
			c.toAl("hi")
			sent := c.take()
			if len(sent) != 2 {
				t.Fatalf("%v", sent)
			}
			// The URI is the contact's, the address that of its NAT.
			if !strings.HasPrefix(sent[0].b, "MESSAGE sip:al@10.0.0.8 SIP/2.0\r\n") || !strings.HasPrefix(sent[1].b, "MESSAGE sip:al@10.0.0.7:5060;ob SIP/2.0\r\n") ||
				sent[0].to.String() != "192.0.2.7:5072" || sent[1].to.String() != "192.0.2.7:5071" {
				t.Errorf("%v", sent)
			}
			for _, name := range []string{"Call-ID", "CSeq", "From", "To"} {
				if a, b := field(sent[0].b, name), field(sent[1].b, name); a != b || a == "" {
					t.Errorf("%s is %q and %q", name, a, b)
				}
			}
			if to := field(sent[0].b, "To"); to != "<sip:+100@example.com>" {
				t.Errorf("To: %s", to)
			}
			c.reply(sent[0], 486)
			if synctest.Wait(); len(c.all()) > 0 {
				t.Error("the first answer decides, though it is none")
			}
			c.reply(sent[1], 200)
			if o := c.outcome(t); o.Fate != sms.Accepted || o.Status != 200 {
				t.Errorf("%+v", o)
			}
			if len(c.hopEvents) > 0 || len(c.NextHops()) != 1 {
				t.Errorf("contacts are next hops: %v, %v", c.hopEvents, c.NextHops())
			}
		})
	})
	t.Run("the first that takes it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newRegistrarClient(t)
			c.phone(t, 5071, "<sip:1@h>")
			c.phone(t, 5072, "<sip:2@h>")
			c.toAl("hi")
			sent := c.take()
			c.reply(sent[0], 202)
			if o := c.outcome(t); o.Fate != sms.Accepted || o.Status != 202 {
				t.Errorf("%+v", o)
			}
			c.reply(sent[1], 404)
			if synctest.Wait(); len(c.all()) > 0 {
				t.Error("told twice")
			}
		})
	})
	t.Run("by q", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newRegistrarClient(t)
			c.phone(t, 5071, "<sip:1@h>;q=0.2")
			c.phone(t, 5072, "<sip:2@h>;q=0.8")
			c.phone(t, 5073, "<sip:3@h>;q=0.8")
			c.toAl("hi")
			first := c.take()
			if len(first) != 2 || first[0].to.Port == 5071 || first[1].to.Port == 5071 {
				t.Fatalf("%v", first)
			}
			c.reply(first[0], 486)
			c.reply(first[1], 603)
			synctest.Wait()
			then := c.take()
			if len(then) != 1 || then[0].to.Port != 5071 {
				t.Fatalf("%v", then)
			}
			c.reply(then[0], 404)
			// Of 486, 603 and 404 it is the first that may change.
			if o := c.outcome(t); o.Fate != sms.Refused || o.Status != 486 || o.Severity != sms.Temporary {
				t.Errorf("%+v", o)
			}
		})
	})
	t.Run("one device by several flows", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newRegistrarClient(t)
			c.phone(t, 5071, `<sip:1@h>;+sip.instance="<urn:uuid:1>";reg-id=1`)
			pass(time.Second)
			c.phone(t, 5072, `<sip:2@h>;+sip.instance="<urn:uuid:1>";reg-id=2`)
			c.toAl("hi")
			sent := c.take()
			if len(sent) != 1 || sent[0].to.Port != 5072 {
				t.Fatalf("%v", sent)
			}
			pass(32 * time.Second) // that flow is dead
			sent = c.take()
			if last := sent[len(sent)-1]; last.to.Port != 5071 {
				t.Fatalf("%v", last)
			}
			c.reply(sent[len(sent)-1], 200)
			if o := c.outcome(t); o.Fate != sms.Accepted {
				t.Errorf("%+v", o)
			}
		})
	})
	t.Run("away", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newRegistrarClient(t)
			c.toAl("hi")
			if o := c.outcome(t); o.Fate != sms.Refused || o.Status != 480 || o.Severity != sms.Temporary || !strings.Contains(o.Detail, "al is not registered") {
				t.Errorf("%+v", o)
			}
			if sent := c.take(); len(sent) > 0 {
				t.Errorf("it goes to %v", sent[0].to)
			}
			c.text("for nobody that we know")
			if sent := c.take(); len(sent) != 1 || sent[0].to.String() != "192.0.2.10:5060" {
				t.Errorf("%v", sent)
			}
			c.SetUsers([]sms.SIPUser{al("*")}) // who may send as anybody is not everybody
			c.text("for nobody that we know")
			if sent := c.take(); len(sent) != 1 || sent[0].to.String() != "192.0.2.10:5060" {
				t.Errorf("%v", sent)
			}
		})
	})
	t.Run("by a proxy", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newRegistrarClient(t)
			c.cfg.Trusted = []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")}
			c.phone(t, 5071, "<sip:1@10.0.0.7>", "Path: <sip:edge@192.0.2.20:5080;lr>,<sip:192.0.2.21;lr>")
			c.toAl("hi")
			sent := c.take()
			if len(sent) != 1 || sent[0].to.String() != "192.0.2.20:5080" || !strings.HasPrefix(sent[0].b, "MESSAGE sip:1@10.0.0.7 SIP/2.0\r\n") ||
				field(sent[0].b, "Route") != "<sip:edge@192.0.2.20:5080;lr>,<sip:192.0.2.21;lr>" {
				t.Errorf("%v", sent)
			}
		})
	})
	t.Run("a report", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newRegistrarClient(t)
			c.phone(t, 5071, "<sip:1@h>")
			c.Report(Report{
				Notify: &sms.Notify{URI: "sip:al@example.com", MessageID: "m1", Positive: true}, From: sms.ParseAddress("100"), To: sms.ParseAddress("+491"),
				State: sms.StateDelivered,
			}, c.told)
			synctest.Wait()
			if sent := c.take(); len(sent) != 1 || !strings.HasPrefix(sent[0].b, "MESSAGE sip:1@h SIP/2.0\r\n") || !strings.Contains(sent[0].b, "<delivered/>") {
				t.Errorf("%v", sent)
			}
		})
	})
	t.Run("a flow that is dead", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newRegistrarClient(t)
			ours, theirs := net.Pipe()
			s := newStream(c.Endpoint, namedConn{ours}, func() {})
			c.start(s)
			phone := &handset{t: t, conn: theirs, r: bufio.NewReader(theirs), via: "TCP"}
			if answer := phone.register(2); !strings.HasPrefix(answer, "SIP/2.0 200") {
				t.Fatal(answer)
			}
			for _, alive := range []bool{true, false} {
				c.toAl("hi")
				phone.read()
				if alive {
					phone.write("\r\n\r\n")
					if b, _ := phone.r.Peek(2); string(b) != "\r\n" {
						t.Errorf("a ping is answered by %q", b)
					}
					_, _ = phone.r.Discard(2)
				}
				pass(32 * time.Second)
				if o := c.outcome(t); o.Fate != sms.Unknown {
					t.Errorf("%+v", o)
				}
				if n := len(c.Contacts("al")); (n == 1) != alive {
					t.Errorf("%d contacts", n)
				}
			}
			if b, err := phone.r.ReadByte(); err == nil {
				t.Errorf("the connection is not closed, but has %q", b)
			}
		})
	})
	t.Run("too large for UDP", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newRegistrarClient(t)
			c.phone(t, 5071, "<sip:1@h>")
			c.toAl(strings.Repeat("x", 1500))
			if o := c.outcome(t); o.Fate != sms.NotSent || o.Severity != sms.Temporary || !strings.Contains(o.Detail, "sip.udp_safe") || len(c.take()) > 0 {
				t.Errorf("%+v", o)
			}
		})
	})
}

// TestOneAtATime: RFC 3428, 8.
func TestOneAtATime(t *testing.T) {
	t.Run("to contacts", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newRegistrarClient(t)
			c.phone(t, 5071, "<sip:1@h>")
			for i := range 4 {
				c.toAl(fmt.Sprintf("text %d", i))
			}
			for i := range 3 {
				sent := c.take()
				if len(sent) != 1 || !strings.HasSuffix(sent[0].b, fmt.Sprintf("text %d", i)) {
					t.Fatalf("%d: %v", i, sent)
				}
				if n := c.Stats().InFlight; n != 4-i {
					t.Errorf("%d in flight", n)
				}
				c.reply(sent[0], 200+100*(i%2*2)) // a refusal is an answer, too
				c.outcome(t)
			}
			c.toAl("text 4")
			// What is behind one that got no answer need not wait as long.
			pass(32 * time.Second)
			all := c.all()
			if len(all) != 2 || all[0].Fate != sms.NotSent && all[1].Fate != sms.NotSent || all[0].Fate != sms.Unknown && all[1].Fate != sms.Unknown {
				t.Errorf("%+v", all)
			}
			if n := c.Stats().InFlight; n != 0 {
				t.Errorf("%d in flight", n)
			}
			c.take()
			c.toAl("text 5")
			if sent := c.take(); len(sent) != 1 {
				t.Errorf("%v", sent)
			}
		})
	})
	t.Run("to a next hop", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newClientWith(t, Config{OutboundURI: []string{hopA}, OneAtATime: true, MaxPending: 3})
			for i := range 5 {
				c.text(fmt.Sprintf("text %d", i))
			}
			all := c.all()
			if len(all) != 2 || all[0].Cause != sms.CauseQueueFull || all[1].Cause != sms.CauseQueueFull {
				t.Errorf("beyond max_pending: %+v", all)
			}
			c.Send(&sms.Message{From: sms.ParseAddress("1"), To: sms.ParseAddress("2"), Text: "x"}, c.told)
			for _, o := range c.all() {
				if o.Cause != sms.CauseQueueFull {
					t.Errorf("%+v", o)
				}
			}
			for i := range 3 {
				sent := c.take()
				if len(sent) != 1 || !strings.HasSuffix(sent[0].b, fmt.Sprintf("text %d", i)) {
					t.Fatalf("%d: %v", i, sent)
				}
				c.reply(sent[0], 202)
				c.outcome(t)
			}
		})
	})
	t.Run("for no longer than Timer F", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newRegistrarClient(t)
			c.phone(t, 5071, "<sip:1@h>;q=0.9")
			c.phone(t, 5072, "<sip:2@h>;q=0.1")
			c.toAl("text 0")
			for i := range 3 { // the first waits for one contact, and then for the other
				pass(8 * time.Second)
				c.toAl(fmt.Sprintf("text %d", i+1))
			}
			pass(15 * time.Second)
			if all := c.all(); len(all) > 0 {
				t.Errorf("before its time: %+v", all)
			}
			pass(time.Second)
			all := c.all()
			if len(all) != 3 {
				t.Fatalf("%+v", all)
			}
			for _, o := range all {
				if o.Fate != sms.NotSent || o.Severity != sms.Temporary || o.Cause != sms.CauseNotReady || !strings.Contains(o.Detail, "took longer than 32s") {
					t.Errorf("%+v", o)
				}
			}
			sent := c.take()
			c.toAl("text 4")
			c.reply(sent[len(sent)-1], 200)
			c.outcome(t)
			c.reply(c.take()[0], 200) // and then it is as if nothing had been
			c.outcome(t)
		})
	})
	t.Run("one that waited has a place", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newRegistrarClient(t)
			c.cfg.MaxPending = 3
			c.phone(t, 5071, "<sip:1@h>")
			c.phone(t, 5072, "<sip:2@h>")
			c.toAl("both telephones")
			c.toAl("and again")
			c.reply(c.take()[0], 200) // the other has not answered
			c.outcome(t)
			if sent := c.take(); len(sent) != 2 {
				t.Errorf("%d requests, outcomes %+v", len(sent), c.all())
			}
		})
	})
	t.Run("trunk", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newClient(t, hopA)
			c.text("a")
			c.text("b")
			if sent := c.take(); len(sent) != 2 {
				t.Errorf("%v", sent)
			}
		})
	})
	t.Run("closing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newClientWith(t, Config{OutboundURI: []string{hopA}, OneAtATime: true})
			for range 1000 {
				c.text("x")
			}
			closed := make(chan error, 1)
			go func() { closed <- c.Endpoint.Close(t.Context()) }()
			synctest.Wait()
			c.reply(c.take()[0], 202)
			if err := <-closed; err != nil {
				t.Error(err)
			}
			accepted, refused := 0, 0
			for _, o := range c.all() {
				switch {
				case o.Fate == sms.Accepted:
					accepted++
				case o.Fate == sms.NotSent && o.Cause == sms.CauseShutdown, o.Fate == sms.NotSent && o.Cause == sms.CauseNotReady:
					refused++
				}
			}
			if accepted != 1 || refused != 999 {
				t.Errorf("%d accepted, %d refused", accepted, refused)
			}
		})
	})
}

// handset is a user agent on a real connection.
type handset struct {
	t    *testing.T
	conn net.Conn
	ws   *websocket.Conn
	r    *bufio.Reader
	via  string
}

// dialHandset connects to the listener of a transport.
func dialHandset(t *testing.T, e *Endpoint, by transport) *handset {
	t.Helper()
	address := e.Addrs()[by].String()
	h := &handset{t: t, via: strings.TrimSpace(viaNames[by])}
	insecure := &tls.Config{InsecureSkipVerify: true}
	var err error
	switch by {
	case byUDP, byTCP:
		h.conn, err = net.Dial(by.String(), address)
	case byTLS:
		h.conn, err = tls.Dial("tcp", address, insecure)
	default:
		d := websocket.Dialer{Subprotocols: []string{"sip"}, TLSClientConfig: insecure}
		if h.ws, _, err = d.Dial(by.String()+"://"+address+"/", nil); err == nil {
			h.conn = h.ws.NetConn()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.conn.Close() })
	_ = h.conn.SetDeadline(time.Now().Add(10 * time.Second))
	h.r = bufio.NewReaderSize(h.conn, 64<<10)
	return h
}

func (h *handset) write(s string) {
	h.t.Helper()
	var err error
	if h.ws != nil {
		err = h.ws.WriteMessage(websocket.TextMessage, []byte(s))
	} else {
		_, err = h.conn.Write([]byte(s))
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// read reads the head of one message, and its body where that is text.
func (h *handset) read() string {
	h.t.Helper()
	if h.ws != nil {
		_, b, err := h.ws.ReadMessage()
		if err != nil {
			h.t.Fatal(err)
		}
		return string(b)
	}
	head := readHead(h.t, h.r)
	var n int
	_, _ = fmt.Sscan(field(head, "Content-Length"), &n)
	body := make([]byte, n)
	for i := range body {
		body[i], _ = h.r.ReadByte()
	}
	return head + string(body)
}

func (h *handset) request(seq int, changes ...string) string {
	return aRegister(append(changes, "SIP/2.0/UDP 127.0.0.1:40000", "SIP/2.0/"+h.via+" x.invalid;rport", "r1@", h.via+"@", "z9hG4bKr1", fmt.Sprintf("z9hG4bK%s%d", h.via, seq),
		"CSeq: 1", fmt.Sprintf("CSeq: %d", seq), "sip:al@127.0.0.1:40000", "sip:"+h.via+"@x.invalid")...)
}

func (h *handset) register(seq int, changes ...string) string {
	h.t.Helper()
	h.write(h.request(seq, changes...))
	h.write(withCredentials(h.t, h.request(seq, changes...), h.read(), "al"))
	return h.read()
}

// TestHandsets: who registered by a connection is reached by it, and by no other way.
func TestHandsets(t *testing.T) {
	e := openAll(t, Config{Domain: "example.com", Registrar: true, IdleTimeout: 300 * time.Millisecond}, nil)
	e.SetUsers([]sms.SIPUser{al("100")})
	gone := func(n int) {
		t.Helper()
		for end := time.Now().Add(5 * time.Second); len(e.Contacts("al")) != n; {
			if time.Now().After(end) {
				t.Fatalf("%d contacts: %v", n, e.Contacts("al"))
			}
			time.Sleep(time.Millisecond)
		}
	}
	for by := byUDP; by < transports; by++ {
		t.Run(by.String(), func(t *testing.T) {
			phone := dialHandset(t, e, by)
			if answer := phone.register(2); !strings.HasPrefix(answer, "SIP/2.0 200") {
				t.Fatal(answer)
			}
			if by != byUDP { // longer than the idle time: it stays open
				time.Sleep(400 * time.Millisecond)
			}
			outcome := make(chan sms.Outcome, 1)
			e.Send(&sms.Message{From: sms.ParseAddress("+491"), To: sms.ParseAddress("100"), Text: "grüß dich"}, func(o sms.Outcome) { outcome <- o })
			request := phone.read()
			if !strings.HasPrefix(request, "MESSAGE sip:"+phone.via+"@x.invalid SIP/2.0\r\nVia: SIP/2.0/"+phone.via+" 127.0.0.1") || !strings.HasSuffix(request, "grüß dich") {
				t.Errorf("got\n%s", request)
			}
			via := strings.Replace(request[strings.Index(request, "Via:"):strings.Index(request, "\r\n\r\n")+4], "Content-Length: 11", "Content-Length: 0", 1)
			phone.write("SIP/2.0 200 OK\r\n" + via)
			if o := <-outcome; o.Fate != sms.Accepted || o.Status != 200 {
				t.Errorf("%+v", o)
			}
			if by == byUDP {
				phone.register(3, "Contact: <sip:al@127.0.0.1:40000>", "Contact: *\r\nExpires: 0")
				gone(0)
				return
			}
			// It goes while a message is on its way.
			e.Send(&sms.Message{From: sms.ParseAddress("+491"), To: sms.ParseAddress("100"), Text: "and again"}, func(o sms.Outcome) { outcome <- o })
			phone.read()
			_ = phone.conn.Close()
			if o := <-outcome; o.Fate != sms.Unknown {
				t.Errorf("%+v", o)
			}
			gone(0)
		})
	}
}

// TestBackToTCP: a contact that is where it says it is stays one when its connection is gone; it is connected to.
func TestBackToTCP(t *testing.T) {
	e := open(t, Config{Domain: "example.com", Registrar: true}, nil)
	e.SetUsers([]sms.SIPUser{al("100")})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, r := dialTCP(t, e)
	phone := &handset{t: t, conn: conn, r: r, via: "TCP"}
	if answer := phone.register(2, "sip:al@127.0.0.1:40000", "sip:al@"+l.Addr().String()+";transport=tcp"); !strings.HasPrefix(answer, "SIP/2.0 200") {
		t.Fatal(answer)
	}
	_ = conn.Close()
	outcome := make(chan sms.Outcome, 1)
	for {
		e.Send(&sms.Message{From: sms.ParseAddress("+491"), To: sms.ParseAddress("100"), Text: "hi"}, func(o sms.Outcome) { outcome <- o })
		_ = l.(*net.TCPListener).SetDeadline(time.Now().Add(100 * time.Millisecond))
		if conn, err = l.Accept(); err == nil {
			break
		}
		<-outcome // it went by the connection that is being closed
	}
	defer conn.Close()
	head := readHead(t, bufio.NewReader(conn))
	fmt.Fprintf(conn, "SIP/2.0 200 OK\r\n%s", strings.Replace(head[strings.Index(head, "Via:"):], "Content-Length: 2", "Content-Length: 0", 1))
	if o := <-outcome; o.Fate != sms.Accepted || len(e.Contacts("al")) != 1 {
		t.Errorf("%+v", o)
	}
}

// namedConn is a pipe that says that it is a TCP connection.
type namedConn struct{ net.Conn }

func (namedConn) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5060} }
func (namedConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 40000} }
