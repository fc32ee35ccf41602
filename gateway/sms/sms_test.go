package sms

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestIDText(t *testing.T) {
	ids := NewIDs()
	for range 1000 {
		id := ids.Next()
		back, err := ParseID(id.String())
		if err != nil || back != id {
			t.Fatalf("ParseID(%q) = %v, %v", id.String(), back, err)
		}
	}
	// The ULID specification's own example of the largest value.
	top, err := ParseID("7ZZZZZZZZZZZZZZZZZZZZZZZZZ")
	if err != nil || top != (ID{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}) {
		t.Fatalf("largest: %v, %v", top, err)
	}
	for _, bad := range []string{"", "8zzzzzzzzzzzzzzzzzzzzzzzzz", "7zzzzzzzzzzzzzzzzzzzzzzzzzz", "7zzzzzzzzzzzzzzzzzzzzzzzzu", "7zzzzzzzzzzzzé"} {
		if _, err := ParseID(bad); err != ErrID {
			t.Errorf("ParseID(%q): %v, want ErrID", bad, err)
		}
	}
}

func TestIDsSortAndDiffer(t *testing.T) {
	ids := NewIDs()
	before := time.Now().Truncate(time.Millisecond)
	const each = 20_000
	var mu sync.Mutex
	var all []string
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			mine := make([]string, each)
			for i := range mine {
				mine[i] = ids.Next().String()
			}
			if !slices.IsSorted(mine) {
				t.Error("one goroutine's ids do not sort in the order that they were made")
			}
			mu.Lock()
			all = append(all, mine...)
			mu.Unlock()
		})
	}
	wg.Wait()
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != 4*each {
		t.Fatalf("%d different ids of %d", n, 4*each)
	}
	if at := ids.Next().Time(); at.Before(before) || at.After(time.Now().Add(10*time.Second)) {
		t.Errorf("an id made now says %v", at)
	}
	if a, b := NewIDs().Next(), NewIDs().Next(); a == b {
		t.Error("two processes made the same id")
	}
}

func TestParseAddress(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Address
		out  string
	}{
		{"+4915112345678", Address{"4915112345678", TONInternational, NPIISDN}, "+4915112345678"},
		{"+49 (151) 123-45.678", Address{"4915112345678", TONInternational, NPIISDN}, "+4915112345678"},
		{"100", Address{Value: "100"}, "100"},
		{"0049151", Address{Value: "0049151"}, "0049151"},
		{"*100#", Address{Value: "*100#"}, "*100#"},
		{"MyBank", Address{"MyBank", TONAlphanumeric, NPIUnknown}, "MyBank"},
		{"My-Bank 24", Address{"My-Bank 24", TONAlphanumeric, NPIUnknown}, "My-Bank 24"},
		{"+", Address{"+", TONAlphanumeric, NPIUnknown}, "+"},
		{"", Address{}, ""},
	} {
		if got := ParseAddress(c.in); got != c.want || got.String() != c.out {
			t.Errorf("ParseAddress(%q) = %+v %q, want %+v %q", c.in, got, got, c.want, c.out)
		}
	}
}

func TestLegText(t *testing.T) {
	for _, s := range []string{"sip", "sip:alice", "smpp:acme", "account:kannel", "mi", "app"} {
		l, ok := ParseLeg(s)
		if !ok || l.String() != s {
			t.Errorf("ParseLeg(%q) = %v, %v", s, l, ok)
		}
		b, err := json.Marshal(l)
		var back Leg
		if err != nil || json.Unmarshal(b, &back) != nil || back != l {
			t.Errorf("%q by JSON: %s, %v", s, b, back)
		}
	}
	for _, s := range []string{"", "smpp", "smpp:", "account", "http"} {
		if l, ok := ParseLeg(s); ok {
			t.Errorf("ParseLeg(%q) = %v, want a refusal", s, l)
		}
	}
}

func TestWorse(t *testing.T) {
	for _, c := range []struct{ a, b, want State }{
		{StateDelivered, StateDelivered, StateDelivered},
		{StateDelivered, StateUndeliverable, StateUndeliverable},
		{StateExpired, StateDelivered, StateExpired},
		{StateDelivered, StateEnroute, StateEnroute},
		{StateNone, StateUndeliverable, StateNone},
		{StateEnroute, StateAccepted, StateAccepted},
	} {
		if c.a.Worse(c.b) != c.want || c.b.Worse(c.a) != c.want {
			t.Errorf("worse of %v and %v: %v, want %v", c.a, c.b, c.a.Worse(c.b), c.want)
		}
	}
}

func TestReceiptRequest(t *testing.T) {
	for _, c := range []struct{ a, b, want ReceiptRequest }{
		{ReceiptNone, ReceiptNone, ReceiptNone},
		{ReceiptNone, ReceiptFailure, ReceiptFailure},
		{ReceiptFinal, ReceiptFailure, ReceiptFinal},
		{ReceiptFailure, ReceiptFailure, ReceiptFailure},
		{ReceiptAll, ReceiptFailure, ReceiptAll},
	} {
		if c.a.With(c.b) != c.want || c.b.With(c.a) != c.want {
			t.Errorf("%v with %v: %v, want %v", c.a, c.b, c.a.With(c.b), c.want)
		}
	}
	for r, wants := range map[ReceiptRequest][]State{
		ReceiptNone:    {},
		ReceiptFailure: {StateExpired, StateUndeliverable},
		ReceiptFinal:   {StateDelivered, StateExpired, StateUndeliverable},
		ReceiptAll:     {StateDelivered, StateExpired, StateUndeliverable, StateEnroute, StateAccepted},
	} {
		for _, s := range []State{StateDelivered, StateExpired, StateUndeliverable, StateEnroute, StateAccepted} {
			if r.Wants(s) != slices.Contains(wants, s) {
				t.Errorf("%v wants %v: %v", r, s, r.Wants(s))
			}
		}
	}
}

func BenchmarkIDsNext(b *testing.B) {
	b.ReportAllocs()
	ids := NewIDs()
	for b.Loop() {
		_ = ids.Next()
	}
}

func BenchmarkIDString(b *testing.B) {
	b.ReportAllocs()
	id := NewIDs().Next()
	for b.Loop() {
		_ = id.String()
	}
}

func TestTLVNames(t *testing.T) {
	names := TLVNames("0x1400=operator_id,0x1401=tariff")
	for tag, name := range map[uint16]string{0x1400: "operator_id", 0x1401: "tariff", 0x0005: "0x0005", 0x2140: "0x2140"} {
		if got := names.Name(tag); got != name {
			t.Errorf("%#x: %q, want %q", tag, got, name)
		}
		if got, ok := names.Tag(name); !ok || got != tag {
			t.Errorf("%q: %#x, %v", name, got, ok)
		}
	}
	if got, ok := names.Tag("5120"); !ok || got != 0x1400 {
		t.Errorf("a decimal tag: %#x, %v", got, ok)
	}
	for _, bad := range []string{"", "operator", "0x", "0x10000", "-1", "+1", "1_0"} {
		if tag, ok := names.Tag(bad); ok {
			t.Errorf("%q: %#x, want a refusal", bad, tag)
		}
		if tag, ok := TLVNames("").Tag(bad); ok {
			t.Errorf("%q without names: %#x, want a refusal", bad, tag)
		}
	}
}

func TestStatusClasses(t *testing.T) {
	if m := StatusClasses("").Map(); m != nil {
		t.Errorf("%v", m)
	}
	got := StatusClasses("0x45=permanent,0x400=throttled,0x500=configuration,0x501=temporary").Map()
	want := map[uint32]Severity{0x45: Permanent, 0x400: Throttled, 0x500: Configuration, 0x501: Temporary}
	if !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
}
