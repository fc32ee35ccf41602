package sip

import (
	"fmt"
	"hash/maphash"
	"sync"

	"sipsmpp/gateway/sms"
)

const laneShards = 32

// lanes let one MESSAGE at a time go to an address (RFC 3428, 8): the next waits for the answer to the one before, so that a
// user agent has to do with one, and they come in their order.
type lanes struct {
	seed   maphash.Seed
	shards [laneShards]struct {
		mu sync.Mutex
		m  map[string]*lane // there while a message is under way
	}
}

// lane is what goes to one address.
type lane struct {
	busy      bool // a message is under way
	advancing bool // somebody starts the next ones
	waiting   []*queued
}

// queued is a message that waits for its turn.
type queued struct {
	start func(done func(sms.Outcome))
	done  func(sms.Outcome)
}

func newLanes() *lanes {
	l := &lanes{seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].m = make(map[string]*lane)
	}
	return l
}

// inLane starts a message when it is its turn; done is told what became of it, and the next one has its turn.
func (e *Endpoint) inLane(address string, start func(done func(sms.Outcome)), done func(sms.Outcome)) {
	shard := &e.lanes.shards[maphash.String(e.lanes.seed, address)%laneShards]
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
		l.waiting = append(l.waiting, &queued{start: start, done: done})
	}
	shard.mu.Unlock()
	if full {
		e.overtaken()
		done(e.tooMany())
	}
}

// leaveLane lets the next message go to an address. Those behind one that got no answer get none in turn: each would wait as long.
func (e *Endpoint) leaveLane(address string, o sms.Outcome) {
	shard := &e.lanes.shards[maphash.String(e.lanes.seed, address)%laneShards]
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
		next.start(func(o sms.Outcome) { e.leaveLane(address, o); next.done(o) })
		e.overtaken()
		shard.mu.Lock()
	}
	l.advancing = false
	if !l.busy {
		delete(shard.m, address)
	}
	shard.mu.Unlock()
	for _, q := range given {
		e.overtaken()
		failed := sms.Failed(sms.Temporary, sms.CauseNotReady, "the message before it to the same address was not answered")
		failed.Egress = sms.SIP
		q.done(failed)
	}
}

// overtaken counts a message out that waited for its turn.
func (e *Endpoint) overtaken() {
	e.inFlight.Add(-1)
	e.release()
}

// tooMany is the outcome of a message for which there is no place.
func (e *Endpoint) tooMany() sms.Outcome {
	o := sms.Failed(sms.Temporary, sms.CauseQueueFull, fmt.Sprintf("%d messages to SIP wait for an answer", e.cfg.MaxPending))
	o.Egress = sms.SIP
	return o
}
