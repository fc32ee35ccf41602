package server

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What opensips-cli sends and takes: string ids, parameters as strings, by name or by position, lists where its table says so.
func TestAsOpenSIPSTools(t *testing.T) {
	s := start(t, newFakeCore(), Options{})
	for _, tt := range []struct{ method, params, want string }{
		{"version", `{}`, `{"Server":"sipsmpp"}`},
		{"version", `[]`, `{"Server":"sipsmpp"}`},
		{"get_statistics", `{"statistics":["core:","smpp:"]}`, `{"core:uptime":7,"smpp:segments_sent":5}`},
		{"get_statistics", `[["smpp:"]]`, `{"smpp:segments_sent":5}`},
		{"get_statistics", `[["uptime","smpp:segments_sent"]]`, `{"core:uptime":7,"smpp:segments_sent":5}`},
		{"get_statistics", `["core:uptime"]`, `{"core:uptime":7}`},
		{"statistics:get", `{"statistics":"uptime"}`, `{"core:uptime":7}`},
		{"list_statistics", `[["smpp:"]]`, `{"smpp:segments_sent":"incremental"}`},
		{"statistics:reset", `[["all"]]`, `"OK"`},
		{"smpp:enable", `["acme"]`, `"OK"`},
		{"smpp:reload", `{}`, `{"added":["acme"],"changed":[],"removed":[],"unchanged":2}`},
		{"which", `{"command":"smpp_enable"}`, `[["name"]]`},
		{"which", `{"command":"smpp:enable"}`, `[["name"]]`},
		{"which", `{"command":"event_subscribe"}`, `[["event"],["event","socket","expire","after","durable","secret","window"]]`},
		{"which", `{"command":"version"}`, `[[]]`},
		{"raise_event", `["E_MINE",["a","b"]]`, `"OK"`},
		{"evi:raise", `{"event":"E_MINE","params":["a=1"]}`, `"OK"`},
		{"log_level", `{"level":"3"}`, `{"New global log level":3}`},
	} {
		want := `{"jsonrpc":"2.0","result":` + tt.want + `,"id":"30412"}`
		if got := s.call(t, `{"jsonrpc":"2.0","id":"30412","method":"`+tt.method+`","params":`+tt.params+`}`); got != want {
			t.Errorf("%s %s:\ngot  %s\nwant %s", tt.method, tt.params, got, want)
		}
	}
	var processes struct {
		Result struct{ Processes []struct{ ID, PID int } }
	}
	if err := json.Unmarshal([]byte(s.call(t, `{"jsonrpc":"2.0","id":"1","method":"core:ps","params":{}}`)), &processes); err != nil || len(processes.Result.Processes) != 1 {
		t.Errorf("core:ps: %+v, %v", processes, err)
	}
	// It refuses what `which` does not name.
	var which struct{ Result []string }
	if err := json.Unmarshal([]byte(s.call(t, `{"jsonrpc":"2.0","id":"1","method":"which","params":{}}`)), &which); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"smpp_reload", "smpp:reload", "get_statistics", "statistics:get", "evi:subscribe", "core:ps", "which"} {
		if !slices.Contains(which.Result, name) {
			t.Errorf("which does not name %s", name)
		}
	}
}

// opensips-cli connects and closes to see whether somebody is there, and takes an error only with HTTP status 200.
func TestOpenSIPSConnects(t *testing.T) {
	s := New(newFakeCore(), Options{})
	address := listen(t, s)
	for range 3 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	r, err := http.Post("http://"+address+"/mi", "application/json", strings.NewReader(`{"jsonrpc":"2.0","id":"7","method":"no_such","params":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, _ := io.ReadAll(r.Body)
	if want := `{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found","data":"which lists the methods"},"id":"7"}`; r.StatusCode != 200 || string(body) != want {
		t.Errorf("%d %s", r.StatusCode, body)
	}
	http.DefaultClient.CloseIdleConnections()
}

// wired sends what Python's urllib sends for opensips-cli and python-opensips, octet for octet, and gives the result, or the error, as
// their get_reply finds it.
func wired(t *testing.T, address, method, params string) (result, fault json.RawMessage) {
	t.Helper()
	body := `{"jsonrpc": "2.0", "id": "30348", "method": "` + method + `", "params": ` + params + `}`
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	head := "POST /mi HTTP/1.1\r\nAccept-Encoding: identity\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\nHost: " + address +
		"\r\nUser-Agent: Python-urllib/3.11\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
	for _, part := range []string{head, body} { // it writes them one after the other
		if _, err := io.WriteString(c, part); err != nil {
			t.Fatal(err)
		}
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var answer struct {
		Version       string `json:"jsonrpc"`
		ID            string
		Result, Error json.RawMessage
	}
	// urlopen raises an exception for any other status, and the tools see no JSON then.
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil || r.StatusCode != 200 || answer.Version != "2.0" || answer.ID != "30348" {
		t.Fatalf("%s %s: %s, %+v, %v", method, params, r.Status, answer, err)
	}
	return answer.Result, answer.Error
}

// What opensips-cli does at its prompt: it looks whether somebody is there, asks which methods there are, refuses others itself, and
// completes parameters from `which command=METHOD`.
func TestOpenSIPSPrompt(t *testing.T) {
	address := listen(t, New(newFakeCore(), Options{}))
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	var names []string
	if result, _ := wired(t, address, "which", `[]`); json.Unmarshal(result, &names) != nil || len(names) < 40 {
		t.Fatalf("which: %s", result)
	}
	parameter := regexp.MustCompile(`^[a-zA-Z.\-_]+$`) // what it takes for a name before '='
	for _, name := range names {
		var lists [][]string
		if result, fault := wired(t, address, "which", `{"command": "`+name+`"}`); json.Unmarshal(result, &lists) != nil || len(lists) == 0 {
			t.Errorf("which %s: %s%s", name, result, fault)
		}
		for _, p := range slices.Concat(lists...) {
			if !parameter.MatchString(p) {
				t.Errorf("%s: opensips-cli cannot pass %q", name, p)
			}
		}
	}
	for _, tt := range []struct{ method, params, want string }{
		{"get_statistics", `{"statistics": ["all"]}`, `"smpp:segments_sent":5}`},
		{"get_statistics", `[["smpp:", "core:"]]`, `{"core:uptime":7,"smpp:segments_sent":5}`},
		{"message_send", `["100", "+4915112345678", "hi"]`, `"state":"sent"`},
		{"message_send", `{"from": "100", "to": "+49151", "text": "a=b", "receipt": "true", "validity": "300"}`, `"state":"sent"`},
		{"raise_event", `["E_MINE", ["a", "b"]]`, `"OK"`},
		{"smpp:reload", `{}`, `{"added":["acme"],"changed":[],"removed":[],"unchanged":2}`},
	} {
		if result, fault := wired(t, address, tt.method, tt.params); fault != nil || !strings.Contains(string(result), tt.want) {
			t.Errorf("%s %s: %s%s", tt.method, tt.params, result, fault)
		}
	}
	if _, fault := wired(t, address, "smpp_enable", `["nobody"]`); !strings.Contains(string(fault), `"code":404`) {
		t.Errorf("an unknown connection: %s", fault)
	}
}

// The event subscriber of python-opensips over TCP takes one read of each connection and closes it, and reads JSON objects that have
// nothing between them: a line end would stop it for good. It ends its subscription when that has just expired.
func TestPythonStreamSubscriber(t *testing.T) {
	core := newFakeCore()
	address := listen(t, New(core, Options{}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	subscribe := func(expire string) {
		t.Helper()
		if result, fault := wired(t, address, "event_subscribe", `["E_MINE", "tcp:`+l.Addr().String()+`", `+expire+`]`); string(result) != `"OK"` {
			t.Fatalf("%s%s", result, fault)
		}
	}
	subscribe(`3600`)
	for n := range 3 {
		if result, _ := wired(t, address, "raise_event", `{"event": "E_MINE", "params": {"n": `+strconv.Itoa(n)+`}}`); string(result) != `"OK"` {
			t.Fatalf("raise_event: %s", result)
		}
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 65536)
		size, err := c.Read(b)
		if end := `"n":` + strconv.Itoa(n) + `}}`; err != nil || b[0] != '{' || !strings.HasSuffix(string(b[:size]), end) {
			t.Errorf("read %q, %v", b[:size], err)
		}
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, c) // until it is noticed: an event that came before would be lost, as with OpenSIPS
		_ = c.Close()
	}
	subscribe(`0`)
	subscribe(`0`)
}

// The event subscriber of python-opensips: by position, "OK" exactly, one notification a datagram; again is a refresh, 0 the end.
func TestPythonSubscriber(t *testing.T) {
	core := newFakeCore()
	s := start(t, core, Options{})
	l, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	subscribe := func(expire string) string {
		return s.call(t, `{"jsonrpc":"2.0","id":"5","method":"event_subscribe","params":["E_MINE","udp:`+l.LocalAddr().String()+`",`+expire+`]}`)
	}
	const ok = `{"jsonrpc":"2.0","result":"OK","id":"5"}`
	for _, expire := range []string{`60`, `"60"`, `120`} {
		if got := subscribe(expire); got != ok {
			t.Fatal(got)
		}
	}
	for _, name := range []string{"E_OTHER", "E_MINE", "E_MINE"} {
		if got := s.call(t, `{"jsonrpc":"2.0","id":1,"method":"raise_event","params":["`+name+`",{"n":1}]}`); !strings.Contains(got, `"OK"`) {
			t.Fatal(got)
		}
	}
	if err := l.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	for range 2 {
		n, err := l.Read(b)
		var one struct {
			Version string          `json:"jsonrpc"`
			Method  string          `json:"method"`
			Params  json.RawMessage `json:"params"`
			ID      json.RawMessage `json:"id"`
		}
		if err != nil || json.Unmarshal(b[:n], &one) != nil || one.Version != "2.0" || one.Method != "E_MINE" || one.ID != nil {
			t.Errorf("a datagram holds %s, %v", b[:n], err)
		}
	}
	if got := subscribe(`0`); got != ok {
		t.Error(got)
	}
	if got := s.call(t, `{"jsonrpc":"2.0","id":1,"method":"subscribers_list","params":[]}`); strings.Contains(got, "udp:") {
		t.Errorf("after the end: %s", got)
	}
}
