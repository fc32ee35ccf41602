package gateway

import (
	"fmt"
	"time"

	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

// An outcome becomes the ingress's own code here and nowhere else: package smpp knows no SIP code and package sip no
// command_status.

// retryAfter is what a SIP sender is told to wait where we know no better.
const retryAfter = 5 * time.Second

// sipCode is the answer to a MESSAGE whose outcome is o. A positive wait goes into Retry-After. 503 is for the gateway as a
// whole, since proxies put a host that says 503 aside.
func sipCode(o sms.Outcome) (code int, wait time.Duration) {
	if o.Taken() {
		return 202, 0 // RFC 3428, 7: a gateway cannot say more
	}
	switch o.Cause {
	case sms.CauseRefused:
		if o.Protocol == sms.ProtocolSIP {
			return sipCodeOfSIP(o)
		}
		return sipCodeOfSMPP(o)
	case sms.CauseNoRoute:
		return 404, 0
	case sms.CauseNotReady, sms.CauseShutdown:
		return 503, retryAfter
	case sms.CauseQueueFull, sms.CauseStore:
		return 480, retryAfter
	case sms.CauseNoAnswer:
		return 504, 0
	case sms.CauseExpired:
		return 408, 0
	case sms.CauseUnencodable:
		return 488, 0
	case sms.CauseLoop:
		return 482, 0
	}
	return 500, 0
}

func sipCodeOfSMPP(o sms.Outcome) (int, time.Duration) {
	switch wire.Status(o.Status) {
	case wire.StatusInvalidDestination, wire.StatusInvalidDestinationTON, wire.StatusInvalidDestinationNPI:
		return 404, 0
	case wire.StatusInvalidSource, wire.StatusInvalidSourceTON, wire.StatusInvalidSourceNPI, wire.StatusRejectedAppError:
		return 403, 0
	case wire.StatusInvalidMessageLength:
		return 413, 0
	case wire.StatusSystemError, wire.StatusSubmitFailed:
		return 500, 0
	}
	switch o.Severity {
	case sms.Throttled, sms.Temporary:
		return 480, retryAfter
	case sms.Configuration:
		return 500, 0
	}
	return 403, 0
}

// sipCodeOfSIP passes a next hop's refusal on, but for what speaks of our own leg to it.
func sipCodeOfSIP(o sms.Outcome) (int, time.Duration) {
	switch code := int(o.Status); {
	case code == 401 || code == 407: // our credentials, not the sender's
		return 500, 0
	case code == 503:
		return 480, retryAfter
	case code >= 400 && code < 700:
		return code, 0
	}
	return 500, 0
}

// smppStatus is the status of the response to a message whose outcome is o.
func smppStatus(o sms.Outcome) wire.Status {
	if o.Taken() {
		return wire.StatusOK
	}
	switch o.Cause {
	case sms.CauseRefused:
		if o.Protocol == sms.ProtocolSIP {
			return smppStatusOfSIP(int(o.Status))
		}
		if o.Severity == sms.Configuration { // our fault with the next hop, not this peer's with us
			return wire.StatusSystemError
		}
		return wire.Status(o.Status)
	case sms.CauseNoRoute:
		return wire.StatusInvalidDestination
	case sms.CauseNotReady, sms.CauseNoAnswer:
		return wire.StatusTemporaryAppError
	case sms.CauseQueueFull:
		return wire.StatusQueueFull
	case sms.CauseExpired, sms.CauseUnencodable, sms.CauseLoop:
		return wire.StatusPermanentAppError
	}
	return wire.StatusSystemError // shutdown, database, our own fault: all of them pass
}

func smppStatusOfSIP(code int) wire.Status {
	switch code {
	case 404, 410, 484, 604:
		return wire.StatusInvalidDestination
	case 413, 513:
		return wire.StatusInvalidMessageLength
	case 415, 482, 483, 488:
		return wire.StatusPermanentAppError
	case 403, 603, 606:
		return wire.StatusRejectedAppError
	case 408, 480, 486, 600:
		return wire.StatusTemporaryAppError
	}
	if code >= 500 {
		return wire.StatusTemporaryAppError
	}
	return wire.StatusPermanentAppError
}

// reportState is what the report of a message says that was kept, and that nobody took in the end.
func reportState(o sms.Outcome) sms.State {
	if o.Cause == sms.CauseExpired {
		return sms.StateExpired
	}
	if o.Cause == sms.CauseRefused {
		switch code, _ := sipCode(o); code {
		case 403, 603, 606:
			return sms.StateRejected
		}
	}
	return sms.StateUndeliverable
}

// errorOf is the `err:` of such a report: the code of who refused the message, where it fits.
func errorOf(o sms.Outcome) string {
	if o.Cause != sms.CauseRefused || o.Status > 999 {
		return ""
	}
	return fmt.Sprintf("%03d", o.Status)
}
