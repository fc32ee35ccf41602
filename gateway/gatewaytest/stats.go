package gatewaytest

import (
	"maps"
	"sync"
	"sync/atomic"
)

// SMSCStats counts what an SMSC did since it started.
type SMSCStats struct {
	Sockets      uint64 `json:"sockets"` // accepted
	Binds        uint64 `json:"binds"`   // accepted, in all
	BindsRefused uint64 `json:"binds_refused"`
	Bound        int    `json:"bound"` // now

	Submits   uint64            `json:"submits"`   // submit_sm that came
	Accepted  uint64            `json:"accepted"`  // answered with 0
	Throttled uint64            `json:"throttled"` // refused by ThrottleAbove
	Refused   map[uint32]uint64 `json:"refused"`   // by command_status

	Delivers         uint64            `json:"delivers"`          // deliver_sm that were sent, receipts among them
	DeliversAnswered map[uint32]uint64 `json:"delivers_answered"` // by command_status, receipts among them
	DeliversLost     uint64            `json:"delivers_lost"`     // never answered
	Receipts         uint64            `json:"receipts"`          // receipts that were answered with 0
	Queued           int               `json:"queued"`            // deliver_sm that wait for a bind or its window
	Unanswered       int               `json:"unanswered"`        // deliver_sm that wait for their answer

	EnquireLinks       uint64 `json:"enquire_links"`        // that came
	EnquireLinkAnswers uint64 `json:"enquire_link_answers"` // to our own
	Unbinds            uint64 `json:"unbinds"`              // that came
	UnbindAnswers      uint64 `json:"unbind_answers"`       // to our own
	Nacks              uint64 `json:"nacks"`                // generic_nack that came
	Unexpected         uint64 `json:"unexpected"`           // PDUs that the SMSC could not make sense of
}

type counters struct {
	sockets, binds, bindsRefused          atomic.Uint64
	submits, accepted, throttled          atomic.Uint64
	delivers, deliversLost, receipts      atomic.Uint64
	enquireLinks, enquireLinkAnswers      atomic.Uint64
	unbinds, unbindAnswers, nacks, strays atomic.Uint64

	refused, answered tally
}

// tally counts by command_status.
type tally struct {
	ok     atomic.Uint64 // the one that is counted all the time
	mu     sync.Mutex
	others map[uint32]uint64
}

func (t *tally) add(status uint32) {
	if status == StatusOK {
		t.ok.Add(1)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.others == nil {
		t.others = make(map[uint32]uint64)
	}
	t.others[status]++
}

func (t *tally) all() map[uint32]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := maps.Clone(t.others)
	if m == nil {
		m = make(map[uint32]uint64)
	}
	if ok := t.ok.Load(); ok > 0 {
		m[StatusOK] = ok
	}
	return m
}

// Stats gives the counts.
func (s *SMSC) Stats() SMSCStats {
	c := &s.stats
	st := SMSCStats{
		Sockets: c.sockets.Load(), Binds: c.binds.Load(), BindsRefused: c.bindsRefused.Load(),
		Submits: c.submits.Load(), Accepted: c.accepted.Load(), Throttled: c.throttled.Load(), Refused: c.refused.all(),
		Delivers: c.delivers.Load(), DeliversAnswered: c.answered.all(), DeliversLost: c.deliversLost.Load(),
		Receipts:     c.receipts.Load(),
		EnquireLinks: c.enquireLinks.Load(), EnquireLinkAnswers: c.enquireLinkAnswers.Load(),
		Unbinds: c.unbinds.Load(), UnbindAnswers: c.unbindAnswers.Load(), Nacks: c.nacks.Load(), Unexpected: c.strays.Load(),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Queued = s.anybody.len()
	for _, g := range s.groups {
		st.Queued += g.queue.len()
	}
	for sess := range s.sessions {
		st.Unanswered += len(sess.inflight)
		if sess.isBound {
			st.Bound++
		}
	}
	return st
}
