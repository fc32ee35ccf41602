package smpp

import (
	"slices"
	"sync"
	"sync/atomic"

	"sipsmpp/gateway/metric"
	"sipsmpp/gateway/tap"
)

// counters are those of one connection or account, and who watches it; they outlive its binds and the changes of its row.
type counters struct {
	taps tap.Taps[TracedPDU]

	sent, refused, unanswered, received, receipts, throttled, limited, unexpected, malformed, bound atomic.Uint64

	response *metric.Histogram // from a segment to its response
}

func newCounters() *counters { return &counters{response: metric.New(metric.Short)} }

func (c *counters) load() Counters {
	return Counters{
		Sent: c.sent.Load(), Refused: c.refused.Load(), Unanswered: c.unanswered.Load(), Received: c.received.Load(),
		Receipts: c.receipts.Load(), Throttled: c.throttled.Load(), Limited: c.limited.Load(), Unexpected: c.unexpected.Load(),
		Malformed: c.malformed.Load(), Bound: c.bound.Load(),
	}
}

// totals are what those count who are there no more, so that the sum over all never falls.
type totals struct {
	mu    sync.Mutex
	going []*counters // of who was removed and still has binds
	gone  Counters
}

// swap removes some while f, which takes them out of the table, runs, so that a sum finds each of them once.
func (t *totals) swap(removed []*counters, f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.going = append(t.going, removed...)
	f()
}

// settle is called when nothing will be counted any more by one that may have been removed.
func (t *totals) settle(c *counters) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.going, c); i >= 0 {
		t.going = slices.Delete(t.going, i, i+1)
		t.gone.Add(c.load())
	}
}

// sum adds those that each tells of, which are the ones in the table.
func (t *totals) sum(each func(add func(*counters))) Counters {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := t.gone
	add := func(c *counters) { sum.Add(c.load()) }
	for _, c := range t.going {
		add(c)
	}
	each(add)
	return sum
}
