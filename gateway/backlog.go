package gateway

import (
	"slices"
	"strings"
	"time"

	"sipsmpp/gateway/route"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// backlog is what waits for one target: the legs by which a message may go. Its messages are in the database; here is what must be
// known of them at once. The keeper's lock guards it.
type backlog struct {
	target string   // the legs, as column `target` has them
	legs   []string // one by one: smpp:acme, account:shop, sip, sip:HOST:PORT
	count  int
	octets int64
	queues map[int64]uint32 // how many messages each recipient has here, those on their way among them

	busy     map[int64]struct{} // the queues of those on their way
	inFlight int                // that are on their way: those whose attempt is being written, or written, or made
	open     int                // of them, those that the target has and has not answered
	recorded []*passage         // those whose attempt is written down and to be made
	next     time.Time          // when one is due, or may be; nothing is looked for before
	paused   time.Time          // the target does not keep up: nothing is tried before
	pass     *pass              // nil: only what is due is tried

	refused uint64 // because it was full, since that was told last
	told    time.Time
}

// pass goes once over what waits for a target, whether its time has come or not.
type pass struct {
	since  time.Time      // what was tried since then is not tried again
	after  store.Deferral // the last that was looked at
	forced bool           // the target may be down: what is looked for is a route by another
}

func newBacklog(target string) *backlog {
	return &backlog{
		target: target, legs: strings.Split(target, ", "), queues: make(map[int64]uint32), busy: make(map[int64]struct{}),
	}
}

// targetOf names the legs of targets as column `target` does: in an order that a strategy does not change, so that what waits for
// the same legs waits together.
func targetOf(targets []route.Target) string {
	if len(targets) == 1 {
		return legOf(targets[0])
	}
	var legs []string
	for _, t := range targets {
		if l := legOf(t); !slices.Contains(legs, l) {
			legs = append(legs, l)
		}
	}
	slices.Sort(legs)
	return strings.Join(legs, ", ")
}

// onward are the targets behind `app?`: an application is asked once.
func onward(targets []route.Target) []route.Target {
	if len(targets) > 0 && targets[0].Waits {
		return targets[1:]
	}
	return targets
}

func legOf(t route.Target) string {
	if t.URI != "" {
		return t.URI
	}
	return t.Leg.String()
}

// queueOf names the messages to one recipient that wait for one target: FNV-1a, which must not change, since it is stored. Two
// that share it by chance only wait for one another.
func queueOf(target string, to sms.Address) int64 {
	h := uint64(14695981039346656037)
	for _, s := range [3]string{target, "\x00", to.Value} {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
	}
	return int64(h | 1) // 0 is none
}

// join counts a message.
func (b *backlog) join(queue int64, octets int) {
	b.count++
	b.octets += int64(octets)
	if queue != 0 {
		b.queues[queue]++
	}
}

// leave takes it out again. followed says that others wait in its queue; known is false where it was never counted: a row whose
// write we believe to have failed.
func (b *backlog) leave(queue int64, octets int) (followed, known bool) {
	n := b.queues[queue]
	if queue != 0 && n == 0 {
		return false, false
	}
	b.count--
	b.octets -= int64(octets)
	if n > 1 {
		b.queues[queue] = n - 1
	} else {
		delete(b.queues, queue)
	}
	return n > 1, true
}

// dueAt notes that a message is due at a time.
func (b *backlog) dueAt(t time.Time) {
	if t.Before(b.next) {
		b.next = t
	}
}

// octetsOf is what a message counts for against defer.max_bytes.
func octetsOf(m *sms.Message) int {
	n := len(m.Text) + len(m.Data) + len(m.UDH)
	for _, t := range m.TLVs {
		n += len(t.Value)
	}
	return n
}

// has says that its messages may go by a leg.
func (b *backlog) has(leg string) bool { return slices.Contains(b.legs, leg) }
