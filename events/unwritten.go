package events

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"sync"
	"time"
)

// While the journal cannot be written, what is to be kept waits in memory, in order and up to a bound, and is queued again until it is
// written. A subscriber is given nothing beyond the first that waits for it.
//
// Events reach the journal's queue in the order of their numbers, and the journal tells in the order of its queue what became of them. So
// one that is written has all before it on disk, but for those that failed: from then on they are in unwritten, also while they are
// queued again, until they are written.

const (
	maxUnwritten = 20_000
	rewritePause = 500 * time.Millisecond
)

var (
	// ErrUnkeepable is what Journal's errors are where an event cannot be written by its own fault: it is lost.
	ErrUnkeepable = errors.New("the event cannot be written")
	// ErrUnwritten says that events wait in memory to be written: the journal does not take any.
	ErrUnwritten = errors.New("events wait to be written")
)

// writing is what waits to be written again.
type writing struct {
	sync.Mutex
	unwritten []*Journalled // by number
	holds     bool          // what is published waits behind those, too: one of them is not queued
	again     bool          // a timer is set to queue them
}

func compareJournalled(k *Journalled, seq uint64) int { return cmp.Compare(k.Seq, seq) }

// keep queues an event to be written. The hub's lock is held, so that the calls are in the order of the numbers.
func (ds *Durables) keep(k *Journalled) {
	w := &ds.writing
	w.Lock()
	if w.holds {
		w.add(k)
		w.Unlock()
		return
	}
	w.Unlock()
	ds.append(k)
}

func (ds *Durables) append(k *Journalled) {
	ds.journal.Append(k, func(err error) { ds.written(k, err) })
}

// add puts one where its number belongs. Beyond the bound the two oldest that are not queued become a loss. The lock is held.
func (w *writing) add(k *Journalled) {
	i, _ := slices.BinarySearchFunc(w.unwritten, k.Seq, compareJournalled)
	w.unwritten = slices.Insert(w.unwritten, i, k)
	if len(w.unwritten) <= maxUnwritten {
		return
	}
	for i, b := range w.unwritten[1:] {
		if a := w.unwritten[i]; !a.queued && !b.queued {
			w.unwritten[i+1] = lossOf(a, b)
			copy(w.unwritten[1:], w.unwritten[:i]) // mostly none
			w.unwritten = w.unwritten[1:]
			return
		}
	}
}

// lossOf is a loss in place of two events, one behind the other.
func lossOf(a, b *Journalled) *Journalled {
	lost := &Journalled{Seq: b.Seq, Time: b.Time, hub: b.hub, loss: EventsLost{Count: a.worth() + b.worth(), FromSeq: a.from(), ToSeq: b.Seq}}
	lost.takers = slices.Clone(a.takers)
	for _, d := range b.takers {
		if !slices.Contains(lost.takers, d) {
			lost.takers = append(lost.takers, d)
		}
	}
	return lost
}

// worth is how many events one stands for, and from the number of the first.
func (k *Journalled) worth() uint64 { return max(k.loss.Count, 1) }

func (k *Journalled) from() uint64 {
	if k.loss.Count > 0 {
		return k.loss.FromSeq
	}
	return k.Seq
}

// lose makes a loss of an event.
func (k *Journalled) lose() {
	if k.loss.Count == 0 {
		k.loss = EventsLost{Count: 1, FromSeq: k.Seq, ToSeq: k.Seq}
	}
	k.json = nil
}

// written takes what became of a write.
func (ds *Durables) written(k *Journalled, err error) {
	w := &ds.writing
	w.Lock()
	i, waits := slices.BinarySearchFunc(w.unwritten, k.Seq, compareJournalled)
	if err == nil {
		if waits {
			w.unwritten = slices.Delete(w.unwritten, i, i+1)
		}
		behind := len(w.unwritten) > 0
		w.Unlock()
		if waits && !behind {
			ds.log.Info("the events for durable subscriptions are written again")
		}
		entry := Entry{Seq: k.Seq, Time: k.Time, Event: k.event, JSON: k.JSON()}
		if k.loss.Count > 0 {
			entry.Event = k.loss
		}
		for _, d := range k.takers {
			d.appended(entry, behind)
		}
		return
	}
	first := len(w.unwritten) == 0
	if errors.Is(err, ErrUnkeepable) {
		k.lose()
	}
	k.queued, w.holds = false, true
	if !waits {
		w.add(k)
	}
	set := !w.again
	w.again = true
	w.Unlock()
	if first {
		ds.log.Error("events for durable subscriptions cannot be written: they wait in memory", "error", err)
	}
	if set {
		time.AfterFunc(rewritePause, ds.signal)
	}
}

// rewrite queues again what waits to be written and is not queued. What is published from here on is queued behind that.
func (ds *Durables) rewrite() {
	ds.hub.mu.Lock() // so that nothing is published in between
	defer ds.hub.mu.Unlock()
	w := &ds.writing
	w.Lock()
	var list []*Journalled
	for _, k := range w.unwritten {
		if !k.queued {
			k.queued = true
			list = append(list, k)
		}
	}
	w.holds, w.again = false, false
	w.Unlock()
	for _, k := range list {
		ds.append(k)
	}
}

// unwrittenFor is the first number that waits to be written for a subscription: nothing from it on may be given.
func (ds *Durables) unwrittenFor(d *Durable) uint64 {
	w := &ds.writing
	w.Lock()
	defer w.Unlock()
	for _, k := range w.unwritten {
		if slices.Contains(k.takers, d) {
			return k.from()
		}
	}
	return math.MaxUint64
}

// Unwritten is how many events wait in memory to be written.
func (ds *Durables) Unwritten() int {
	w := &ds.writing
	w.Lock()
	defer w.Unlock()
	return len(w.unwritten)
}

// Flush calls done once every event that was published before is in the journal, or with an error where one is not.
func (ds *Durables) Flush(done func(error)) {
	w := &ds.writing
	w.Lock()
	holds := w.holds
	w.Unlock()
	if holds {
		done(ErrUnwritten)
		return
	}
	ds.journal.Flush(func(err error) {
		if err == nil && ds.Unwritten() > 0 { // one that was queued before
			err = ErrUnwritten
		}
		done(err)
	})
}
