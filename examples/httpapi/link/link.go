// Package link joins the database with the gateway: what is queued is handed to the gateway, and what the gateway tells is
// written down.
//
// A message is handed over under its own id as idempotency_key, so that an answer that did not come is asked for again without sending
// twice. Events come by a durable subscription, and are acknowledged when what they say is in the database, in one transaction with
// their number. So nothing is lost and nothing counted twice, whichever of the two programs is killed.
package link

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"sipsmpp/clients"
	"sipsmpp/events"
	"sipsmpp/examples/httpapi/store"
	"sipsmpp/mi"
)

// Gateway is what is used of a gateway; a *clients.Client is one, by FromClient.
type Gateway interface {
	MessageSend(ctx context.Context, params mi.MessageSendParams) (mi.MessageSendResult, error)
	MessageShow(ctx context.Context, params mi.MessageShowParams) (mi.Message, error)
	// Follow gives the events behind a number of a durable subscription.
	Follow(name, filter string, after uint64) Subscription
}

// Subscription is a durable subscription.
type Subscription interface {
	Events(ctx context.Context) iter.Seq2[events.Notification, error]
	Ack(seq uint64)
}

// FromClient makes a client a Gateway.
func FromClient(c *clients.Client) Gateway { return fromClient{c} }

type fromClient struct{ *clients.Client }

func (c fromClient) Follow(name, filter string, after uint64) Subscription {
	if after == 0 {
		return c.Durable(name, filter)
	}
	return c.Durable(name, filter, clients.After(after))
}

// Options say how patient the link is. The zero value has defaults.
type Options struct {
	Subscription string        // name of the durable subscription; httpapi unless given
	GiveUp       time.Duration // after which a message that the gateway does not take is given up; 24 h
	ReportWait   time.Duration // after which a message without a report ends as unknown; 72 h
	AskEvery     time.Duration // how often the gateway is asked for a report that did not come; 1 h
	CallTimeout  time.Duration // of a call; 30 s
	Parallel     int           // messages that are handed over at the same time; 32
	Poll         time.Duration // how often the database is looked at for what is due; 250 ms
	// RefundUndelivered says that a message that was sent and did not arrive is refunded, too.
	RefundUndelivered bool
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	if o.Subscription == "" {
		o.Subscription = "httpapi"
	}
	set(&o.GiveUp, 24*time.Hour)
	set(&o.ReportWait, 72*time.Hour)
	set(&o.AskEvery, time.Hour)
	set(&o.Poll, 250*time.Millisecond)
	set(&o.CallTimeout, 30*time.Second)
	if o.Parallel <= 0 {
		o.Parallel = 32
	}
	return o
}

// Link is the work between a database and a gateway.
type Link struct {
	db      *store.DB
	gateway Gateway
	log     *slog.Logger
	options Options
	kick    chan struct{} // something new is queued
}

// New makes a link. Run does the work.
func New(db *store.DB, gateway Gateway, log *slog.Logger, options Options) *Link {
	return &Link{db: db, gateway: gateway, log: log, options: options.withDefaults(), kick: make(chan struct{}, 1)}
}

// Kick says that something was queued, so that it need not wait for the next look.
func (l *Link) Kick() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// Run works until ctx ends, and for what is under way then.
func (l *Link) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { l.submit(ctx) })
	running.Go(func() { l.ask(ctx) })
	running.Go(func() { l.follow(ctx) })
	running.Wait()
}

// sleep waits, or until the context ends: then it is false.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// backoff is the delay before the attempt after the n-th: from a second to a minute, drawn between a half and the whole.
func backoff(n int) time.Duration {
	d := min(time.Second<<min(n-1, 6), time.Minute)
	return d/2 + rand.N(d/2)
}

// isOurs says that the gateway refused a call because of our token or configuration, and not because of the message.
func isOurs(err error) bool {
	if errors.Is(err, mi.ErrUnauthorized) {
		return true
	}
	_, aboutMessage := clients.Details[mi.SendFailure](err)
	return errors.Is(err, mi.ErrForbidden) && !aboutMessage
}
