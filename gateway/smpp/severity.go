package smpp

import (
	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

// severity says what a command_status of the peer, other than ESME_ROK, asks for next: what the row says, else what it means to
// most.
func (o *outbox) severity(s wire.Status) sms.Severity {
	if class, moved := o.statuses[uint32(s)]; moved {
		return class
	}
	return severity(s)
}

// severity says what a command_status other than ESME_ROK asks for next where nobody knows better.
//
// What depends on the peer is decided for the message's sake, since one that is tried in vain costs less than one that is given
// up too early: submit failed (0x45), delivery failure (0xFE), unknown error (0xFF) and the vendors' own (0x400 and up) are
// temporary. An invalid schedule_delivery_time (0x61) is the exception: the same octets would be as wrong the next time.
func severity(s wire.Status) sms.Severity {
	switch s {
	case wire.StatusThrottled, wire.StatusQueueFull:
		return sms.Throttled
	case wire.StatusSystemError, wire.StatusTemporaryAppError,
		wire.StatusSubmitFailed, wire.StatusDeliveryFailure, wire.StatusUnknownError:
		return sms.Temporary
	case wire.StatusInvalidBindStatus, wire.StatusAlreadyBound, wire.StatusBindFailed, wire.StatusInvalidPassword,
		wire.StatusInvalidSystemID, wire.StatusInvalidSystemType:
		return sms.Configuration
	}
	if s >= 0x400 {
		return sms.Temporary
	}
	return sms.Permanent
}

// worse says that a refusal of severity a decides over one of b: what will never help first, then what people must mend, then
// what only needs time.
func worse(a, b sms.Severity) bool {
	rank := [...]int{sms.Permanent: 3, sms.Configuration: 2, sms.Throttled: 1, sms.Temporary: 0}
	return rank[a] > rank[b]
}
