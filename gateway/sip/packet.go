package sip

import (
	"net"
	"net/netip"
	"sync"

	"sipsmpp/gateway/sms"
)

// packet is one message on its way out. It belongs to whoever holds it: send takes it over.
type packet struct {
	b      []byte
	addr   *net.UDPAddr // where it goes; nil on a stream
	branch uint64       // of the request of ours that this is; 0: an answer
}

var packets = sync.Pool{New: func() any { return &packet{b: make([]byte, 0, 2048)} }}

func newPacket() *packet { return packets.Get().(*packet) }

func (p *packet) free() {
	if cap(p.b) <= 16<<10 {
		p.b, p.addr, p.branch = p.b[:0], nil, 0
		packets.Put(p)
	}
}

// carrier takes packets away without blocking: a UDP socket, or one stream.
type carrier interface {
	transport() transport
	send(p *packet)
}

// origin is where a message came from, and so where its answer goes.
type origin struct {
	by      carrier
	addr    *net.UDPAddr // the source of a datagram; nil on a stream
	from    netip.AddrPort
	name    string // of from in words, where it is known
	trusted bool
	user    *sms.SIPUser // who authenticated, where it is not trusted
}

// leg is what a message comes in by.
func (o origin) leg() sms.Leg {
	if o.user == nil {
		return sms.SIP
	}
	return sms.Leg{Kind: sms.LegSIP, Name: o.user.Name}
}

func (o origin) peer() string {
	if o.name != "" {
		return o.name
	}
	return o.by.transport().String() + ":" + o.from.String()
}

// listener is where we heard it.
func (o origin) listener() string {
	switch by := o.by.(type) {
	case *udpSocket:
		return by.name()
	case *stream:
		return by.by.String() + ":" + by.conn.LocalAddr().String()
	}
	return ""
}
