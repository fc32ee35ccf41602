package gateway

import (
	"bytes"
	"errors"
	"sync"

	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// ErrKeyTaken says that an idempotency key names another message.
var ErrKeyTaken = errors.New("this idempotency_key was given with another message: a key names one message; give each its own")

// maxOnce bounds the messages with an idempotency key that are under way.
const maxOnce = 50_000

// Once is what became of a message with an idempotency key.
type Once struct {
	ID      sms.ID // of the message that came first with the key
	Outcome sms.Outcome
	Record  *store.Record // that message's record, where it came before; Outcome says nothing then
	Err     error         // ErrKeyTaken
}

// onces holds the messages with an idempotency key that are under way, so that a second one waits for the first. What was done
// before is in the records. Its zero value is ready.
type onces struct {
	mu   sync.Mutex
	open map[onceKey]*once
}

type onceKey struct {
	ingress sms.Leg
	key     string
}

// once is a message under way, and who wants to know what becomes of it.
type once struct {
	m       *sms.Message
	waiting []func(Once)
	held    bool  // its record could not be written yet
	result  *Once // what became of it, though it is held
}

// AcceptOnce is Accept for a message with an idempotency key. The message that came first with the key, by the same ingress, is the one
// that goes out; done is called for each later one with what became of that, for as long as its record is kept. A message that no
// target took, and that does not wait for one, frees its key: to send it again is to try again.
func (g *Gateway) AcceptOnce(m *sms.Message, done func(Once)) {
	key := onceKey{m.Ingress, m.IdempotencyKey}
	o := &g.onces
	o.mu.Lock()
	if first := o.open[key]; first != nil {
		same, result := sameMessage(first.m, m), first.result
		if same && result == nil {
			first.waiting = append(first.waiting, done)
		}
		o.mu.Unlock()
		switch {
		case !same:
			done(Once{Err: ErrKeyTaken})
		case result != nil:
			done(*result)
		}
		return
	}
	if len(o.open) >= maxOnce {
		o.mu.Unlock()
		done(Once{Outcome: sms.Failed(sms.Temporary, sms.CauseQueueFull, "too many messages with an idempotency_key are under way")})
		return
	}
	if o.open == nil {
		o.open = make(map[onceKey]*once)
	}
	o.open[key] = &once{m: m, waiting: []func(Once){done}}
	o.mu.Unlock()

	g.db.FindKey(m.Ingress, m.IdempotencyKey, func(r *store.Record, err error) {
		switch {
		case errors.Is(err, store.ErrNotFound):
			g.Accept(m, func(result sms.Outcome) { o.ended(key, Once{ID: m.ID, Outcome: result}) })
		case err != nil:
			o.ended(key, Once{Outcome: sms.Failed(sms.Temporary, sms.CauseStore, "whether it came before could not be looked up")})
		case !sameMessage(r.Message, m):
			o.ended(key, Once{Err: ErrKeyTaken})
		default:
			o.ended(key, Once{ID: r.Message.ID, Record: r})
		}
	})
}

// ended tells all who wait.
func (o *onces) ended(key onceKey, result Once) {
	o.mu.Lock()
	it := o.open[key]
	waiting := it.waiting
	if it.held {
		it.waiting, it.result = nil, &result
	} else {
		delete(o.open, key)
	}
	o.mu.Unlock()
	for _, done := range waiting {
		done(result)
	}
}

// hold keeps the key of a message taken until free is called: while its record is not written, nothing else knows the key.
func (o *onces) hold(m *sms.Message) (free func()) {
	key := onceKey{m.Ingress, m.IdempotencyKey}
	o.mu.Lock()
	defer o.mu.Unlock()
	it := o.open[key]
	if it == nil || it.m.ID != m.ID {
		return func() {} // it has none, or is in the database since it was deferred
	}
	it.held = true
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if it.held = false; it.result != nil {
			delete(o.open, key)
		}
	}
}

// sameMessage says whether a message that has the key of another is the same. What the record of the other left out cannot tell.
func sameMessage(first, m *sms.Message) bool {
	if first.From != m.From || first.To != m.To {
		return false
	}
	if first.Text == "" && first.Data == nil {
		return true // records.text: false
	}
	return first.Text == m.Text && bytes.Equal(first.Data, m.Data)
}
