package main

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// histogram counts durations in buckets of equal relative width, 1.6 %. Any number of goroutines may add.
type histogram struct {
	buckets [58 * 64]atomic.Uint64
	n       atomic.Uint64
	max     atomic.Int64
}

func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.buckets[bucketOf(d)].Add(1)
	h.n.Add(1)
	for {
		m := h.max.Load()
		if int64(d) <= m || h.max.CompareAndSwap(m, int64(d)) {
			return
		}
	}
}

// bucketOf: below 64 ns each nanosecond has its own; above, 64 for each doubling.
func bucketOf(d time.Duration) int {
	shift := max(0, bits.Len64(uint64(d))-7)
	return shift*64 + int(uint64(d)>>shift)
}

// quantile is the duration that the share q of all does not exceed.
func (h *histogram) quantile(q float64) time.Duration {
	rank := uint64(q * float64(h.n.Load()))
	var seen uint64
	for i := range h.buckets {
		if seen += h.buckets[i].Load(); seen > rank {
			shift := max(0, i/64-1)
			return min(time.Duration(i-shift*64+1)<<shift-1, time.Duration(h.max.Load()))
		}
	}
	return time.Duration(h.max.Load())
}

// latency is what a report says of a histogram.
type latency struct {
	P50  time.Duration `json:"p50_ns"`
	P99  time.Duration `json:"p99_ns"`
	P999 time.Duration `json:"p999_ns"`
	Max  time.Duration `json:"max_ns"`
}

func (h *histogram) latency() latency {
	return latency{h.quantile(0.5), h.quantile(0.99), h.quantile(0.999), time.Duration(h.max.Load())}
}

func (l latency) String() string {
	r := func(d time.Duration) time.Duration { return d.Round(max(time.Microsecond, d/1000)) }
	return "p50 " + r(l.P50).String() + ", p99 " + r(l.P99).String() + ", p99.9 " + r(l.P999).String() + ", max " + r(l.Max).String()
}
