package server

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"sipsmpp/events"
)

// connect opens a TCP connection and writes what it begins with.
func connect(t testing.TB, address, begin string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, begin); err != nil {
		t.Fatal(err)
	}
	return c
}

// isClosed waits a moment for the other side to have closed a connection.
func isClosed(c net.Conn, within time.Duration) bool {
	_ = c.SetReadDeadline(time.Now().Add(within))
	_, err := c.Read(make([]byte, 1))
	timeout, ok := err.(net.Error)
	return err != nil && (!ok || !timeout.Timeout())
}

// post calls by a connection of its own.
func post(address, body string) (status int, answer string, err error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	r, err := client.Post("http://"+address+"/mi", "application/json", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return r.StatusCode, string(b), err
}

const (
	slowHead = "POST /mi HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Le"
	slowBody = "POST /mi HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
)

// Whoever holds connections idle, or sends a request octet by octet, locks nobody out: the one that has waited longest goes.
func TestFullOfIdlers(t *testing.T) {
	for name, begin := range map[string]string{"idle": "", "slow head": slowHead, "slow body": slowBody} {
		t.Run(name, func(t *testing.T) {
			s := New(newFakeCore(), Options{MaxConnections: 8})
			address := listen(t, s)
			var idlers []net.Conn
			for range 8 {
				idlers = append(idlers, connect(t, address, begin))
			}
			for range 20 {
				if status, answer, err := post(address, versionCall); err != nil || status != 200 || answer != versionAnswer {
					t.Fatalf("%d %s, %v", status, answer, err)
				}
			}
			if !isClosed(idlers[0], 10*time.Second) {
				t.Error("the one that waited longest is still there")
			}
			if isClosed(idlers[7], 10*time.Millisecond) {
				t.Error("the last one went before it had to")
			}
			if open, _ := s.pool.counts(); open > 8 {
				t.Errorf("%d connections", open)
			}
		})
	}
}

// What is served is not closed for another; WebSockets leave room for calls, and say why there are no more of them.
func TestFullOfSockets(t *testing.T) {
	core := newFakeCore()
	s := New(core, Options{MaxConnections: 8})
	address := listen(t, s)
	dial := func() (*websocket.Conn, *http.Response, error) {
		return websocket.DefaultDialer.Dial("ws://"+address+"/events", nil)
	}
	var streams []*websocket.Conn
	for range 7 {
		ws, _, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		defer ws.Close()
		streams = append(streams, ws)
	}
	if _, r, err := dial(); err == nil || r == nil || r.StatusCode != 503 {
		t.Fatalf("one more: %v, %v", r, err)
	}
	for range 30 {
		connect(t, address, "")
	}
	if status, _, err := post(address, versionCall); err != nil || status != 200 {
		t.Errorf("%d, %v", status, err)
	}
	core.hub.Publish(events.Reloaded{})
	for _, ws := range streams {
		if _, data, err := ws.ReadMessage(); err != nil || !strings.Contains(string(data), "E_SMPP_RELOADED") {
			t.Errorf("%s, %v", data, err)
		}
	}
	_ = streams[0].Close()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) { // until it is noticed
		ws, _, err := dial()
		if err == nil {
			_ = ws.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatal("a WebSocket that went left no room")
		}
	}
}

// endless is a body that never ends.
type endless struct{ sent atomic.Int64 }

func (e *endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	e.sent.Add(int64(len(b)))
	return len(b), nil
}

// A body of a gigabyte is refused before it is read, one of unknown length after mi.max_body; neither is kept in memory.
func TestHugeBody(t *testing.T) {
	address := listen(t, New(newFakeCore(), Options{}))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for name, length := range map[string]int64{"announced": 1 << 30, "chunked": -1} {
		body := &endless{}
		r, err := http.NewRequest(http.MethodPost, "http://"+address+"/mi", io.NopCloser(body))
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = length
		r.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			if !strings.Contains(err.Error(), "reset") && !strings.Contains(err.Error(), "broken pipe") { // it was closed while we wrote
				t.Errorf("%s: %v", name, err)
			}
		} else {
			answer, _ := io.ReadAll(response.Body)
			_ = response.Body.Close()
			if response.StatusCode != 413 || !strings.Contains(string(answer), "mi.max_body") {
				t.Errorf("%s: %s %s", name, response.Status, answer)
			}
		}
		if body.sent.Load() > 64<<20 {
			t.Errorf("%s: %d octets were taken", name, body.sent.Load())
		}
	}
	http.DefaultClient.CloseIdleConnections()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("the heap grew by %d octets", grown)
	}
	if status, _, err := post(address, versionCall); err != nil || status != 200 {
		t.Errorf("%d, %v", status, err)
	}
}

// Random octets on every door, many at once: each is answered or closed, and the server serves on.
func TestRandomOctets(t *testing.T) {
	s := New(newFakeCore(), Options{MaxConnections: 64})
	address := listen(t, s)
	begins := []string{"", "GET / HTTP/1.1\r\n", "POST /mi HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n",
		"GET /mi HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"}
	var wait sync.WaitGroup
	for i := range 16 {
		wait.Go(func() {
			seed := uint32(i + 1)
			for range 25 {
				c, err := net.Dial("tcp", address)
				if err != nil {
					t.Error(err)
					return
				}
				var b bytes.Buffer
				b.WriteString(begins[int(seed)%len(begins)])
				for range 100 {
					seed = seed*1664525 + 1013904223
					b.WriteByte(byte(seed >> 24))
				}
				_, _ = c.Write(b.Bytes()) // it may be closed by now
				_ = c.(*net.TCPConn).CloseWrite()
				_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
				if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
					t.Errorf("%q was neither answered nor closed", b.Bytes())
				}
				_ = c.Close()
			}
		})
	}
	wait.Wait()
	if status, answer, err := post(address, versionCall); err != nil || status != 200 || answer != versionAnswer {
		t.Errorf("%d %s, %v", status, answer, err)
	}
}
