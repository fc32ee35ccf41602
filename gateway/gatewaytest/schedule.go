package gatewaytest

import (
	"sync"
	"time"
)

// schedule runs what is due, in order, on one goroutine: one timer for all that a peer delays. What is due within the same
// millisecond runs together, so that a delay costs no wake-up for each message.
type schedule struct {
	mu   sync.Mutex
	heap []due
	n    uint64
	wake chan struct{}
	done chan struct{}
}

type due struct {
	at  time.Time
	n   uint64 // keeps the order of what is due at the same time
	run func()
}

func newSchedule() *schedule {
	return &schedule{wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// after runs f, which must not block, when d has passed.
func (s *schedule) after(d time.Duration, f func()) {
	at := time.Now().Add(d)
	if whole := at.Truncate(time.Millisecond); whole.Before(at) {
		at = whole.Add(time.Millisecond)
	}
	s.mu.Lock()
	s.n++
	s.heap = append(s.heap, due{at, s.n, f})
	i := len(s.heap) - 1
	for i > 0 && s.before(i, (i-1)/2) {
		s.heap[i], s.heap[(i-1)/2] = s.heap[(i-1)/2], s.heap[i]
		i = (i - 1) / 2
	}
	first := i == 0
	s.mu.Unlock()
	if first {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

func (s *schedule) before(i, j int) bool {
	a, b := &s.heap[i], &s.heap[j]
	if !a.at.Equal(b.at) {
		return a.at.Before(b.at)
	}
	return a.n < b.n
}

// pop takes the first that is due by now; else it says when the first is: the zero time where there is none.
func (s *schedule) pop(now time.Time) (run func(), next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.heap) == 0 {
		return nil, time.Time{}
	}
	if s.heap[0].at.After(now) {
		return nil, s.heap[0].at
	}
	run = s.heap[0].run
	last := len(s.heap) - 1
	s.heap[0] = s.heap[last]
	s.heap[last] = due{}
	s.heap = s.heap[:last]
	for i := 0; ; {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < last; c++ {
			if s.before(c, least) {
				least = c
			}
		}
		if least == i {
			return run, time.Time{}
		}
		s.heap[i], s.heap[least] = s.heap[least], s.heap[i]
		i = least
	}
}

// loop runs until stop.
func (s *schedule) loop() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := time.Now()
		run, next := s.pop(now)
		if run != nil {
			run()
			continue
		}
		wait := time.Hour
		if !next.IsZero() {
			wait = next.Sub(now)
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-s.wake:
		case <-s.done:
			return
		}
	}
}

func (s *schedule) stop() { close(s.done) }
