package store

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"sipsmpp/gateway/sms"
)

// The last attempts by which nobody took a message are kept for as long as it is, and no others.
func TestFailedAttempts(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		at := received()
		failed := func(n int) FailedAttempt {
			return FailedAttempt{Attempt: n, Ended: at, Egress: "smpp:acme", Reason: fmt.Sprintf("refused: %d\x00", n)}
		}
		want := func(id sms.ID, from, to int) {
			t.Helper()
			var want []FailedAttempt
			for n := from; n <= to; n++ {
				want = append(want, failed(n))
			}
			if r, err := db.Message(t.Context(), id); err != nil || !reflect.DeepEqual(r.Failed, want) {
				t.Errorf("%+v, %v\nwant %+v", r, err, want)
			}
		}
		left := func() (n int) {
			t.Helper()
			if err := db.read.Get(&n, "SELECT COUNT(*) FROM failed_attempt"); err != nil {
				t.Fatal(err)
			}
			return n
		}

		r := deferred("m", 1, WaitingTime, at)
		r.Failed = []FailedAttempt{failed(1), failed(2)}
		insert(t, db, r)
		want(r.Message.ID, 1, 2)
		for n := 3; n <= mostFailed+5; n++ {
			d := *r.Deferral
			d.Attempts, d.Failed = n, []FailedAttempt{failed(n)}
			wrote(t, func(done func(error)) { db.Delay(d, 0, done) })
		}
		want(r.Message.ID, 6, mostFailed+5)
		ended := *sent(r.Message, "acme", "17")
		ended.Failed = []FailedAttempt{failed(mostFailed + 6)}
		wrote(t, func(done func(error)) { db.End(End{Record: &ended, Queue: 1}, done) })
		want(r.Message.ID, 7, mostFailed+6)

		for _, state := range []RecordState{RecordDone, RecordFailed} {
			forgotten := deferred("forgotten", 2, WaitingTime, at)
			forgotten.Failed = []FailedAttempt{failed(1)}
			insert(t, db, forgotten)
			end := Record{Message: forgotten.Message, State: state, Attempts: 1}
			if state == RecordDone {
				end.Attempts = 2 // the second took it
			}
			wrote(t, func(done func(error)) { db.End(End{Record: &end, Forget: true, Queue: 2}, done) })
		}
		if n := left(); n != mostFailed {
			t.Errorf("%d are left of one message", n)
		}
		if _, err := db.Purge(t.Context(), time.Now().Add(time.Hour), 10); err != nil || left() != 0 {
			t.Errorf("%d are left of none, %v", left(), err)
		}
	})
}
