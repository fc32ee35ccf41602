package stream

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"sipsmpp/events"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a handler; the address is the host and port of its WebSocket.
func serve(t *testing.T, hub *events.Hub) (h *Handler, address string) {
	t.Helper()
	h = NewHandler(hub, nil, slog.New(slog.DiscardHandler))
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		h.Close()
		s.Close()
	})
	return h, strings.TrimPrefix(s.URL, "http://")
}

func dial(t *testing.T, address, query string) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.DefaultDialer.Dial("ws://"+address+"/events?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func read(t *testing.T, conn *websocket.Conn) events.Notification {
	t.Helper()
	kind, data, err := conn.ReadMessage()
	if err != nil || kind != websocket.TextMessage {
		t.Fatalf("message type %d, %v", kind, err)
	}
	n, err := events.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestWebSocket(t *testing.T) {
	hub := events.NewHub("gw", 10)
	h, address := serve(t, hub)
	for i := range 15 {
		hub.Publish(events.MessageDeferred{ID: "m", Attempt: i + 1})
	}
	hub.Publish(events.Reloaded{})

	all := dial(t, address, "after=0")
	for seq := uint64(7); seq <= 16; seq++ {
		if n := read(t, all); n.Seq != seq {
			t.Fatalf("after=0: got %+v, want %d", n, seq)
		}
	}
	behind := dial(t, address, "after=2&filter=E_SMPP_*")
	if n := read(t, behind); n.Event != (events.EventsLost{Count: 4, FromSeq: 3, ToSeq: 6}) {
		t.Errorf("after=2: got %+v", n)
	}
	if n := read(t, behind); n.Seq != 16 || n.Event.Name() != "E_SMPP_RELOADED" {
		t.Errorf("after=2: got %+v", n)
	}
	if got := h.Subscribers(); len(got) != 2 || !strings.HasPrefix(got[0].Socket, "ws:127.0.0.1:") {
		t.Errorf("subscribers: %+v", got)
	}

	hub.Publish(events.MessageDeferred{ID: "m"})
	hub.Publish(events.Reloaded{})
	if n := read(t, behind); n.Seq != 18 {
		t.Errorf("live: got %+v", n)
	}
	if n := read(t, all); n.Seq != 17 {
		t.Errorf("live: got %+v", n)
	}
}

func TestBadRequests(t *testing.T) {
	_, address := serve(t, events.NewHub("gw", 10))
	for query, want := range map[string]string{
		"filter=[":      "no shell pattern",
		"after=x":       "want the seq",
		"after=-1":      "want the seq",
		"after=":        "want the seq",
		"durable=me":    "after=SEQ",
		"filter=E_SMPP": "want a WebSocket", // good, but no handshake
	} {
		resp, err := http.Get("http://" + address + "/events?" + query)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %s, want 400 %s", query, resp.StatusCode, body, want)
		}
	}
}

func TestCloseEndsStreams(t *testing.T) {
	hub := events.NewHub("gw", 10)
	h, address := serve(t, hub)
	conn := dial(t, address, "after=0") // which is served: its subscription is older than the event
	hub.Publish(events.Reloaded{})
	h.Close()
	if n := read(t, conn); n.Seq != 1 {
		t.Errorf("the last event: %+v", n)
	}
	if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("got %v", err)
	}
	resp, err := http.Get("http://" + address + "/events")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("after Close: %d", resp.StatusCode)
	}
	if got := h.Subscribers(); len(got) != 0 {
		t.Errorf("after Close: %+v", got)
	}
}

// A batch is written in one piece, and read as the messages that it is.
func TestWritesAreGathered(t *testing.T) {
	writes := make(chan int, 100)
	upgraded := make(chan *Conn)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := Upgrade(w, r, 100)
		if err != nil {
			t.Error(err)
			return
		}
		upgraded <- conn
	}))
	s.Listener = countingListener{s.Listener, writes}
	s.Start()
	defer s.Close()
	client := dial(t, strings.TrimPrefix(s.URL, "http://"), "")
	conn := <-upgraded
	defer conn.Close(websocket.CloseNormalClosure, "")
	<-writes // the handshake
	var messages [][]byte
	for i := range 50 {
		messages = append(messages, fmt.Appendf(nil, "%d", i))
	}
	go func() {
		if err := conn.Write(messages...); err != nil {
			t.Error(err)
		}
	}()
	for i := range 50 {
		if _, data, err := client.ReadMessage(); err != nil || string(data) != fmt.Sprint(i) {
			t.Fatalf("got %s, %v, want %d", data, err, i)
		}
	}
	if n := len(writes); n != 1 {
		t.Errorf("%d writes for 50 messages", n)
	}
}

type countingListener struct {
	net.Listener
	writes chan int
}

func (l countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countingConn{c, l.writes}, err
}

type countingConn struct {
	net.Conn
	writes chan int
}

func (c countingConn) Write(b []byte) (int, error) {
	c.writes <- len(b)
	return c.Conn.Write(b)
}

func BenchmarkWrite(b *testing.B) {
	for _, batch := range []int{1, 64} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			b.ReportAllocs()
			upgraded := make(chan *Conn)
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				conn, err := Upgrade(w, r, 100)
				if err != nil {
					b.Error(err)
				}
				upgraded <- conn
			}))
			defer s.Close()
			client, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(s.URL, "http"), nil)
			if err != nil {
				b.Fatal(err)
			}
			conn := <-upgraded
			defer conn.Close(websocket.CloseNormalClosure, "")
			go func() { _, _ = io.Copy(io.Discard, client.NetConn()) }()
			messages := make([][]byte, batch)
			for i := range messages {
				messages[i] = make([]byte, 300)
			}
			for b.Loop() {
				if err := conn.Write(messages...); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/message")
			_ = client.Close()
		})
	}
}
