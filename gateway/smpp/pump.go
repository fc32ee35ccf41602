package smpp

import (
	"errors"
	"time"

	"sipsmpp/gateway/sms"
)

// The pause of a connection that is told to send less: it doubles from the first to the last, until a segment is accepted again.
const (
	firstPause = 250 * time.Millisecond
	lastPause  = 8 * time.Second
)

// pump sends what can be sent now, and appends to ended what ended without. The lock is held.
func (c *connection) pump(now time.Time, ended []*submission) []*submission {
	for c.queue.overdue(now) {
		s := c.queue.front()
		c.queue.pop()
		s.fail(sms.Failed(sms.Temporary, sms.CauseQueueFull, "no slot of a window came free in "+c.cfg.QueueTimeout.String()))
		ended = append(ended, s)
	}
	for !now.Before(c.pausedUntil) {
		b := c.pick()
		if b == nil {
			break
		}
		s := b.current
		if s == nil {
			if s = c.queue.front(); s.expired(now) {
				c.queue.pop()
				s.fail(expired(s.m))
				ended = append(ended, s)
				continue
			}
		}
		if wait := c.pace.reserve(now); wait > 0 {
			c.wakeAt(now.Add(wait))
			break
		}
		err := b.session.submit(s, s.next, now)
		if errors.Is(err, errNoRoom) {
			break // it died since pick looked; its end pumps again
		}
		if b.current == nil {
			c.queue.pop()
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
		c.pace.count(now)
		s.open++
		if s.next++; s.next < len(s.encoded.Parts) {
			b.current = s // all segments of a message go by one bind, in order
		}
	}
	if now.Before(c.pausedUntil) && (c.queue.len() > 0 || c.begun()) {
		c.wakeAt(c.pausedUntil)
	}
	if s := c.queue.front(); s != nil {
		c.wakeAt(s.deadline)
	}
	return ended
}

// begun says that a bind has sent a part of a message.
func (c *connection) begun() bool {
	for _, b := range c.binds {
		if b.current != nil {
			return true
		}
	}
	return false
}

// pick finds the bind to send the next segment by: one that has begun a message, else the one with most room for the front of
// the queue. nil: there is nothing to send, or no room.
func (c *connection) pick() *bind {
	var best *bind
	most := 0
	for _, b := range c.binds {
		if b.session == nil || b.current == nil && (b.draining || c.queue.len() == 0) {
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
func (c *connection) wakeAt(at time.Time) {
	if !c.timerAt.IsZero() && !at.Before(c.timerAt) {
		return
	}
	c.timerAt = at
	if c.timer == nil {
		c.timer = time.AfterFunc(time.Until(at), c.tick)
	} else {
		c.timer.Reset(time.Until(at))
	}
}

// tick does what is due by time: the end of a pause, of a wait for throughput, and messages that waited too long.
func (c *connection) tick() {
	c.mu.Lock()
	c.timerAt = time.Time{}
	ended := c.pump(time.Now(), nil)
	c.mu.Unlock()
	c.end(ended)
}

// answered takes what became of segments that went by b, and sends what has room now.
func (c *connection) answered(b *bind, answers []answer) {
	now := time.Now()
	var room [32]*submission
	ended := room[:0]
	var throttle Throttle
	freed := false
	c.mu.Lock()
	for i := range answers {
		a := &answers[i]
		c.classify(a)
		if c.heed(a, now, &throttle) {
			freed = true
		}
		s := a.message
		s.record(a)
		if s.stopped && b.current == s {
			b.current = nil
		}
		if s.over() {
			ended = append(ended, s)
		}
	}
	ended = c.pump(now, ended)
	drained := b.draining && b.current == nil
	c.mu.Unlock()

	c.end(ended)
	if drained {
		b.settle()
	}
	if throttle.Connection != "" {
		c.log.Warn("the peer throttles us", "status", throttle.Status, "congestion_state", throttle.Congestion,
			"until", throttle.Until, "throughput", throttle.Throughput)
		c.all.handler.Throttled(throttle)
	}
	if freed {
		c.log.Info("the peer throttles us no longer")
		c.all.handler.Unthrottled(c.row.Name)
	}
}

// heed slows the connection down, or lets it be faster, as one answer asks. throttle is filled in where it got slower; free says
// that it is as free again as the row says. The lock is held.
func (c *connection) heed(a *answer, now time.Time, throttle *Throttle) (free bool) {
	paused := now.Before(c.pausedUntil)
	switch {
	case a.fate == sms.Refused && a.severity == sms.Throttled:
		if paused { // of the burst that the pause is for
			return false
		}
		c.pausedUntil = now.Add(min(firstPause<<min(c.pauses, 16), lastPause))
		c.pauses++
		c.pace.slow(now, 0.5)
		*throttle = Throttle{Status: a.status, Until: c.pausedUntil}
	case paused:
		return false
	case a.congested:
		var slower bool
		if slower, free = c.pace.congestion(now, a.congestion); !slower {
			break
		}
		*throttle = Throttle{Congestion: a.congestion}
	case a.fate == sms.Accepted:
		free = c.pace.raise(now)
	}
	if a.fate == sms.Accepted {
		c.pauses = 0
	}
	if throttle.Throughput == 0 && (throttle.Status != 0 || throttle.Congestion != 0) {
		throttle.Connection, throttle.Throughput = c.row.Name, c.pace.slowed
	}
	return free
}

// classify sets how bad a refusal is to this connection, and counts what became of the segment.
func (c *connection) classify(a *answer) {
	if a.fate == sms.Refused {
		a.severity = c.severity(a.status)
	}
	switch a.fate {
	case sms.Accepted:
		c.counters.sent.Add(1)
	case sms.Refused:
		c.counters.refused.Add(1)
		if a.severity == sms.Throttled {
			c.counters.throttled.Add(1)
		}
	case sms.Unknown:
		c.counters.unanswered.Add(1)
	}
}
