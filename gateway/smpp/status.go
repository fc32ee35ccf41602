package smpp

import (
	"time"

	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

// BindState is where the life of a bind stands. Its text is the MI's.
type BindState string

// The states of a bind.
const (
	BindConnecting BindState = "connecting"
	BindBinding    BindState = "binding"
	BindBound      BindState = "bound"
	BindWaiting    BindState = "waiting" // until RetryAt
	BindUnbinding  BindState = "unbinding"
)

// BindStatus is what is known of one bind: an entry of `binds` in smpp_list.
type BindStatus struct {
	ID        string // unique in this process: the connection's or account's name, '#' and a number
	Owner     sms.Leg
	Mode      string // transceiver, transmitter, receiver
	State     BindState
	Since     time.Time // of State
	Remote    string    // host:port; empty while there is no socket
	Local     string
	Window    int
	InFlight  int
	LastError string
	RetryAt   time.Time // zero unless State is waiting
}

// ConnectionState sums up the binds of a connection. Its text is the MI's.
type ConnectionState string

// The states of a connection.
const (
	ConnectionBound    ConnectionState = "bound" // all of its binds
	ConnectionPartly   ConnectionState = "partly"
	ConnectionDown     ConnectionState = "down"
	ConnectionDisabled ConnectionState = "disabled"
	ConnectionInvalid  ConnectionState = "invalid" // its row has a fault
)

// ConnectionStatus is what is known of one connection: an entry of `connections` in smpp_list.
type ConnectionStatus struct {
	Name        string
	Peer        string
	SessionType sms.SessionType
	Enabled     bool
	State       ConnectionState
	Fault       string // what is wrong with its row; empty unless State is invalid
	Binds       []BindStatus
	Queued      int // messages that wait for a window slot
	// ThrottledUntil and ThrottledTo, in segments per second, are how it is slowed down because its peer asks for that.
	ThrottledUntil time.Time
	ThrottledTo    float64
	Counters
}

// Throttle is what a connection does because its peer is asked for more than it takes.
type Throttle struct {
	Connection string
	Status     wire.Status // of the refusal; 0 where a congestion_state said it
	Congestion uint32      // that congestion_state
	Until      time.Time   // nothing goes out before; zero where it goes on at once
	Throughput float64     // segments per second from then on
}

// Counters count what crossed the binds of a connection since the process started, or since they were reset. Segments, not
// messages, are counted.
type Counters struct {
	Sent       uint64 // segments that the peer accepted
	Refused    uint64 // segments that the peer refused
	Unanswered uint64 // segments that were sent and never answered
	Received   uint64 // segments that came from the peer
	Receipts   uint64 // delivery receipts that came from the peer
	Throttled  uint64 // refusals that said so
	Unexpected uint64 // responses that nobody waited for
	Malformed  uint64 // PDUs of the peer that did not parse, and receipts that nobody could read
	Limited    uint64 // PDUs of an account that were refused because it sent more than its throughput
	Bound      uint64 // binds that came up
}

// Add adds what another connection counted.
func (c *Counters) Add(d Counters) {
	c.Sent += d.Sent
	c.Refused += d.Refused
	c.Unanswered += d.Unanswered
	c.Received += d.Received
	c.Receipts += d.Receipts
	c.Throttled += d.Throttled
	c.Limited += d.Limited
	c.Unexpected += d.Unexpected
	c.Malformed += d.Malformed
	c.Bound += d.Bound
}

// Changes is what a reload did, by name.
type Changes struct {
	Added, Changed, Removed []string
	Unchanged               int
}
