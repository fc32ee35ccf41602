package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// tale is what happened to one message of a torture.
type tale struct {
	sent    time.Time // first
	settled time.Time // answered, or given up
	state   int32     // stateWaiting, stateAccepted, stateRefused, stateUnanswered
	id      string    // that its answer called it by
	exits   []exit    // each time that the far end took it
	denied  bool      // the far end refused it for good
	reports []string  // what its sender was told
	failed  string    // why its record says that it failed; empty: it does not
	kept    bool      // its record waits for another attempt
}

// exit is one time that a message came out.
type exit struct {
	at          time.Time
	transaction uint32    // of SIP, to tell a retransmission from a double; 0: none
	id          string    // that the SMSC gave it
	taken       time.Time // when its receipt was answered
}

func (e exit) String() string {
	text := e.at.Format(clock)
	if e.id != "" {
		text += " as " + e.id
	}
	if !e.taken.IsZero() {
		text += ", receipt taken at " + e.taken.Format(clock)
	}
	return text
}

// story is the tales of one direction. It grows with its messages; a torture is no measurement.
type story struct {
	direction string
	run       string // in the texts
	reported  bool   // its sender gets reports

	mu    sync.Mutex
	tales []*tale
	byID  map[string]*tale
	early map[string][]string // reports that came before the answer that names their message
}

func newStory(direction string, reported bool) *story {
	var id [runDigits / 2]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the process instead
	return &story{
		direction: direction, run: hex.EncodeToString(id[:]), reported: reported, byID: make(map[string]*tale), early: make(map[string][]string),
	}
}

// begin makes the next message.
func (s *story) begin() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tales = append(s.tales, &tale{sent: time.Now(), state: stateWaiting})
	return len(s.tales) - 1
}

// settle takes the answer to a message; the first one counts.
func (s *story) settle(n int, state int32, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tale(n)
	if t == nil || t.state != stateWaiting {
		return
	}
	t.state, t.settled, t.id = state, time.Now(), id
	if id != "" {
		s.byID[id] = t
		t.reports = append(t.reports, s.early[id]...)
		delete(s.early, id)
	}
}

// tale gives one; nil where there is none. The lock is held.
func (s *story) tale(n int) *tale {
	if n < 0 || n >= len(s.tales) {
		return nil
	}
	return s.tales[n]
}

// number gives the number of a text of this story.
func (s *story) number(text []byte) (int, bool) { return readMark(text, s.run) }

// exit notes that the far end took a message: in a transaction of SIP, or with an SMSC id.
func (s *story) exit(n int, transaction uint32, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tale(n)
	if t == nil {
		return
	}
	for _, e := range t.exits {
		if transaction != 0 && e.transaction == transaction {
			return
		}
	}
	t.exits = append(t.exits, exit{at: time.Now(), transaction: transaction, id: id})
}

// taken notes that the receipt for an SMSC id was answered with ESME_ROK.
func (s *story) taken(n int, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tale(n)
	for i := range t.exits {
		if t.exits[i].id == id {
			t.exits[i].taken = time.Now()
		}
	}
}

// deny notes that the far end refused it for good.
func (s *story) deny(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tale(n); t != nil {
		t.denied = true
	}
}

// report notes what the sender was told of the message with that id.
func (s *story) report(id, stat string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.byID[id]; t != nil {
		t.reports = append(t.reports, stat)
		return
	}
	s.early[id] = append(s.early[id], stat)
}

// waiting says how many messages have no answer, and how many were accepted of which nothing more is known.
func (s *story) waiting() (unanswered, pending int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tales {
		switch {
		case t.state == stateWaiting:
			unanswered++
		case t.state != stateAccepted:
		case len(t.exits) == 0 && !t.denied, s.reported && len(t.reports) == 0:
			pending++
		}
	}
	return unanswered, pending
}

// outage is a time in which something was broken.
type outage struct {
	what     string
	from, to time.Time
}

func (o outage) String() string {
	if o.what == killed {
		return killed + " " + o.from.Format(clock)
	}
	return o.what + " " + o.from.Format(clock) + " to " + o.to.Format(clock)
}

// grace is how long the gateway may take to make a fate known for good: for the answer to come, and to be committed.
const grace = time.Second

// storyResult is what a story says at the end.
type storyResult struct {
	Direction  string `json:"direction"`
	Sent       int    `json:"sent"`
	Accepted   int    `json:"accepted"`
	Refused    int    `json:"refused"`
	Unanswered int    `json:"unanswered"`

	Delivered int `json:"delivered"`        // accepted, and came out
	Kept      int `json:"kept"`             // accepted, and still deferred
	Denied    int `json:"refused_later"`    // accepted, refused by the far end later, and recorded as failed
	Lost      int `json:"lost"`             // accepted, and nothing of these
	Doubled   int `json:"doubled"`          // came out more than once, and the fate of the time before was unknown
	Surplus   int `json:"doubled_for_none"` // more than once, without such a reason

	Reported    int `json:"reported"`         // accepted, and its sender was told its final state
	Unreported  int `json:"unreported"`       // accepted, and its sender was not told
	ToldAgain   int `json:"reported_again"`   // told more than once
	Contradicts int `json:"reported_wrongly"` // told that it was not delivered, though it came out, or the other way

	Faults []string `json:"faults,omitempty"` // the first of what is wrong, by message
}

// verdict says what is wrong.
func (r storyResult) verdict() error {
	var wrong []string
	for _, w := range []struct {
		n    int
		what string
	}{
		{r.Lost, "lost"}, {r.Surplus, "doubled for no reason"}, {r.Kept, "still deferred"}, {r.Unreported, "not reported"},
		{r.Contradicts, "reported wrongly"},
	} {
		if w.n > 0 {
			wrong = append(wrong, fmt.Sprintf("%s: %d %s", r.Direction, w.n, w.what))
		}
	}
	if r.Accepted == 0 {
		wrong = append(wrong, r.Direction+": nothing was accepted")
	}
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "; "))
	}
	return nil
}

// storyHead is above the rows that String gives.
var storyHead = fmt.Sprintf("%-16s %7s %8s %7s %10s %9s %7s %8s %5s %8s %8s %7s", "", "sent", "accepted", "refused", "unanswered",
	"delivered", "failed", "deferred", "lost", "doubled", "reported", "again")

// String is a row of a table.
func (r storyResult) String() string {
	return fmt.Sprintf("%-16s %7d %8d %7d %10d %9d %7d %8d %5d %8d %8d %7d", r.Direction, r.Sent, r.Accepted, r.Refused, r.Unanswered,
		r.Delivered, r.Denied, r.Kept, r.Lost, r.Doubled+r.Surplus, r.Reported, r.ToldAgain)
}

// maxFaults bounds the faults that are told one by one.
const maxFaults = 20

// result judges the tales.
func (s *story) result(outages []outage) storyResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := storyResult{Direction: s.direction, Sent: len(s.tales)}
	fault := func(n int, format string, args ...any) {
		if len(r.Faults) < maxFaults {
			t := s.tales[n]
			r.Faults = append(r.Faults, fmt.Sprintf("message %d %s: sent %s, settled after %v, came out %v: %s", n, t.id,
				t.sent.Format(clock), t.settled.Sub(t.sent).Round(time.Millisecond), t.exits, fmt.Sprintf(format, args...)))
		}
	}
	for n, t := range s.tales {
		for i := 1; i < len(t.exits); i++ {
			if t.unknown(t.exits[i-1], outages) {
				r.Doubled++
				continue
			}
			r.Surplus++
			fault(n, "nothing was broken")
		}
		switch t.state {
		case stateRefused:
			r.Refused++
			continue
		case stateAccepted:
			r.Accepted++
		default:
			r.Unanswered++
			continue
		}
		switch {
		case len(t.exits) > 0:
			r.Delivered++
		case t.kept:
			r.Kept++
		case t.denied && t.failed != "":
			r.Denied++
		case t.failed != "":
			r.Lost++
			fault(n, "failed after it was accepted: %s", t.failed)
		default:
			r.Lost++
			fault(n, "accepted, and lost")
		}
		if s.reported && !t.kept {
			s.judgeReports(n, t, &r, fault)
		}
	}
	return r
}

// clock is how times are told.
const clock = "15:04:05.000"

func (s *story) judgeReports(n int, t *tale, r *storyResult, fault func(int, string, ...any)) {
	if len(t.reports) == 0 {
		r.Unreported++
		fault(n, "its sender was told no final state")
		return
	}
	r.Reported++
	if len(t.reports) > 1 {
		r.ToldAgain++
	}
	for _, stat := range t.reports {
		if (stat == "DELIVRD") != (len(t.exits) > 0) {
			r.Contradicts++
			fault(n, "its sender was told %s", stat)
			return
		}
	}
}

// unknown says that the gateway could not know that a message came out then: something broke before it was told and had noted it,
// or the sender, which had no answer, sent the message again to the gateway that came after.
func (t *tale) unknown(e exit, outages []outage) bool {
	for _, o := range outages {
		if !e.at.Before(o.from.Add(-grace)) && !e.at.After(o.to.Add(grace)) {
			return true
		}
		if o.what == killed && !o.from.Before(t.sent) && (t.settled.IsZero() || !o.from.After(t.settled)) {
			return true
		}
	}
	return false
}
