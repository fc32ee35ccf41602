package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"sipsmpp/events"
	"sipsmpp/events/stream"
	"sipsmpp/gateway"
	"sipsmpp/mi"
)

// newDurableCore is a core whose events are those of a gateway, with a database.
func newDurableCore(t *testing.T) *fakeCore {
	t.Helper()
	g, err := gateway.New(t.Context(), gateway.Config{
		Node: "gw", DB: "sqlite:" + filepath.Join(t.TempDir(), "test.db"), SMPP: gateway.SMPPConfig{Listen: []string{"127.0.0.1:0"}},
		SIP: gateway.SIPConfig{Listen: []string{"udp:127.0.0.1:0"}},
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	core := newFakeCore()
	core.hub, core.durables = g.Events(), g.Durables()
	return core
}

// dialMI opens a WebSocket on /mi as the holder of a token.
func dialMI(t *testing.T, address, token string) webLine {
	t.Helper()
	ws, _, err := websocket.DefaultDialer.Dial("ws://"+address+"/mi", http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	return webLine{ws}
}

// seqOf gives the number of an event of an attempt.
func seqOf(t *testing.T, object string, attempt int) uint64 {
	t.Helper()
	n, err := events.Parse([]byte(object))
	if err != nil {
		t.Fatalf("%s: %v", object, err)
	}
	if d, ok := n.Event.(events.MessageDeferred); !ok || d.Attempt != attempt {
		t.Fatalf("got %s, want attempt %d", object, attempt)
	}
	return n.Seq
}

// Over the MI's own connection: events, their acknowledgement, and that another took over.
func TestDurableByMI(t *testing.T) {
	core := newDurableCore(t)
	s := start(t, core, Options{})
	address := listen(t, s)
	const subscribe = `{"jsonrpc":"2.0","id":1,"method":"event_subscribe","params":{"event":"E_MESSAGE_DEFERRED","durable":"crm","window":2}}`
	const ok = `{"jsonrpc":"2.0","result":"OK","id":1}`
	l := dialMI(t, address, "")
	l.send(t, subscribe)
	if got := l.next(t); got != ok {
		t.Fatal(got)
	}
	for i := range 4 {
		core.hub.Publish(events.MessageDeferred{Attempt: i + 1})
	}
	seqOf(t, l.next(t), 1)
	second := seqOf(t, l.next(t), 2)
	l.send(t, fmt.Sprintf(`{"jsonrpc":"2.0","method":"ack","params":{"seq":%d}}`, second))
	seqOf(t, l.next(t), 3)
	last := seqOf(t, l.next(t), 4)
	l.send(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"ack","params":[%d]}`, last+1000))
	if got := l.next(t); !strings.Contains(got, `"code":400`) {
		t.Error(got)
	}
	l.send(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"ack","params":[%d,"other"]}`, last))
	if got := l.next(t); !strings.Contains(got, `"code":404`) {
		t.Error(got)
	}
	if got := s.result(t, "ack", `[1]`); !strings.Contains(got, `"code":400`) {
		t.Error(got)
	}

	other := dialMI(t, address, "")
	other.send(t, subscribe)
	came := []string{other.next(t), other.next(t), other.next(t)}
	i := slices.Index(came, ok) // events may overtake the answer
	if i < 0 {
		t.Fatal(came)
	}
	came = slices.Delete(came, i, i+1)
	seqOf(t, came[0], 3)
	seqOf(t, came[1], 4)
	got := l.next(t)
	for strings.Contains(got, `"seq":`) { // what it has not acknowledged may come again before it is ended
		got = l.next(t)
	}
	if got != `{"jsonrpc":"2.0","method":"ended","params":{"durable":"crm","reason":"another connection took the durable subscription over"}}` {
		t.Error(got)
	}
	l.send(t, `{"jsonrpc":"2.0","id":1,"method":"version"}`) // it may go on with other things
	if got := l.next(t); !strings.Contains(got, `"result"`) {
		t.Error(got)
	}

	var list mi.SubscribersListResult
	var one mi.Subscriber
	for deadline := time.Now().Add(10 * time.Second); ; { // the acknowledgement is being written
		list = mi.SubscribersListResult{}
		if err := json.Unmarshal([]byte(s.result(t, "subscribers_list", `[]`)), &list); err != nil || len(list.Events) != 1 {
			t.Fatalf("%+v, %v", list, err)
		}
		if one = list.Events[0].Subscribers[0]; one.Lag == 2 || time.Now().After(deadline) {
			break
		}
	}
	if list.Events[0].Name != "E_MESSAGE_DEFERRED" || one.Durable != "crm" || one.Lag != 2 || !strings.HasPrefix(one.Socket, "ws:") || one.Expire != "never" {
		t.Errorf("%+v", list)
	}
	if got := s.result(t, "subscriber_delete", `["crm"]`); got != `"OK"` {
		t.Error(got)
	}
	if got := other.next(t); !strings.Contains(got, `"method":"ended"`) {
		t.Error(got)
	}
	if got := s.result(t, "subscribers_list", `[]`); got != `{"Events":[]}` {
		t.Error(got)
	}
	if got := s.result(t, "subscriber_delete", `["crm"]`); !strings.Contains(got, `"code":404`) {
		t.Error(got)
	}
}

// What an application raises, and what the MI changes, is on disk for durable subscriptions when the call is answered.
func TestAnsweredCallsAreKept(t *testing.T) {
	core := newDurableCore(t)
	s := start(t, core, Options{})
	d, err := core.durables.Put(t.Context(), events.Spec{Name: "crm"})
	if err != nil {
		t.Fatal(err)
	}
	for i, call := range []string{`raise_event ["E_MINE"]`, `smpp_enable ["acme"]`, `raise_event ["E_MINE",{"n":2}]`} {
		method, params, _ := strings.Cut(call, " ")
		if got := s.result(t, method, params); got != `"OK"` {
			t.Fatalf("%s: %s", call, got)
		}
		if n, _ := d.Standing(); n != i+1 {
			t.Errorf("%s was answered, and %d events are on disk", call, n)
		}
	}
}

// Who may have durable subscriptions, and whose they are.
func TestDurableRoles(t *testing.T) {
	core := newDurableCore(t)
	s := guarded(t, core, token("boss", "admin"), token("eye", "read"), app("shop", []string{"100"}, nil, []string{"E_MESSAGE_*"}),
		app("other", []string{"200"}, nil, []string{"E_MESSAGE_*"}))
	address := listen(t, s)
	answer := func(token, method, params string) string {
		t.Helper()
		l := dialMI(t, address, token)
		l.send(t, `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+params+`}`)
		for {
			if got := l.next(t); strings.Contains(got, `"id":1`) {
				return got
			}
		}
	}
	for _, tt := range []struct{ token, method, params, want string }{
		{"eye", "event_subscribe", `{"event":"*","durable":"crm"}`, `"code":403`},
		{"shop", "event_subscribe", `{"event":"*","durable":"crm"}`, `"OK"`},
		{"other", "event_subscribe", `{"event":"*","durable":"crm"}`, `"code":403`},
		{"other", "subscriber_delete", `["crm"]`, `"code":403`},
		{"eye", "subscriber_delete", `["crm"]`, `"code":403`},
		{"shop", "event_subscribe", `{"event":"*","socket":"webhook:https://crm.example.org/","secret":"0123456789abcdef"}`, `"code":403`},
		{"boss", "event_subscribe", `{"event":"*","socket":"webhook:https://crm.example.org/","secret":"0123456789abcdef"}`, `mi.webhooks`},
		{"boss", "event_subscribe", `{"event":"*","socket":"udp:127.0.0.1:9","durable":"x"}`, `"code":400`},
		{"boss", "event_subscribe", `{"event":"*","durable":"a b"}`, `"code":400`},
		{"boss", "event_subscribe", `{"event":"*","durable":"x","window":-1}`, `"code":400`},
		{"boss", "event_subscribe", `{"event":"*","durable":"x","after":5}`, `"code":400`},
		{"boss", "event_subscribe", `{"event":"*","durable":"x","expire":0}`, `"code":404`},
	} {
		if got := answer(tt.token, tt.method, tt.params); !strings.Contains(got, tt.want) {
			t.Errorf("%s %s %s: %s", tt.token, tt.method, tt.params, got)
		}
	}
	// What waits is what its token may get.
	d, _ := core.durables.Find("crm")
	for _, e := range []events.Event{events.MessageReceived{From: "200", To: "300"}, events.Unthrottled{Connection: "acme"}} {
		if core.durables.Wants(e) {
			t.Errorf("%+v is kept for shop", e)
		}
	}
	if d.Spec().Owner != "shop" || !core.durables.Wants(events.MessageReceived{From: "100", To: "300"}) {
		t.Error("what it may get is not kept")
	}
	if got := answer("shop", "event_subscribe", `{"event":"*","durable":"crm","expire":0}`); !strings.Contains(got, `"OK"`) {
		t.Error(got)
	}
	for query, want := range map[string]int{"eye": http.StatusForbidden, "boss": http.StatusSwitchingProtocols} {
		_, r, _ := websocket.DefaultDialer.Dial("ws://"+address+"/events?durable=mine", http.Header{"Authorization": {"Bearer " + query}})
		if r == nil || r.StatusCode != want {
			t.Errorf("%s: %+v", query, r)
		}
	}
}

// A webhook by event_subscribe, signed, listed without what is secret, and ended.
func TestWebhookByMI(t *testing.T) {
	posts := make(chan *http.Request, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Sipsmpp-Signature") != "sha256="+stream.Signature("0123456789abcdef", r.Header.Get("Sipsmpp-Timestamp"), body) {
			t.Errorf("signature %v", r.Header)
		}
		posts <- r
	}))
	defer receiver.Close()
	core := newDurableCore(t)
	s := start(t, core, Options{Config: gateway.Config{MI: gateway.MIConfig{Webhooks: []string{receiver.URL + "/hooks"}}}})
	changed := core.hub.Subscribe(events.Filter{}, events.Now)
	socket := "webhook:" + receiver.URL + "/hooks/sms?key=hidden"
	call := func(more string) string {
		return s.result(t, "event_subscribe", `{"event":"E_MESSAGE_*","socket":"`+socket+`","secret":"0123456789abcdef"`+more+`}`)
	}
	if got := call(""); !strings.Contains(got, "bad name") { // a query is no name
		t.Error(got)
	}
	if got := call(`,"durable":"crm","expire":60`); got != `"OK"` {
		t.Fatal(got)
	}
	core.hub.Publish(events.MessageDeferred{Attempt: 1})
	if r := <-posts; r.URL.Path != "/hooks/sms" || r.Header.Get("Sipsmpp-Event") != "E_MESSAGE_DEFERRED" {
		t.Errorf("%v %v", r.URL, r.Header)
	}
	got := s.result(t, "subscribers_list", `[]`)
	if strings.Contains(got, "hidden") || strings.Contains(got, "0123456789abcdef") ||
		!strings.Contains(got, `"socket":"webhook:`+receiver.URL+`/hooks/sms?..."`) || !strings.Contains(got, `"durable":"crm"`) || !strings.Contains(got, `"expire":"60"`) {
		t.Error(got)
	}
	if got := call(`,"durable":"crm","expire":0`); got != `"OK"` {
		t.Error(got)
	}
	if got := s.result(t, "subscribers_list", `[]`); got != `{"Events":[]}` {
		t.Error(got)
	}
	entries, err := changed.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.Contains(string(e.JSON), "0123456789abcdef") || strings.Contains(string(e.JSON), "hidden") {
			t.Errorf("a secret is told: %s", e.JSON)
		}
	}
}
