package gatewaytest

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// maxQueued is how many deliver_sm an SMSC keeps for binds that are not there or do not answer; a receipt beyond it is lost.
const maxQueued = 1 << 20

// delivery is one deliver_sm on its way.
type delivery struct {
	out     Outgoing
	done    func(status uint32, err error) // nil for a receipt
	id      string                         // of a receipt: as it names the message
	stat    string                         // of a receipt
	sent    time.Time
	dropped bool // nobody waits for it any more; guarded by SMSC.mu
}

// finish tells that it was answered, or that it will not be.
func (d *delivery) finish(s *SMSC, bind BindInfo, status uint32, err error) {
	kind := EventDeliver
	if d.done == nil {
		kind = EventReceipt
	}
	switch {
	case err != nil:
		s.stats.deliversLost.Add(1)
	case kind == EventReceipt && status == StatusOK:
		s.stats.receipts.Add(1)
	}
	if d.done != nil {
		d.done(status, err)
	}
	s.tell(Event{Kind: kind, Bind: bind, Deliver: &d.out, MessageID: d.id, Stat: d.stat, Status: status, Err: err})
}

// queue is first in, first out.
type queue struct {
	items []*delivery
	head  int
}

func (q *queue) len() int         { return len(q.items) - q.head }
func (q *queue) push(d *delivery) { q.items = append(q.items, d) }

func (q *queue) pop() *delivery {
	d := q.items[q.head]
	q.items[q.head] = nil
	if q.head++; q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	} else if q.head > 1024 && q.head > len(q.items)/2 {
		q.items, q.head = slices.Delete(q.items, 0, q.head), 0
	}
	return d
}

func (q *queue) drain() []*delivery {
	all := slices.Clone(q.items[q.head:])
	q.items, q.head = nil, 0
	return all
}

// group is the binds of one ESME that can receive, and what waits for them.
type group struct {
	sessions []*session
	next     int
	queue    queue
}

// groupOf gives the group of an ESME; mu is held.
func (s *SMSC) groupOf(systemID string) *group {
	g := s.groups[systemID]
	if g == nil {
		g = &group{}
		s.groups[systemID] = g
	}
	return g
}

func (g *group) remove(c *session) {
	if i := slices.Index(g.sessions, c); i >= 0 {
		g.sessions = slices.Delete(g.sessions, i, i+1)
	}
}

// pick gives the next bind in turn that has a free slot.
func (g *group) pick(window int) *session {
	for range g.sessions {
		g.next = (g.next + 1) % len(g.sessions)
		if c := g.sessions[g.next]; len(c.inflight) < window {
			return c
		}
	}
	return nil
}

// enqueue queues deliveries for an ESME, or for any that can receive where systemID is empty. An error is that
// the SMSC is closed, or that too many wait.
func (s *SMSC) enqueue(systemID string, ds ...*delivery) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	g := s.groupFor(systemID)
	waiting := &s.anybody
	if g != nil {
		waiting = &g.queue
	}
	if waiting.len()+len(ds) > maxQueued {
		return errQueueFull
	}
	waiting.items = append(waiting.items, ds...)
	if g != nil {
		s.pump(g, nil)
	}
	return nil
}

var errQueueFull = fmt.Errorf("%d deliver_sm wait already: bind a receiver, or answer those that came", maxQueued)

// groupFor gives the group of an ESME, or where systemID is empty the first that can receive, nil where none can; mu is held.
func (s *SMSC) groupFor(systemID string) *group {
	if systemID != "" {
		return s.groupOf(systemID)
	}
	for _, g := range s.groups {
		if len(g.sessions) > 0 {
			return g
		}
	}
	return nil
}

// pump sends what the windows allow; mu is held. The reader of current flushes by itself when it has read all there is.
func (s *SMSC) pump(g *group, current *session) {
	for g.queue.len() > 0 {
		c := g.pick(s.cfg.Window)
		if c == nil {
			return
		}
		d := g.queue.pop()
		if d.dropped {
			continue
		}
		sequence := c.nextSequence()
		d.sent = time.Now()
		c.inflight[sequence] = d
		s.stats.delivers.Add(1)
		c.scratch = appendSM(c.scratch[:0], cmdDeliverSM, sequence, &d.out)
		c.link.put(c.scratch)
		if c != current {
			c.link.flush()
		}
		if !c.sweeping {
			c.sweeping = true
			s.schedule.after(s.cfg.AnswerTimeout, c.sweep)
		}
	}
}

// delivered takes the answer to a deliver_sm.
func (c *session) delivered(sequence, status uint32) {
	s := c.smsc
	s.mu.Lock()
	d := c.inflight[sequence]
	delete(c.inflight, sequence)
	if d != nil && c.group != nil {
		s.pump(c.group, c)
	}
	s.mu.Unlock()
	if d == nil {
		s.stats.strays.Add(1)
		return
	}
	s.stats.answered.add(status)
	d.finish(s, c.info, status, nil)
}

// sweep gives up what was not answered in time.
func (c *session) sweep() {
	s := c.smsc
	var late []*delivery
	s.mu.Lock()
	oldest, limit := time.Now(), time.Now().Add(-s.cfg.AnswerTimeout)
	for sequence, d := range c.inflight {
		switch {
		case !d.sent.After(limit):
			late = append(late, d)
			delete(c.inflight, sequence)
		case d.sent.Before(oldest):
			oldest = d.sent
		}
	}
	if c.sweeping = len(c.inflight) > 0; c.sweeping {
		s.schedule.after(oldest.Sub(limit), c.sweep)
	}
	if c.group != nil {
		s.pump(c.group, nil)
	}
	info := c.info
	s.mu.Unlock()
	for _, d := range late {
		d.finish(s, info, 0, errTimeout)
	}
}

// Deliver sends a message to a bind that can receive, waits for its answer, and gives the first command_status that is not 0.
// A long text leaves in several deliver_sm. While no such bind stands, or the window is full, it waits.
func (s *SMSC) Deliver(ctx context.Context, d Deliver) (status uint32, err error) {
	type answer struct {
		status uint32
		err    error
	}
	answered := make(chan answer, 1)
	abandon, err := s.send(d, func(status uint32, err error) { answered <- answer{status, err} })
	if err != nil {
		return 0, err
	}
	select {
	case a := <-answered:
		return a.status, a.err
	case <-ctx.Done():
		abandon()
		return 0, context.Cause(ctx)
	}
}

// Send is Deliver without the wait: done is called once, by another goroutine or by this one, must not block, and gets the
// first command_status that is not 0, or the error that kept one of the segments from being answered.
func (s *SMSC) Send(d Deliver, done func(status uint32, err error)) error {
	_, err := s.send(d, done)
	return err
}

func (s *SMSC) send(d Deliver, done func(status uint32, err error)) (abandon func(), err error) {
	segments, err := d.segments(uint16(s.concat.Add(1)))
	if err != nil {
		return nil, err
	}
	if len(segments) > 1 {
		done = gather(len(segments), done)
	}
	ds := make([]*delivery, len(segments))
	for i, segment := range segments {
		ds[i] = &delivery{out: segment, done: done}
	}
	if err := s.enqueue(d.SystemID, ds...); err != nil {
		return nil, err
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, d := range ds {
			d.dropped = true
		}
	}, nil
}
