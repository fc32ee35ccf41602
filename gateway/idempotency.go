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
}

// AcceptOnce is Accept for a message with an idempotency key. The message that came first with the key, by the same ingress, is the one
// that goes out; done is called for each later one with what became of that, for as long as its record is kept. A message that no
// target took, and that does not wait for one, frees its key: to send it again is to try again.
func (g *Gateway) AcceptOnce(m *sms.Message, done func(Once)) {
	key := onceKey{m.Ingress, m.IdempotencyKey}
	o := &g.onces
	o.mu.Lock()
	if first := o.open[key]; first != nil {
		same := sameMessage(first.m, m)
		if same {
			first.waiting = append(first.waiting, done)
		}
		o.mu.Unlock()
		if !same {
			done(Once{Err: ErrKeyTaken})
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
	waiting := o.open[key].waiting
	delete(o.open, key)
	o.mu.Unlock()
	for _, done := range waiting {
		done(result)
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
