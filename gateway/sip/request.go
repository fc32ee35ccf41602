package sip

import (
	"strconv"
	"strings"
	"time"

	"sipsmpp/gateway/sms"
)

// appendRequest appends the MESSAGE for o as it goes to its target (RFC 3428, 4; RFC 3261, 8.1.1). Nothing in it is taken over
// from another protocol without being escaped.
func (e *Endpoint) appendRequest(b []byte, o *outgoing, by transport, now time.Time) []byte {
	m, h := o.m, o.hop
	if o.probe {
		return e.appendProbe(b, o, by)
	}
	b = append(b, "MESSAGE "...)
	uri := len(b)
	b = appendTo(b, o)
	if o.uri == "" {
		b = append(b, h.params...)
		if h.userPhone && m.To.TON != sms.TONAlphanumeric {
			b = append(b, ";user=phone"...)
		}
	}
	end := len(b)
	b = append(b, " SIP/2.0\r\nVia: SIP/2.0/"...)
	b = append(b, viaNames[by]...)
	b = append(b, o.to.sentBy[by]...)
	b = append(b, ";branch="...)
	b = appendBranch(b, o.branch)
	b = append(b, ";rport\r\nMax-Forwards: "...)
	b = strconv.AppendInt(b, int64(forwards(m)), 10)
	b = append(b, "\r\nFrom: "...)
	b = appendFrom(b, m.From, e.domain)
	b = append(b, ";tag="...)
	b = appendHex(b, o.fromTag)
	b = append(b, "\r\nTo: <"...)
	if o.contact {
		b = append(b, e.uriOf(m.To)...)
	} else {
		b = appendTo(b, o)
	}
	b = append(b, ">\r\n"...)
	if o.route != "" {
		b = append(append(append(b, "Route: "...), o.route...), "\r\n"...)
	}
	b = append(b, "Call-ID: "...)
	if m.ID.IsZero() {
		b = appendHex(appendHex(b, o.callID[0]), o.callID[1])
	} else {
		b, _ = m.ID.AppendText(b) // has no error to give
	}
	b = append(b, '@')
	b = append(b, e.domain...)
	b = append(b, "\r\nCSeq: "...)
	b = strconv.AppendUint(b, uint64(o.seq)+1, 10)
	b = append(b, " MESSAGE\r\nDate: "...)
	b = now.UTC().AppendFormat(b, dateFormat)
	if !m.Expires.IsZero() {
		b = append(b, "\r\nExpires: "...)
		b = strconv.AppendInt(b, int64((m.Expires.Sub(now)+time.Second-1)/time.Second), 10)
	}
	if h.credentials != nil {
		b = h.credentials.append(b, string(b[uri:end]))
	}
	text := strings.ToValidUTF8(m.Text, "\uFFFD")
	b = append(b, "\r\nContent-Type: "...)
	switch {
	case o.asks():
		b = append(b, "message/cpim\r\nContent-Length: "...)
		body := e.appendAsking(nil, m, text, now)
		b = strconv.AppendInt(b, int64(len(body)), 10)
		b = append(b, "\r\n\r\n"...)
		return append(b, body...)
	case o.kind != "":
		b = append(b, o.kind...)
	default:
		b = append(b, "text/plain;charset=UTF-8"...)
	}
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(text)), 10)
	b = append(b, "\r\n\r\n"...)
	return append(b, text...)
}

// forwards is the Max-Forwards of a message that goes on: one less than it came with (RFC 3261, 16.6, step 3), so that a circle of
// gateways and proxies ends, and 70 where it came with none (RFC 3261, 8.1.1.6).
func forwards(m *sms.Message) int {
	if m.Hops == 0 {
		return 70
	}
	return max(0, int(m.Hops)-1)
}

// appendTo appends the URI that a message goes to.
func appendTo(b []byte, o *outgoing) []byte {
	if o.uri != "" {
		return append(b, o.uri...)
	}
	b = append(b, "sip:"...)
	b = appendUser(b, o.m.To)
	b = append(b, '@')
	return append(b, o.hop.address...)
}
