package link

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"sipsmpp/events"
	"sipsmpp/examples/httpapi/store"
	"sipsmpp/mi"
)

// wanted are the events that say something of messages of ours.
const wanted = "E_MESSAGE_SENT,E_MESSAGE_REPORT,E_MESSAGE_RECEIVED"

const (
	maxGather   = 200                  // events in one transaction
	gatherDelay = 5 * time.Millisecond // which more may come to share
	retryFollow = 3 * time.Second      // after a refusal
)

// follow writes down what the gateway tells.
func (l *Link) follow(ctx context.Context) {
	for {
		if err := l.followOnce(ctx); err != nil && ctx.Err() == nil {
			l.log.Error("the gateway's events do not come; it is tried again", "error", err)
		}
		if !sleep(ctx, retryFollow) {
			return
		}
	}
}

func (l *Link) followOnce(ctx context.Context) error {
	after, err := l.db.Followed(ctx, l.options.Subscription)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	subscription := l.gateway.Follow(l.options.Subscription, wanted, after)
	came := make(chan events.Notification, maxGather)
	ended := make(chan error, 1)
	go func() {
		defer close(came)
		for n, err := range subscription.Events(ctx) {
			if err != nil {
				ended <- err
				return
			}
			select {
			case came <- n:
			case <-ctx.Done():
				ended <- nil
				return
			}
		}
		ended <- nil
	}()
	for {
		batch := gather(came)
		if len(batch) == 0 {
			return <-ended
		}
		last := batch[len(batch)-1].Seq
		err := l.db.Write(ctx, func(ctx context.Context, tx store.Tx) error {
			for _, n := range batch {
				if err := l.apply(ctx, tx, n); err != nil {
					return err
				}
			}
			return tx.SetFollowed(ctx, l.options.Subscription, last)
		})
		if err != nil {
			stop()
			for range came { // until the reader has gone
			}
			return errors.Join(err, <-ended)
		}
		subscription.Ack(last)
	}
}

// gather waits for an event, and takes those that come with it. It is empty at the end.
func gather(came <-chan events.Notification) (batch []events.Notification) {
	n, ok := <-came
	if !ok {
		return nil
	}
	batch = append(batch, n)
	late := time.NewTimer(gatherDelay)
	defer late.Stop()
	for len(batch) < maxGather {
		select {
		case n, ok := <-came:
			if !ok {
				return batch
			}
			batch = append(batch, n)
		case <-late.C:
			return batch
		}
	}
	return batch
}

// apply writes down what one event says.
func (l *Link) apply(ctx context.Context, tx store.Tx, n events.Notification) error {
	switch e := n.Event.(type) {
	case events.MessageReport:
		if state, final := endState(e.State); final {
			_, err := tx.End(ctx, e.Ref, l.ending(state, e.Error, e.SMSCIDs, time.Time(e.DoneTime)))
			return err
		}
		return tx.Progress(ctx, e.Ref, store.EventBuffered, e.SMSCIDs)
	case events.MessageSent:
		if e.Egress == "app" { // an application has it: one customer wrote to another's number, and nobody reports
			_, err := tx.End(ctx, e.Ref, l.ending(store.Delivered, "", nil, n.Time))
			return err
		}
		return tx.Progress(ctx, e.Ref, store.EventSent, e.SMSCIDs)
	case events.MessageReceived:
		if e.Awaits != "" {
			return nil // it is not decided that it comes to us
		}
		_, err := tx.Receive(ctx, store.Incoming{ID: e.ID, Sender: e.From, Recipient: e.To, Body: e.Text, Data: hex.EncodeToString(e.Data),
			Received: n.Time.UnixMilli()})
		return err
	case events.EventsLost:
		l.log.Error("the gateway dropped events before they were read: incoming messages may be missing; reports are asked for", "count", e.Count)
		return tx.AskAll(ctx)
	}
	return nil
}

// ending is the end of a message that the gateway sent.
func (l *Link) ending(state store.State, reason string, smscIDs []string, done time.Time) store.Ending {
	return store.Ending{State: state, Reason: reason, SMSCIDs: smscIDs, Done: done, Left: true, Refund: l.options.RefundUndelivered && state.Failed()}
}

// endState is the state in which a message ends, by that of its report; some say only that it is under way.
func endState(report string) (store.State, bool) {
	switch report {
	case "accepted", "enroute":
		return store.Submitted, false
	case "delivered", "undeliverable", "expired", "rejected", "deleted":
		return store.State(report), true
	}
	return store.Unknown, true
}

// ask asks the gateway what became of messages whose report is late, and ends those that nothing is heard of.
func (l *Link) ask(ctx context.Context) {
	for sleep(ctx, 4*l.options.Poll) {
		due, err := l.db.Due(ctx, store.Submitted, pageOfDue, l.lease())
		if err != nil && ctx.Err() == nil {
			l.log.Error("messages that were sent cannot be read", "error", err)
		}
		for _, m := range due {
			if err := l.askFor(ctx, &m); err != nil && ctx.Err() == nil {
				l.log.Warn("what became of a message is not known", "message", m.ID, "error", err)
			}
		}
	}
}

func (l *Link) askFor(ctx context.Context, m *store.Message) error {
	shown, err := l.gateway.MessageShow(ctx, mi.MessageShowParams{ID: m.GatewayID})
	if err == nil && shown.Report != nil {
		if state, final := endState(shown.Report.State); final {
			var ids []string
			for _, s := range shown.Segments {
				ids = append(ids, s.SMSCID)
			}
			_, err := l.db.End(ctx, m.ID, l.ending(state, shown.Report.Error, ids, time.Time(shown.Report.DoneTime)))
			return err
		}
	}
	if err == nil && shown.State == "failed" && shown.Report == nil { // nothing was sent: there is nothing to wait for
		_, err := l.db.End(ctx, m.ID, store.Ending{State: store.Rejected, Refund: true})
		return err
	}
	if err != nil && !errors.Is(err, mi.ErrNotFound) {
		return errors.Join(err, l.db.Later(ctx, m.ID, backoff(7), ""))
	}
	if time.Since(store.Time(m.Sent)) > l.options.ReportWait {
		_, err := l.db.End(ctx, m.ID, l.ending(store.Unknown, "no report came", nil, time.Time{}))
		return err
	}
	return l.db.Later(ctx, m.ID, l.options.AskEvery, "")
}
