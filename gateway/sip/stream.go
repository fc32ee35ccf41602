package sip

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"sipsmpp/gateway/gather"

	"github.com/gorilla/websocket"
)

const (
	messageTime   = 30 * time.Second // from a message's first octet to its last
	writeTime     = 10 * time.Second // for what is queued to leave
	maxUnsent     = 1 << 20          // octets that wait for a peer that does not read; then the connection is closed
	maxPongs      = 64               // answers to pings among them
	tcpKeepAlives = 30 * time.Second
)

// stream is one TCP connection, opened by a peer or by us. One goroutine reads it, one writes. TLS and WebSocket differ only in
// the net.Conn and in how messages are framed.
type stream struct {
	e       *Endpoint
	conn    net.Conn
	remote  netip.AddrPort
	gone    func() // called once, when it was closed
	dialled bool   // by us
	by      transport
	ws      *websocket.Conn // nil: messages are framed by their Content-Length
	heard   atomic.Int64    // when something came by it last, in Unix nanoseconds
	asked   atomic.Bool     // a request of ours went by it
	browser bool            // a page in somebody's browser opened it: it needs credentials wherever it is

	wake    chan struct{}
	closing chan struct{} // what is queued leaves, then it is closed

	mu     sync.Mutex
	out    []byte
	ends   []int     // of a WebSocket: where the messages in out end
	used   time.Time // when something was queued last
	kept   time.Time // it stays open until then, used or not
	closed bool
	ending bool
}

func newStream(e *Endpoint, conn net.Conn, gone func()) *stream {
	return &stream{
		e: e, conn: conn, remote: addrPort(conn.RemoteAddr()), gone: gone,
		by: byTCP, wake: make(chan struct{}, 1), closing: make(chan struct{}),
	}
}

func (s *stream) transport() transport { return s.by }

// origin is where what comes on it came from.
func (s *stream) origin() origin {
	return origin{by: s, from: s.remote, trusted: !s.browser && s.e.trusts(s.remote.Addr())}
}

// send queues p. On a stream that is closed it is lost, as it would be a moment later.
func (s *stream) send(p *packet) {
	if !s.queue(p.b) {
		s.e.count[s.by].dropped.Add(1)
	}
	p.free()
}

// queue is send for octets that stay the caller's. It is false if they will not leave.
func (s *stream) queue(b []byte) bool {
	s.mu.Lock()
	over, shut := len(s.out)+len(b) > maxUnsent, s.closed || s.ending
	if !over && !shut {
		s.out = append(s.out, b...)
		if s.e.taps.Watched() && len(b) > len("\r\n") { // which answers a ping
			s.e.trace(true, s.by, s.remote, b)
		}
		if s.ws != nil {
			s.ends = append(s.ends, len(s.out))
		}
		s.used = time.Now()
	}
	s.mu.Unlock()
	if shut {
		return false
	}
	if over {
		s.close() // the peer does not read
		return false
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return true
}

// end closes the stream when what is queued has left.
func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ending {
		s.ending = true
		close(s.closing)
	}
}

// close closes it at once. Requests of ours that wait for an answer on it have none to expect.
func (s *stream) close() {
	s.mu.Lock()
	was := s.closed
	s.closed = true
	s.mu.Unlock()
	if !was {
		_ = s.conn.Close()
		s.end()
		s.gone()
		s.e.forget(s)
		s.e.lost(s)
	}
}

func (s *stream) write() {
	defer s.close()
	var spare []byte
	var spareEnds []int
	for closing := false; ; {
		s.mu.Lock()
		b := s.out
		s.out = spare[:0]
		ends := s.ends
		s.ends = spareEnds[:0]
		s.mu.Unlock()
		spareEnds = ends
		if len(b) > 0 {
			if s.ws != nil {
				if s.writeWS(b, ends) != nil {
					return
				}
			} else {
				_ = s.conn.SetWriteDeadline(time.Now().Add(writeTime))
				if _, err := s.conn.Write(b); err != nil {
					return
				}
			}
			if spare = b; cap(spare) > 256<<10 {
				spare = nil
			}
			continue
		}
		spare = b
		if closing {
			return
		}
		select {
		case <-s.wake:
		case <-s.closing:
			closing = true
		}
	}
}

// idleAt is when the stream has carried nothing for too long.
func (s *stream) idleAt(heard time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used.After(heard) {
		heard = s.used
	}
	if idle := heard.Add(s.e.cfg.IdleTimeout); idle.After(s.kept) {
		return idle
	}
	return s.kept
}

// keep keeps the stream open until a time, or longer where it was kept for longer, though nothing comes by it.
func (s *stream) keep(until time.Time) {
	s.mu.Lock()
	if until.After(s.kept) {
		s.kept = until
	}
	s.mu.Unlock()
}

// letGo ends that.
func (s *stream) letGo() {
	s.mu.Lock()
	s.kept = time.Time{}
	s.mu.Unlock()
}

func (s *stream) read() {
	if s.ws != nil {
		s.readWS()
		return
	}
	if secured, ok := s.conn.(*tls.Conn); ok && !s.dialled {
		_ = s.conn.SetDeadline(time.Now().Add(s.e.cfg.HandshakeTimeout))
		if secured.Handshake() != nil {
			s.e.count[s.by].malformed.Add(1)
			s.close()
			return
		}
		_ = s.conn.SetDeadline(time.Time{})
	}
	f := framer{maxBody: s.e.cfg.MaxBody}
	from := s.origin()
	var in inbox
	var rests gather.Rest
	began := time.Time{}
	heard := time.Now()
	for {
		now := time.Now()
		switch {
		case !f.partial():
			began = time.Time{}
			_ = s.conn.SetReadDeadline(s.idleAt(heard))
		case began.IsZero():
			began = now
			_ = s.conn.SetReadDeadline(now.Add(messageTime))
		}
		n, err := s.conn.Read(f.space())
		if n > 0 {
			heard = time.Now()
			s.heard.Store(heard.UnixNano())
		} else if errors.Is(err, os.ErrDeadlineExceeded) && !f.partial() && time.Now().Before(s.idleAt(heard)) {
			continue // it was written to meanwhile
		}
		f.filled(n)
		s.e.cfg.Gather.Begin()
		taken, last := s.take(&f, &in, from)
		s.e.cfg.Gather.End()
		if taken > 0 {
			began = time.Time{}
		}
		if last {
			s.e.count[s.by].malformed.Add(1)
			s.end()
			return
		}
		if err != nil {
			s.close()
			return
		}
		rests.After(taken, heard)
	}
}

// take takes what a read brought, and says how much that was, and whether the stream cannot be read beyond it.
func (s *stream) take(f *framer, in *inbox, from origin) (taken int, last bool) {
	for pongs := 0; ; taken++ {
		fr, ok := f.next()
		if !ok {
			return taken, false
		}
		switch {
		case fr.ping:
			if pongs++; pongs <= maxPongs {
				s.queue([]byte("\r\n"))
			}
		case fr.code != 0:
			s.e.refuseHead(in, fr, from)
		case fr.octets != nil:
			s.e.received(in, fr.octets, from)
		}
		if fr.last {
			return taken, true
		}
	}
}

// streamListener takes the connections that peers open.
type streamListener struct {
	e  *Endpoint
	l  net.Listener
	by transport
	ws *http.Server // of a WebSocket listener

	upgrades gate // what makes WebSockets of connections
}

// serve takes them until the listener is closed.
func (t *streamListener) serve() {
	if t.ws != nil {
		_ = t.ws.Serve(t.l) // ends with the listener
		t.upgrades.shut()   // and so no connection is started once nobody waits for it
		return
	}
	t.accept()
}

func (t *streamListener) close() {
	_ = t.l.Close()
	if t.ws != nil {
		_ = t.ws.Close() // and so those that have not made a WebSocket of it
	}
}

func listenTCP(address string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAlive: tcpKeepAlives}
	return lc.Listen(context.Background(), "tcp", address)
}

func (t *streamListener) accept() {
	var failing backoff
	for {
		conn, err := t.l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of file descriptors, mostly: it passes, and must neither end the listener nor spin.
			t.e.log.Warn("accepting failed; going on", "listener", t.by.String()+":"+t.l.Addr().String(), "error", err)
			failing.wait(t.e.ctx)
			continue
		}
		failing = 0
		if !t.e.admits(addrPort(conn.RemoteAddr()).Addr(), t.by) {
			_ = conn.Close()
			continue
		}
		if t.by == byTLS {
			conn = tls.Server(conn, t.e.serverTLS())
		}
		s := newStream(t.e, conn, func() { t.e.accepted.Add(-1) })
		s.by = t.by
		t.e.start(s)
	}
}
