package store

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sipsmpp/gateway/sms"
)

// deferred is a message that waits for smpp:acme, in a queue.
func deferred(text string, queue int64, waiting Waiting, next time.Time) *Record {
	m := message(text)
	return &Record{
		Message: m, State: RecordDeferred, Egress: sms.Connection("acme"), Rule: "default", Targets: []string{"smpp:acme"},
		Deferral: &Deferral{
			ID: m.ID, Target: "smpp:acme", Queue: queue, Waiting: waiting, Next: next, GiveUp: next.Add(time.Hour), Octets: len(text),
			Attempts: 1, Reason: "no bind is up", Changed: received(),
		},
	}
}

func due(t testing.TB, db *DB, now time.Time) (texts []string) {
	t.Helper()
	list, err := db.DueDeferrals(t.Context(), "smpp:acme", now, 100)
	if err != nil {
		t.Fatal(err)
	}
	records, err := db.DeferredMessages(t.Context(), list)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		i := slices.IndexFunc(records, func(r *Record) bool { return r.Message.ID == d.ID })
		texts = append(texts, records[i].Message.Text)
	}
	return texts
}

func TestDeferralComesBackAsItWas(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		r := deferred("one\x00", 17, WaitingTime, received())
		r.Deferral.Unknown = 1
		insert(t, db, r)
		got, err := db.Message(t.Context(), r.Message.ID)
		if err != nil {
			t.Fatal(err)
		}
		if d, want := *got.Deferral, *r.Deferral; !reflect.DeepEqual(d, want) {
			t.Errorf("%+v, want %+v", d, want)
		}
		if got.Attempts != 1 || !got.NextAttempt.Equal(r.Deferral.Next) || !slices.Equal(got.Targets, r.Targets) || got.Message.Text != "one\x00" {
			t.Errorf("%+v", got)
		}
		list, _, err := db.Messages(t.Context(), Filter{State: RecordDeferred, Connection: "acme"})
		if err != nil || len(list) != 1 || list[0].Deferral == nil {
			t.Errorf("%+v, %v", list, err)
		}
		if n, err := db.Purge(t.Context(), time.Now().Add(time.Hour), 10); n != 0 || err != nil {
			t.Errorf("%d deferred messages were dropped, %v", n, err)
		}
	})
}

// An attempt, a failure, and an end, with who waited behind.
func TestDeferralsMove(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		now := received()
		first, second, other := deferred("first", 1, WaitingTime, now), deferred("second", 1, WaitingBehind, now), deferred("other", 2, WaitingTime, now.Add(time.Minute))
		for _, r := range []*Record{second, first, other} { // in any order: ids tell which is older
			insert(t, db, r)
		}
		if got := due(t, db, now); !slices.Equal(got, []string{"first"}) {
			t.Errorf("due: %q", got)
		}
		if next, err := db.NextDeferral(t.Context(), "smpp:acme"); err != nil || !next.Equal(now) {
			t.Errorf("%v, %v", next, err)
		}
		oldest, err := db.OldestDeferrals(t.Context(), []int64{1, 2, 3})
		if err != nil || len(oldest) != 2 {
			t.Errorf("%+v, %v", oldest, err)
		}
		if err := wait(func(done func(error)) { db.Attempt([]sms.ID{first.Message.ID}, now.Add(time.Hour), done) }); err != nil {
			t.Fatal(err)
		}
		if got := due(t, db, now); got != nil {
			t.Errorf("due while it is tried: %q", got)
		}
		d := *first.Deferral
		d.Target, d.Queue, d.Attempts, d.Unknown, d.Reason, d.Next = "smpp:beta", 5, 2, 1, "no answer", now.Add(time.Second)
		if err := wait(func(done func(error)) { db.Delay(d, 1, done) }); err != nil {
			t.Fatal(err)
		}
		if got, err := db.Message(t.Context(), d.ID); err != nil || !reflect.DeepEqual(*got.Deferral, d) || got.Attempts != 2 {
			t.Errorf("%+v, %v; want %+v", got.Deferral, err, d)
		}
		if got := due(t, db, time.Now()); !slices.Equal(got, []string{"second"}) {
			t.Errorf("due after the first left: %q", got)
		}
		// The first is back at its queue's end, and the second is taken.
		second.State, second.Attempts, second.Egress = RecordSent, 3, sms.Connection("beta")
		second.Segments = []Segment{{Part: 1, SMSCID: "A1", Key: "a1"}, {Part: 2, SMSCID: "A2", Key: "a2"}}
		account := AccountReceipt{ID: ids.Next(), Account: "shop", Message: second.Message.ID, State: sms.StateEnroute, Created: now, Next: now}
		third := deferred("third", 1, WaitingBehind, now)
		insert(t, db, third)
		end := End{Record: second, Queue: 1, Followed: true, DropText: true, Receipts: []AccountReceipt{account}}
		if err := wait(func(done func(error)) { db.End(end, done) }); err != nil {
			t.Fatal(err)
		}
		got, err := db.Message(t.Context(), second.Message.ID)
		if err != nil || got.State != RecordSent || got.Attempts != 3 || got.Egress != sms.Connection("beta") || len(got.Segments) != 2 ||
			got.Deferral != nil || got.Message.Text != "" {
			t.Errorf("%+v, %v", got, err)
		}
		if found := find(t, db, sms.Connection("beta"), "a2"); len(found) != 1 || found[0].ID != second.Message.ID {
			t.Errorf("%+v", found)
		}
		if owed, err := db.DueReceipts(t.Context(), "shop", now, 10); err != nil || len(owed) != 1 {
			t.Errorf("%+v, %v", owed, err)
		}
		if got := due(t, db, time.Now()); !slices.Equal(got, []string{"third"}) {
			t.Errorf("due after the second ended: %q", got)
		}
		later, err := db.LaterDeferrals(t.Context(), "smpp:acme", Deferral{}, time.Now(), 10)
		if err != nil || len(later) != 2 || later[1].ID != other.Message.ID {
			t.Errorf("%+v, %v", later, err)
		}
		later, err = db.LaterDeferrals(t.Context(), "smpp:acme", later[0], time.Now(), 10)
		if err != nil || len(later) != 1 {
			t.Errorf("%+v, %v", later, err)
		}
		if later, err = db.LaterDeferrals(t.Context(), "smpp:acme", Deferral{}, now.Add(-time.Second), 10); err != nil || later != nil {
			t.Errorf("changed since: %+v, %v", later, err)
		}
	})
}

// One that waits behind another and ends makes that no sooner due, and the next behind it takes its place.
func TestOneBehindEnds(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		now := received()
		first, second, third := deferred("first", 1, WaitingTime, now.Add(time.Hour)), deferred("second", 1, WaitingBehind, now), deferred("third", 1, WaitingBehind, now)
		for _, r := range []*Record{first, second, third} {
			insert(t, db, r)
		}
		for _, step := range []struct {
			ends *Record
			due  []string
		}{{second, nil}, {first, []string{"third"}}} {
			step.ends.State = RecordFailed
			if err := wait(func(done func(error)) { db.End(End{Record: step.ends, Queue: 1, Followed: true}, done) }); err != nil {
				t.Fatal(err)
			}
			if got := due(t, db, time.Now()); !slices.Equal(got, step.due) {
				t.Errorf("due: %q, want %q", got, step.due)
			}
		}
	})
}

func TestDeferralsAfterARestart(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		now := received()
		tried, waits := deferred("tried", 1, WaitingTime, now), deferred("waits", 1, WaitingBehind, now)
		insert(t, db, tried)
		insert(t, db, waits)
		if err := wait(func(done func(error)) { db.Attempt([]sms.ID{tried.Message.ID}, now.Add(time.Hour), done) }); err != nil {
			t.Fatal(err)
		}
		db.Close()
		db = open(t, url)
		if n, err := db.RecoverDeferred(t.Context(), now); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if got := due(t, db, now); !slices.Equal(got, []string{"tried"}) {
			t.Errorf("due: %q", got)
		}
		got, err := db.Message(t.Context(), tried.Message.ID)
		if d := got.Deferral; err != nil || d.Trying || d.Attempts != 2 || d.Unknown != 1 {
			t.Errorf("%+v, %v", d, err)
		}
		count := map[string]int{}
		octets := 0
		if err := db.EachDeferral(t.Context(), func(target string, queue int64, n int) {
			count[fmt.Sprint(target, queue)]++
			octets += n
		}); err != nil || count["smpp:acme1"] != 2 || octets != len("tried")+len("waits") {
			t.Errorf("%v, %d octets, %v", count, octets, err)
		}
	})
}

// What waits behind a message that is gone is found.
func TestStrandedDeferrals(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		now := received()
		head, behind, alone := deferred("head", 1, WaitingTime, now.Add(time.Hour)), deferred("behind", 1, WaitingBehind, now), deferred("alone", 2, WaitingBehind, now)
		for _, r := range []*Record{head, behind, alone} {
			insert(t, db, r)
		}
		list, queues, err := db.StrandedDeferrals(t.Context(), "smpp:acme", now, 10)
		if err != nil || len(list) != 2 || !slices.Equal(queues, []int64{2}) {
			t.Errorf("%+v, %v, %v", list, queues, err)
		}
		for _, write := range []func(func(error)){
			func(done func(error)) { db.Promote(2, done) },
			func(done func(error)) {
				db.Postpone([]sms.ID{behind.Message.ID, alone.Message.ID}, now.Add(time.Minute), done)
			},
		} {
			if err := wait(write); err != nil {
				t.Fatal(err)
			}
		}
		if got := due(t, db, time.Now()); !slices.Equal(got, []string{"alone"}) {
			t.Errorf("due: %q", got)
		}
		if list, _, err := db.StrandedDeferrals(t.Context(), "smpp:acme", now, 10); err != nil || list != nil {
			t.Errorf("%+v, %v", list, err)
		}
		if list, err := db.ExpiredDeferrals(t.Context(), now.Add(time.Hour), 10); err != nil || len(list) != 2 || list[0].ID == head.Message.ID {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// A record that cannot be stored fails alone, also among ends.
func TestEndOfWhatCannotBeStored(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		release := hold(t, db)
		good, bad := deferred("good", 1, WaitingTime, received()), deferred("bad", 2, WaitingTime, received())
		errs := make(chan error, 4)
		for _, r := range []*Record{good, bad} {
			db.Insert(r, func(err error) { errs <- err })
			end := *r
			end.State = RecordDone
			if r == bad {
				end.Rule = string(make([]byte, 300))
			}
			db.End(End{Record: &end, Queue: r.Deferral.Queue}, func(err error) { errs <- err })
		}
		release()
		failed := 0
		for range 4 {
			if err := <-errs; errors.Is(err, errRow) {
				failed++
			} else if err != nil {
				t.Error(err)
			}
		}
		if failed != 1 {
			t.Errorf("%d failed", failed)
		}
		if r, err := db.Message(t.Context(), good.Message.ID); err != nil || r.State != RecordDone {
			t.Errorf("%+v, %v", r, err)
		}
		if r, err := db.Message(t.Context(), bad.Message.ID); err != nil || r.State != RecordDeferred || r.Deferral == nil {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// The oldest of a queue is found by the queue's index, though most of what waits is in that queue and came after all the rest.
func TestOldestIsFoundByItsIndex(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		if db.dialect != postgresDialect {
			t.Skip("the others find the least id of a queue by the index whatever is in it")
		}
		for _, query := range []string{
			"INSERT INTO deferred SELECT lpad(n::text, 26, '0'), 'gw', 'smpp:acme', CASE WHEN n <= 10000 THEN n ELSE -7 END, 0, n, n, 1, 1, 0, 0, '', n " +
				"FROM generate_series(1, 30000) n",
			"ANALYZE deferred",
		} {
			if _, err := db.write.ExecContext(t.Context(), query); err != nil {
				t.Fatal(err)
			}
		}
		for _, n := range chunks {
			args := make([]any, n)
			for i := range args {
				args[i] = -7
			}
			var plan []string
			if err := db.read.Select(&plan, db.dialect.rebind("EXPLAIN "+selectOldestText(db.dialect, n)), args...); err != nil {
				t.Fatal(err)
			}
			if text := strings.Join(plan, "\n"); !strings.Contains(text, "deferred_queue") || strings.Contains(text, "deferred_pkey") {
				t.Errorf("of %d queues:\n%s", n, text)
			}
		}
		oldest, err := db.OldestDeferrals(t.Context(), []int64{-7, 5, 20000})
		if err != nil || len(oldest) != 2 || oldest[0].Queue+oldest[1].Queue != -2 {
			t.Errorf("%+v, %v", oldest, err)
		}
	})
}
