package main

import (
	"strconv"
	"sync/atomic"
	"time"
)

// ledger knows of each message of a run when it went in, whether it was answered, and how often it came out. Its memory grows
// with the messages, 32 octets each. One goroutine opens entries; any may look them up.
type ledger struct {
	chunks [1 << 14]atomic.Pointer[[chunkSize]entry]
	opened atomic.Int64
}

const (
	chunkSize  = 1 << 14
	maxEntries = chunkSize << 14
)

type entry struct {
	sent  atomic.Int64 // nanoseconds since the ledger's run began
	state atomic.Int32
	exits atomic.Int32
	first atomic.Uint32 // of the transaction that it came out by first, where one can come twice
	tries int32         // of the generator: how often it was sent again
	told  atomic.Int32  // how often it was reported on
}

// The states of an entry.
const (
	stateUnsent int32 = iota
	stateWaiting
	stateAccepted
	stateRefused
	stateUnanswered
)

// open makes room for the next message and gives its number, from 0.
func (l *ledger) open(sent time.Duration) (int, *entry) {
	n := int(l.opened.Load())
	c := l.chunks[n/chunkSize].Load()
	if c == nil {
		c = new([chunkSize]entry)
		l.chunks[n/chunkSize].Store(c)
	}
	e := &c[n%chunkSize]
	e.sent.Store(int64(sent))
	e.state.Store(stateWaiting)
	l.opened.Store(int64(n) + 1)
	return n, e
}

// get gives the entry of a message; nil where there is none.
func (l *ledger) get(n int) *entry {
	if n < 0 || int64(n) >= l.opened.Load() {
		return nil
	}
	return &l.chunks[n/chunkSize].Load()[n%chunkSize]
}

// count is what a ledger says at the end.
type count struct {
	Sent       int `json:"sent"`
	Accepted   int `json:"accepted"`
	Refused    int `json:"refused"`
	Unanswered int `json:"unanswered"`
	Arrived    int `json:"arrived"` // at least once
	Lost       int `json:"lost"`    // accepted, and never came out
	Doubled    int `json:"doubled"` // came out more than once
	Stray      int `json:"stray"`   // came out although it was refused

	Reported      int `json:"reported"`       // at least once
	NotReported   int `json:"not_reported"`   // accepted, came out, and never reported on
	ReportedAgain int `json:"reported_again"` // more than once
}

func (l *ledger) count() (c count) {
	c.Sent = int(l.opened.Load())
	for n := range c.Sent {
		e := l.get(n)
		state, exits := e.state.Load(), e.exits.Load()
		switch state {
		case stateAccepted:
			c.Accepted++
			if exits == 0 {
				c.Lost++
			}
		case stateRefused:
			c.Refused++
			if exits > 0 {
				c.Stray++
			}
		default:
			c.Unanswered++
		}
		if exits > 0 {
			c.Arrived++
		}
		if exits > 1 {
			c.Doubled++
		}
		switch told := e.told.Load(); {
		case told > 1:
			c.ReportedAgain++
			fallthrough
		case told == 1:
			c.Reported++
		case state == stateAccepted && exits > 0:
			c.NotReported++
		}
	}
	return c
}

// The text of a message begins with its run and number, each of fixed width, so that a generator only writes digits:
// `smscsim 1a2b3c4d 0000000042 ...`.
const (
	textMark    = "smscsim "
	runDigits   = 8
	numberWidth = 10
	markLength  = len(textMark) + runDigits + 1 + numberWidth
)

// markText gives the text of message n, padded to length.
func markText(run string, n, length int) string {
	b := append(append(append([]byte(textMark), run...), ' '), "0000000000"...)
	putNumber(b[len(b)-numberWidth:], n)
	b = append(b, ' ')
	for len(b) < length {
		b = append(b, "a text to fill the message "[len(b)%27])
	}
	return string(b)
}

// readMark gives the number of the message whose text is b; false where it is none of this run.
func readMark(b []byte, run string) (int, bool) {
	if len(b) < markLength || string(b[:len(textMark)]) != textMark || string(b[len(textMark):len(textMark)+runDigits]) != run {
		return 0, false
	}
	return readNumber(b[markLength-numberWidth : markLength])
}

func putNumber(b []byte, n int) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
}

func readNumber(b []byte) (int, bool) {
	n, err := strconv.ParseUint(string(b), 10, 62)
	return int(n), err == nil
}
