package gateway

import "sync/atomic"

type keeperCounters struct {
	kept, sent, failed, expired, full, unknown atomic.Uint64
}

// What is told of the messages that are kept.
var (
	deferredWaiting = gauge("deferred:waiting", "sipsmpp_deferred_messages",
		"messages in the database that wait for their next attempt", "target").totalled("deferred")
	deferredOctets  = gauge("deferred:octets", "sipsmpp_deferred_octets", "octets of what deferred messages say", "target").totalled("deferred")
	deferredFlying  = gauge("deferred:in_flight", "sipsmpp_deferred_in_flight", "deferred messages that are being tried")
	deferredUnsaved = gauge("deferred:unsaved", "sipsmpp_deferred_unsaved",
		"deferred messages whose end the database has not taken yet")
	deferredKept = counter("deferred:kept", "sipsmpp_deferred_kept",
		"messages that nobody took when they came, and that were kept")
	deferredSent    = counter("deferred:sent", "sipsmpp_deferred_sent", "deferred messages that a next hop took")
	deferredFailed  = counter("deferred:failed", "sipsmpp_deferred_failed", "deferred messages that were given up")
	deferredExpired = counter("deferred:expired", "sipsmpp_deferred_expired", "deferred messages whose validity ended")
	deferredFull    = counter("deferred:refused_full", "sipsmpp_deferred_refused",
		"messages that were refused because too many wait for their target")
	deferredUnknown = counter("deferred:unknown_fates", "sipsmpp_deferred_unknown_fates",
		"attempts without an answer whose messages were tried again: each may have arrived twice")
)

// measure reads what is told of the messages that are kept.
func (k *keeper) measure(r *readings) {
	k.mu.Lock()
	var octets, inFlight uint64
	told := 0
	for _, b := range k.backlogs {
		octets += uint64(b.octets)
		inFlight += uint64(b.inFlight)
		if told++; told <= maxLabelled {
			r.add(deferredWaiting, uint64(b.count), b.target)
			r.add(deferredOctets, uint64(b.octets), b.target)
		}
	}
	unsaved := uint64(len(k.unsaved))
	k.mu.Unlock()
	r.sum(deferredWaiting, uint64(max(0, k.waiting.Load())))
	r.sum(deferredOctets, octets)
	r.add(deferredFlying, inFlight)
	r.add(deferredUnsaved, unsaved)
	c := &k.counters
	r.add(deferredKept, c.kept.Load())
	r.add(deferredSent, c.sent.Load())
	r.add(deferredFailed, c.failed.Load())
	r.add(deferredExpired, c.expired.Load())
	r.add(deferredFull, c.full.Load())
	r.add(deferredUnknown, c.unknown.Load())
}
