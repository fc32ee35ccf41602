package sms

import "strings"

// TON is a type of number (SMPP 3.4, 5.2.5).
type TON uint8

// The types of number.
const (
	TONUnknown TON = iota
	TONInternational
	TONNational
	TONNetwork
	TONSubscriber
	TONAlphanumeric
	TONAbbreviated
)

// NPI is a numbering plan indicator (SMPP 3.4, 5.2.6).
type NPI uint8

// The numbering plans that the gateway gives by itself; others pass as they are.
const (
	NPIUnknown NPI = 0
	NPIISDN    NPI = 1 // E.163/E.164
)

// Address is a sender or a recipient. Value has no '+': TON 1 says so instead.
type Address struct {
	Value string
	TON   TON
	NPI   NPI
}

// IsZero says that there is no address.
func (a Address) IsZero() bool { return a.Value == "" }

// String is the address as people and events know it: an international number with its '+', everything else as it is.
func (a Address) String() string {
	if a.TON == TONInternational && isNumber(a.Value) {
		return "+" + a.Value
	}
	return a.Value
}

// ParseAddress makes an address of what a person or a URI's user part says. A number with '+' is international; visual
// separators go (RFC 3966, 5.1.1); another number stays as it is with TON and NPI 0, since it may be a short code; what is no
// number is alphanumeric (TON 5, NPI 0).
func ParseAddress(s string) Address {
	s = strings.TrimSpace(s)
	digits := strings.Map(func(r rune) rune {
		switch r {
		case '-', '.', '(', ')', ' ':
			return -1
		}
		return r
	}, s)
	if rest, plus := strings.CutPrefix(digits, "+"); plus && isNumber(rest) {
		return Address{Value: rest, TON: TONInternational, NPI: NPIISDN}
	}
	if isNumber(digits) {
		return Address{Value: digits}
	}
	if s == "" {
		return Address{}
	}
	return Address{Value: s, TON: TONAlphanumeric}
}

// isNumber says that s has only what may be dialled, and a digit among it.
func isNumber(s string) bool {
	digit := false
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digit = true
		case c != '*' && c != '#':
			return false
		}
	}
	return digit
}
