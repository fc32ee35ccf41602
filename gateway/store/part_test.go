package store

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"sipsmpp/gateway/sms"
)

func partOf(ref uint16, seq uint8, text string) *sms.Message {
	m := message(text)
	m.Ingress = sms.Connection("acme")
	m.Part = sms.Part{Ref: ref, Total: 3, Seq: seq}
	return m
}

// kept gives the parts in their order.
func kept(t *testing.T, db *DB) []string {
	t.Helper()
	var got []string
	err := db.Parts(t.Context(), func(m *sms.Message) error {
		got = append(got, fmt.Sprintf("%d/%d %s", m.Part.Ref, m.Part.Seq, m.Text))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestParts(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db, other := open(t, url, WithNode("here")), open(t, url, WithNode("there"))
		put := func(db *DB, m *sms.Message) {
			t.Helper()
			if err := wait(func(done func(error)) { db.PutPart(m, done) }); err != nil {
				t.Fatal(err)
			}
		}
		var parts []*sms.Message
		for seq := range uint8(3) {
			parts = append(parts, partOf(1, seq+1, "old"))
		}
		reused := partOf(1, 1, "new, with the same reference")
		early := partOf(2, 1, "early")
		early.Received = early.Received.Add(-time.Minute)
		for _, m := range append(parts, reused, early) {
			put(db, m)
		}
		put(other, partOf(3, 1, "of the other node"))
		parts[2].Text = "old, put again"
		put(db, parts[2])
		want := []string{"2/1 early", "1/1 old", "1/2 old", "1/3 old, put again", "1/1 new, with the same reference"}
		if got := kept(t, db); !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
		if got := kept(t, other); !slices.Equal(got, []string{"3/1 of the other node"}) {
			t.Errorf("the other node's: %q", got)
		}
		stop := errors.New("stop")
		if err := db.Parts(t.Context(), func(*sms.Message) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("%v", err)
		}
		for range 2 { // what is not there is no error
			gone := []sms.ID{parts[0].ID, parts[1].ID, parts[2].ID, ids.Next(), early.ID}
			if err := wait(func(done func(error)) { db.DeleteParts(gone, done) }); err != nil {
				t.Fatal(err)
			}
			if got := kept(t, db); !slices.Equal(got, want[4:]) {
				t.Errorf("%q", got)
			}
		}
		if err := wait(func(done func(error)) { db.DeleteParts(nil, done) }); err != nil {
			t.Fatal(err)
		}
		if len(kept(t, db)) != 1 || len(kept(t, other)) != 1 {
			t.Error("parts are gone that nobody named")
		}
	})
}

// What gathers in one transaction takes effect in its order.
func TestPartsInOneTransaction(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		release := hold(t, db)
		var all sync.WaitGroup
		done := func(err error) {
			if err != nil {
				t.Error(err)
			}
			all.Done()
		}
		put := func(m *sms.Message) { all.Add(1); db.PutPart(m, done) }
		drop := func(ids ...sms.ID) { all.Add(1); db.DeleteParts(ids, done) }

		var many []sms.ID // more than one statement takes
		for range 100 {
			m := partOf(1, 1, "dropped")
			many = append(many, m.ID)
			put(m)
		}
		drop(many...)
		m := partOf(2, 1, "put")
		put(m)
		again := *m
		again.Text = "put again"
		put(&again)
		back := partOf(3, 1, "put, dropped and put")
		put(back)
		drop(back.ID)
		put(back)
		release()
		all.Wait()
		if got := kept(t, db); !slices.Equal(got, []string{"2/1 put again", "3/1 put, dropped and put"}) {
			t.Errorf("%q", got)
		}
	})
}
