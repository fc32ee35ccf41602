//go:build !unix

package smpp

import "net"

// directWrite would write to a socket as much as it takes without waiting.
type directWrite struct{}

func newDirectWrite(net.Conn) *directWrite { return nil }

func (d *directWrite) write([]byte) (int, error) { return 0, nil }
