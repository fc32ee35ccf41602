package sip

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// sipgo's client opens a socket of its own when it sends before its server has begun to listen, and leaves it open.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/emiago/sipgo/sip.(*TransportUDP).readUDPConnection"))
}
