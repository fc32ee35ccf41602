package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"sipsmpp/gateway/sms"
)

func partOf(key PartKey, seq uint8, text string) *sms.Message {
	m := message(text)
	m.Ingress, m.From, m.To = key.Owner, key.From, key.To
	m.Part = sms.Part{Ref: key.Ref, Wide: key.Wide, Total: key.Total, Seq: seq}
	return m
}

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
	slices.Sort(got)
	return got
}

func TestParts(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		key := PartKey{Owner: sms.Connection("acme"), From: sms.ParseAddress("+1"), To: sms.ParseAddress("100"), Ref: 1, Total: 3}
		wide, other, cased := key, key, key
		wide.Wide, wide.Ref = true, 2
		other.Owner, other.Ref = sms.Connection("Acme"), 3
		cased.From.Value, cased.Ref = "ACME", 4
		put := func(k PartKey, seq uint8, text string) {
			t.Helper()
			if err := wait(func(done func(error)) { db.PutPart(k, partOf(k, seq, text), done) }); err != nil {
				t.Fatal(err)
			}
		}
		put(key, 1, "one")
		put(key, 3, "three")
		put(key, 3, "three again")
		put(wide, 1, "wide")
		put(other, 1, "other owner")
		put(cased, 1, "other sender")
		want := []string{"1/1 one", "1/3 three again", "2/1 wide", "3/1 other owner", "4/1 other sender"}
		if got := kept(t, db); !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
		for range 2 {
			if err := wait(func(done func(error)) { db.DeleteParts(key, done) }); err != nil {
				t.Fatal(err)
			}
			if got := kept(t, db); !slices.Equal(got, want[2:]) {
				t.Errorf("%q", got)
			}
		}
		stop := errors.New("stop")
		if err := db.Parts(t.Context(), func(*sms.Message) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("%v", err)
		}
		long := key
		long.From.Value = strings.Repeat("1", 101)
		if err := wait(func(done func(error)) { db.PutPart(long, partOf(long, 1, ""), done) }); !errors.Is(err, errRow) {
			t.Errorf("%v", err)
		}
	})
}

// What gathers in one transaction takes effect in its order: parts of a message that used the reference before go, those of the
// next stay.
func TestPartsInOneTransaction(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		key := PartKey{Owner: sms.Connection("acme"), Ref: 1, Total: 2}
		release := hold(t, db)
		var all sync.WaitGroup
		done := func(err error) {
			if err != nil {
				t.Error(err)
			}
			all.Done()
		}
		all.Add(5)
		db.PutPart(key, partOf(key, 1, "old"), done)
		db.PutPart(key, partOf(key, 2, "old"), done)
		db.DeleteParts(key, done)
		db.PutPart(key, partOf(key, 2, "new"), done)
		db.PutPart(key, partOf(key, 2, "new again"), done)
		release()
		all.Wait()
		if got := kept(t, db); !slices.Equal(got, []string{"1/2 new again"}) {
			t.Errorf("%q", got)
		}
	})
}
