package events

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Durable is one durable subscription. Its newest events are in memory as well, so that a subscriber that keeps up is served
// without the database.
type Durable struct {
	set  *Durables
	id   int64
	name string

	mu      sync.Mutex
	spec    Spec
	seen    time.Time
	session *Session // who has it; nil: nobody

	// The events that wait are in the journal; those behind tailAfter in tail, too.
	tail       []Entry
	tailAfter  uint64
	tailOctets int
	last       uint64 // number of the newest
	count      int
	octets     int64

	acked  uint64    // everything up to here is the subscriber's
	acking bool      // that is being written
	moved  time.Time // when it acknowledged last, or something began to wait

	failure string // of a webhook: what the last attempt ended with; empty: it went well
	retryAt time.Time
}

// What one subscription has in memory at most.
const (
	maxTail       = 2048
	maxTailOctets = 2 << 20
)

func newDurable(ds *Durables, s Stored) *Durable {
	d := &Durable{set: ds, id: s.ID, name: s.Name}
	d.spec, d.seen, d.moved = s.Spec, time.Now(), time.Now()
	d.last, d.tailAfter, d.count, d.octets = s.Last, s.Last, s.Count, s.Octets
	return d
}

// Name is the subscription's.
func (d *Durable) Name() string { return d.name }

// Standing is how many events wait for the subscriber, and whether it is there.
func (d *Durable) Standing() (waiting int, connected bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count, d.session != nil
}

// Stalled is for how long events have waited of which the subscriber acknowledged none, as far as this process knows.
func (d *Durable) Stalled() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.count == 0 {
		return 0
	}
	return time.Since(d.moved)
}

// Spec is what was asked for.
func (d *Durable) Spec() Spec {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.spec
}

func (d *Durable) change(s Spec) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.spec = s
}

// appended takes an event that is on disk. Where it is not behind all that came before, since one of those waits to be written,
// the journal alone knows the order.
func (d *Durable) appended(e Entry, outOfOrder bool) {
	d.mu.Lock()
	if d.count == 0 {
		d.moved = time.Now()
	}
	d.count++
	d.octets += int64(len(e.JSON))
	outOfOrder = outOfOrder || e.Seq < d.last
	d.last = max(d.last, e.Seq)
	if outOfOrder {
		d.tail, d.tailOctets, d.tailAfter = nil, 0, d.last
	} else {
		d.tail = append(d.tail, e)
		d.tailOctets += len(e.JSON)
	}
	drop := 0
	for len(d.tail)-drop > maxTail || d.tailOctets > maxTailOctets && len(d.tail)-drop > 1 {
		d.tailOctets -= len(d.tail[drop].JSON)
		d.tailAfter = d.tail[drop].Seq
		drop++
	}
	d.cutTail(drop)
	beyond := d.isBeyond()
	d.signal()
	d.mu.Unlock()
	if beyond {
		d.set.signal()
	}
}

// forget drops from memory what is no longer in the journal as it was: everything up to a number. d.mu is held.
func (d *Durable) forget(upTo uint64) {
	drop := 0
	for drop < len(d.tail) && d.tail[drop].Seq <= upTo {
		d.tailOctets -= len(d.tail[drop].JSON)
		drop++
	}
	d.cutTail(drop)
	d.tailAfter = max(d.tailAfter, upTo)
}

// cutTail forgets the first n of the tail.
func (d *Durable) cutTail(n int) {
	clear(d.tail[:n])
	d.tail = d.tail[n:]
}

// signal wakes the subscriber, if there is one. d.mu is held.
func (d *Durable) signal() {
	if d.session == nil {
		return
	}
	select {
	case d.session.wake <- struct{}{}:
	default:
	}
}

// Session is who has a durable subscription: there is one at a time.
type Session struct {
	d      *Durable
	window int
	peer   string
	wake   chan struct{} // holds one token: there may be events, or room for them

	// d.mu guards these.
	cursor uint64   // the last that was given
	given  []uint64 // that are not acknowledged, in order
	cause  error    // why it ended
	ended  chan struct{}

	batch []Entry
}

// The windows of a session.
const (
	DefaultWindow = 1000
	MaxWindow     = 10_000
)

// Take makes somebody the one that has the subscription, in place of who had it. It is given what was not acknowledged, and window
// bounds what it is given before it acknowledges.
func (d *Durable) Take(peer string, window int) (*Session, error) {
	s := &Session{d: d, window: window, peer: peer, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	ds := d.set
	ds.mu.Lock() // throughout: Delete and Close end the session of who came before
	defer ds.mu.Unlock()
	switch {
	case ds.closed:
		return nil, ErrDurableClosed
	case ds.byName[d.name] != d:
		return nil, ErrEnded
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.session != nil {
		d.session.finish(ErrTakenOver)
	}
	s.cursor = d.acked
	d.session, d.seen = s, time.Now()
	return s, nil
}

// finish ends a session. d.mu is held.
func (s *Session) finish(cause error) {
	if s.cause == nil {
		s.cause = cause
		close(s.ended)
	}
	if s.d.session == s {
		s.d.session, s.d.seen = nil, time.Now()
	}
}

// end ends the session of who has the subscription.
func (d *Durable) end(cause error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.session != nil {
		d.session.finish(cause)
	}
}

// Close gives the subscription up. What was not acknowledged waits for the next.
func (s *Session) Close() {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	s.finish(context.Canceled)
}

// Ended is closed when the session has ended; Cause says why.
func (s *Session) Ended() <-chan struct{} { return s.ended }

// Cause is why the session ended: ErrTakenOver, ErrEnded, ErrDurableClosed.
func (s *Session) Cause() error {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	return s.cause
}

// Next waits until there are events and room in the window, and gives all that gathered, up to a bound. The slice is valid until
// the next call.
func (s *Session) Next(ctx context.Context) ([]Entry, error) {
	d := s.d
	for {
		d.mu.Lock()
		if s.cause != nil {
			defer d.mu.Unlock()
			return nil, s.cause
		}
		s.batch = s.batch[:0]
		room := min(s.window-len(s.given), maxBatch)
		fromJournal := s.cursor < d.tailAfter
		if room > 0 && !fromJournal {
			i, found := slices.BinarySearchFunc(d.tail, s.cursor, func(e Entry, seq uint64) int { return cmp.Compare(e.Seq, seq) })
			if found {
				i++
			}
			s.batch = append(s.batch, d.tail[i:min(len(d.tail), i+room)]...)
			s.give()
		}
		cursor, tailAfter, last := s.cursor, d.tailAfter, d.last
		d.mu.Unlock()
		if len(s.batch) > 0 {
			return s.batch, nil
		}
		if room > 0 && fromJournal {
			moved, err := s.read(ctx, cursor, tailAfter, last, room)
			switch {
			case err != nil:
				return nil, err
			case len(s.batch) > 0:
				return s.batch, nil
			case moved:
				continue
			}
		}
		select {
		case <-s.wake:
		case <-s.ended:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// give notes the batch as given. d.mu is held.
func (s *Session) give() {
	for _, e := range s.batch {
		s.given = append(s.given, e.Seq)
		s.cursor = e.Seq
	}
}

// read takes the batch from the journal: what stands behind cursor, up to the last that is known to be on disk with all before it.
// It is true where the cursor moved, if only because nothing is left up to tailAfter.
func (s *Session) read(ctx context.Context, cursor, tailAfter, last uint64, room int) (moved bool, err error) {
	d := s.d
	limit := min(last, d.set.unwrittenFor(d)-1)
	page, err := d.set.journal.Read(ctx, d.id, cursor, room)
	if err != nil {
		return false, fmt.Errorf("the events of durable subscription %s cannot be read: %w", d.name, err)
	}
	all := len(page) < room
	if i := slices.IndexFunc(page, func(e Entry) bool { return e.Seq > limit }); i >= 0 {
		page, all = page[:i], true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.cause != nil || s.cursor != cursor { // an acknowledgement went ahead of it
		return true, nil
	}
	s.batch = append(s.batch, page...)
	s.give()
	if all {
		s.cursor = max(s.cursor, min(tailAfter, limit))
	}
	return s.cursor > cursor, nil
}

// ErrAck says that an acknowledgement is of a number that no event has yet.
var ErrAck = errors.New("no event has this seq yet")

// Ack says that the subscriber has everything up to a number, whether it was given in this session or before.
func (s *Session) Ack(seq uint64) error {
	if last := s.d.set.hub.Seq(); seq > last {
		return fmt.Errorf("ack of seq %d: %w; the last is %d", seq, ErrAck, last)
	}
	d := s.d
	d.mu.Lock()
	if s.cause != nil || seq <= d.acked {
		d.mu.Unlock()
		return nil
	}
	d.acked, d.moved = seq, time.Now()
	i, found := slices.BinarySearch(s.given, seq)
	if found {
		i++
	}
	s.given = slices.Delete(s.given, 0, i)
	s.cursor = max(s.cursor, seq)
	d.forget(seq)
	d.signal()
	write := !d.acking
	d.acking = true
	d.mu.Unlock()
	if write {
		d.writeAck(seq)
	}
	return nil
}

// ackRetry is the pause after an acknowledgement that could not be written.
const ackRetry = time.Second

// writeAck writes how far the subscriber is, and then whatever came meanwhile.
func (d *Durable) writeAck(seq uint64) {
	d.set.journal.Acknowledge(d.id, seq, func(n int, err error) {
		d.mu.Lock()
		if n = min(n, d.count); n > 0 {
			d.octets -= d.octets * int64(n) / int64(d.count) // about
			d.count -= n
		}
		next := d.acked
		d.acking = next > seq || err != nil
		again := d.acking
		d.mu.Unlock()
		switch {
		case !again:
		case err != nil:
			time.AfterFunc(ackRetry, func() { d.writeAck(next) })
		default:
			d.writeAck(next)
		}
	})
}

// Failed notes that the subscriber did not take what it was given, and when it is tried again; an empty reason, that it did.
func (d *Durable) Failed(reason string, retryAt time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failure, d.retryAt = reason, retryAt
}

// Info is how a durable subscription stands.
type Info struct {
	Spec
	Peer      string // who is connected; empty: nobody
	Waiting   int    // events that are not acknowledged
	Since     time.Time
	LastError string // of a webhook
	RetryAt   time.Time
}

// Info tells how the subscription stands. Its secret is left out.
func (d *Durable) Info(ctx context.Context) (Info, error) {
	d.mu.Lock()
	i := Info{Spec: d.spec, Waiting: d.count, LastError: d.failure, RetryAt: d.retryAt}
	i.Secret = ""
	if d.session != nil {
		i.Peer = d.session.peer
	}
	d.mu.Unlock()
	if i.Waiting == 0 {
		return i, nil
	}
	var err error
	i.Since, err = d.set.journal.Oldest(ctx, d.id)
	return i, err
}
