package smpp

import (
	"testing"

	"sipsmpp/gateway/smpp/wire"
)

func TestIllegal(t *testing.T) {
	for _, c := range []struct {
		state   state
		command wire.CommandID
		want    wire.Status
	}{
		{stateOpen, wire.CmdSubmitSM, wire.StatusInvalidBindStatus},
		{stateTX, wire.CmdDeliverSM, wire.StatusInvalidBindStatus},
		{stateTRX, wire.CmdBindTransmitter, wire.StatusAlreadyBound},
		{stateUnbinding, wire.CmdDeliverSM, wire.StatusSystemError},
		{stateUnbinding, wire.CmdSubmitSM, wire.StatusSystemError},
		{stateUnbinding, wire.CmdBindReceiver, wire.StatusInvalidBindStatus},
	} {
		if got := illegal(c.state, c.command); got != c.want {
			t.Errorf("%v in state %d: %v, want %v", c.command, c.state, got, c.want)
		}
	}
}
