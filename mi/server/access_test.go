package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"sipsmpp/events"
	"sipsmpp/gateway"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
	"sipsmpp/mi"
)

// token makes an entry of mi.tokens; the token is its name.
func token(name, role string) gateway.MIToken {
	return gateway.MIToken{Name: name, Hash: mi.HashToken(name), Role: role}
}

func app(name string, senders, connections, names []string) gateway.MIToken {
	t := token(name, "app")
	t.Senders, t.Connections, t.Events = senders, connections, names
	return t
}

func guarded(t *testing.T, core *fakeCore, tokens ...gateway.MIToken) *Server {
	s := start(t, core, Options{
		Tokens:  tokens,
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "numbers") }),
	})
	s.access.delay = 0
	return s
}

// What stands beside the methods, and who may get it.
func TestResources(t *testing.T) {
	s := guarded(t, newFakeCore(), token("boss", "admin"), token("op", "operator"), token("eye", "read"),
		app("shop", []string{"*"}, nil, []string{"E_*"}), app("mute", []string{"*"}, nil, nil))
	for _, tt := range []struct {
		token, path string
		status      int
	}{
		{"", "/healthz", 200}, {"", "/readyz", 401}, {"", "/metrics", 401}, {"", "/events?filter=[", 401}, {"", "/mi", 401}, {"", "/other", 401},
		{"wrong", "/healthz", 200}, {"wrong", "/readyz", 401}, {"wrong", "/events?filter=[", 401},
		{"boss", "/metrics", 200}, {"op", "/metrics", 200}, {"eye", "/metrics", 200}, {"shop", "/metrics", 403}, {"shop", "/readyz", 403},
		{"eye", "/events?filter=[", 400}, {"shop", "/events?filter=[", 400}, {"mute", "/events?filter=[", 403},
		{"", "/debug/pprof/", 401}, {"boss", "/debug/pprof/", 200}, {"op", "/debug/pprof/", 403}, {"eye", "/debug/pprof/heap", 403},
		{"boss", "/other", 404}, {"eye", "/other", 403},
	} {
		var header []string
		if tt.token != "" {
			header = []string{"Authorization", "Bearer " + tt.token}
		}
		if w := ask(s, "GET", tt.path, "", header...); w.Code != tt.status {
			t.Errorf("%s with %q: %d %s, want %d", tt.path, tt.token, w.Code, w.Body, tt.status)
		}
	}
	if w := ask(s, "POST", "/mi", versionCall); w.Code != 401 || w.Header().Get("WWW-Authenticate") == "" || !strings.Contains(w.Body.String(), `"code":401`) {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if got := s.access.failed.Load(); got != 2 {
		t.Errorf("%d failures were counted", got)
	}
}

// A token counts in the header alone: in the URL it would stand in logs.
func TestWhereATokenStands(t *testing.T) {
	s := guarded(t, newFakeCore(), token("boss", "admin"))
	for _, tt := range []struct {
		path   string
		header []string
		status int
	}{
		{"/mi", []string{"Authorization", "Bearer boss"}, 200},
		{"/mi", []string{"Authorization", "bearer boss"}, 200},
		{"/mi", []string{"Authorization", "Basic boss"}, 401},
		{"/mi", []string{"Authorization", "boss"}, 401},
		{"/mi", []string{"Authorization", "Bearer " + mi.HashToken("boss")}, 401},
		{"/mi?token=boss", nil, 401},
		{"/mi", []string{"Sec-WebSocket-Protocol", "sipsmpp, bearer.boss"}, 200},
		{"/mi", []string{"Authorization", "Bearer boss", "Host", "gw.example.org"}, 200},
		{"/mi", []string{"Host", "gw.example.org"}, 403},
		{"/mi", []string{"Authorization", "Bearer boss", "Origin", "https://evil.example"}, 403},
	} {
		if w := ask(s, "POST", tt.path, versionCall, tt.header...); w.Code != tt.status {
			t.Errorf("%s %v: %d %s, want %d", tt.path, tt.header, w.Code, w.Body, tt.status)
		}
	}
	open := start(t, newFakeCore(), Options{})
	if w := ask(open, "POST", "/mi", versionCall, "Authorization", "Bearer boss", "Host", "gw.example.org"); w.Code != 403 {
		t.Errorf("without tokens, a foreign host and any token: %d", w.Code)
	}
}

// Who tries token after token is slowed, and of many at the same time most get no hearing; who has a token is not touched.
func TestGuessing(t *testing.T) { synctest.Test(t, testGuessing) }

func testGuessing(t *testing.T) {
	s := guarded(t, newFakeCore(), token("boss", "admin"))
	s.access.delay = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	for range maxSlow {
		wait.Go(func() {
			r := httptest.NewRequestWithContext(ctx, "GET", "http://127.0.0.1/readyz", nil)
			r.Header.Set("Authorization", "Bearer guess")
			s.Handler().ServeHTTP(httptest.NewRecorder(), r)
		})
	}
	synctest.Wait()
	if w := ask(s, "GET", "/readyz", "", "Authorization", "Bearer guess"); w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Errorf("one more: %d", w.Code)
	}
	if w := ask(s, "GET", "/readyz", "", "Authorization", "Bearer boss"); w.Code != 200 {
		t.Errorf("the owner of a token: %d", w.Code)
	}
	cancel()
	wait.Wait()
}

// Failures are slowed, and shown: in the log, by an event now and then, and counted.
func TestFailuresAreShown(t *testing.T) { synctest.Test(t, testFailuresAreShown) }

func testFailuresAreShown(t *testing.T) {
	core := newFakeCore()
	s := guarded(t, core, token("boss", "admin"))
	s.access.delay = refusalDelay
	follow := core.hub.Subscribe(events.Filter{}, events.Now)
	for range 3 {
		began := time.Now()
		if w := ask(s, "GET", "/readyz", "", "Authorization", "Bearer guess"); w.Code != 401 || time.Since(began) != refusalDelay {
			t.Errorf("%d after %v", w.Code, time.Since(began))
		}
	}
	time.Sleep(10 * time.Second)
	ask(s, "GET", "/readyz", "", "Authorization", "Bearer guess")
	entries, err := follow.Next(t.Context())
	if err != nil || len(entries) != 2 || entries[0].Event.(events.MIRefused).Count != 1 || entries[1].Event.(events.MIRefused).Count != 3 {
		t.Errorf("%+v, %v", entries, err)
	}
	if got := s.callAs(t, "boss", "get_statistics", `["mi:unauthorized"]`); !strings.Contains(got, `{"mi:unauthorized":4}`) {
		t.Error(got)
	}
	s.callAs(t, "boss", "reset_statistics", `["all"]`)
	if got := s.callAs(t, "boss", "get_statistics", `[["mi:unauthorized","mi:calls"]]`); !strings.Contains(got, `{"mi:calls":1,"mi:unauthorized":0}`) {
		t.Error(got)
	}
	if w := ask(s, "GET", "/readyz", ""); w.Code != 401 { // who shows none is refused at once, and is no guesser
		t.Errorf("without a token: %d", w.Code)
	}
	if got := s.callAs(t, "boss", "get_statistics", `["mi:unauthorized"]`); !strings.Contains(got, `{"mi:unauthorized":0}`) {
		t.Error(got)
	}
}

func (s *Server) callAs(t *testing.T, name, method, params string) string {
	t.Helper()
	w := ask(s, "POST", "/mi", `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+params+`}`, "Authorization", "Bearer "+name)
	if w.Code != 200 {
		t.Fatalf("%s: %d %s", name, w.Code, w.Body)
	}
	return w.Body.String()
}

func TestRoles(t *testing.T) {
	s := guarded(t, newFakeCore(), token("boss", "admin"), token("op", "operator"), token("eye", "read"), app("shop", []string{"Shop"}, nil, nil))
	for _, tt := range []struct {
		method, params string
		may            string
	}{
		{"smpp_list", `{}`, "boss op eye"},
		{"version", `{}`, "boss op eye shop"},
		{"smpp_rebind", `["acme"]`, "boss op"},
		{"log_level", `[]`, "boss op eye"},
		{"log_level", `["info"]`, "boss op"},
		{"kill", `[]`, "boss"},
		{"message_send", `["Shop","1","hi"]`, "boss op shop"},
	} {
		for _, name := range []string{"boss", "op", "eye", "shop"} {
			got := s.callAs(t, name, tt.method, tt.params)
			if want := strings.Contains(tt.may, name); strings.Contains(got, `"result"`) != want || strings.Contains(got, `"code":403`) == want {
				t.Errorf("%s %s as %s: %s", tt.method, tt.params, name, got)
			}
		}
	}
	if got := s.callAs(t, "boss", "help", `["smpp_rebind"]`); !strings.Contains(got, "admin, operator") {
		t.Errorf("help does not tell the roles: %s", got)
	}
}

// What an app may send: as whom, by what, how much.
func TestApp(t *testing.T) {
	core := newFakeCore()
	slow := app("slow", []string{"*"}, []string{"*"}, nil)
	slow.Throughput = 1
	s := guarded(t, core, app("shop", []string{"Shop", "49*"}, []string{"acme"}, nil), app("free", []string{"1"}, nil, nil),
		app("two", []string{"*"}, []string{"a*", "b"}, nil), slow)
	for _, tt := range []struct{ name, params, want string }{
		{"shop", `{"from":"Shop","to":"1","text":"hi"}`, `"result"`},
		{"shop", `{"from":"4917","to":"1","text":"hi"}`, `"result"`},
		{"shop", `{"from":"Bank","to":"1","text":"hi"}`, `from: shop may not send as Bank`},
		{"shop", `{"from":"Shop","to":"1","text":"hi","connection":"acme"}`, `"result"`},
		{"shop", `{"from":"Shop","to":"1","text":"hi","connection":"other"}`, `connection: shop may not send by other`},
		{"free", `{"from":"1","to":"1","text":"hi"}`, `"result"`},
		{"free", `{"from":"1","to":"1","text":"hi","connection":"acme"}`, `connection: free may not`},
		{"two", `{"from":"1","to":"1","text":"hi"}`, `two must name one`},
		{"two", `{"from":"1","to":"1","text":"hi","connection":"abc"}`, `"result"`},
		{"slow", `{"from":"1","to":"1","text":"hi"}`, `"result"`},
		{"slow", `{"from":"1","to":"1","text":"hi"}`, `"code":429`},
	} {
		if got := s.callAs(t, tt.name, "message_send", tt.params); !strings.Contains(got, tt.want) {
			t.Errorf("%s %s: %s", tt.name, tt.params, got)
		}
	}
	first := core.accepted[0]
	if first.Ingress.String() != "mi:shop" || first.Connection != "acme" {
		t.Errorf("ingress %s, connection %q", first.Ingress, first.Connection)
	}
}

// An app is told of its own messages alone.
func TestAppSeesItsOwn(t *testing.T) {
	core := newFakeCore()
	for _, leg := range []sms.Leg{{Kind: sms.LegMI, Name: "shop"}, {Kind: sms.LegMI, Name: "other"}, sms.MI} {
		core.records = append(core.records, &store.Record{Message: &sms.Message{ID: core.ids.Next(), Ingress: leg}})
	}
	s := guarded(t, core, app("shop", nil, nil, nil), token("eye", "read"))
	for i, want := range []string{`"result"`, `"code":404`, `"code":404`} {
		params := `["` + core.records[i].Message.ID.String() + `"]`
		if got := s.callAs(t, "shop", "message_show", params); !strings.Contains(got, want) {
			t.Errorf("%d: %s", i, got)
		}
		if got := s.callAs(t, "eye", "message_show", params); !strings.Contains(got, `"result"`) {
			t.Errorf("%d: role read: %s", i, got)
		}
	}
}

// Who changed what stands in an event, without secrets; who only asked or failed is not told of.
func TestChangesAreTold(t *testing.T) {
	core := newFakeCore()
	s := guarded(t, core, token("op", "operator"))
	for _, call := range [][2]string{
		{"smpp_list", `{}`}, {"smpp_rebind", `["acme"]`}, {"smpp_rebind", `["none"]`}, {"log_level", `[]`}, {"log_level", `{"level":"info"}`},
		{"message_send", `["1","2","hi"]`}, {"kill", `[]`},
	} {
		s.callAs(t, "op", call[0], call[1])
	}
	s.call(t, `{"jsonrpc":"2.0","id":1,"method":"reset_statistics","params":["all"]}`)
	sub := core.hub.Subscribe(events.Filter{}, events.After(0))
	entries, err := sub.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		b, _ := json.Marshal(e.Event)
		got = append(got, e.Event.Name()+string(b))
	}
	want := `E_MI_CHANGED{"who":"op","method":"smpp_rebind","params":{"name":"acme"}}
E_MI_CHANGED{"who":"op","method":"log_level","params":{"level":"info"}}
E_MI_CHANGED{"who":"local","method":"reset_statistics","params":{"statistics":["all"]}}`
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}

// An app's stream has its events alone, and ends when its token is taken away.
func TestAppEvents(t *testing.T) {
	core := newFakeCore()
	boss := token("boss", "admin")
	s := New(core, Options{Tokens: []gateway.MIToken{boss, app("shop", []string{"Shop"}, []string{"acme"}, []string{"E_MESSAGE_*", "E_SMPP_*"})}})
	address := listen(t, s)
	dialer := websocket.Dialer{Subprotocols: []string{"sipsmpp", "bearer.shop"}} // as a browser's page does
	stream, _, err := dialer.Dial("ws://"+address+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if stream.Subprotocol() != "sipsmpp" {
		t.Errorf("protocol %q", stream.Subprotocol())
	}
	calls, _, err := dialer.Dial("ws://"+address+"/mi", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer calls.Close()
	if err := calls.WriteMessage(websocket.TextMessage, []byte(`{"jsonrpc":"2.0","id":1,"method":"event_subscribe","params":["*"]}`)); err != nil {
		t.Fatal(err)
	}
	if _, answer, err := calls.ReadMessage(); err != nil || !strings.Contains(string(answer), `"OK"`) {
		t.Fatal(string(answer), err)
	}
	for _, e := range []events.Event{
		events.MIChanged{Who: "boss"},
		events.BindUp{Connection: "other"},
		events.MessageReceived{ID: "theirs", From: "Bank", To: "1", Ingress: "mi"},
		events.MessageReceived{ID: "elsewhere", From: "1", To: "Shop", Ingress: "smpp:other"},
		events.MessageSent{ID: "theirs", From: "Bank", To: "1", Egress: "smpp:acme", Connection: "acme"},
		events.MessageDeferred{ID: "theirs", From: "Bank", To: "1"},
		events.MessageFailed{ID: "theirs", From: "Bank", To: "1"},
		events.MessageReport{ID: "theirs", From: "Bank", To: "1"},
		events.MessageReceived{ID: "ours", From: "1", To: "Shop", Ingress: "smpp:acme"},
	} {
		core.hub.Publish(e)
	}
	core.hub.Publish(events.MessageSent{ID: "ours too", From: "Shop", To: "1", Egress: "smpp:acme", Connection: "acme"})
	core.hub.Publish(events.MessageFailed{ID: "ours as well", From: "Shop", To: "1"})
	for _, ws := range []*websocket.Conn{stream, calls} {
		for _, id := range []string{`"ours"`, `"ours too"`, `"ours as well"`} {
			if _, data, err := ws.ReadMessage(); err != nil || !strings.Contains(string(data), id) {
				t.Errorf("got %s, %v, want %s", data, err, id)
			}
		}
	}
	if err := s.SetTokens([]gateway.MIToken{boss}); err != nil {
		t.Fatal(err)
	}
	for _, ws := range []*websocket.Conn{stream, calls} {
		if _, data, err := ws.ReadMessage(); err == nil {
			t.Errorf("after its token was taken away: %s", data)
		}
	}
	if err := s.SetTokens(nil); err == nil || !strings.Contains(err.Error(), "mi.tokens") {
		t.Errorf("the last token is taken away: %v", err)
	}
}

// A token that stays keeps its connections.
func TestTokensThatStay(t *testing.T) {
	s := guarded(t, newFakeCore(), token("a", "admin"), token("b", "read"))
	before := (*s.access.callers.Load())[0]
	if err := s.SetTokens([]gateway.MIToken{token("a", "admin"), token("b", "operator")}); err != nil {
		t.Fatal(err)
	}
	after := *s.access.callers.Load()
	if after[0] != before || before.valid.Err() != nil || after[1].role != mi.RoleOperator {
		t.Error("the token that is the same was replaced, or the changed one was not")
	}
	if err := s.SetTokens([]gateway.MIToken{{Name: "c", Hash: "nothing", Role: "admin"}}); err == nil {
		t.Error("a bad hash is taken")
	}
}

// issue makes a certificate with a common name, signed by parent, or by itself, in two PEM files.
func issue(t *testing.T, dir, name string, parent *tls.Certificate) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: parent == nil, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	by, signer := template, any(key)
	if parent != nil {
		by, signer = parent.Leaf, parent.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// HTTPS, with a client's certificate in place of a token, and a new certificate of ours without a restart.
func TestHTTPS(t *testing.T) {
	dir := t.TempDir()
	ca := issue(t, dir, "ca", nil)
	issue(t, dir, "gw", ca)
	monitor := issue(t, dir, "monitor", ca)
	file := func(name string) string { return filepath.Join(dir, name) }
	s := New(newFakeCore(), Options{
		Tokens:       []gateway.MIToken{{Name: "prometheus", Certificate: "monitor", Role: "read"}, token("boss", "admin")},
		Certificates: gateway.MIConfig{TLSCert: file("gw.pem"), TLSKey: file("gw.key"), TLSClientCA: file("ca.pem")}.Certificates(),
	})
	address := listen(t, s)
	get := func(client *tls.Certificate) (status int, certificate *x509.Certificate) {
		config := &tls.Config{RootCAs: x509.NewCertPool()}
		config.RootCAs.AddCert(ca.Leaf)
		if client != nil {
			config.Certificates = []tls.Certificate{*client}
		}
		transport := &http.Transport{TLSClientConfig: config}
		defer transport.CloseIdleConnections()
		r, err := (&http.Client{Transport: transport}).Get("https://" + address + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		return r.StatusCode, r.TLS.PeerCertificates[0]
	}
	first, _ := get(monitor)
	if first != 200 {
		t.Errorf("with its certificate: %d", first)
	}
	if status, _ := get(nil); status != 401 {
		t.Errorf("without a certificate: %d", status)
	}
	if status, _ := get(issue(t, dir, "stranger", ca)); status != 401 {
		t.Errorf("with a certificate that has no entry: %d", status)
	}
	_, before := get(monitor)
	issue(t, dir, "gw", ca)
	_, after := get(monitor)
	if before.Equal(after) {
		t.Error("the new certificate is not served")
	}
	if err := os.WriteFile(file("gw.pem"), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, kept := get(monitor); !kept.Equal(after) {
		t.Error("with a broken file the old certificate is not kept")
	}
}

func TestBadTLS(t *testing.T) {
	s := start(t, newFakeCore(), Options{Certificates: gateway.MIConfig{TLSCert: "/nonexistent.pem", TLSKey: "/nonexistent.key"}.Certificates()})
	if _, err := s.Listen("127.0.0.1:0"); err == nil || !strings.Contains(err.Error(), "mi.tls_cert") {
		t.Error(err)
	}
}
