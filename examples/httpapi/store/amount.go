package store

import (
	"fmt"
	"strconv"
	"strings"
)

// Amount is money: millionths of the currency. People and JSON write it as a decimal number in a string: "0.0075".
type Amount int64

const (
	unit     = 1_000_000
	decimals = 6
)

// ParseAmount reads a decimal number of at most six decimals.
func ParseAmount(s string) (Amount, error) {
	bad := fmt.Errorf("%.40q is no amount: want a decimal number with at most six decimals, as 12.50", s)
	rest, negative := strings.CutPrefix(s, "-")
	whole, fraction, _ := strings.Cut(rest, ".")
	if len(fraction) > decimals || whole == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return 0, bad
	}
	n, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", decimals-len(fraction)), 10, 64)
	if err != nil {
		return 0, bad
	}
	if negative {
		n = -n
	}
	return Amount(n), nil
}

func (a Amount) String() string {
	sign := ""
	n := uint64(a)
	if a < 0 {
		sign, n = "-", -n
	}
	s := fmt.Sprintf("%s%d.%06d", sign, n/unit, n%unit)
	for strings.HasSuffix(s, "0") && s[len(s)-3] != '.' { // two decimals stay
		s = s[:len(s)-1]
	}
	return s
}

// MarshalText writes it for JSON.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (a *Amount) UnmarshalText(b []byte) (err error) {
	*a, err = ParseAmount(string(b))
	return err
}
