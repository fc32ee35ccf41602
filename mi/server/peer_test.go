package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"sipsmpp/events"
	"sipsmpp/gateway/sms"
)

// line is a client of a peer: what it sends, and the objects that come.
type line interface {
	send(t *testing.T, object string)
	next(t *testing.T) string
	// ended waits for the end of the connection.
	ended() bool
}

type webLine struct{ ws *websocket.Conn }

func (l webLine) send(t *testing.T, object string) {
	t.Helper()
	if err := l.ws.WriteMessage(websocket.TextMessage, []byte(object)); err != nil {
		t.Fatal(err)
	}
}

func (l webLine) next(t *testing.T) string {
	t.Helper()
	_, b, err := l.ws.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (l webLine) ended() bool { _, _, err := l.ws.ReadMessage(); return err != nil }

type socketLine struct {
	net.Conn
	r *bufio.Reader
}

func (l socketLine) send(t *testing.T, object string) {
	t.Helper()
	if _, err := l.Write([]byte(object)); err != nil {
		t.Fatal(err)
	}
}

func (l socketLine) next(t *testing.T) string {
	t.Helper()
	s, err := l.r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(s, "\n")
}

func (l socketLine) ended() bool { _, err := l.r.ReadString('\n'); return err != nil }

func webPeer(t *testing.T, s *Server) line {
	t.Helper()
	ws, _, err := websocket.DefaultDialer.Dial("ws://"+listen(t, s)+"/mi", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.Close() })
	return webLine{ws}
}

func socketPeer(t *testing.T, s *Server) line {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mi.sock")
	l, err := s.ListenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.ServeSocket(l) }()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return socketLine{c, bufio.NewReader(c)}
}

// each runs a test over both kinds of connection.
func each(t *testing.T, test func(t *testing.T, core *fakeCore, s *Server, l line)) {
	for name, peer := range map[string]func(*testing.T, *Server) line{"websocket": webPeer, "socket": socketPeer} {
		t.Run(name, func(t *testing.T) {
			core := newFakeCore()
			s := New(core, Options{})
			test(t, core, s, peer(t, s))
		})
	}
}

func TestPeerCalls(t *testing.T) {
	each(t, func(t *testing.T, _ *fakeCore, _ *Server, l line) {
		for _, tt := range []struct{ request, want string }{
			{versionCall, versionAnswer},
			{`{"jsonrpc":"2.0","id":18446744073709551615,"method":"x"}`, `{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found","data":"which lists the methods"},"id":18446744073709551615}`},
			{`[` + versionCall + `]`, `[` + versionAnswer + `]`},
			{`[]`, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request","data":"an empty batch"},"id":null}`},
			{`7 `, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request","data":"want an object"},"id":null}`},
		} {
			l.send(t, tt.request)
			if got := l.next(t); got != tt.want {
				t.Errorf("%s: got %s, want %s", tt.request, got, tt.want)
			}
		}
		l.send(t, `{"jsonrpc":"2.0","method":"version"}`) // silent: the next answer is that of the next call
		l.send(t, versionCall)
		if got := l.next(t); got != versionAnswer {
			t.Errorf("got %s", got)
		}
	})
}

// A WebSocket frames its messages, so one that is no JSON is answered and forgotten; on a socket nothing after it can be read.
func TestPeerNoJSON(t *testing.T) {
	each(t, func(t *testing.T, _ *fakeCore, _ *Server, l line) {
		l.send(t, `{"jsonrpc":,`)
		if got := l.next(t); !strings.Contains(got, `"code":-32700`) {
			t.Errorf("got %s", got)
		}
		if _, web := l.(webLine); web {
			l.send(t, versionCall)
			if got := l.next(t); got != versionAnswer {
				t.Errorf("got %s", got)
			}
		} else if !l.ended() {
			t.Error("the connection goes on")
		}
	})
}

func TestPeerTooLarge(t *testing.T) {
	each(t, func(t *testing.T, _ *fakeCore, _ *Server, l line) {
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			big := `{"jsonrpc":"2.0","id":1,"method":"` + strings.Repeat("x", maxBody) + `"}`
			if web, ok := l.(webLine); ok {
				_ = web.ws.WriteMessage(websocket.TextMessage, []byte(big)) // it may be cut off
			} else {
				_, _ = l.(socketLine).Write([]byte(big))
			}
		}()
		if _, web := l.(webLine); !web {
			if got := l.next(t); !strings.Contains(got, "1048576 octets") {
				t.Errorf("got %s", got)
			}
		}
		if !l.ended() {
			t.Error("the connection goes on")
		}
		<-sent
	})
}

// Calls are answered as they end, and reading stops where too many are in progress.
func TestPeerPipelines(t *testing.T) {
	each(t, func(t *testing.T, core *fakeCore, _ *Server, l line) {
		waiting := make(chan func(sms.Outcome), 2*maxInProgress)
		core.accept = func(_ *sms.Message, done func(sms.Outcome)) { waiting <- done }
		call := func(id int) string {
			return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"message_send","params":["1","2","hi"]}`, id)
		}
		for id := range maxInProgress {
			l.send(t, call(id))
		}
		var open []func(sms.Outcome)
		for range maxInProgress {
			open = append(open, <-waiting)
		}
		l.send(t, call(maxInProgress))
		if len(waiting) > 0 {
			t.Error("a call too many was begun")
		}
		open[7](sms.Outcome{Fate: sms.Accepted})
		if got := l.next(t); !strings.HasSuffix(got, `"id":7}`) {
			t.Errorf("got %s", got)
		}
		open = append(open, <-waiting) // the one that waited
		go func() {
			for i, done := range open {
				if i != 7 {
					done(sms.Outcome{Fate: sms.Accepted})
				}
			}
		}()
		for i := range open {
			if i == 7 {
				continue
			}
			if got, want := l.next(t), fmt.Sprintf(`"id":%d}`, i); !strings.HasSuffix(got, want) {
				t.Fatalf("got %s, want %s", got, want)
			}
		}
	})
}

func TestPeerSubscribes(t *testing.T) {
	each(t, func(t *testing.T, core *fakeCore, s *Server, l line) {
		core.hub.Publish(events.Reloaded{})
		core.hub.Publish(events.Throttled{Connection: "acme"})
		ok := func(method, params string) {
			t.Helper()
			l.send(t, `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+params+`}`)
			if got := l.next(t); got != `{"jsonrpc":"2.0","result":"OK","id":1}` {
				t.Fatalf("%s %s: %s", method, params, got)
			}
		}
		event := func(want string) {
			t.Helper()
			n, err := events.Parse([]byte(l.next(t)))
			if got := fmt.Sprint(n.Seq, " ", n.Event.Name()); err != nil || got != want {
				t.Errorf("got %s, %v, want %s", got, err, want)
			}
		}
		ok("event_subscribe", `["E_SMPP_*"]`)
		core.hub.Publish(events.MessageFailed{})
		core.hub.Publish(events.Reloaded{})
		event("4 E_SMPP_RELOADED")

		var list struct{ Result json.RawMessage }
		if err := json.Unmarshal([]byte(s.call(t, `{"jsonrpc":"2.0","id":1,"method":"subscribers_list"}`)), &list); err != nil {
			t.Fatal(err)
		}
		if got := string(list.Result); !strings.Contains(got, `{"Events":[{"name":"E_SMPP_*","Subscribers":[{"socket":"`) || !strings.Contains(got, `"expire":"3600"`) {
			t.Errorf("subscribers_list: %s", got)
		}
		ok("event_subscribe", `{"event":"E_SMPP_*","expire":0}`)
		ok("event_subscribe", `{"event":"E_SMPP_*","expire":0}`) // it is over already
		core.hub.Publish(events.Reloaded{})
		// Nothing of it comes: the next object is the first event of the next subscription, or its answer.
		l.send(t, `{"jsonrpc":"2.0","id":2,"method":"event_subscribe","params":{"event":"E_SMPP_T*","after":0}}`)
		for range 2 {
			if got := l.next(t); !strings.Contains(got, `"seq":2,`) && !strings.Contains(got, `"id":2`) {
				t.Errorf("got %s", got)
			}
		}
	})
}

func TestSubscriptionsOfAPeerAreBounded(t *testing.T) {
	each(t, func(t *testing.T, _ *fakeCore, _ *Server, l line) {
		for i := range maxSubscriptions + 1 {
			l.send(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"event_subscribe","params":["E_%d"]}`, i))
			if got := l.next(t); strings.Contains(got, `"code":429`) != (i == maxSubscriptions) {
				t.Errorf("subscription %d: %s", i+1, got)
			}
		}
	})
}

func TestSocketFile(t *testing.T) {
	s := start(t, newFakeCore(), Options{})
	dir := t.TempDir()
	path := filepath.Join(dir, "mi.sock")
	l, err := s.ListenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := s.ListenSocket(path); err == nil || !strings.Contains(err.Error(), "served by another process") {
		t.Errorf("a second one: %v", err)
	}
	if err := l.(*socketListener).UnixListener.Close(); err != nil { // as a process that dies: the file stays
		t.Error(err)
	}
	l, err = s.ListenSocket(path)
	if err != nil {
		t.Fatalf("after a crash: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ListenSocket(path); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a file: %v", err)
	}
}

// Close answers what is in progress on a connection before it ends it.
func TestClosePeer(t *testing.T) {
	each(t, func(t *testing.T, core *fakeCore, s *Server, l line) {
		waiting := make(chan func(sms.Outcome), 1)
		core.accept = func(_ *sms.Message, done func(sms.Outcome)) { waiting <- done }
		l.send(t, `{"jsonrpc":"2.0","id":1,"method":"message_send","params":["1","2","hi"]}`)
		done := <-waiting
		closed := make(chan error, 1)
		go func() { closed <- s.Close(t.Context()) }()
		done(sms.Failed(sms.Temporary, sms.CauseShutdown, ""))
		if got := l.next(t); !strings.Contains(got, `"code":503`) {
			t.Errorf("got %s", got)
		}
		if !l.ended() {
			t.Error("the connection goes on")
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

// A client that reads nothing is dropped, and nobody else waits for it.
func TestStalledPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core := newFakeCore()
		s := New(core, Options{})
		ours, theirs := net.Pipe()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.serve(newSocketLink(ours, maxBody), "unix", nil)
		}()
		began := time.Now()
		socketLine{Conn: theirs}.send(t, versionCall)
		synctest.Wait() // its answer is being written
		if got := s.call(t, versionCall); got != versionAnswer || time.Since(began) > 0 {
			t.Errorf("somebody else: %s after %v", got, time.Since(began))
		}
		<-ended
		if d := time.Since(began); d < 10*time.Second || d > 11*time.Second {
			t.Errorf("dropped after %v", d)
		}
		_ = theirs.Close()
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
