package smpp

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sipsmpp/gateway/sms"
)

// The pause of a connection or account that tells us to send less: it doubles from the first to the last, until a segment is
// accepted again.
const (
	firstPause = 250 * time.Millisecond
	lastPause  = 8 * time.Second
)

// outbox is what leaves by one connection or account: the messages that wait, the lanes that they go by, and how fast they go. It
// is a part of its owner, whose lock is the outbox's.
type outbox struct {
	leg      sms.Leg
	log      *slog.Logger
	counters *counters
	statuses map[uint32]sms.Severity // that the row moves to another class
	refs     atomic.Uint32           // concatenation references
	// slower and free tell that the peer asks for less, and that it does no longer. They are called without the lock.
	slower func(Throttle)
	free   func()

	mu           sync.Mutex
	lanes        []*lane
	queue        queue
	queueTimeout time.Duration
	pausedUntil  time.Time
	pauses       int
	pace         pace
	timer        *time.Timer
	timerAt      time.Time
}

// lane is one bind as its outbox sees it. The outbox's lock guards it.
type lane struct {
	session  *session    // nil: it has none
	draining bool        // it is to end once nothing is in flight: no message is begun
	current  *submission // a message of which a part was sent
}

// open makes an outbox ready for use: one that goes as fast as throughput says, in segments per second, 0 without a limit.
func (o *outbox) open(leg sms.Leg, log *slog.Logger, counts *counters, throughput int) {
	o.leg, o.log, o.counters, o.pace = leg, log, counts, newPace(throughput)
	o.refs.Store(rand.Uint32())
}

// ref is a concatenation reference for the next message.
func (o *outbox) ref() uint16 { return uint16(o.refs.Add(1)) }

// shut stops the timer of an outbox whose lanes are gone.
func (o *outbox) shut() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.timer != nil {
		o.timer.Stop()
	}
}

// push queues a message, and sends what can be sent now. It gives up the lock, which is held.
func (o *outbox) push(s *submission, now time.Time) {
	o.queue.push(s)
	ended := o.pump(now, nil)
	o.mu.Unlock()
	o.end(ended)
}

// pump sends what can be sent now, and appends to ended what ended without. The lock is held.
func (o *outbox) pump(now time.Time, ended []*submission) []*submission {
	for o.queue.overdue(now) {
		s := o.queue.front()
		o.queue.pop()
		s.fail(sms.Failed(sms.Temporary, sms.CauseQueueFull, "no slot of a window came free in "+o.queueTimeout.String()))
		ended = append(ended, s)
	}
	for !now.Before(o.pausedUntil) {
		l := o.pick()
		if l == nil {
			break
		}
		s := l.current
		if s == nil {
			if s = o.queue.front(); s.expired(now) {
				o.queue.pop()
				s.fail(expired(s.m))
				ended = append(ended, s)
				continue
			}
		}
		if wait := o.pace.reserve(now); wait > 0 {
			o.wakeAt(now.Add(wait))
			break
		}
		err := l.session.submit(s, s.next, now)
		if errors.Is(err, errNoRoom) {
			break // it died since pick looked; its end pumps again
		}
		if l.current == nil {
			o.queue.pop()
		}
		l.current = nil
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
		o.pace.count(now)
		if s.open++; s.next == 0 {
			s.begun = now
		}
		if s.next++; s.next < len(s.encoded.Parts) {
			l.current = s // all segments of a message go by one bind, in order
		}
	}
	if now.Before(o.pausedUntil) && (o.queue.len() > 0 || o.begun()) {
		o.wakeAt(o.pausedUntil)
	}
	if s := o.queue.front(); s != nil {
		o.wakeAt(s.deadline)
	}
	return ended
}

// begun says that a lane has sent a part of a message.
func (o *outbox) begun() bool {
	return slices.ContainsFunc(o.lanes, func(l *lane) bool { return l.current != nil })
}

// pick finds the lane to send the next segment by: one that has begun a message, else the one with most room for the front of
// the queue. nil: there is nothing to send, or no room.
func (o *outbox) pick() *lane {
	var best *lane
	most := 0
	for _, l := range o.lanes {
		if l.session == nil || l.current == nil && (l.draining || o.queue.len() == 0) {
			continue
		}
		room := l.session.room()
		if room > 0 && l.current != nil {
			return l
		}
		if l.current == nil && room > most {
			best, most = l, room
		}
	}
	return best
}

// wakeAt makes tick run at the given time, or before. The lock is held.
func (o *outbox) wakeAt(at time.Time) {
	if !o.timerAt.IsZero() && !at.Before(o.timerAt) {
		return
	}
	o.timerAt = at
	if o.timer == nil {
		o.timer = time.AfterFunc(time.Until(at), o.tick)
	} else {
		o.timer.Reset(time.Until(at))
	}
}

// tick does what is due by time: the end of a pause, of a wait for throughput, and messages that waited too long.
func (o *outbox) tick() {
	o.mu.Lock()
	o.timerAt = time.Time{}
	ended := o.pump(time.Now(), nil)
	o.mu.Unlock()
	o.end(ended)
}

// answered takes what became of segments that went by l, and sends what has room now.
func (o *outbox) answered(l *lane, answers []answer) {
	now := time.Now()
	var room [32]*submission
	ended := room[:0]
	var throttle Throttle
	freed := false
	o.mu.Lock()
	for i := range answers {
		a := &answers[i]
		o.classify(a)
		a.timed(o.counters, now)
		if o.heed(a, now, &throttle) {
			freed = true
		}
		s := a.message
		s.record(a)
		if s.stopped && l.current == s {
			l.current = nil
		}
		if s.over() {
			ended = append(ended, s)
		}
	}
	ended = o.pump(now, ended)
	drained := l.draining && l.current == nil
	o.mu.Unlock()

	o.end(ended)
	if drained {
		o.settle(l)
	}
	if throttle.Throughput != 0 {
		o.log.Warn("the peer throttles us", "status", throttle.Status, "congestion_state", throttle.Congestion,
			"until", throttle.Until, "throughput", throttle.Throughput)
		o.slower(throttle)
	}
	if freed {
		o.log.Info("the peer throttles us no longer")
		o.free()
	}
}

// heed slows the outbox down, or lets it be faster, as one answer asks. throttle is filled in where it got slower; free says
// that it is as free again as the row says. The lock is held.
func (o *outbox) heed(a *answer, now time.Time, throttle *Throttle) (free bool) {
	paused := now.Before(o.pausedUntil)
	switch {
	case a.fate == sms.Refused && a.severity == sms.Throttled:
		if paused { // of the burst that the pause is for
			return false
		}
		o.pausedUntil = now.Add(min(firstPause<<min(o.pauses, 16), lastPause))
		o.pauses++
		o.pace.slow(now, 0.5)
		*throttle = Throttle{Status: a.status, Until: o.pausedUntil}
	case paused:
		return false
	case a.congested:
		var slower bool
		if slower, free = o.pace.congestion(now, a.congestion); !slower {
			break
		}
		*throttle = Throttle{Congestion: a.congestion}
	case a.fate == sms.Accepted:
		free = o.pace.raise(now)
	}
	if a.fate == sms.Accepted {
		o.pauses = 0
	}
	if throttle.Throughput == 0 && (throttle.Status != 0 || throttle.Congestion != 0) {
		throttle.Throughput = o.pace.slowed
	}
	return free
}

// classify sets how bad a refusal is here, and counts what became of the segment.
func (o *outbox) classify(a *answer) {
	switch a.fate {
	case sms.Accepted:
		o.counters.sent.Add(1)
	case sms.Refused:
		o.counters.refused.Add(1)
		if a.severity = o.severity(a.status); a.severity == sms.Throttled {
			o.counters.throttled.Add(1)
		}
	case sms.Unknown:
		o.counters.unanswered.Add(1)
	}
}

// cut is called when the session of a lane is over: what it had begun goes no further. left is what was in flight. What ended by
// that is appended to ended. The lock is held.
func (o *outbox) cut(l *lane, left []answer, cause error, ended []*submission) []*submission {
	if s := l.current; s != nil {
		l.current = nil
		s.stopped, s.reason = true, cause
		if s.open == 0 {
			ended = append(ended, s)
		}
	}
	for i := range left {
		o.classify(&left[i])
		s := left[i].message
		s.record(&left[i])
		if s.over() {
			ended = append(ended, s)
		}
	}
	return ended
}

// giveUp ends what waits in the queue, for want of a lane. The lock is held.
func (o *outbox) giveUp(reason string, ended []*submission) []*submission {
	for _, s := range o.queue.take() {
		s.fail(sms.Failed(sms.Temporary, sms.CauseNotReady, reason))
		ended = append(ended, s)
	}
	return ended
}

// settle unbinds a lane that is to end, if nothing is in flight.
func (o *outbox) settle(l *lane) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if l.finished() {
		l.session.unbind()
	}
}

// finished says that a lane is to end, and that nothing is in flight either way; from now on the peer is refused what it sends.
// The lock is held.
func (l *lane) finished() bool {
	return l.draining && l.session != nil && l.session.drain() && l.current == nil
}

// end tells what became of messages. No lock is held.
func (o *outbox) end(ended []*submission) {
	for _, s := range ended {
		s.done(s.outcome(o.leg))
	}
}
