package smpp

import (
	"time"

	"sipsmpp/gateway/smpp/wire"
)

// maxSequence is the greatest sequence_number (SMPP 3.4, 5.1.4).
const maxSequence = 0x7FFFFFFF

// request is one that waits for its response.
type request struct {
	command  wire.CommandID
	sequence uint32
	sent     time.Time
	start    uint64 // where in the stream its first octet stands
	reads    uint64 // how many reads the session had seen when it was sent
	message  *submission
	segment  int

	older, newer *request
}

// window holds the requests of one session that wait for a response: by sequence number, and in the order that they were sent,
// which is the order that they run out, since all have the same time. The session's lock guards it.
type window struct {
	waiting        map[uint32]*request
	oldest, newest *request
	free           *request // to be used again, linked by newer
	messages       int      // how many carry a segment: what the window's size bounds
	last           uint32   // the last sequence number given
}

// next gives the next sequence number that no waiting request has.
func (w *window) next() uint32 {
	for {
		if w.last++; w.last > maxSequence {
			w.last = 1
		}
		if _, taken := w.waiting[w.last]; !taken {
			return w.last
		}
	}
}

// add registers a request under the number that next gave.
func (w *window) add(r request) {
	q := w.free
	if q == nil {
		q = new(request)
	} else {
		w.free = q.newer
	}
	*q = r
	q.older, q.newer = w.newest, nil
	if w.newest != nil {
		w.newest.newer = q
	} else {
		w.oldest = q
	}
	w.newest = q
	if w.waiting == nil {
		w.waiting = make(map[uint32]*request)
	}
	w.waiting[r.sequence] = q
	if r.message != nil {
		w.messages++
	}
}

// remove takes a request out and gives what it was.
func (w *window) remove(q *request) request {
	r := *q
	delete(w.waiting, r.sequence)
	if r.older != nil {
		r.older.newer = r.newer
	} else {
		w.oldest = r.newer
	}
	if r.newer != nil {
		r.newer.older = r.older
	} else {
		w.newest = r.older
	}
	if r.message != nil {
		w.messages--
	}
	*q = request{newer: w.free}
	w.free = q
	return r
}
