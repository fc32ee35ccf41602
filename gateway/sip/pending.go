package sip

import (
	"bytes"
	"strconv"
	"sync"
	"time"

	"sipsmpp/gateway/sms"
)

const pendingShards = 32

// outgoing is a message on its way to SIP, through all of its attempts. While an attempt waits for its answer it is in the
// table and belongs to it; who takes it out owns it, and finishes it or makes the next attempt.
type outgoing struct {
	m    *sms.Message
	done func(sms.Outcome)
	uri  string // the Request-URI; empty: that of m.To at the next hop
	kind string // Content-Type of m.Text as it stands; empty: text, which may be wrapped in CPIM to ask for a notification
	bare bool   // the next hop takes no CPIM, so nothing is asked for

	contact bool   // uri is a contact of the recipient
	route   string // Route, which the contact's proxies want

	callID  [2]uint64 // random, where the message has no ID
	fromTag uint64

	// Which way it goes.
	seq        uint32 // of CSeq
	challenges int    // that were answered
	only       *hop   // the one next hop that it may take; nil: those of sip.outbound_uri
	tried      uint64 // the next hops that had their turn, one bit each
	hop        *hop
	addresses  uint64 // of the hop that had their turn, one bit each
	probe      bool   // it is an OPTIONS that asks whether the next hop is there
	to         *target
	redialled  bool        // the connection was gone as it was used
	failure    sms.Outcome // why the last attempt failed
	failed     bool

	// The attempt: a non-INVITE client transaction (RFC 3261, 17.1.2).
	branch     uint64
	request    []byte
	stream     *stream   // nil: by UDP
	by         transport // that the request was made for
	began      time.Time
	first      time.Time // when the first attempt began
	due        time.Time // of the next retransmission
	interval   time.Duration
	sent       int
	proceeding bool
}

// patience is how long an answer is waited for (RFC 3261, 17.1.2.2).
func (o *outgoing) patience(cfg *Config) time.Duration {
	if o.probe {
		return min(cfg.TimerF, probeTime)
	}
	return cfg.TimerF
}

// pending is the table of client transactions, by the number in their branch.
type pending struct {
	shards [pendingShards]struct {
		mu sync.Mutex
		m  map[uint64]*outgoing
	}
}

func newPending() *pending {
	t := &pending{}
	for i := range t.shards {
		t.shards[i].m = make(map[uint64]*outgoing)
	}
	return t
}

func (t *pending) put(o *outgoing) {
	s := &t.shards[o.branch%pendingShards]
	s.mu.Lock()
	s.m[o.branch] = o
	s.mu.Unlock()
}

// take is the one that has this branch, and takes it out.
func (t *pending) take(branch uint64) *outgoing {
	s := &t.shards[branch%pendingShards]
	s.mu.Lock()
	o := s.m[branch]
	delete(s.m, branch)
	s.mu.Unlock()
	return o
}

// proceed notes a provisional response: from now on it is retransmitted every T2 (RFC 3261, 17.1.2.2).
func (t *pending) proceed(branch uint64) bool {
	s := &t.shards[branch%pendingShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.m[branch]
	if o != nil {
		o.proceeding = true
	}
	return o != nil
}

// takeAll takes out those that match.
func (t *pending) takeAll(match func(*outgoing) bool) []*outgoing {
	var all []*outgoing
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for branch, o := range s.m {
			if match(o) {
				all = append(all, o)
				delete(s.m, branch)
			}
		}
		s.mu.Unlock()
	}
	return all
}

// clock is the timers E and F of one transaction (RFC 3261, 17.1.2.2). It is given what to do with the retransmission.
func (t *pending) clock(branch uint64, now time.Time, cfg *Config, w *wheel) (retransmit *packet, to *target, late *outgoing) {
	s := &t.shards[branch%pendingShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.m[branch]
	if o == nil {
		return nil, nil, nil
	}
	end := o.began.Add(o.patience(cfg))
	if !now.Before(end) {
		delete(s.m, branch)
		return nil, nil, o
	}
	if o.stream == nil && !now.Before(o.due) {
		o.sent++
		o.interval = min(2*o.interval, cfg.T2)
		if o.proceeding {
			o.interval = cfg.T2
		}
		o.due = o.due.Add(o.interval)
		retransmit = newPacket()
		retransmit.b = append(retransmit.b, o.request...)
		retransmit.addr, retransmit.branch = o.to.udp, branch
	}
	if o.stream != nil || end.Before(o.due) {
		w.add(branch, end)
	} else {
		w.add(branch, o.due)
	}
	return retransmit, o.to, nil
}

// appendBranch and parseBranch are the branch of our requests: the magic cookie and the number.
func appendBranch(b []byte, branch uint64) []byte { return appendHex(append(b, cookie...), branch) }

func parseBranch(b []byte) (uint64, bool) {
	if len(b) != len(cookie)+16 || !hasCookie(b) {
		return 0, false
	}
	v, err := strconv.ParseUint(string(b[len(cookie):]), 16, 64)
	return v, err == nil
}

// quotedBranch finds the branch in a piece of a request of ours.
func quotedBranch(b []byte) (uint64, bool) {
	i := bytes.Index(b, []byte("branch="+cookie))
	if i < 0 {
		return 0, false
	}
	b = b[i+len("branch="):]
	return parseBranch(b[:min(len(b), len(cookie)+16)])
}
