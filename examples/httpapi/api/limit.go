package api

import (
	"sync"
	"time"
)

// bucket lets rate things a second through, and a second's worth at once. Unlike golang.org/x/time/rate it lets a batch through that is
// larger than that, once, and makes what comes after it wait for the whole of it.
type bucket struct {
	tokens float64
	at     time.Time
}

// take lets n through, or says how long to wait.
func (b *bucket) take(n int, rate float64, now time.Time) time.Duration {
	if b.at.IsZero() {
		b.tokens = rate
	} else {
		b.tokens = min(b.tokens+now.Sub(b.at).Seconds()*rate, max(rate, 1))
	}
	b.at = now
	if b.tokens < 1 {
		return time.Duration((1 - b.tokens) / rate * float64(time.Second))
	}
	b.tokens -= float64(n)
	return 0
}

// maxBuckets bounds what is remembered; beyond it the oldest knowledge goes.
const maxBuckets = 10_000

// limiter has a bucket for each name.
type limiter struct {
	mu      sync.Mutex
	buckets map[string]*bucket
}

func (l *limiter) take(name string, n int, rate float64) time.Duration {
	if rate <= 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	b := l.buckets[name]
	if b == nil {
		if len(l.buckets) >= maxBuckets {
			l.forget(now)
		}
		if l.buckets == nil {
			l.buckets = make(map[string]*bucket)
		}
		b = new(bucket)
		l.buckets[name] = b
	}
	return b.take(n, rate, now)
}

// forget drops the buckets that are full again, and all of them where that is not enough.
func (l *limiter) forget(now time.Time) {
	for name, b := range l.buckets {
		if now.Sub(b.at) > time.Minute {
			delete(l.buckets, name)
		}
	}
	if len(l.buckets) >= maxBuckets {
		clear(l.buckets)
	}
}
