package smpp

import (
	"fmt"
	"time"

	"sipsmpp/gateway/sms"
)

// connection is one generation of a row of table smpp: a row that changes gets a new one, which takes over the queue and starts
// when the old one's binds are gone, since a peer counts them.
type connection struct {
	row     sms.ConnectionConfig // as Apply got it, to tell what changed
	cfg     sms.ConnectionConfig // the same with defaults
	enabled bool
	all     *Connections
	gone    chan struct{} // closed when it was retired and its last bind has ended

	outbox  // with the lock, which guards what follows
	binds   []*bind
	live    int         // binds that run
	started bool        // the binds of the generation before are gone
	prev    *connection // the generation before, while it still has binds
	next    *connection // who takes over; set when it retires
	// retired says that nothing new is taken: replaced, removed, or shut down, which is when `over` is what Submit answers.
	retired bool
	over    sms.Outcome
	// establishing counts the binds that have not had their first answer since a reload: meanwhile messages wait for them.
	establishing int
}

// newConnection makes a generation with its binds, which do not run yet.
func newConnection(all *Connections, row sms.ConnectionConfig, enabled bool, counts *counters, bindID func() string) *connection {
	c := &connection{row: row, cfg: withDefaults(row), enabled: enabled, all: all, gone: make(chan struct{})}
	c.open(sms.Connection(row.Name), all.log.With("connection", row.Name), counts, c.cfg.Throughput)
	c.statuses, c.queueTimeout = c.cfg.Statuses.Map(), c.cfg.QueueTimeout
	c.slower = func(t Throttle) {
		t.Connection = row.Name
		all.handler.Throttled(t)
	}
	c.free = func() { all.handler.Unthrottled(row.Name) }
	if enabled {
		for range c.cfg.Binds {
			b := newBind(c, bindID())
			c.binds, c.lanes = append(c.binds, b), append(c.lanes, &b.lane)
		}
	}
	return c
}

// withDefaults fills in what a row may leave out.
func withDefaults(cfg sms.ConnectionConfig) sms.ConnectionConfig {
	or := func(d *time.Duration, deflt time.Duration) {
		if *d <= 0 {
			*d = deflt
		}
	}
	cfg.Binds = max(cfg.Binds, 1)
	if cfg.Window <= 0 {
		cfg.Window = 10
	}
	or(&cfg.ResponseTimeout, 10*time.Second)
	or(&cfg.QueueTimeout, 5*time.Second)
	if cfg.InterfaceVersion == 0 {
		cfg.InterfaceVersion = 0x34
	}
	return cfg
}

// start lets the binds run once those of the generation before are gone.
func (c *connection) start(prev *connection) {
	if prev == nil {
		c.startBinds()
		return
	}
	go func() {
		<-prev.gone
		c.startBinds()
	}()
}

func (c *connection) startBinds() {
	c.mu.Lock()
	c.prev, c.started = nil, true
	left := c.retired
	if !left {
		c.live = len(c.binds)
		for _, b := range c.binds {
			go b.run()
		}
	}
	c.mu.Unlock()
	if left {
		c.leave()
	}
}

// leave says that the generation is over.
func (c *connection) leave() {
	c.shut()
	c.mu.Lock()
	last := c.next == nil
	c.mu.Unlock()
	if last {
		c.all.totals.settle(c.counters)
	}
	close(c.gone)
	c.all.generations.Done()
}

// retire ends a generation gracefully: nothing new goes to its binds, what is in flight gets its time, then they unbind. Its
// queue goes to next, or ends with the outcome over, when the func that it gives is called, which is to be without a lock.
func (c *connection) retire(next *connection, over sms.Outcome) (handOver func()) {
	c.mu.Lock()
	c.retired, c.next, c.over = true, next, over
	queued := c.queue.take()
	var idle []*bind
	for _, b := range c.binds {
		if b.stop() {
			idle = append(idle, b)
		}
	}
	left := c.started && c.live == 0
	c.mu.Unlock()

	for _, b := range idle {
		c.settle(&b.lane)
	}
	if left {
		c.leave()
	}
	return func() {
		if next != nil {
			next.adopt(queued)
			return
		}
		for _, s := range queued {
			s.fail(over)
		}
		c.end(queued)
	}
}

// adopt takes the queue of the generation before, ahead of what came since then. What cannot leave by this one ends here.
func (c *connection) adopt(queued []*submission) {
	now := time.Now()
	var ahead, ended []*submission
	for _, s := range queued {
		again := c.prepare(s.m, s.done, now)
		again.deadline = s.deadline
		if again.failed != nil {
			ended = append(ended, again)
		} else {
			ahead = append(ahead, again)
		}
	}
	c.mu.Lock()
	next := c.next
	if over, refused := c.refusal(); next == nil && refused {
		for _, s := range ahead {
			s.fail(over)
		}
		ended = append(ended, ahead...)
	} else if next == nil {
		c.queue.prepend(ahead)
		ended = c.pump(now, ended)
	}
	c.mu.Unlock()
	c.end(ended)
	if next != nil {
		next.adopt(ahead)
	}
}

// submit takes a message. done is called exactly once.
func (c *connection) submit(m *sms.Message, done func(sms.Outcome)) {
	now := time.Now()
	s := c.prepare(m, done, now)
	s.deadline = now.Add(c.cfg.QueueTimeout)
	c.take(s, now)
}

// take queues a submission, or ends it.
func (c *connection) take(s *submission, now time.Time) {
	if s.failed != nil {
		s.done(s.outcome(c.leg))
		return
	}
	c.mu.Lock()
	if c.retired && c.next != nil {
		next := c.next
		c.mu.Unlock()
		again := next.prepare(s.m, s.done, now) // it came by the table before the reload
		again.deadline = s.deadline
		next.take(again, now)
		return
	}
	if o, ok := c.refusal(); ok {
		c.mu.Unlock()
		s.fail(o)
		s.done(s.outcome(c.leg))
		return
	}
	c.push(s, now)
}

// refusal says whether a message cannot be taken now, and why.
func (c *connection) refusal() (sms.Outcome, bool) {
	notReady := func(detail string) (sms.Outcome, bool) {
		return sms.Failed(sms.Temporary, sms.CauseNotReady, detail), true
	}
	switch {
	case c.retired:
		return c.over, true
	case c.cfg.Account != "":
		return sms.Failed(sms.Configuration, sms.CauseNoRoute, "its peer binds as an account: send to account:"+c.cfg.Account), true
	case !c.cfg.Sends():
		return sms.Failed(sms.Configuration, sms.CauseNoRoute, fmt.Sprintf("session_type %d (%v) cannot send", int(c.cfg.SessionType), c.cfg.SessionType)), true
	case !c.enabled:
		return notReady("the connection is disabled: smpp_enable " + c.row.Name)
	case c.establishing == 0 && !c.binding():
		if reason := c.binds[0].lastError; reason != "" {
			return notReady(reason)
		}
		return notReady("it is not bound yet")
	case c.queue.len() >= maxQueue:
		return sms.Failed(sms.Temporary, sms.CauseQueueFull, fmt.Sprintf("%d messages wait already", maxQueue)), true
	}
	return sms.Outcome{}, false
}

// binding says that a bind is up, or going down and still finishing what it began.
func (c *connection) binding() bool {
	for _, b := range c.binds {
		if b.session != nil && (b.state == BindBound || b.state == BindUnbinding) {
			return true
		}
	}
	return false
}

// abandoned is called when a try of b is over, bound or not: what it had begun goes no further, and what waits in the queue waits
// no longer if no bind is up. It gives what b was, and since when it had been bound, if it had.
func (c *connection) abandoned(b *bind, left []answer, cause error) (was BindStatus, boundAt time.Time) {
	now := time.Now()
	c.mu.Lock()
	was, boundAt = b.status(), b.boundAt
	b.session, b.guest, b.boundAt, b.mode = nil, nil, time.Time{}, c.cfg.SessionType.String()
	b.enter(BindWaiting) // for nothing, or until the time that run decides on
	b.first()
	if !b.draining {
		b.lastError = cause.Error()
	}
	ended := c.cut(&b.lane, left, cause, nil)
	if c.establishing == 0 && !c.binding() {
		ended = c.giveUp(cause.Error(), ended)
	}
	ended = c.pump(now, ended)
	c.mu.Unlock()
	c.end(ended)
	return was, boundAt
}

// status is what smpp_list shows.
func (c *connection) status() ConnectionStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := ConnectionStatus{
		Name: c.row.Name, Peer: c.row.Peer(), SessionType: c.row.SessionType, Enabled: c.enabled,
		Queued: c.queue.len(), Counters: c.counters.load(),
	}
	if time.Now().Before(c.pausedUntil) {
		s.ThrottledUntil = c.pausedUntil
	}
	s.ThrottledTo = c.pace.slowed
	bound := 0
	for _, b := range c.binds {
		s.Binds = append(s.Binds, b.status())
		if b.state == BindBound {
			bound++
		}
	}
	switch {
	case !c.enabled:
		s.State = ConnectionDisabled
	case bound == 0:
		s.State = ConnectionDown
	case bound < len(c.binds):
		s.State = ConnectionPartly
	default:
		s.State = ConnectionBound
	}
	// The binds of the generation before are shown while they finish.
	for prev := c.prev; prev != nil; {
		prev.mu.Lock()
		for _, b := range prev.binds {
			if b.session != nil {
				s.Binds = append(s.Binds, b.status())
			}
		}
		next := prev.prev
		prev.mu.Unlock()
		prev = next
	}
	return s
}

// bindGone is called when a bind has ended for good.
func (c *connection) bindGone() {
	c.mu.Lock()
	c.live--
	left := c.live == 0
	c.mu.Unlock()
	if left {
		c.leave()
	}
}
