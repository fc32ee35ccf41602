package clients

import (
	"context"
	"iter"
	"sync"
	"time"

	"sipsmpp/events"
)

// Durable is a durable subscription: its events wait in the gateway's database while the program is away, and come again until they
// are acknowledged.
//
//	d := c.Durable("billing", "E_MESSAGE_REPORT", clients.After(lastCommitted))
//	for event, err := range d.Events(ctx) {
//		...
//		commit(event, event.Seq)
//		d.Ack(event.Seq)
//	}
//
// The gateway sends up to a thousand events without an acknowledgement, and each at least once; who stores the seq of the last one in the transaction that stores what the event did, and
// begins After it, handles each exactly once. A name has one consumer: a second one takes the subscription over, and the first ends with
// mi.ErrConflict.
type Durable struct {
	client *Client
	sub    subscription

	mu     sync.Mutex
	stream eventStream // that acknowledgements go to
	seen   uint64      // the last event that was given out, or that is known to be done
	acked  uint64
}

// ackTimeout is how long a gateway that does not read may hold up an acknowledgement.
const ackTimeout = 10 * time.Second

// Durable is the durable subscription of that name to the events that the filter takes, which is made where there is none. After says
// which events are done already; they do not come again.
func (c *Client) Durable(name, filter string, opts ...EventsOption) *Durable {
	d := &Durable{client: c, sub: subscription{filter: filter, durable: name}}
	for _, opt := range opts {
		opt(&d.sub)
	}
	if d.sub.after != nil && *d.sub.after > 0 {
		d.seen, d.acked = *d.sub.after, *d.sub.after
	}
	return d
}

// Events gives the events in the order of their numbers, each once: what the gateway sends again because an acknowledgement got lost is
// left out. A stream that breaks is connected again. It ends as Client.Events does, and can be called again then; not twice at a time.
func (d *Durable) Events(ctx context.Context) iter.Seq2[events.Notification, error] {
	return func(yield func(events.Notification, error) bool) {
		defer d.attach(nil)
		err := d.client.follow(ctx, &d.sub, d.attach, func(n events.Notification) bool {
			if _, lost := n.Event.(events.EventsLost); !lost && !d.isNew(n.Seq) {
				return true
			}
			d.mu.Lock()
			d.seen = n.Seq
			d.mu.Unlock()
			return yield(n, nil)
		})
		if err != nil {
			yield(events.Notification{}, err)
		}
	}
}

func (d *Durable) isNew(seq uint64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return seq > d.seen
}

// Ack says that the event of that number and all before it are done. It does not fail: what does not arrive is said again when the stream
// is connected again.
func (d *Durable) Ack(seq uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if seq <= d.acked {
		return
	}
	d.acked = seq
	if d.stream != nil && d.stream.ack(seq) != nil {
		d.stream.close() // and what reads it connects again
		d.stream = nil
	}
}

// attach makes a stream the one that acknowledgements go to, and repeats the last one.
func (d *Durable) attach(s eventStream) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stream = s
	if s != nil && d.acked > 0 && s.ack(d.acked) != nil {
		s.close()
	}
}

type ackParams struct {
	Seq uint64 `json:"seq"`
}

type ackMessage struct {
	Version string    `json:"jsonrpc"`
	Method  string    `json:"method"`
	Params  ackParams `json:"params"`
}

func acknowledgement(seq uint64) ackMessage { return ackMessage{"2.0", "ack", ackParams{seq}} }
