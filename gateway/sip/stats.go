package sip

import (
	"slices"
	"sync/atomic"

	"sipsmpp/gateway/metric"
)

// Stats count what crossed the endpoint, or one transport of it, since it was made.
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

	// Of the whole endpoint alone.
	InProgress  int // requests handed over and not answered yet
	InFlight    int // messages to SIP without an outcome yet
	Connections int // that peers opened
	Contacts    int // of registered users
}

// add adds what another transport counted.
func (s *Stats) add(t Stats) {
	s.Requests += t.Requests
	s.Retransmissions += t.Retransmissions
	s.Merged += t.Merged
	s.Answered += t.Answered
	s.Refused += t.Refused
	s.Overload += t.Overload
	s.Unauthorized += t.Unauthorized
	s.Malformed += t.Malformed
	s.Dropped += t.Dropped
	s.Sent += t.Sent
	s.Resent += t.Resent
	s.Accepted += t.Accepted
	s.Failed += t.Failed
	s.Timeouts += t.Timeouts
	s.Stray += t.Stray
}

// counters are those of one transport.
type counters struct {
	requests, retransmissions, merged, answered, refused, overload, unauthorized, malformed, dropped,
	sent, resent, accepted, failed, timeouts, stray atomic.Uint64

	response *metric.Histogram // from a MESSAGE of ours to its final response
}

func newCounters() (list [transports]*counters) {
	for by := range list {
		list[by] = &counters{response: metric.New(metric.Short)}
	}
	return list
}

func (c *counters) load() Stats {
	return Stats{
		Requests: c.requests.Load(), Retransmissions: c.retransmissions.Load(), Merged: c.merged.Load(),
		Answered: c.answered.Load(), Refused: c.refused.Load(), Overload: c.overload.Load(),
		Unauthorized: c.unauthorized.Load(),
		Malformed:    c.malformed.Load(), Dropped: c.dropped.Load(),
		Sent: c.sent.Load(), Resent: c.resent.Load(), Accepted: c.accepted.Load(), Failed: c.failed.Load(),
		Timeouts: c.timeouts.Load(), Stray: c.stray.Load(),
	}
}

// Stats gives the counts of all transports as they are now.
func (e *Endpoint) Stats() Stats {
	s := Stats{InProgress: int(e.inProgress.Load()), InFlight: int(e.inFlight.Load()), Connections: int(e.accepted.Load()), Contacts: e.registrar.count()}
	for _, c := range e.count {
		s.add(c.load())
	}
	return s
}

// TransportStats are the counts of one transport.
type TransportStats struct {
	Transport string // udp, tcp, tls, ws or wss
	Stats
	Response metric.Snapshot // how long next hops took to answer a MESSAGE
}

// Transports gives the counts of those that are listened on, and of others that a next hop was reached by.
func (e *Endpoint) Transports() (list []TransportStats) {
	for by, c := range e.count {
		s := TransportStats{Transport: transport(by).String(), Stats: c.load(), Response: c.response.Snapshot()}
		if s.Sent > 0 || e.listensOn(transport(by)) {
			list = append(list, s)
		}
	}
	return list
}

func (e *Endpoint) listensOn(by transport) bool {
	if by == byUDP {
		return len(e.sockets) > 0
	}
	return slices.ContainsFunc(e.listeners, func(l *streamListener) bool { return l.by == by })
}
