package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Durables are the durable subscriptions of a node. An event that one of them takes is written to the journal as it is published,
// waits there while the subscriber is away, and is given again until it is acknowledged, in the order of the numbers. Each has a
// queue of its own: one that does not keep up costs the others nothing, and at its limits loses its oldest events, of which
// E_EVENTS_LOST in their place tells.
type Durables struct {
	hub     *Hub
	journal Journal
	limits  Limits
	log     *slog.Logger

	// changing lets one subscription be made, changed or ended at a time.
	changing sync.Mutex

	mu     sync.Mutex
	byName map[string]*Durable
	closed bool

	writing
	work chan struct{} // holds one token: there is something to trim, or to write again
}

// Limits bound what waits for one subscription, and how many there are.
type Limits struct {
	Age           time.Duration // of an event that waits
	Events        int           // that wait
	Octets        int64         // that they hold
	Subscriptions int
	Abandoned     time.Duration // a subscription that nobody connected to for that long is ended
}

// Journal keeps durable subscriptions, and their events, on disk. Its writes take effect in the order of the calls.
type Journal interface {
	// Append queues an event to be written. done is called once it is on disk, or cannot be written. It does not block.
	Append(k *Journalled, done func(error))
	// Acknowledge queues that a subscription has everything up to a number; done gets how many of its events were dropped.
	Acknowledge(id int64, upTo uint64, done func(n int, err error))
	// Flush calls done once all that was queued before is on disk, or with an error where some may not be.
	Flush(done func(error))
	// Read gives the events of a subscription behind a number, in order.
	Read(ctx context.Context, id int64, after uint64, limit int) ([]Entry, error)
	// Trim drops the oldest events of a subscription, as cut decides, and puts a loss in their place.
	Trim(ctx context.Context, id int64, cut func(oldest []Waiting) Cut) (Cut, error)
	// Oldest tells since when the oldest event of a subscription waits; the zero time: none does.
	Oldest(ctx context.Context, id int64) (time.Time, error)
	// Stored gives the subscriptions with what waits for them.
	Stored(ctx context.Context) ([]Stored, error)
	// Put writes a subscription, a new one where its ID is 0, and gives its ID.
	Put(ctx context.Context, s Stored) (id int64, err error)
	// Delete ends a subscription and drops its events.
	Delete(ctx context.Context, id int64) error
}

// Stored is a subscription as the journal has it.
type Stored struct {
	ID int64
	Spec
	Last   uint64 // number of its newest event that waits; 0: none
	Count  int    // of them
	Octets int64
}

// Spec is what somebody asks of a durable subscription.
type Spec struct {
	Name    string
	Owner   string // whose it is: the name of the token; empty where there are none
	Filter  Filter
	URL     string    // of a webhook; empty: who connects gets the events
	Secret  string    // of a webhook
	Expires time.Time // zero: never
}

// Journalled is an event on its way to the journal.
type Journalled struct {
	Seq  uint64
	Time time.Time
	Note string // the note that foretold it, to be dropped with the same write; empty: none

	event  Event
	takers []*Durable
	hub    *Hub
	loss   EventsLost // Count > 0: what is kept is that events were lost
	json   []byte
	queued bool // again, after it could not be written
}

// Subscriptions are the IDs of those that take the event.
func (k *Journalled) Subscriptions() []int64 {
	ids := make([]int64, len(k.takers))
	for i, d := range k.takers {
		ids[i] = d.id
	}
	return ids
}

// JSON is the notification. It is made at the first call; only the journal's writer calls it.
func (k *Journalled) JSON() []byte {
	switch {
	case k.json != nil:
	case k.loss.Count > 0:
		k.json = k.hub.lossNotification(k.loss, k.Time)
	default:
		k.json = k.hub.encode(&Entry{Seq: k.Seq, Time: k.Time, Event: k.event})
	}
	return k.json
}

// What is wrong with what was asked of a durable subscription.
var (
	ErrDurableName    = errors.New("bad name of a durable subscription: want 1 to 128 letters, digits or any of -_.:/@")
	ErrDurableOwner   = errors.New("the durable subscription is somebody else's")
	ErrDurableKind    = errors.New("a durable subscription of this name exists and is of the other kind (webhook or connection): end it first, or choose another name")
	ErrTooManyDurable = errors.New("there are too many durable subscriptions (events.max_durable): end one with subscriber_delete")
	ErrNoDurable      = errors.New("there is no such durable subscription: subscribers_list lists them")
	ErrDurableClosed  = errors.New("the gateway is going down")
	ErrTakenOver      = errors.New("another connection took the durable subscription over")
	ErrEnded          = errors.New("the durable subscription was ended")
)

var durableName = regexp.MustCompile(`^[A-Za-z0-9_.:/@-]{1,128}$`)

// OpenDurables takes up the subscriptions that the journal has, so that what is published from here on is kept for them.
func OpenDurables(ctx context.Context, hub *Hub, journal Journal, limits Limits, log *slog.Logger) (*Durables, error) {
	ds := &Durables{
		hub: hub, journal: journal, limits: limits, log: log,
		byName: make(map[string]*Durable), work: make(chan struct{}, 1),
	}
	stored, err := journal.Stored(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range stored {
		ds.byName[s.Name] = newDurable(ds, s)
	}
	ds.publish()
	return ds, nil
}

// keepers are the subscriptions as the hub asks them. It is never changed.
type keepers struct {
	durables *Durables
	list     []keeper
}

type keeper struct {
	*Durable
	filter Filter
	names  map[string]bool // its answers for the declared events
}

// publish tells the hub who keeps what. ds.changing is held, or nobody else has ds yet.
func (ds *Durables) publish() {
	ds.mu.Lock()
	set := &keepers{durables: ds}
	for _, d := range ds.byName {
		k := keeper{Durable: d, filter: d.Spec().Filter, names: make(map[string]bool, len(declarations))}
		for _, e := range declarations {
			k.names[e.Name] = k.filter.Match(e.Name)
		}
		set.list = append(set.list, k)
	}
	ds.mu.Unlock()
	ds.hub.mu.Lock() // so that none is published to half of them
	ds.hub.keepers.Store(set)
	ds.hub.mu.Unlock()
}

// takers are those that take an event.
func (set *keepers) takers(e Event) (list []*Durable) {
	if set == nil {
		return nil
	}
	for i := range set.list {
		k := &set.list[i]
		matches, declared := k.names[e.Name()]
		if !declared {
			matches = k.filter.Match(e.Name())
		}
		if matches && k.filter.takesParams(e) {
			list = append(list, k.Durable)
		}
	}
	return list
}

// Any says that there are durable subscriptions.
func (ds *Durables) Any() bool { return len(ds.hub.keepers.Load().list) > 0 }

// Wants says that a durable subscription takes an event: where it is known only within a transaction it is to be noted there.
func (ds *Durables) Wants(e Event) bool { return len(ds.hub.keepers.Load().takers(e)) > 0 }

// PublishNoted publishes an event that was noted in the database when what it tells of was written. The note goes once the event
// is in the journal, so that it is published once, whenever the node ends.
func (ds *Durables) PublishNoted(e Event, note string) { ds.hub.publish(e, note) }

// Put makes a durable subscription, or changes the one of that name: what is published from here on is kept for it.
func (ds *Durables) Put(ctx context.Context, spec Spec) (*Durable, error) {
	if !durableName.MatchString(spec.Name) {
		return nil, fmt.Errorf("%.140q: %w", spec.Name, ErrDurableName)
	}
	ds.changing.Lock()
	defer ds.changing.Unlock()
	ds.mu.Lock()
	d, count, closed := ds.byName[spec.Name], len(ds.byName), ds.closed
	ds.mu.Unlock()
	stored := Stored{Spec: spec}
	switch {
	case closed:
		return nil, ErrDurableClosed
	case d != nil:
		was := d.Spec()
		if was.Owner != spec.Owner {
			return nil, fmt.Errorf("%s: %w", spec.Name, ErrDurableOwner)
		}
		if (was.URL == "") != (spec.URL == "") {
			return nil, fmt.Errorf("%s: %w", spec.Name, ErrDurableKind)
		}
		stored.ID = d.id
		if reflect.DeepEqual(was, spec) {
			return d, nil
		}
	case count >= ds.limits.Subscriptions:
		return nil, ErrTooManyDurable
	}
	id, err := ds.journal.Put(ctx, stored)
	if err != nil {
		return nil, err
	}
	if d == nil {
		stored.ID = id
		d = newDurable(ds, stored)
		ds.mu.Lock()
		ds.byName[spec.Name] = d
		ds.mu.Unlock()
	} else {
		d.change(spec)
	}
	ds.publish()
	return d, nil
}

// Delete ends a durable subscription, disconnects who has it, and drops what waits for it.
func (ds *Durables) Delete(ctx context.Context, name string) error {
	ds.changing.Lock()
	defer ds.changing.Unlock()
	ds.mu.Lock()
	d := ds.byName[name]
	delete(ds.byName, name)
	ds.mu.Unlock()
	if d == nil {
		return fmt.Errorf("%.140q: %w", name, ErrNoDurable)
	}
	ds.publish()
	d.end(ErrEnded)
	written := make(chan error, 1) // what is still queued for it
	ds.journal.Flush(func(err error) { written <- err })
	<-written
	return ds.journal.Delete(ctx, d.id)
}

// Find gives a durable subscription.
func (ds *Durables) Find(name string) (*Durable, bool) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	d, ok := ds.byName[name]
	return d, ok
}

// All are the durable subscriptions, by name.
func (ds *Durables) All() []*Durable {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	list := make([]*Durable, 0, len(ds.byName))
	for _, d := range ds.byName {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b *Durable) int { return strings.Compare(a.name, b.name) })
	return list
}

// Close disconnects everybody, and queues for the last time what could not be written. What waits stays in the journal, and what is
// published is still kept. Run has ended.
func (ds *Durables) Close() {
	ds.mu.Lock()
	ds.closed = true
	ds.mu.Unlock()
	for _, d := range ds.All() {
		d.end(ErrDurableClosed)
	}
	ds.rewrite()
}

func (ds *Durables) signal() {
	select {
	case ds.work <- struct{}{}:
	default:
	}
}

// tidyInterval is how often old events and abandoned subscriptions are looked for.
const tidyInterval = time.Minute

// Run does what is due by time, until ctx ends: it drops what is beyond the limits, ends what has expired, and writes again what
// could not be written.
func (ds *Durables) Run(ctx context.Context) {
	tick := time.NewTicker(tidyInterval)
	defer tick.Stop()
	for {
		due := false
		select {
		case <-ds.work:
		case <-tick.C:
			due = true
		case <-ctx.Done():
			return
		}
		ds.rewrite()
		for _, d := range ds.All() {
			if due && d.over(time.Now()) {
				ds.expire(ctx, d)
				continue
			}
			if due || d.beyond() {
				if err := d.trim(ctx); err != nil && ctx.Err() == nil {
					ds.log.Error("the oldest events of a durable subscription could not be dropped", "subscription", d.name, "error", err)
				}
			}
		}
	}
}

func (ds *Durables) expire(ctx context.Context, d *Durable) {
	if err := ds.Delete(ctx, d.name); err != nil {
		if ctx.Err() == nil {
			ds.log.Error("a durable subscription that expired could not be dropped", "subscription", d.name, "error", err)
		}
		return
	}
	ds.log.Warn("a durable subscription was ended: its time is over, or nobody connected to it for too long", "subscription", d.name)
}
