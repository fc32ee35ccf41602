package events

// The numbers of the events go on after a restart, so that a subscriber knows by its last one what it has. The node reserves them
// on disk ahead of their use: after a clean end they go on behind the last that was used, else behind those that were reserved.

// reserved is where the numbers began, and how far they are reserved. The hub's lock is held.
type reserved struct {
	began      uint64 // the last number before the start
	upTo, step uint64
	reserve    func(upTo uint64) // nil: nothing is reserved
}

// reach says that a number is in use: where half of the last step is used up, the next is reserved.
func (r *reserved) reach(seq uint64) {
	if r.reserve != nil && seq+r.step/2 >= r.upTo {
		r.upTo = seq + r.step
		r.reserve(r.upTo)
	}
}

// Continue lets the numbers go on behind last, of which last+step is reserved. reserve is called, before they are used up, to
// reserve more; it must not block. It is for the start: nothing was published yet.
func (h *Hub) Continue(last, step uint64, reserve func(upTo uint64)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.head, h.first = last, last+1
	h.reserved = reserved{began: last, upTo: last + step, step: step, reserve: reserve}
}

// Published is how many events were published since the start.
func (h *Hub) Published() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.head - h.began
}

// Seal ends the sequence, and gives its last number and how far numbers are reserved. What is published from here on is nobody's.
func (h *Hub) Seal() (last, reserved uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sealed = true
	return h.head, h.upTo
}
