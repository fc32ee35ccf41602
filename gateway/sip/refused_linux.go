package sip

import (
	"net"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// tellRefusals asks the kernel to keep the ICMP errors that datagrams of this socket bring back (ip(7), IP_RECVERR).
func tellRefusals(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
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

// readRefusals takes the errors that came back off the kernel's queue and tells the client transactions whose datagrams they
// name. Each comes with the address that the datagram went to and with what ICMP quotes of it. It is false if there was none.
func (s *udpSocket) readRefusals() bool {
	s.errors.Lock()
	defer s.errors.Unlock()
	some := false
	ms := []ipv4.Message{{Buffers: [][]byte{make([]byte, 2048)}, OOB: make([]byte, 512)}}
	for range 1024 {
		n, err := s.conn.ReadBatch(ms, unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		if err != nil || n < 1 {
			break
		}
		some = true
		s.e.unreachable(ms[0].Buffers[0][:ms[0].N])
	}
	return some
}
