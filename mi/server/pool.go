package server

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"sipsmpp/mi"
)

// maxConnections is the most TCP connections unless mi.max_connections says otherwise.
const maxConnections = 8192

// pool bounds the TCP connections of the MI. A full one makes room for a new connection by closing the one that has waited longest
// for its request to be whole, so that who holds connections idle, or sends a request octet by octet, locks nobody out. One that is
// served, because its request is whole or it is a WebSocket, is never closed for another; and WebSockets leave an eighth to the rest.
type pool struct {
	net.Listener
	max int

	mu      sync.Mutex
	open    int
	sockets int
	waiting list.List // of *pooled, the longest first

	evicted    atomic.Uint64 // closed to make room
	turnedAway atomic.Uint64 // closed at once: all others were served
}

// pooled is a connection of the pool.
type pooled struct {
	net.Conn
	pool   *pool
	place  *list.Element // among the waiting; nil: it is served, or closed
	closed bool
}

// Accept gives the next connection that there is room for.
func (p *pool) Accept() (net.Conn, error) {
	for {
		conn, err := p.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &pooled{Conn: conn, pool: p}
		p.mu.Lock()
		var longest *pooled
		if p.open >= p.max {
			if first := p.waiting.Front(); first != nil {
				longest = first.Value.(*pooled)
				longest.leave()
			}
		}
		full := p.open >= p.max
		if !full {
			p.open++
			c.place = p.waiting.PushBack(c)
		}
		p.mu.Unlock()
		if longest != nil {
			p.evicted.Add(1)
			_ = longest.Conn.Close()
		}
		if full {
			p.turnedAway.Add(1)
			_ = conn.Close()
			continue
		}
		return c, nil
	}
}

// leave takes a connection out of the pool. The caller has the lock.
func (c *pooled) leave() {
	if c.closed {
		return
	}
	c.closed = true
	c.pool.open--
	if c.place != nil {
		c.pool.waiting.Remove(c.place)
		c.place = nil
	}
}

// Close closes the connection and makes room.
func (c *pooled) Close() error {
	c.pool.mu.Lock()
	c.leave()
	c.pool.mu.Unlock()
	return c.Conn.Close()
}

type pooledKey struct{}

// connContext lets a request find its connection.
func connContext(ctx context.Context, conn net.Conn) context.Context {
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS
		conn = wrapped.NetConn()
	}
	if c, ok := conn.(*pooled); ok {
		return context.WithValue(ctx, pooledKey{}, c)
	}
	return ctx
}

// served says that the request of a connection is whole, and is answered until done is called.
func served(r *http.Request) (done func()) {
	c, ok := r.Context().Value(pooledKey{}).(*pooled)
	if !ok {
		return func() {}
	}
	p := c.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.place != nil {
		p.waiting.Remove(c.place)
		c.place = nil
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !c.closed && c.place == nil {
			c.place = p.waiting.PushBack(c)
		}
	}
}

// socket lets a request become a WebSocket, which is served until done is called, or answers that there are too many.
func (s *Server) socket(w http.ResponseWriter, r *http.Request) (done func(), ok bool) {
	p := s.pool
	p.mu.Lock()
	full := p.sockets >= p.max-max(1, p.max/8)
	if !full {
		p.sockets++
	}
	p.mu.Unlock()
	if full {
		w.Header().Set("Retry-After", "10")
		fail(w, http.StatusServiceUnavailable, mi.NewError(mi.CodeNotNow, "too many WebSockets: mi.max_connections bounds them", nil))
		return nil, false
	}
	end := served(r)
	return func() {
		p.mu.Lock()
		p.sockets--
		p.mu.Unlock()
		end()
	}, true
}

// counts are the connections now, and the WebSockets among them.
func (p *pool) counts() (open, sockets int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open, p.sockets
}
