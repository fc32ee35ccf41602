package sip

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
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

	wake    chan struct{}
	closing chan struct{} // what is queued leaves, then it is closed

	mu     sync.Mutex
	out    []byte
	used   time.Time // when something was queued last
	closed bool
	ending bool
}

func newStream(e *Endpoint, conn net.Conn, gone func()) *stream {
	return &stream{
		e: e, conn: conn, remote: addrPort(conn.RemoteAddr()), gone: gone,
		wake: make(chan struct{}, 1), closing: make(chan struct{}),
	}
}

func (s *stream) network() string { return "tcp" }

// send queues p. On a stream that is closed it is lost, as it would be a moment later.
func (s *stream) send(p *packet) {
	if !s.queue(p.b) {
		s.e.count.dropped.Add(1)
	}
	p.free()
}

// queue is send for octets that stay the caller's. It is false if they will not leave.
func (s *stream) queue(b []byte) bool {
	s.mu.Lock()
	over, shut := len(s.out)+len(b) > maxUnsent, s.closed || s.ending
	if !over && !shut {
		s.out = append(s.out, b...)
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
	for closing := false; ; {
		s.mu.Lock()
		b := s.out
		s.out = spare[:0]
		s.mu.Unlock()
		if len(b) > 0 {
			_ = s.conn.SetWriteDeadline(time.Now().Add(writeTime))
			if _, err := s.conn.Write(b); err != nil {
				return
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
	return heard.Add(s.e.cfg.IdleTimeout)
}

func (s *stream) read() {
	f := framer{maxBody: s.e.cfg.MaxBody}
	from := origin{by: s, from: s.remote, trusted: s.e.trusts(s.remote.Addr())}
	var in inbox
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
		} else if errors.Is(err, os.ErrDeadlineExceeded) && !f.partial() && time.Now().Before(s.idleAt(heard)) {
			continue // it was written to meanwhile
		}
		f.filled(n)
		for pongs := 0; ; {
			fr, ok := f.next()
			if !ok {
				break
			}
			began = time.Time{}
			switch {
			case fr.ping:
				if pongs++; pongs <= maxPongs {
					s.queue([]byte("\r\n"))
				}
			case fr.code != 0:
				s.e.refuseHead(&in, fr, from)
			case fr.octets != nil:
				s.e.received(&in, fr.octets, from)
			}
			if fr.last {
				s.e.count.malformed.Add(1)
				s.end()
				return
			}
		}
		if err != nil {
			s.close()
			return
		}
	}
}

// tcpListener takes the connections that peers open.
type tcpListener struct {
	e *Endpoint
	l net.Listener
}

func listenTCP(address string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAlive: tcpKeepAlives}
	return lc.Listen(context.Background(), "tcp", address)
}

func (t *tcpListener) accept() {
	for {
		conn, err := t.l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of file descriptors, mostly: it passes, and must neither end the listener nor spin.
			t.e.log.Warn("accepting failed; going on", "listener", "tcp:"+t.l.Addr().String(), "error", err)
			time.Sleep(50 * time.Millisecond)
			continue
		}
		limit := t.e.cfg.MaxConnections
		if !t.e.trusts(addrPort(conn.RemoteAddr()).Addr()) {
			limit /= 2
		}
		if int(t.e.accepted.Add(1)) > limit {
			t.e.accepted.Add(-1)
			t.e.count.overload.Add(1)
			_ = conn.Close()
			continue
		}
		s := newStream(t.e, conn, func() { t.e.accepted.Add(-1) })
		t.e.start(s)
	}
}
