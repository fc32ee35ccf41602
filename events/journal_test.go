package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeJournal is a journal in memory. Its writes end when step or commit says so, or at once where auto is set.
type fakeJournal struct {
	mu      sync.Mutex
	auto    bool
	fail    error // of every write
	refuse  error // of every write, within the call: as many are queued as may
	spoiled uint64
	pending []fakeWrite

	draining bool
	rows     map[int64][]Entry
	specs    map[int64]Stored
	ids      int64
	notes    []string // that were dropped
	reads    int
}

func newFakeJournal() *fakeJournal {
	return &fakeJournal{auto: true, rows: map[int64][]Entry{}, specs: map[int64]Stored{}}
}

// fakeWrite is a queued write, and what is told once it has ended.
type fakeWrite struct {
	write func() error
	done  func(error)
}

func (j *fakeJournal) queue(write func() error, done func(error)) {
	j.mu.Lock()
	if refusal := j.refuse; refusal != nil {
		j.mu.Unlock()
		done(refusal)
		return
	}
	defer j.mu.Unlock()
	j.pending = append(j.pending, fakeWrite{write, done})
	j.start()
}

// start ends what is queued as the committer does: in order, and not within the call. The lock is held.
func (j *fakeJournal) start() {
	if j.auto && !j.draining && len(j.pending) > 0 {
		j.draining = true
		go j.drain()
	}
}

func (j *fakeJournal) drain() {
	for {
		j.mu.Lock()
		if len(j.pending) == 0 {
			j.draining = false
			j.mu.Unlock()
			return
		}
		j.mu.Unlock()
		j.step(1)
	}
}

// set makes writes fail, or end at once.
func (j *fakeJournal) set(auto bool, fail error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.auto, j.fail = auto, fail
	j.start()
}

// setRefuse makes writes be refused.
func (j *fakeJournal) setRefuse(refusal error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.refuse = refusal
}

// killed is the journal as another process finds it: with what was written.
func (j *fakeJournal) killed() *fakeJournal {
	next := newFakeJournal()
	j.mu.Lock()
	defer j.mu.Unlock()
	next.specs, next.ids = j.specs, j.ids
	for id, rows := range j.rows {
		next.rows[id] = slices.Clone(rows)
	}
	return next
}

// step ends the oldest writes, one after the other.
func (j *fakeJournal) step(n int) {
	for range n {
		j.commit(1)[0]()
	}
}

// commit ends the oldest writes together, as one transaction does. What it gives tells what became of them, in their order.
func (j *fakeJournal) commit(n int) (tell []func()) {
	j.mu.Lock()
	writes := j.pending[:n]
	j.pending = j.pending[n:]
	j.mu.Unlock()
	for _, w := range writes {
		err := w.write()
		tell = append(tell, func() { w.done(err) })
	}
	return tell
}

func (j *fakeJournal) failure(seq uint64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.spoiled != 0 && seq == j.spoiled {
		j.spoiled = 0
		return fmt.Errorf("too long: %w", ErrUnkeepable)
	}
	return j.fail
}

func (j *fakeJournal) Append(k *Journalled, done func(error)) {
	j.queue(func() error {
		if err := j.failure(k.Seq); err != nil {
			return err
		}
		notification := k.JSON()
		j.mu.Lock()
		for _, id := range k.Subscriptions() {
			j.put(id, Entry{Seq: k.Seq, Time: k.Time, JSON: notification})
		}
		if k.Note != "" {
			j.notes = append(j.notes, k.Note)
		}
		j.mu.Unlock()
		return nil
	}, done)
}

func (j *fakeJournal) put(id int64, e Entry) {
	i, found := slices.BinarySearchFunc(j.rows[id], e.Seq, func(e Entry, seq uint64) int { return int(e.Seq) - int(seq) })
	if found {
		j.rows[id][i] = e
		return
	}
	j.rows[id] = slices.Insert(j.rows[id], i, e)
}

func (j *fakeJournal) Acknowledge(id int64, upTo uint64, done func(int, error)) {
	n := 0
	j.queue(func() error {
		if err := j.failure(0); err != nil {
			return err
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		n = len(j.rows[id])
		j.rows[id] = slices.DeleteFunc(j.rows[id], func(e Entry) bool { return e.Seq <= upTo })
		n -= len(j.rows[id])
		return nil
	}, func(err error) { done(n, err) })
}

func (j *fakeJournal) Flush(done func(error)) { j.queue(func() error { return j.failure(0) }, done) }

func (j *fakeJournal) Read(_ context.Context, id int64, after uint64, limit int) ([]Entry, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reads++
	var list []Entry
	for _, e := range j.rows[id] {
		if e.Seq > after && len(list) < limit {
			list = append(list, e)
		}
	}
	return list, nil
}

func (j *fakeJournal) Trim(_ context.Context, id int64, cut func([]Waiting) Cut) (Cut, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var oldest []Waiting
	for _, e := range j.rows[id][:min(len(j.rows[id]), 100)] {
		oldest = append(oldest, Waiting{Seq: e.Seq, Time: e.Time, JSON: e.JSON})
	}
	if len(oldest) == 0 {
		return Cut{}, nil
	}
	c := cut(oldest)
	if c.Count > 0 {
		j.rows[id] = slices.DeleteFunc(j.rows[id], func(e Entry) bool { return e.Seq <= c.UpTo })
		j.put(id, Entry{Seq: c.UpTo, Time: c.Time, JSON: c.Loss})
	}
	return c, nil
}

func (j *fakeJournal) Oldest(_ context.Context, id int64) (time.Time, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.rows[id]) == 0 {
		return time.Time{}, nil
	}
	return j.rows[id][0].Time, nil
}

func (j *fakeJournal) Stored(context.Context) ([]Stored, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var list []Stored
	for id, s := range j.specs {
		s.ID, s.Count = id, len(j.rows[id])
		if s.Count > 0 {
			s.Last = j.rows[id][s.Count-1].Seq
		}
		list = append(list, s)
	}
	return list, nil
}

func (j *fakeJournal) Put(_ context.Context, s Stored) (int64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if s.ID == 0 {
		j.ids++
		s.ID = j.ids
	}
	j.specs[s.ID] = s
	return s.ID, nil
}

func (j *fakeJournal) Delete(_ context.Context, id int64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.specs, id)
	delete(j.rows, id)
	return nil
}

var testLimits = Limits{Age: time.Hour, Events: 50, Octets: 1 << 20, Subscriptions: 3, Abandoned: 24 * time.Hour}

// durableRig is a hub with durable subscriptions on a journal, and what runs beside it.
type durableRig struct {
	t       *testing.T
	hub     *Hub
	journal *fakeJournal
	set     *Durables
}

// newDurableRig is for the inside of a synctest bubble.
func newDurableRig(t *testing.T, journal *fakeJournal, last uint64) *durableRig {
	t.Helper()
	r := &durableRig{t: t, hub: NewHub("gw", 10), journal: journal}
	r.hub.Continue(last, 1000, func(uint64) {})
	set, err := OpenDurables(t.Context(), r.hub, journal, testLimits, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r.set = set
	ctx, stop := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	wait.Go(func() { set.Run(ctx) })
	t.Cleanup(func() {
		set.Close()
		stop()
		wait.Wait()
	})
	return r
}

func (r *durableRig) put(name, filter string) *Durable {
	r.t.Helper()
	d, err := r.set.Put(r.t.Context(), Spec{Name: name, Filter: mustFilter(r.t, filter)})
	if err != nil {
		r.t.Fatal(err)
	}
	return d
}

func (r *durableRig) take(d *Durable, window int) *Session {
	r.t.Helper()
	s, err := d.Take("test", window)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *durableRig) publish(from, to int) {
	for i := from; i <= to; i++ {
		r.hub.Publish(deferred(i))
	}
}

// got gives what a session has by now: the attempts of the events in one text, a loss as [from-to count].
func (r *durableRig) got(s *Session) string {
	r.t.Helper()
	var got []string
	for {
		synctest.Wait()
		ctx, cancel := context.WithTimeout(r.t.Context(), time.Microsecond)
		entries, err := s.Next(ctx)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			return strings.Join(got, " ")
		}
		if err != nil {
			return strings.Join(append(got, err.Error()), " ")
		}
		for _, e := range entries {
			n, err := Parse(e.JSON)
			if err != nil || n.Seq != e.Seq {
				r.t.Fatalf("entry %d: %+v, %v", e.Seq, n, err)
			}
			switch event := n.Event.(type) {
			case MessageDeferred:
				got = append(got, fmt.Sprint(event.Attempt))
			case EventsLost:
				got = append(got, fmt.Sprintf("[%d-%d %d]", event.FromSeq, event.ToSeq, event.Count))
			}
		}
	}
}

func (r *durableRig) ack(s *Session, seq uint64) {
	r.t.Helper()
	if err := s.Ack(seq); err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait()
}

func (r *durableRig) want(got, want string) {
	r.t.Helper()
	if got != want {
		r.t.Errorf("got %q, want %q", got, want)
	}
}
