package smpp

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

// Why sessions of accounts end, beside what ends any.
var (
	errNeverBound = errors.New("the peer did not bind in time")
	errRefused    = errors.New("the bind was refused")
	errInactive   = errors.New("no message for as long as inactivity_timeout says")
)

// accountBind is one socket that came to the listener: a session that waits for its bind, and then a bind of an account.
type accountBind struct {
	all      *Accounts
	conn     net.Conn
	from     netip.Addr // the network for IPv6; see source
	address  netip.Addr
	remote   string
	local    string
	log      *slog.Logger
	inbound  inbound
	several  wire.SubmitMulti // what a submit_multi is decoded into
	init     *time.Timer
	idleness *time.Timer   // inactivity; nil: none
	inactive atomic.Bool   // it is unbound because there was none for too long
	up       chan struct{} // closed when BindUp was told
	called   *bind         // that opened the socket and said outbind; nil: the peer came to the listener
	secure   bool          // it speaks TLS
	turned   bool          // it became a session of a connection; of the reader alone
	ended    chan struct{} // closed when its goroutines are gone
	leaving  sync.Once     // see leaveListener
	counted  bool          // see noLongerUnbound; the lock of Accounts guards it

	mu       sync.Mutex
	checking bool // a bind waits for its password to be checked

	// Set by account.join, with the session's lock held, which orders it before all that uses it.
	account    *account
	id         string
	mode       string
	alphabet   sms.Alphabet
	inactivity time.Duration

	// The account's lock guards what follows; session stays what it was made as.
	lane
	state    BindState
	since    time.Time
	deadline *time.Timer
}

func newAccountBind(a *Accounts, conn net.Conn) *accountBind {
	b := &accountBind{all: a, conn: conn, up: make(chan struct{}), ended: make(chan struct{}), remote: conn.RemoteAddr().String(), local: conn.LocalAddr().String()}
	b.address, b.from = source(conn.RemoteAddr())
	b.log = a.log.With("remote", b.remote)
	// The window is the account's, once it is known whose the session is; nobody is sent anything before.
	b.session = newSession(conn, b, sessionConfig{
		role: smsc, responseTimeout: 10 * time.Second, counters: new(counters), gather: a.config.Gather, log: b.log,
	})
	return b
}

// serve runs the session to its end, and gives its cause.
func (b *accountBind) serve(secure bool) error {
	defer close(b.ended)
	s := b.session
	b.init = time.AfterFunc(b.all.config.InitTimeout, func() { s.closeUnbound(errNeverBound) })
	defer b.init.Stop()
	b.secure = secure
	if secure {
		conn, err := b.all.handshake(b.conn)
		if err != nil {
			b.log.Debug("a connection to the listener came to nothing", "error", err)
			s.close(err)
			return err
		}
		s.mu.Lock()
		if s.cause == nil {
			s.conn = conn
		}
		s.mu.Unlock()
	}
	cause := s.serve()
	if b.turned {
		return cause
	}
	left := s.finish() // and with its lock taken, what admit did is seen
	if b.account == nil {
		b.log.Debug("a connection to the listener ended without a bind", "reason", cause)
		return cause
	}
	<-b.up
	if b.idleness != nil {
		b.idleness.Stop()
	}
	if b.inactive.Load() {
		cause = errInactive
	}
	was := b.account.leave(b, left, cause)
	b.log.Info("bind is down", "reason", cause)
	b.all.handler.BindDown(was, cause.Error(), len(left))
	return cause
}

// checkInactive unbinds an ESME that has exchanged no message for too long.
func (b *accountBind) checkInactive() {
	idle := time.Since(b.session.lastWorked())
	if idle < b.inactivity {
		b.idleness.Reset(b.inactivity - idle)
		return
	}
	b.inactive.Store(true)
	b.session.unbind()
}

// received is called by the session with a request that is legal in its state.
func (b *accountBind) received(s *session, h wire.Header, body []byte) {
	switch h.Command {
	case wire.CmdBindTransmitter, wire.CmdBindReceiver, wire.CmdBindTransceiver:
		b.bind(h, body)
		return
	case wire.CmdOutbind:
		b.outbind(body)
		return
	}
	var err error
	switch h.Command {
	case wire.CmdSubmitSM, wire.CmdDataSM:
		var sm *wire.SM
		if sm, err = b.inbound.decode(h.Command, body); err == nil {
			b.submit(h, sm)
		}
	case wire.CmdSubmitMulti:
		if err = b.several.DecodeBody(body); err == nil {
			b.submitMulti(h)
		}
	case wire.CmdQuerySM:
		var q wire.QuerySM
		if err = q.DecodeBody(body); err == nil && s.accept(h) {
			b.query(h, &q)
		}
	case wire.CmdCancelSM:
		var c wire.CancelSM
		if err = c.DecodeBody(body); err == nil && s.accept(h) {
			b.all.handler.Cancel(b.account.systemID, MessageQuery{ID: c.MessageID, Source: c.Source}, s.answerer(h))
		}
	case wire.CmdReplaceSM:
		var r wire.ReplaceSM
		if err = r.DecodeBody(body); err == nil && s.accept(h) {
			b.replace(h, &r)
		}
	default:
		s.respond(h, wire.StatusInvalidCommandID)
	}
	if err != nil {
		b.account.counters.malformed.Add(1)
		b.log.Warn("a PDU that does not parse is refused", "command", h.Command, "seq", h.Sequence, "error", err)
		s.respond(h, wire.StatusOf(err))
	}
}

// bind looks at a bind request.
func (b *accountBind) bind(h wire.Header, body []byte) {
	var req wire.Bind
	if err := req.DecodeBody(body); err != nil {
		b.refuse(h, &req, wire.StatusOf(err), "the bind does not parse: "+err.Error())
		return
	}
	if !b.begin() {
		b.session.respond(h, wire.StatusAlreadyBound)
		return
	}
	a, now := b.all, time.Now()
	if wait := a.guard.Blocked(b.from, req.SystemID, now); wait > 0 {
		b.refuse(h, &req, wire.StatusBindFailed, tooOften(wait))
		return
	}
	if b.called != nil && req.SystemID != b.called.connection.cfg.Account {
		b.refuse(h, &req, wire.StatusInvalidSystemID, "the outbind was for account "+b.called.connection.cfg.Account)
		return
	}
	account := (*a.table.Load())[req.SystemID]
	if account == nil {
		a.guard.Failed(b.from, req.SystemID, now)
		b.refuse(h, &req, wire.StatusInvalidSystemID, "there is no such account")
		return
	}
	if err := account.admits(b.address, h.Command); err != nil {
		b.refuse(h, &req, wire.StatusBindFailed, err.Error())
		return
	}
	hash := account.hash()
	if a.passwords.known(req.SystemID, hash, req.Password) {
		b.admit(account, h, &req)
		return
	}
	job := passwordJob{systemID: req.SystemID, hash: hash, password: req.Password, answer: func(right bool) {
		if !right {
			a.guard.Failed(b.from, req.SystemID, time.Now())
			b.refuse(h, &req, wire.StatusInvalidPassword, "the password is wrong")
			return
		}
		b.admit(account, h, &req)
	}}
	if !a.passwords.check(job) {
		b.refuse(h, &req, wire.StatusSystemError, "too many binds at once")
	}
}

// begin says that no bind of this socket is looked at yet; from now on one is.
func (b *accountBind) begin() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	again := b.checking
	b.checking = true
	return !again
}

func tooOften(wait time.Duration) string {
	return "it failed too often: nothing is looked at for " + wait.Round(time.Second).String()
}

// admit binds an ESME whose password is right.
func (b *accountBind) admit(account *account, h wire.Header, req *wire.Bind) {
	a := b.all
	a.guard.Succeeded(b.from, req.SystemID)
	a.mu.Lock()
	closed := a.closed
	if !closed {
		a.noLongerUnbound(b)
	}
	a.mu.Unlock()
	if closed {
		b.refuse(h, req, wire.StatusSystemError, "the gateway goes down")
		return
	}
	up, bound, err := account.join(b, h, req)
	if err != nil {
		b.refuse(h, req, wire.StatusBindFailed, err.Error())
		return
	}
	if !bound {
		return
	}
	defer close(b.up)
	if b.inactivity > 0 {
		b.idleness = time.AfterFunc(b.inactivity, b.checkInactive)
	}
	account.log.Info("bound", "bind", up.ID, "remote", up.Remote, "mode", up.Mode)
	a.handler.BindUp(up)
	if b.called != nil {
		b.called.joined(up.Mode, b.session)
	}
	account.tick() // what waits may have room now
}

// refuse answers a bind with an error, after which the session ends.
func (b *accountBind) refuse(h wire.Header, req *wire.Bind, status wire.Status, reason string) {
	b.session.refuse(h, status, errRefused)
	b.refused(req.SystemID, status, reason)
}

// refused tells of a bind, or an outbind, that was refused.
func (b *accountBind) refused(systemID string, status wire.Status, reason string) {
	name := printable(systemID)
	if count, tell := b.all.guard.Refused(b.from, name, time.Now()); tell {
		b.log.Warn("a bind was refused", "system_id", name, "status", status, "reason", reason, "count", count)
		b.all.handler.BindRefused(BindRefusal{SystemID: name, Peer: b.remote, Status: status, Reason: reason, Count: count})
	}
}

// printable is a name as a log and an event can show it.
func printable(name string) string {
	if len(name) > 40 {
		name = name[:40]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, name)
}

// status is what smpp_list shows. The account's lock is held.
func (b *accountBind) status() BindStatus {
	return BindStatus{
		ID: b.id, Owner: sms.Account(b.account.systemID), Mode: b.mode, State: b.state, Since: b.since, Remote: b.remote,
		Local: b.local, Window: b.session.sessionConfig.window, InFlight: b.session.inFlight(),
	}
}

// drain makes the bind end once nothing is in flight, or after a while. It says whether settle is due. The account's lock is held.
func (b *accountBind) drain(timeout time.Duration) (idle bool) {
	if b.draining {
		return false
	}
	b.draining, b.state, b.since = true, BindUnbinding, time.Now()
	b.deadline = time.AfterFunc(timeout, b.session.unbind)
	return b.finished()
}

// leaves is drain for a bind that a connection has called, which is to end.
func (b *accountBind) leaves(timeout time.Duration) (idle bool) {
	b.account.mu.Lock()
	defer b.account.mu.Unlock()
	return b.drain(timeout)
}

// bound is for sessions that we bind.
func (b *accountBind) bound(*session) {}

// answered is called by the session.
func (b *accountBind) answered(_ *session, answers []answer) {
	if b.account != nil {
		b.account.answered(&b.lane, answers)
	}
}

// idle is called by the session.
func (b *accountBind) idle(*session) { b.account.settle(&b.lane) }
