package events

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// While the journal cannot be written, what is to be kept waits in memory, in order and up to a bound, and is written again until
// it is. A subscriber is given nothing beyond the first that waits.

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
	again     bool          // a timer is set to try
}

func compareJournalled(k *Journalled, seq uint64) int { return cmp.Compare(k.Seq, seq) }

// keep queues an event to be written. The hub's lock is held, so that the calls are in the order of the numbers.
func (ds *Durables) keep(k *Journalled) {
	w := &ds.writing
	w.Lock()
	if len(w.unwritten) > 0 {
		w.add(k)
		w.Unlock()
		return
	}
	w.Unlock()
	ds.journal.Append(k, func(err error) { ds.written(k, err) })
}

// add puts one where its number belongs. Beyond the bound the two oldest become a loss. The lock is held.
func (w *writing) add(k *Journalled) {
	i, found := slices.BinarySearchFunc(w.unwritten, k.Seq, compareJournalled)
	if !found {
		w.unwritten = slices.Insert(w.unwritten, i, k)
	}
	if len(w.unwritten) <= maxUnwritten {
		return
	}
	a, b := w.unwritten[0], w.unwritten[1]
	lost := &Journalled{Seq: b.Seq, Time: b.Time, hub: b.hub, loss: EventsLost{Count: a.worth() + b.worth(), FromSeq: a.from(), ToSeq: b.Seq}}
	lost.takers = slices.Clone(a.takers)
	for _, d := range b.takers {
		if !slices.Contains(lost.takers, d) {
			lost.takers = append(lost.takers, d)
		}
	}
	w.unwritten = w.unwritten[1:]
	w.unwritten[0] = lost
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
	i, waited := slices.BinarySearchFunc(w.unwritten, k.Seq, compareJournalled)
	waited = waited && w.unwritten[i] == k
	if err == nil {
		if waited {
			w.unwritten = slices.Delete(w.unwritten, i, i+1)
		}
		behind := len(w.unwritten) > 0
		w.Unlock()
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
	if !waited {
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

// rewrite writes again what waits, and waits for what becomes of it. Once the journal has taken all of that, what came meanwhile does
// not wait any more either: while events come there would always be some.
func (ds *Durables) rewrite(ctx context.Context) {
	w := &ds.writing
	w.Lock()
	w.again = false
	list := slices.Clone(w.unwritten)
	w.Unlock()
	if len(list) == 0 {
		return
	}
	var wait sync.WaitGroup
	var failed atomic.Bool
	for _, k := range list {
		if ctx.Err() != nil {
			break
		}
		wait.Add(1)
		ds.journal.Append(k, func(err error) {
			defer wait.Done()
			if err != nil {
				failed.Store(true)
			}
			ds.written(k, err)
		})
	}
	wait.Wait()
	if !failed.Load() && ctx.Err() == nil {
		ds.resume()
	}
	w.Lock()
	left := len(w.unwritten)
	set := left > 0 && !w.again
	w.again = w.again || set
	w.Unlock()
	switch {
	case left == 0:
		ds.log.Info("the events for durable subscriptions are written again")
	case set:
		time.AfterFunc(rewritePause, ds.signal)
	}
}

// resume queues what waits to be written. What is published from here on goes to the journal at once, behind that.
func (ds *Durables) resume() {
	ds.hub.mu.Lock() // so that nothing is published in between
	defer ds.hub.mu.Unlock()
	w := &ds.writing
	w.Lock()
	list := w.unwritten
	w.unwritten = nil
	w.Unlock()
	for _, k := range list {
		ds.journal.Append(k, func(err error) { ds.written(k, err) })
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
	wait := len(w.unwritten) > 0
	w.Unlock()
	if wait {
		done(ErrUnwritten)
		return
	}
	ds.journal.Flush(done)
}
