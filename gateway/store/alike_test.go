package store

import (
	"fmt"
	"strings"
	"testing"

	"sipsmpp/gateway/sms"
)

// Messages of many kinds that come together are each stored as they are.
func TestInsertManyKinds(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		var records []*Record
		for i := range 300 {
			m := message(fmt.Sprintf("text %d", i))
			m.To.Value = fmt.Sprint(4915100000000 + i)
			m.Priority = uint8(i % 3)
			if i%5 == 0 {
				m.HasDataCoding, m.DataCoding = true, uint8(i%7)
			}
			r := sent(m, fmt.Sprintf("peer%d", i%4), fmt.Sprintf("%x", i))
			r.Attempts = i % 2
			if i%11 == 0 {
				r.Segments = append(r.Segments, Segment{Part: 2, SMSCID: fmt.Sprint(i), Key: fmt.Sprint(i)})
			}
			records = append(records, r)
		}
		insertAll(t, db, records)
		for _, want := range records {
			got, err := db.Message(t.Context(), want.Message.ID)
			if err != nil {
				t.Fatal(err)
			}
			if g, w := got.Message, want.Message; g.Text != w.Text || g.To != w.To || g.Priority != w.Priority ||
				g.HasDataCoding != w.HasDataCoding || g.DataCoding != w.DataCoding {
				t.Errorf("stored %+v\nas     %+v", w, g)
			}
			if got.Egress != want.Egress || got.Attempts != want.Attempts || len(got.Segments) != len(want.Segments) {
				t.Errorf("stored %+v\nas     %+v", want, got)
			}
			for i, s := range got.Segments {
				if w := want.Segments[i]; s.Part != w.Part || s.SMSCID != w.SMSCID || s.Key != w.Key {
					t.Errorf("stored %+v as %+v", w, s)
				}
			}
		}
	})
}

// insertAll inserts records at once, so that they come in few transactions.
func insertAll(t *testing.T, db *DB, records []*Record) {
	t.Helper()
	errs := make(chan error, len(records))
	for _, r := range records {
		db.Insert(r, func(err error) { errs <- err })
	}
	for range records {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
}

// What is looked for by its state has an index that holds no more than that.
func TestStateIndex(t *testing.T) {
	db := open(t, "sqlite::memory:")
	for _, state := range []RecordState{RecordDeferred, RecordSent, RecordFailed} {
		var plan []struct {
			ID, Parent, Notused int
			Detail              string
		}
		if err := db.read.Select(&plan, "EXPLAIN QUERY PLAN SELECT id FROM message WHERE "+inState(state)+" AND next_attempt <= 5 ORDER BY next_attempt"); err != nil {
			t.Fatal(err)
		}
		if len(plan) != 1 || !strings.Contains(plan[0].Detail, "USING INDEX message_state") {
			t.Errorf("%s: %+v", state, plan)
		}
	}
	insert(t, db, &Record{Message: message("kept"), State: RecordDone, Egress: sms.SIP})
	list, _, err := db.Messages(t.Context(), Filter{State: RecordDone})
	if err != nil || len(list) != 1 {
		t.Errorf("%d records, %v", len(list), err)
	}
}
