package link

import (
	"context"
	"errors"
	"sync"
	"time"

	"sipsmpp/clients"
	"sipsmpp/examples/httpapi/store"
	"sipsmpp/mi"
)

const (
	pageOfDue    = 200
	writeTimeout = 30 * time.Second
)

// lease is how long one process has for a message before another attempt may be made: longer than a call takes.
func (l *Link) lease() time.Duration { return l.options.CallTimeout*3/2 + time.Second }

// submit hands to the gateway what is queued.
func (l *Link) submit(ctx context.Context) {
	slots := make(chan struct{}, l.options.Parallel)
	var running sync.WaitGroup
	defer running.Wait()
	for {
		due, err := l.db.Due(ctx, store.Queued, pageOfDue, l.lease())
		if err != nil && ctx.Err() == nil {
			l.log.Error("what is queued cannot be read", "error", err)
		}
		for _, m := range due {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return // its lease ends, and it is tried again
			}
			running.Go(func() {
				defer func() { <-slots }()
				l.hand(context.WithoutCancel(ctx), &m)
			})
		}
		if len(due) == pageOfDue {
			continue
		}
		select {
		case <-l.kick:
		case <-time.After(l.options.Poll):
		case <-ctx.Done():
			return
		}
	}
}

// hand hands one message over and writes down what came of it. It is not broken off when the application ends: an answer that is
// not read would only be asked for again.
func (l *Link) hand(ctx context.Context, m *store.Message) {
	ctx, cancel := context.WithTimeout(ctx, l.options.CallTimeout)
	defer cancel()
	params, err := m.MI()
	var result mi.MessageSendResult
	if err == nil {
		result, err = l.gateway.MessageSend(ctx, params)
	}
	if err := l.settle(context.WithoutCancel(ctx), m, result, err); err != nil {
		l.log.Error("what became of a message cannot be written down; it is tried again", "message", m.ID, "error", err)
	}
}

func (l *Link) settle(ctx context.Context, m *store.Message, result mi.MessageSendResult, err error) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	switch refusal := new(mi.Error); {
	case err == nil:
		ask := l.options.AskEvery
		if result.State != "sent" && result.State != "deferred" { // it came a second time, and its report may have come before
			ask = 0
		}
		return l.db.Took(ctx, m.ID, result.ID, ask)
	case !errors.As(err, &refusal), mi.IsTemporary(err), errors.Is(err, mi.ErrFailed), isOurs(err):
		// It is tried again, without harm even where it was sent: the gateway knows it by its key.
		if isOurs(err) {
			l.log.Error("the gateway does not let us in: look at gateway_token, and at its role and limits", "error", err)
		}
		if age := time.Since(store.Time(m.SendAt)); age < l.options.GiveUp && !expired(m, age) {
			return l.db.Later(ctx, m.ID, backoff(m.Attempts), err.Error())
		}
		l.log.Warn("a message is given up", "message", m.ID, "attempts", m.Attempts, "error", err)
		_, err := l.db.End(ctx, m.ID, store.Ending{State: store.Expired, Reason: "no way to send it was found in time", Refund: true})
		return err
	default:
		reason := refusal.Message
		if failure, ok := clients.Details[mi.SendFailure](err); ok {
			reason = failure.Reason
		}
		_, err := l.db.End(ctx, m.ID, store.Ending{State: store.Rejected, Reason: reason, Refund: true})
		return err
	}
}

// expired says that the message's own validity is over.
func expired(m *store.Message, age time.Duration) bool {
	p, err := m.MI()
	return err == nil && p.Validity > 0 && age > time.Duration(p.Validity)*time.Second
}
