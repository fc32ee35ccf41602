package sip

import (
	"bytes"
	"strconv"
	"strings"
)

// The bounds of a message's head.
const (
	maxHead   = 64 << 10 // octets of start line and header fields together
	maxFields = 256      // header fields
	cookie    = "z9hG4bK"
)

// message is a SIP message: slices of the octets that came, so that an answer carries Via, From, To, Call-ID and CSeq exactly as
// the request had them, and a retransmission costs no allocation. URIs are left to sipgo. It is valid as long as those octets
// are, and is reused from message to message.
type message struct {
	body []byte // cut to Content-Length

	method, uri, version []byte // of a request
	status               int    // of a response; 0: this is a request

	vias        [][]byte // the values of the Via fields, top first
	top         via
	from, to    []byte
	callID      []byte
	cseq        []byte
	seqMethod   []byte
	length      int    // Content-Length; -1: none given
	retryAfter  int    // seconds
	maxForwards int    // -1: none given
	fault       string // what is wrong with it, in the words of a 400's reason phrase; empty: nothing

	// What the user agent looks at; nil where it is missing.
	contentType, encoding, expires, date, asserted []byte
	require                                        [][]byte
	authorization                                  [][]byte // of several realms
	authenticate                                   [][]byte // of a response: WWW-Authenticate
	proxyAuthenticate                              [][]byte

	// What the registrar looks at.
	contacts, path, supported [][]byte
	userAgent                 []byte
}

// scan reads the head of b, unfolding its lines in place (RFC 3261, 7.3.1). It is false for what is no SIP message, or has no
// Via to answer by. What else is wrong stands in fault: the reason phrase of a 400.
func (m *message) scan(b []byte) bool {
	*m = message{
		vias: m.vias[:0], require: m.require[:0], authorization: m.authorization[:0], authenticate: m.authenticate[:0],
		proxyAuthenticate: m.proxyAuthenticate[:0], contacts: m.contacts[:0], path: m.path[:0], supported: m.supported[:0],
		length: -1, maxForwards: -1,
	}
	line, rest, ok := m.line(b)
	if !ok || !m.startLine(line) {
		return false
	}
	for n := 0; ; n++ {
		if len(rest) == 0 {
			m.fail("No Empty Line After The Header")
			break
		}
		if line, rest, ok = m.line(rest); !ok {
			m.fail("Header Line Without CRLF")
			break
		}
		if len(line) == 0 {
			break
		}
		if n == maxFields {
			m.fail("Too Many Header Fields")
			break
		}
		m.field(line)
	}
	m.body = rest
	if len(m.vias) == 0 || !m.top.parse(m.vias[0]) {
		return false
	}
	m.check()
	return true
}

// line takes one line off b, with the lines that continue it. The CRLF between them becomes two spaces.
func (m *message) line(b []byte) (line, rest []byte, ok bool) {
	from := 0
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return nil, nil, false
		}
		i += from
		if i == 0 || b[i-1] != '\r' {
			return nil, nil, false
		}
		line, rest = b[:i-1], b[i+1:]
		if len(line) == 0 || len(rest) == 0 || rest[0] != ' ' && rest[0] != '\t' {
			break
		}
		b[i-1], b[i] = ' ', ' '
		from = i
	}
	if bytes.IndexByte(line, '\r') >= 0 || bytes.IndexByte(line, 0) >= 0 {
		return nil, nil, false
	}
	return line, rest, true
}

var sipVersion = []byte("SIP/2.0")

func (m *message) startLine(line []byte) bool {
	first, after, ok := bytes.Cut(line, []byte(" "))
	if !ok {
		return false
	}
	if bytes.EqualFold(first, sipVersion) {
		code, _, _ := bytes.Cut(after, []byte(" "))
		n, err := strconv.Atoi(string(code))
		m.status = n
		return err == nil && n >= 100 && n <= 699
	}
	trimmed := bytes.TrimRight(after, " ")
	if len(trimmed) < len(after) {
		m.fail("Blanks After The Start Line") // RFC 4475, 3.1.2.10
		after = trimmed
	}
	i := bytes.LastIndexByte(after, ' ')
	if i < 0 || len(first) == 0 {
		return false
	}
	m.method, m.uri, m.version = first, after[:i], after[i+1:]
	if len(m.version) < 4 || !bytes.EqualFold(m.version[:4], sipVersion[:4]) {
		return false
	}
	if !isToken(m.method) {
		m.fail("Bad Method")
	}
	if len(m.uri) == 0 || bytes.ContainsAny(m.uri, " \t<>\"") {
		m.fail("Bad Request-URI")
	}
	return true
}

func (m *message) field(line []byte) {
	i := bytes.IndexByte(line, ':')
	if i < 0 {
		m.fail("Header Field Without Colon")
		return
	}
	name, value := bytes.TrimRight(line[:i], " \t"), bytes.TrimSpace(line[i+1:])
	switch {
	case isName(name, "via", 'v'):
		m.vias = append(m.vias, value)
	case isName(name, "from", 'f'):
		m.once(&m.from, value)
	case isName(name, "to", 't'):
		m.once(&m.to, value)
	case isName(name, "call-id", 'i'):
		m.once(&m.callID, value)
	case isName(name, "cseq", 0):
		m.once(&m.cseq, value)
	case isName(name, "content-length", 'l'):
		n, ok := number(value, 31)
		if !ok || m.length >= 0 && m.length != n {
			m.fail("Bad Content-Length")
			n = -1
		}
		m.length = n
	case isName(name, "max-forwards", 0):
		n, ok := number(value, 31)
		if !ok || m.maxForwards >= 0 {
			m.fail("Bad Max-Forwards")
		}
		m.maxForwards = n
	case isName(name, "content-type", 'c'):
		m.once(&m.contentType, value)
	case isName(name, "content-encoding", 'e'):
		m.once(&m.encoding, value)
	case isName(name, "expires", 0):
		m.once(&m.expires, value)
	case isName(name, "date", 0):
		m.once(&m.date, value)
	case isName(name, "require", 0):
		m.require = append(m.require, value)
	case isName(name, "contact", 'm'):
		m.contacts = append(m.contacts, value)
	case isName(name, "path", 0):
		m.path = append(m.path, value)
	case isName(name, "supported", 'k'):
		m.supported = append(m.supported, value)
	case isName(name, "user-agent", 0):
		m.userAgent = value
	case isName(name, "authorization", 0):
		m.authorization = append(m.authorization, value)
	case isName(name, "www-authenticate", 0):
		m.authenticate = append(m.authenticate, value)
	case isName(name, "proxy-authenticate", 0):
		m.proxyAuthenticate = append(m.proxyAuthenticate, value)
	case isName(name, "p-asserted-identity", 0):
		if m.asserted == nil { // one or two are allowed (RFC 3325, 9.1); the first counts
			m.asserted = value
		}
	case isName(name, "retry-after", 0):
		// Only the number of seconds: a comment or parameters may follow (RFC 3261, 20.33).
		i := 0
		for i < len(value) && value[i] >= '0' && value[i] <= '9' {
			i++
		}
		m.retryAfter, _ = number(value[:i], 31)
	}
}

// number reads digits and nothing else.
func number(b []byte, bits int) (int, bool) {
	n, err := strconv.ParseUint(string(b), 10, bits)
	return int(n), err == nil
}

// isName compares a field's name with its long form, given in lower case, and its compact form (RFC 3261, 7.3.3).
func isName(name []byte, long string, compact byte) bool {
	if len(name) == 1 {
		return name[0]|0x20 == compact && compact != 0
	}
	if len(name) != len(long) {
		return false
	}
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != long[i] {
			return false
		}
	}
	return true
}

func (m *message) once(field *[]byte, value []byte) {
	if *field != nil {
		m.fail("Header Field Given Twice")
		return
	}
	*field = value
}

// fail keeps the first thing that is wrong.
func (m *message) fail(reason string) {
	if m.fault == "" {
		m.fault = reason
	}
}

// check looks at what every message must have (RFC 3261, 8.1.1) and cuts the body to size (18.3).
func (m *message) check() {
	for _, f := range []struct {
		value  []byte
		reason string
	}{{m.from, "Missing From"}, {m.to, "Missing To"}, {m.callID, "Missing Call-ID"}, {m.cseq, "Missing Sequence Number"}} {
		if len(f.value) == 0 {
			m.fail(f.reason)
			return
		}
	}
	digits, method, _ := bytes.Cut(m.cseq, []byte(" "))
	_, ok := number(digits, 31) // RFC 3261, 8.1.1.5
	m.seqMethod = bytes.TrimSpace(method)
	if !ok || m.status == 0 && !bytes.Equal(m.seqMethod, m.method) {
		m.fail("Bad Sequence Number")
	}
	if m.length > len(m.body) {
		m.fail("Body Shorter Than Content-Length")
	} else if m.length >= 0 {
		m.body = m.body[:m.length]
	}
}

// via is the topmost Via of a message, taken apart (RFC 3261, 20.42).
type via struct {
	head   []byte // sent-protocol and sent-by
	params []byte // from the first ';'
	rest   []byte // what follows in the same field, from the ','
	host   []byte // of sent-by; an IPv6 address without brackets
	port   int    // of sent-by; 0: none
	branch []byte
	rport  bool
}

func (v *via) parse(b []byte) bool {
	*v = via{}
	// sent-protocol LWS sent-by; spaces may stand around the slashes.
	at := 0
	for range 2 {
		i := bytes.IndexByte(b[at:], '/')
		if i < 0 {
			return false
		}
		at += i + 1
	}
	after := bytes.TrimLeft(b[at:], " \t")
	i := bytes.IndexAny(after, " \t")
	if i < 0 {
		return false
	}
	at = len(b) - len(bytes.TrimLeft(after[i:], " \t"))
	end, quoted := len(b), false
	for i, c := range b[at:] {
		if c == '"' {
			quoted = !quoted
		} else if c == ',' && !quoted {
			end = at + i
			break
		}
	}
	v.rest = b[end:]
	b = b[:end]
	if i := bytes.IndexByte(b[at:], ';'); i >= 0 {
		v.head, v.params = b[:at+i], b[at+i:]
	} else {
		v.head = b
	}
	if !v.sentBy(bytes.TrimSpace(v.head[at:])) {
		return false
	}
	for name, value := range params(v.params) {
		switch {
		case isName(name, "branch", 0):
			v.branch = value
		case isName(name, "rport", 0):
			v.rport = true
		}
	}
	return true
}

func (v *via) sentBy(b []byte) bool {
	var port []byte
	if len(b) > 0 && b[0] == '[' {
		i := bytes.IndexByte(b, ']')
		if i < 0 {
			return false
		}
		v.host, port = b[1:i], bytes.TrimSpace(b[i+1:])
		if len(port) > 0 && port[0] != ':' {
			return false
		}
		port = bytes.TrimPrefix(port, []byte(":"))
	} else {
		v.host, port, _ = bytes.Cut(b, []byte(":"))
		v.host = bytes.TrimSpace(v.host)
	}
	if len(v.host) == 0 {
		return false
	}
	ok := true
	if port = bytes.TrimSpace(port); len(port) > 0 {
		v.port, ok = number(port, 16)
	}
	return ok
}

// params walks over `;name=value;name` and minds quoted values. A value keeps its quotes.
func params(b []byte) func(yield func(name, value []byte) bool) {
	return func(yield func(name, value []byte) bool) {
		for len(b) > 0 {
			b = b[1:] // the ';'
			end, quoted := len(b), false
			for i := 0; i < len(b); i++ {
				if c := b[i]; c == '\\' && quoted {
					i++
				} else if c == '"' {
					quoted = !quoted
				} else if c == ';' && !quoted {
					end = i
					break
				}
			}
			name, value, _ := bytes.Cut(b[:end], []byte("="))
			if !yield(bytes.TrimSpace(name), bytes.TrimSpace(value)) {
				return
			}
			b = b[end:]
		}
	}
}

// unquoted walks over the octets that are outside quoted strings.
func unquoted(b []byte) func(yield func(i int, c byte) bool) {
	return func(yield func(i int, c byte) bool) {
		quoted := false
		for i := 0; i < len(b); i++ {
			switch c := b[i]; {
			case c == '\\' && quoted:
				i++
			case c == '"':
				quoted = !quoted
			case !quoted && !yield(i, c):
				return
			}
		}
	}
}

// tag is the tag parameter of a From or To value, nil where it has none.
func tag(value []byte) []byte {
	inURI := false
	for i, c := range unquoted(value) {
		switch {
		case c == '<':
			inURI = true
		case c == '>':
			inURI = false
		case c == ';' && !inURI:
			for name, v := range params(value[i:]) {
				if isName(name, "tag", 0) {
					return v
				}
			}
			return nil
		}
	}
	return nil
}

func isToken(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("()<>@,;:\\\"/[]?={}", c) >= 0 {
			return false
		}
	}
	return len(b) > 0
}
