package sms

import "time"

// Fate is what is known of an attempt to hand a message to a next hop. It alone says what may happen next.
type Fate uint8

// The fates.
const (
	// NotSent: not one octet left. The message may go anywhere.
	NotSent Fate = iota
	// Unknown: sent, and no answer came. The next hop may have it.
	Unknown
	// Refused: the next hop said no.
	Refused
	// Accepted: the next hop has it and answers for it.
	Accepted
)

func (f Fate) String() string {
	return [...]string{"not sent", "unknown", "refused", "accepted"}[f]
}

// Severity says what a failure asks for next.
type Severity uint8

// The severities, mildest last asked for.
const (
	Permanent     Severity = iota // trying again will not help
	Temporary                     // try again
	Throttled                     // pause the connection, then try again
	Configuration                 // hold, and raise it to the operator
)

func (s Severity) String() string {
	return [...]string{"permanent", "temporary", "throttled", "configuration"}[s]
}

// ParseSeverity reads what Severity.String writes.
func ParseSeverity(s string) (Severity, bool) {
	for class := Permanent; class <= Configuration; class++ {
		if class.String() == s {
			return class, true
		}
	}
	return 0, false
}

// Cause names why a message was not accepted. What was refused by a peer carries the peer's own status beside it.
type Cause uint8

// The causes.
const (
	CauseNone        Cause = iota
	CauseNoRoute           // no rule names a target for it
	CauseNotReady          // no bind of the target is up
	CauseQueueFull         // the target's queue is full, or the wait for a slot took too long
	CauseNoAnswer          // the next hop did not answer in time, or its socket died
	CauseRefused           // the next hop said no; see Outcome.Protocol and Status
	CauseExpired           // its validity ended
	CauseUnencodable       // the target cannot carry this text, number or data
	CauseShutdown          // we are going down
	CauseStore             // the database did not take what must be kept
	CauseLoop              // it would go back where it came from
	CauseInternal          // our own fault
	CauseBehind            // an older message to its recipient waits: this one is deferred behind it
	CauseCancelled         // its sender or an operator took it back
	Causes                 // how many there are
)

func (c Cause) String() string {
	return [...]string{"", "no route", "no bind is up", "queue full", "no answer", "refused", "validity expired",
		"not encodable", "shutting down", "database unavailable", "loop", "internal error", "an older message to the recipient waits", "cancelled"}[c]
}

// Protocol says whose Status an Outcome carries.
type Protocol uint8

// The protocols that refuse.
const (
	ProtocolNone Protocol = iota
	ProtocolSMPP          // Status is a command_status
	ProtocolSIP           // Status is a SIP response code
)

func (p Protocol) String() string { return [...]string{"", "smpp", "sip"}[p] }

// Outcome is what became of a message, or of one attempt to hand it to one target.
type Outcome struct {
	Fate     Fate
	Severity Severity // meaningful unless Accepted
	Cause    Cause
	Protocol Protocol
	Status   uint32
	Detail   string // for people: what happened, and what to do

	// Deferred says that nobody took it, and that it is kept in the database and tried again: we answer for it.
	Deferred bool

	Egress   Leg       // the target that took it, or that was tried last
	SMSCIDs  []string  // of its segments, in order, as the SMSC gave them; an empty string where a segment has none
	Segments int       // how many it went out in; 0 where the egress knows none
	Alphabet Alphabet  // what the text went out in
	Begun    time.Time // when the first octets of it went to the next hop; zero: none did
	// Receipt is what was asked of the SMSC: what the sender wanted and what the connection asks for anyway. Where it is not
	// ReceiptNone the message is recorded before it is answered.
	Receipt ReceiptRequest
}

// Failed makes the outcome of an attempt that ended before anything was sent.
func Failed(severity Severity, cause Cause, detail string) Outcome {
	return Outcome{Fate: NotSent, Severity: severity, Cause: cause, Detail: detail}
}

// Taken says that the sender need not care for the message any more: the next hop has it, or we keep it.
func (o Outcome) Taken() bool { return o.Fate == Accepted || o.Deferred }

// Reason says in a few words why the message was not accepted.
func (o Outcome) Reason() string {
	if o.Detail != "" {
		return o.Cause.String() + ": " + o.Detail
	}
	return o.Cause.String()
}
