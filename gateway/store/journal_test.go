package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sipsmpp/gateway/sms"
)

// queued is an event as it is queued.
func queued(seq uint64, subscriptions ...int64) *QueuedEvent {
	return &QueuedEvent{
		Subscriptions: subscriptions, Seq: seq, Created: time.UnixMilli(int64(1000 * seq)).UTC(),
		Event: func() []byte { return fmt.Appendf(nil, `{"seq":%d,"text":"é\x00\xff\x1a"}`, seq) },
	}
}

// wrote waits for a write.
func wrote(t *testing.T, write func(done func(error))) {
	t.Helper()
	done := make(chan error, 2)
	write(func(err error) { done <- err })
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("done was not called")
	}
}

// waiting gives the numbers of the events that wait for a subscription behind one.
func waiting(t *testing.T, db *DB, subscription int64, after uint64, limit int) (seqs []uint64) {
	t.Helper()
	list, err := db.ReadEvents(t.Context(), subscription, after, limit)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if want := queued(e.Seq); string(e.Event) != string(want.Event()) || !e.Created.Equal(want.Created) {
			t.Errorf("%d reads as %q of %s", e.Seq, e.Event, e.Created)
		}
		seqs = append(seqs, e.Seq)
	}
	return seqs
}

func putSubscription(t *testing.T, db *DB, s EventSubscription) int64 {
	t.Helper()
	id, err := db.PutEventSubscription(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestJournal(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		crm := EventSubscription{Name: "crm", Owner: "anna", Filter: `{"names":["E_*"]}`, URL: "https://example.org/", Secret: "s", Expires: time.UnixMilli(5000).UTC()}
		crm.ID = putSubscription(t, db, crm)
		other := putSubscription(t, db, EventSubscription{Name: "Crm"}) // names tell capitals apart
		if crm.ID == other || crm.ID == 0 {
			t.Fatalf("ids %d, %d", crm.ID, other)
		}
		for seq := uint64(1); seq <= 199; seq++ {
			db.QueueEvent(queued(seq, crm.ID), func(err error) {
				if err != nil {
					t.Error(err)
				}
			})
		}
		wrote(t, func(done func(error)) { db.QueueEvent(queued(200, crm.ID, other), done) })
		wrote(t, func(done func(error)) { db.QueueEvent(queued(200, crm.ID, other), done) }) // as after a lost answer to COMMIT
		if got := waiting(t, db, crm.ID, 198, 10); !slices.Equal(got, []uint64{199, 200}) {
			t.Errorf("waits: %v", got)
		}
		if got := waiting(t, db, crm.ID, 0, 3); !slices.Equal(got, []uint64{1, 2, 3}) {
			t.Errorf("waits: %v", got)
		}
		dropped := 0
		wrote(t, func(done func(error)) {
			db.AckEvents(crm.ID, 197, func(n int, err error) {
				dropped = n
				done(err)
			})
		})
		if got := waiting(t, db, crm.ID, 0, 10); dropped != 197 || !slices.Equal(got, []uint64{198, 199, 200}) {
			t.Errorf("acknowledged %d, waits: %v", dropped, got)
		}
		if at, err := db.OldestEvent(t.Context(), crm.ID); err != nil || !at.Equal(time.UnixMilli(198_000)) {
			t.Errorf("oldest of %s, %v", at, err)
		}
		crm.Filter = `{}`
		if id := putSubscription(t, db, crm); id != crm.ID {
			t.Errorf("it is %d now", id)
		}
		// Another node has its own.
		elsewhere, err := Open(t.Context(), url, WithNode("other"))
		if err != nil {
			t.Fatal(err)
		}
		if list, err := elsewhere.EventSubscriptions(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("another node has %+v, %v", list, err)
		}
		elsewhere.Close()
		db.Close()

		db = open(t, url)
		list, err := db.EventSubscriptions(t.Context())
		if err != nil || len(list) != 2 {
			t.Fatalf("%+v, %v", list, err)
		}
		if i := slices.IndexFunc(list, func(s EventSubscription) bool { return s.Name == "crm" }); i >= 0 {
			got := list[i]
			if got.Octets < 60 {
				t.Errorf("%d octets", got.Octets)
			}
			crm.Last, crm.Count, crm.Octets = 200, 3, got.Octets
			if got.Expires = got.Expires.UTC(); got != crm {
				t.Errorf("got %+v, want %+v", got, crm)
			}
		}
		cut, err := db.TrimEvents(t.Context(), crm.ID, func(oldest []WaitingEvent) EventCut {
			if len(oldest) != 3 || oldest[0].Seq != 198 {
				t.Errorf("oldest are %+v", oldest)
			}
			return EventCut{UpTo: 199, Count: 2, InPlace: queued(199).Event(), Created: queued(199).Created}
		})
		if got := waiting(t, db, crm.ID, 0, 10); err != nil || cut.Count != 2 || !slices.Equal(got, []uint64{199, 200}) {
			t.Errorf("cut %+v, %v, waits %v", cut, err, got)
		}
		if err := db.DeleteEventSubscription(t.Context(), crm.ID); err != nil {
			t.Error(err)
		}
		if got := waiting(t, db, crm.ID, 0, 10); got != nil {
			t.Errorf("of what is gone waits %v", got)
		}
		if got := waiting(t, db, other, 0, 10); !slices.Equal(got, []uint64{200}) {
			t.Errorf("of the other waits %v", got)
		}
		wrote(t, func(done func(error)) { db.QueueEvent(queued(201, crm.ID), done) }) // left by a node that ended in the middle of it
		if _, err := db.EventSubscriptions(t.Context()); err != nil {
			t.Error(err)
		}
		if got := waiting(t, db, crm.ID, 0, 10); got != nil {
			t.Errorf("for nobody waits %v", got)
		}
		if at, err := db.OldestEvent(t.Context(), crm.ID); err != nil || !at.IsZero() {
			t.Errorf("oldest of %s, %v", at, err)
		}
	})
}

func TestEventSequence(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		next := func(db *DB) uint64 {
			t.Helper()
			last, err := db.EventSequence(t.Context(), 1000)
			if err != nil {
				t.Fatal(err)
			}
			return last
		}
		db := open(t, url)
		if last := next(db); last != 0 {
			t.Errorf("begins behind %d", last)
		}
		if last := next(db); last != 1000 { // it ended without a word
			t.Errorf("goes on behind %d", last)
		}
		wrote(t, func(done func(error)) { db.ReserveEvents(3000, done) })
		wrote(t, func(done func(error)) { db.ReserveEvents(2900, done) })    // late
		wrote(t, func(done func(error)) { db.SealEvents(2017, 3000, done) }) // the end
		if last := next(db); last != 2017 {
			t.Errorf("goes on behind %d", last)
		}
		// A process of the same node that ends late takes nothing back from the one that has started.
		wrote(t, func(done func(error)) { db.SealEvents(2500, 3000, done) })
		if last := next(db); last != 3017 {
			t.Errorf("goes on behind %d", last)
		}
	})
}

// A note is written with the report that it tells of, and goes with the event that was made of it.
func TestEventNotes(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		ids := sms.NewIDs()
		m := message("hi")
		insert(t, db, sent(m, "acme", "1"))
		note := EventNote{ID: ids.Next(), Name: "E_MESSAGE_REPORT", Params: []byte(`{"id":"x"}`)}
		report := SegmentReport{
			ID: m.ID, Part: 1, State: sms.StateDelivered,
			Tell: func(now MessageReport) *EventNote {
				if !now.Changed {
					return nil
				}
				return &note
			},
		}
		for range 2 { // the second changes nothing
			wrote(t, func(done func(error)) { db.Report(report, func(_ MessageReport, err error) { done(err) }) })
		}
		db.Close() // before anything was made of it
		db = open(t, url)
		notes, err := db.EventNotes(t.Context())
		if err != nil || len(notes) != 1 || notes[0].ID != note.ID || notes[0].Name != note.Name || string(notes[0].Params) != string(note.Params) {
			t.Fatalf("%+v, %v", notes, err)
		}
		crm := putSubscription(t, db, EventSubscription{Name: "crm"})
		e := queued(7, crm)
		e.Note = note.ID
		wrote(t, func(done func(error)) { db.QueueEvent(e, done) })
		if notes, err = db.EventNotes(t.Context()); err != nil || len(notes) != 0 {
			t.Errorf("%+v, %v", notes, err)
		}
		if got := waiting(t, db, crm, 0, 10); !slices.Equal(got, []uint64{7}) {
			t.Errorf("waits %v", got)
		}
	})
}

// The journal takes no room from the messages, and has a bound itself.
func TestJournalHasItsOwnBound(t *testing.T) {
	c := &committer{bound: 2, wake: make(chan struct{}, 1)}
	busy := map[opKind]int{}
	for _, kind := range []opKind{opJournal, opInsert} {
		for range 10 {
			c.put(op{kind: kind, done: func(err error) {
				if !errors.Is(err, ErrBusy) {
					t.Error(err)
				}
				busy[kind]++
			}})
		}
	}
	if busy[opJournal] != 10-2*journalBound || busy[opInsert] != 8 {
		t.Errorf("refused: %v", busy)
	}
}

// What is flushed comes behind what was queued; a write that fails says so, and whose fault it is.
func TestJournalFails(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		crm := putSubscription(t, db, EventSubscription{Name: "crm"})
		var order []string
		db.QueueEvent(queued(1, crm), func(error) { order = append(order, "event") })
		wrote(t, func(done func(error)) {
			db.Flush(func(err error) {
				order = append(order, "flush")
				done(err)
			})
		})
		if fmt.Sprint(order) != "[event flush]" {
			t.Errorf("%v", order)
		}
		if _, err := db.PutEventSubscription(t.Context(), EventSubscription{Name: strings.Repeat("x", 256)}); err == nil {
			t.Error("a name that is too long was taken")
		}
		if _, err := db.PutEventSubscription(t.Context(), EventSubscription{Name: "crm"}); !IsRowFault(err) {
			t.Errorf("a second of the same name: %v", err)
		}
		db.Close()
		db.QueueEvent(queued(2, crm), func(err error) {
			if !errors.Is(err, ErrClosed) || IsRowFault(err) {
				t.Errorf("behind the end: %v", err)
			}
		})
	})
}

// A process is killed, and its last transaction ends only after another has started: that one knows of the events all the same.
func TestJournalUnderWay(t *testing.T) {
	blocked := map[*dialect]string{
		mysqlDialect:    "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
		postgresDialect: "SELECT COUNT(*) FROM pg_locks WHERE NOT granted",
	}
	onEach(t, func(t *testing.T, url string) {
		killed, db := open(t, url), open(t, url)
		if blocked[db.dialect] == "" {
			t.Skip("its transaction ends with the process")
		}
		id := putSubscription(t, killed, EventSubscription{Name: "crm"})
		wrote(t, func(done func(error)) { killed.QueueEvent(queued(1, id), done) })
		tx, err := killed.write.Begin()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(killed.dialect.rebind(statement{queueEvent, 1}.text(killed.dialect)), id, 2, 0, "{}"); err != nil {
			t.Fatal(err)
		}
		found := make(chan uint64)
		go func() {
			list, err := db.EventSubscriptions(t.Context())
			if err != nil || len(list) != 1 {
				t.Errorf("%+v, %v", list, err)
				list = make([]EventSubscription, 1)
			}
			found <- list[0].Last
		}()
		var last uint64
		for waits := 0; waits == 0 && last == 0; {
			if err := db.read.QueryRow(blocked[db.dialect]).Scan(&waits); err != nil {
				t.Fatal(err)
			}
			select {
			case last = <-found:
			case <-time.After(5 * time.Millisecond):
			}
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if last == 0 {
			last = <-found
		}
		if last != 2 {
			t.Errorf("the newest event is %d", last)
		}
	})
}
