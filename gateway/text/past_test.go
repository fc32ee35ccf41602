package text

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sipsmpp/gateway/sms"
)

// deliver adds the parts of a message and forgets it as one whose fate is known.
func deliver(t *testing.T, r *Reassembler, ref uint16, fate sms.Fate, texts ...string) {
	t.Helper()
	whole, want := (*sms.Message)(nil), ""
	for i, s := range texts {
		m := part(ref, uint8(len(texts)), uint8(i+1), s)
		var err error
		if whole, _, err = r.Add(m); err != nil && i == len(texts)-1 {
			t.Fatalf("part %d of %q: %v", i+1, texts, err)
		}
		want += s
	}
	if whole == nil || whole.Text != want || len(forget(r, whole, fate)) != len(texts) {
		t.Fatalf("%q: %+v", texts, whole)
	}
}

func TestReassemblerForgotten(t *testing.T) {
	long := start.AddDate(1, 0, 0)
	nothing := func(t *testing.T, r *Reassembler) {
		t.Helper()
		if got := r.Expired(long); got != nil || r.Len() != 0 || r.octets != 0 || len(r.byKey) != 0 {
			t.Errorf("left: %+v, %d messages, %d octets", got, r.Len(), r.octets)
		}
	}

	t.Run("the last part again", func(t *testing.T) {
		r := NewReassembler(Limits{})
		deliver(t, r, 7, sms.Accepted, "a", "b")
		for range 3 {
			refuse(t, r, part(7, 2, 2, "b"), ErrForgotten)
		}
		if r.Len() != 0 {
			t.Error("it is held")
		}
	})
	t.Run("others again", func(t *testing.T) {
		r := NewReassembler(Limits{})
		deliver(t, r, 7, sms.Accepted, "a", "b", "c")
		for _, seq := range []uint8{2, 2, 1, 3} {
			refuse(t, r, part(7, 3, seq, string('a'+rune(seq)-1)), ErrForgotten)
		}
		nothing(t, r)
		refuse(t, r, part(7, 3, 1, "a"), ErrForgotten)
		nothing(t, r) // by its age
	})
	t.Run("refused", func(t *testing.T) {
		r := NewReassembler(Limits{})
		deliver(t, r, 7, sms.Refused, "a", "b")
		refuse(t, r, part(7, 2, 2, "b"), ErrRefused)
		refuse(t, r, part(7, 2, 1, "a"), ErrForgotten) // that one was taken
		refuse(t, r, part(7, 2, 2, "b"), ErrRefused)
		nothing(t, r)
	})
	t.Run("a fragment again", func(t *testing.T) {
		r := NewReassembler(Limits{})
		add(t, r, part(7, 3, 2, "b"), "", false)
		expired := r.Expired(long)
		if ids := forget(r, expired[0], sms.Accepted); len(ids) != 1 {
			t.Fatalf("forgot %v", ids)
		}
		refuse(t, r, part(7, 3, 2, "b"), ErrForgotten)
		nothing(t, r)
	})
	t.Run("a new message", func(t *testing.T) {
		r := NewReassembler(Limits{})
		deliver(t, r, 7, sms.Accepted, "a", "b")
		deliver(t, r, 7, sms.Accepted, "c", "d")
		deliver(t, r, 7, sms.Accepted, "the same end: ", "d")
		refuse(t, r, part(7, 2, 2, "b"), ErrForgotten) // of the first, still
		deliver(t, r, 7, sms.Accepted, "Your code is ", "1")
		deliver(t, r, 7, sms.Accepted, "Your code is ", "2") // the same beginning
		deliver(t, r, 7, sms.Accepted, "Your code is ", "b") // each part was there before, the message was not
		refuse(t, r, part(7, 2, 1, "Your code is "), ErrForgotten)
		deliver(t, r, 7, sms.Accepted, "another", "one")
		nothing(t, r)
	})
	t.Run("a part before a new message", func(t *testing.T) {
		r := NewReassembler(Limits{})
		deliver(t, r, 7, sms.Accepted, "a", "b", "c")
		refuse(t, r, part(7, 3, 2, "b"), ErrForgotten)
		deliver(t, r, 7, sms.Accepted, "A", "B", "C") // not "AbC"
		nothing(t, r)
	})
	t.Run("a part within a new message", func(t *testing.T) {
		r := NewReassembler(Limits{})
		deliver(t, r, 7, sms.Accepted, "a", "b", "c")
		add(t, r, part(7, 3, 1, "A"), "", false)
		refuse(t, r, part(7, 3, 1, "a"), ErrForgotten)
		add(t, r, part(7, 3, 2, "B"), "", false)
		add(t, r, part(7, 3, 3, "C"), "ABC", false)
	})
}

func TestReassemblerForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewReassembler(Limits{Age: time.Minute, Forgotten: 6})
		known := func() (refs []uint16) {
			for ref := range uint16(10) {
				if _, known := r.past.find(r.past.sum(part(ref, 2, 2, "b"))); known {
					refs = append(refs, ref)
				}
			}
			return refs
		}
		for ref := range uint16(5) { // each has two parts, and counts as one more by itself
			deliver(t, r, ref, sms.Accepted, "a", "b")
			time.Sleep(time.Second)
		}
		if got := known(); !slices.Equal(got, []uint16{3, 4}) || len(r.past.known) != 6 {
			t.Errorf("%v of 5 are known, %d hashes", got, len(r.past.known))
		}
		time.Sleep(55 * time.Second)
		r.past.put(r.past.sum(part(3, 2, 2, "b")), verdict{completed: true})
		time.Sleep(3 * time.Second)
		if got := known(); !slices.Equal(got, []uint16{3, 4}) {
			t.Errorf("%v are known", got)
		}
		time.Sleep(2 * time.Second)
		if got := known(); !slices.Equal(got, []uint16{3}) {
			t.Errorf("%v are known after a minute, want the one that was seen again", got)
		}
		add(t, r, part(4, 2, 2, "b"), "", false)
		deliver(t, r, 5, sms.Accepted, "a", "b")
		if len(r.past.known) != 4 {
			t.Errorf("%d hashes are kept, want 4", len(r.past.known))
		}
	})
}
