package sip

import (
	"encoding/binary"
	"net/netip"
)

// What a user agent keeps its NAT open with, by UDP: STUN binding requests at the port of SIP (RFC 5626, 4.4.2; RFC 8489).
const (
	stunRequest  = 0x0001
	stunResponse = 0x0101
	stunCookie   = 0x2112A442
	stunHead     = 20
	stunMapped   = 0x0020 // XOR-MAPPED-ADDRESS
	stunOptional = 0x8000 // attributes from here on need not be understood
)

// keepAlive says that a datagram asks for nothing that is SIP's: line ends, zeros, or a STUN binding request, whose response is appended
// to b. A request that wants more than a keep-alive does gets none.
func keepAlive(b, datagram []byte, from netip.AddrPort) (response []byte, is bool) {
	if len(datagram) <= 4 {
		for _, c := range datagram {
			if c != '\r' && c != '\n' && c != 0 {
				return b, false
			}
		}
		return b, true
	}
	if len(datagram) < stunHead || binary.BigEndian.Uint16(datagram) != stunRequest || binary.BigEndian.Uint32(datagram[4:]) != stunCookie ||
		int(binary.BigEndian.Uint16(datagram[2:])) != len(datagram)-stunHead {
		return b, false
	}
	for rest := datagram[stunHead:]; len(rest) > 0; {
		if len(rest) < 4 || binary.BigEndian.Uint16(rest) < stunOptional {
			return b, true
		}
		size := (int(binary.BigEndian.Uint16(rest[2:])) + 3) &^ 3
		if size > len(rest)-4 {
			return b, true
		}
		rest = rest[4+size:]
	}
	address := from.Addr().AsSlice()
	b = binary.BigEndian.AppendUint16(b, stunResponse)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(address)))
	b = append(b, datagram[4:stunHead]...)
	b = binary.BigEndian.AppendUint16(b, stunMapped)
	b = binary.BigEndian.AppendUint16(b, uint16(4+len(address)))
	b = binary.BigEndian.AppendUint16(b, uint16(1+len(address)/16)) // 1: IPv4, 2: IPv6
	b = binary.BigEndian.AppendUint16(b, from.Port()^(stunCookie>>16))
	for i, c := range address {
		b = append(b, c^datagram[4+i])
	}
	return b, true
}
