package events

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Hub numbers the events of a node, keeps the last of them and fans them out. It is safe for any number of goroutines and needs
// no Close.
type Hub struct {
	node []byte // as JSON

	mu     sync.Mutex
	ring   []slot // event seq stands in ring[seq%len]
	head   uint64 // seq of the last one; 0: none yet
	first  uint64 // seq of the oldest that is kept; head+1: none
	octets int    // that the kept ones hold, about
	wake   chan struct{}
	waited bool // somebody waits on wake
	waking bool // the timer is set to close it
	woke   time.Time
	timer  *time.Timer
	sealed bool
	reserved

	// keepers are the durable subscriptions; nil: there are none, and nothing of them costs anything.
	keepers atomic.Pointer[keepers]

	lost     uint64              // events that subscriptions missed, counted for each of them
	observer func(time.Duration) // see Observe

	// encoding serialises those who make JSON, so that each event is encoded once however many wait for it.
	encoding sync.Mutex
	buffer   bytes.Buffer
	encoder  *json.Encoder
}

type slot struct {
	event Event
	at    time.Time
	json  []byte // nil until somebody needed it; then never changed
	size  int    // its share of octets
}

// wakeGap is the least time between two wake-ups of those who wait: what comes within it they get in one batch. An event after
// a silence wakes at once.
const wakeGap = 2 * time.Millisecond

// Kept is how many events a node keeps unless its owner says otherwise.
const Kept = 10_000

// maxOctets bounds what the kept events hold, so that ten thousand of the longest messages do not fill the memory: the oldest go
// first, whatever their number.
const maxOctets = 64 << 20

// weighty is an event whose size its sender decides.
type weighty interface{ weight() int }

func (e MessageReceived) weight() int { return len(e.Text) + len(e.Data) }
func (e Raised) weight() int          { return len(e.params) }

// NewHub makes a hub that keeps the last keep events (Kept where it is not positive) and signs them with the node's name.
func NewHub(node string, keep int) *Hub {
	if keep <= 0 {
		keep = Kept
	}
	h := &Hub{ring: make([]slot, keep), first: 1, wake: make(chan struct{})}
	h.encoder = json.NewEncoder(&h.buffer)
	h.encoder.SetEscapeHTML(false)
	h.node, _ = json.Marshal(node) // a string always marshals
	h.timer = time.AfterFunc(time.Hour, h.wakeAll)
	h.timer.Stop()
	return h
}

// Publish gives an event its number and time. It does not block on anybody who reads, and encodes nothing. It is true where a
// durable subscription takes the event, which is then queued to be written: Durables.Flush waits for that.
func (h *Hub) Publish(e Event) (kept bool) { return h.publish(e, "") }

func (h *Hub) publish(e Event, note string) (kept bool) {
	set := h.keepers.Load()
	takers := set.takers(e)
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sealed {
		return false
	}
	if current := h.keepers.Load(); current != set { // one came or went meanwhile
		set = current
		takers = set.takers(e)
	}
	h.head++
	h.reserved.reach(h.head)
	if h.head-h.first == uint64(len(h.ring)) {
		h.drop()
	}
	s := h.slot(h.head)
	s.event, s.at = e, now
	if w, ok := e.(weighty); ok {
		h.weigh(s, w.weight())
	}
	if h.waited && !h.waking {
		h.waking = true
		h.timer.Reset(max(0, wakeGap-now.Sub(h.woke)))
	}
	if len(takers) == 0 && note == "" {
		return false
	}
	// Under the lock, so that events are written in the order of their numbers.
	set.durables.keep(&Journalled{Seq: h.head, Time: now, Note: note, event: e, takers: takers, hub: h})
	return len(takers) > 0
}

// Observe lets lag be told how old the oldest of the events is that a subscription got at one time; those are not counted that
// were older than the subscription. It must not block, and is to be set before there is a subscription.
func (h *Hub) Observe(lag func(time.Duration)) { h.observer = lag }

// Lost is how many events subscriptions were too slow for, counted for each subscription.
func (h *Hub) Lost() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lost
}

func (h *Hub) wakeAll() {
	h.mu.Lock()
	sleepers := h.wake
	h.wake = make(chan struct{})
	h.waited, h.waking = false, false
	h.woke = time.Now()
	h.mu.Unlock()
	close(sleepers) // outside: it makes every one of them runnable
}

// Seq is the number of the last event; 0 where there was none.
func (h *Hub) Seq() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.head
}

func (h *Hub) slot(seq uint64) *slot { return &h.ring[seq%uint64(len(h.ring))] }

// drop forgets the oldest event that is kept.
func (h *Hub) drop() {
	s := h.slot(h.first)
	h.octets -= s.size
	*s = slot{}
	h.first++
}

// weigh adds to what an event holds, at the cost of the oldest. The newest stays, whatever it holds.
func (h *Hub) weigh(s *slot, octets int) {
	s.size += octets
	h.octets += octets
	for h.octets > maxOctets && h.first < h.head {
		h.drop()
	}
}

// Entry is one event as a subscription gives it.
type Entry struct {
	Seq   uint64
	Time  time.Time
	Event Event  // nil where it was read from the journal
	JSON  []byte // the notification; shared, so it must not be changed
}

// Name is the name of its event.
func (e Entry) Name() string {
	if e.Event != nil {
		return e.Event.Name()
	}
	return nameIn(e.JSON)
}

// Start says where a subscription begins.
type Start struct {
	after   uint64
	resumes bool
}

// Now begins with the next event that is published.
var Now = Start{}

// After resumes behind an event: with the next one that is kept, and with E_EVENTS_LOST before it where some are no longer
// kept. After(0) begins with the oldest that is kept.
func After(seq uint64) Start { return Start{after: seq, resumes: true} }

// Subscription is a cursor into the hub's ring. It holds nothing that must be released. It is for one goroutine at a time.
type Subscription struct {
	hub     *Hub
	filter  Filter
	matches map[string]bool // filter's answers
	next    uint64          // the number that it reads next
	taken   atomic.Uint64   // the last whose batch is done with, for Lag
	since   uint64          // the number of the last event before it
	anew    bool            // it was to resume beyond the last event: say that the sequence began anew
	last    *uint64         // the last event to give, once the context has ended
	batch   []Entry
	slots   []slot
}

// maxBatch bounds what one call of Next gives, and readStep how many slots are copied in one hold of the hub's lock.
const (
	maxBatch = 256
	readStep = 64
	// maxNames bounds what a subscription remembers of its filter's answers: applications may raise events of any name.
	maxNames = 256
)

// Subscribe makes a subscription to what the filter takes.
func (h *Hub) Subscribe(filter Filter, start Start) *Subscription {
	s := &Subscription{hub: h, filter: filter, matches: make(map[string]bool)}
	h.mu.Lock()
	defer h.mu.Unlock()
	s.since = h.head
	switch {
	case !start.resumes:
		s.next = h.head + 1
	case start.after == 0:
		s.next = h.first
	case start.after > h.head:
		s.next, s.anew = 1, true
	default:
		s.next = start.after + 1
	}
	s.taken.Store(s.next - 1)
	return s
}

// Next waits until there are events for this subscription and gives all that gathered, up to a bound. The slice is valid until
// the next call. Once the context has ended it gives what was published until then, and then the context's error: so the last
// events of a gateway that goes down still go out.
func (s *Subscription) Next(ctx context.Context) ([]Entry, error) {
	if err := ctx.Err(); err != nil {
		if s.last == nil {
			last := s.hub.Seq()
			s.last = &last
		}
		if s.next > *s.last {
			return nil, err
		}
	}
	s.batch = s.batch[:0]
	s.taken.Store(s.next - 1)
	for len(s.batch) <= maxBatch-readStep {
		wait := s.read()
		if wait == nil {
			continue
		}
		if len(s.batch) > 0 {
			break
		}
		s.taken.Store(s.next - 1)
		select {
		case <-wait:
		case <-ctx.Done():
			return s.Next(ctx)
		}
	}
	s.encode()
	return s.batch, nil
}

// Lag is how many events were published that the subscription's owner has not dealt with, and since when the oldest of them waits.
// It may be called by any goroutine.
func (s *Subscription) Lag() (n uint64, since time.Time) {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	taken := s.taken.Load()
	if taken >= h.head {
		return 0, time.Time{}
	}
	return h.head - taken, h.slot(max(taken+1, h.first)).at
}

// read appends what one step of the ring has for the filter. It gives a channel where there is no more, which is closed when
// there may be.
func (s *Subscription) read() (wait <-chan struct{}) {
	h := s.hub
	s.slots = s.slots[:0]
	h.mu.Lock()
	from, oldest, head := s.next, h.first, h.head
	first := max(from, oldest)
	h.lost += first - from
	if from > head && !s.anew {
		wait = h.wake
		h.waited = true
	}
	for seq := first; seq <= head && len(s.slots) < readStep; seq++ {
		s.slots = append(s.slots, *h.slot(seq))
	}
	h.mu.Unlock()

	if first > from || s.anew {
		lost := EventsLost{Count: first - from, FromSeq: from, ToSeq: first - 1}
		s.batch = append(s.batch, Entry{Seq: lost.ToSeq, Time: time.Now(), Event: lost})
		s.anew = false
	}
	if live := first > s.since; live && len(s.slots) > 0 && h.observer != nil {
		h.observer(time.Since(s.slots[0].at))
	}
	for i, slot := range s.slots {
		if s.match(slot.event.Name()) && s.filter.takesParams(slot.event) {
			s.batch = append(s.batch, Entry{Seq: first + uint64(i), Time: slot.at, Event: slot.event, JSON: slot.json})
		}
	}
	s.next = first + uint64(len(s.slots))
	return wait
}

func (s *Subscription) match(name string) bool {
	if s.filter.patterns == nil && s.filter.within == nil {
		return true
	}
	ok, known := s.matches[name]
	if !known {
		ok = s.filter.Match(name)
		if len(s.matches) < maxNames {
			s.matches[name] = ok
		}
	}
	return ok
}

// encode makes the JSON of those entries of the batch that nobody else encoded.
func (s *Subscription) encode() {
	h := s.hub
	locked := false
	for i := range s.batch {
		e := &s.batch[i]
		if e.JSON != nil {
			continue
		}
		if !locked {
			h.encoding.Lock()
			defer h.encoding.Unlock()
			locked = true
		}
		if _, own := e.Event.(EventsLost); own {
			e.JSON = h.notification(e)
			continue
		}
		e.JSON = h.share(e)
	}
}

// encode gives the JSON of a published event.
func (h *Hub) encode(e *Entry) []byte {
	h.encoding.Lock()
	defer h.encoding.Unlock()
	return h.share(e)
}

// share gives the JSON of a published event, and lets others have it. Whoever encodes holds h.encoding, so what is missing now
// stays missing until it is put in its slot here.
func (h *Hub) share(e *Entry) []byte {
	if b := h.encoded(e.Seq, nil); b != nil {
		return b
	}
	return h.encoded(e.Seq, h.notification(e))
}

// encoded gives the JSON of an event's slot, after it put fresh in where there is none and the event is still kept.
func (h *Hub) encoded(seq uint64, fresh []byte) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	if seq < h.first {
		return fresh
	}
	s := h.slot(seq)
	if s.json == nil && fresh != nil {
		s.json = fresh
		h.weigh(s, len(fresh))
		return fresh // weigh may have dropped it
	}
	return s.json
}

const notificationStart = `{"jsonrpc":"2.0","method":"`

// notification encodes an entry. h.encoding is held.
func (h *Hub) notification(e *Entry) []byte {
	h.buffer.Reset()
	if err := h.encoder.Encode(e.Event); err != nil {
		// Only an event that marshals itself can fail; it must not take those after it along.
		h.buffer.Reset()
		h.buffer.WriteString("{}\n")
	}
	params := bytes.TrimSuffix(h.buffer.Bytes(), []byte("\n"))
	name := e.Event.Name()
	b := make([]byte, 0, len(params)+len(name)+len(h.node)+100)
	b = append(b, notificationStart...)
	b = append(b, name...)
	b = append(b, `","params":{"seq":`...)
	b = strconv.AppendUint(b, e.Seq, 10)
	b = append(b, `,"time":"`...)
	b = e.Time.UTC().AppendFormat(b, timeLayout)
	b = append(b, `","node":`...)
	b = append(b, h.node...)
	if len(params) > len("{}") {
		b = append(b, ',')
		b = append(b, params[1:]...)
	} else {
		b = append(b, '}')
	}
	return append(b, '}')
}
