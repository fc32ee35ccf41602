package gatewaytest

import (
	"context"
	"errors"
	"sync"
)

// ErrClosed is the end of a scripted peer.
var ErrClosed = errors.New("the scripted peer is closed")

// keepDefault is how many messages an inbox keeps where its configuration says nothing.
const keepDefault = 10_000

// inbox keeps what a peer received, in order, the last so many, and lets tests wait for it.
type inbox struct {
	keep int // negative: nothing

	mu      sync.Mutex
	kept    []Incoming
	next    int // in kept: what Next gives
	changed chan struct{}
	closed  bool
}

func newInbox(keep int) inbox {
	if keep == 0 {
		keep = keepDefault
	}
	return inbox{keep: keep}
}

func (b *inbox) add(in Incoming) {
	if b.keep < 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.kept) >= b.keep {
		// Half goes at once, so that a full inbox costs no copy for each message.
		drop := max(1, len(b.kept)/2)
		b.kept = append(b.kept[:0:0], b.kept[drop:]...)
		b.next = max(0, b.next-drop)
	}
	b.kept = append(b.kept, in)
	b.notify()
}

func (b *inbox) notify() {
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

func (b *inbox) close() {
	b.mu.Lock()
	b.closed = true
	b.notify()
	b.mu.Unlock()
}

// take gives the next n that were not given yet.
func (b *inbox) take(ctx context.Context, n int) ([]Incoming, error) {
	for {
		b.mu.Lock()
		if len(b.kept)-b.next >= n {
			taken := append([]Incoming(nil), b.kept[b.next:b.next+n]...)
			b.next += n
			b.mu.Unlock()
			return taken, nil
		}
		if b.closed {
			b.mu.Unlock()
			return nil, ErrClosed
		}
		if b.changed == nil {
			b.changed = make(chan struct{})
		}
		changed := b.changed
		b.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (b *inbox) all() []Incoming {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Incoming(nil), b.kept...)
}
