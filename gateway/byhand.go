package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sipsmpp/gateway/smpp"
	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// What operators do to deferred messages by hand, and accounts by cancel_sm and replace_sm.

var (
	// ErrNotDeferred says that a message does not wait any more.
	ErrNotDeferred = errors.New("the message is not deferred: message_show says what became of it")
	// ErrBeingTried says that nothing can be done to a message at this moment.
	ErrBeingTried = errors.New("the message is being tried at this moment: look again")
	// ErrTargetDown says that there is nobody to try a message with.
	ErrTargetDown = errors.New("nobody is there to take the message now: it is tried as soon as there is")
)

// grabTime is how long the end of an attempt is waited for.
const grabTime = 2 * time.Second

// grab takes a deferred message out of the scheduler's reach, with its record. Whoever has it ends its wait, or lets go of it.
func (k *keeper) grab(ctx context.Context, id sms.ID) (*flight, *store.Record, error) {
	for patience := time.Now().Add(grabTime); !k.catch(id); {
		if time.Now().After(patience) || ctx.Err() != nil {
			return nil, nil, ErrBeingTried
		}
		time.Sleep(20 * time.Millisecond)
	}
	r, err := k.g.Message(ctx, id)
	if err == nil && r.Deferral == nil {
		err = ErrNotDeferred
	}
	if err != nil {
		k.letGo(id)
		return nil, nil, err
	}
	return k.loose(*r.Deferral), r, nil
}

// catch is false where the message is on its way.
func (k *keeper) catch(id sms.ID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, flying := k.flying[id]; flying {
		return false
	}
	k.flying[id] = struct{}{}
	return true
}

func (k *keeper) letGo(id sms.ID) {
	k.mu.Lock()
	delete(k.flying, id)
	k.mu.Unlock()
}

// RetryMessage makes a deferred message due now, also one that is held. One that waits behind others makes the oldest of those due.
// ErrUnknownMessage, ErrNotDeferred, ErrBeingTried, and ErrTargetDown where it is due and must wait nevertheless.
func (g *Gateway) RetryMessage(ctx context.Context, id sms.ID) error {
	k := g.keeper
	f, r, err := k.grab(ctx, id)
	if err != nil {
		return err
	}
	p := k.passage(r, f)
	d := f.deferral
	if d.Waiting == store.WaitingBehind {
		k.letGo(id)
	} else {
		d.Waiting, d.Next = store.WaitingTime, time.Now()
		if d.Queue == 0 { // it was held: from here on it has its place among those to its recipient again
			d.Queue = queueOf(d.Target, p.out.To)
		}
		written := make(chan struct{})
		k.delay(f, d, func() { close(written) })
		select {
		case <-written:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if !k.anyReady(p.route.Targets) {
		return fmt.Errorf("%s: %w", targetOf(p.route.Targets), ErrTargetDown)
	}
	k.mu.Lock()
	k.asked[d.Queue] = k.backlog(d.Target)
	k.mu.Unlock()
	k.signal()
	return nil
}

// CancelMessage ends the wait of a deferred message: it is not tried any more, and its sender hears that it was deleted, if that is
// wanted. ErrUnknownMessage, ErrNotDeferred, ErrBeingTried.
func (g *Gateway) CancelMessage(ctx context.Context, id sms.ID) error {
	f, r, err := g.keeper.grab(ctx, id)
	if err != nil {
		return err
	}
	return g.keeper.cancel(ctx, f, r)
}

func (k *keeper) cancel(ctx context.Context, f *flight, r *store.Record) error {
	written := make(chan struct{})
	o := sms.Failed(sms.Permanent, sms.CauseCancelled, "")
	k.failAs(k.passage(r, f), o, sms.StateDeleted, func() { close(written) })
	select {
	case <-written:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// deferredOf gives the deferred message of an account by id, taken out of the scheduler's reach. source is its sender; zero: any.
func (k *keeper) deferredOf(ctx context.Context, account string, id sms.ID, source sms.Address) (*flight, *store.Record, error) {
	f, r, err := k.grab(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	if r.Message.Ingress != sms.Account(account) || !source.IsZero() && source.Value != r.Message.From.Value {
		k.letGo(id)
		return nil, nil, ErrUnknownMessage
	}
	return f, r, nil
}

// DeferredFor says how many messages wait for a leg, by it alone or by others as well.
func (g *Gateway) DeferredFor(leg sms.Leg) (count int) {
	k, name := g.keeper, leg.String()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, b := range k.backlogs {
		if b.has(name) {
			count += b.count
		}
	}
	return count
}

// Cancel takes a message back that is deferred. What a next hop has cannot be had back.
func (h fromAccounts) Cancel(account string, q smpp.MessageQuery, answer func(wire.Status)) {
	h.toDeferred(account, q, wire.StatusCancelFailed, answer, h.g.keeper.cancel)
}

// Replace changes what a message says that is deferred. One that came in several parts cannot be changed by one.
func (h fromAccounts) Replace(account string, q smpp.MessageQuery, p smpp.Replacement, answer func(wire.Status)) {
	h.toDeferred(account, q, wire.StatusReplaceFailed, answer, func(ctx context.Context, f *flight, r *store.Record) error {
		return h.g.keeper.replace(ctx, f, r, p)
	})
}

// toDeferred does something to a deferred message of an account.
func (h fromAccounts) toDeferred(
	account string, q smpp.MessageQuery, failed wire.Status, answer func(wire.Status), do func(context.Context, *flight, *store.Record) error,
) {
	id, err := sms.ParseID(q.ID)
	if err != nil {
		answer(wire.StatusInvalidMessageID)
		return
	}
	looking := h.look(func(ctx context.Context) {
		f, r, err := h.g.keeper.deferredOf(ctx, account, id, q.Source)
		if err == nil {
			err = do(ctx, f, r)
		}
		if err != nil {
			answer(failed)
			return
		}
		answer(wire.StatusOK)
	})
	if !looking {
		answer(wire.StatusThrottled)
	}
}

// errNotWhole says that a message cannot be replaced.
var errNotWhole = errors.New("the message came in several parts")

func (k *keeper) replace(ctx context.Context, f *flight, r *store.Record, p smpp.Replacement) error {
	if r.Message.Segments > 1 {
		k.letGo(r.Message.ID)
		return errNotWhole
	}
	m := *r.Message
	m.Text, m.Data = p.Decode(m.DataCoding)
	if m.Receipt, m.Wanted = p.Receipt, nil; p.Receipt != sms.ReceiptNone {
		m.Wanted = []sms.WantedReceipt{{ID: m.ID, Receipt: p.Receipt}}
	}
	if !p.Expires.IsZero() {
		m.Expires = p.Expires
	}
	r.Message = &m
	d := f.deferral
	d.GiveUp, d.Octets = k.until(k.passage(r, f).out), octetsOf(&m)
	r.Deferral = &d
	written := make(chan error, 1)
	k.db.Replace(r, func(err error) {
		if err == nil {
			k.mu.Lock()
			f.backlog.octets += int64(d.Octets - f.deferral.Octets)
			k.mu.Unlock()
		}
		k.letGo(m.ID)
		written <- err
	})
	select {
	case err := <-written:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
