package sip

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"

	"sipsmpp/gateway/sms"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

// registration is what a REGISTER asks for.
type registration struct {
	user      *sms.SIPUser
	from      origin
	bindings  []binding
	all       bool // Contact: *
	expires   int  // of the header; -1: it has none
	path      string
	callID    string
	cseq      uint32
	userAgent string
	outbound  bool // the user agent knows flows (RFC 5626)
	knowsPath bool
}

// register takes a REGISTER of a user who proved to be one (RFC 3261, 10.3). It is false if it was answered here.
func (e *Endpoint) register(m *message, from origin, key requestKey, transaction uint64, now time.Time) bool {
	reg, r := e.readRegister(m, from)
	if r.code != 0 {
		e.refuse(m, from, key, r)
		return false
	}
	if what, a := e.answered.begin(key, transaction, now); what != isNew {
		e.again(m, from, key, what, a)
		return false
	}
	x := e.newExchange(m, from, key, transaction)
	refused := e.registrar.update(reg, now, func(header string, arrived bool, err error) {
		if err != nil { // the contacts hold, and the user agent says it again
			x.answer(500, busyRetryAfter*time.Second)
			return
		}
		x.header = header
		x.answer(200, 0)
		if arrived {
			e.handler.UserArrived(reg.user)
		}
	})
	if refused.code != 0 {
		x.reason, x.header = refused.reason, refused.header
		x.answer(refused.code, 0)
	}
	return true
}

// readRegister reads a REGISTER, or gives the refusal.
func (e *Endpoint) readRegister(m *message, from origin) (*registration, refusal) {
	if _, r := inspect(m, "path", "outbound"); r.code != 0 {
		return nil, r
	}
	var to sip.Uri
	if _, err := sip.ParseAddressValue(string(m.to), &to, nil); err != nil {
		return nil, refusal{code: 400, reason: "Bad To"}
	}
	if a := addressOf(&to); !slices.ContainsFunc(from.user.Addresses(), func(own sms.Address) bool { return own.Value == a.Value }) {
		return nil, refusal{code: 403, reason: "To Is Not Yours"}
	}
	digits, _, _ := bytes.Cut(m.cseq, []byte(" "))
	cseq, _ := number(digits, 31) // scan has checked it
	reg := &registration{
		user: from.user, from: from, expires: -1, callID: printable(string(m.callID)), cseq: uint32(cseq),
		userAgent: printable(string(m.userAgent)), outbound: hasToken(m.supported, "outbound"), knowsPath: hasToken(m.supported, "path"),
	}
	if len(reg.callID) > maxTag {
		return nil, refusal{code: 400, reason: "Call-ID Too Long"}
	}
	reg.userAgent = reg.userAgent[:min(len(reg.userAgent), maxTag)]
	if m.expires != nil {
		reg.expires = seconds(m.expires)
	}
	if len(m.path) > 0 {
		// Only a proxy that is trusted may say by which way messages go (RFC 3327, 6).
		if !from.trusted {
			return nil, refusal{code: 420, header: "Unsupported: path\r\n"}
		}
		reg.path = string(bytes.Join(m.path, []byte(", ")))
		if len(reg.path) > maxPath || printable(reg.path) != reg.path {
			return nil, refusal{code: 400, reason: "Bad Path"}
		}
		if _, err := nextHopOf(reg.path); err != nil {
			return nil, refusal{code: 400, reason: "Bad Path"}
		}
	}
	for _, field := range m.contacts {
		for value := range list(field) {
			if string(value) == "*" {
				reg.all = true
				continue
			}
			b, reason := parseBinding(value)
			if reason != "" {
				return nil, refusal{code: 400, reason: reason}
			}
			if len(reg.bindings) == e.cfg.MaxContacts {
				return nil, refusal{code: 403, reason: "Too Many Contacts"}
			}
			reg.bindings = append(reg.bindings, b)
		}
	}
	if reg.all && (len(reg.bindings) > 0 || reg.expires != 0) {
		return nil, refusal{code: 400, reason: "Contact * Wants Expires 0 And No Other"} // RFC 3261, 10.3, step 6
	}
	return reg, e.checkExpires(reg)
}

// checkExpires gives each contact its time, or the refusal of one that is too short (RFC 3261, 10.3, step 7).
func (e *Endpoint) checkExpires(reg *registration) refusal {
	for i := range reg.bindings {
		b := &reg.bindings[i]
		if b.expires < 0 {
			b.expires = reg.expires
		}
		if b.expires < 0 {
			b.expires = int(defaultExpires / time.Second)
		}
		if shortest := int(e.cfg.MinExpires / time.Second); b.expires > 0 && b.expires < shortest && b.expires < 3600 {
			return refusal{code: 423, header: "Min-Expires: " + strconv.Itoa(shortest) + "\r\n"}
		}
		b.expires = min(b.expires, int(e.cfg.MaxExpires/time.Second))
	}
	return refusal{}
}

// defaultExpires is how long a registration holds that does not say it.
const defaultExpires = time.Hour

// update makes the contacts of a user what a REGISTER says, all of it or nothing. done is told once it is kept, or why not, with
// the header of the 200 and whether the user is now reached where it was not; it is not called where the request is refused.
func (r *registrar) update(reg *registration, now time.Time, done func(header string, arrived bool, err error)) refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	matched := make([]*contact, len(reg.bindings))
	for i := range reg.bindings {
		for _, c := range r.users[reg.user.Name] {
			if reg.bindings[i].names(c) {
				matched[i] = c
			}
		}
	}
	for _, c := range r.users[reg.user.Name] {
		if (reg.all || slices.Contains(matched, c)) && c.CallID == reg.callID && reg.cseq <= c.CSeq {
			return refusal{code: 400, reason: "Registration Out Of Order"}
		}
	}
	made := make([]*contact, len(reg.bindings))
	for i := range reg.bindings {
		b := &reg.bindings[i]
		for _, c := range made[:i] {
			if c != nil && b.names(c) {
				return refusal{code: 400, reason: "Contact Given Twice"}
			}
		}
		if b.expires > 0 {
			var err error
			if made[i], err = r.contactOf(reg, b, now); err != nil {
				return refusal{code: 400, reason: "Contact Cannot Be Reached"}
			}
		}
	}
	var changes []ContactChange
	arrived := false
	if reg.all {
		for _, c := range slices.Clone(r.users[reg.user.Name]) {
			changes = append(changes, r.drop(c, goneByItself))
		}
	}
	for i, c := range made {
		known := matched[i]
		switch {
		case c == nil && known != nil && slices.Contains(r.users[known.User], known):
			changes = append(changes, r.drop(known, goneByItself))
		case c == nil:
		default:
			change := ContactChange{New: true}
			if known != nil && slices.Contains(r.users[known.User], known) {
				change.New = known.Received != c.Received || known.URI != c.URI || known.Path != c.Path
				r.unbind(known)
				c.ID, c.Since, c.place = known.ID, known.Since, known.place
				*known = *c
				c = known
			}
			r.put(c)
			change.Contact = c.Contact
			changes = append(changes, change)
			arrived = arrived || change.New
		}
	}
	for len(r.users[reg.user.Name]) > r.e.cfg.MaxContacts {
		oldest := slices.MinFunc(r.users[reg.user.Name], func(a, b *contact) int { return a.Updated.Compare(b.Updated) })
		changes = append(changes, r.drop(oldest, goneReplaced))
	}
	header := r.header(reg, now)
	if len(changes) == 0 {
		done(header, false, nil)
		return refusal{}
	}
	r.tell(changes, func(err error) { done(header, arrived, err) })
	return refusal{}
}

// contactOf is the contact that a binding asks for.
func (r *registrar) contactOf(reg *registration, b *binding, now time.Time) (*contact, error) {
	c := &contact{uri: b.parsed, Contact: sms.Contact{
		ID: r.ids.Next(), User: reg.user.Name, URI: b.uri, Received: reg.from.peer(), Local: reg.from.listener(), Path: reg.path,
		Instance: b.instance, RegID: b.regID, Q: b.q, CallID: reg.callID, CSeq: reg.cseq, UserAgent: reg.userAgent,
		Since: now, Updated: now, Expires: now.Add(time.Duration(b.expires) * time.Second),
	}}
	var err error
	c.hop, c.flow, err = r.e.wayTo(c, reg.from)
	return c, err
}

// header is what the 200 says: where the user is reached now (RFC 3261, 10.3, step 8).
func (r *registrar) header(reg *registration, now time.Time) string {
	b := r.contactFields(nil, reg.user.Name, now)
	if reg.path != "" && reg.knowsPath {
		b = append(append(append(b, "Path: "...), reg.path...), "\r\n"...)
	}
	// RFC 5626, 6: flows are used as such if the first hop knows them, be it we or a proxy.
	flows := slices.ContainsFunc(reg.bindings, func(b binding) bool { return b.regID != 0 })
	if flows && reg.outbound && (reg.path == "" || strings.Contains(reg.path, ";ob")) {
		b = append(b, "Require: outbound\r\n"...)
	}
	b = append(b, "Date: "...)
	b = now.UTC().AppendFormat(b, dateFormat)
	return string(append(b, "\r\n"...))
}

func (r *registrar) contactFields(b []byte, user string, now time.Time) []byte {
	for _, c := range r.users[user] {
		if left := c.Expires.Sub(now); left > 0 {
			b = appendContact(b, &c.Contact, int64((left+time.Second-1)/time.Second))
		}
	}
	return b
}

// registeredAgain is the header of the answer to a retransmitted REGISTER. The table of answers knows a request by its credentials,
// too, so that these are of who proved to be the user.
func (e *Endpoint) registeredAgain(m *message, now time.Time) string {
	for _, value := range m.authorization {
		if c, err := digest.ParseCredentials(string(value)); err == nil && c.Realm == e.realm {
			e.registrar.mu.Lock()
			defer e.registrar.mu.Unlock()
			return string(e.registrar.contactFields(nil, c.Username, now))
		}
	}
	return ""
}

// hasToken says that a list of tokens, in one field or several, has one.
func hasToken(fields [][]byte, token string) bool {
	for _, f := range fields {
		for value := range list(f) {
			if strings.EqualFold(string(value), token) {
				return true
			}
		}
	}
	return false
}
