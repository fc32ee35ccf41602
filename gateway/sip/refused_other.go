//go:build !linux

package sip

import "net"

// tellRefusals has nothing to ask for: only Linux tells which datagram an ICMP error belongs to. Elsewhere a next hop that
// refuses is found out by Timer F.
func tellRefusals(*net.UDPConn) error { return nil }

// readRefusals knows of none.
func (s *udpSocket) readRefusals() bool { return false }
