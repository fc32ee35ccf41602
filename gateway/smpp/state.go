package smpp

import "sipsmpp/gateway/smpp/wire"

// role is one of the two ends of a session.
type role uint8

const (
	esme role = iota
	smsc
)

// peer is the other one.
func (r role) peer() role { return 1 - r }

// state is the state of a session (SMPP 3.4, 2.2).
type state uint8

const (
	stateOpen state = iota // the socket is open, nobody is bound
	stateTX
	stateRX
	stateTRX
	stateUnbinding // unbind was sent or answered: nothing new from here on
	stateClosed
)

// boundBy is the state that a successful bind leads to.
func boundBy(bind wire.CommandID) state {
	switch bind {
	case wire.CmdBindTransmitter:
		return stateTX
	case wire.CmdBindReceiver:
		return stateRX
	}
	return stateTRX
}

// bound says that a bind stands.
func (s state) bound() bool { return s == stateTX || s == stateRX || s == stateTRX }

// commands is a set of requests.
type commands uint32

func commandBit(c wire.CommandID) commands {
	switch {
	case c < 24:
		return 1 << c
	case c == wire.CmdSubmitMulti:
		return 1 << 24
	case c == wire.CmdAlertNotification:
		return 1 << 25
	case c == wire.CmdDataSM:
		return 1 << 26
	}
	return 0
}

func commandSet(list ...wire.CommandID) (set commands) {
	for _, c := range list {
		set |= commandBit(c)
	}
	return set
}

func (set commands) has(c wire.CommandID) bool { return set&commandBit(c) != 0 }

// legal says which requests each end may send in which state (SMPP 3.4, table 2-1). enquire_link may be sent in every state:
// SMPP 5.0, table 2-7 allows what peers do anyway. Responses are not in it: one is legal where its request waits.
var legal = func() (t [stateClosed + 1][2]commands) {
	link := commandSet(wire.CmdEnquireLink)
	both := link | commandSet(wire.CmdUnbind)
	transmit := commandSet(wire.CmdSubmitSM, wire.CmdSubmitMulti, wire.CmdDataSM, wire.CmdQuerySM, wire.CmdCancelSM, wire.CmdReplaceSM)
	receive := commandSet(wire.CmdDeliverSM, wire.CmdDataSM, wire.CmdAlertNotification)

	// Who opens a socket to us is an ESME until it says outbind (SMPP 3.4, 2.2.1).
	t[stateOpen][esme] = link | commandSet(wire.CmdBindTransmitter, wire.CmdBindReceiver, wire.CmdBindTransceiver, wire.CmdOutbind)
	t[stateOpen][smsc] = link | commandSet(wire.CmdOutbind)
	t[stateTX][esme] = both | transmit
	t[stateTX][smsc] = both
	t[stateRX][esme] = both
	t[stateRX][smsc] = both | receive
	t[stateTRX][esme] = both | transmit
	t[stateTRX][smsc] = both | receive
	t[stateUnbinding][esme] = both
	t[stateUnbinding][smsc] = both
	return t
}()

// illegal is the status for a request that is not legal in a state: a second bind has its own (SMPP 3.4, table 5-2). A message that
// crossed our unbind on the way is no fault of the peer's: it is told to try again, since many give a message up for 0x04.
func illegal(s state, c wire.CommandID) wire.Status {
	if s == stateUnbinding && (legal[stateTRX][esme] | legal[stateTRX][smsc]).has(c) {
		return wire.StatusSystemError
	}
	if s.bound() && commandSet(wire.CmdBindTransmitter, wire.CmdBindReceiver, wire.CmdBindTransceiver).has(c) {
		return wire.StatusAlreadyBound
	}
	return wire.StatusInvalidBindStatus
}
