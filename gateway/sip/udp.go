package sip

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"sipsmpp/gateway/gather"

	"golang.org/x/net/ipv4"
)

const (
	batchSize    = 32       // datagrams taken or sent in one system call
	datagramSize = 64 << 10 // the largest there is
	sendQueue    = 8192     // datagrams that wait to leave a socket
	socketBuffer = 8 << 20  // asked of the kernel, which may give less
)

// batchConn is a UDP socket that takes and sends many datagrams at once, as ipv4.PacketConn does, which serves IPv6 as well.
type batchConn interface {
	ReadBatch(ms []ipv4.Message, flags int) (int, error)
	WriteBatch(ms []ipv4.Message, flags int) (int, error)
	LocalAddr() net.Addr
	Close() error
	// readRefusal takes one ICMP error, if there is one: the piece of our datagram that it quotes, and whether it says that
	// nobody took it. It never waits.
	readRefusal(b []byte) (n int, unreachable, ok bool)
}

// udpConn is a batchConn of the kernel.
type udpConn struct {
	*ipv4.PacketConn
	raw syscall.RawConn
}

// udpSocket is one listener. One goroutine reads it. What is to leave is sent at the end of the batch that it came of, by whoever
// worked on that, else by the writer.
type udpSocket struct {
	e       *Endpoint
	conn    batchConn
	local   netip.AddrPort
	wake    chan struct{} // the writer has something to do
	closing chan struct{} // what is queued leaves, then it is closed

	writing sync.Mutex // of who sends
	ms      []ipv4.Message
	spare   []*packet
	lost    []lostPacket

	mu   sync.Mutex
	out  []*packet
	late bool // out leaves with the batch that is being worked on
}

func listenUDP(address string) (*udpConn, error) {
	network := "udp"
	if ap, err := netip.ParseAddrPort(address); err == nil && ap.Addr().Is4() {
		network = "udp4"
	}
	laddr, err := net.ResolveUDPAddr(network, address)
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP(network, laddr)
	if err != nil {
		return nil, err
	}
	// The kernel caps both at its own limits; a smaller buffer works, only worse.
	_ = conn.SetReadBuffer(socketBuffer)
	_ = conn.SetWriteBuffer(socketBuffer)
	raw, err := conn.SyscallConn()
	if err == nil {
		err = tellRefusals(raw)
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("cannot ask for ICMP errors: %w", err)
	}
	return &udpConn{ipv4.NewPacketConn(conn), raw}, nil
}

func newUDPSocket(e *Endpoint, conn batchConn) *udpSocket {
	s := &udpSocket{
		e: e, conn: conn, local: addrPort(conn.LocalAddr()),
		wake: make(chan struct{}, 1), closing: make(chan struct{}), ms: make([]ipv4.Message, batchSize),
	}
	for i := range s.ms {
		s.ms[i].Buffers = make([][]byte, 1)
	}
	return s
}

func (s *udpSocket) transport() transport { return byUDP }

func (s *udpSocket) end() { close(s.closing) }

// send queues p. Beyond the queue it is dropped, as the network would: who waits for it asks again.
func (s *udpSocket) send(p *packet) {
	s.mu.Lock()
	if len(s.out) >= sendQueue {
		s.mu.Unlock()
		s.e.count[byUDP].dropped.Add(1)
		p.free()
		return
	}
	s.out = append(s.out, p)
	if s.e.taps.Watched() {
		s.e.trace(true, byUDP, addrPort(p.addr), p.b)
	}
	waits := s.late
	if !waits {
		s.late = s.e.cfg.Gather.Later(s)
		waits = s.late
	}
	s.mu.Unlock()
	if !waits {
		s.wakeWriter()
	}
}

func (s *udpSocket) wakeWriter() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// read takes datagrams until the socket is closed.
func (s *udpSocket) read() {
	ms := make([]ipv4.Message, batchSize)
	for i := range ms {
		ms[i].Buffers = [][]byte{make([]byte, datagramSize)}
	}
	var in inbox
	var rests gather.Rest
	var failing backoff
	for {
		n, err := s.conn.ReadBatch(ms, 0)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// An ICMP error shows up as an error of the next call. Any other must not end the listener, nor spin.
			if lost, came := s.readRefusals(nil); came {
				s.tell(lost)
			} else {
				s.e.log.Warn("reading failed; going on", "listener", s.name(), "error", err)
				failing.wait(s.e.ctx)
			}
			continue
		}
		failing = 0
		s.e.cfg.Gather.Begin()
		for i := range ms[:max(n, 0)] {
			if addr, ok := ms[i].Addr.(*net.UDPAddr); ok {
				s.datagram(&in, ms[i].Buffers[0][:ms[i].N], addr)
			}
		}
		s.e.cfg.Gather.End()
		rests.After(n, time.Now())
	}
}

func (s *udpSocket) datagram(in *inbox, b []byte, addr *net.UDPAddr) {
	from := addrPort(addr)
	if s.e.registrar != nil && (len(b) <= 4 || b[0] == 0) { // no SIP begins so
		p := newPacket()
		var is bool
		if p.b, is = keepAlive(p.b, b, from); len(p.b) > 0 {
			p.addr = addr
			s.send(p)
		} else {
			p.free()
		}
		if is {
			return
		}
	}
	s.e.received(in, b, origin{by: s, addr: addr, from: from, name: in.nameOf(from), trusted: s.e.trusts(from.Addr())})
}

// write sends what is queued until closing; then the rest, and closes the socket.
func (s *udpSocket) write() {
	for closing := false; !closing; {
		select {
		case <-s.wake:
		case <-s.closing:
			closing = true
		}
		s.mu.Lock()
		late := s.late && !closing
		s.mu.Unlock()
		if !late {
			s.writing.Lock()
			s.flush()
		}
	}
	_ = s.conn.Close()
}

// Flush is called at the end of a batch. The kernel takes a datagram at once, or as soon as the one before has left: it waits for no
// peer.
func (s *udpSocket) Flush() {
	s.mu.Lock()
	s.late = false
	s.mu.Unlock()
	if !s.writing.TryLock() {
		s.wakeWriter()
		return
	}
	s.flush()
}

// flush sends what is queued, as much in one call as there is. s.writing is held, and given up before those hear of it whose
// datagrams did not arrive.
func (s *udpSocket) flush() {
	s.mu.Lock()
	out := s.out
	s.out = s.spare[:0]
	s.mu.Unlock()
	for rest := out; len(rest) > 0; {
		n := min(len(rest), batchSize)
		s.sendBatch(rest[:n])
		rest = rest[n:]
	}
	clear(out)
	s.spare = out
	lost := s.lost
	s.lost = nil
	s.writing.Unlock()
	s.tell(lost)
}

// lostPacket is a request that did not arrive, as far as this machine knows: the kernel did not take it, or nobody there did.
type lostPacket struct {
	branch uint64
	err    error
}

// errNobodyListens is what ICMP tells.
var errNobodyListens = errors.New("nobody listens there")

func (s *udpSocket) tell(lost []lostPacket) {
	for _, l := range lost {
		s.e.unsent(l.branch, l.err)
	}
}

// sendBatch sends packets in one call, and what that left in others.
func (s *udpSocket) sendBatch(batch []*packet) {
	ms := s.ms[:len(batch)]
	for i, p := range batch {
		ms[i].Buffers[0], ms[i].Addr = p.b, p.addr
	}
	for sent, tries := 0, 0; sent < len(ms); {
		n, err := s.conn.WriteBatch(ms[sent:], 0)
		if err == nil && n > 0 {
			sent, tries = sent+n, 0
			continue
		}
		var came bool
		if s.lost, came = s.readRefusals(s.lost); came && tries < 64 {
			tries++ // the error was that of an earlier datagram; this one was not tried
			continue
		}
		s.e.count[byUDP].dropped.Add(1)
		if batch[sent].branch != 0 {
			s.lost = append(s.lost, lostPacket{batch[sent].branch, err})
		}
		sent, tries = sent+1, 0
	}
	for i, p := range batch {
		ms[i].Buffers[0], ms[i].Addr = nil, nil
		p.free()
	}
}

// readRefusals takes the ICMP errors that came, and appends the requests that nobody took to lost. came is false if there was no
// error.
func (s *udpSocket) readRefusals(lost []lostPacket) (_ []lostPacket, came bool) {
	var b [2048]byte
	for range 1024 {
		n, unreachable, ok := s.conn.readRefusal(b[:])
		if !ok {
			break
		}
		came = true
		if branch, ours := quotedBranch(b[:n]); unreachable && ours {
			lost = append(lost, lostPacket{branch, errNobodyListens})
		}
	}
	return lost, came
}

func (s *udpSocket) name() string { return "udp:" + s.local.String() }

// addrPort is a socket's address, an IPv4 address as such also where the socket is an IPv6 one.
func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.UDPAddr:
		ap = a.AddrPort()
	case *net.TCPAddr:
		ap = a.AddrPort()
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
