package clients_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"sipsmpp/clients"
	"sipsmpp/events"
	"sipsmpp/mi"
)

// journal is a gateway with one durable subscription: it sends what is not acknowledged, hangs up after some events, and remembers the
// acknowledgements.
type journal struct {
	t    *testing.T
	last uint64 // of the events that there are
	cut  uint64 // events on each connection before it breaks
	lost bool   // the first are gone: the subscriber is told

	mu          sync.Mutex
	acked       uint64
	acks        []uint64
	connections int
	taken       bool // by another consumer
}

func (j *journal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if q := r.URL.Query(); q.Get("durable") != "billing" || q.Get("filter") != "E_X" || q.Has("after") {
		j.t.Errorf("asked for %s", r.URL.RawQuery)
	}
	var upgrader websocket.Upgrader
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		j.t.Error(err)
		return
	}
	defer ws.Close()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for {
			var ack struct {
				Method string
				Params struct{ Seq uint64 }
				ID     json.RawMessage
			}
			if ws.ReadJSON(&ack) != nil {
				return
			}
			if ack.Method != "ack" || ack.ID != nil {
				j.t.Errorf("got %+v", ack)
			}
			j.mu.Lock()
			j.acked = max(j.acked, ack.Params.Seq)
			j.acks = append(j.acks, ack.Params.Seq)
			j.mu.Unlock()
		}
	}()
	j.mu.Lock()
	j.connections++
	from, last, taken := j.acked+1, j.last, j.taken
	j.mu.Unlock()
	if taken {
		_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.ClosePolicyViolation, "taken over"), time.Now().Add(time.Second))
		<-gone
		return
	}
	send := func(name string, seq uint64) {
		_ = ws.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"%s","params":{"seq":%d,"time":"2026-03-01T12:00:00Z","node":"gw","count":2}}`, name, seq))
	}
	if j.lost {
		send("E_EVENTS_LOST", 2)
		from, j.lost = 3, false
	}
	for seq := from; seq <= last && (j.cut == 0 || seq < from+j.cut); seq++ {
		send("E_X", seq)
	}
	if j.cut == 0 {
		<-gone
	}
}

func (j *journal) serve(t *testing.T) *clients.Client {
	j.t = t
	s := httptest.NewServer(j)
	t.Cleanup(s.Close)
	c := dial(t, s.URL)
	clients.SetRetry(c, time.Millisecond)
	return c
}

// Over connections that break, and though the gateway sends again what is not acknowledged, each event comes once and in order.
func TestDurable(t *testing.T) {
	j := &journal{last: 9, cut: 4}
	c := j.serve(t)
	var got []uint64
	d := c.Durable("billing", "E_X")
	for n, err := range d.Events(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, n.Seq); n.Seq%3 == 0 {
			d.Ack(n.Seq)
		}
		if n.Seq == j.last {
			break
		}
	}
	if want := []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.connections < 3 || !slices.IsSorted(j.acks) || j.acked < 6 {
		t.Errorf("%d connections, acknowledged %v", j.connections, j.acks)
	}
}

// What a program knows to be done does not come again, and the gateway is told so.
func TestDurableAfter(t *testing.T) {
	j := &journal{last: 7}
	d := j.serve(t).Durable("billing", "E_X", clients.After(5))
	var got []uint64
	for n, err := range d.Events(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, n.Seq); n.Seq == 7 {
			break
		}
	}
	j.mu.Lock()
	j.last = 8
	j.mu.Unlock()
	for n, err := range d.Events(t.Context()) { // goes on where it was
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, n.Seq)
		break
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if !slices.Equal(got, []uint64{6, 7, 8}) || !slices.Contains(j.acks, 5) {
		t.Errorf("got %v, acknowledged %v", got, j.acks)
	}
}

func TestDurableLost(t *testing.T) {
	j := &journal{last: 3, lost: true}
	d := j.serve(t).Durable("billing", "E_X")
	var got []string
	for n, err := range d.Events(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, fmt.Sprint(n.Event.Name(), n.Seq)); n.Seq == 3 {
			break
		}
		if lost, ok := n.Event.(events.EventsLost); ok && lost.Count != 2 {
			t.Errorf("got %+v", lost)
		}
	}
	if want := []string{"E_EVENTS_LOST2", "E_X3"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestDurableTakenOver(t *testing.T) {
	j := &journal{taken: true}
	for _, err := range j.serve(t).Durable("billing", "E_X").Events(t.Context()) {
		if !errors.Is(err, mi.ErrConflict) {
			t.Errorf("got %v", err)
		}
	}
	if j.connections != 1 {
		t.Errorf("%d connections: a consumer that lost its subscription took it back", j.connections)
	}
}
