package gateway

import (
	"context"
	"time"

	"sipsmpp/gateway/route"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// How the keeper takes deferred messages out of the database, so that each is tried by one at a time and in its turn.

// claim reads deferrals, and takes those that can be tried now: in each queue the oldest, unless one is on its way. parked are those
// that gave the time, and are not the oldest.
func (k *keeper) claim(ctx context.Context, b *backlog, room int, read func() ([]store.Deferral, error)) (claimed, parked []store.Deferral, err error) {
	err = k.reading(func() error {
		list, err := read()
		if err != nil {
			return err
		}
		oldest, err := k.oldest(ctx, b, list)
		if err != nil {
			return err
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		for _, timer := range list {
			if len(claimed) == room {
				break
			}
			d := timer
			if first, ok := oldest[d.Queue]; ok {
				d = first
			}
			if !k.free(b, d) {
				continue
			}
			k.flying[d.ID] = struct{}{}
			if d.Queue != 0 {
				b.busy[d.Queue] = struct{}{}
			}
			b.inFlight++
			claimed = append(claimed, d)
			if timer.ID != d.ID {
				parked = append(parked, timer)
			}
		}
		return nil
	})
	return claimed, parked, err
}

// reading lets f read the database. What ends meanwhile is noted, since f may have read it before.
func (k *keeper) reading(f func() error) error {
	k.mu.Lock()
	k.finished = make(map[sms.ID]struct{})
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		k.finished = nil
		k.mu.Unlock()
	}()
	return f()
}

// oldest gives the oldest message of the queues in which others wait behind those of a list.
func (k *keeper) oldest(ctx context.Context, b *backlog, list []store.Deferral) (map[int64]store.Deferral, error) {
	var shared []int64
	k.mu.Lock()
	for _, d := range list {
		if _, busy := b.busy[d.Queue]; !busy && b.queues[d.Queue] > 1 {
			shared = append(shared, d.Queue)
		}
	}
	k.mu.Unlock()
	if len(shared) == 0 {
		return nil, nil
	}
	found, err := k.db.OldestDeferrals(ctx, shared)
	oldest := make(map[int64]store.Deferral, len(found))
	for _, d := range found {
		oldest[d.Queue] = d
	}
	return oldest, err
}

// free says that a message is not on its way, and none of its queue in b is. The lock is held.
func (k *keeper) free(b *backlog, d store.Deferral) bool {
	_, taken := k.flying[d.ID]
	if !taken {
		_, taken = k.finished[d.ID]
	}
	if !taken && b != nil {
		_, taken = b.busy[d.Queue]
	}
	return !taken
}

// release takes back a claim of which nothing came. With no backlog it took no places there.
func (k *keeper) release(b *backlog, list []store.Deferral) {
	k.mu.Lock()
	for _, d := range list {
		if b != nil {
			b.inFlight--
			delete(b.busy, d.Queue)
		}
		delete(k.flying, d.ID)
	}
	k.mu.Unlock()
}

// dropLost forgets deferrals whose messages somebody deleted from the database.
func (k *keeper) dropLost(b *backlog, claimed []store.Deferral, records []*store.Record) {
	if len(claimed) == len(records) {
		return
	}
	known := make(map[sms.ID]bool, len(records))
	for _, r := range records {
		known[r.Message.ID] = true
	}
	for _, d := range claimed {
		if !known[d.ID] {
			k.log.Error("a message waits that is no longer in table message: it is forgotten", "message", d.ID)
			f := k.loose(d)
			f.loose = b == nil
			k.end(f, store.End{Record: &store.Record{Message: &sms.Message{ID: d.ID}, State: store.RecordFailed}}, func() {})
		}
	}
}

// passage makes the way of a deferred message anew: its route is decided at each attempt.
func (k *keeper) passage(r *store.Record, f *flight) *passage {
	p := &passage{g: k.g, m: r.Message, flight: f, done: func(sms.Outcome) {}}
	if p.route = k.g.routes.Load().Decide(r.Message); len(r.Targets) > 0 {
		var targets []route.Target
		for _, text := range r.Targets {
			if t, err := route.ParseTarget(text); err == nil {
				targets = append(targets, t)
			}
		}
		p.route.Targets, p.route.Loop, p.route.Decided = targets, false, true
	}
	p.route.Targets = onward(p.route.Targets)
	p.out, p.counts = p.route.Rewrite(r.Message), k.g.measures.rules.of(&p.route)
	return p
}

// attempted makes attempts once they are written down. It is called by the committer, and leaves them to the scheduler.
func (k *keeper) attempted(b *backlog, list []*passage, err error) {
	k.mu.Lock()
	stopped := k.stopped
	if err == nil && !stopped {
		b.recorded = append(b.recorded, list...)
	}
	k.mu.Unlock()
	switch {
	case err != nil:
		deferrals := make([]store.Deferral, len(list))
		for i, p := range list {
			deferrals[i] = p.flight.deferral
		}
		k.release(b, deferrals)
		k.due(b, time.Now().Add(keeperTick))
		return
	case stopped:
		for _, p := range list {
			k.missed(p, sms.Failed(sms.Temporary, sms.CauseShutdown, ""))
		}
	}
	k.signal()
}
