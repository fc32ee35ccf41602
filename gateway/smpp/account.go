package smpp

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

// account is an ESME that may bind to our listener. Its row may change while its binds stand; it is gone when its row is.
type account struct {
	all      *Accounts
	systemID string
	log      *slog.Logger
	counters *counters
	refs     atomic.Uint32 // concatenation references

	mu          sync.Mutex
	row         sms.AccountConfig
	egress      sms.ConnectionConfig // how messages to it are encoded
	networks    []netip.Prefix
	limiter     *rate.Limiter // throughput of what it submits; nil: unlimited
	gone        bool          // its row was deleted
	binds       []*accountBind
	lastID      int // of its binds
	queue       queue
	pausedUntil time.Time // the ESME said that we send too much
	timer       *time.Timer
	timerAt     time.Time
}

// accountPause is how long nothing goes to an ESME that said that we send too much.
const accountPause = time.Second

func newAccount(all *Accounts, row sms.AccountConfig) *account {
	a := &account{all: all, systemID: row.SystemID, log: all.log.With("account", row.SystemID), counters: new(counters)}
	a.refs.Store(rand.Uint32())
	a.set(row)
	return a
}

// set takes a row. The lock is held, or nobody else knows the account.
func (a *account) set(row sms.AccountConfig) {
	a.row = row
	a.egress = withDefaults(sms.ConnectionConfig{
		Name: row.SystemID, Alphabet: row.Alphabet, LongMessage: row.LongMessage, ResponseTimeout: row.ResponseTimeout,
		QueueTimeout: row.QueueTimeout,
	})
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
func (a *account) join(b *accountBind, h wire.Header, resp *wire.BindResp, noTLVs bool) (up BindStatus, bound bool, err error) {
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
	b.account, b.mode, b.receives = a, modeName(h.Command), h.Command != wire.CmdBindTransmitter
	b.id = fmt.Sprintf("%s#%d", a.systemID, a.lastID)
	b.state, b.since, b.alphabet, b.inactivity = BindBound, time.Now(), a.egress.Alphabet, a.row.InactivityTimeout
	b.log = a.log.With("bind", b.id)
	b.worked.Store(b.since.UnixNano())
	s.counters, s.log = a.counters, b.log
	s.sessionConfig.window = max(a.row.Window, 1)
	s.sessionConfig.unanswered = s.sessionConfig.window
	s.responseTimeout, s.enquireLink, s.noTLVs = a.egress.ResponseTimeout, a.row.EnquireLink, noTLVs
	s.state = boundBy(h.Command)
	s.respondWithLocked(h, resp)
	if s.enquireLink > 0 {
		s.arm(s.lastRead.Add(s.enquireLink))
	}
	a.binds = append(a.binds, b)
	return BindStatus{
		ID: b.id, Owner: sms.Account(a.systemID), Mode: b.mode, State: b.state, Since: b.since, Remote: b.remote, Local: b.local,
		Window: s.sessionConfig.window,
	}, true, nil
}

// leave ends a bind: what it had begun goes no further, and what waits in the queue waits no longer if no bind can receive it.
func (a *account) leave(b *accountBind, left []answer, cause error) (was BindStatus) {
	now := time.Now()
	var ended []*submission
	a.mu.Lock()
	was = b.status()
	a.binds = slices.DeleteFunc(a.binds, func(other *accountBind) bool { return other == b })
	if b.deadline != nil {
		b.deadline.Stop()
	}
	if s := b.current; s != nil {
		b.current = nil
		s.stopped, s.reason = true, cause
		if s.open == 0 {
			ended = append(ended, s)
		}
	}
	for i := range left {
		a.count(&left[i])
		s := left[i].message
		s.record(&left[i])
		if s.over() {
			ended = append(ended, s)
		}
	}
	ended = a.orphans(ended, cause.Error())
	ended = a.pump(now, ended)
	a.mu.Unlock()
	a.end(ended)
	return was
}

// canReceive says that a bind is up that messages can go by. The lock is held.
func (a *account) canReceive() bool {
	for _, b := range a.binds {
		if b.receives && !b.draining {
			return true
		}
	}
	return false
}

// orphans ends what waits in the queue while no bind can receive it. The lock is held.
func (a *account) orphans(ended []*submission, reason string) []*submission {
	if a.canReceive() {
		return ended
	}
	for _, s := range a.queue.take() {
		s.fail(sms.Failed(sms.Temporary, sms.CauseNotReady, reason))
		ended = append(ended, s)
	}
	return ended
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
	} else if err := s.encode(&cfg, uint16(a.refs.Add(1))); err != nil {
		s.fail(sms.Failed(sms.Permanent, sms.CauseUnencodable, err.Error()))
	}
	// A receipt of ours is what tells that it arrived; the ESME is asked for none (SMPP 3.4, 5.2.17).
	s.receipt, s.registeredDelivery = sms.ReceiptNone, 0
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
	a.queue.push(s)
	ended := a.pump(now, nil)
	a.mu.Unlock()
	a.end(ended)
}

// pump sends what can be sent now, and appends to ended what ended without. The lock is held.
func (a *account) pump(now time.Time, ended []*submission) []*submission {
	for a.queue.overdue(now) {
		s := a.queue.front()
		a.queue.pop()
		s.fail(sms.Failed(sms.Temporary, sms.CauseQueueFull, "no slot of a window came free in "+a.egress.QueueTimeout.String()))
		ended = append(ended, s)
	}
	for !now.Before(a.pausedUntil) {
		b := a.pick()
		if b == nil {
			break
		}
		s := b.current
		if s == nil {
			if s = a.queue.front(); s.expired(now) {
				a.queue.pop()
				s.fail(expired(s.m))
				ended = append(ended, s)
				continue
			}
		}
		err := b.session.submit(s, s.next, now)
		if errors.Is(err, errNoRoom) {
			break // it died since pick looked; its end pumps again
		}
		b.worked.Store(now.UnixNano())
		if b.current == nil {
			a.queue.pop()
		}
		b.current = nil
		if err != nil {
			s.stopped, s.reason = true, err
			if s.next == 0 {
				s.fail(sms.Failed(sms.Permanent, sms.CauseUnencodable, err.Error()))
			}
			if s.open == 0 {
				ended = append(ended, s)
			}
			continue
		}
		s.open++
		if s.next++; s.next < len(s.encoded.Parts) {
			b.current = s // all segments of a message go by one bind, in order
		}
	}
	if a.queue.len() > 0 || a.begun() {
		if now.Before(a.pausedUntil) {
			a.wakeAt(a.pausedUntil)
		}
	}
	if s := a.queue.front(); s != nil {
		a.wakeAt(s.deadline)
	}
	return ended
}

func (a *account) begun() bool {
	for _, b := range a.binds {
		if b.current != nil {
			return true
		}
	}
	return false
}

// pick finds the bind to send the next segment by: one that has begun a message, else the one with most room for the front of
// the queue. nil: there is nothing to send, or no room.
func (a *account) pick() *accountBind {
	var best *accountBind
	most := 0
	for _, b := range a.binds {
		if !b.receives || b.current == nil && (b.draining || a.queue.len() == 0) {
			continue
		}
		room := b.session.room()
		if room > 0 && b.current != nil {
			return b
		}
		if b.current == nil && room > most {
			best, most = b, room
		}
	}
	return best
}

// wakeAt makes tick run at the given time, or before. The lock is held.
func (a *account) wakeAt(at time.Time) {
	if !a.timerAt.IsZero() && !at.Before(a.timerAt) {
		return
	}
	a.timerAt = at
	if a.timer == nil {
		a.timer = time.AfterFunc(time.Until(at), a.tick)
	} else {
		a.timer.Reset(time.Until(at))
	}
}

func (a *account) tick() {
	a.mu.Lock()
	a.timerAt = time.Time{}
	ended := a.pump(time.Now(), nil)
	a.mu.Unlock()
	a.end(ended)
}

// answered takes what became of segments that went by b, and sends what has room now.
func (a *account) answered(b *accountBind, answers []answer) {
	now := time.Now()
	var room [32]*submission
	ended := room[:0]
	a.mu.Lock()
	for i := range answers {
		got := &answers[i]
		got.severity = severity(got.status)
		got.id = "" // message_id is unused in a deliver_sm_resp (SMPP 3.4, 4.6.2)
		a.count(got)
		if got.fate == sms.Refused && got.severity == sms.Throttled {
			a.pausedUntil = now.Add(accountPause)
		}
		s := got.message
		s.record(got)
		if s.stopped && b.current == s {
			b.current = nil
		}
		if s.over() {
			ended = append(ended, s)
		}
	}
	ended = a.pump(now, ended)
	drained := b.draining && b.current == nil
	a.mu.Unlock()
	a.end(ended)
	if drained {
		b.settle()
	}
}

// count counts what became of one segment.
func (a *account) count(got *answer) {
	switch got.fate {
	case sms.Accepted:
		a.counters.sent.Add(1)
	case sms.Refused:
		a.counters.refused.Add(1)
		if got.severity == sms.Throttled {
			a.counters.throttled.Add(1)
		}
	case sms.Unknown:
		a.counters.unanswered.Add(1)
	}
}

// end tells what became of messages. No lock is held.
func (a *account) end(ended []*submission) {
	for _, s := range ended {
		o := s.outcome(a.systemID)
		o.Egress, o.SMSCIDs = sms.Account(a.systemID), nil
		s.done(o)
	}
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
	ended := a.orphans(nil, "the account is unbound")
	a.mu.Unlock()
	a.end(ended)
	for _, b := range idle {
		b.settle()
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
