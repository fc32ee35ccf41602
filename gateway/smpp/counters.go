package smpp

import "sync/atomic"

// counters are those of one connection or account, and who watches it; they outlive its binds and the changes of its row.
type counters struct {
	taps atomic.Pointer[[]*tap] // nil: nobody watches

	sent, refused, unanswered, received, receipts, throttled, unexpected, malformed atomic.Uint64
}

func (c *counters) load() Counters {
	return Counters{
		Sent: c.sent.Load(), Refused: c.refused.Load(), Unanswered: c.unanswered.Load(), Received: c.received.Load(),
		Receipts: c.receipts.Load(), Throttled: c.throttled.Load(), Unexpected: c.unexpected.Load(), Malformed: c.malformed.Load(),
	}
}

func (c *counters) reset() {
	for _, n := range []*atomic.Uint64{
		&c.sent, &c.refused, &c.unanswered, &c.received, &c.receipts, &c.throttled, &c.unexpected, &c.malformed,
	} {
		n.Store(0)
	}
}
