package wire

import (
	"errors"
	"fmt"
	"time"
)

// ErrTime is what is said of a text that is no SMPP time.
var ErrTime = errors.New(`not an SMPP time: want "YYMMDDhhmmsstnn" and '+', '-' or 'R'`)

// ParseTime reads the 16 characters of an absolute or a relative time (SMPP 3.4, 7.1.1): a relative one counts from now, as
// its years, months and days do on the calendar. The empty text is the zero time: none was given.
func ParseTime(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if len(s) != 16 {
		return time.Time{}, ErrTime
	}
	var n [8]int // year, month, day, hour, minute, second, tenth, quarters of an hour
	for i, at := range [...]int{0, 2, 4, 6, 8, 10, 12, 13} {
		end := at + 2
		if at == 12 {
			end = 13
		}
		for _, c := range []byte(s[at:end]) {
			if c < '0' || c > '9' {
				return time.Time{}, ErrTime
			}
			n[i] = 10*n[i] + int(c-'0')
		}
	}
	nanos := n[6] * int(time.Second/10)
	sign := 1
	switch s[15] {
	case 'R':
		clock := time.Duration(n[3])*time.Hour + time.Duration(n[4])*time.Minute + time.Duration(n[5])*time.Second
		return now.AddDate(n[0], n[1], n[2]).Add(clock + time.Duration(nanos)), nil
	case '-':
		sign = -1
	case '+':
	default:
		return time.Time{}, ErrTime
	}
	// time.Date would make 1 March of 30 February: a date that is none must be refused, not moved.
	if n[1] < 1 || n[1] > 12 || n[2] < 1 || n[3] > 23 || n[4] > 59 || n[5] > 59 || n[7] > 48 {
		return time.Time{}, ErrTime
	}
	zone := time.FixedZone("", sign*n[7]*15*60)
	t := time.Date(2000+n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], nanos, zone)
	if t.Day() != n[2] {
		return time.Time{}, ErrTime
	}
	return t, nil
}

// FormatTime is the absolute format in UTC, to the tenth of a second. The year keeps its last two digits.
func FormatTime(t time.Time) string {
	t = t.UTC()
	return fmt.Sprintf("%02d%02d%02d%02d%02d%02d%d00+",
		t.Year()%100, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond()/int(time.Second/10))
}

// FormatValidity is how a validity_period that ends in d, counted from now, is written: relative up to 28 days, since that
// needs no clock to agree with the SMSC's, and absolute beyond, since a month is no fixed time. A fraction of a second
// counts as a whole one: a validity of nothing would be none.
func FormatValidity(d time.Duration, now time.Time) string {
	d = max((d+time.Second-1)/time.Second, 1) * time.Second
	const day = 24 * time.Hour
	if d > 28*day {
		return FormatTime(now.Add(d))
	}
	return fmt.Sprintf("0000%02d%02d%02d%02d000R", d/day, d%day/time.Hour, d%time.Hour/time.Minute, d%time.Minute/time.Second)
}
