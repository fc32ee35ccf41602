package gateway

import (
	"context"
	"slices"
	"time"

	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

const (
	// keeperTick is how often is looked for what is over, and how often a write that failed is made again.
	keeperTick = time.Second
	// mendInterval is how often is looked for what waits for a message that is gone.
	mendInterval = time.Minute
	// lookAgain is the wait where what is due cannot be tried yet: its turn comes with the end of another.
	lookAgain = 200 * time.Millisecond
	// targetPause is the wait after a target said that it does not keep up.
	targetPause = time.Second
	// pageSize is how many messages are given up, mended or looked at for a new route in one go.
	pageSize = 200
	// leaseTime is when a message is due again whose attempt is never heard of.
	leaseTime = 15 * time.Minute
)

// run tries what is due, until ctx ends.
func (k *keeper) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-k.wake:
		case <-ctx.Done():
			k.stop()
			return
		}
		timer.Reset(k.round(ctx))
	}
}

// stop ends attempts that were written down and not made: they were never sent.
func (k *keeper) stop() {
	var list []*passage
	k.mu.Lock()
	k.stopped = true
	for _, b := range k.backlogs {
		list = append(list, b.recorded...)
		b.recorded = nil
	}
	k.mu.Unlock()
	k.saveAgain() // for the last time
	for _, p := range list {
		k.missed(p, sms.Failed(sms.Temporary, sms.CauseShutdown, ""))
	}
}

// round does what is due now, and says when to look again.
func (k *keeper) round(ctx context.Context) time.Duration {
	now := time.Now()
	next := now.Add(keeperTick)
	due := now.Sub(k.swept) >= keeperTick
	if due {
		k.swept = now
		k.saveAgain()
		k.forgetIdle()
	}
	if k.waiting.Load() == 0 {
		if k.saving() {
			return keeperTick
		}
		return time.Hour // or until something is kept
	}
	if due {
		if k.expire(ctx, now) {
			k.swept, next = time.Time{}, now
		}
	}
	mend := now.Sub(k.mended) >= mendInterval
	if mend {
		k.mended = now
	}
	k.tryOldest(ctx, k.asked, whyAsked)
	k.tryOldest(ctx, k.moved, whyMoved)
	k.mu.Lock()
	list := make([]*backlog, 0, len(k.backlogs))
	for _, b := range k.backlogs {
		if b.count > 0 {
			list = append(list, b)
		}
	}
	k.mu.Unlock()
	for _, b := range list {
		if mend && k.share(b) > 0 && k.mend(ctx, b, now) {
			k.mended = time.Time{}
		}
		if at := k.fill(ctx, b, now); at.Before(next) {
			next = at
		}
	}
	return max(0, time.Until(next))
}

// attempt makes the attempts to a target that are written down, as far as its share has room.
func (k *keeper) attempt(b *backlog, share int, now time.Time) {
	k.mu.Lock()
	n := min(share-b.open, len(b.recorded))
	if share == 0 {
		n = len(b.recorded) // which finds out who is there
	}
	if n <= 0 || now.Before(b.paused) && share > 0 {
		k.mu.Unlock()
		return
	}
	list := append([]*passage(nil), b.recorded[:n]...)
	b.recorded = append(b.recorded[:0], b.recorded[n:]...)
	b.open += n
	k.mu.Unlock()
	for _, p := range list {
		p.flight.open = true
		p.try()
	}
}

// fill tries what is due for a target, as far as its share of the windows has room, and says when to look again.
func (k *keeper) fill(ctx context.Context, b *backlog, now time.Time) time.Time {
	share := k.share(b)
	k.attempt(b, share, now)
	k.mu.Lock()
	pass, next, paused, room := b.pass, b.next, b.paused, ahead(share)-b.inFlight
	looked := room + min(len(k.flying), maxFlying) + 16 // those on their way are among what is read
	k.mu.Unlock()
	if pass != nil && pass.forced {
		room, paused = maxFlying, time.Time{}
	}
	switch {
	case room <= 0: // the end of one on its way tells when that changes
		return now.Add(keeperTick)
	case share == 0 && (pass == nil || !pass.forced): // and here its leg does
		return now.Add(keeperTick)
	case now.Before(paused):
		return paused
	case pass == nil && now.Before(next):
		return next
	}
	if share > 0 {
		k.mu.Lock()
		b.next = now.Add(time.Hour) // what becomes due from here on is noted
		k.mu.Unlock()
		taken, err := k.try(ctx, b, room, whyDue, func() ([]store.Deferral, error) {
			return k.db.DueDeferrals(ctx, b.target, now, looked)
		})
		if err == nil {
			var first time.Time
			if first, err = k.db.NextDeferral(ctx, b.target); err == nil && !first.IsZero() {
				if taken == 0 && !first.After(now) {
					first = now.Add(lookAgain)
				}
				k.mu.Lock()
				b.dueAt(first)
				k.mu.Unlock()
			}
		}
		if err != nil {
			k.failedToRead(ctx, err)
			k.due(b, now.Add(keeperTick))
			return now.Add(keeperTick)
		}
		room -= taken
	}
	if pass != nil && room > 0 {
		k.goOn(ctx, b, pass, room)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if b.pass != nil {
		return now
	}
	return b.next
}

// goOn tries the next messages of a pass.
func (k *keeper) goOn(ctx context.Context, b *backlog, pass *pass, room int) {
	limit := min(room, pageSize)
	read := 0
	why := whyDue
	if pass.forced {
		why = whyMoved
	}
	_, err := k.try(ctx, b, limit, why, func() ([]store.Deferral, error) {
		list, err := k.db.LaterDeferrals(ctx, b.target, pass.after, pass.since, limit)
		if read = len(list); read > 0 {
			pass.after = list[read-1]
		}
		return list, err
	})
	if err != nil {
		k.failedToRead(ctx, err)
	}
	k.mu.Lock()
	if b.pass == pass && (err != nil || read < limit) {
		b.pass = nil
	}
	k.mu.Unlock()
}

// failedToRead logs that the database does not answer, once until it does.
func (k *keeper) failedToRead(ctx context.Context, err error) {
	if ctx.Err() == nil && !k.failing {
		k.failing = true
		k.log.Error("the messages that wait could not be read; trying again each second", "error", err)
	}
}

func (k *keeper) couldRead() {
	if k.failing {
		k.failing = false
		k.log.Info("the messages that wait can be read again")
	}
}

// reason is why messages are looked at, which says what becomes of one that has no ready target.
type reason uint8

const (
	whyDue   reason = iota // it is put off
	whyMoved               // it may have another route, or is behind one that had: it is left as it is, for the time that its target is up
	whyAsked               // it is tried nevertheless
)

// try reads deferrals of a target and tries at most room of them, after it was written down. It says how many.
func (k *keeper) try(ctx context.Context, b *backlog, room int, why reason, read func() ([]store.Deferral, error)) (int, error) {
	claimed, parked, err := k.claim(ctx, b, room, read)
	if err != nil || len(claimed) == 0 {
		return 0, err
	}
	records, err := k.db.DeferredMessages(ctx, claimed)
	if err != nil {
		k.release(b, claimed)
		return 0, err
	}
	k.dropLost(b, claimed, records)
	var list []*passage
	var ids []sms.ID
	var left []int64 // queues whose oldest message stays as it is, or leaves
	now := time.Now()
	for _, r := range records {
		f := &flight{deferral: *r.Deferral, backlog: b}
		p := k.passage(r, f)
		f.moved = len(p.route.Targets) > 0 && targetOf(p.route.Targets) != b.target
		switch {
		case !now.Before(f.deferral.GiveUp):
			k.fail(p, expiredOutcome(f.deferral.GiveUp))
			left = append(left, f.deferral.Queue)
		case p.route.Loop || len(p.route.Targets) == 0:
			k.putOff(p, sms.Failed(sms.Temporary, sms.CauseNoRoute, "no rule names a target for it now"))
		case why == whyAsked || k.anyReady(p.route.Targets):
			list, ids = append(list, p), append(ids, f.deferral.ID)
		case why == whyMoved && !f.moved:
			k.release(b, []store.Deferral{f.deferral})
			left = append(left, f.deferral.Queue)
		default:
			if f.moved {
				left = append(left, f.deferral.Queue)
			}
			k.putOff(p, sms.Failed(sms.Temporary, sms.CauseNotReady, "no target of its route is up"))
		}
	}
	if len(ids) > 0 {
		k.db.Attempt(ids, now.Add(leaseTime), func(err error) { k.attempted(b, list, err) })
	}
	for _, d := range parked { // behind the attempt, or the delay, which has woken the one before it
		if slices.Contains(left, d.Queue) {
			continue // or nobody would wake it any more
		}
		d.Waiting, d.Next = store.WaitingBehind, now.Add(safetyTime)
		k.db.Delay(d, 0, func(error) {}) // else it is only due once more
	}
	return len(list), nil
}

// tryOldest looks at the oldest message of queues, but for those that are on their way: they stay among queues until that has ended.
func (k *keeper) tryOldest(ctx context.Context, queues map[int64]*backlog, why reason) {
	list := make(map[*backlog][]int64)
	k.mu.Lock()
	for q, b := range queues {
		if _, busy := b.busy[q]; !busy {
			list[b] = append(list[b], q)
			delete(queues, q)
		}
	}
	k.mu.Unlock()
	for b, some := range list {
		_, err := k.try(ctx, b, len(some), why, func() ([]store.Deferral, error) { return k.db.OldestDeferrals(ctx, some) })
		if err == nil {
			continue
		}
		k.failedToRead(ctx, err)
		k.mu.Lock()
		for _, q := range some {
			queues[q] = b
		}
		k.mu.Unlock()
	}
}
