// Package metric measures how long things take.
//
// A histogram is made once for whatever it measures and found by a pointer from then on: Observe takes no lock, allocates nothing
// and costs two atomic additions, so that it may stand in the way of every message.
package metric

import (
	"sync/atomic"
	"time"
)

// Bounds are the upper ends of a histogram's buckets, smallest first, at most maxBounds of them.
type Bounds []time.Duration

// maxBounds is the most buckets beside the one for what is longer than all bounds.
const maxBounds = 15

// The bounds of what a machine waits for, and of what people wait for.
var (
	Short = Bounds{
		100 * time.Microsecond, 250 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
		10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond,
		500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
	}
	Long = Bounds{
		100 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second,
		30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 4 * time.Hour, 12 * time.Hour,
		24 * time.Hour, 72 * time.Hour,
	}
)

// Histogram counts durations by bucket. It is safe for any number of goroutines.
type Histogram struct {
	bounds Bounds
	counts [maxBounds + 1]atomic.Uint64 // of those up to each bound, and of the rest
	sum    atomic.Uint64                // nanoseconds
}

// New makes an empty histogram.
func New(b Bounds) *Histogram {
	if len(b) > maxBounds {
		panic("metric: too many bounds")
	}
	return &Histogram{bounds: b}
}

// Observe counts a duration. One below zero, as clocks that are set give, counts as zero.
func (h *Histogram) Observe(d time.Duration) {
	d = max(d, 0)
	i := 0
	for i < len(h.bounds) && d > h.bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(uint64(d))
}

// Since counts the time that has passed since a moment; none for the zero moment.
func (h *Histogram) Since(t time.Time) {
	if !t.IsZero() {
		h.Observe(time.Since(t))
	}
}

// Snapshot is what a histogram has counted.
type Snapshot struct {
	Bounds  Bounds
	Buckets []uint64 // how many were at most as long as each bound
	Count   uint64   // of all
	Sum     time.Duration
}

// Snapshot reads the histogram. What is observed meanwhile may be in Count and not yet in Sum.
func (h *Histogram) Snapshot() Snapshot {
	s := Snapshot{Bounds: h.bounds, Buckets: make([]uint64, len(h.bounds)), Sum: time.Duration(h.sum.Load())}
	for i := range h.bounds {
		s.Count += h.counts[i].Load()
		s.Buckets[i] = s.Count
	}
	s.Count += h.counts[len(h.bounds)].Load()
	return s
}
