package sms

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"time"
)

// ID names one message among those of all nodes, and sorts by the time that it was made. It is 48 bits of milliseconds since
// 1970, 16 bits that count within them, and 64 bits drawn at random when the process started. Its text is 26 characters of
// Crockford's base 32, as a ULID's is, in lower case: it fits a SIP token, an SMPP message_id and a CHAR(26).
type ID [16]byte

// IsZero says that no ID was given yet.
func (id ID) IsZero() bool { return id == ID{} }

// Time is when the ID was made, to the millisecond. Where more than 65,536 were made in one millisecond it runs ahead.
func (id ID) Time() time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(id[:8]) >> 16))
}

const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

func (id ID) String() string {
	b, _ := id.AppendText(make([]byte, 0, 26))
	return string(b)
}

// AppendText appends the 26 characters.
func (id ID) AppendText(b []byte) ([]byte, error) {
	hi, lo := binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:])
	for i := 25; i >= 0; i-- {
		// Character i holds bits 5*(25-i) and up: of lo alone, of both, or of hi alone.
		shift := uint(5 * i)
		var v uint64
		switch {
		case shift >= 64:
			v = hi >> (shift - 64)
		case shift > 59:
			v = lo>>shift | hi<<(64-shift)
		default:
			v = lo >> shift
		}
		b = append(b, crockford[v&31])
	}
	return b, nil
}

// MarshalText writes the 26 characters.
func (id ID) MarshalText() ([]byte, error) { return id.AppendText(make([]byte, 0, 26)) }

// ErrID is what is said of a text that is no ID.
var ErrID = errors.New("not a message id: want 26 characters of 0-9 and a-z without i, l, o, u")

// UnmarshalText reads 26 characters, in either case.
func (id *ID) UnmarshalText(b []byte) error {
	p, err := ParseID(string(b))
	if err == nil {
		*id = p
	}
	return err
}

// ParseID reads what String writes, in either case.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 26 || s[0] > '7' {
		return id, ErrID
	}
	var hi, lo uint64
	for i := range len(s) {
		v := crockfordValue[s[i]]
		if v == 0xff {
			return id, ErrID
		}
		hi = hi<<5 | lo>>59
		lo = lo<<5 | uint64(v)
	}
	binary.BigEndian.PutUint64(id[:8], hi)
	binary.BigEndian.PutUint64(id[8:], lo)
	return id, nil
}

var crockfordValue = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i := range len(crockford) {
		c := crockford[i]
		t[c] = byte(i)
		if c >= 'a' {
			t[c-'a'+'A'] = byte(i)
		}
	}
	return t
}()

// IDs makes IDs. It is safe for any number of goroutines and takes no lock.
type IDs struct {
	last    atomic.Uint64 // milliseconds and counter of the last one
	process uint64
}

// NewIDs starts a series that no other process shares.
func NewIDs() *IDs {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return &IDs{process: binary.BigEndian.Uint64(b[:])}
}

// Next makes an ID that sorts after all those that this series made before.
func (s *IDs) Next() ID {
	now := uint64(time.Now().UnixMilli()) << 16
	for {
		last := s.last.Load()
		next := max(last+1, now)
		if s.last.CompareAndSwap(last, next) {
			var id ID
			binary.BigEndian.PutUint64(id[:8], next)
			binary.BigEndian.PutUint64(id[8:], s.process)
			return id
		}
	}
}
