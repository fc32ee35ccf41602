package sms

import (
	"fmt"
	"time"
)

// ReceiptRequest says which receipts the sender of a message wants (SMPP 3.4, 5.2.17).
type ReceiptRequest uint8

// What may be asked for. The values are those of `receipt` in message_send: false, true, "failure", "all".
const (
	ReceiptNone    ReceiptRequest = iota
	ReceiptFinal                  // the final state
	ReceiptFailure                // the final state where it is a failure
	ReceiptAll                    // intermediate states too
)

var receiptRequestNames = [...]string{"false", "true", "failure", "all"}

func (r ReceiptRequest) String() string { return receiptRequestNames[r] }

// ParseReceiptRequest reads what String writes.
func ParseReceiptRequest(s string) (ReceiptRequest, bool) {
	for i, name := range receiptRequestNames {
		if s == name {
			return ReceiptRequest(i), true
		}
	}
	return 0, false
}

// With gives what satisfies both.
func (r ReceiptRequest) With(other ReceiptRequest) ReceiptRequest {
	if r == ReceiptNone || other == ReceiptAll {
		return other
	}
	if other == ReceiptNone || r == ReceiptAll || r == other {
		return r
	}
	return ReceiptFinal // one wants failures, the other every final state
}

// Wants says that a state is one that was asked for.
func (r ReceiptRequest) Wants(s State) bool {
	switch r {
	case ReceiptAll:
		return true
	case ReceiptFinal:
		return s.Final()
	case ReceiptFailure:
		return s.Final() && s != StateDelivered
	}
	return false
}

// State is the state of a message or segment that a receipt tells (SMPP 3.4, 5.2.28).
type State uint8

// The states; the zero value is none told yet. Worse ones are greater among the final, so that the worst of many is the
// greatest: see Worse.
const (
	StateNone State = iota
	StateEnroute
	StateAccepted
	StateUnknown
	StateDelivered
	StateDeleted
	StateExpired
	StateRejected
	StateUndeliverable
)

var stateNames = [...]string{"", "enroute", "accepted", "unknown", "delivered", "deleted", "expired", "rejected", "undeliverable"}

func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state(%d)", s)
}

// ParseState reads what String writes.
func ParseState(name string) (State, bool) {
	for i, n := range stateNames {
		if n == name {
			return State(i), true
		}
	}
	return 0, false
}

// Final says that nothing more will be told. SMPP 3.4, 5.2.28 calls `accepted` final, but peers send it on the way to
// `delivered`, so it is not taken for the last word here, and neither is `unknown`.
func (s State) Final() bool { return s >= StateDelivered }

// Worse gives the worse of two states: one that is still open before one that is final, and among the final ones the worse.
func (s State) Worse(t State) State {
	if s.Final() != t.Final() {
		if s.Final() {
			return t
		}
		return s
	}
	return max(s, t)
}

// Receipt is an SMSC's delivery receipt for one segment, read.
type Receipt struct {
	SMSCID       string // as the receipt gives it
	State        State
	Intermediate bool   // an intermediate notification (esm_class 0x20)
	Error        string // network error code or `err:`, as it came; empty: none told
	SubmitTime   time.Time
	DoneTime     time.Time
	From, To     Address // as the deliver_sm has them: the recipient of the message is its source
	Text         string  // `text:`
}
