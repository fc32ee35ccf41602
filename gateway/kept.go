package gateway

import (
	"math/rand/v2"
	"time"

	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// What becomes of attempts to send deferred messages. An event is published before the write that it tells of is queued, so that a
// crash between them makes it come twice, and not never.

// missed takes an attempt that nobody took: the message waits on, or is given up.
func (k *keeper) missed(p *passage, o sms.Outcome) {
	now := time.Now()
	d := p.flight.deferral
	if o.Cause == sms.CauseShutdown || o.Cause == sms.CauseStore { // it says nothing of the message
		d.Next, d.Changed = now, now
		k.delay(p.flight, d, func() {})
		return
	}
	if !now.Before(d.GiveUp) && o.Severity != sms.Permanent {
		o = expiredOutcome(d.GiveUp)
	}
	target := p.route.Targets[max(p.attempt, 1)-1]
	if o.Severity == sms.Permanent || target.Reject || o.Fate == sms.Unknown && target.FailUnknown {
		k.fail(p, o)
		return
	}
	d.Attempts, d.Changed, d.Reason, d.Failed = p.attempts(), now, o.Reason(), p.failed
	if o.Fate == sms.Unknown {
		d.Unknown++
		k.counters.unknown.Add(1)
	}
	k.place(p, &d)
	if p.holds(o) {
		d.Waiting, d.Queue = store.WaitingOperator, 0
	}
	d.Next = k.nextAttempt(&d, now)
	if o.Cause == sms.CauseQueueFull || o.Severity == sms.Throttled {
		k.mu.Lock()
		p.flight.backlog.paused = now.Add(targetPause)
		k.mu.Unlock()
	}
	k.tell(p, &d)
	k.delay(p.flight, d, func() {})
}

// putOff lets a message wait on that was not tried, since it has no target or none that is up.
func (k *keeper) putOff(p *passage, o sms.Outcome) {
	now := time.Now()
	d := p.flight.deferral
	if len(p.route.Targets) > 0 {
		k.place(p, &d)
	}
	d.Waiting = store.WaitingTime // it is the first of its queue, also if it was not when it was written
	d.Reason, d.Changed = o.Reason(), now
	// The time that it has waited grows with each time that it is put off, and so does the time to the next.
	wait := min(max(now.Sub(p.m.Received)/4, time.Duration(k.config.FirstDelay)), time.Duration(k.config.MaxDelay))
	d.Next = now.Add(wait - wait/5 + rand.N(wait*2/5+1))
	k.delay(p.flight, d, func() {})
}

// place says where a message waits by its route, which may have changed.
func (k *keeper) place(p *passage, d *store.Deferral) {
	d.Target = targetOf(p.route.Targets)
	d.Queue = queueOf(d.Target, p.out.To)
	d.Waiting = store.WaitingTime
}

// nextAttempt is when a message is to be tried again: the delay doubles with each attempt, and is a fifth longer or shorter by
// chance, so that what failed together is not tried together.
func (k *keeper) nextAttempt(d *store.Deferral, now time.Time) time.Time {
	switch d.Waiting {
	case store.WaitingBehind:
		return now.Add(safetyTime)
	case store.WaitingOperator:
		return d.GiveUp
	}
	wait := time.Duration(k.config.FirstDelay)
	for range d.Attempts - 1 {
		if wait *= 2; wait >= time.Duration(k.config.MaxDelay) {
			wait = time.Duration(k.config.MaxDelay)
			break
		}
	}
	return now.Add(wait - wait/5 + rand.N(wait*2/5+1))
}

// delay writes how a message waits on, and calls done once that is written.
func (k *keeper) delay(f *flight, d store.Deferral, done func()) {
	was := f.deferral
	k.order.Lock()
	defer k.order.Unlock()
	left := int64(0)
	k.mu.Lock()
	b := f.backlog
	k.land(f)
	if d.Queue != was.Queue || d.Target != was.Target {
		followed, known := f.backlog.leave(was.Queue, was.Octets)
		if followed {
			left = was.Queue
		}
		if !known {
			k.waiting.Add(1)
		}
		b = k.backlog(d.Target)
		b.join(d.Queue, d.Octets)
	}
	k.mu.Unlock()
	k.save(f, func(done func(error)) { k.db.Delay(d, left, done) }, func() {
		k.mu.Lock()
		if d.Waiting == store.WaitingTime {
			b.dueAt(d.Next)
		}
		if left != 0 {
			k.next(f, left)
		}
		k.mu.Unlock()
		done()
	})
}

// sent takes an attempt that a next hop took, where nobody waits for a report.
func (k *keeper) sent(p *passage, o sms.Outcome) {
	k.accepted(p)(p.record(o, store.RecordDone), func(error) {})
}

// accepted gives what writes the record of a message that a next hop took.
func (k *keeper) accepted(p *passage) func(*store.Record, func(error)) {
	return func(r *store.Record, done func(error)) {
		k.counters.sent.Add(1)
		k.end(p.flight, store.End{Record: r}, func() { done(nil) })
	}
}

// fail gives a message up. Its sender, who was told that we have it, is told what became of it, as far as that is wanted.
func (k *keeper) fail(p *passage, o sms.Outcome) {
	k.failAs(p, o, reportState(o), func() {})
}

// failAs says what the report tells, and calls done once that is written.
func (k *keeper) failAs(p *passage, o sms.Outcome, state sms.State, done func()) {
	g, m, now := k.g, p.m, time.Now()
	k.counters.failed.Add(1)
	if state == sms.StateExpired {
		k.counters.expired.Add(1)
	}
	g.measures.gaveUp(p, &o)
	p.tellFailed(o)
	r := &store.Record{
		Message: m, State: store.RecordFailed, Egress: o.Egress, Rule: p.route.Rule, Attempts: p.attempts(), Report: state,
		ReportError: errorOf(o), DoneTime: now, Failed: p.failed,
	}
	known := recordedOf(r)
	told := store.MessageReport{State: state, Error: r.ReportError, DoneTime: now, Changed: true, Complete: true}
	if known.hears(told) {
		p.tell(report(known, told))
	}
	owed := g.relay.owe(known, o.Egress, told)
	if r.Egress == (sms.Leg{}) && len(p.route.Targets) > 0 {
		r.Egress = p.route.Targets[0].Leg
	}
	k.end(p.flight, store.End{Record: r, Receipts: owed}, func() {
		g.relay.send(owed)
		if known.hears(told) {
			g.tellSender(known, told)
		}
		done()
	})
}

// end writes that the wait of a message is over, and calls done once that is written.
func (k *keeper) end(f *flight, e store.End, done func()) {
	e.Queue, e.DropText = f.deferral.Queue, !k.g.keepsTexts()
	e.Forget = k.g.config.Records.Messages != recordsAll && (e.Record.State == store.RecordFailed ||
		e.Record.State == store.RecordDone && e.Record.Message.IdempotencyKey == "")
	k.order.Lock()
	defer k.order.Unlock()
	k.mu.Lock()
	k.land(f)
	var known bool
	if e.Followed, known = f.backlog.leave(e.Queue, f.deferral.Octets); known {
		k.waiting.Add(-1)
	}
	k.mu.Unlock()
	k.save(f, func(written func(error)) { k.db.End(e, written) }, func() {
		if e.Followed {
			k.mu.Lock()
			k.next(f, e.Queue)
			k.mu.Unlock()
		}
		done()
	})
}

// next lets the scheduler look at the message that was behind one in its queue, which is due now. Where that went another way, it is
// looked at though nobody is there whom it waits for. The lock is held.
func (k *keeper) next(f *flight, queue int64) {
	b := k.backlog(f.backlog.target) // which may have been forgotten meanwhile
	b.dueAt(time.Now())
	if f.moved {
		k.moved[queue] = b
	}
}

// land frees the place that a message has among those on their way. Its id is free once its end is written. The lock is held.
func (k *keeper) land(f *flight) {
	if f.open {
		f.open = false
		f.backlog.open--
	}
	if !f.loose {
		f.backlog.inFlight--
		delete(f.backlog.busy, f.deferral.Queue)
		f.loose = true
	}
}

// save makes a write that must be made: where it fails it is made again until it succeeds, and until then the message is on its way.
func (k *keeper) save(f *flight, write func(func(error)), saved func()) {
	write(func(err error) {
		if store.IsRowFault(err) {
			// It never succeeds; or it did already, and only the answer of the database was lost.
			k.log.Error("what became of a deferred message cannot be written", "message", f.deferral.ID, "error", err)
			err = nil
		}
		k.mu.Lock()
		if err != nil {
			k.unsaved = append(k.unsaved, func() { k.save(f, write, saved) }) // the store says once that it fails
			k.mu.Unlock()
			k.signal()
			return
		}
		delete(k.flying, f.deferral.ID)
		if k.finished != nil {
			k.finished[f.deferral.ID] = struct{}{}
		}
		k.mu.Unlock()
		saved()
		k.signal()
	})
}

// maxUnsaved bounds the writes beside those of deferred messages that wait for the database to be back.
const maxUnsaved = 50_000

// again lets a write be made again that failed. It is false where too many wait already.
func (k *keeper) again(write func()) bool {
	k.mu.Lock()
	room := len(k.unsaved) < maxUnsaved && !k.stopped
	if room {
		k.unsaved = append(k.unsaved, write)
	}
	k.mu.Unlock()
	if room {
		k.signal()
	}
	return room
}

// saving says that there are writes to be made again.
func (k *keeper) saving() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.unsaved) > 0
}

// saveAgain makes the writes again that failed.
func (k *keeper) saveAgain() {
	k.mu.Lock()
	list := k.unsaved
	k.unsaved = nil
	k.mu.Unlock()
	for _, write := range list {
		write()
	}
}

// keepsTexts says that records have what their messages say.
func (g *Gateway) keepsTexts() bool { return g.config.Records.Text == nil || *g.config.Records.Text }
