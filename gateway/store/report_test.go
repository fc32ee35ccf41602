package store

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sipsmpp/gateway/sms"
)

func TestReportOfOneSegment(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		m, at := message("hi"), received().Truncate(time.Second)
		insert(t, db, sent(m, "acme", "1"))
		for _, step := range []struct {
			state sms.State
			want  MessageReport
		}{
			{sms.StateEnroute, MessageReport{State: sms.StateEnroute, Error: "e", DoneTime: at, Changed: true}},
			{sms.StateEnroute, MessageReport{State: sms.StateEnroute, Error: "e", DoneTime: at}},
			{sms.StateDelivered, MessageReport{State: sms.StateDelivered, Error: "e", DoneTime: at, Changed: true, Complete: true}},
			{sms.StateDelivered, MessageReport{State: sms.StateDelivered, Error: "e", DoneTime: at}}, // twice
			{sms.StateExpired, MessageReport{State: sms.StateDelivered, Error: "e", DoneTime: at}},   // another end
			{sms.StateAccepted, MessageReport{State: sms.StateDelivered, Error: "e", DoneTime: at}},  // late
		} {
			if got := report(t, db, SegmentReport{ID: m.ID, Part: 1, State: step.state, Error: "e", DoneTime: at}); got != step.want {
				t.Errorf("%v: %+v, want %+v", step.state, got, step.want)
			}
		}
		r, err := db.Message(t.Context(), m.ID)
		if err != nil || r.State != RecordReported || r.Report != sms.StateDelivered || r.ReportError != "e" || !r.DoneTime.Equal(at) ||
			r.Segments[0].State != sms.StateDelivered || r.Segments[0].Error != "e" || !r.Segments[0].DoneTime.Equal(at) {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestReportIsTheWorstOfItsSegments(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		at := received()
		m := message("in three")
		insert(t, db, sent(m, "acme", "1", "2", "3"))
		if r := report(t, db, SegmentReport{ID: m.ID, Part: 3, State: sms.StateDelivered, Error: "000", DoneTime: at.Add(time.Minute)}); r.Complete || r.State.Final() {
			t.Errorf("%+v", r)
		}
		if r := report(t, db, SegmentReport{ID: m.ID, Part: 1, State: sms.StateRejected, Error: "0dc", DoneTime: at}); r.Complete || r.State.Final() {
			t.Errorf("%+v", r)
		}
		want := MessageReport{State: sms.StateRejected, Error: "0dc", DoneTime: at.Add(time.Minute), Changed: true, Complete: true}
		if r := report(t, db, SegmentReport{ID: m.ID, Part: 2, State: sms.StateDelivered, Error: "000", DoneTime: at}); r != want {
			t.Errorf("%+v", r)
		}
	})
}

func TestReportOfWhatIsNotRecorded(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		m := message("hi")
		insert(t, db, sent(m, "acme", "1"))
		for _, r := range []SegmentReport{{ID: ids.Next(), Part: 1}, {ID: m.ID, Part: 2}} {
			err := wait(func(done func(error)) { db.Report(r, func(_ MessageReport, err error) { done(err) }) })
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("%v", err)
			}
		}
	})
}

// A receipt may come before the insert of its message was committed.
func TestReportQueuedBehindItsInsert(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		release := hold(t, db)
		const n = 150
		var complete atomic.Int64
		var all sync.WaitGroup
		all.Add(2 * n)
		for i := range n {
			m := message("hi")
			db.Insert(sent(m, "acme", fmt.Sprint(i)), func(err error) {
				if err != nil {
					t.Error(err)
				}
				all.Done()
			})
			db.Report(SegmentReport{ID: m.ID, Part: 1, State: sms.StateDelivered}, func(r MessageReport, err error) {
				if err != nil {
					t.Error(err)
				}
				if r.Complete {
					complete.Add(1)
				}
				all.Done()
			})
		}
		release()
		all.Wait()
		if complete.Load() != n {
			t.Errorf("%d of %d are complete", complete.Load(), n)
		}
	})
}

// Two nodes get the receipts of one message's segments at once: one of them, not both or none, finds the message complete.
func TestReportsFromTwoNodes(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		nodes := [2]*DB{open(t, url), open(t, url)}
		const n = 50
		var messages [n]sms.ID
		for i := range n {
			m := message("in two")
			messages[i] = m.ID
			insert(t, nodes[0], sent(m, "acme", "1", "2"))
		}
		var complete [n]atomic.Int64
		var all sync.WaitGroup
		for i, id := range messages {
			for part, db := range nodes {
				all.Add(1)
				db.Report(SegmentReport{ID: id, Part: part + 1, State: sms.StateDelivered}, func(r MessageReport, err error) {
					if err != nil {
						t.Error(err)
					}
					if r.Complete {
						complete[i].Add(1)
					}
					all.Done()
				})
			}
		}
		all.Wait()
		for i := range complete {
			if c := complete[i].Load(); c != 1 {
				t.Errorf("message %d was complete %d times", i, c)
			}
		}
	})
}
