package sip

import (
	"fmt"
	"strings"
	"sync"

	"github.com/icholy/digest"
)

// credentials are ours with one next hop, and what it last asked for. With them a request carries its answer before it is asked
// again, so that a challenge costs one round trip and not one for each message.
type credentials struct {
	user, password string

	mu        sync.Mutex
	challenge *digest.Challenge
	proxy     bool // 407: the answer stands in Proxy-Authorization
	count     int  // requests that answered this challenge
}

// learn takes the challenge of a 401 or 407: of those that it gives the strongest that we can answer (RFC 8760, 2.4). It is
// false if there is none.
func (c *credentials) learn(m *message) bool {
	values := m.authenticate
	if m.status == 407 {
		values = m.proxyAuthenticate
	}
	var best *digest.Challenge
	strength := 0
	for _, v := range values {
		chal, err := digest.ParseChallenge(printable(string(v)))
		if err != nil || strings.ContainsAny(chal.Realm+chal.Nonce+chal.Opaque, "\"\\") {
			continue
		}
		for i := range chal.QOP {
			chal.QOP[i] = strings.TrimSpace(chal.QOP[i])
		}
		if len(chal.QOP) > 0 && !chal.SupportsQOP("auth") || !digest.CanDigest(chal) {
			continue
		}
		s := 1 // MD5
		if chal.Algorithm != "" && !strings.EqualFold(chal.Algorithm, "MD5") {
			s = 2
		}
		if s > strength {
			best, strength = chal, s
		}
	}
	if best == nil {
		return false
	}
	c.mu.Lock()
	c.challenge, c.proxy, c.count = best, m.status == 407, 0
	c.mu.Unlock()
	return true
}

// append appends the header field that answers the last challenge, with its CRLF before it. Where there was none it appends
// nothing.
func (c *credentials) append(b []byte, uri string) []byte {
	c.mu.Lock()
	chal, proxy := c.challenge, c.proxy
	c.count++
	count := c.count
	c.mu.Unlock()
	if chal == nil {
		return b
	}
	answer, err := digest.Digest(chal, digest.Options{Method: "MESSAGE", URI: uri, Count: count, Username: c.user, Password: c.password})
	if err != nil {
		return b // no algorithm that learn lets through fails
	}
	if proxy {
		b = append(b, "\r\nProxy-Authorization: "...)
	} else {
		b = append(b, "\r\nAuthorization: "...)
	}
	return append(b, answer.String()...)
}

// challenged answers a 401 or 407: once, and once more where what was sent was an answer to an older challenge. It is false if
// that cannot be, or did not help.
func (e *Endpoint) challenged(o *outgoing, m *message) bool {
	c := o.hop.credentials
	if c == nil || o.challenges == 2 || !c.learn(m) {
		return false
	}
	o.challenges++
	o.seq++ // RFC 3261, 22.2
	if !e.transmit(o) {
		e.try(o)
	}
	return true
}

// unauthorized is what to do about a 401 or 407 that stays.
func (h *hop) unauthorized() string {
	if h.credentials == nil {
		return ": the next hop wants credentials; let it trust this gateway's address, or set sip.outbound_user and sip.outbound_password"
	}
	return fmt.Sprintf(": the next hop does not take the credentials of user %q; see sip.outbound_user and sip.outbound_password", h.credentials.user)
}
