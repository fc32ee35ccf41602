// Package gather makes few large batches of what passes through the gateway one by one, since most of what a small message costs
// is waking up and system calls. A Group lets what one read or one commit brought leave together; a Rest lets a reader wait a
// moment while much comes, so that one read brings more.
//
// Nothing here delays what comes alone.
package gather

import "sync"

// Flusher has something queued that is to leave.
type Flusher interface {
	// Flush lets it leave. It must not block. It is called without locks, from the goroutine that ends a batch.
	Flush()
}

// Group knows which batches are being worked on, and what waits for their end. The zero value is ready, and safe for any number of
// goroutines.
type Group struct {
	mu      sync.Mutex
	batches int
	late    []Flusher
	spare   []Flusher
}

// Begin says that the calling goroutine starts with what one read or commit brought. Each Begin needs its End.
func (g *Group) Begin() {
	g.mu.Lock()
	g.batches++
	g.mu.Unlock()
}

// End says that it is done with it, and flushes what was left for later, by whichever batch.
func (g *Group) End() {
	g.mu.Lock()
	g.batches--
	late := g.late
	g.late, g.spare = g.spare[:0], nil
	g.mu.Unlock()
	for _, f := range late {
		f.Flush()
	}
	clear(late)
	g.mu.Lock()
	g.spare = late
	g.mu.Unlock()
}

// Later lets f be flushed when a batch ends. It is false where there is none: f is to be flushed by the caller, then.
func (g *Group) Later(f Flusher) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.batches == 0 {
		return false
	}
	g.late = append(g.late, f)
	return true
}
