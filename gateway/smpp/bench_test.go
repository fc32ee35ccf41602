package smpp

import (
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

// echo answers every PDU with yes, all that one read brought in one write. It knows no more of SMPP than the header, so that what
// is measured is the gateway's side.
func echo(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, 256<<10)
	var out []byte
	have := 0
	for {
		n, err := conn.Read(buf[have:])
		if err != nil {
			return
		}
		have += n
		at := 0
		out = out[:0]
		for have-at >= wire.HeaderLen {
			length := int(binary.BigEndian.Uint32(buf[at:]))
			if have-at < length {
				break
			}
			h := wire.Header{
				Command:  wire.CommandID(binary.BigEndian.Uint32(buf[at+4:])).Resp(),
				Sequence: binary.BigEndian.Uint32(buf[at+12:]),
			}
			start := len(out)
			out = append(wire.AppendHeader(out, h), "0123456789\x00"...)
			out = wire.Finish(out, start)
			at += length
		}
		have = copy(buf, buf[at:have])
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

// dialEcho is a network on which everybody is an echo, over TCP on loopback.
func dialEcho(tb testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var peers sync.WaitGroup
	tb.Cleanup(func() { l.Close(); peers.Wait() })
	peers.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			peers.Go(func() { echo(conn) })
		}
	})
	return l.Addr().String()
}

// ready is a Handler that tells when binds are up.
type ready struct {
	recorder
	up chan struct{}
}

func (r *ready) BindUp(BindStatus) { r.up <- struct{}{} }

// connected makes connections with acme bound to an echo.
func connected(tb testing.TB, window int) *Connections {
	host, port, _ := net.SplitHostPort(dialEcho(tb))
	h := &ready{up: make(chan struct{}, 8)}
	c := NewConnections(h, slog.New(slog.DiscardHandler))
	cfg := row(func(c *sms.ConnectionConfig) {
		c.Host, c.Window, c.QueueTimeout = host, window, time.Minute
		c.Port, _ = net.LookupPort("tcp", port)
	})
	c.Apply([]sms.ConnectionConfig{cfg})
	<-h.up
	tb.Cleanup(func() { c.Close(tb.Context()) })
	return c
}

// BenchmarkSubmit is a message from Submit to its Outcome, through TCP on loopback, as many at a time as the window holds.
func BenchmarkSubmit(b *testing.B) {
	for name, window := range map[string]int{"window=10": 10, "window=100": 100, "window=1000": 1000} {
		b.Run(name, func(b *testing.B) {
			c := connected(b, window)
			m := &sms.Message{From: sms.ParseAddress("100"), To: sms.ParseAddress("+4915112345678"), Text: "The quick brown fox"}
			slots := make(chan struct{}, 2*window)
			done := func(o sms.Outcome) {
				if o.Fate != sms.Accepted {
					b.Errorf("%+v", o)
				}
				<-slots
			}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				slots <- struct{}{}
				c.Submit("acme", m, done)
			}
			for range cap(slots) {
				slots <- struct{}{}
			}
		})
	}
}

// BenchmarkDeliver is a deliver_sm from the socket to its answer.
func BenchmarkDeliver(b *testing.B) {
	ours, theirs := net.Pipe()
	n := &network{socket: make(chan net.Conn, 1)}
	c := NewConnections(discard{}, slog.New(slog.DiscardHandler), WithDial(dialed(ours)))
	n.socket <- theirs
	c.Apply([]sms.ConnectionConfig{row()})
	r := wire.NewReader(theirs, 0)
	h, _, _ := r.Next()
	yes, _ := wire.Append(nil, wire.Header{Command: h.Command.Resp(), Sequence: h.Sequence}, nil)
	_, _ = theirs.Write(yes)
	const batch = 50
	var pdus []byte
	for seq := range uint32(batch) {
		pdus, _ = wire.Append(pdus, wire.Header{Command: wire.CmdDeliverSM, Sequence: seq + 1}, deliver("The quick brown fox"))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += batch {
		go theirs.Write(pdus)
		if _, err := io.CopyN(io.Discard, theirs, batch*17); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	theirs.Close()
	c.Close(b.Context())
}

// discard is a Handler that says yes to everything.
type discard struct{}

func (discard) Message(_ *sms.Message, answer func(wire.Status))           { answer(wire.StatusOK) }
func (discard) Receipt(_ sms.Leg, _ sms.Receipt, answer func(wire.Status)) { answer(wire.StatusOK) }
func (discard) BindUp(BindStatus)                                          {}
func (discard) BindDown(_ BindStatus, _ string, _ int)                     {}
func (discard) Throttled(Throttle)                                         {}
func (discard) Unthrottled(string)                                         {}

func (discard) Alert(string, sms.Address, uint32) {}

// BenchmarkWindow is what a request costs the window: its number, its place, and its end, of 200 that are outstanding.
func BenchmarkWindow(b *testing.B) {
	var w window
	m := &submission{}
	now := time.Now()
	send := func() {
		w.add(request{command: wire.CmdSubmitSM, sequence: w.next(), sent: now, message: m})
	}
	for range 200 {
		send()
	}
	b.ReportAllocs()
	for b.Loop() {
		w.remove(w.oldest)
		send()
	}
	if w.messages != 200 {
		b.Fatal(w.messages)
	}
}
