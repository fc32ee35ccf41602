package gateway

import (
	"testing"

	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

// refusedSMPP is what a connection says of a message that its peer refused.
func refusedSMPP(status uint32, severity sms.Severity) sms.Outcome {
	return sms.Outcome{Fate: sms.Refused, Severity: severity, Cause: sms.CauseRefused, Protocol: sms.ProtocolSMPP, Status: status}
}

func refusedSIP(code uint32) sms.Outcome {
	return sms.Outcome{Fate: sms.Refused, Cause: sms.CauseRefused, Protocol: sms.ProtocolSIP, Status: code}
}

func TestSIPCode(t *testing.T) {
	for _, c := range []struct {
		o    sms.Outcome
		code int
		wait bool
	}{
		{sms.Outcome{Fate: sms.Accepted}, 202, false},
		{refusedSMPP(0x0B, sms.Permanent), 404, false},
		{refusedSMPP(0x50, sms.Permanent), 404, false},
		{refusedSMPP(0x51, sms.Permanent), 404, false},
		{refusedSMPP(0x0A, sms.Permanent), 403, false},
		{refusedSMPP(0x48, sms.Permanent), 403, false},
		{refusedSMPP(0x49, sms.Permanent), 403, false},
		{refusedSMPP(0x66, sms.Permanent), 403, false},
		{refusedSMPP(0x01, sms.Permanent), 413, false},
		{refusedSMPP(0x58, sms.Throttled), 480, true},
		{refusedSMPP(0x14, sms.Throttled), 480, true},
		{refusedSMPP(0x64, sms.Temporary), 480, true},
		{refusedSMPP(0x08, sms.Temporary), 500, false},
		{refusedSMPP(0x45, sms.Temporary), 500, false},
		{refusedSMPP(0x0E, sms.Configuration), 500, false},
		{refusedSMPP(0x33, sms.Permanent), 403, false},
		{refusedSMPP(0x401, sms.Temporary), 480, true},
		{sms.Failed(sms.Permanent, sms.CauseNoRoute, ""), 404, false},
		{sms.Failed(sms.Temporary, sms.CauseNotReady, ""), 503, true},
		{sms.Failed(sms.Temporary, sms.CauseShutdown, ""), 503, true},
		{sms.Failed(sms.Temporary, sms.CauseQueueFull, ""), 480, true},
		{sms.Outcome{Fate: sms.Unknown, Severity: sms.Temporary, Cause: sms.CauseNoAnswer}, 504, false},
		{sms.Failed(sms.Permanent, sms.CauseUnencodable, ""), 488, false},
		{sms.Failed(sms.Permanent, sms.CauseExpired, ""), 408, false},
		{sms.Failed(sms.Permanent, sms.CauseLoop, ""), 482, false},
		{sms.Failed(sms.Permanent, sms.CauseInternal, ""), 500, false},
		{refusedSIP(404), 404, false},
		{refusedSIP(407), 500, false},
		{refusedSIP(503), 480, true},
		{refusedSIP(603), 603, false},
	} {
		if code, wait := sipCode(c.o); code != c.code || (wait > 0) != c.wait {
			t.Errorf("%v, status %#x: %d with Retry-After %v, want %d, %v", c.o.Cause, c.o.Status, code, wait, c.code, c.wait)
		}
	}
}

func TestSMPPStatus(t *testing.T) {
	for _, c := range []struct {
		o    sms.Outcome
		want wire.Status
	}{
		{sms.Outcome{Fate: sms.Accepted}, 0},
		{refusedSIP(404), 0x0B},
		{refusedSIP(410), 0x0B},
		{refusedSIP(484), 0x0B},
		{refusedSIP(604), 0x0B},
		{refusedSIP(413), 0x01},
		{refusedSIP(513), 0x01},
		{refusedSIP(415), 0x65},
		{refusedSIP(488), 0x65},
		{refusedSIP(403), 0x66},
		{refusedSIP(603), 0x66},
		{refusedSIP(606), 0x66},
		{refusedSIP(480), 0x64},
		{refusedSIP(486), 0x64},
		{refusedSIP(600), 0x64},
		{refusedSIP(408), 0x64},
		{refusedSIP(500), 0x64},
		{refusedSIP(503), 0x64},
		{refusedSIP(482), 0x65},
		{refusedSIP(483), 0x65},
		{refusedSIP(400), 0x65},
		{refusedSMPP(0x0B, sms.Permanent), 0x0B},
		{refusedSMPP(0x58, sms.Throttled), 0x58},
		{refusedSMPP(0x0E, sms.Configuration), 0x08},
		{sms.Failed(sms.Permanent, sms.CauseNoRoute, ""), 0x0B},
		{sms.Failed(sms.Temporary, sms.CauseNotReady, ""), 0x64},
		{sms.Outcome{Fate: sms.Unknown, Cause: sms.CauseNoAnswer}, 0x64},
		{sms.Failed(sms.Temporary, sms.CauseQueueFull, ""), 0x14},
		{sms.Failed(sms.Temporary, sms.CauseShutdown, ""), 0x08},
		{sms.Failed(sms.Temporary, sms.CauseStore, ""), 0x08},
		{sms.Failed(sms.Permanent, sms.CauseLoop, ""), 0x65},
	} {
		if got := smppStatus(c.o); got != c.want {
			t.Errorf("%v, status %d: %#x, want %#x", c.o.Cause, c.o.Status, uint32(got), uint32(c.want))
		}
	}
}
