package metric_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"sipsmpp/gateway/metric"
)

func TestHistogram(t *testing.T) {
	h := metric.New(metric.Bounds{time.Millisecond, time.Second})
	for _, d := range []time.Duration{-time.Second, 0, time.Millisecond, time.Millisecond + 1, time.Second, time.Second + 1, time.Hour} {
		h.Observe(d)
	}
	s := h.Snapshot()
	if want := []uint64{3, 5}; !slices.Equal(s.Buckets, want) || s.Count != 7 {
		t.Errorf("buckets %v of %d: want %v of 7", s.Buckets, s.Count, want)
	}
	if want := 2*time.Millisecond + 2 + 2*time.Second + time.Hour; s.Sum != want {
		t.Errorf("sum %v, want %v", s.Sum, want)
	}
	h.Since(time.Time{})
	if s := h.Snapshot(); s.Count != 7 {
		t.Error("a moment that was not taken was counted")
	}
	h.Since(time.Now().Add(-time.Minute))
	if s := h.Snapshot(); s.Count != 8 || s.Buckets[1] != 5 {
		t.Errorf("a minute ago went to %v of %d", s.Buckets, s.Count)
	}
}

func TestBounds(t *testing.T) {
	for _, b := range []metric.Bounds{metric.Short, metric.Long} {
		metric.New(b) // panics if there are too many
		if !slices.IsSorted(b) {
			t.Errorf("the bounds are not sorted: %v", b)
		}
	}
}

func TestObserveFromEverywhere(t *testing.T) {
	h := metric.New(metric.Short)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 1000 {
				h.Observe(time.Duration(i) * time.Millisecond)
			}
		})
	}
	all.Wait()
	if s := h.Snapshot(); s.Count != 8000 || s.Sum != 8*499500*time.Millisecond {
		t.Errorf("%d in %v", s.Count, s.Sum)
	}
	if n := testing.AllocsPerRun(100, func() { h.Observe(time.Second) }); n != 0 {
		t.Errorf("Observe allocates %v times", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	h := metric.New(metric.Short)
	for b.Loop() {
		h.Observe(3 * time.Millisecond)
	}
}

func BenchmarkObserveParallel(b *testing.B) {
	h := metric.New(metric.Short)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			h.Observe(3 * time.Millisecond)
		}
	})
}
