package sip

import "sync/atomic"

// Stats count what crossed the endpoint since it was made.
type Stats struct {
	Requests        uint64 // that came in, retransmissions too
	Retransmissions uint64 // among them
	Merged          uint64 // among them: the same request by another path
	Answered        uint64 // requests that were handed over and got a 2xx
	Refused         uint64 // requests that got another final response, once each time
	Overload        uint64 // requests and connections refused because there were too many
	Unauthorized    uint64 // credentials that were wrong
	Malformed       uint64 // datagrams and connections that were no SIP and got no answer
	Dropped         uint64 // messages that did not leave: a queue was full, or the kernel did not take them

	Sent     uint64 // transactions begun: one for each attempt of a message
	Resent   uint64 // retransmissions of ours
	Accepted uint64 // messages that a next hop took
	Failed   uint64 // messages that none took
	Timeouts uint64 // attempts without an answer
	Stray    uint64 // responses that nobody waited for

	InProgress  int // requests handed over and not answered yet
	InFlight    int // messages to SIP without an outcome yet
	Connections int // that peers opened
}

type counters struct {
	requests, retransmissions, merged, answered, refused, overload, unauthorized, malformed, dropped,
	sent, resent, accepted, failed, timeouts, stray atomic.Uint64
}

// Stats gives the counts as they are now.
func (e *Endpoint) Stats() Stats {
	c := &e.count
	return Stats{
		Requests: c.requests.Load(), Retransmissions: c.retransmissions.Load(), Merged: c.merged.Load(),
		Answered: c.answered.Load(), Refused: c.refused.Load(), Overload: c.overload.Load(),
		Unauthorized: c.unauthorized.Load(),
		Malformed:    c.malformed.Load(), Dropped: c.dropped.Load(),
		Sent: c.sent.Load(), Resent: c.resent.Load(), Accepted: c.accepted.Load(), Failed: c.failed.Load(),
		Timeouts: c.timeouts.Load(), Stray: c.stray.Load(),
		InProgress: int(e.inProgress.Load()), InFlight: int(e.inFlight.Load()), Connections: int(e.accepted.Load()),
	}
}
