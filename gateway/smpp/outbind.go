package smpp

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sipsmpp/gateway/smpp/wire"
)

// Outbind turns the roles of a socket around: the SMSC opens it and says outbind, and the ESME binds on it as receiver (SMPP 3.4,
// 2.2.1 and 4.1.7). A connection of session_type 4 is the one way: we open the socket, and are the SMSC of who binds there. A
// receiver with options.outbind is the other: who comes to our listener and says outbind gets our bind.

// Why such sessions end, beside what ends any.
var (
	errOutbindIgnored  = errors.New("the peer did not bind in time after our outbind")
	errPeerTransmitter = errors.New("the peer bound as transmitter after our outbind, which is for who receives: have it bind as receiver")
	errPeerCredentials = errors.New("the peer bound after our outbind with another system_id or password than the row's: have it use those")
)

// waitsForOutbind is what a bind shows that has not been asked for yet.
const waitsForOutbind = "waits for the peer's outbind, by smpp.listen"

// lookupTimeout is how long the look-up of a host name may take, of a row that says from where its outbind comes.
const lookupTimeout = 5 * time.Second

// outbind says outbind on a session of a connection of session_type 4, and serves it to its end.
func (b *bind) outbind(s *session) error {
	cfg := &b.connection.cfg
	timer := time.AfterFunc(cfg.ResponseTimeout, func() { s.closeUnbound(errOutbindIgnored) })
	defer timer.Stop()
	if err := s.notify(wire.CmdOutbind, &wire.Outbind{SystemID: cfg.SystemID, Password: cfg.Password}); err != nil {
		s.close(fmt.Errorf("the outbind cannot be sent: %w", err))
	}
	return s.serve()
}

// serveGuest says outbind on a socket that we opened, on which the peer then binds as an account, with all that an account may do, and
// serves the session to its end.
func (b *bind) serveGuest(conn net.Conn) (*session, error) {
	c := b.connection
	if c.all.accounts == nil {
		conn.Close()
		return nil, errors.New("there are no accounts")
	}
	guest := newAccountBind(c.all.accounts, conn)
	guest.called = b
	if !c.all.accounts.take(guest) {
		conn.Close()
		return nil, errStopped
	}
	defer guest.leaveListener()
	c.mu.Lock()
	b.session, b.guest = guest.session, guest
	b.remote, b.local = guest.remote, guest.local
	b.enter(BindBinding)
	c.mu.Unlock()
	defer guest.session.stopWith(b.ctx)()
	if err := guest.session.notify(wire.CmdOutbind, &wire.Outbind{SystemID: c.cfg.SystemID, Password: c.cfg.Password}); err != nil {
		guest.session.close(fmt.Errorf("the outbind cannot be sent: %w", err))
	}
	return guest.session, guest.serve(false)
}

// joined is called when the peer has bound as the account.
func (b *bind) joined(mode string, s *session) {
	b.connection.mu.Lock()
	b.mode = mode
	b.connection.mu.Unlock()
	b.bound(s)
}

// peerBinds takes the bind that follows our outbind. A transceiver is let in, too, and has what a receiver has: what it would
// submit, it submits by an account.
func (b *bind) peerBinds(s *session, h wire.Header, body []byte) {
	c := b.connection
	var req wire.Bind
	if err := req.DecodeBody(body); err != nil {
		s.refuse(h, wire.StatusOf(err), fmt.Errorf("the bind after our outbind does not parse: %w", err))
		return
	}
	switch {
	case h.Command == wire.CmdBindTransmitter:
		s.refuse(h, wire.StatusBindFailed, errPeerTransmitter)
		return
	case req.SystemID != c.cfg.SystemID:
		s.refuse(h, wire.StatusInvalidSystemID, errPeerCredentials)
		return
	case !samePassword(req.Password, c.cfg.Password):
		s.refuse(h, wire.StatusInvalidPassword, errPeerCredentials)
		return
	}
	c.mu.Lock()
	b.mode = modeName(h.Command)
	s.mu.Lock()
	open := s.state == stateOpen
	if open {
		s.admitLocked(h, wire.CmdBindReceiver, c.cfg.SystemID, req.InterfaceVersion)
	}
	s.mu.Unlock()
	c.mu.Unlock()
	if open {
		b.bound(s)
	}
}

func samePassword(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// serveAsked waits for a session on which the peer wants the bind, which begins it, and gives it and its cause when it is over;
// nil: the bind is to end.
func (b *bind) serveAsked() (*session, error) {
	t := b.waitForOutbind()
	if t == nil {
		return nil, errStopped
	}
	defer t.session.stopWith(b.ctx)()
	<-t.ended
	return t.session, t.session.cause
}

// waitForOutbind gives the session on which the peer asked for the bind; nil: the bind is to end.
func (b *bind) waitForOutbind() *turned {
	c := b.connection
	c.mu.Lock()
	b.first()
	b.remote, b.local = "", ""
	if !b.draining {
		b.enter(BindWaiting)
		if b.waits = true; b.lastError == "" {
			b.lastError = waitsForOutbind
		}
	}
	c.mu.Unlock()
	select {
	case t := <-b.asked:
		return t
	case <-b.ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b.waits = false
	select {
	case t := <-b.asked: // in this very moment
		return t
	default:
		return nil
	}
}

// turned is a session that came to the listener and became one of a connection.
type turned struct {
	session *session
	ended   <-chan struct{} // closed when its goroutines are gone
}

// asked finds the connection that an outbind from there is for, or says why there is none.
func (c *Connections) asked(req *wire.Outbind, from netip.Addr, secure bool) (*connection, wire.Status, error) {
	var known []*connection
	for _, connection := range *c.table.Load() {
		if connection.cfg.ByOutbind && connection.enabled && connection.cfg.SystemID == req.SystemID {
			known = append(known, connection)
		}
	}
	if len(known) == 0 {
		return nil, wire.StatusInvalidSystemID, errors.New("an outbind, and no enabled connection with options.outbind has this system_id")
	}
	known = slices.DeleteFunc(known, func(c *connection) bool { return !samePassword(req.Password, c.cfg.Password) })
	if len(known) == 0 {
		return nil, wire.StatusInvalidPassword, errors.New("an outbind with the wrong password")
	}
	slices.SortFunc(known, func(a, b *connection) int { return strings.Compare(a.row.Name, b.row.Name) })
	for _, connection := range known {
		switch {
		case !c.comesFrom(connection.cfg.Host, from):
		case connection.cfg.TLS && !secure:
			return nil, wire.StatusBindFailed, fmt.Errorf("an outbind without TLS, and connection %s wants it: see its column tls", connection.row.Name)
		default:
			return connection, wire.StatusOK, nil
		}
	}
	return nil, wire.StatusBindFailed, fmt.Errorf("an outbind from %v, which is not the ip of connection %s, %s",
		from, known[0].row.Name, known[0].cfg.Host)
}

// comesFrom says that an address is that of a host. 0.0.0.0 and :: are any.
func (c *Connections) comesFrom(host string, from netip.Addr) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.IsUnspecified() || a.Unmap().WithZone("") == from
	}
	ctx, cancel := context.WithTimeout(c.ctx, lookupTimeout)
	defer cancel()
	list, err := c.lookup(ctx, "ip", host)
	if err != nil {
		c.log.Warn("the ip of a connection with options.outbind cannot be looked up", "ip", host, "error", err)
	}
	return slices.ContainsFunc(list, func(a netip.Addr) bool { return a.Unmap().WithZone("") == from })
}

// turn makes a session of the listener one of the connection: from here on it is ours to bind on. The session's reader calls it.
func (c *connection) turn(came *accountBind) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.binds, func(b *bind) bool { return b.waits && !b.draining })
	if i < 0 {
		return fmt.Errorf("an outbind, and connection %s waits for none: none of its %d binds is free", c.row.Name, len(c.binds))
	}
	b := c.binds[i]
	s := came.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateOpen {
		return s.cause
	}
	config := b.sessionConfig(esme)
	config.gather = s.gather // whose batch is being worked on
	s.sessionConfig, s.owner = config, b
	b.waits, b.session, b.remote, b.local = false, s, came.remote, came.local
	b.enter(BindBinding)
	came.turned = true
	b.asked <- &turned{s, came.ended}
	return nil
}

// outbind takes an outbind that came to the listener.
func (b *accountBind) outbind(body []byte) {
	a, now := b.all, time.Now()
	var req wire.Outbind
	refuse := func(status wire.Status, err error) {
		b.refused(req.SystemID, status, err.Error())
		b.session.close(errRefused) // an outbind has no response
	}
	if err := req.DecodeBody(body); err != nil {
		refuse(wire.StatusOf(err), fmt.Errorf("the outbind does not parse: %w", err))
		return
	}
	if !b.begin() {
		return // a bind on this socket is being looked at
	}
	if wait := a.guard.Blocked(b.from, req.SystemID, now); wait > 0 {
		refuse(wire.StatusBindFailed, errors.New(tooOften(wait)))
		return
	}
	if a.config.Connections == nil {
		refuse(wire.StatusInvalidSystemID, errors.New("an outbind, and there are no connections"))
		return
	}
	c, status, err := a.config.Connections.asked(&req, b.address, b.secure)
	if err != nil {
		a.guard.Failed(b.from, req.SystemID, now)
		refuse(status, err)
		return
	}
	a.guard.Succeeded(b.from, req.SystemID)
	if err := c.turn(b); err != nil {
		refuse(wire.StatusBindFailed, err)
		return
	}
	b.init.Stop()
	b.leaveListener()
	b.session.begin(c.bindRequest())
}
