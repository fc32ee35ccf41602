package events

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A subscriber is given every event once and in order, but for what it has not acknowledged when it comes again, and it misses none
// that a sender was told is kept: whichever transactions fail, whenever subscribers come and go and the node is killed. Each seed is
// a history of its own, which is told where it goes wrong.
func TestOrder(t *testing.T) {
	for seed := range uint64(100) {
		synctest.Test(t, func(t *testing.T) {
			h := newHistory(t, seed)
			h.run()
			if len(h.faults) > 0 {
				t.Fatalf("seed %d: %s; before that:\n%s", seed, h.faults[0], strings.Join(h.trail, "\n"))
			}
		})
		if t.Failed() {
			return
		}
	}
}

// history is a node on a journal whose transactions end as chance has it, and its subscribers.
type history struct {
	*durableRig
	*rand.Rand
	readers []*reader
	events  []*published
	lives   uint64

	mu     sync.Mutex // of kept, and these
	trail  []string
	faults []string
}

// published is an event; kept says that a sender was told that it is in the journal.
type published struct {
	seq  uint64
	all  bool // it is not for the subscriber of some
	kept bool
}

func newHistory(t *testing.T, seed uint64) *history {
	h := &history{durableRig: newDurableRig(t, newFakeJournal(), 0), Rand: rand.New(rand.NewPCG(seed, 0))}
	h.set.limits.Events = 10_000
	h.put("all", "")
	h.put("some", "E_MESSAGE_*")
	for i, name := range []string{"all", "some"} {
		h.readers = append(h.readers, &reader{
			history: h, name: name, rand: rand.New(rand.NewPCG(seed, uint64(i)+1)), seen: make(map[uint64]string),
		})
	}
	h.journal.set(false, nil)
	return h
}

func (h *history) run() {
	for range 200 {
		switch n := h.IntN(100); {
		case n < 40:
			h.publish()
		case n < 75:
			h.transaction()
		case n < 87:
			h.note("a pause")
			time.Sleep(rewritePause / 2)
		case n < 98:
			h.readers[h.IntN(len(h.readers))].come(1 + h.IntN(50))
		default:
			h.kill()
		}
		synctest.Wait()
		if h.faulty() {
			return
		}
	}
	h.note("from here on all goes well")
	h.journal.set(true, nil)
	for range 4 {
		h.publish()
		time.Sleep(2 * rewritePause)
		synctest.Wait()
		h.keep(h.events, h.lives)
	}
	for _, r := range h.readers { // and is given what it was not, but should
		r.come(MaxWindow)
		synctest.Wait()
	}
	for _, r := range h.readers {
		r.leave()
		for _, e := range h.events {
			if _, ok := r.seen[e.seq]; !ok && e.kept && (r.name == "all" || !e.all) {
				h.fault("%s misses %d", r.name, e.seq)
			}
		}
	}
}

func (h *history) note(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.trail = append(h.trail, fmt.Sprintf(format, args...))
}

func (h *history) fault(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = append(h.faults, fmt.Sprintf(format, args...))
}

func (h *history) faulty() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.faults) > 0
}

// keep notes that events are kept, as far as the node lives that published them.
func (h *history) keep(events []*published, life uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range events {
		e.kept = e.kept || life == h.lives
	}
}

// publish publishes events, which sometimes the journal has no room for, and asks to be told when they are kept.
func (h *history) publish() {
	if h.IntN(20) == 0 {
		h.journal.setRefuse(errors.New("the queue is full"))
		defer h.journal.setRefuse(nil)
	}
	for range 1 + h.IntN(4) {
		e := &published{all: h.IntN(3) == 0}
		if e.all {
			h.hub.Publish(Unthrottled{})
		} else {
			h.hub.Publish(deferred(1))
		}
		e.seq = h.hub.Seq()
		h.events = append(h.events, e)
		h.note("%d is published", e.seq)
	}
	told, life := slices.Clone(h.events), h.lives
	h.set.Flush(func(err error) {
		if err == nil {
			h.keep(told, life)
		}
		h.note("up to %d are kept: %v", told[len(told)-1].seq, err)
	})
}

// transaction ends one, or as many as it took to part the bad writes from the good.
func (h *history) transaction() {
	n := min(len(h.journal.pending), 1+h.IntN(8))
	var tell []func()
	for left := n; left > 0; {
		part := left
		if h.IntN(4) == 0 {
			part = (left + 1) / 2
		}
		var fail error
		if h.IntN(5) == 0 {
			fail = errors.New("the transaction failed")
		}
		h.note("a transaction of %d: %v", part, fail)
		h.journal.set(false, fail)
		tell = append(tell, h.journal.commit(part)...)
		left -= part
	}
	h.journal.set(false, nil)
	for _, tell := range tell {
		if h.IntN(4) == 0 { // what comes of one may go on before the next is told
			synctest.Wait()
		}
		if h.IntN(20) == 0 {
			h.publish()
		}
		tell()
	}
}

// kill ends the node, and begins another on what is in the journal.
func (h *history) kill() {
	h.note("killed")
	for _, r := range h.readers {
		r.leave()
	}
	h.mu.Lock()
	h.lives++
	h.events = slices.DeleteFunc(h.events, func(e *published) bool { return !e.kept })
	h.mu.Unlock()
	was := h.journal
	next := was.killed()
	was.set(true, errors.New("dead"))
	h.durableRig = newDurableRig(h.t, next, 1000*h.lives)
	h.set.limits.Events = 10_000
	next.set(false, nil)
}

// reader is a subscriber that comes again and again, acknowledges now and then, and knows by the numbers what it has.
type reader struct {
	*history
	name string
	rand *rand.Rand

	session *Session
	gone    chan struct{}
	last    uint64
	seen    map[uint64]string
}

func (r *reader) leave() {
	if r.session != nil {
		r.session.Close()
		<-r.gone
		r.session = nil
	}
}

func (r *reader) come(window int) {
	r.leave()
	r.note("%s comes", r.name)
	d, _ := r.set.Find(r.name)
	session, gone := r.take(d, window), make(chan struct{})
	r.session, r.gone = session, gone
	go func() {
		defer close(gone)
		for {
			entries, err := session.Next(context.Background())
			if err != nil {
				return
			}
			for _, e := range entries {
				r.read(e)
				if r.rand.IntN(10) == 0 {
					r.note("%s acknowledges %d", r.name, e.Seq)
					if err := session.Ack(e.Seq); err != nil {
						r.fault("%v", err)
					}
				}
			}
		}
	}()
}

func (r *reader) read(e Entry) {
	r.note("%s has %d", r.name, e.Seq)
	was, again := r.seen[e.Seq]
	switch {
	case e.Name() == EventsLost{}.Name():
		r.fault("%s: %s", r.name, e.JSON)
	case !again && e.Seq <= r.last:
		r.fault("%s is given %d after %d", r.name, e.Seq, r.last)
	case again && was != string(e.JSON):
		r.fault("%s: %d was %s and is %s", r.name, e.Seq, was, e.JSON)
	}
	r.last = max(r.last, e.Seq)
	r.seen[e.Seq] = string(e.JSON)
}
