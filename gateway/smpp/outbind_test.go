package smpp

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sipsmpp/gateway/guard"
	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

func outbindRow(change ...func(*sms.ConnectionConfig)) sms.ConnectionConfig {
	return row(append([]func(*sms.ConnectionConfig){func(c *sms.ConnectionConfig) { c.SessionType = sms.Outbind }}, change...)...)
}

// binds reads our outbind and binds after it.
func (p *peer) bindsAfterOutbind(command wire.CommandID, bind wire.Bind, status wire.Status) {
	p.t.Helper()
	_, body := p.read(wire.CmdOutbind)
	if o := body.(*wire.Outbind); o.SystemID != "gateway" || o.Password != "a long password" {
		p.t.Errorf("%+v", *o)
	}
	p.send(command, 0, 1, &bind)
	p.want(command.Resp(), 1, status)
	synctest.Wait()
}

var gatewayBind = wire.Bind{SystemID: "gateway", Password: "a long password", InterfaceVersion: 0x34}

func TestOutbind(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(outbindRow())
		p := w.net.next()
		if s := w.status(); s.State != ConnectionDown || s.Binds[0].State != BindBinding || s.Binds[0].Mode != "outbind" {
			t.Errorf("%+v", s)
		}
		p.bindsAfterOutbind(wire.CmdBindReceiver, gatewayBind, wire.StatusOK)
		if s := w.status(); s.State != ConnectionBound || s.Binds[0].Mode != "receiver" || len(w.handler.ups) != 1 || w.handler.ups[0].Mode != "receiver" {
			t.Errorf("%+v, %+v", s, w.handler.ups)
		}

		i := w.send("grüße", func(m *sms.Message) { m.Receipt = sms.ReceiptFinal; m.Expires = time.Now().Add(time.Hour) })
		h, body := p.read(wire.CmdDeliverSM)
		if sm := body.(*wire.SM); sm.Source.Value != "100" || sm.Dest.Value != "4915112345678" || string(sm.ShortMessage) != "gr\x7e\x1ee" ||
			sm.RegisteredDelivery != 0 || sm.ValidityPeriod != "" || sm.ESMClass != 0 {
			t.Errorf("%+v", sm)
		}
		p.send(wire.CmdDeliverSMResp, 0, h.Sequence, &wire.SMResp{MessageID: "unused"})
		if o := w.outcome(i); o.Fate != sms.Accepted || o.Egress != sms.Connection("acme") || o.SMSCIDs != nil || o.Receipt != sms.ReceiptNone {
			t.Errorf("%+v", o)
		}

		p.send(wire.CmdSubmitSM, 0, 2, shopSM("by a receiver"))
		p.want(wire.CmdSubmitSMResp, 2, wire.StatusInvalidBindStatus)
		p.send(wire.CmdBindReceiver, 0, 3, &gatewayBind)
		p.want(wire.CmdBindReceiverResp, 3, wire.StatusAlreadyBound)
		time.Sleep(29 * time.Second)
		h, _ = p.read(wire.CmdEnquireLink)
		p.send(wire.CmdEnquireLinkResp, 0, h.Sequence, nil)

		// The peer ends it; we connect and say outbind again.
		p.send(wire.CmdUnbind, 0, 4, nil)
		p.want(wire.CmdUnbindResp, 4, wire.StatusOK)
		p.closed()
		if s := w.status(); s.Binds[0].State != BindWaiting || s.Binds[0].RetryAt.IsZero() || s.Binds[0].Mode != "outbind" {
			t.Errorf("%+v", s.Binds)
		}
		p = w.net.next()
		p.bindsAfterOutbind(wire.CmdBindTransceiver, gatewayBind, wire.StatusOK)
		if s := w.status(); s.Binds[0].Mode != "transceiver" {
			t.Errorf("%+v", s.Binds)
		}
		p.send(wire.CmdSubmitSM, 0, 2, shopSM("what it has no account for"))
		p.want(wire.CmdSubmitSMResp, 2, wire.StatusInvalidBindStatus)

		// A long message, all of it by one bind.
		i = w.send(strings.Repeat("x", 161))
		for range 2 {
			h, body = p.read(wire.CmdDeliverSM)
			if sm := body.(*wire.SM); sm.ESMClass != wire.ESMClassUDHI {
				t.Errorf("%+v", sm)
			}
			p.send(wire.CmdDeliverSMResp, 0, h.Sequence, &wire.SMResp{})
		}
		if o := w.outcome(i); o.Fate != sms.Accepted || o.Segments != 2 {
			t.Errorf("%+v", o)
		}
		w.apply()
		p.unbinds()
	})
}

func TestOutbindToAPeerOfAnEarlierVersion(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(outbindRow())
		p := w.net.next()
		p.read(wire.CmdOutbind)
		old := gatewayBind
		old.InterfaceVersion = 0x33
		p.send(wire.CmdBindReceiver, 0, 1, &old)
		if _, body := p.read(wire.CmdBindReceiverResp); len(body.(*wire.BindResp).TLVs) != 0 {
			t.Error("it is told a TLV")
		}
		w.send("x", func(m *sms.Message) { m.TLVs = []sms.TLV{{Tag: 0x1400, Value: []byte{1}}} })
		if _, body := p.read(wire.CmdDeliverSM); len(body.(*wire.SM).TLVs) != 0 {
			t.Error("it is sent a TLV")
		}
		p.conn.Close()
	})
}

// Who answers our outbind wrongly is told so, and not called again soon.
func TestOutbindAnsweredWrongly(t *testing.T) {
	for name, c := range map[string]struct {
		command wire.CommandID
		bind    wire.Bind
		status  wire.Status
		reason  error
		soonest time.Duration
	}{
		"system_id":   {wire.CmdBindReceiver, wire.Bind{SystemID: "other", Password: "a long password"}, wire.StatusInvalidSystemID, errPeerCredentials, firstRefuse * 3 / 4},
		"password":    {wire.CmdBindReceiver, wire.Bind{SystemID: "gateway", Password: "guess"}, wire.StatusInvalidPassword, errPeerCredentials, firstRefuse * 3 / 4},
		"transmitter": {wire.CmdBindTransmitter, gatewayBind, wire.StatusBindFailed, errPeerTransmitter, firstRefuse * 3 / 4},
	} {
		inTime(t, func(t *testing.T, w *world) {
			w.apply(outbindRow())
			p := w.net.next()
			p.bindsAfterOutbind(c.command, c.bind, c.status)
			p.closed()
			b := w.status().Binds[0]
			if b.LastError != c.reason.Error() || time.Until(b.RetryAt) < c.soonest || len(w.handler.ups) != 0 {
				t.Errorf("%s: %+v", name, b)
			}
			i := w.send("x")
			if o := w.outcome(i); o.Fate != sms.NotSent || o.Detail != c.reason.Error() {
				t.Errorf("%s: %+v", name, o)
			}
		})
	}
	inTime(t, func(t *testing.T, w *world) { // and who does not answer is hung up on
		w.apply(outbindRow())
		start := time.Now()
		p := w.net.next()
		p.read(wire.CmdOutbind)
		p.send(wire.CmdEnquireLink, 0, 1, nil)
		p.want(wire.CmdEnquireLinkResp, 1, wire.StatusOK)
		p.closed()
		if b := w.status().Binds[0]; time.Since(start) != 10*time.Second || b.LastError != errOutbindIgnored.Error() {
			t.Errorf("after %v: %+v", time.Since(start), b)
		}
	})
	inTime(t, func(t *testing.T, w *world) { // a bind that cannot be read
		w.apply(outbindRow())
		p := w.net.next()
		p.read(wire.CmdOutbind)
		p.write([]byte{0, 0, 0, 17, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 'x'})
		if h, _ := p.read(wire.CmdBindReceiverResp); h.Status == wire.StatusOK || h.Sequence != 9 {
			t.Errorf("%+v", h)
		}
		p.closed()
	})
}

// remote is a socket that comes from elsewhere.
type remote struct {
	net.Conn
	from string
}

func (r remote) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(r.from))
}

// askedWorld has a listener, and connections whose peers ask for their binds there.
type askedWorld struct {
	*world
	smsc *smscWorld
}

func inTimeAsked(t *testing.T, test func(t *testing.T, w *askedWorld)) {
	t.Helper()
	inTime(t, func(t *testing.T, w *world) {
		a := &askedWorld{w, newSMSCWorld(t, nil)}
		a.smsc.accounts.config.Connections, w.conns.accounts = w.conns, a.smsc.accounts
		defer a.smsc.close()
		test(t, a)
	})
}

// says opens a socket from an address and says outbind.
func (w *askedWorld) says(from, systemID, password string) *peer {
	ours, theirs := net.Pipe()
	w.smsc.accounts.accept(remote{ours, from + ":4711"}, false)
	p := &peer{t: w.t, conn: theirs, r: wire.NewReader(theirs, 0)}
	p.send(wire.CmdOutbind, 0, 1, &wire.Outbind{SystemID: systemID, Password: password})
	return p
}

func (w *askedWorld) unbound() (open, unbound int) {
	synctest.Wait()
	w.smsc.accounts.mu.Lock()
	defer w.smsc.accounts.mu.Unlock()
	return len(w.smsc.accounts.open), len(w.smsc.accounts.unbound)
}

func askedRow(change ...func(*sms.ConnectionConfig)) sms.ConnectionConfig {
	return row(append([]func(*sms.ConnectionConfig){func(c *sms.ConnectionConfig) {
		c.SessionType, c.ByOutbind = sms.Receiver, true
	}}, change...)...)
}

func TestPeerSaysOutbind(t *testing.T) {
	inTimeAsked(t, func(t *testing.T, w *askedWorld) {
		w.apply(askedRow())
		if s := w.status(); s.State != ConnectionDown || s.Binds[0].State != BindWaiting || !s.Binds[0].RetryAt.IsZero() || w.net.dialed() != 0 {
			t.Errorf("%+v, %d dials", s, w.net.dialed())
		}
		for round := 1; round <= 2; round++ {
			p := w.says("192.0.2.1", "gateway", "a long password")
			h, body := p.read(wire.CmdBindReceiver)
			if b := body.(*wire.Bind); b.SystemID != "gateway" || b.Password != "a long password" || b.InterfaceVersion != 0x34 {
				t.Errorf("%+v", *b)
			}
			if open, unbound := w.unbound(); open != 0 || unbound != 0 {
				t.Errorf("the listener still counts it: %d, %d", open, unbound)
			}
			p.send(wire.CmdEnquireLink, 0, 7, nil)
			p.want(wire.CmdEnquireLinkResp, 7, wire.StatusOK)
			p.send(wire.CmdBindReceiverResp, 0, h.Sequence, &wire.BindResp{SystemID: "smsc"})
			s := w.status()
			if b := s.Binds[0]; s.State != ConnectionBound || b.ID != "acme#1" || b.Mode != "receiver" || b.Remote != "192.0.2.1:4711" {
				t.Errorf("%+v", s)
			}
			if len(w.handler.ups) != round || w.handler.ups[round-1].Owner != sms.Connection("acme") {
				t.Errorf("%+v", w.handler.ups)
			}
			// What comes by it comes from the connection.
			p.send(wire.CmdDeliverSM, 0, 8, shopSM("hello"))
			p.want(wire.CmdDeliverSMResp, 8, wire.StatusOK)
			if m := w.handler.messages[round-1]; m.Ingress != sms.Connection("acme") || m.Text != "hello" || m.Peer != "192.0.2.1:4711" {
				t.Errorf("%+v", m)
			}
			receipt := shopSM("id:4711 stat:DELIVRD")
			receipt.ESMClass = wire.ESMClassReceipt
			p.send(wire.CmdDeliverSM, 0, 9, receipt)
			p.want(wire.CmdDeliverSMResp, 9, wire.StatusOK)
			if len(w.handler.receipts) != round || w.handler.receipts[round-1].SMSCID != "4711" {
				t.Errorf("%+v", w.handler.receipts)
			}
			p.send(wire.CmdSubmitSM, 0, 10, shopSM("an SMSC does not submit"))
			p.want(wire.CmdSubmitSMResp, 10, wire.StatusInvalidBindStatus)
			i := w.send("x")
			w.wantFate(i, sms.NotSent, sms.Configuration, sms.CauseNoRoute)
			p.conn.Close()
			synctest.Wait()
			if s := w.status(); len(w.handler.downs) != round || s.Binds[0].State != BindWaiting {
				t.Errorf("%v, %+v", w.handler.downs, s)
			}
		}
		// A reload ends the bind, and the new one may be asked for.
		p := w.says("192.0.2.1", "gateway", "a long password")
		p.yes()
		synctest.Wait()
		w.apply(askedRow(func(c *sms.ConnectionConfig) { c.Window = 5 }))
		p.unbinds()
		synctest.Wait()
		p = w.says("192.0.2.1", "gateway", "a long password")
		p.yes()
		if s := w.status(); s.State != ConnectionBound || s.Binds[0].ID != "acme#2" {
			t.Errorf("%+v", s)
		}
		// Who is refused the bind is hung up on, as is a peer that answers the bind never.
		w.apply(askedRow(func(c *sms.ConnectionConfig) { c.Window = 6 }))
		p.unbinds()
		synctest.Wait()
		p = w.says("192.0.2.1", "gateway", "a long password")
		h, _ := p.read(wire.CmdBindReceiver)
		p.send(wire.CmdBindReceiverResp, wire.StatusBindFailed, h.Sequence, nil)
		p.closed()
		if b := w.status().Binds[0]; b.State != BindWaiting || !strings.Contains(b.LastError, "refused the bind") || !b.RetryAt.IsZero() {
			t.Errorf("%+v", b)
		}
		p = w.says("192.0.2.1", "gateway", "a long password")
		p.read(wire.CmdBindReceiver)
		p.closed()
		if b := w.status().Binds[0]; b.LastError != errBindTimeout.Error() {
			t.Errorf("%+v", b)
		}
	})
}

func TestOutbindIsRefused(t *testing.T) {
	inTimeAsked(t, func(t *testing.T, w *askedWorld) {
		w.conns.lookup = func(_ context.Context, _, host string) ([]netip.Addr, error) {
			if host == "smsc.example" {
				return []netip.Addr{netip.MustParseAddr("192.0.2.9")}, nil
			}
			return nil, errors.New("no such host")
		}
		named := func(name, host string, change func(*sms.ConnectionConfig)) sms.ConnectionConfig {
			return askedRow(func(c *sms.ConnectionConfig) {
				if c.Name, c.SystemID, c.Host = name, name, host; change != nil {
					change(c)
				}
			})
		}
		w.apply(
			askedRow(), named("anywhere", "0.0.0.0", nil), named("host", "smsc.example", nil), named("lost", "lost.example", nil),
			named("secure", "0.0.0.0", func(c *sms.ConnectionConfig) { c.TLS = true }),
			named("off", "0.0.0.0", func(c *sms.ConnectionConfig) { c.Enabled = false }),
			named("called", "0.0.0.0", func(c *sms.ConnectionConfig) { c.ByOutbind = false }),
		)
		w.net.next().accept() // of `called`, which we reach
		for i, c := range []struct {
			from, systemID, password string
			status                   wire.Status
			reason                   string // empty: it gets our bind
		}{
			{"192.0.2.1", "nobody", "x", wire.StatusInvalidSystemID, "no enabled connection"},
			{"192.0.2.1", "off", "a long password", wire.StatusInvalidSystemID, "no enabled connection"},
			{"192.0.2.1", "called", "a long password", wire.StatusInvalidSystemID, "no enabled connection"},
			{"192.0.2.1", "gateway", "guess", wire.StatusInvalidPassword, "wrong password"},
			{"192.0.2.2", "gateway", "a long password", wire.StatusBindFailed, "is not the ip of connection acme"},
			{"192.0.2.2", "lost", "a long password", wire.StatusBindFailed, "is not the ip of connection lost"},
			{"192.0.2.2", "host", "a long password", wire.StatusBindFailed, "is not the ip of connection host"},
			{"192.0.2.2", "secure", "a long password", wire.StatusBindFailed, "without TLS"},
			{"192.0.2.9", "host", "a long password", 0, ""},
			{"198.51.100.1", "anywhere", "a long password", 0, ""},
			{"198.51.100.1", "anywhere", "a long password", wire.StatusBindFailed, "none of its 1 binds is free"},
		} {
			before := len(w.smsc.handler.refused)
			p := w.says(c.from, c.systemID, c.password)
			if c.reason == "" {
				p.yes()
				synctest.Wait()
				continue
			}
			p.closed()
			synctest.Wait()
			if got := w.smsc.handler.refused[before:]; len(got) != 1 || got[0].Status != c.status || !strings.Contains(got[0].Reason, c.reason) ||
				got[0].SystemID != c.systemID {
				t.Errorf("%d: %+v", i, got)
			}
		}
		// Guessing is slowed, for outbind as for bind.
		for range guard.FreeFailures {
			w.says("203.0.113.1", "gateway", "guess").closed()
		}
		p := w.says("203.0.113.1", "gateway", "a long password")
		p.closed()
		time.Sleep(time.Minute)
		synctest.Wait()
		w.says("203.0.113.1", "gateway", "guess").closed()
		synctest.Wait()
		if last := w.smsc.handler.refused[len(w.smsc.handler.refused)-1]; last.Count < 3 {
			t.Errorf("%+v", last)
		}
		// An outbind that cannot be read, and one after another on a socket.
		ours, theirs := net.Pipe()
		w.smsc.accounts.accept(remote{ours, "192.0.2.77:1"}, false)
		p = &peer{t: t, conn: theirs, r: wire.NewReader(theirs, 0)}
		p.write([]byte{0, 0, 0, 17, 0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 9, 'x'})
		p.closed()
	})
}

// The gateway goes down while a peer's outbind is under way, and while a bind that it asked for stands.
func TestShutdownWithOutbind(t *testing.T) {
	for _, bound := range []bool{false, true} {
		inTimeAsked(t, func(t *testing.T, w *askedWorld) {
			w.apply(askedRow())
			synctest.Wait()
			p := w.says("192.0.2.1", "gateway", "a long password")
			if bound {
				p.yes()
			} else {
				p.read(wire.CmdBindReceiver)
			}
			synctest.Wait()
			start := time.Now()
			w.smsc.close() // does not wait for what is no longer its own
			if waited := time.Since(start); waited != 0 {
				t.Errorf("after %v", waited)
			}
			go w.conns.Close(t.Context())
			if bound {
				p.unbinds()
			} else {
				p.closed()
			}
		})
	}
}

// Who opened the socket to us as an ESME is none when it says outbind late: it is bound, and outbind is not for it.
func TestOutbindAfterABind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSMSCWorld(t, nil)
		defer w.close()
		w.accounts.config.Connections = NewConnections(&recorder{}, slog.New(slog.DiscardHandler))
		p := w.bind(t, wire.CmdBindTransceiver)
		p.send(wire.CmdOutbind, 0, 2, &wire.Outbind{SystemID: "shop", Password: "secret"})
		p.send(wire.CmdEnquireLink, 0, 3, nil)
		p.want(wire.CmdEnquireLinkResp, 3, wire.StatusOK)
		p.conn.Close()
	})
}

// A peer that we call may bind as an account, and then has all that an account has.
func TestOutbindToAnAccount(t *testing.T) {
	inTimeAsked(t, func(t *testing.T, w *askedWorld) {
		shop := outbindRow(func(c *sms.ConnectionConfig) { c.Account = "shop" })
		w.apply(shop)
		i := w.send("not by the connection")
		if o := w.outcome(i); o.Fate != sms.NotSent || !strings.Contains(o.Detail, "account:shop") {
			t.Errorf("%+v", o)
		}
		p := w.net.next()
		p.bindsAfterOutbind(wire.CmdBindTransceiver, wire.Bind{SystemID: "shop", Password: "secret", InterfaceVersion: 0x34}, wire.StatusOK)
		s := w.status()
		if s.State != ConnectionBound || s.Binds[0].Mode != "transceiver" || len(w.handler.ups) != 1 {
			t.Errorf("%+v", s)
		}
		if ups := w.smsc.handler.ups; len(ups) != 1 || ups[0].Owner != sms.Account("shop") || ups[0].Mode != "transceiver" {
			t.Errorf("%+v", ups)
		}
		p.send(wire.CmdSubmitSM, 0, 2, shopSM("as any account does"))
		p.want(wire.CmdSubmitSMResp, 2, wire.StatusOK)
		if m := w.smsc.handler.messages[0]; m.Ingress != sms.Account("shop") {
			t.Errorf("%+v", m)
		}
		n := w.smsc.deliver("for the account")
		h, _ := p.read(wire.CmdDeliverSM)
		p.send(wire.CmdDeliverSMResp, 0, h.Sequence, &wire.SMResp{})
		if o := w.smsc.outcome(n); o.Fate != sms.Accepted || o.Egress != sms.Account("shop") {
			t.Errorf("%+v", o)
		}

		// The peer goes; we call again, and it binds with what is not the account's.
		p.conn.Close()
		if s := w.status(); s.State != ConnectionDown || len(w.handler.downs) != 1 || len(w.smsc.handler.downs) != 1 {
			t.Errorf("%+v, %v, %v", s, w.handler.downs, w.smsc.handler.downs)
		}
		for _, c := range []struct {
			systemID, password string
			status             wire.Status
		}{{"other", "secret", wire.StatusInvalidSystemID}, {"shop", "guess", wire.StatusInvalidPassword}} {
			p = w.net.next()
			p.bindsAfterOutbind(wire.CmdBindReceiver, wire.Bind{SystemID: c.systemID, Password: c.password}, c.status)
			p.closed()
			if b := w.status().Binds[0]; time.Until(b.RetryAt) < firstRefuse*3/4 || b.LastError != errRefused.Error() {
				t.Errorf("%+v", b)
			}
		}
		if open, unbound := w.unbound(); open != 0 || unbound != 0 {
			t.Errorf("%d, %d", open, unbound)
		}

		// A reload of the connection lets the bind finish what is in flight.
		p = w.net.next()
		p.bindsAfterOutbind(wire.CmdBindReceiver, wire.Bind{SystemID: "shop", Password: "secret"}, wire.StatusOK)
		n = w.smsc.deliver("in flight")
		h, _ = p.read(wire.CmdDeliverSM)
		w.apply()
		synctest.Wait()
		if o := w.smsc.outcome(w.smsc.deliver("too late")); o.Fate != sms.NotSent {
			t.Errorf("%+v", o)
		}
		p.send(wire.CmdDeliverSMResp, 0, h.Sequence, &wire.SMResp{})
		p.unbinds()
		if o := w.smsc.outcome(n); o.Fate != sms.Accepted {
			t.Errorf("%+v", o)
		}
	})
}

// The accounts go down before the connections, and take the binds that we called with them.
func TestShutdownWithAnAccountThatWasCalled(t *testing.T) {
	inTimeAsked(t, func(t *testing.T, w *askedWorld) {
		w.apply(outbindRow(func(c *sms.ConnectionConfig) { c.Account = "shop" }))
		p := w.net.next()
		p.bindsAfterOutbind(wire.CmdBindReceiver, wire.Bind{SystemID: "shop", Password: "secret"}, wire.StatusOK)
		go w.smsc.close()
		p.unbinds()
		synctest.Wait()
		time.Sleep(2 * time.Second) // it is called again, in vain
		synctest.Wait()
		if b := w.status().Binds[0]; b.State != BindWaiting {
			t.Errorf("%+v", b)
		}
	})
}
