package sip

import (
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"sipsmpp/gateway/sms"
)

const laneShards = 32

// lanes let one MESSAGE at a time go to an address (RFC 3428, 8): the next waits for the answer to the one before, so that a
// user agent has to do with one, and they come in their order.
type lanes struct {
	seed   maphash.Seed
	shards [laneShards]laneShard
}

type laneShard struct {
	mu sync.Mutex
	m  map[string]*lane // there while a message is under way
}

func (l *lanes) shard(address string) *laneShard {
	return &l.shards[maphash.String(l.seed, address)%laneShards]
}

// lane is what goes to one address.
type lane struct {
	busy      bool // a message is under way
	advancing bool // somebody starts the next ones
	waiting   []*queued
	timer     *time.Timer // for the first of those that wait when it was set; nil: it does not run
}

// queued is a message that waits for its turn.
type queued struct {
	start    func(done func(sms.Outcome))
	done     func(sms.Outcome)
	deadline time.Time
}

func newLanes() *lanes {
	l := &lanes{seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].m = make(map[string]*lane)
	}
	return l
}

// inLane starts a message when it is its turn; done is told what became of it, and the next one has its turn. It waits no longer than
// for an answer (Timer F), since its sender waits, too.
func (e *Endpoint) inLane(address string, start func(done func(sms.Outcome)), done func(sms.Outcome)) {
	shard := e.lanes.shard(address)
	shard.mu.Lock()
	l := shard.m[address]
	if l == nil {
		l = &lane{}
		shard.m[address] = l
	}
	if !l.busy && !l.advancing {
		l.busy = true
		shard.mu.Unlock()
		start(func(o sms.Outcome) { e.leaveLane(address, o); done(o) })
		return
	}
	// It counts among those that wait for an answer, and Close waits for it.
	e.hold()
	full := int(e.inFlight.Add(1)) > e.cfg.MaxPending
	if !full {
		l.waiting = append(l.waiting, &queued{start, done, time.Now().Add(e.cfg.TimerF)})
		if l.timer == nil {
			l.timer = time.AfterFunc(e.cfg.TimerF, func() { e.overdue(address, l) })
		}
	}
	shard.mu.Unlock()
	if full {
		e.inFlight.Add(-1)
		e.release()
		done(e.tooMany())
	}
}

// leaveLane lets the next message go to an address. Those behind one that got no answer get none in turn: each would wait as long.
func (e *Endpoint) leaveLane(address string, o sms.Outcome) {
	shard := e.lanes.shard(address)
	shard.mu.Lock()
	l := shard.m[address]
	l.busy = false
	if l.advancing {
		shard.mu.Unlock()
		return // whoever does so sees it
	}
	l.advancing = true
	var given []*queued
	if (o.Fate == sms.Unknown || o.Fate == sms.NotSent) && o.Severity == sms.Temporary {
		given, l.waiting = l.waiting, nil
	}
	for !l.busy && len(l.waiting) > 0 {
		next := l.waiting[0]
		l.waiting[0] = nil
		l.waiting = l.waiting[1:]
		l.busy = true
		shard.mu.Unlock()
		e.inFlight.Add(-1) // and counts anew where it goes
		next.start(func(o sms.Outcome) { e.leaveLane(address, o); next.done(o) })
		e.release()
		shard.mu.Lock()
	}
	l.advancing = false
	if !l.busy {
		delete(shard.m, address)
		if l.timer != nil {
			l.timer.Stop()
		}
	}
	shard.mu.Unlock()
	e.giveUp(given, "the message before it to the same address was not answered")
}

// overdue gives up what waits once the first has waited too long: those behind it too, so that what is tried again later is in its
// order.
func (e *Endpoint) overdue(address string, l *lane) {
	shard := e.lanes.shard(address)
	var given []*queued
	shard.mu.Lock()
	if len(l.waiting) > 0 {
		if left := time.Until(l.waiting[0].deadline); left > 0 {
			l.timer.Reset(left)
			shard.mu.Unlock()
			return
		}
		given, l.waiting = l.waiting, nil
	}
	l.timer = nil
	shard.mu.Unlock()
	e.giveUp(given, fmt.Sprintf("those before it to the same address took longer than %v", e.cfg.TimerF))
}

// giveUp ends messages that had no turn.
func (e *Endpoint) giveUp(list []*queued, reason string) {
	for _, q := range list {
		e.inFlight.Add(-1)
		failed := sms.Failed(sms.Temporary, sms.CauseNotReady, reason)
		failed.Egress = sms.SIP
		q.done(failed)
		e.release()
	}
}

// tooMany is the outcome of a message for which there is no place.
func (e *Endpoint) tooMany() sms.Outcome {
	o := sms.Failed(sms.Temporary, sms.CauseQueueFull, fmt.Sprintf("%d messages to SIP wait for an answer", e.cfg.MaxPending))
	o.Egress = sms.SIP
	return o
}
