package sip

import (
	"strconv"
	"strings"
	"time"

	"sipsmpp/gateway/sms"
)

// The transports, as an index of target.sentBy.
const (
	byUDP = iota
	byTCP
)

// appendRequest appends the MESSAGE for o as it goes to its target (RFC 3428, 4; RFC 3261, 8.1.1). Nothing in it is taken over
// from another protocol without being escaped.
func (e *Endpoint) appendRequest(b []byte, o *outgoing, transport int, now time.Time) []byte {
	m, h := o.m, o.hop
	b = append(b, "MESSAGE sip:"...)
	b = appendUser(b, m.To)
	b = append(b, '@')
	b = append(b, h.address...)
	b = append(b, h.params...)
	if h.userPhone && m.To.TON != sms.TONAlphanumeric {
		b = append(b, ";user=phone"...)
	}
	b = append(b, " SIP/2.0\r\nVia: SIP/2.0/"...)
	b = append(b, [...]string{"UDP ", "TCP "}[transport]...)
	b = append(b, o.to.sentBy[transport]...)
	b = append(b, ";branch="...)
	b = appendBranch(b, o.branch)
	b = append(b, ";rport\r\nMax-Forwards: 70\r\nFrom: "...)
	b = appendFrom(b, m.From, e.domain)
	b = append(b, ";tag="...)
	b = appendHex(b, o.fromTag)
	b = append(b, "\r\nTo: <sip:"...)
	b = appendUser(b, m.To)
	b = append(b, '@')
	b = append(b, h.address...)
	b = append(b, ">\r\nCall-ID: "...)
	if m.ID.IsZero() {
		b = appendHex(appendHex(b, o.callID[0]), o.callID[1])
	} else {
		b, _ = m.ID.AppendText(b) // has no error to give
	}
	b = append(b, '@')
	b = append(b, e.domain...)
	b = append(b, "\r\nCSeq: 1 MESSAGE\r\nDate: "...)
	b = now.UTC().AppendFormat(b, dateFormat)
	if !m.Expires.IsZero() {
		b = append(b, "\r\nExpires: "...)
		b = strconv.AppendInt(b, int64((m.Expires.Sub(now)+time.Second-1)/time.Second), 10)
	}
	text := strings.ToValidUTF8(m.Text, "\uFFFD")
	b = append(b, "\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(text)), 10)
	b = append(b, "\r\n\r\n"...)
	return append(b, text...)
}
