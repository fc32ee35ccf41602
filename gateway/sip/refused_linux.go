package sip

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"
)

// tellRefusals asks the kernel to keep the ICMP errors that datagrams of this socket bring back (ip(7), IP_RECVERR).
func tellRefusals(raw syscall.RawConn) error {
	var set error
	err := raw.Control(func(fd uintptr) {
		domain, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
		if err == nil && domain == unix.AF_INET6 {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1)
		}
		if err == nil {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVERR, 1)
		}
		set = err
	})
	if err != nil {
		return err
	}
	return set
}

// readRefusal takes one error off the kernel's queue: what ICMP quotes of the datagram, into b, and whether nobody took that.
// It never waits, and does without the lock that the reader holds while it does.
func (c *udpConn) readRefusal(b []byte) (n int, unreachable, ok bool) {
	var oob [512]byte
	err := c.raw.Control(func(fd uintptr) {
		quoted, oobn, _, _, err := unix.Recvmsg(int(fd), b, oob[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		if err == nil {
			n, unreachable, ok = quoted, isUnreachable(oob[:oobn]), true
		}
	})
	return n, unreachable, ok && err == nil
}

// isUnreachable reads the error from its control message. "Too large for the path" is none: the kernel parts the next one.
func isUnreachable(oob []byte) bool {
	controls, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return false
	}
	for _, c := range controls {
		v4 := c.Header.Level == unix.IPPROTO_IP && c.Header.Type == unix.IP_RECVERR
		v6 := c.Header.Level == unix.IPPROTO_IPV6 && c.Header.Type == unix.IPV6_RECVERR
		if (v4 || v6) && len(c.Data) >= 4 { // struct sock_extended_err begins with the errno
			return syscall.Errno(binary.NativeEndian.Uint32(c.Data)) != unix.EMSGSIZE
		}
	}
	return false
}
