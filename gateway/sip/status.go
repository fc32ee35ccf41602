package sip

import (
	"fmt"

	"sipsmpp/gateway/sms"
)

// outcomeOf is what a final response to a MESSAGE of ours means.
func outcomeOf(code int) sms.Outcome {
	if code < 300 {
		return sms.Outcome{Fate: sms.Accepted, Protocol: sms.ProtocolSIP, Status: uint32(code), Egress: sms.SIP}
	}
	o := sms.Outcome{
		Fate: sms.Refused, Cause: sms.CauseRefused, Protocol: sms.ProtocolSIP, Status: uint32(code), Egress: sms.SIP,
		Severity: sms.Permanent, Detail: describe(code),
	}
	switch code {
	case 401, 407:
		o.Severity = sms.Configuration
	case 482, 483:
		o.Cause = sms.CauseLoop
	case 408, 480, 486, 491, 600:
		o.Severity = sms.Temporary
	case 513:
	default:
		if code >= 500 && code < 600 {
			o.Severity = sms.Temporary
		}
	}
	return o
}

func describe(code int) string {
	if phrase := phrases[code]; phrase != "" {
		return fmt.Sprintf("SIP %d %s", code, phrase)
	}
	return fmt.Sprintf("SIP %d", code)
}
