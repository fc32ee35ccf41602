package smpp

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

// account is an ESME that may bind to our listener. Its row may change while its binds stand; it is gone when its row is.
type account struct {
	all      *Accounts
	systemID string

	outbox   // with the lock, which guards what follows
	row      sms.AccountConfig
	egress   sms.ConnectionConfig // how messages to it are encoded
	networks []netip.Prefix
	limiter  *rate.Limiter // throughput of what it submits; nil: unlimited
	gone     bool          // its row was deleted
	binds    []*accountBind
	lastID   int // of its binds
}

func newAccount(all *Accounts, row sms.AccountConfig) *account {
	a := &account{all: all, systemID: row.SystemID}
	a.open(sms.Account(row.SystemID), all.log.With("account", row.SystemID), newCounters(), 0)
	a.slower, a.free = func(Throttle) {}, func() {} // the log says it
	a.set(row)
	return a
}

// set takes a row. The lock is held, or nobody else knows the account.
func (a *account) set(row sms.AccountConfig) {
	a.row = row
	a.egress = withDefaults(sms.ConnectionConfig{
		Name: row.SystemID, SessionType: sms.Outbind, Alphabet: row.Alphabet, LongMessage: row.LongMessage, ResponseTimeout: row.ResponseTimeout,
		QueueTimeout: row.QueueTimeout,
	})
	a.queueTimeout = a.egress.QueueTimeout
	a.networks = nil
	for _, s := range strings.Fields(row.AllowedIPs) {
		if p, err := netip.ParsePrefix(s); err == nil { // the store lets no other pass
			a.networks = append(a.networks, p)
		}
	}
	switch {
	case row.Throughput <= 0:
		a.limiter = nil
	case a.limiter == nil || a.limiter.Burst() != row.Throughput:
		// The burst is what a second allows: an ESME may send what it has at once, and then as fast as it may.
		a.limiter = rate.NewLimiter(rate.Limit(row.Throughput), row.Throughput)
	}
}

// admits says whether a bind from there is allowed at all, whatever its password.
func (a *account) admits(from netip.Addr, command wire.CommandID) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.gone || !a.row.Enabled:
		return errors.New("the account is disabled")
	case !a.within(from):
		return fmt.Errorf("the account may not bind from %v: see its allowed_ips", from)
	case a.row.BindModes&modeOf(command) == 0:
		return fmt.Errorf("the account may not bind as %s: see its bind_modes", modeName(command))
	}
	return nil
}

func (a *account) within(from netip.Addr) bool {
	for _, p := range a.networks {
		if p.Contains(from) {
			return true
		}
	}
	return len(a.networks) == 0
}

func modeOf(command wire.CommandID) sms.BindModes {
	switch command {
	case wire.CmdBindTransmitter:
		return sms.BindTransmitter
	case wire.CmdBindReceiver:
		return sms.BindReceiver
	}
	return sms.BindTransceiver
}

func modeName(command wire.CommandID) string {
	switch command {
	case wire.CmdBindTransmitter:
		return "transmitter"
	case wire.CmdBindReceiver:
		return "receiver"
	}
	return "transceiver"
}

// hash is the password's.
func (a *account) hash() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.row.PasswordHash
}

// join binds an ESME whose password is right, and answers it, unless there are too many. It gives what BindUp is to tell; false:
// the session died meanwhile.
func (a *account) join(b *accountBind, h wire.Header, req *wire.Bind) (up BindStatus, bound bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gone || !a.row.Enabled {
		return up, false, errors.New("the account is disabled")
	}
	if most := max(a.row.MaxBinds, 1); len(a.binds) >= most {
		return up, false, fmt.Errorf("the account has its %d binds already: see its max_binds", most)
	}
	s := b.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateOpen {
		return up, false, nil
	}
	a.lastID++
	b.account, b.mode = a, modeName(h.Command)
	b.id = fmt.Sprintf("%s#%d", a.systemID, a.lastID)
	b.state, b.since, b.alphabet, b.inactivity = BindBound, time.Now(), a.egress.Alphabet, a.row.InactivityTimeout
	b.log = a.log.With("bind", b.id)
	s.counters, s.log = a.counters, b.log
	s.sessionConfig.window = max(a.row.Window, 1)
	s.sessionConfig.unanswered = s.sessionConfig.window
	s.responseTimeout, s.enquireLink = a.egress.ResponseTimeout, a.row.EnquireLink
	s.admitLocked(h, h.Command, a.all.config.SystemID, req.InterfaceVersion)
	a.binds = append(a.binds, b)
	if h.Command != wire.CmdBindTransmitter {
		a.lanes = append(a.lanes, &b.lane)
	}
	a.counters.bound.Add(1)
	return BindStatus{
		ID: b.id, Owner: sms.Account(a.systemID), Mode: b.mode, State: b.state, Since: b.since, Remote: b.remote, Local: b.local,
		Window: s.sessionConfig.window,
	}, true, nil
}

// remove says that the account's row is gone: nothing binds to it any more.
func (a *account) remove() {
	a.mu.Lock()
	a.gone = true
	idle := len(a.binds) == 0
	a.mu.Unlock()
	if idle {
		a.all.totals.settle(a.counters)
	}
}

// leave ends a bind: what it had begun goes no further, and what waits in the queue waits no longer if no bind can receive it.
func (a *account) leave(b *accountBind, left []answer, cause error) (was BindStatus) {
	now := time.Now()
	a.mu.Lock()
	was = b.status()
	a.binds = slices.DeleteFunc(a.binds, func(other *accountBind) bool { return other == b })
	a.lanes = slices.DeleteFunc(a.lanes, func(other *lane) bool { return other == &b.lane })
	if b.deadline != nil {
		b.deadline.Stop()
	}
	ended := a.orphans(cause.Error(), a.cut(&b.lane, left, cause, nil))
	ended = a.pump(now, ended)
	over := a.gone && len(a.binds) == 0
	a.mu.Unlock()
	a.end(ended)
	if over {
		a.all.totals.settle(a.counters)
	}
	return was
}

// canReceive says that a bind is up that messages can go by. The lock is held.
func (a *account) canReceive() bool {
	return slices.ContainsFunc(a.lanes, func(l *lane) bool { return !l.draining })
}

// orphans ends what waits in the queue while no bind can receive it. The lock is held.
func (a *account) orphans(reason string, ended []*submission) []*submission {
	if a.canReceive() {
		return ended
	}
	return a.giveUp(reason, ended)
}

// submit sends a message to the ESME as deliver_sm with this type in its esm_class. done is called exactly once.
func (a *account) submit(m *sms.Message, esmClass uint8, done func(sms.Outcome)) {
	now := time.Now()
	a.mu.Lock()
	cfg := a.egress
	a.mu.Unlock()
	s := &submission{m: m, done: done, esmClass: esmClass, deadline: now.Add(cfg.QueueTimeout)}
	if s.expired(now) {
		s.fail(expired(m))
	} else if err := s.encode(&cfg, a.ref()); err != nil {
		s.fail(sms.Failed(sms.Permanent, sms.CauseUnencodable, err.Error()))
	}
	if s.failed != nil {
		a.end([]*submission{s})
		return
	}
	a.mu.Lock()
	switch {
	case !a.canReceive():
		s.fail(sms.Failed(sms.Temporary, sms.CauseNotReady, "no bind of the account "+a.systemID+" can receive"))
	case a.queue.len() >= maxQueue:
		s.fail(sms.Failed(sms.Temporary, sms.CauseQueueFull, "too many messages wait for the account "+a.systemID))
	}
	if s.failed != nil {
		a.mu.Unlock()
		a.end([]*submission{s})
		return
	}
	a.push(s, now)
}

// drain lets every bind finish what is in flight and unbinds it.
func (a *account) drain() {
	var idle []*accountBind
	a.mu.Lock()
	for _, b := range a.binds {
		if b.drain(a.egress.ResponseTimeout) {
			idle = append(idle, b)
		}
	}
	ended := a.orphans("the account is unbound", nil)
	a.mu.Unlock()
	a.end(ended)
	for _, b := range idle {
		a.settle(&b.lane)
	}
}

// take counts segments against the throughput of what the account submits; false: that is too many.
func (a *account) take(segments int) bool {
	a.mu.Lock()
	limiter := a.limiter
	a.mu.Unlock()
	return limiter == nil || limiter.AllowN(time.Now(), min(segments, limiter.Burst()))
}

func (a *account) status() AccountStatus {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := AccountStatus{SystemID: a.systemID, Enabled: a.row.Enabled, Queued: a.queue.len(), Counters: a.counters.load()}
	for _, b := range a.binds {
		s.Binds = append(s.Binds, b.status())
	}
	return s
}

// AccountStatus is what is known of one account: an entry of `accounts` in smpp_list.
type AccountStatus struct {
	SystemID string
	Enabled  bool
	Binds    []BindStatus
	Queued   int // messages to it that wait for a window slot
	Counters
}
