//go:build unix

package smpp

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"sipsmpp/gateway/gather"
	"sipsmpp/gateway/smpp/wire"
)

// A socket that is full takes what it can, and nothing waits for the rest.
func TestDirectWrite(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()

	d := newDirectWrite(conn)
	if n, err := d.write(nil); n != 0 || err != nil {
		t.Fatalf("nothing: %d, %v", n, err)
	}
	b := make([]byte, 256<<10)
	written := 0
	for {
		n, err := d.write(b)
		if err != nil {
			t.Fatal(err)
		}
		if written += n; n < len(b) {
			break
		}
	}
	if n, err := io.CopyN(io.Discard, peer, int64(written)); err != nil {
		t.Fatalf("%d of %d octets came: %v", n, written, err)
	}
	conn.Close()
	if n, err := d.write(b); n != 0 || err == nil {
		t.Errorf("a closed socket took %d octets: %v", n, err)
	}
	one, other := net.Pipe()
	defer one.Close()
	defer other.Close()
	if newDirectWrite(one) != nil {
		t.Error("a pipe is no socket")
	}
}

// What a full socket does not take leaves later, in its order.
func TestFlushToFullSocket(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	_, _ = conn.(*net.TCPConn).SetWriteBuffer(8<<10), peer.(*net.TCPConn).SetReadBuffer(8<<10) // so that it is full soon

	var g gather.Group
	s := newSession(conn, nobody{}, sessionConfig{
		role: esme, responseTimeout: time.Minute, counters: new(counters), gather: &g, log: slog.New(slog.DiscardHandler),
	})
	over := make(chan error, 1)
	go func() { over <- s.serve() }()
	const all, batch = 10_000, 100
	for sequence := uint32(1); sequence <= all; {
		g.Begin()
		for range batch {
			s.respond(wire.Header{Command: wire.CmdEnquireLink, Sequence: sequence}, wire.StatusOK)
			sequence++
		}
		g.End()
	}
	r := wire.NewReader(peer, 0)
	for want := uint32(1); want <= all; want++ {
		h, _, err := r.Next()
		if err != nil || h.Sequence != want {
			t.Fatalf("%+v, %v; want number %d", h, err, want)
		}
	}
	s.close(errStopped)
	if err := <-over; !errors.Is(err, errStopped) {
		t.Error(err)
	}
	if s.queued != s.written {
		t.Errorf("%d octets were queued, %d written", s.queued, s.written)
	}
}

// nobody owns a session.
type nobody struct{}

func (nobody) bound(*session)                         {}
func (nobody) received(*session, wire.Header, []byte) {}
func (nobody) answered(*session, []answer)            {}
func (nobody) idle(*session)                          {}
