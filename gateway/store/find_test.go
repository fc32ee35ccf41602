package store

import (
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"sipsmpp/gateway/sms"
)

func TestFindSegments(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url, WithNode("here"))
		acme := sms.Connection("acme")
		old, recent, elsewhere := message("old"), message("recent"), message("elsewhere")
		old.Notify = &sms.Notify{URI: "sip:100@example.com"}
		insert(t, db, sent(old, "acme", "AB", "CD"))
		insert(t, db, sent(recent, "acme", "AB"))
		insert(t, db, sent(elsewhere, "other", "AB"))

		match := func(m *sms.Message, part int, key string, r *Record) Match {
			return Match{
				ID: m.ID, Part: part, Key: key, Node: "here", State: RecordSent, Ref: m.Ref, Ingress: m.Ingress, Peer: m.Peer,
				Egress: acme, From: m.From, To: m.To, Receipt: m.Receipt, Notify: m.Notify, Received: m.Received, Segments: r.Segments,
			}
		}
		two, one := sent(old, "acme", "AB", "CD"), sent(recent, "acme", "AB")
		for _, c := range []struct {
			keys []string
			want []Match
		}{
			{[]string{"ab"}, []Match{match(recent, 1, "ab", one), match(old, 1, "ab", two)}},
			{[]string{"cd", "no", "cd"}, []Match{match(old, 2, "cd", two)}},
			{[]string{"cd", "ab"}, []Match{match(recent, 1, "ab", one), match(old, 1, "ab", two), match(old, 2, "cd", two)}},
			{[]string{"AB", "ab ", "a", ""}, nil},
			{nil, nil},
		} {
			if got := find(t, db, acme, c.keys...); !reflect.DeepEqual(got, c.want) {
				t.Errorf("%q:\n%+v\nwant\n%+v", c.keys, got, c.want)
			}
		}
		if got := find(t, db, sms.Account("acme"), "ab"); got != nil {
			t.Errorf("%+v", got)
		}
	})
}

// A peer that gives every message the same id is no reason to read the whole table.
func TestFindGivesTheNewest(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		var last sms.ID
		for range findNewest + 3 {
			m := message("hi")
			last = m.ID
			insert(t, db, sent(m, "acme", "0"))
		}
		if found := find(t, db, sms.Connection("acme"), "0"); len(found) != findNewest || found[0].ID != last {
			t.Errorf("%d found", len(found))
		}
	})
}

func TestFindMany(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		const n = 300
		var all sync.WaitGroup
		all.Add(n)
		for i := range n {
			db.Insert(sent(message("hi"), fmt.Sprint("c", i%3), fmt.Sprint(i)), func(error) { all.Done() })
		}
		all.Wait()
		all.Add(n)
		for i := range n {
			db.FindSegments(sms.Connection(fmt.Sprint("c", i%3)), []string{"x", fmt.Sprint(i), "y"}, func(m []Match, err error) {
				if err != nil || len(m) != 1 || m[0].Key != fmt.Sprint(i) {
					t.Errorf("%d: %+v, %v", i, m, err)
				}
				all.Done()
			})
		}
		all.Wait()
		var keys []string
		for i := 0; i < n; i += 3 {
			keys = append(keys, fmt.Sprint(i))
		}
		if found := find(t, db, sms.Connection("c0"), keys...); len(found) != n/3 {
			t.Errorf("%d found", len(found))
		}
	})
}

func TestMessages(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		start := time.Now()
		var all []sms.ID // newest first
		add := func(r *Record) sms.ID {
			insert(t, db, r)
			all = slices.Insert(all, 0, r.Message.ID)
			return r.Message.ID
		}
		a := add(sent(message("a"), "acme", "1", "2"))
		other := message("b")
		other.From, other.To = sms.ParseAddress("Acme Ltd"), sms.ParseAddress("+33612345678")
		b := add(&Record{Message: other, State: RecordFailed})
		inbound := message("c")
		inbound.Ingress = sms.Connection("acme")
		c := add(&Record{Message: inbound, State: RecordDone, Egress: sms.SIP})
		for range 4 {
			add(sent(message("more"), "other"))
		}
		for name, q := range map[string]struct {
			Filter
			want []sms.ID
		}{
			"all":        {Filter{}, all},
			"state":      {Filter{State: RecordFailed}, []sms.ID{b}},
			"connection": {Filter{Connection: "acme"}, []sms.ID{c, a}},
			"from":       {Filter{From: "Acme Ltd"}, []sms.ID{b}},
			"to":         {Filter{To: "+33612345678"}, []sms.ID{b}},
			"both":       {Filter{To: "+33612345678", Connection: "acme"}, nil},
			"since":      {Filter{Since: start.Add(-time.Second)}, all},
			"future":     {Filter{Since: start.Add(time.Hour)}, nil},
			"before":     {Filter{Before: c}, []sms.ID{b, a}},
		} {
			records, next, err := db.Messages(t.Context(), q.Filter)
			var got []sms.ID
			for _, r := range records {
				got = append(got, r.Message.ID)
			}
			if err != nil || !slices.Equal(got, q.want) || !next.IsZero() {
				t.Errorf("%s: %v, %v, %v; want %v", name, got, next, err, q.want)
			}
		}
		var paged []sms.ID
		for f, pages := (Filter{Limit: 3}), 0; ; pages++ {
			records, next, err := db.Messages(t.Context(), f)
			if err != nil || pages > 3 {
				t.Fatal(pages, err)
			}
			for _, r := range records {
				paged = append(paged, r.Message.ID)
			}
			if f.Before = next; next.IsZero() {
				break
			}
		}
		if !slices.Equal(paged, all) {
			t.Errorf("page by page: %v; want %v", paged, all)
		}
	})
}

func TestPurge(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		waiting := message("waiting")
		insert(t, db, &Record{Message: waiting, State: RecordDeferred})
		for i := range 5 {
			insert(t, db, sent(message("old"), "acme", fmt.Sprint(i)))
		}
		if n, err := db.Purge(t.Context(), time.Now().Add(-time.Hour), 100); n != 0 || err != nil {
			t.Errorf("%d were younger, %v", n, err)
		}
		for _, want := range []int{3, 2, 0} {
			if n, err := db.Purge(t.Context(), time.Now().Add(time.Hour), 3); n != want || err != nil {
				t.Errorf("%d, %v; want %d", n, err, want)
			}
		}
		records, _, err := db.Messages(t.Context(), Filter{})
		if err != nil || len(records) != 1 || records[0].Message.ID != waiting.ID {
			t.Errorf("%v, %v", records, err)
		}
		var segments int
		if err := db.read.Get(&segments, "SELECT COUNT(*) FROM message_segment"); err != nil || segments != 0 {
			t.Errorf("%d segments are left, %v", segments, err)
		}
	})
}
