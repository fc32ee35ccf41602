package link_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sipsmpp/events"
	"sipsmpp/examples/httpapi/link"
	"sipsmpp/examples/httpapi/store"
	"sipsmpp/examples/httpapi/storetest"
	"sipsmpp/mi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gateway is a scripted one.
type gateway struct {
	mu      sync.Mutex
	send    func(mi.MessageSendParams) (mi.MessageSendResult, error)
	shown   map[string]mi.Message
	calls   []mi.MessageSendParams
	feed    chan events.Notification
	acked   []uint64
	after   []uint64
	refused error // of the subscription
}

func newGateway() *gateway {
	return &gateway{feed: make(chan events.Notification, 100), shown: make(map[string]mi.Message)}
}

func (g *gateway) MessageSend(_ context.Context, p mi.MessageSendParams) (mi.MessageSendResult, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls = append(g.calls, p)
	if g.send != nil {
		return g.send(p)
	}
	return mi.MessageSendResult{ID: "gw-" + p.Ref[20:], State: "sent"}, nil
}

func (g *gateway) MessageShow(_ context.Context, p mi.MessageShowParams) (mi.Message, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m, ok := g.shown[p.ID]
	if !ok {
		return m, mi.NewError(mi.CodeNotFound, "no such message", nil)
	}
	return m, nil
}

func (g *gateway) Follow(_, _ string, after uint64) link.Subscription {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.after = append(g.after, after)
	return g
}

func (g *gateway) Events(ctx context.Context) iter.Seq2[events.Notification, error] {
	return func(yield func(events.Notification, error) bool) {
		g.mu.Lock()
		refused := g.refused
		g.refused = nil
		g.mu.Unlock()
		if refused != nil {
			yield(events.Notification{}, refused)
			return
		}
		for {
			select {
			case n := <-g.feed:
				if !yield(n, nil) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

func (g *gateway) Ack(seq uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.acked = append(g.acked, seq)
}

func (g *gateway) lastAck() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.acked) == 0 {
		return 0
	}
	return g.acked[len(g.acked)-1]
}

type rig struct {
	*testing.T
	db       *store.DB
	gateway  *gateway
	customer store.Customer
}

func newRig(t *testing.T) *rig {
	db := storetest.Open(t)
	if _, err := db.AddCustomer(t.Context(), store.Customer{Name: "acme", Balance: 10_000_000, WebhookURL: "http://127.0.0.1:1/"}); err != nil {
		t.Fatal(err)
	}
	c, err := db.CustomerByName(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t, db, newGateway(), c}
}

func (r *rig) run(o link.Options) (stop func()) {
	o.Poll = 2 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		link.New(r.db, r.gateway, slog.New(slog.DiscardHandler), o).Run(ctx)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-ended
	})
	r.Cleanup(stop)
	return stop
}

func (r *rig) queue(to string, change func(*store.Message)) string {
	r.Helper()
	params, _ := json.Marshal(mi.MessageSendParams{Text: "hi"})
	m := store.Message{Sender: "100", Recipient: to, Params: string(params), Segments: 1, Price: 1_000_000}
	if change != nil {
		change(&m)
	}
	var id string
	if _, _, err := r.db.Accept(r.Context(), store.Request{Customer: r.customer, Messages: []store.Message{m}, Answer: func(m []store.Message) ([]byte, error) {
		id = m[0].ID
		return nil, nil
	}}); err != nil {
		r.Fatal(err)
	}
	return id
}

func (r *rig) message(id string) store.Message {
	r.Helper()
	m, err := r.db.Message(r.Context(), r.customer.ID, id)
	if err != nil {
		r.Fatal(err)
	}
	return m
}

func (r *rig) reports() int {
	r.Helper()
	list, err := r.db.Hooks(r.Context(), "", store.HookPending, "", 1000)
	if err != nil {
		r.Fatal(err)
	}
	return len(list)
}

func (r *rig) becomes(id string, want store.State) store.Message {
	r.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		m := r.message(id)
		if m.State == want {
			return m
		}
		if time.Now().After(deadline) {
			r.Fatalf("it is %s, want %s: %+v", m.State, want, m)
		}
	}
}

func event(seq uint64, e events.Event) events.Notification {
	return events.Notification{Seq: seq, Time: time.Unix(1_700_000_000, 0), Node: "gw", Event: e}
}

func TestSendAndReport(t *testing.T) {
	r := newRig(t)
	r.run(link.Options{})
	id := r.queue("+491", nil)
	m := r.becomes(id, store.Submitted)
	if p := r.gateway.calls[0]; p.From != "100" || p.To != "+491" || p.Text != "hi" || p.IdempotencyKey != id || p.Ref != id || p.Receipt != mi.ReceiptFinal || m.GatewayID == "" {
		t.Errorf("sent %+v, stored %+v", p, m)
	}
	r.gateway.feed <- event(5, events.MessageReport{Ref: id, State: "enroute"})
	r.gateway.feed <- event(6, events.MessageReport{Ref: "somebody else's", State: "delivered"})
	r.gateway.feed <- event(7, events.MessageReport{Ref: id, State: "delivered", SMSCIDs: []string{"9"}})
	r.gateway.feed <- event(8, events.MessageReport{Ref: id, State: "expired"}) // too late
	if m := r.becomes(id, store.Delivered); m.SMSCIDs != "9" {
		t.Errorf("got %+v", m)
	}
	for r.gateway.lastAck() != 8 {
		time.Sleep(time.Millisecond)
	}
	if seq, err := r.db.Followed(t.Context(), "httpapi"); err != nil || seq != 8 || r.reports() != 1 {
		t.Errorf("followed to %d, %v; %d reports", seq, err, r.reports())
	}
}

// What is refused for now, or has no answer, is sent again under the same key; what is refused for good ends.
func TestRefusals(t *testing.T) {
	r := newRig(t)
	failures := []error{errors.New("connection reset"), mi.NewError(mi.CodeNotNow, "not now", mi.SendFailure{Fate: "unknown"}), mi.NewError(mi.CodeForbidden, "your token may not", nil)}
	r.gateway.send = func(p mi.MessageSendParams) (mi.MessageSendResult, error) {
		switch {
		case p.To == "+492":
			return mi.MessageSendResult{}, mi.NewError(mi.CodeForbidden, "refused", mi.SendFailure{Fate: "refused", Reason: "no such subscriber"})
		case len(failures) > 0:
			err := failures[0]
			failures = failures[1:]
			return mi.MessageSendResult{}, err
		}
		return mi.MessageSendResult{ID: "gw1"}, nil
	}
	r.run(link.Options{})
	patient, refused := r.queue("+491", nil), r.queue("+492", nil)
	if m := r.becomes(refused, store.Rejected); m.Reason != "no such subscriber" || !m.Refunded {
		t.Errorf("got %+v", m)
	}
	r.becomes(patient, store.Submitted)
	for _, p := range r.gateway.calls {
		if p.To == "+491" && p.IdempotencyKey != patient {
			t.Errorf("another key: %+v", p)
		}
	}
	if r.reports() != 1 {
		t.Errorf("%d reports", r.reports())
	}
}

func TestGiveUp(t *testing.T) {
	r := newRig(t)
	r.gateway.send = func(mi.MessageSendParams) (mi.MessageSendResult, error) {
		return mi.MessageSendResult{}, errors.New("nobody is there")
	}
	id := r.queue("+491", nil)
	r.run(link.Options{GiveUp: time.Nanosecond})
	if m := r.becomes(id, store.Expired); !m.Refunded || r.reports() != 1 {
		t.Errorf("got %+v, %d reports", m, r.reports())
	}
}

// A report that did not come is asked for, and a message that nothing is heard of ends as unknown.
func TestAsk(t *testing.T) {
	r := newRig(t)
	known, unknown := r.queue("+491", nil), r.queue("+492", nil)
	r.gateway.shown["gw-"+known[20:]] = mi.Message{Report: &mi.Report{State: "undeliverable", Error: "027"}, Segments: []mi.Segment{{SMSCID: "5"}}}
	r.run(link.Options{AskEvery: time.Millisecond, ReportWait: 20 * time.Millisecond, RefundUndelivered: true})
	if m := r.becomes(known, store.Undeliverable); m.Reason != "027" || m.SMSCIDs != "5" || !m.Refunded {
		t.Errorf("got %+v", m)
	}
	if m := r.becomes(unknown, store.Unknown); m.Refunded {
		t.Errorf("got %+v", m)
	}
}

// Where events were lost, what became of messages is asked for at once.
func TestLost(t *testing.T) {
	r := newRig(t)
	r.run(link.Options{})
	id := r.queue("+491", nil)
	m := r.becomes(id, store.Submitted)
	r.gateway.mu.Lock()
	r.gateway.shown[m.GatewayID] = mi.Message{Report: &mi.Report{State: "delivered"}}
	r.gateway.mu.Unlock()
	r.gateway.feed <- event(9, events.EventsLost{Count: 3})
	r.becomes(id, store.Delivered)
}

func TestIncoming(t *testing.T) {
	r := newRig(t)
	if err := r.db.SetNumber(t.Context(), r.customer.ID, "+4930"); err != nil {
		t.Fatal(err)
	}
	stop := r.run(link.Options{})
	for seq, e := range []events.MessageReceived{
		{ID: "a", From: "+491", To: "+4930", Text: "for us"},
		{ID: "b", From: "+491", To: "+4931", Text: "for nobody"},
		{ID: "c", From: "+491", To: "+4930", Text: "not decided", Awaits: "decision"},
		{ID: "a", From: "+491", To: "+4930", Text: "for us"}, // again
		{ID: "d", From: "+491", To: "+4930", Data: events.Hex{1, 2}},
	} {
		r.gateway.feed <- event(uint64(seq+1), e)
	}
	for r.gateway.lastAck() != 5 {
		time.Sleep(time.Millisecond)
	}
	list, err := r.db.IncomingPage(t.Context(), r.customer.ID, "", 10)
	if err != nil || len(list) != 2 || list[0].ID != "d" || list[0].Data != "0102" || list[1].Body != "for us" || r.reports() != 2 {
		t.Errorf("got %+v, %v", list, err)
	}
	stop()
	r.run(link.Options{}) // it goes on behind what is done
	for {
		r.gateway.mu.Lock()
		after := fmt.Sprint(r.gateway.after)
		r.gateway.mu.Unlock()
		if after == "[0 5]" {
			break
		}
		time.Sleep(time.Millisecond)
	}
}

// A crash between the gateway's answer and the database makes a second call with the same key, never a second message.
func TestCrashBeforeAnswer(t *testing.T) {
	r := newRig(t)
	id := r.queue("+491", nil)
	if due, err := r.db.Due(t.Context(), store.Queued, 10, time.Millisecond); err != nil || len(due) != 1 { // and then the process dies
		t.Fatalf("%+v, %v", due, err)
	}
	r.run(link.Options{})
	if m := r.becomes(id, store.Submitted); m.Attempts != 2 || r.gateway.calls[0].IdempotencyKey != id {
		t.Errorf("got %+v", m)
	}
}
