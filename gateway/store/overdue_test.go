package store

import (
	"fmt"
	"testing"
	"time"

	"sipsmpp/gateway/sms"
)

// overdue gives the ids of the records whose report was to be there by a time.
func overdue(t *testing.T, db *DB, now time.Time, limit int) (list []sms.ID) {
	t.Helper()
	records, err := db.Overdue(t.Context(), now, limit)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		list = append(list, r.Message.ID)
	}
	return list
}

func TestOverdue(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		now := received()
		var due []sms.ID
		for i, at := range []time.Duration{-time.Hour, -3 * time.Hour, -2 * time.Hour, time.Hour} {
			m := message("hi")
			r := sent(m, "acme", fmt.Sprint(i))
			r.NextAttempt = now.Add(at)
			insert(t, db, r)
			due = append(due, m.ID)
		}
		done := sent(message("nobody waits"), "acme", "9")
		done.State, done.NextAttempt = RecordDone, now.Add(-4*time.Hour)
		insert(t, db, done)
		if got, want := fmt.Sprint(overdue(t, db, now, 10)), fmt.Sprint([]sms.ID{due[1], due[2], due[0]}); got != want {
			t.Errorf("%v, want %v", got, want)
		}
		if got := overdue(t, db, now, 2); len(got) != 2 || got[0] != due[1] {
			t.Errorf("%v", got)
		}
		report(t, db, SegmentReport{ID: due[1], Close: true, State: sms.StateUnknown, DoneTime: now})
		report(t, db, SegmentReport{ID: due[2], Part: 1, State: sms.StateDelivered, DoneTime: now})
		if got := overdue(t, db, now, 10); len(got) != 1 || got[0] != due[0] {
			t.Errorf("%v", got)
		}
	})
}

func TestCloseOfAReport(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		at := received().Truncate(time.Second)
		for _, c := range []struct {
			told []sms.State // of the segments, before
			with sms.State
			want sms.State
		}{
			{[]sms.State{sms.StateNone}, sms.StateUnknown, sms.StateUnknown},
			{[]sms.State{sms.StateNone}, sms.StateExpired, sms.StateExpired},
			{[]sms.State{sms.StateEnroute}, sms.StateUnknown, sms.StateUnknown},
			{[]sms.State{sms.StateAccepted}, sms.StateExpired, sms.StateAccepted},
			{[]sms.State{sms.StateDelivered, sms.StateNone, sms.StateDelivered}, sms.StateUnknown, sms.StateUnknown},
			{[]sms.State{sms.StateDelivered, sms.StateNone, sms.StateRejected}, sms.StateUnknown, sms.StateRejected},
			{[]sms.State{sms.StateNone, sms.StateAccepted}, sms.StateUnknown, sms.StateUnknown},
			{[]sms.State{sms.StateDelivered, sms.StateAccepted}, sms.StateUnknown, sms.StateAccepted},
			{[]sms.State{sms.StateUndeliverable, sms.StateNone}, sms.StateExpired, sms.StateUndeliverable},
		} {
			m := message("hi")
			keys := make([]string, len(c.told))
			for i := range keys {
				keys[i] = fmt.Sprint(m.ID, i)
			}
			insert(t, db, sent(m, "acme", keys...))
			for i, state := range c.told {
				if state != sms.StateNone {
					report(t, db, SegmentReport{ID: m.ID, Part: i + 1, State: state, DoneTime: at.Add(-time.Hour)})
				}
			}
			kept := 0
			keep := func(r MessageReport) []AccountReceipt {
				kept++
				return []AccountReceipt{{ID: ids.Next(), Account: "shop" + m.ID.String(), Message: m.ID, State: r.State, Closing: r.Closed, Created: at, Next: at}}
			}
			want := MessageReport{State: c.want, DoneTime: at, Changed: true, Complete: true, Closed: true}
			if got := report(t, db, SegmentReport{ID: m.ID, Close: true, State: c.with, DoneTime: at, Keep: keep}); got != want || kept == 0 {
				t.Errorf("%v: %+v, want %+v", c.told, got, want)
			}
			owed, err := db.DueReceipts(t.Context(), "shop"+m.ID.String(), at, 10)
			if err != nil || len(owed) != 1 || owed[0].State != c.want || !owed[0].Closing {
				t.Errorf("%v: %+v, %v", c.told, owed, err)
			}
			// Only once, and what comes later changes no more than the segment.
			if got := report(t, db, SegmentReport{ID: m.ID, Close: true, State: c.with, DoneTime: at}); got != (MessageReport{}) {
				t.Errorf("%v again: %+v", c.told, got)
			}
			late := report(t, db, SegmentReport{ID: m.ID, Part: 1, State: sms.StateDelivered, DoneTime: at})
			if late.Complete || late.Closed {
				t.Errorf("%v, late: %+v", c.told, late)
			}
			r, err := db.Message(t.Context(), m.ID)
			if err != nil || r.State != RecordReported || r.Report != c.want || !r.DoneTime.Equal(at) {
				t.Errorf("%v: %+v, %v", c.told, r, err)
			}
		}
		err := wait(func(done func(error)) {
			db.Report(SegmentReport{ID: ids.Next(), Close: true, State: sms.StateUnknown}, func(_ MessageReport, err error) { done(err) })
		})
		if err == nil {
			t.Error("what is not recorded was closed")
		}
	})
}
