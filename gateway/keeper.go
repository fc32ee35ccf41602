package gateway

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"sipsmpp/events"
	"sipsmpp/gateway/route"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

const (
	// safetyTime is how long a message waits for the one before it until somebody looks whether there still is one.
	safetyTime = 10 * time.Minute
	// fullPause is the time between two events that tell that a backlog is full.
	fullPause = 10 * time.Second
)

// keeper keeps the messages that no target can take now: it writes them down before they are answered, and tries them again until
// somebody takes them or their validity ends.
//
// The messages wait in the database. In memory is what must be known of all of them at once: how many wait for each target, and
// which recipients have one, so that a new message to such a recipient waits behind it. Messages to one recipient go one after the
// other, by their ids; those to others go side by side, as many as half of the target's windows hold, so that the new ones have the
// other half.
//
// An attempt is written down before it is made. What a crash leaves under way has an unknown fate, and is tried again.
type keeper struct {
	g      *Gateway
	db     *store.DB
	log    *slog.Logger
	config DeferConfig
	wake   chan struct{}

	waiting atomic.Int64 // messages, for all targets

	// order is held from where the place of a message in its queue is decided until its write is queued, so that the writes of a
	// queue take effect in the order of the decisions.
	order sync.Mutex

	mu       sync.Mutex
	backlogs map[string]*backlog
	single   map[sms.Leg]*backlog // those of one leg
	flying   map[sms.ID]struct{}  // on their way: no other attempt is made until their end is written
	finished map[sms.ID]struct{}  // whose end was written while the database is read; nil: it is not
	asked    map[int64]*backlog   // queues to be tried whatever is known of their target
	moved    map[int64]*backlog   // queues whose first message went another way: the next is looked at, too
	unsaved  []func()             // writes that failed, to be made again
	stopped  bool

	// The scheduler's own: when what is over was looked for last, and what waits for nothing, and whether the database does not answer.
	swept, mended time.Time
	failing       bool

	counters keeperCounters
}

// flight is what an attempt to send a deferred message knows of its wait.
type flight struct {
	deferral store.Deferral
	backlog  *backlog
	loose    bool // it takes no place among those on their way
	open     bool // the target has it
	moved    bool // its route names other targets than those that it waited for
}

func newKeeper(g *Gateway, log *slog.Logger) *keeper {
	return &keeper{
		g: g, db: g.db, log: log, config: g.config.Defer, wake: make(chan struct{}, 1),
		backlogs: make(map[string]*backlog), single: make(map[sms.Leg]*backlog), flying: make(map[sms.ID]struct{}),
		asked: make(map[int64]*backlog), moved: make(map[int64]*backlog),
	}
}

// load counts what waits in the database since before the restart.
func (k *keeper) load(ctx context.Context) error {
	unknown, err := k.db.RecoverDeferred(ctx, time.Now())
	if err != nil {
		return err
	}
	err = k.db.EachDeferral(ctx, func(target string, queue int64, octets int) {
		k.backlog(target).join(queue, octets)
		k.waiting.Add(1)
	})
	if err != nil {
		return err
	}
	k.counters.unknown.Add(uint64(unknown))
	if n := k.waiting.Load(); n > 0 {
		k.log.Info("messages wait for their next attempt", "count", n, "targets", len(k.backlogs))
	}
	if unknown > 0 {
		k.log.Warn("messages were on their way when the gateway ended; they are sent again, and some may arrive twice", "count", unknown)
	}
	return nil
}

// backlog gives that of a target. The lock is held, or nobody else knows the keeper.
func (k *keeper) backlog(target string) *backlog {
	b := k.backlogs[target]
	if b == nil {
		b = newBacklog(target)
		k.backlogs[target] = b
		if leg, ok := sms.ParseLeg(target); ok && leg.String() == target {
			k.single[leg] = b
		}
	}
	return b
}

// mostIdle is how many backlogs are kept though nothing waits in them, so that they are seen to be empty.
const mostIdle = 100

// forgetIdle forgets backlogs in which nothing waits, where they are many: an application may name any number of targets.
func (k *keeper) forgetIdle() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.backlogs) <= mostIdle {
		return
	}
	used := make(map[*backlog]bool)
	for _, queues := range []map[int64]*backlog{k.asked, k.moved} {
		for _, b := range queues {
			used[b] = true
		}
	}
	for target, b := range k.backlogs {
		if b.count > 0 || b.inFlight > 0 || used[b] {
			continue
		}
		delete(k.backlogs, target)
		if leg, ok := sms.ParseLeg(target); ok && k.single[leg] == b {
			delete(k.single, leg)
		}
	}
}

// behind says that an older message to the recipient waits for the same target, so that this one has to wait, too.
func (k *keeper) behind(p *passage) bool {
	if k.waiting.Load() == 0 || !p.mayWait() {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	var b *backlog
	if targets := onward(p.route.Targets); len(targets) == 1 && targets[0].URI == "" {
		b = k.single[targets[0].Leg]
	} else {
		b = k.backlogs[targetOf(targets)]
	}
	return b != nil && b.queues[queueOf(b.target, p.out.To)] > 0
}

// mayWait says that its sender and its rule let a message be kept.
func (p *passage) mayWait() bool {
	return *p.g.config.Defer.Enabled && !p.m.NoDefer && !p.route.NoDefer
}

// deferrable says that a message is to be kept that no target took.
func (p *passage) deferrable(o sms.Outcome) bool {
	if o.Severity == sms.Permanent || !p.mayWait() {
		return false
	}
	switch o.Cause {
	case sms.CauseNotReady, sms.CauseQueueFull, sms.CauseNoAnswer, sms.CauseRefused:
		target := p.route.Targets[max(p.attempt, 1)-1]
		return !target.Reject && !target.Waits && !(o.Fate == sms.Unknown && target.FailUnknown)
	}
	return false
}

// waitingBehind is why a message is kept that was not tried.
var waitingBehind = sms.Failed(sms.Temporary, sms.CauseBehind, "")

// keep writes a message down that nobody takes now, and then answers it with success. If there is no room, or the database does not
// take it, its sender is told to try again.
func (k *keeper) keep(p *passage, o sms.Outcome) {
	now := time.Now()
	d := store.Deferral{
		ID: p.m.ID, GiveUp: k.until(p.out), Octets: octetsOf(p.m), Attempts: p.attempts(), Reason: o.Reason(), Changed: now,
		Target: targetOf(onward(p.route.Targets)),
	}
	if o.Fate == sms.Unknown {
		d.Unknown = 1
	}
	if p.holds(o) {
		d.Waiting = store.WaitingOperator
	} else {
		d.Queue = queueOf(d.Target, p.out.To)
		k.counters.unknown.Add(uint64(d.Unknown))
	}
	k.order.Lock()
	k.mu.Lock()
	b := k.backlog(d.Target)
	if full, told := k.full(b, d.Octets, now); full != "" {
		k.mu.Unlock()
		k.order.Unlock()
		if told.Target != "" {
			k.g.hub.Publish(told)
		}
		o = sms.Failed(sms.Temporary, sms.CauseQueueFull, full)
		o.Egress = p.route.Targets[0].Leg
		p.fail(o)
		return
	}
	if d.Waiting != store.WaitingOperator && b.queues[d.Queue] > 0 {
		d.Waiting = store.WaitingBehind
	}
	b.join(d.Queue, d.Octets)
	k.mu.Unlock()
	if k.waiting.Add(1) == 1 {
		k.signal() // the scheduler sleeps while nothing waits
	}
	k.counters.kept.Add(1)
	d.Next = k.nextAttempt(&d, now)
	k.tell(p, &d)
	r := &store.Record{
		Message: p.m, State: store.RecordDeferred, Egress: onward(p.route.Targets)[0].Leg, Rule: p.route.Rule, Deferral: &d,
		Failed: p.failed,
	}
	if p.route.Decided {
		for _, t := range p.route.Targets {
			r.Targets = append(r.Targets, t.String())
		}
	}
	k.db.Insert(r, func(err error) {
		if errors.Is(err, store.ErrBusy) || errors.Is(err, store.ErrClosed) {
			go k.kept(p, o, b, &d, err) // this is called by Insert itself, and whoever is answered may come with the next message
			return
		}
		k.kept(p, o, b, &d, err)
	})
	k.order.Unlock()
}

// kept answers a message once it is written down.
func (k *keeper) kept(p *passage, o sms.Outcome, b *backlog, d *store.Deferral, err error) {
	k.mu.Lock()
	if err == nil {
		sooner := d.Waiting == store.WaitingTime && d.Next.Before(b.next)
		if sooner {
			b.next = d.Next
		}
		k.mu.Unlock()
		o.Deferred = true
		if sooner {
			k.signal()
		}
		p.answer(o)
		return
	}
	followed, _ := b.leave(d.Queue, d.Octets)
	k.mu.Unlock()
	k.waiting.Add(-1)
	if followed && d.Waiting == store.WaitingTime { // those behind it were to wait for it
		k.promote(b, d.Queue)
	}
	failed := sms.Failed(sms.Temporary, sms.CauseStore, "")
	failed.Egress = o.Egress
	p.fail(failed)
}

// holds says that the fate of a message is for an operator to find out.
func (p *passage) holds(o sms.Outcome) bool {
	return o.Fate == sms.Unknown && p.attempt > 0 && p.route.Targets[p.attempt-1].HoldUnknown
}

// until is the end of a message's validity, as it is kept.
func (k *keeper) until(m *sms.Message) time.Time {
	most := m.Received.Add(time.Duration(k.config.MaxAge))
	end := m.Expires
	if end.IsZero() {
		end = m.Received.Add(time.Duration(k.config.Validity))
	}
	if end.After(most) {
		return most
	}
	return end
}

// full says in words why a backlog takes no more, and gives the event where it is time to tell it. The lock is held.
func (k *keeper) full(b *backlog, octets int, now time.Time) (reason string, told events.DeferredFull) {
	switch {
	case b.count >= k.config.MaxMessages:
		reason = "as many messages wait for " + b.target + " as defer.max_messages allows"
	case b.octets+int64(octets) > k.config.MaxBytes:
		reason = "as much waits for " + b.target + " as defer.max_bytes allows"
	default:
		return "", told
	}
	b.refused++
	k.counters.full.Add(1)
	if now.Sub(b.told) >= fullPause {
		told = events.DeferredFull{Target: b.target, Messages: b.count, Octets: b.octets, Refused: b.refused, Reason: reason}
		b.told, b.refused = now, 0
	}
	return reason, told
}

// tell tells the world that a message waits.
func (k *keeper) tell(p *passage, d *store.Deferral) {
	e := events.MessageDeferred{
		ID: p.m.ID.String(), Ref: p.m.Ref, From: p.m.From.String(), To: p.m.To.String(), Reason: d.Reason, Attempt: d.Attempts,
	}
	if d.Waiting == store.WaitingTime {
		e.NextAttempt = events.Time(d.Next)
	}
	p.tell(e)
}

// promote makes the oldest message of a queue due.
func (k *keeper) promote(b *backlog, queue int64) {
	k.db.Promote(queue, func(err error) {
		if err == nil { // else mend finds it
			k.due(b, time.Now())
		}
	})
}

// due lets the scheduler look at a backlog.
func (k *keeper) due(b *backlog, at time.Time) {
	k.mu.Lock()
	b.dueAt(at)
	k.mu.Unlock()
	k.signal()
}

func (k *keeper) signal() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// up says that a leg can take messages again: what waits for it is tried at once, whatever its time.
func (k *keeper) up(leg string) {
	k.mu.Lock()
	k.tryAll(func(b *backlog) bool { return b.has(leg) }, false)
	k.mu.Unlock()
	k.signal()
}

// rerouted says that messages may have other targets now.
func (k *keeper) rerouted() {
	if k == nil || k.waiting.Load() == 0 {
		return
	}
	k.mu.Lock()
	k.tryAll(func(*backlog) bool { return true }, true)
	k.mu.Unlock()
	k.signal()
}

// tryAll begins a pass over backlogs. The lock is held.
func (k *keeper) tryAll(which func(*backlog) bool, forced bool) {
	now := time.Now()
	for _, b := range k.backlogs {
		if b.count > 0 && which(b) {
			b.pass = &pass{since: now, forced: forced || b.pass != nil && b.pass.forced}
			b.next, b.paused = now, time.Time{}
		}
	}
}

// recipient says that somebody can be reached by a leg again: a user who registered. What waits for him there is tried at once.
func (k *keeper) recipient(leg string, to sms.Address) {
	if k.waiting.Load() == 0 {
		return
	}
	k.mu.Lock()
	for _, b := range k.backlogs {
		if q := queueOf(b.target, to); b.queues[q] > 0 && b.has(leg) {
			k.asked[q] = b
		}
	}
	k.mu.Unlock()
	k.signal()
}

// ready says that a leg can take messages now, as far as is known.
func (k *keeper) ready(leg string) bool { return k.capacity(leg) > 0 }

// sipShare is how many messages may be on their way to SIP, where there are no windows.
const sipShare = 64

// capacity is how many segments a leg can have on their way.
func (k *keeper) capacity(leg string) int {
	l, ok := sms.ParseLeg(leg)
	if !ok {
		return 0
	}
	switch l.Kind {
	case sms.LegConnection:
		return k.g.connections.Capacity(l.Name)
	case sms.LegAccount:
		return k.g.accounts.Capacity(l.Name)
	case sms.LegSIP:
		uri := ""
		if l.Name != "" {
			uri = leg
		}
		if k.g.sip.Ready(uri) {
			return 2 * sipShare
		}
		return 0
	}
	return 1
}

// share is how many deferred messages a target may have that it has not answered: half of what it can take. Zero: it is not ready.
func (k *keeper) share(b *backlog) int {
	room := 0
	for _, leg := range b.legs {
		room += k.capacity(leg)
	}
	return min((room+1)/2, maxFlying)
}

// Attempts are written down ahead of those that the target has, so that it need not wait for the database: as many as it may have, but
// leastAhead of them. maxFlying is the most messages that are on their way to one target.
const leastAhead, maxFlying = 32, 256

func ahead(share int) int { return min(share+max(share, leastAhead), maxFlying) }

// anyReady says that one of the targets of a message can take it.
func (k *keeper) anyReady(targets []route.Target) bool {
	for _, t := range targets {
		if t.Reject || t.Leg.Kind == sms.LegApp || k.ready(legOf(t)) {
			return true
		}
	}
	return false
}
