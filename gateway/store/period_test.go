package store

import (
	"math"
	"slices"
	"testing"
	"time"

	"sipsmpp/gateway/sms"
)

// However messages came into their periods, they are listed by their ids.
func TestMessagesByNumberOverPeriods(t *testing.T) {
	db := open(t, "sqlite:"+t.TempDir()+"/x.db")
	start := time.Now().Truncate(time.Millisecond)
	var all []*Record // newest first
	for i := range 200 {
		m := message("m")
		m.ID = firstID(start.Add(time.Duration(i) * time.Millisecond))
		m.From = sms.ParseAddress([]string{"100", "200"}[i%3%2])
		r := sent(m, "acme")
		insert(t, db, r)
		all = slices.Insert(all, 0, r)
		period := int64(math.MaxInt64) // as what was there before there were periods
		if i >= 10 {
			period = m.ID.Time().UnixMilli() + 1 + int64(i*i%37)
		}
		if _, err := db.write.Exec("UPDATE message SET period = ? WHERE id = ?", period, m.ID.String()); err != nil {
			t.Fatal(err)
		}
	}
	for _, limit := range []int{1, 7, 60, 1000} {
		for _, since := range []time.Time{{}, start.Add(5 * time.Millisecond), start.Add(150 * time.Millisecond), start.Add(time.Hour)} {
			for _, from := range []string{"100", "200", "300"} {
				var want, got []sms.ID
				for _, r := range all {
					if r.Message.From.Value == from && !r.Message.ID.Time().Before(since) {
						want = append(want, r.Message.ID)
					}
				}
				for f := (Filter{From: from, To: "+4915112345678", Since: since, Limit: limit}); ; {
					records, next, err := db.Messages(t.Context(), f)
					if err != nil || len(records) > limit {
						t.Fatal(len(records), err)
					}
					for _, r := range records {
						got = append(got, r.Message.ID)
					}
					if f.Before = next; next.IsZero() {
						break
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s since %v by %d: %d, want %d", from, since.Sub(start), limit, len(got), len(want))
				}
			}
		}
	}
}

func TestPeriods(t *testing.T) {
	var p periods
	now := time.UnixMilli(1_800_000_000_000)
	first := p.of(now, 1)
	if first != now.Add(longestPeriod).UnixMilli() {
		t.Errorf("the first ends at %d", first)
	}
	now = now.Add(time.Second)
	if end := p.of(now, periodCount); end != first {
		t.Errorf("it ends at %d, before it has its messages", end)
	}
	second := p.of(now, 1)
	if want := now.UnixMilli() + 1000*periodCount/(periodCount+1); second != want {
		t.Errorf("the second ends at %d, want %d: that the first took a second", second, want)
	}
	now = now.Add(time.Minute)
	if end, want := p.of(now, 1), now.Add(longestPeriod).UnixMilli(); end != want {
		t.Errorf("one of few messages ends at %d, want %d", end, want)
	}
}
