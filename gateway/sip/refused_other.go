//go:build !linux

package sip

import "syscall"

// tellRefusals has nothing to ask for: only Linux tells which datagram an ICMP error belongs to. Elsewhere a next hop that
// refuses is found out by Timer F.
func tellRefusals(syscall.RawConn) error { return nil }

// readRefusal knows of none.
func (*udpConn) readRefusal([]byte) (n int, unreachable, ok bool) { return 0, false, false }
