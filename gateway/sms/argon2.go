package sms

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Argon2id is a hash of a password, and what it was made with (RFC 9106).
type Argon2id struct {
	Memory  uint32 // KiB
	Time    uint32 // passes
	Threads uint8
	Salt    []byte
	Hash    []byte
}

// What a check may cost at the most, so that a row of the database cannot take the memory or the time of the gateway.
const (
	maxArgonMemory  = 64 << 10  // KiB: 64 MiB, what RFC 9106, 4 recommends where memory is dear
	maxArgonWork    = 256 << 10 // KiB that all passes go over
	maxArgonThreads = 4
)

// ParseArgon2id reads a hash as the reference implementation and most libraries write it: `$argon2id$v=19$m=65536,t=3,p=4$salt$hash`,
// the last two in base64 without padding. One whose check would cost too much is an error that says what may be.
func ParseArgon2id(s string) (Argon2id, error) {
	var a Argon2id
	fields := strings.Split(s, "$")
	if len(fields) != 6 || fields[0] != "" || fields[1] != "argon2id" {
		return a, errors.New("it is no argon2id hash: want $argon2id$v=19$m=19456,t=2,p=1$salt$hash")
	}
	if fields[2] != "v=19" {
		return a, fmt.Errorf("its version is %q: want v=19", clipped(fields[2]))
	}
	var numbers [3]uint64
	parts := strings.Split(fields[3], ",")
	for i, name := range [...]string{"m=", "t=", "p="} {
		var err error
		if len(parts) != 3 || !strings.HasPrefix(parts[i], name) {
			err = strconv.ErrSyntax
		} else {
			numbers[i], err = strconv.ParseUint(parts[i][2:], 10, 32)
		}
		if err != nil || numbers[i] == 0 {
			return a, fmt.Errorf("its parameters are %q: want m=19456,t=2,p=1 or the like", clipped(fields[3]))
		}
	}
	switch m, t, p := numbers[0], numbers[1], numbers[2]; {
	case m > maxArgonMemory || m*t > maxArgonWork:
		return a, fmt.Errorf("each bind would take too much: m is %d KiB and t is %d, and m may be %d, m times t %d", m, t, maxArgonMemory, maxArgonWork)
	case p > maxArgonThreads:
		return a, fmt.Errorf("its p is %d: %d is the most", p, maxArgonThreads)
	case m < 8*p:
		return a, fmt.Errorf("its m is %d: want 8 times p at least", m)
	default:
		a.Memory, a.Time, a.Threads = uint32(m), uint32(t), uint8(p)
	}
	for i, octets := range [...]*[]byte{&a.Salt, &a.Hash} {
		b, err := base64.RawStdEncoding.Strict().DecodeString(fields[4+i])
		if err != nil || len(b) < 8 || len(b) > 64 {
			return a, fmt.Errorf("its %s is not 8 to 64 octets in base64 without padding", [...]string{"salt", "hash"}[i])
		}
		*octets = b
	}
	return a, nil
}

func clipped(s string) string { return s[:min(len(s), 40)] }
