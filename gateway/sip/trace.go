package sip

import (
	"bytes"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"sipsmpp/gateway/sms"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

// Traced is one message that crossed the endpoint, or what came in place of one.
type Traced struct {
	Time   time.Time
	Peer   string // transport and address: udp:192.0.2.7:5060
	Sent   bool   // by us; it may still be lost
	Octets []byte // a copy
}

// TraceFilter chooses what is traced. Its zero value is everything.
type TraceFilter struct {
	Peer string // an address, 192.0.2.7 or 192.0.2.7:5060
	User string // a name or number, in Request-URI, From, To or credentials
}

// Trace calls sink for every message of the filter's until stop is called. The sink is called with locks held, by any goroutine: it
// must not block, nor call back.
func (e *Endpoint) Trace(f TraceFilter, sink func(Traced)) (stop func()) {
	return e.taps.Watch(func(t Traced) {
		if f.chooses(t) {
			sink(t)
		}
	})
}

// trace shows octets to who watches.
func (e *Endpoint) trace(sent bool, by transport, peer netip.AddrPort, octets []byte) {
	e.taps.Show(Traced{Time: time.Now(), Peer: by.String() + ":" + peer.String(), Sent: sent, Octets: bytes.Clone(octets)})
}

func (f TraceFilter) chooses(t Traced) bool {
	if f.Peer != "" {
		_, address, _ := strings.Cut(t.Peer, ":")
		host, _, _ := net.SplitHostPort(address)
		if f.Peer != address && strings.Trim(f.Peer, "[]") != host {
			return false
		}
	}
	if f.User == "" {
		return true
	}
	var m message
	if !m.scan(bytes.Clone(t.Octets)) {
		return false
	}
	wanted := sms.ParseAddress(f.User).Value
	var uri sip.Uri
	if len(m.uri) > 0 && sip.ParseUri(string(m.uri), &uri) == nil && addressOf(&uri).Value == wanted {
		return true
	}
	for _, field := range [2][]byte{m.from, m.to} {
		var uri sip.Uri
		if _, err := sip.ParseAddressValue(string(field), &uri, nil); err == nil && addressOf(&uri).Value == wanted {
			return true
		}
	}
	for _, value := range m.authorization {
		if c, err := digest.ParseCredentials(string(value)); err == nil && c.Username == f.User {
			return true
		}
	}
	return false
}

// Readable is a traced message as people read it.
type Readable struct {
	StartLine string   // MESSAGE sip:100@example.com SIP/2.0, or SIP/2.0 202 Accepted; empty: it is no SIP
	Header    []string // the fields in their order, unfolded
	Body      string   // what is said, where text is asked for
	Size      int      // octets of the body
}

// notShown stands for what is not shown.
const notShown = "(not shown)"

// responsePart is what of credentials would let a password be guessed.
var responsePart = regexp.MustCompile(`(?i)(response|rspauth)(\s*=\s*)("[^"]*"|[^,\s]*)`)

// Read makes a traced message readable. What is said is shown only if text asks for it, and what a password could be guessed by never
// is.
func (t Traced) Read(text bool) (r Readable) {
	var m message
	line, rest, ok := m.line(bytes.Clone(t.Octets))
	if ok && m.startLine(line) {
		r.StartLine = printable(string(line))
	} else {
		rest = t.Octets
	}
	for ok && r.StartLine != "" {
		after := rest
		if line, after, ok = m.line(rest); !ok {
			break
		}
		if rest = after; len(line) == 0 {
			break
		}
		r.Header = append(r.Header, readableField(printable(string(line)), text))
	}
	if r.Size = len(rest); text && r.Size > 0 {
		r.Body = strings.ToValidUTF8(string(rest), "\uFFFD")
	}
	return r
}

func readableField(line string, text bool) string {
	name, value, _ := strings.Cut(line, ":")
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "subject", "s":
		if !text {
			return name + ": " + notShown
		}
	case "authorization", "proxy-authorization", "authentication-info":
		scheme, _, _ := strings.Cut(strings.TrimSpace(value), " ")
		if !strings.EqualFold(scheme, "Digest") && !strings.Contains(scheme, "=") {
			return name + ": " + scheme + " " + notShown
		}
		return responsePart.ReplaceAllString(line, `$1$2"`+notShown+`"`)
	}
	return line
}
