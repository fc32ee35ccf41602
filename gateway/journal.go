package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"sipsmpp/events"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// Durable subscriptions are told of every change. What an event tells of is on disk no earlier than the event: it is published, and
// with that queued to be written, before its change is. Where it is known only within the transaction of its change, it is noted
// there, and published after the commit, or at the next start. What changes nothing on disk is answered when its events are there.

// EventsConfig is section `events`: what waits for durable subscriptions.
type EventsConfig struct {
	Keep       Duration `yaml:"keep"`        // how long an event waits for one
	MaxEvents  int      `yaml:"max_events"`  // most events that wait for one
	MaxOctets  int64    `yaml:"max_octets"`  // most octets that they hold
	MaxDurable int      `yaml:"max_durable"` // most subscriptions
	Abandoned  Duration `yaml:"abandoned"`   // one that nobody connects to for that long ends
}

func (c *EventsConfig) setDefaults() {
	or(&c.Keep, Duration(7*24*time.Hour))
	or(&c.MaxEvents, 1_000_000)
	or(&c.MaxOctets, 1<<30)
	or(&c.MaxDurable, 100)
	or(&c.Abandoned, Duration(30*24*time.Hour))
}

func (c EventsConfig) check() (faults []sms.Fault) {
	fault := func(path, reason string) { faults = append(faults, sms.Fault{Path: "events." + path, Reason: reason}) }
	if c.Keep < Duration(time.Minute) {
		fault("keep", "a subscriber that restarts would lose events: want a minute or more, such as 168h")
	}
	if c.MaxEvents < 1000 {
		fault("max_events", "want 1000 or more")
	}
	if c.MaxOctets < 1<<20 {
		fault("max_octets", "want 1048576 (1 MiB) or more")
	}
	if c.MaxDurable < 0 {
		fault("max_durable", "is negative")
	}
	if c.Abandoned < Duration(time.Hour) {
		fault("abandoned", "want an hour or more, such as 720h")
	}
	return faults
}

// checkWebhooks names the faults of `mi.webhooks`.
func (c MIConfig) checkWebhooks() (list []sms.Fault) {
	_, faults := ParseWebhookURLs(c.Webhooks)
	for _, i := range slices.Sorted(maps.Keys(faults)) {
		list = append(list, sms.Fault{Path: fmt.Sprintf("mi.webhooks[%d]", i), Reason: faults[i].Error()})
	}
	return list
}

func (c EventsConfig) limits() events.Limits {
	return events.Limits{
		Age: time.Duration(c.Keep), Events: c.MaxEvents, Octets: c.MaxOctets, Subscriptions: c.MaxDurable,
		Abandoned: time.Duration(c.Abandoned),
	}
}

// sequenceStep is how many numbers of events are reserved at a time. After an unclean end those that were not used are skipped.
const sequenceStep = 1_000_000

// openEvents continues the numbers of the events and takes up the durable subscriptions.
func (g *Gateway) openEvents(ctx context.Context) error {
	last, err := g.db.EventSequence(ctx, sequenceStep)
	if err != nil {
		return err
	}
	g.hub.Continue(last, sequenceStep, func(upTo uint64) {
		g.db.ReserveEvents(upTo, func(err error) {
			if err != nil {
				g.log.Error("no more numbers of events could be reserved; after a crash some may come again", "error", err)
			}
		})
	})
	g.durables, err = events.OpenDurables(ctx, g.hub, journal{g.db}, g.config.Events.limits(), g.log)
	return err
}

// publishNoted publishes what was committed before the last end and not published any more.
func (g *Gateway) publishNoted(ctx context.Context) error {
	notes, err := g.db.EventNotes(ctx)
	if err != nil {
		return err
	}
	for _, n := range notes {
		e, err := events.Decode(n.Name, n.Params)
		if err != nil {
			g.log.Error("an event that was noted cannot be read", "note", n.ID, "error", err)
			continue
		}
		g.durables.PublishNoted(e.Event, n.ID.String())
	}
	return nil
}

// closeEvents ends the numbers of the events, so that they go on behind the last at the next start.
func (g *Gateway) closeEvents() {
	g.durables.Close()
	last, reserved := g.hub.Seal()
	g.db.SealEvents(last, reserved, func(err error) {
		if err != nil && !errors.Is(err, store.ErrClosed) { // Close was called before
			g.log.Error("the number of the last event could not be written; after the next start they skip some", "error", err)
		}
	})
}

// Durables are the durable subscriptions.
func (g *Gateway) Durables() *events.Durables { return g.durables }

// tell publishes an event of a message, and remembers where a durable subscription takes it.
func (p *passage) tell(e events.Event) {
	if p.g.hub.Publish(e) {
		p.kept = true
	}
}

// settle answers a message that has no record: what durable subscriptions take of its events is written first.
func (p *passage) settle(o sms.Outcome) {
	if !p.kept {
		p.answer(o)
		return
	}
	p.g.durables.Flush(func(err error) { p.answer(p.told(o, err)) })
}

// told gives the outcome of a message whose events, or the record behind them, were written or not. Where nobody has it but by its
// events, one that could not be written is none that was taken; any other is out of the door.
func (p *passage) told(o sms.Outcome, err error) sms.Outcome {
	if err == nil || !p.kept || o.Egress.Kind != sms.LegApp || o.Fate != sms.Accepted {
		return o
	}
	return sms.Failed(sms.Temporary, sms.CauseQueueFull, "the events for the applications cannot be written")
}

// note gives what is to be written with a report for the event that will tell of it, if a durable subscription takes that.
func (r *reports) note(m *recorded, now store.MessageReport) *store.EventNote {
	if !m.hears(now) {
		return nil
	}
	e := report(m, now)
	if !r.durables.Wants(e) {
		return nil
	}
	params, err := json.Marshal(e)
	if err != nil {
		return nil // no value in it can fail
	}
	return &store.EventNote{ID: r.relay.ids.Next(), Name: e.Name(), Params: params}
}

// measureDurables reads how the durable subscriptions stand.
func (g *Gateway) measureDurables(r *readings) {
	for _, d := range g.durables.All() {
		waiting, connected := d.Standing()
		r.add(durableWaiting, uint64(waiting), d.Name())
		r.flag(durableConnected, connected, d.Name())
		r.add(durableStalled, uint64(d.Stalled().Seconds()), d.Name())
	}
	r.add(eventsUnwritten, uint64(g.durables.Unwritten()))
}

// journal is the database as package events wants it.
type journal struct{ db *store.DB }

func (j journal) Append(k *events.Journalled, done func(error)) {
	e := &store.QueuedEvent{Subscriptions: k.Subscriptions(), Seq: k.Seq, Created: k.Time, Event: k.JSON}
	if k.Note != "" {
		e.Note, _ = sms.ParseID(k.Note) // it was made of one
	}
	j.db.QueueEvent(e, func(err error) {
		if err != nil && store.IsRowFault(err) {
			err = fmt.Errorf("%w: %w", events.ErrUnkeepable, err)
		}
		done(err)
	})
}

func (j journal) Acknowledge(id int64, upTo uint64, done func(n int, err error)) {
	j.db.AckEvents(id, upTo, done)
}

func (j journal) Flush(done func(error)) { j.db.Flush(done) }

func (j journal) Read(ctx context.Context, id int64, after uint64, limit int) ([]events.Entry, error) {
	rows, err := j.db.ReadEvents(ctx, id, after, limit)
	if err != nil {
		return nil, err
	}
	entries := make([]events.Entry, len(rows))
	for i, r := range rows {
		entries[i] = events.Entry{Seq: r.Seq, Time: r.Created, JSON: r.Event}
	}
	return entries, nil
}

func (j journal) Trim(ctx context.Context, id int64, cut func([]events.Waiting) events.Cut) (events.Cut, error) {
	var c events.Cut
	_, err := j.db.TrimEvents(ctx, id, func(oldest []store.WaitingEvent) store.EventCut {
		list := make([]events.Waiting, len(oldest))
		for i, w := range oldest {
			list[i] = events.Waiting{Seq: w.Seq, Time: w.Created, JSON: w.Event}
		}
		c = cut(list)
		return store.EventCut{UpTo: c.UpTo, Count: c.Count, InPlace: c.Loss, Created: c.Time}
	})
	if err != nil {
		return events.Cut{}, err
	}
	return c, nil
}

func (j journal) Oldest(ctx context.Context, id int64) (time.Time, error) {
	return j.db.OldestEvent(ctx, id)
}

func (j journal) Stored(ctx context.Context) ([]events.Stored, error) {
	rows, err := j.db.EventSubscriptions(ctx)
	if err != nil {
		return nil, err
	}
	var errs []error
	list := make([]events.Stored, len(rows))
	for i, r := range rows {
		list[i] = events.Stored{
			ID: r.ID, Last: r.Last, Count: r.Count, Octets: r.Octets,
			Spec: events.Spec{Name: r.Name, Owner: r.Owner, URL: r.URL, Secret: r.Secret, Expires: r.Expires},
		}
		if err := list[i].Filter.UnmarshalText([]byte(r.Filter)); err != nil {
			errs = append(errs, fmt.Errorf("db: event_subscription[name=%s].filter: %w", r.Name, err))
		}
	}
	return list, errors.Join(errs...)
}

func (j journal) Put(ctx context.Context, s events.Stored) (int64, error) {
	filter, err := s.Filter.MarshalText()
	if err != nil {
		return 0, err
	}
	return j.db.PutEventSubscription(ctx, store.EventSubscription{
		ID: s.ID, Name: s.Name, Owner: s.Owner, Filter: string(filter), URL: s.URL, Secret: s.Secret, Expires: s.Expires,
	})
}

func (j journal) Delete(ctx context.Context, id int64) error {
	return j.db.DeleteEventSubscription(ctx, id)
}
