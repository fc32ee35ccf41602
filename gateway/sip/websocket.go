package sip

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// subprotocol is what a WebSocket for SIP is opened with (RFC 7118, 4).
const subprotocol = "sip"

// serveWS is what takes WebSockets.
func (e *Endpoint) serveWS(by transport, upgrades *gate) *http.Server {
	upgrader := websocket.Upgrader{
		HandshakeTimeout: e.cfg.HandshakeTimeout, ReadBufferSize: 4096, WriteBufferSize: 4096, Subprotocols: []string{subprotocol},
		// A page of any origin may open one: what comes from a browser needs credentials, see below.
		CheckOrigin: func(*http.Request) bool { return true },
	}
	return &http.Server{
		ReadHeaderTimeout: e.cfg.HandshakeTimeout, MaxHeaderBytes: 16 << 10, ErrorLog: log.New(discardWriter{}, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !upgrades.enter() {
				http.Error(w, "going down", http.StatusServiceUnavailable)
				return
			}
			defer upgrades.leave()
			if !websocket.IsWebSocketUpgrade(r) || !containsToken(websocket.Subprotocols(r), subprotocol) {
				http.Error(w, "this is SIP over WebSocket: open one with subprotocol sip (RFC 7118)", http.StatusBadRequest)
				return
			}
			ws, err := upgrader.Upgrade(w, r, nil)
			if err != nil {
				return // it was answered
			}
			s := newStream(e, ws.UnderlyingConn(), func() {})
			s.by, s.ws = by, ws
			s.browser = r.Header.Get("Origin") != ""
			e.start(s)
		}),
	}
}

// gate lets in until it is shut, and then waits for who is within.
type gate struct {
	mu     sync.Mutex
	closed bool
	within sync.WaitGroup
}

func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.within.Add(1)
	}
	return !g.closed
}

func (g *gate) leave() { g.within.Done() }

func (g *gate) shut() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.within.Wait()
}

func containsToken(list []string, token string) bool {
	for _, t := range list {
		if t == token {
			return true
		}
	}
	return false
}

type discardWriter struct{}

func (discardWriter) Write(b []byte) (int, error) { return len(b), nil }

// readWS reads the messages of a WebSocket: each is one of SIP (RFC 7118, 5).
func (s *stream) readWS() {
	s.ws.SetReadLimit(int64(maxHead + s.e.cfg.MaxBody))
	var in inbox
	heard := time.Now()
	s.ws.SetPingHandler(func(data string) error {
		heard = time.Now()
		s.heard.Store(heard.UnixNano())
		_ = s.ws.SetReadDeadline(s.idleAt(heard))
		_ = s.ws.WriteControl(websocket.PongMessage, []byte(data), heard.Add(writeTime)) // reading tells what is wrong
		return nil
	})
	for {
		_ = s.ws.SetReadDeadline(s.idleAt(heard))
		kind, b, err := s.ws.ReadMessage()
		if err != nil {
			// A deadline breaks the WebSocket for good, so that the connection is closed also where it was written to meanwhile.
			if errors.Is(err, websocket.ErrReadLimit) {
				s.e.count[s.by].malformed.Add(1)
			}
			s.close()
			return
		}
		heard = time.Now()
		s.heard.Store(heard.UnixNano())
		if kind != websocket.TextMessage && kind != websocket.BinaryMessage {
			continue
		}
		if string(b) == "\r\n\r\n" { // a ping as on TCP (RFC 5626, 4.4.1); JsSIP sends it
			s.queue([]byte("\r\n"))
			continue
		}
		s.e.received(&in, b, s.origin())
	}
}

// writeWS writes what was queued, a message for each: ends are where they end in b.
func (s *stream) writeWS(b []byte, ends []int) error {
	start := 0
	for _, end := range ends {
		kind := websocket.TextMessage
		if !utf8.Valid(b[start:end]) {
			kind = websocket.BinaryMessage
		}
		_ = s.ws.SetWriteDeadline(time.Now().Add(writeTime))
		if err := s.ws.WriteMessage(kind, b[start:end]); err != nil {
			return err
		}
		start = end
	}
	return nil
}

// dialWS makes a WebSocket of a connection to a next hop.
func (e *Endpoint) dialWS(ctx context.Context, conn net.Conn, h *hop) (*websocket.Conn, error) {
	d := websocket.Dialer{
		NetDialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		Subprotocols:   []string{subprotocol}, ReadBufferSize: 4096, WriteBufferSize: 4096, HandshakeTimeout: e.cfg.HandshakeTimeout,
	}
	target := url.URL{Scheme: "ws", Host: h.address, Path: "/"} // also for wss: TLS is done already
	ws, response, err := d.DialContext(ctx, target.String(), nil)
	if err != nil {
		if response != nil {
			err = errors.New("the WebSocket was refused with HTTP " + response.Status)
		}
		return nil, err
	}
	if ws.Subprotocol() != subprotocol {
		_ = ws.Close()
		return nil, errors.New("the WebSocket speaks no SIP: the peer did not choose subprotocol sip")
	}
	return ws, nil
}

// counted is a listener that bounds the connections of all listeners together.
type counted struct {
	net.Listener
	e  *Endpoint
	by transport
}

// Accept gives the next connection that may be had, and closes those that are too many.
func (l counted) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.e.admits(addrPort(conn.RemoteAddr()).Addr(), l.by) {
			return &countedConn{Conn: conn, e: l.e}, nil
		}
		_ = conn.Close()
	}
}

// admits counts a connection in, unless there are too many: half of them are for who is not trusted.
func (e *Endpoint) admits(from netip.Addr, by transport) bool {
	limit := e.cfg.MaxConnections
	if !e.trusts(from) {
		limit /= 2
	}
	if int(e.accepted.Add(1)) > limit {
		e.accepted.Add(-1)
		e.count[by].overload.Add(1)
		return false
	}
	return true
}

type countedConn struct {
	net.Conn
	e      *Endpoint
	closed atomic.Bool
}

// Close counts the connection out.
func (c *countedConn) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.e.accepted.Add(-1)
	}
	return c.Conn.Close()
}
