package sip

import (
	"sync"
	"time"
)

const (
	wheelTick  = 10 * time.Millisecond
	wheelSlots = 1024 // one turn is 10.24 s; what is due later comes by early and is put back
)

// wheel holds the timers of all client transactions, by the number in their branch. An entry is never taken out: one whose
// transaction has ended is nobody's when its time comes.
type wheel struct {
	epoch time.Time
	kick  chan struct{}

	mu    sync.Mutex
	turn  int64 // ticks since epoch that are done
	count int
	slots [wheelSlots][]uint64
	spare []uint64
}

func newWheel() *wheel { return &wheel{epoch: time.Now(), kick: make(chan struct{}, 1)} }

// add lets fire be called with id at due, or up to one tick later.
func (w *wheel) add(id uint64, due time.Time) {
	tick := int64((due.Sub(w.epoch) + wheelTick - 1) / wheelTick)
	w.mu.Lock()
	first := w.count == 0
	if first {
		w.turn = max(w.turn, int64(time.Since(w.epoch)/wheelTick))
	}
	tick = min(max(tick, w.turn+1), w.turn+wheelSlots-1)
	slot := &w.slots[tick%wheelSlots]
	*slot = append(*slot, id)
	w.count++
	w.mu.Unlock()
	if first {
		select {
		case w.kick <- struct{}{}:
		default:
		}
	}
}

// run calls fire for what is due until stop is closed. It sleeps while there is nothing.
func (w *wheel) run(stop <-chan struct{}, fire func(id uint64, now time.Time)) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		w.mu.Lock()
		empty, next := w.count == 0, w.epoch.Add(time.Duration(w.turn+1)*wheelTick)
		w.mu.Unlock()
		if empty {
			select {
			case <-w.kick:
			case <-stop:
				return
			}
			continue
		}
		timer.Reset(time.Until(next))
		select {
		case <-timer.C:
		case <-stop:
			return
		}
		now := time.Now()
		for w.advance(now, fire) {
		}
	}
}

// advance does the next tick that has come. It is false if none has.
func (w *wheel) advance(now time.Time, fire func(id uint64, now time.Time)) bool {
	w.mu.Lock()
	if w.turn >= int64(now.Sub(w.epoch)/wheelTick) {
		w.mu.Unlock()
		return false
	}
	w.turn++
	slot := &w.slots[w.turn%wheelSlots]
	ids := *slot
	*slot = w.spare[:0]
	w.spare = nil
	w.count -= len(ids)
	w.mu.Unlock()
	for _, id := range ids {
		fire(id, now)
	}
	w.mu.Lock()
	w.spare = ids
	w.mu.Unlock()
	return true
}
