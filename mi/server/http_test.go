package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"sipsmpp/gateway"
	"sipsmpp/gateway/sms"
	"sipsmpp/mi"
)

// ask sends a request to a handler as a client on the same host would.
func ask(s *Server, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "127.0.0.1:8888"
	r.Header.Set("Content-Type", "application/json")
	local := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 8888}
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

const (
	versionCall   = `{"jsonrpc":"2.0","id":-1,"method":"version"}`
	versionAnswer = `{"jsonrpc":"2.0","result":{"Server":"sipsmpp"},"id":-1}`
)

func TestPost(t *testing.T) {
	s := start(t, newFakeCore(), Options{})
	for _, tt := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		want                     string // the body, or with "..." a part
	}{
		{"call", "POST", "/mi", versionCall, nil, 200, versionAnswer},
		{"with charset", "POST", "/mi", versionCall, []string{"Content-Type", "application/json; charset=utf-8"}, 200, versionAnswer},
		{"error", "POST", "/mi", `{"jsonrpc":"2.0","id":1,"method":"x"}`, nil, 200, "...-32601..."},
		{"no JSON", "POST", "/mi", `{`, nil, 200, "...-32700..."},
		{"notification", "POST", "/mi", `{"jsonrpc":"2.0","method":"version"}`, nil, 202, ""},
		{"batch of notifications", "POST", "/mi", `[{"jsonrpc":"2.0","method":"version"}]`, nil, 202, ""},
		{"a form", "POST", "/mi", versionCall, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "...application/json..."},
		{"plain text", "POST", "/mi", versionCall, []string{"Content-Type", "text/plain"}, 415, "...application/json..."},
		{"no type", "POST", "/mi", versionCall, []string{"Content-Type", ""}, 415, "...application/json..."},
		{"largest", "POST", "/mi", versionCall + strings.Repeat(" ", maxBody-len(versionCall)), nil, 200, versionAnswer},
		{"too large", "POST", "/mi", versionCall + strings.Repeat(" ", maxBody), nil, 413, "...1048576 octets..."},
		{"get", "GET", "/mi", "", nil, 405, "...POST..."},
		{"elsewhere", "POST", "/", versionCall, nil, 404, "nothing is here: there are /mi (POST, or a WebSocket), /events (a WebSocket), /metrics, /healthz and /readyz\n"},
		{"events without a WebSocket", "GET", "/events", "", nil, 400, "want a WebSocket, at ws:// in place of http://; sipsmpp-cli -x events opens one\n"},
		{"health", "GET", "/healthz", "", nil, 200, "OK\n"},
		{"ready", "GET", "/readyz", "", nil, 200, "OK\n"},
		{"no metrics", "GET", "/metrics", "", nil, 404, "..."},
		{"events without a WebSocket", "GET", "/events?filter=[", "", nil, 400, "...no shell pattern..."},
	} {
		w := ask(s, tt.method, tt.path, tt.body, tt.header...)
		got := w.Body.String()
		if w.Code != tt.status || got != tt.want && !(strings.HasPrefix(tt.want, "...") && strings.Contains(got, strings.Trim(tt.want, "."))) {
			t.Errorf("%s: %d %s, want %d %s", tt.name, w.Code, got, tt.status, tt.want)
		}
	}
}

// A page in somebody's browser is not the admin.
func TestForeignPages(t *testing.T) {
	s := start(t, newFakeCore(), Options{Origins: []string{"https://admin.example.org/", "http://gw.example.org:8888"}})
	for _, tt := range []struct {
		name   string
		header []string
		status int
	}{
		{"no origin", nil, 200},
		{"localhost", []string{"Host", "localhost:8888"}, 200},
		{"without a port", []string{"Host", "LOCALHOST"}, 200},
		{"IPv6", []string{"Host", "[::1]:8888"}, 200},
		{"another loopback address", []string{"Host", "127.8.9.1:8888"}, 200},
		{"the address that it came to", []string{"Host", "192.0.2.7:8888"}, 200},
		{"another address", []string{"Host", "192.0.2.8:8888"}, 403},
		{"a rebound name", []string{"Host", "evil.example:8888"}, 403},
		{"a name that begins as ours", []string{"Host", "localhost.evil.example:8888"}, 403},
		{"no host", []string{"Host", ""}, 403},
		{"a page of ours", []string{"Origin", "http://127.0.0.1:8888"}, 200},
		{"a foreign page", []string{"Origin", "https://evil.example"}, 403},
		{"a page on another port", []string{"Origin", "http://127.0.0.1:3000"}, 403},
		{"a page of no origin", []string{"Origin", "null"}, 403},
		{"a listed page", []string{"Origin", "https://admin.example.org"}, 200},
		{"a listed page, in other letters", []string{"Origin", "HTTPS://Admin.example.org"}, 200},
		{"a listed page by the wrong scheme", []string{"Origin", "http://admin.example.org"}, 403},
		{"a listed host", []string{"Host", "gw.example.org:8888"}, 200},
		{"a listed host and page", []string{"Host", "gw.example.org:8888", "Origin", "http://gw.example.org:8888"}, 200},
		{"a rebound name and its page", []string{"Host", "evil.example:8888", "Origin", "http://evil.example:8888"}, 403},
	} {
		if w := ask(s, "POST", "/mi", versionCall, tt.header...); w.Code != tt.status {
			t.Errorf("%s: %d %s, want %d", tt.name, w.Code, w.Body, tt.status)
		}
		// Nothing is served to a foreign page, whatever the path.
		for _, path := range []string{"/events?filter=[", "/healthz", "/readyz"} {
			if w := ask(s, "GET", path, "", tt.header...); (w.Code == 403) != (tt.status == 403) {
				t.Errorf("%s: %s: %d", tt.name, path, w.Code)
			}
		}
	}
}

// What a page shows or runs of another site comes without an Origin, and gets nothing either.
func TestPartsOfForeignPages(t *testing.T) {
	s := start(t, newFakeCore(), Options{Origins: []string{"https://admin.example.org"}})
	for _, tt := range []struct {
		site, mode, dest string
		status           int
	}{
		{"", "", "", 200}, // curl
		{"none", "navigate", "document", 200},
		{"same-origin", "no-cors", "image", 200},
		{"cross-site", "navigate", "document", 200}, // a link
		{"cross-site", "no-cors", "image", 403},
		{"same-site", "no-cors", "script", 403}, // another port of the same host
		{"cross-site", "navigate", "iframe", 403},
	} {
		if w := ask(s, "GET", "/readyz", "", "Sec-Fetch-Site", tt.site, "Sec-Fetch-Mode", tt.mode, "Sec-Fetch-Dest", tt.dest); w.Code != tt.status {
			t.Errorf("%+v: %d %s", tt, w.Code, w.Body)
		}
	}
	if w := ask(s, "POST", "/mi", versionCall, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"); w.Code != 403 {
		t.Errorf("a form of a foreign page: %d %s", w.Code, w.Body)
	}
}

// A page of mi.origins is told that it may read the answers, and its browser's question needs no token; nobody else is.
func TestListedPages(t *testing.T) {
	s := start(t, newFakeCore(), Options{
		Origins: []string{"https://admin.example.org"}, Tokens: []gateway.MIToken{{Name: "a", Hash: mi.HashToken("a"), Role: "admin"}},
	})
	question := []string{"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type", "Origin"}
	w := ask(s, "OPTIONS", "/mi", "", append(question, "https://admin.example.org")...)
	if h := w.Header(); w.Code != 204 || h.Get("Access-Control-Allow-Origin") != "https://admin.example.org" || h.Get("Vary") != "Origin" ||
		h.Get("Access-Control-Allow-Headers") != "Content-Type, Authorization" || !strings.Contains(h.Get("Access-Control-Allow-Methods"), "POST") {
		t.Errorf("%d %v", w.Code, h)
	}
	if w := ask(s, "OPTIONS", "/mi", "", append(question, "https://evil.example")...); w.Code != 403 || w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a foreign page: %d %v", w.Code, w.Header())
	}
	for authorization, status := range map[string]int{"Bearer a": 200, "": 401} { // it may read why it was refused, too
		w := ask(s, "POST", "/mi", versionCall, "Origin", "https://admin.example.org", "Authorization", authorization)
		if w.Code != status || w.Header().Get("Access-Control-Allow-Origin") != "https://admin.example.org" {
			t.Errorf("%q: %d %v", authorization, w.Code, w.Header())
		}
	}
	if w := ask(s, "OPTIONS", "/mi", "", "Authorization", "Bearer a"); w.Code != 405 {
		t.Errorf("OPTIONS of a program: %d", w.Code)
	}
}

func TestNotReady(t *testing.T) {
	core := newFakeCore()
	core.ready = errors.New("the database does not answer")
	s := start(t, core, Options{Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "numbers") })})
	if w := ask(s, "GET", "/readyz", ""); w.Code != 503 || w.Body.String() != "the database does not answer\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(s, "GET", "/metrics", ""); w.Code != 200 || w.Body.String() != "numbers" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// Without tokens only loopback is listened on, and the error names the key.
func TestListenRefuses(t *testing.T) {
	s := start(t, newFakeCore(), Options{})
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.7:0", "8888"} {
		if l, err := s.Listen(address); err == nil || !strings.Contains(err.Error(), "mi.listen") {
			t.Errorf("%s: %v, %v", address, l, err)
		}
	}
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(l); err == nil || !strings.Contains(err.Error(), "mi.tokens") {
		t.Errorf("Serve: %v", err)
	}
	authorized := start(t, newFakeCore(), Options{Tokens: []gateway.MIToken{{Name: "a", Hash: mi.HashToken("a"), Role: "admin"}}})
	l, err = authorized.Listen("0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}

// listen serves on loopback, and gives host:port.
func listen(t *testing.T, s *Server) string {
	t.Helper()
	l, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// Close answers the calls that wait before it ends, and a client that went away is not waited for.
func TestCloseAnswersWhatWaits(t *testing.T) {
	core := newFakeCore()
	waiting := make(chan func(sms.Outcome), 1)
	core.accept = func(_ *sms.Message, done func(sms.Outcome)) { waiting <- done }
	s := New(core, Options{})
	address := listen(t, s)
	answers := make(chan string, 1)
	go func() {
		body := `{"jsonrpc":"2.0","id":1,"method":"message_send","params":["1","2","hi"]}`
		r, err := http.Post("http://"+address+"/mi", "application/json", strings.NewReader(body))
		if err != nil {
			answers <- err.Error()
			return
		}
		defer r.Body.Close()
		b, _ := io.ReadAll(r.Body)
		answers <- string(b)
	}()
	done := <-waiting
	closed := make(chan error, 1)
	go func() { closed <- s.Close(t.Context()) }()
	done(sms.Failed(sms.Temporary, sms.CauseShutdown, ""))
	if got := <-answers; !strings.Contains(got, `"code":503`) || !strings.Contains(got, "shutting down") {
		t.Errorf("got %s", got)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestEventsOverHTTP(t *testing.T) {
	core := newFakeCore()
	s := New(core, Options{})
	address := listen(t, s)
	if _, r, err := websocket.DefaultDialer.Dial("ws://"+address+"/events", http.Header{"Origin": {"https://evil.example"}}); err == nil || r.StatusCode != 403 {
		t.Errorf("a foreign page: %v", err)
	}
	ws, _, err := websocket.DefaultDialer.Dial("ws://"+address+"/events?after=0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	if got := s.call(t, `{"jsonrpc":"2.0","id":1,"method":"raise_event","params":["E_MINE",{"a":1}]}`); !strings.Contains(got, `"OK"`) {
		t.Errorf("raise_event: %s", got)
	}
	_, data, err := ws.ReadMessage()
	if err != nil || !strings.HasPrefix(string(data), `{"jsonrpc":"2.0","method":"E_MINE","params":{"seq":1,`) {
		t.Errorf("got %s, %v", data, err)
	}
}
