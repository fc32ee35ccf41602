package sip

import (
	"net"
	"strconv"
)

// What the endpoint supports, for Allow and Accept.
const (
	allow  = "Allow: MESSAGE, OPTIONS\r\n"
	accept = "Accept: text/plain, message/cpim, message/imdn+xml, multipart/mixed\r\n"
)

// phrases are the standard reason phrases (RFC 3261, 21, and the extensions that added to it).
var phrases = map[int]string{
	200: "OK", 202: "Accepted",
	300: "Multiple Choices", 301: "Moved Permanently", 302: "Moved Temporarily", 305: "Use Proxy",
	400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden", 404: "Not Found",
	405: "Method Not Allowed", 406: "Not Acceptable", 407: "Proxy Authentication Required", 408: "Request Timeout",
	410: "Gone", 413: "Request Entity Too Large", 414: "Request-URI Too Long", 415: "Unsupported Media Type",
	416: "Unsupported URI Scheme", 420: "Bad Extension", 421: "Extension Required", 423: "Interval Too Brief",
	480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 482: "Loop Detected", 483: "Too Many Hops",
	484: "Address Incomplete", 485: "Ambiguous", 486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here",
	491: "Request Pending", 493: "Undecipherable",
	500: "Server Internal Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
	504: "Server Time-out", 505: "Version Not Supported", 513: "Message Too Large",
	600: "Busy Everywhere", 603: "Decline", 604: "Does Not Exist Anywhere", 606: "Not Acceptable",
}

func appendStatusLine(b []byte, code int, reason string) []byte {
	if reason == "" {
		if reason = phrases[code]; reason == "" {
			reason = phrases[code/100*100]
		}
	}
	b = append(b, "SIP/2.0 "...)
	b = strconv.AppendInt(b, int64(code), 10)
	b = append(b, ' ')
	b = append(b, reason...)
	return append(b, "\r\n"...)
}

// appendEcho appends the fields that an answer takes from its request (RFC 3261, 8.2.6.2). The top Via tells where the
// request really came from (18.2.1, RFC 3581, 4); a To without a tag gets one that is the same for each retransmission.
func appendEcho(b []byte, m *message, from origin, toTag uint64) []byte {
	b = append(b, "Via: "...)
	b = appendVia(b, &m.top, from)
	for _, v := range m.vias[1:] {
		b = append(b, "\r\nVia: "...)
		b = append(b, v...)
	}
	for _, f := range []struct {
		name  string
		value []byte
	}{{"\r\nFrom: ", m.from}, {"\r\nCall-ID: ", m.callID}, {"\r\nCSeq: ", m.cseq}, {"\r\nTo: ", m.to}} {
		if len(f.value) > 0 {
			b = append(b, f.name...)
			b = append(b, f.value...)
		}
	}
	if len(m.to) > 0 && tag(m.to) == nil {
		b = append(b, ";tag="...)
		b = appendHex(b, toTag)
	}
	return append(b, "\r\n"...)
}

func appendVia(b []byte, v *via, from origin) []byte {
	b = append(b, v.head...)
	for name, value := range params(v.params) {
		if isName(name, "received", 0) || isName(name, "rport", 0) || len(name) == 0 {
			continue
		}
		b = append(b, ';')
		b = append(b, name...)
		if len(value) > 0 {
			b = append(b, '=')
			b = append(b, value...)
		}
	}
	source := from.from.Addr()
	var text [64]byte
	ip := source.AppendTo(text[:0])
	if v.rport || string(ip) != string(v.host) {
		b = append(b, ";received="...)
		b = append(b, ip...)
	}
	if v.rport {
		b = append(b, ";rport="...)
		b = strconv.AppendUint(b, uint64(from.from.Port()), 10)
	}
	return append(b, v.rest...)
}

// appendEnd appends what an answer has of its own.
func appendEnd(b []byte, code, retryAfter int, header string) []byte {
	if retryAfter > 0 {
		b = append(b, "Retry-After: "...)
		b = strconv.AppendInt(b, int64(retryAfter), 10)
		b = append(b, "\r\n"...)
	}
	switch code {
	case 405:
		b = append(b, allow...)
	case 415:
		b = append(b, accept...)
	}
	b = append(b, header...)
	return append(b, "Content-Length: 0\r\n\r\n"...)
}

// destination is where the answer to a datagram goes (RFC 3261, 18.2.2; RFC 3581, 4): to its source address, at its source port
// if rport asks for that, else at the port of sent-by. maddr is not obeyed: it would let anybody point answers at anybody.
func destination(v *via, from origin) *net.UDPAddr {
	port := v.port
	if port == 0 {
		port = 5060
	}
	if from.addr == nil || v.rport || port == from.addr.Port {
		return from.addr
	}
	return &net.UDPAddr{IP: from.addr.IP, Port: port, Zone: from.addr.Zone}
}

const hexDigits = "0123456789abcdef"

// appendHex appends v as 16 hexadecimal digits.
func appendHex(b []byte, v uint64) []byte {
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, hexDigits[v>>shift&15])
	}
	return b
}
