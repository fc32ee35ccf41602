package receipt

import (
	"slices"
	"sync"
	"testing"
)

func TestKey(t *testing.T) {
	for id, want := range map[string]string{
		"": "", " \x00": "", "0": "0", "0000": "0", "007": "7", "00aBc": "abc", "ABC\x00": "abc", " a-B ": "a-b", "100": "100",
	} {
		if got := Key(id); got != want {
			t.Errorf("Key(%q) is %q, want %q", id, got, want)
		}
	}
}

func TestCandidates(t *testing.T) {
	for _, tt := range []struct {
		id, format string
		want       []string
	}{
		{"", FormatAuto, nil},
		{"000", FormatAuto, []string{"0"}},
		{"7", FormatAuto, []string{"7"}},
		{"0255", FormatAuto, []string{"255", "ff", "597"}},
		{"0255", "", []string{"255", "ff", "597"}},
		{"FF", FormatAuto, []string{"ff", "255"}},
		{"a-1", FormatAuto, []string{"a-1"}},
		{"0255", FormatText, []string{"255"}},
		{"0255", FormatDecimal, []string{"ff"}},
		{"0255", FormatHex, []string{"597"}},
		{"00FF", FormatHex, []string{"255"}},
		{"00FF", FormatDecimal, []string{"ff"}},
		{"x9", FormatHex, []string{"x9"}},
		{"18446744073709551615", FormatDecimal, []string{"ffffffffffffffff"}},
		{"18446744073709551616", FormatDecimal, []string{"10000000000000000"}},
		{"123456789012345678901234567890", FormatAuto,
			[]string{"123456789012345678901234567890", "18ee90ff6c373e0ee4e3f0ad2", "94522879687365475552814062743484560"}},
		{"0123456789abcdef0123456789ABCDEF", FormatHex, []string{"1512366075204170929049582354406559215"}},
		{"11111111111111111111111111111111111111111111111111111111111111111", FormatAuto, // 65 digits
			[]string{"11111111111111111111111111111111111111111111111111111111111111111"}},
	} {
		if got := Candidates(tt.id, tt.format); !slices.Equal(got, tt.want) {
			t.Errorf("Candidates(%q, %q)\ngot  %q\nwant %q", tt.id, tt.format, got, tt.want)
		}
	}
}

// TestMatch goes the way of an id: the submit_sm_resp's is stored, the receipt's finds it.
func TestMatch(t *testing.T) {
	for _, tt := range []struct{ name, response, receipt, format string }{
		{"the same", "ab-12/x", "ab-12/x", FormatText},
		{"case", "ABCDEF-1", "abcdef-1", FormatText},
		{"leading zeros in the receipt", "1234567", "0001234567", FormatText},
		{"leading zeros in the response", "0001234567", "1234567", FormatText},
		{"hexadecimal, then decimal", "07C3B1A9", "0130265513", FormatDecimal},
		{"decimal, then hexadecimal", "130265513", "7c3b1a9", FormatHex},
		{"hexadecimal, then decimal, beyond 64 bits", "ffffffffffffffffffff", "1208925819614629174706175", FormatDecimal},
		{"decimal, then hexadecimal, beyond 64 bits", "1208925819614629174706175", "00FFFFFFFFFFFFFFFFFFFF", FormatHex},
	} {
		stored := Key(tt.response)
		for _, format := range []string{FormatAuto, tt.format} {
			if !slices.Contains(Candidates(tt.receipt, format), stored) {
				t.Errorf("%s: %q is not among the candidates of %q by %s", tt.name, stored, tt.receipt, format)
			}
		}
	}
}

func TestLearner(t *testing.T) {
	l := NewLearner(FormatAuto)
	if got := l.Candidates("255"); !slices.Equal(got, []string{"255", "ff", "597"}) {
		t.Fatalf("before anything was learned: %q", got)
	}
	if got := l.Matched("7", "7"); got != "" {
		t.Fatalf("a match that all formats explain taught %q", got)
	}
	if got := l.Matched("255", "nothing of the kind"); got != "" {
		t.Fatalf("no match taught %q", got)
	}
	if got := l.Matched("255", "ff"); got != FormatDecimal {
		t.Fatalf("first match: %q", got)
	}
	if got := l.Matched("256", "100"); got != "" {
		t.Fatalf("said again: %q", got)
	}
	if got := l.Candidates("255"); !slices.Equal(got, []string{"ff", "255", "597"}) {
		t.Fatalf("after decimal was learned: %q", got)
	}
	for range 2 { // the SMSC was exchanged for another
		if got := l.Matched("20", "32"); got != "" {
			t.Fatalf("changed too early: %q", got)
		}
	}
	if got := l.Matched("20", "32"); got != FormatHex {
		t.Fatalf("not changed: %q", got)
	}
	if got := l.Candidates("255"); !slices.Equal(got, []string{"597", "255", "ff"}) {
		t.Fatalf("after hex was learned: %q", got)
	}
}

func TestLearnerOfFixedFormat(t *testing.T) {
	l := NewLearner(FormatHex)
	if got := l.Matched("255", "597"); got != "" {
		t.Errorf("learned %q", got)
	}
	if got := l.Candidates("255"); !slices.Equal(got, []string{"597"}) {
		t.Errorf("candidates %q", got)
	}
}

func TestLearnerConcurrently(t *testing.T) {
	l := NewLearner(FormatAuto)
	var said sync.Map
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 100 {
				l.Candidates("255")
				if format := l.Matched("255", "ff"); format != "" {
					said.Store(i, format)
				}
			}
		})
	}
	wg.Wait()
	n := 0
	said.Range(func(_, format any) bool { n++; return format == FormatDecimal })
	if n != 1 {
		t.Errorf("said %d times", n)
	}
}

func BenchmarkCandidates(b *testing.B) {
	l := NewLearner(FormatAuto)
	for _, id := range []string{"0130265513", "b7f1c2d4-9a51", "1208925819614629174706175"} {
		b.Run(id, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				l.Candidates(id)
			}
		})
	}
}
