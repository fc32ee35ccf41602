package smpp

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

// How long a bind waits before it tries again: the wait doubles from the first to the last, give or take a quarter so that many
// binds do not come back at once, and starts anew after one that lived.
const (
	firstWait   = time.Second
	lastWait    = time.Minute
	firstRefuse = 30 * time.Second // a peer that refused the credentials locks those out who insist
	lastRefuse  = 10 * time.Minute
	lived       = 30 * time.Second
)

// dialTimeout is how long a connect may take, TLS included.
const dialTimeout = 10 * time.Second

// bind holds one session after another for a connection. One goroutine runs it, which is also the reader of its sessions.
type bind struct {
	connection *connection
	id         string
	log        *slog.Logger
	ctx        context.Context // ends it at once
	cancel     context.CancelFunc
	failures   int // tries in a row that came to nothing; of run alone
	inbound    inbound
	asked      chan *turned // takes a session on which the peer wants the bind

	// The connection's lock guards what follows.
	lane
	mode      string
	guest     *accountBind // whose session it is, of a connection whose peer binds as an account
	waits     bool         // for a session by asked
	state     BindState
	since     time.Time
	boundAt   time.Time // zero unless bound
	remote    string
	local     string
	lastError string
	retryAt   time.Time
	tried     bool        // its first try had its answer, see connection.establishing
	deadline  *time.Timer // when it ends although something is in flight
}

func newBind(c *connection, id string) *bind {
	b := &bind{
		connection: c, id: id, mode: c.cfg.SessionType.String(), log: c.log.With("bind", id),
		state: BindConnecting, since: time.Now(), asked: make(chan *turned, 1),
	}
	b.ctx, b.cancel = context.WithCancel(c.all.ctx)
	return b
}

// run makes one session after another until the bind is stopped.
func (b *bind) run() {
	defer b.connection.bindGone()
	defer b.cancel()
	for {
		life, cause := b.once()
		if life >= lived {
			b.failures = 0
		}
		wait := b.wait(cause)
		if b.connection.cfg.ByOutbind {
			wait = 0 // the peer says when
		}
		b.failures++
		if !b.enterWaiting(wait) {
			b.log.Info("bind has ended", "reason", cause)
			return
		}
		b.log.Warn("bind is down", "reason", cause, "retry_in", wait)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-b.ctx.Done():
			timer.Stop()
			return
		}
	}
}

// wait is how long to wait after a try that ended with cause.
func (b *bind) wait(cause error) time.Duration {
	first, last := firstWait, lastWait
	var refused *bindRefusedError
	if errors.As(cause, &refused) && refused.credentials() || errors.Is(cause, errPeerCredentials) || errors.Is(cause, errPeerTransmitter) || errors.Is(cause, errRefused) {
		first, last = firstRefuse, lastRefuse
	}
	d := min(first<<min(b.failures, 16), last)
	return d*3/4 + rand.N(d/2)
}

// once makes one session and serves it to its end. It gives how long the bind stood, and the cause.
func (b *bind) once() (life time.Duration, cause error) {
	c := b.connection
	serve := b.serveDialed
	if c.cfg.ByOutbind {
		serve = b.serveAsked
	}
	s, cause := serve()
	if s == nil {
		c.abandoned(b, nil, cause)
		return 0, cause
	}
	left := s.finish()
	was, boundAt := c.abandoned(b, left, cause)
	if boundAt.IsZero() {
		return 0, cause
	}
	c.all.handler.BindDown(was, cause.Error(), len(left))
	return time.Since(boundAt), cause
}

// serveDialed makes a session on a socket that we open, serves it to its end, and gives it and its cause; nil: there is no socket.
func (b *bind) serveDialed() (*session, error) {
	c := b.connection
	conn, err := b.dial()
	if err != nil {
		return nil, err
	}
	if c.cfg.Account != "" {
		return b.serveGuest(conn)
	}
	role := esme
	if c.cfg.SessionType == sms.Outbind {
		role = smsc
	}
	s := newSession(conn, b, b.sessionConfig(role))
	c.mu.Lock()
	b.session = s
	b.remote, b.local = conn.RemoteAddr().String(), conn.LocalAddr().String()
	b.enter(BindBinding)
	c.mu.Unlock()
	defer s.stopWith(b.ctx)()
	if role == smsc {
		return s, b.outbind(s)
	}
	s.begin(c.bindRequest())
	return s, s.serve()
}

// sessionConfig is what a session of the bind goes by.
func (b *bind) sessionConfig(role role) sessionConfig {
	c := b.connection
	return sessionConfig{
		role: role, window: c.cfg.Window, responseTimeout: c.cfg.ResponseTimeout, enquireLink: c.cfg.EnquireLink,
		counters: c.counters, gather: c.all.gather, log: b.log,
	}
}

// bindRequest is the request by which we bind.
func (c *connection) bindRequest() (wire.CommandID, *wire.Bind) {
	command := wire.CmdBindTransceiver
	switch c.cfg.SessionType {
	case sms.Transmitter:
		command = wire.CmdBindTransmitter
	case sms.Receiver:
		command = wire.CmdBindReceiver
	}
	return command, &wire.Bind{
		SystemID: c.cfg.SystemID, Password: c.cfg.Password, SystemType: c.cfg.SystemType, InterfaceVersion: c.cfg.InterfaceVersion,
	}
}

// dial opens the socket.
func (b *bind) dial() (net.Conn, error) {
	c := b.connection
	c.mu.Lock()
	b.remote, b.local = "", ""
	b.enter(BindConnecting)
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(b.ctx, dialTimeout)
	defer cancel()
	if !c.cfg.TLS {
		return c.all.dial(ctx, "tcp", c.cfg.Peer())
	}
	config, err := c.tlsConfig()
	if err != nil {
		return nil, err
	}
	conn, err := c.all.dial(ctx, "tcp", c.cfg.Peer())
	if err != nil {
		return nil, err
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, ofTLS(err)
	}
	return secure, nil
}

// enter sets the state. The connection's lock is held.
func (b *bind) enter(s BindState) {
	b.state, b.since, b.retryAt = s, time.Now(), time.Time{}
}

// enterWaiting sets the state for a wait; false: the bind is to end instead.
func (b *bind) enterWaiting(wait time.Duration) bool {
	b.connection.mu.Lock()
	defer b.connection.mu.Unlock()
	if b.deadline != nil {
		b.deadline.Stop()
	}
	if b.draining || b.ctx.Err() != nil {
		return false
	}
	b.remote, b.local = "", ""
	b.enter(BindWaiting)
	if wait > 0 {
		b.retryAt = b.since.Add(wait)
	}
	return true
}

// first counts the answer to the first try. The connection's lock is held.
func (b *bind) first() {
	if !b.tried {
		b.tried = true
		if b.connection.establishing > 0 {
			b.connection.establishing--
		}
	}
}

// status is what smpp_list shows. The connection's lock is held.
func (b *bind) status() BindStatus {
	s := BindStatus{
		ID: b.id, Owner: sms.Connection(b.connection.row.Name), Mode: b.mode, State: b.state, Since: b.since, Remote: b.remote,
		Local: b.local, Window: b.connection.cfg.Window, LastError: b.lastError, RetryAt: b.retryAt,
	}
	if b.session != nil {
		s.InFlight = b.session.inFlight()
	}
	return s
}

// stop makes the bind end once nothing is in flight, or at once if it is not bound. It says whether settle is due. The
// connection's lock is held.
func (b *bind) stop() (idle bool) {
	b.draining = true
	if b.state != BindBound {
		if b.state != BindUnbinding {
			b.cancel()
		}
		return false
	}
	b.enter(BindUnbinding)
	if b.guest != nil {
		return b.guest.leaves(b.connection.cfg.ResponseTimeout)
	}
	session := b.session
	b.deadline = time.AfterFunc(b.connection.cfg.ResponseTimeout, session.unbind)
	return b.finished()
}

// bound is called by the session when the peer accepted the bind, and when we accepted the peer's.
func (b *bind) bound(s *session) {
	c := b.connection
	c.mu.Lock()
	if b.draining { // it was told to stop in this very moment, and its context is about to end the session
		c.mu.Unlock()
		return
	}
	b.enter(BindBound)
	b.boundAt, b.lastError = b.since, ""
	c.counters.bound.Add(1)
	b.first()
	status := b.status()
	c.mu.Unlock()
	b.log.Info("bound", "remote", status.Remote, "mode", status.Mode)
	c.all.handler.BindUp(status)
	c.tick()
}

// answered is called by the session.
func (b *bind) answered(_ *session, answers []answer) { b.connection.answered(&b.lane, answers) }

// idle is called by the session.
func (b *bind) idle(*session) { b.connection.settle(&b.lane) }
