//go:build unix

package smpp

import (
	"net"
	"syscall"
)

// directWrite writes to a socket as much as it takes without waiting.
type directWrite struct {
	raw syscall.RawConn
	f   func(fd uintptr) // write's, made once

	b   []byte
	n   int
	err error
}

// newDirectWrite is nil for what is no socket of the kernel's, or speaks TLS.
func newDirectWrite(conn net.Conn) *directWrite {
	c, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	d := &directWrite{raw: raw}
	d.f = func(fd uintptr) {
		for {
			d.n, d.err = syscall.Write(int(fd), d.b)
			if d.err != syscall.EINTR {
				break
			}
		}
		if d.n = max(d.n, 0); d.err == syscall.EAGAIN {
			d.err = nil
		}
	}
	return d
}

// write is for one goroutine at a time. n below len(b) without an error says that the socket takes no more now.
func (d *directWrite) write(b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	d.b, d.n, d.err = b, 0, nil
	err = d.raw.Control(d.f) // not Write, which would wait
	d.b = nil
	if err == nil {
		err = d.err
	}
	return d.n, err
}
