package store

import (
	"slices"
	"sync"
)

// readers are a few goroutines that look things up, with a bounded queue before them: what waits is looked up together.
type readers[Q any] struct {
	bound  int
	gather func(queue []Q) int // how many, from the front, one reading takes
	read   func([]Q)           // and tells each what it found; it must not keep the slice
	refuse func(Q, error)

	mu     sync.Mutex
	more   sync.Cond
	queue  []Q
	closed bool
	tasks  sync.WaitGroup
}

// start lets n goroutines read.
func (r *readers[Q]) start(n int) {
	r.more.L = &r.mu
	for range n {
		r.tasks.Go(r.run)
	}
}

func (r *readers[Q]) put(q Q) {
	r.mu.Lock()
	if r.closed || len(r.queue) >= r.bound {
		err := ErrBusy
		if r.closed {
			err = ErrClosed
		}
		r.mu.Unlock()
		r.refuse(q, err)
		return
	}
	r.queue = append(r.queue, q)
	r.mu.Unlock()
	r.more.Signal()
}

// close lets what is queued be read and waits for it.
func (r *readers[Q]) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.more.Broadcast()
	r.tasks.Wait()
}

func (r *readers[Q]) run() {
	var batch []Q
	for {
		r.mu.Lock()
		for len(r.queue) == 0 && !r.closed {
			r.more.Wait()
		}
		if len(r.queue) == 0 {
			r.mu.Unlock()
			return
		}
		n := r.gather(r.queue)
		batch = append(batch[:0], r.queue[:n]...)
		r.queue = slices.Delete(r.queue, 0, n)
		r.mu.Unlock()
		r.read(batch)
		clear(batch)
	}
}
