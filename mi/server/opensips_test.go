package server

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
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
		{"get_statistics", `{"statistics":["all"]}`, `{"core:uptime":7,"smpp:segments_sent":5}`},
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
		{"which", `{"command":"event_subscribe"}`, `[["event"],["event","socket","expire","after"]]`},
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
