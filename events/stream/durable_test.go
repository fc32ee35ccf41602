package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"sipsmpp/events"
	"sipsmpp/gateway"
)

// durableGateway is a gateway on a database file, and its events by WebSocket.
func durableGateway(t testing.TB, db string) (*gateway.Gateway, *httptest.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	g, err := gateway.New(ctx, gateway.Config{
		Node: "gw", DB: "sqlite:" + db, SMPP: gateway.SMPPConfig{Listen: []string{"127.0.0.1:0"}},
		SIP: gateway.SIPConfig{Listen: []string{"udp:127.0.0.1:0"}},
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start(ctx); err != nil {
		t.Fatal(err)
	}
	h := NewHandler(g.Events(), g.Durables(), slog.New(slog.DiscardHandler))
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		if err := g.Close(context.Background()); err != nil {
			t.Error(err)
		}
		h.Close()
		server.Close()
	})
	return g, server
}

func dialDurable(t testing.TB, server *httptest.Server, query string) *websocket.Conn {
	t.Helper()
	ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(server.URL, "http")+"/?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	return ws
}

// read reads n events and gives their attempts; what else comes instead ends it.
func readAttempts(t *testing.T, ws *websocket.Conn, n int) (attempts []int, last uint64) {
	t.Helper()
	for range n {
		_, data, err := ws.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		e, err := events.Parse(data)
		if err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		d, ok := e.Event.(events.MessageDeferred)
		if !ok {
			t.Fatalf("got %s", data)
		}
		attempts, last = append(attempts, d.Attempt), e.Seq
	}
	return attempts, last
}

func closeError(t *testing.T, ws *websocket.Conn) *websocket.CloseError {
	t.Helper()
	for {
		if _, _, err := ws.ReadMessage(); err != nil {
			closed := new(websocket.CloseError)
			if !errors.As(err, &closed) {
				t.Fatal(err)
			}
			return closed
		}
	}
}

// A durable subscriber gets what it has not acknowledged, over connections and over gateways, and the numbers go on.
func TestDurableOverRestarts(t *testing.T) {
	db := filepath.Join(t.TempDir(), "test.db")
	const query = "durable=crm&filter=E_MESSAGE_DEFERRED&window=3"
	var seq uint64
	t.Run("first", func(t *testing.T) {
		g, server := durableGateway(t, db)
		ws := dialDurable(t, server, query)
		for i := range 5 {
			g.Events().Publish(events.MessageDeferred{Attempt: i + 1})
			g.Events().Publish(events.Unthrottled{Connection: "acme"})
		}
		got, last := readAttempts(t, ws, 3)
		if fmt.Sprint(got) != "[1 2 3]" {
			t.Errorf("got %v", got)
		}
		if err := ws.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"ack","params":{"seq":%d},"id":"a"}`, last)); err != nil {
			t.Fatal(err)
		}
		answered, others := false, 0
		for range 3 { // the answer, and the two for which the window has room now
			_, data, err := ws.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			if string(data) == `{"jsonrpc":"2.0","id":"a","result":"OK"}` {
				answered = true
			} else if e, err := events.Parse(data); err == nil && e.Seq > last {
				others++
			}
		}
		if !answered || others != 2 {
			t.Errorf("answered %t, %d events", answered, others)
		}
		ws.Close()
		other := dialDurable(t, server, query)
		again, last := readAttempts(t, other, 2)
		if fmt.Sprint(again) != "[4 5]" {
			t.Errorf("again %v", again)
		}
		third := dialDurable(t, server, query)
		if e := closeError(t, other); e.Code != websocket.ClosePolicyViolation || e.Text != events.ErrTakenOver.Error() {
			t.Errorf("the one that was taken over: %v", e)
		}
		seq = last
		_ = third
	})
	t.Run("second", func(t *testing.T) {
		g, server := durableGateway(t, db)
		g.Events().Publish(events.MessageDeferred{Attempt: 6})
		ws := dialDurable(t, server, query)
		got, last := readAttempts(t, ws, 3)
		if fmt.Sprint(got) != "[4 5 6]" || last <= seq {
			t.Errorf("got %v up to %d, after %d", got, last, seq)
		}
		if last != g.Events().Seq() || last > seq+100 {
			t.Errorf("the numbers jump over a clean end: %d after %d", last, seq)
		}
		if err := g.Durables().Delete(t.Context(), "crm"); err != nil {
			t.Fatal(err)
		}
		if e := closeError(t, ws); e.Code != websocket.ClosePolicyViolation || e.Text != events.ErrEnded.Error() {
			t.Errorf("the one that was ended: %v", e)
		}
		// A gateway that goes down says so.
		ws = dialDurable(t, server, query)
		g.Durables().Close()
		if e := closeError(t, ws); e.Code != websocket.CloseGoingAway {
			t.Errorf("at the end: %v", e)
		}
	})
}

func TestDurableRefuses(t *testing.T) {
	_, server := durableGateway(t, filepath.Join(t.TempDir(), "test.db"))
	for query, want := range map[string]int{
		"durable=":                   http.StatusBadRequest,
		"durable=a%20b":              http.StatusBadRequest,
		"durable=crm&after=5":        http.StatusBadRequest,
		"durable=crm&window=0":       http.StatusBadRequest,
		"durable=crm&window=1000000": http.StatusBadRequest,
		"durable=crm&filter=,":       http.StatusBadRequest,
	} {
		_, response, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(server.URL, "http")+"/?"+query, nil)
		if err == nil || response == nil || response.StatusCode != want {
			t.Errorf("%s: %v, %v", query, response, err)
		}
	}
	for said, want := range map[string]string{
		`{"jsonrpc":"2.0","method":"ack","params":{"seq":999}}`: "no event has this seq yet",
		`hello`: "want {",
	} {
		ws := dialDurable(t, server, "durable=crm")
		if err := ws.WriteMessage(websocket.TextMessage, []byte(said)); err != nil {
			t.Fatal(err)
		}
		if e := closeError(t, ws); e.Code != websocket.ClosePolicyViolation || !strings.Contains(e.Text, want) {
			t.Errorf("%s: %v", said, e)
		}
	}
}

func TestParseAck(t *testing.T) {
	for said, want := range map[string]string{
		`{"jsonrpc":"2.0","method":"ack","params":{"seq":812}}`:        "812 ",
		`{"jsonrpc":"2.0","method":"ack","params":[812]}`:              "812 ",
		`{"jsonrpc":"2.0","method":"ack","params":{"seq":8},"id":"x"}`: `8 "x"`,
		`{"method":"ack","params":{"seq":8},"id":-1}`:                  `8 -1`,
		`{"method":"ack","params":{"seq":8},"id":null}`:                `8 `,
		`{"method":"ack","params":{"seq":-1}}`:                         "",
		`{"method":"ack","params":{"seq":1.5}}`:                        "",
		`{"method":"ack","params":{}}`:                                 "",
		`{"method":"ack"}`:                                             "",
		`{"method":"ack","params":[]}`:                                 "",
		`{"method":"ack","params":[1,2]}`:                              "",
		`{"method":"nack","params":[1]}`:                               "",
		`{"method":"ack","params":[1],"id":{}}`:                        "",
		`[]`:                                                           "",
		``:                                                             "",
	} {
		got := ""
		if a, err := parseAck([]byte(said)); err == nil {
			got = fmt.Sprintf("%d %s", a.seq, a.id)
		} else if !errors.Is(err, ErrAck) {
			t.Errorf("%s: %v", said, err)
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", said, got, want)
		}
	}
}

func FuzzParseAck(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","method":"ack","params":{"seq":812},"id":1}`))
	f.Add([]byte(`{"method":"ack","params":[18446744073709551615]}`))
	f.Fuzz(func(t *testing.T, said []byte) {
		a, err := parseAck(said)
		if err != nil {
			if !errors.Is(err, ErrAck) || a.id != nil || a.seq != 0 {
				t.Errorf("%+v, %v", a, err)
			}
			return
		}
		again := fmt.Sprintf(`{"method":"ack","params":{"seq":%d}}`, a.seq)
		if b, err := parseAck([]byte(again)); err != nil || b.seq != a.seq {
			t.Errorf("%s: %+v, %v", again, b, err)
		}
	})
}

// A durable subscriber that reads nothing, and one that acknowledges nothing, cost one that keeps up neither events nor time.
func TestSlowDurableHurtsOnlyItself(t *testing.T) {
	g, server := durableGateway(t, filepath.Join(t.TempDir(), "test.db"))
	dialDurable(t, server, "durable=deaf&window=10000")
	mute := dialDurable(t, server, "durable=mute&window=10")
	fast := dialDurable(t, server, "durable=fast&filter=E_MESSAGE_DEFERRED")
	const n = 20_000
	go func() {
		for i := range n {
			g.Events().Publish(events.MessageDeferred{Attempt: i, Reason: strings.Repeat("x", 200)})
		}
	}()
	for i := range n {
		got, last := readAttempts(t, fast, 1)
		if got[0] != i {
			t.Fatalf("got %v, want %d", got, i)
		}
		if i%500 == 499 {
			if err := fast.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"ack","params":{"seq":%d}}`, last)); err != nil {
				t.Fatal(err)
			}
		}
	}
	waiting := func(name string) int {
		d, _ := g.Durables().Find(name)
		n, _ := d.Standing()
		return n
	}
	deadline := time.After(20 * time.Second)
	for waiting("fast") > 0 {
		select {
		case <-deadline:
			t.Fatalf("%d wait for the fast one", waiting("fast"))
		case <-time.After(5 * time.Millisecond):
		}
	}
	if deaf, mute := waiting("deaf"), waiting("mute"); deaf < n || mute < n {
		t.Errorf("%d wait for the deaf one, %d for the mute one, want %d or more for each", deaf, mute, n)
	}
	// The mute one got its window, and no more.
	for range 10 {
		if _, _, err := mute.ReadMessage(); err != nil {
			t.Fatal(err)
		}
	}
	if err := mute.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, data, err := mute.ReadMessage(); err == nil {
		t.Errorf("beyond its window came %s", data)
	}
}
