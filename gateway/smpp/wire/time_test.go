package wire

import (
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]string{
		"":                 "0001-01-01T00:00:00Z",
		"2604011230457080": "",
		"260401123045708+": "2026-04-01T12:30:45.7+02:00",
		"260401123045706-": "2026-04-01T12:30:45.7-01:30",
		"000000010000000R": "2026-01-31T13:00:00Z",
		"000100000000000R": "2026-03-03T12:00:00Z",
		"000007000000000R": "2026-02-07T12:00:00Z",
		"260230000000000+": "",
		"261301000000000+": "",
		"260100000000000+": "",
		"260101240000000+": "",
		"260101000000049+": "",
		"26010100000000x+": "",
		"now":              "",
	} {
		got, err := ParseTime(s, now)
		if want == "" {
			if err != ErrTime {
				t.Errorf("%q: %v, %v", s, got, err)
			}
			continue
		}
		if err != nil || got.Format(time.RFC3339Nano) != want {
			t.Errorf("%q: %v, %v; want %s", s, got.Format(time.RFC3339Nano), err, want)
		}
	}
}

func TestFormatTime(t *testing.T) {
	at := time.Date(2026, 11, 23, 14, 5, 6, 780_000_000, time.FixedZone("", 3600))
	if got := FormatTime(at); got != "261123130506700+" {
		t.Errorf("%q", got)
	}
	back, err := ParseTime(FormatTime(at), time.Time{})
	if err != nil || !back.Equal(at.Truncate(100*time.Millisecond)) {
		t.Errorf("%v, %v", back, err)
	}
}

func TestFormatValidity(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		time.Millisecond:                        "000000000001000R",
		90 * time.Second:                        "000000000130000R",
		26*time.Hour + 3*time.Minute + 1:        "000001020301000R",
		28 * 24 * time.Hour:                     "000028000000000R",
		28*24*time.Hour + time.Second:           "260129000001000+",
		365*24*time.Hour - 500*time.Microsecond: "270101000000000+",
		-time.Hour:                              "000000000001000R",
	} {
		got := FormatValidity(d, now)
		if got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
		if _, err := ParseTime(got, now); err != nil {
			t.Errorf("%v: %v", d, err)
		}
	}
}

func FuzzParseTime(f *testing.F) {
	f.Add("260401123045708+")
	f.Add("000000010000000R")
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		at, err := ParseTime(s, now)
		if err != nil || s == "" || s[15] == 'R' {
			return
		}
		back, err := ParseTime(FormatTime(at), now)
		// The year has two digits: what the zone moves over a century's edge comes back on its other side.
		if err != nil || at.Year() > 2000 && at.Year() < 2099 && !back.Equal(at) {
			t.Fatalf("%q is %v, comes back as %v, %v", s, at, back, err)
		}
	})
}
