package clients_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/sourcegraph/jsonrpc2"
	"go.uber.org/goleak"

	"sipsmpp/clients"
	"sipsmpp/events"
	"sipsmpp/mi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func dial(t *testing.T, url string, opts ...clients.Option) *clients.Client {
	t.Helper()
	c, err := clients.Dial(url, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestDialRefuses(t *testing.T) {
	for _, url := range []string{"", "127.0.0.1:8888", "ftp://host/mi", "unix:", "http://", "http://[::1"} {
		if _, err := clients.Dial(url); err == nil {
			t.Errorf("%q was taken", url)
		}
	}
}

// A gateway by HTTP: what is sent, and what is made of each answer.
func TestPost(t *testing.T) {
	var status int
	var answer string
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		want := `{"jsonrpc":"2.0","id":1,"method":"smpp_enable","params":{"name":"acme"}}`
		if r.Method != http.MethodPost || r.URL.Path != "/mi" || r.Header.Get("Content-Type") != "application/json" ||
			r.Header.Get("Authorization") != "Bearer secret" || string(body) != want {
			t.Errorf("%s %s %v %s", r.Method, r.URL, r.Header, body)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	defer gateway.Close()
	c := dial(t, gateway.URL, clients.WithToken("secret"))
	for _, tt := range []struct {
		status int
		answer string
		want   string // in the error; empty: none
		code   int    // of the *mi.Error
	}{
		{200, `{"jsonrpc":"2.0","id":1,"result":"OK"}`, "", 0},
		{200, `{"jsonrpc":"2.0","id":1,"error":{"code":404,"message":"unknown","data":{"a":1}}}`, `smpp_enable: unknown (404): {"a":1}`, 404},
		{401, `{"jsonrpc":"2.0","id":null,"error":{"code":401,"message":"token"}}`, "token (401)", 401},
		{502, `<html>`, "HTTP 502", 0},
		{200, `<html>`, "no JSON-RPC", 0},
		{200, `{}`, "no JSON-RPC", 0},
		{200, `{"result":7}`, "not what the contract says", 0},
	} {
		status, answer = tt.status, tt.answer
		got, err := clients.Call(t.Context(), c, mi.SMPPEnable, mi.NameParams{Name: "acme"})
		if tt.want == "" {
			if err != nil || got != mi.OK {
				t.Errorf("%s: %q, %v", tt.answer, got, err)
			}
			continue
		}
		var refusal *mi.Error
		if err == nil || !strings.Contains(err.Error(), tt.want) || errors.As(err, &refusal) != (tt.code != 0) || refusal != nil && refusal.Code != tt.code {
			t.Errorf("%s: error %v, want %s", tt.answer, err, tt.want)
		}
	}
}

// fakeSocket is a gateway on a Unix socket, as another implementation would be: it enables acme and nothing else, hangs up on
// smpp_disable, and sends an event before it answers a subscription.
func fakeSocket(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mi")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	subscriptions := 0
	handler := jsonrpc2.HandlerWithError(func(ctx context.Context, conn *jsonrpc2.Conn, r *jsonrpc2.Request) (any, error) {
		switch params := string(*r.Params); {
		case r.Method == "smpp_enable" && params == `{"name":"acme"}`:
			return "OK", nil
		case r.Method == "smpp_disable":
			return nil, conn.Close()
		case r.Method == "event_subscribe":
			subscriptions++
			if want := []string{`{"event":"*","expire":4294967295}`, `{"after":2,"event":"*","expire":4294967295}`}[min(subscriptions, 2)-1]; params != want {
				t.Errorf("subscription %d: %s, want %s", subscriptions, params, want)
			}
			for i := range 2 {
				e := json.RawMessage(`{"seq":` + string(rune('0'+2*subscriptions-1+i)) + `,"time":"2026-03-01T12:00:00Z","node":"gw"}`)
				if err := conn.Notify(ctx, "E_X", e); err != nil {
					t.Error(err)
				}
			}
			time.AfterFunc(time.Millisecond, func() { _ = conn.Close() })
			return "OK", nil
		}
		data := json.RawMessage(`{"a":1}`)
		return nil, &jsonrpc2.Error{Code: 404, Message: "unknown", Data: &data}
	}).SuppressErrClosed()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			jsonrpc2.NewConn(t.Context(), jsonrpc2.NewPlainObjectStream(c), handler)
		}
	}()
	return "unix:" + path
}

func TestUnixSocket(t *testing.T) {
	c := dial(t, fakeSocket(t))
	ctx := t.Context()
	enable := func() error {
		got, err := clients.Call(ctx, c, mi.SMPPEnable, mi.NameParams{Name: "acme"})
		if err == nil && got != mi.OK {
			t.Errorf("got %s", got)
		}
		return err
	}
	if err := enable(); err != nil {
		t.Error(err)
	}
	var refusal *mi.Error
	if _, err := c.Invoke(ctx, "smpp_enable", []string{"x"}); !errors.As(err, &refusal) || refusal.Code != 404 || string(refusal.Data) != `{"a":1}` {
		t.Errorf("got %v", err)
	}
	if _, err := c.Invoke(ctx, "smpp_disable", struct{}{}); err == nil || errors.As(err, &refusal) && refusal.Code != 404 {
		t.Errorf("hung up: got %v", err)
	}
	if err := enable(); err != nil {
		t.Errorf("after the connection broke: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := enable(); err == nil {
		t.Error("a closed client called")
	}
}

func TestUnixEvents(t *testing.T) {
	c := dial(t, fakeSocket(t))
	clients.SetRetry(c, time.Millisecond)
	var got []uint64
	for n, err := range c.Events(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, n.Seq); len(got) == 4 {
			break
		}
	}
	for i, seq := range got {
		if seq != uint64(i+1) {
			t.Errorf("got %v", got)
		}
	}
}

// A stream that breaks is resumed behind the last event, whatever it was.
func TestEventsResume(t *testing.T) {
	queries := []string{
		"after=5&filter=E_%2A",
		"after=7&filter=E_%2A", // the connection broke after 6 and 7
		"after=7&filter=E_%2A", // no event came
		"after=0&filter=E_%2A", // the gateway began anew, and said that nothing is lost
		"after=0&filter=E_%2A", // refused for now
	}
	var dialled atomic.Int32
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(dialled.Add(1))
		if r.URL.Path != "/events" || n > len(queries) || r.URL.RawQuery != queries[n-1] || r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("connection %d: %s %v", n, r.URL, r.Header)
		}
		if n == 4 {
			http.Error(w, "later", http.StatusServiceUnavailable)
			return
		}
		var upgrader websocket.Upgrader
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.Close()
		var send []events.Event
		hub := events.NewHub("gw", 10)
		switch n {
		case 1:
			for range 7 {
				send = append(send, events.Reloaded{})
			}
		case 5:
			send = append(send, events.Reloaded{}, events.Throttled{Connection: "acme"})
		}
		for _, e := range send {
			hub.Publish(e)
		}
		switch n {
		case 1:
			s := hub.Subscribe(events.Filter{}, events.After(5))
			batch, _ := s.Next(r.Context())
			for _, e := range batch {
				_ = ws.WriteMessage(websocket.TextMessage, e.JSON)
			}
			_ = ws.WriteMessage(websocket.TextMessage, []byte(`{"garbage":1}`))
		case 3:
			s := events.NewHub("gw", 10).Subscribe(events.Filter{}, events.After(7))
			batch, _ := s.Next(r.Context())
			_ = ws.WriteMessage(websocket.TextMessage, batch[0].JSON)
		case 5:
			s := hub.Subscribe(events.Filter{}, events.After(0))
			batch, _ := s.Next(r.Context())
			for _, e := range batch {
				_ = ws.WriteMessage(websocket.TextMessage, e.JSON)
			}
			_, _, _ = ws.ReadMessage() // until the client goes
		}
	}))
	defer gateway.Close()
	c := dial(t, gateway.URL+"/mi", clients.WithToken("secret"))
	clients.SetRetry(c, time.Millisecond)
	var got []string
	for n, err := range c.Events(t.Context(), "E_*", clients.After(5)) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, n.Event.Name()+" "+string(rune('0'+n.Seq)))
		if _, last := n.Event.(events.Throttled); last {
			break
		}
	}
	want := "E_SMPP_RELOADED 6,E_SMPP_RELOADED 7,E_EVENTS_LOST 0,E_SMPP_RELOADED 1,E_SMPP_THROTTLED 2"
	if s := strings.Join(got, ","); s != want {
		t.Errorf("got %s, want %s", s, want)
	}
}

func TestEventsEnd(t *testing.T) {
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("filter") == "[" {
			http.Error(w, "bad filter", http.StatusBadRequest)
			return
		}
		var upgrader websocket.Upgrader
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		_ = ws.WriteMessage(websocket.TextMessage, []byte(`{"method":"E_X","params":{"seq":1,"time":"2026-03-01T12:00:00Z"}}`))
		_, _, _ = ws.ReadMessage()
	}))
	defer gateway.Close()
	c := dial(t, gateway.URL)

	var refusal *mi.Error
	yields := 0
	for _, err := range c.Events(t.Context(), "[") {
		if yields++; !errors.As(err, &refusal) || refusal.Code != 400 || refusal.Message != "bad filter" {
			t.Errorf("got %v", err)
		}
	}
	if yields != 1 {
		t.Errorf("%d yields of one refusal", yields)
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for n, err := range c.Events(ctx, "") {
		if err != nil || n.Seq != 1 {
			t.Errorf("got %+v, %v", n, err)
		}
		cancel() // ends the loop without another turn
	}

	nobody := dial(t, "http://127.0.0.1:1")
	yields = 0
	for _, err := range nobody.Events(t.Context(), "") {
		if yields++; err == nil || errors.As(err, &refusal) && refusal.Code != 400 {
			t.Errorf("got %v", err)
		}
	}
	if yields != 1 {
		t.Errorf("%d yields where nobody listens", yields)
	}
}

// What did not reach the gateway is told apart from what may have.
func TestNotSent(t *testing.T) {
	for _, url := range []string{"http://127.0.0.1:1", "ws://127.0.0.1:1", "unix:" + filepath.Join(t.TempDir(), "none")} {
		if err := dial(t, url).SMPPEnable(t.Context(), mi.NameParams{Name: "acme"}); !errors.Is(err, clients.ErrNotSent) {
			t.Errorf("%s: %v", url, err)
		}
	}
	mute := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }))
	defer mute.Close()
	err := dial(t, mute.URL).SMPPEnable(t.Context(), mi.NameParams{Name: "acme"})
	if err == nil || errors.Is(err, clients.ErrNotSent) {
		t.Errorf("a gateway that hung up: %v", err)
	}
	c := dial(t, "ws://127.0.0.1:1")
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := c.SMPPEnable(t.Context(), mi.NameParams{Name: "acme"}); !errors.Is(err, clients.ErrClosed) || !errors.Is(err, clients.ErrNotSent) {
		t.Errorf("a closed client: %v", err)
	}
}

func TestDetails(t *testing.T) {
	err := mi.NewError(mi.CodeForbidden, "no", mi.SendFailure{Fate: "refused", Status: 11})
	if f, ok := clients.Details[mi.SendFailure](err); !ok || f.Status != 11 {
		t.Errorf("got %+v, %t", f, ok)
	}
	for _, err := range []error{mi.ErrForbidden, errors.New("x"), mi.NewError(1, "x", 7)} {
		if f, ok := clients.Details[mi.SendFailure](err); ok {
			t.Errorf("%v has %+v", err, f)
		}
	}
}

// The gateway's certificate is checked against the authorities of WithTLS, for calls and for events.
func TestTLS(t *testing.T) {
	gateway := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var upgrader websocket.Upgrader
		if r.URL.Path == "/events" {
			if ws, err := upgrader.Upgrade(w, r, nil); err == nil {
				_ = ws.WriteMessage(websocket.TextMessage, []byte(`{"method":"E_X","params":{"seq":1,"time":"2026-03-01T12:00:00Z"}}`))
				_ = ws.Close()
			}
			return
		}
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":"OK"}`)
	}))
	gateway.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake that the client breaks off
	gateway.StartTLS()
	defer gateway.Close()
	authorities := x509.NewCertPool()
	authorities.AddCert(gateway.Certificate())
	c := dial(t, gateway.URL, clients.WithTLS(&tls.Config{RootCAs: authorities}))
	if err := c.SMPPEnable(t.Context(), mi.NameParams{Name: "acme"}); err != nil {
		t.Error(err)
	}
	for n, err := range c.Events(t.Context(), "") {
		if err != nil || n.Seq != 1 {
			t.Errorf("got %+v, %v", n, err)
		}
		break
	}
	stranger := dial(t, gateway.URL)
	if err := stranger.SMPPEnable(t.Context(), mi.NameParams{Name: "acme"}); err == nil {
		t.Error("a certificate of nobody that is known was believed")
	}
	for _, err := range stranger.Events(t.Context(), "") {
		if err == nil {
			t.Error("a certificate of nobody that is known was believed")
		}
	}
}
