package sip

import (
	"bytes"
	"strconv"
	"strings"

	"sipsmpp/gateway/sms"

	"github.com/emiago/sipgo/sip"
)

// The bounds of what a REGISTER may make us keep.
const (
	maxContactURI = 512  // octets
	maxPath       = 1024 // octets of all Path values together
	maxTag        = 255  // octets of a Call-ID, an instance, a User-Agent
	defaultQ      = 1000
)

// binding is one value of a Contact field (RFC 3261, 20.10).
type binding struct {
	uri      string // as it came
	parsed   sip.Uri
	expires  int // seconds; -1: it does not say
	q        uint16
	instance string
	regID    uint32
}

// list walks over the values of a field that are separated by commas, and minds quotes and angle brackets.
func list(b []byte) func(yield func(value []byte) bool) {
	return func(yield func(value []byte) bool) {
		start, inURI := 0, false
		for i, c := range unquoted(b) {
			switch {
			case c == '<':
				inURI = true
			case c == '>':
				inURI = false
			case c == ',' && !inURI:
				if !yield(bytes.TrimSpace(b[start:i])) {
					return
				}
				start = i + 1
			}
		}
		yield(bytes.TrimSpace(b[start:]))
	}
}

// parseBinding reads a value of Contact. The reason is that of a 400; empty: it is good.
func parseBinding(value []byte) (c binding, reason string) {
	uri, rest, ok := nameAddr(value)
	if !ok || len(uri) > maxContactURI || !isPlainURI(uri) || bytes.Count(uri, []byte("@")) > 1 {
		return c, "Bad Contact"
	}
	c = binding{uri: string(uri), expires: -1, q: defaultQ}
	if scheme, _, _ := bytes.Cut(uri, []byte(":")); !isName(scheme, "sip", 0) && !isName(scheme, "sips", 0) {
		return c, "Contact Is No SIP URI"
	}
	if err := sip.ParseUri(c.uri, &c.parsed); err != nil || c.parsed.Host == "" ||
		strings.ContainsFunc(c.parsed.Host, func(r rune) bool { return !isHostRune(r) }) {
		return c, "Bad Contact"
	}
	for name, v := range params(rest) {
		switch {
		case isName(name, "expires", 0):
			c.expires = seconds(v)
		case isName(name, "q", 'q'):
			if c.q, ok = parseQ(string(v)); !ok {
				return c, "Bad Contact"
			}
		case isName(name, "+sip.instance", 0):
			// "<urn:uuid:...>", in quotes
			if c.instance = strings.Trim(string(v), `"`); len(c.instance) > maxTag || printable(c.instance) != c.instance || strings.ContainsAny(c.instance, `"\`) {
				return c, "Bad Contact"
			}
		case isName(name, "reg-id", 0):
			n, good := number(v, 31)
			if !good || n == 0 {
				return c, "Bad Contact"
			}
			c.regID = uint32(n)
		}
	}
	if c.instance == "" {
		c.regID = 0 // RFC 5626, 4.2: it says nothing alone
	}
	return c, ""
}

// nameAddr parts a name-addr or addr-spec from its parameters.
func nameAddr(value []byte) (uri, rest []byte, ok bool) {
	for i, c := range unquoted(value) {
		if c != '<' {
			continue
		}
		end := bytes.IndexByte(value[i:], '>')
		if end < 0 {
			return nil, nil, false
		}
		uri, rest = value[i+1:i+end], bytes.TrimSpace(value[i+end+1:])
		return uri, rest, len(rest) == 0 || rest[0] == ';'
	}
	// Without brackets the parameters are the header's, and there may be no question mark (RFC 3261, 20.10).
	ok = bytes.IndexByte(value, '?') < 0
	if i := bytes.IndexByte(value, ';'); i >= 0 {
		return bytes.TrimSpace(value[:i]), value[i:], ok
	}
	return value, nil, ok
}

// withoutHeaders is a URI as it may stand in a request: what it says of header fields is left out, since a contact must not steer
// the way of messages (RFC 3261, 19.1.5).
func withoutHeaders(uri string) string {
	host := strings.LastIndexByte(uri, '@') + 1 // a user may have a question mark
	if i := strings.IndexByte(uri[host:], '?'); i >= 0 {
		return uri[:host+i]
	}
	return uri
}

// isPlainURI says that a URI can stand in a request as it is.
func isPlainURI(uri []byte) bool {
	for _, c := range uri {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '<' || c == '>' {
			return false
		}
	}
	return len(uri) > 0
}

// seconds reads an expiration time; a malformed one is an hour (RFC 3261, 10.2.1.1 and 20.19).
func seconds(b []byte) int {
	if n, err := strconv.ParseUint(string(b), 10, 32); err == nil {
		return int(n)
	}
	return 3600
}

// parseQ reads a qvalue (RFC 3261, 25.1) in thousandths.
func parseQ(s string) (uint16, bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	n, err := strconv.ParseUint(whole+(fraction + "000")[:3], 10, 16)
	return uint16(n), err == nil && len(whole) == 1 && len(fraction) <= 3 && n <= 1000
}

func appendQ(b []byte, q uint16) []byte {
	return strconv.AppendFloat(b, float64(q)/1000, 'f', -1, 64)
}

// names says that the binding is the one that a contact is of: the same flow of the same device (RFC 5626, 6), else the same URI
// (RFC 3261, 10.2.4).
func (c *binding) names(known *contact) bool {
	if c.instance != "" && known.Instance != "" {
		return c.instance == known.Instance && c.regID == known.RegID
	}
	return sameURI(&c.parsed, &known.uri)
}

// sameURI compares URIs (RFC 3261, 19.1.4).
func sameURI(a, b *sip.Uri) bool {
	if a.Scheme != b.Scheme || unescape(a.User) != unescape(b.User) || a.Password != b.Password ||
		!strings.EqualFold(a.Host, b.Host) || a.Port != b.Port {
		return false
	}
	return includes(a, b) && includes(b, a)
}

// includes says that what b says in parameters is not otherwise in a. Four parameters must be in both if they are in one.
func includes(a, b *sip.Uri) bool {
	for _, p := range b.UriParams {
		v, has := uriParam(a, p.K)
		switch {
		case has && !strings.EqualFold(v, p.V):
			return false
		case has:
		case strings.EqualFold(p.K, "user"), strings.EqualFold(p.K, "ttl"), strings.EqualFold(p.K, "method"), strings.EqualFold(p.K, "maddr"),
			strings.EqualFold(p.K, "transport"):
			return false
		}
	}
	return true
}

func uriParam(uri *sip.Uri, name string) (string, bool) {
	for _, p := range uri.UriParams {
		if strings.EqualFold(p.K, name) {
			return p.V, true
		}
	}
	return "", false
}

// appendContact appends a field that tells a user agent of a contact (RFC 3261, 10.3, step 8).
func appendContact(b []byte, c *sms.Contact, left int64) []byte {
	b = append(b, "Contact: <"...)
	b = append(b, c.URI...)
	b = append(b, ">;expires="...)
	b = strconv.AppendInt(b, left, 10)
	if c.Q != defaultQ {
		b = appendQ(append(b, ";q="...), c.Q)
	}
	if c.Instance != "" {
		b = append(append(append(b, `;+sip.instance="`...), c.Instance...), '"')
	}
	if c.RegID != 0 {
		b = strconv.AppendUint(append(b, ";reg-id="...), uint64(c.RegID), 10)
	}
	return append(b, "\r\n"...)
}
