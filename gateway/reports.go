package gateway

import (
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sipsmpp/events"
	"sipsmpp/gateway/metric"
	"sipsmpp/gateway/receipt"
	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

const (
	// maxAwaited bounds the messages that are kept in memory until their report; those beyond it are found in the database.
	maxAwaited = 50_000
	// maxEarly bounds the receipts that wait, unanswered, for the submit_sm_resp that names their message.
	maxEarly = 10_000
	// earlyWait is how long such a receipt waits at the most.
	earlyWait = 10 * time.Second
	// secondWait is the same for one that has a second best.
	secondWait = 2 * time.Second
)

// reports brings receipts home: (leg, SMSC id) finds the message, its state is stored, an event says so, and only then is the
// receipt answered.
//
// What was sent lately is found in memory, everything else in the database. A receipt can overtake the response that names its
// message, so one that nothing matches waits, unanswered, while submits to that SMSC are without an answer.
//
// How far a message got is written and read in the database alone, which says of exactly one receipt that it completed the
// report.
type reports struct {
	db *store.DB
	// insert is db.Insert, and again lets a write that failed be made again when the database may be back; false: too many wait.
	insert func(*store.Record, func(error))
	again  func(write func()) bool
	// holdKey keeps the idempotency key of a message taken until free is called.
	holdKey func(*sms.Message) (free func())
	hub     *events.Hub
	log     *slog.Logger
	// siblings gives the legs by which a message may have gone whose receipt comes by this one, itself first.
	siblings func(sms.Leg) []sms.Leg
	// format gives column smsc_id_format of a leg.
	format func(sms.Leg) string
	// tell brings a report that was wanted to the sender of the message, beside the event.
	tell func(*recorded, store.MessageReport)
	// relay brings it to the account that submitted the message.
	relay    *relay
	durables *events.Durables

	mu       sync.Mutex
	awaited  map[segmentKey]awaited
	order    []segmentKey // as they came into awaited, to drop the oldest
	open     map[sms.Leg]int
	early    map[string]map[*incoming]struct{} // by the likeliest form of their SMSC id
	parked   int                               // how many those are
	learners map[sms.Leg]learner
	counters reportCounters

	faulted atomic.Int64 // when a fault was logged last, in Unix nanoseconds

	// legs gives those of all connections, where an unmatched receipt could belong; explaining counts those that are looked for.
	legs       func() []sms.Leg
	explaining atomic.Int32
}

// segmentKey names a segment among all that were sent.
type segmentKey struct {
	leg sms.Leg
	id  string // in its normal form: receipt.Key
}

// awaited is a segment whose receipt is waited for. How far its message got is the database's to know.
type awaited struct {
	part    int
	message *recorded
}

// recorded is what a report tells of its message beside the states.
type recorded struct {
	id       sms.ID
	ref      string
	from, to sms.Address
	request  sms.ReceiptRequest
	segments []store.Segment
	notify   *sms.Notify
	ingress  sms.Leg
	wanted   []sms.WantedReceipt // by the account that submitted it
	unsaved  atomic.Bool         // its record is not written yet
}

func recordedOf(r *store.Record) *recorded {
	m := r.Message
	return &recorded{id: m.ID, ref: m.Ref, from: m.From, to: m.To, request: m.Receipt, segments: r.Segments, notify: m.Notify,
		ingress: m.Ingress, wanted: m.Wanted}
}

// is says that it is the message with this id; nil is none.
func (m *recorded) is(id sms.ID) bool { return m != nil && m.id == id }

// learner is a leg's, for the smsc_id_format that the leg had then.
type learner struct {
	format string
	*receipt.Learner
	took *metric.Histogram // from a message's arrival to its report
}

// incoming is a receipt that is not answered yet.
type incoming struct {
	leg      sms.Leg
	receipt  sms.Receipt
	answer   func(wire.Status)
	learner  learner
	keys     []string  // the forms that its SMSC id may stand under, likeliest first
	second   *segment  // that the database has, and that is not certain to be it
	deadline time.Time // when it stops to wait for a response that names its message; zero: it did not begin to
	timer    *time.Timer
}

// segment is one that was found, and the leg that it went by.
type segment struct {
	leg sms.Leg
	awaited
}

func newReports(db *store.DB, hub *events.Hub, log *slog.Logger, siblings func(sms.Leg) []sms.Leg, format func(sms.Leg) string) *reports {
	return &reports{
		db: db, insert: db.Insert, hub: hub, log: log, siblings: siblings, format: format,
		awaited:  make(map[segmentKey]awaited),
		open:     make(map[sms.Leg]int),
		early:    make(map[string]map[*incoming]struct{}),
		learners: make(map[sms.Leg]learner),
	}
}

// fault logs what the database did not do, once in a second: while it is away, that is every receipt's.
func (r *reports) fault(what string, args ...any) {
	now := time.Now().UnixNano()
	if last := r.faulted.Load(); now-last >= int64(time.Second) && r.faulted.CompareAndSwap(last, now) {
		r.log.Error(what, args...)
	}
}

// sending says that a message is about to be submitted on a leg: until sent or expect says how that ended, a receipt that
// matches nothing may be its.
func (r *reports) sending(leg sms.Leg) {
	r.mu.Lock()
	r.open[leg]++
	r.mu.Unlock()
}

// sent says that a submit ended with no report to wait for.
func (r *reports) sent(leg sms.Leg) {
	r.mu.Lock()
	again := r.closeOne(leg)
	r.mu.Unlock()
	r.matchAll(again)
}

// closeOne ends one sending. It gives the receipts for which no response can come any more.
func (r *reports) closeOne(leg sms.Leg) (again []*incoming) {
	if r.open[leg]--; r.open[leg] > 0 {
		return nil
	}
	delete(r.open, leg)
	for _, same := range r.early {
		for in := range same {
			if slices.Contains(r.siblings(in.leg), leg) && !r.mayCome(in.leg) {
				again = append(again, r.unpark(in))
			}
		}
	}
	return again
}

// mayCome says that a response is outstanding that could name the message of a receipt on this leg.
func (r *reports) mayCome(leg sms.Leg) bool {
	return slices.ContainsFunc(r.siblings(leg), func(l sms.Leg) bool { return r.open[l] > 0 })
}

// expect records an accepted message with its SMSC ids, by write, and then calls done. From here on its receipts find it.
func (r *reports) expect(record *store.Record, write func(*store.Record, func(error)), done func()) {
	known := recordedOf(record)
	known.unsaved.Store(true)
	// Queued before a receipt can find the message, so that its report is written after it.
	write(record, func(err error) {
		if err == nil {
			known.unsaved.Store(false)
			done()
			return
		}
		// The store says once that it fails.
		r.counters.unrecorded.Add(1)
		r.saveLater(record, known, err, time.Now().Add(heldTime), sync.OnceFunc(done))
	})
	r.mu.Lock()
	r.remember(record.Egress, known)
	var again []*incoming
	for _, s := range known.segments {
		for in := range r.early[s.Key] {
			if r.lookup(in, in.keys[:1]) != nil {
				again = append(again, r.unpark(in))
			}
		}
	}
	again = append(again, r.closeOne(record.Egress)...)
	r.mu.Unlock()
	r.matchAll(again)
}

// heldTime is how long the answer to a message is held back whose record cannot be written. If we end meanwhile its sender, who has no
// answer, sends it again; later it is answered with success, since the next hop has it, and its report is lost only if we end before
// the database is back.
const heldTime = 10 * time.Second

// saveLater writes the record of a message, which failed, again and again, unless it is the record's own fault. Where only the
// answer was lost it is there already, which is a fault of the row, too. Until it is written the message's idempotency key stays taken.
func (r *reports) saveLater(record *store.Record, known *recorded, err error, until time.Time, done func()) {
	free := r.holdKey(record.Message)
	var again func()
	failed := func(err error) {
		over := store.IsRowFault(err) || !r.again(again)
		if over {
			known.unsaved.Store(false)
		}
		if over || time.Now().After(until) {
			done()
		}
		if over {
			free()
		}
	}
	again = func() {
		r.insert(record, func(err error) {
			if err != nil {
				failed(err)
				return
			}
			known.unsaved.Store(false)
			done()
			free()
		})
	}
	failed(err)
}

// remember lets a message's segments be found in memory, at the cost of the oldest.
func (r *reports) remember(leg sms.Leg, m *recorded) {
	for _, s := range m.segments {
		if s.Key != "" {
			key := segmentKey{leg, s.Key}
			r.awaited[key] = awaited{s.Part, m}
			r.order = append(r.order, key)
		}
	}
	if len(r.order) > 2*maxAwaited { // mostly keys whose report came: drop those, then the oldest
		r.order = slices.DeleteFunc(r.order, func(k segmentKey) bool { return r.awaited[k].message == nil })
	}
	for len(r.awaited) > maxAwaited {
		delete(r.awaited, r.order[0])
		r.order = r.order[1:]
	}
}

// receipt takes a receipt that came by a leg. answer is called once its state is stored, or nothing can be done for it.
func (r *reports) receipt(leg sms.Leg, rc sms.Receipt, answer func(wire.Status)) {
	r.counters.received.Add(1)
	l := r.learner(leg)
	r.match(&incoming{leg: leg, receipt: rc, answer: answer, learner: l, keys: l.Candidates(rc.SMSCID)})
}

// learner knows how the SMSC ids of a leg's receipts relate to those of its responses.
func (r *reports) learner(leg sms.Leg) learner {
	format := r.format(leg)
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.learners[leg]
	if l.took == nil {
		l.took = metric.New(metric.Long)
	}
	if l.Learner == nil || l.format != format {
		l.format, l.Learner = format, receipt.NewLearner(format)
		r.learners[leg] = l
	}
	return l
}

func (r *reports) matchAll(list []*incoming) {
	for _, in := range list {
		r.match(in)
	}
}

// match finds the message of a receipt: in memory, then in the database; else the receipt waits, or nobody knows it.
//
// An id has several forms until it is known how an SMSC writes it, and the others may be those of other messages: the 16th message of
// an SMSC that counts is in hexadecimal the 10th. An SMSC may also begin to count anew. So a message that has the id in another form
// than the likeliest, or that had its receipt already, is only taken for the receipt's when no response can come any more that gives
// the id itself, or when that took long.
func (r *reports) match(in *incoming) {
	if len(in.keys) == 0 {
		r.unmatched(in)
		return
	}
	r.mu.Lock()
	found := r.lookup(in, in.keys[:1])
	r.mu.Unlock()
	if found != nil {
		r.store(in, found)
		return
	}
	in.second = nil
	r.find(in, r.siblings(in.leg))
}

// find looks for the message of a receipt in the database, leg by leg.
func (r *reports) find(in *incoming, legs []sms.Leg) {
	if len(legs) == 0 {
		r.park(in)
		return
	}
	r.db.FindSegments(legs[0], in.keys, func(matches []store.Match, err error) {
		if err != nil {
			r.fault("receipts could not be looked up; their sender is told to try again", "leg", in.leg, "error", err)
			in.answer(wire.StatusTemporaryAppError)
			return
		}
		best, certain := in.best(matches)
		switch {
		case best == nil:
		case certain:
			r.store(in, found(best))
			return
		case in.second == nil:
			in.second = found(best)
		}
		r.find(in, legs[1:])
	})
}

func found(m *store.Match) *segment {
	return &segment{m.Egress, awaited{m.Part, &recorded{
		id: m.ID, ref: m.Ref, from: m.From, to: m.To, request: m.Receipt, segments: m.Segments, notify: m.Notify,
		ingress: m.Ingress, wanted: m.Wanted,
	}}}
}

// lookup finds the segment of a receipt in memory by the first of keys that there is one for; nil: there is none. The lock is held.
func (r *reports) lookup(in *incoming, keys []string) *segment {
	legs := r.siblings(in.leg)
	for _, id := range keys {
		for _, leg := range legs {
			if a, found := r.awaited[segmentKey{leg, id}]; found {
				return &segment{leg, a}
			}
		}
	}
	return nil
}

// secondBest is the segment that has the id of a receipt in another form than the likeliest; nil: there is none. The lock is held.
func (r *reports) secondBest(in *incoming) *segment {
	if s := r.lookup(in, in.keys[1:]); s != nil && in.may(s.message.to) {
		return s
	}
	return in.second
}

// park lets a receipt wait for the response that names its message, if one can still come.
func (r *reports) park(in *incoming) {
	r.mu.Lock()
	if s := r.lookup(in, in.keys[:1]); s != nil { // its response came meanwhile
		r.mu.Unlock()
		r.store(in, s)
		return
	}
	now, second := time.Now(), r.secondBest(in)
	if in.deadline.IsZero() {
		in.deadline = now.Add(earlyWait)
		if second != nil {
			in.deadline = now.Add(secondWait)
		}
	}
	if !r.mayCome(in.leg) || r.parked >= maxEarly || !now.Before(in.deadline) {
		r.mu.Unlock()
		r.giveUp(in, second)
		return
	}
	same := r.early[in.keys[0]]
	if same == nil {
		same = make(map[*incoming]struct{})
		r.early[in.keys[0]] = same
	}
	same[in] = struct{}{}
	r.parked++
	in.timer = time.AfterFunc(in.deadline.Sub(now), func() {
		r.mu.Lock()
		_, still := r.early[in.keys[0]][in]
		if still {
			r.unpark(in)
		}
		second := r.secondBest(in)
		r.mu.Unlock()
		if still {
			r.giveUp(in, second)
		}
	})
	r.mu.Unlock()
}

// giveUp ends the wait of a receipt: the segment that is second best is its, or none.
func (r *reports) giveUp(in *incoming, second *segment) {
	if second == nil {
		r.unmatched(in)
		return
	}
	r.store(in, second)
}

func (r *reports) unpark(in *incoming) *incoming {
	same := r.early[in.keys[0]]
	if delete(same, in); len(same) == 0 {
		delete(r.early, in.keys[0])
	}
	r.parked--
	in.timer.Stop()
	return in
}

// store writes what a receipt tells of its segment, tells it on, and answers.
func (r *reports) store(in *incoming, its *segment) {
	r.counters.matched.Add(1)
	m, leg := its.message, its.leg
	for _, s := range m.segments {
		if s.Part != its.part {
			continue
		}
		if learned := in.learner.Matched(in.receipt.SMSCID, s.Key); learned != "" {
			r.log.Info("how the SMSC ids of receipts match", "leg", in.leg, "smsc_id_format", learned)
		}
	}
	r.write(leg, m, store.SegmentReport{
		ID:       m.id,
		Part:     its.part,
		State:    in.receipt.State,
		Error:    in.receipt.Error,
		DoneTime: in.receipt.DoneTime,
	}, func(now store.MessageReport, owed owing, err error) {
		switch {
		case errors.Is(err, store.ErrNotFound) && m.unsaved.Load():
			in.answer(wire.StatusTemporaryAppError) // by the time that it comes again the record may be there
			return
		case errors.Is(err, store.ErrNotFound): // its record failed, or is gone since
			r.unmatched(in)
			return
		case err != nil:
			r.fault("receipts could not be stored; their sender is told to try again", "message", m.id, "error", err)
			in.answer(wire.StatusTemporaryAppError)
			return
		}
		if now.Complete {
			in.completed(m.id)
		}
		r.told(leg, m, now, owed)
		in.answer(wire.StatusOK)
	})
}

// owing is what others are to hear of what was stored.
type owing struct {
	receipts []store.AccountReceipt // of the account that submitted the message
	note     *store.EventNote       // of the event, where a durable subscription takes it
}

// write stores what is known of a message that went by a leg, and with it what others are to hear of that.
func (r *reports) write(leg sms.Leg, m *recorded, s store.SegmentReport, done func(store.MessageReport, owing, error)) {
	var owed owing
	if len(m.wanted) > 0 {
		s.Keep = func(now store.MessageReport) []store.AccountReceipt {
			if owed.receipts = nil; news(now) {
				owed.receipts = r.relay.owe(m, leg, now)
			}
			return owed.receipts
		}
	}
	if r.durables.Any() {
		s.Tell = func(now store.MessageReport) *store.EventNote {
			owed.note = r.note(m, now)
			return owed.note
		}
	}
	r.db.Report(s, func(now store.MessageReport, err error) { done(now, owed, err) })
}

// told tells on what was stored.
func (r *reports) told(leg sms.Leg, m *recorded, now store.MessageReport, owed owing) {
	if now.Complete {
		r.forget(leg, m)
	}
	r.relay.send(owed.receipts)
	switch {
	case !m.hears(now):
		return
	case owed.note != nil:
		r.durables.PublishNoted(report(m, now), owed.note.ID.String())
	default:
		r.hub.Publish(report(m, now))
	}
	r.tell(m, now)
}

// hears says that the sender of a message, and the world, are told what was stored.
func (m *recorded) hears(now store.MessageReport) bool {
	wanted := m.request.Wants(now.State) || now.Closed && m.request == sms.ReceiptFinal // which is all that it will hear
	return news(now) && wanted
}

// news says that a receipt told something: one that came twice changes nothing; of several segments only all of them make a report.
func news(now store.MessageReport) bool {
	return (now.Complete || now.Changed && !now.State.Final()) && now.State != sms.StateNone
}

// forget drops a message from memory.
func (r *reports) forget(leg sms.Leg, m *recorded) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range m.segments {
		if key := (segmentKey{leg, s.Key}); r.awaited[key].message.is(m.id) {
			delete(r.awaited, key)
		}
	}
}

func report(m *recorded, now store.MessageReport) events.MessageReport {
	e := events.MessageReport{
		ID:       m.id.String(),
		Ref:      m.ref,
		From:     m.from.String(),
		To:       m.to.String(),
		State:    now.State.String(),
		Error:    now.Error,
		DoneTime: events.Time(now.DoneTime),
	}
	for _, s := range m.segments {
		e.SMSCIDs = append(e.SMSCIDs, s.SMSCID)
	}
	return e
}
