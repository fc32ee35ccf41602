package sip

import (
	"bytes"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"sipsmpp/gateway/sms"

	"github.com/emiago/sipgo/sip"
)

// busyRetryAfter is what a request is told that finds too many in progress, in seconds.
const busyRetryAfter = 2

// Handler takes what comes in.
type Handler interface {
	// Message is a MESSAGE that came in, decoded; its ID is not set. It must not block. answer must be called exactly once, from
	// any goroutine, also before Message returns, with the final response code (200 to 699) and, where that is not 0, the time
	// after which the sender may try again.
	Message(m *sms.Message, answer func(code int, retryAfter time.Duration))
	// Notification is one that came in for a message that we sent. The same holds for answer.
	Notification(n *Notification, answer func(code int, retryAfter time.Duration))
	// NextHopDown and NextHopUp say that a next hop stopped to answer, and that it does again. They must not block.
	NextHopDown(uri, reason string)
	NextHopUp(uri string)
	// ContactsChanged is told what became of the contacts of users, in this order, and keeps it: RestoreContacts wants it after a restart.
	// It must not block, nor call back. done, which may be nil, is told once whether it is kept; it is called with nil only after
	// it has returned, or by another goroutine.
	ContactsChanged(changes []ContactChange, done func(error))
	// UserArrived says that a user is reached by a contact that is new. It may send at once, and must not block.
	UserArrived(u *sms.SIPUser)
}

// inbox is what one reader reuses from message to message.
type inbox struct {
	m       message
	scratch []byte
	sources [64]source // of datagrams, by their port: most come from a few proxies
}

// source is where a datagram came from, and that in words.
type source struct {
	from netip.AddrPort
	name string
}

// nameOf is a source of datagrams in words.
func (in *inbox) nameOf(from netip.AddrPort) string {
	s := &in.sources[int(from.Port())%len(in.sources)]
	if s.from != from {
		*s = source{from, byUDP.String() + ":" + from.String()}
	}
	return s.name
}

// refusal is an answer that needs no state: each retransmission is refused in the same words.
type refusal struct {
	code       int
	reason     string // empty: the standard phrase
	header     string // further fields, each with its CRLF
	retryAfter int
}

// received is the way in for whatever a socket took: b is one message. It is done with b when it returns.
func (e *Endpoint) received(in *inbox, b []byte, from origin) {
	if e.taps.Watched() {
		e.trace(false, from.by.transport(), from.from, b)
	}
	if !in.m.scan(b) {
		e.count[from.by.transport()].malformed.Add(1)
		return
	}
	if in.m.status > 0 {
		e.response(&in.m, from.by.transport())
		return
	}
	e.request(in, from)
}

func (e *Endpoint) request(in *inbox, from origin) {
	m := &in.m
	e.count[from.by.transport()].requests.Add(1)
	if string(m.method) == "ACK" {
		return // of an INVITE that we refused; nothing answers an ACK
	}
	now := time.Now()
	key, transaction, scratch := e.answered.key(m, in.scratch)
	in.scratch = scratch
	if r := e.screen(m, from); r.code != 0 {
		e.refuse(m, from, key, r)
		return
	}
	if what, a := e.answered.look(key, transaction, now); what != isNew {
		e.again(m, from, key, what, a)
		return
	}
	from.user = nil
	if !from.trusted || string(m.method) == "REGISTER" { // whoever is trusted to send is not trusted to receive for others
		u, r := e.authenticate(m, from, now)
		if r.code != 0 {
			e.refuse(m, from, key, r)
			return
		}
		from.user = u
	}
	e.hold() // before draining is looked at, so that Close waits for what is let in
	if !e.handOver(m, from, key, transaction, now) {
		e.release()
	}
}

// handOver gives a new request to the handler. It is false if it was answered here.
func (e *Endpoint) handOver(m *message, from origin, key requestKey, transaction uint64, now time.Time) bool {
	if e.draining.Load() || int(e.inProgress.Load()) >= e.cfg.MaxInProgress {
		e.count[from.by.transport()].overload.Add(1)
		e.refuse(m, from, key, refusal{code: 503, retryAfter: busyRetryAfter})
		return false
	}
	if string(m.method) == "OPTIONS" {
		e.refuse(m, from, key, e.options(m))
		return false
	}
	if string(m.method) == "REGISTER" {
		return e.register(m, from, key, transaction, now)
	}
	msg, note, r := e.decode(m, from, now)
	if r.code != 0 {
		e.refuse(m, from, key, r)
		return false
	}
	// Another reader may have had the same request meanwhile.
	if what, a := e.answered.begin(key, transaction, now); what != isNew {
		e.again(m, from, key, what, a)
		return false
	}
	x := e.newExchange(m, from, key, transaction)
	if note != nil {
		e.handler.Notification(note, x.answer)
	} else {
		e.handler.Message(msg, x.answer)
	}
	return true
}

// again answers a request that is not new.
func (e *Endpoint) again(m *message, from origin, key requestKey, what known, a answer) {
	switch what {
	case isWorkedOn:
		e.count[from.by.transport()].retransmissions.Add(1)
	case isAnswered:
		e.count[from.by.transport()].retransmissions.Add(1)
		r := refusal{code: int(a.code), retryAfter: int(a.retryAfter)}
		if a.code == 200 && string(m.method) == "REGISTER" {
			r.header = e.registeredAgain(m, time.Now())
		}
		e.write(m, from, key, r)
	case isMerged:
		e.count[from.by.transport()].merged.Add(1)
		e.write(m, from, key, refusal{code: 482})
	}
}

// toTag is the same for all retransmissions of a request.
func toTag(key requestKey) uint64 { return key[1] }

// refuse answers without keeping anything.
func (e *Endpoint) refuse(m *message, from origin, key requestKey, r refusal) {
	if r.code >= 300 {
		e.count[from.by.transport()].refused.Add(1)
	}
	e.write(m, from, key, r)
}

func (e *Endpoint) write(m *message, from origin, key requestKey, r refusal) {
	p := newPacket()
	p.addr = destination(&m.top, from)
	p.b = appendStatusLine(p.b, r.code, r.reason)
	p.b = appendEcho(p.b, m, from, toTag(key))
	p.b = appendEnd(p.b, r.code, r.retryAfter, r.header)
	from.by.send(p)
}

// refuseHead answers a message of which a stream gave the head alone.
func (e *Endpoint) refuseHead(in *inbox, fr frame, from origin) {
	if e.taps.Watched() {
		e.trace(false, from.by.transport(), from.from, fr.octets)
	}
	if !in.m.scan(fr.octets) || in.m.status > 0 || string(in.m.method) == "ACK" {
		return
	}
	e.count[from.by.transport()].requests.Add(1)
	key, _, scratch := e.answered.key(&in.m, in.scratch)
	in.scratch = scratch
	r := refusal{code: fr.code, reason: fr.reason}
	if !from.trusted && len(*e.users.Load()) == 0 {
		r = refusal{code: 403}
	}
	e.refuse(&in.m, from, key, r)
}

// exchange is a request that was handed over and is not answered yet.
type exchange struct {
	e           *Endpoint
	by          carrier
	echo        *packet // what the answer takes from the request, and where it goes
	key         requestKey
	transaction uint64
	answered    atomic.Bool

	reason, header string // of the answer to a REGISTER
}

// newExchange counts in a request that is being worked on from now.
func (e *Endpoint) newExchange(m *message, from origin, key requestKey, transaction uint64) *exchange {
	echo := newPacket()
	echo.addr = destination(&m.top, from)
	echo.b = appendEcho(echo.b, m, from, toTag(key))
	e.inProgress.Add(1)
	return &exchange{e: e, by: from.by, echo: echo, key: key, transaction: transaction}
}

func (x *exchange) answer(code int, retryAfter time.Duration) {
	if !x.answered.CompareAndSwap(false, true) {
		x.e.log.Error("a request was answered twice; the second answer is dropped", "status", code)
		return
	}
	if code < 200 || code > 699 {
		x.e.log.Error("no final response code; 500 is sent", "status", code)
		code = 500
	}
	seconds := int(min(math.MaxUint16, (max(0, retryAfter)+time.Second-1)/time.Second))
	if code < 300 {
		x.e.count[x.by.transport()].answered.Add(1)
	} else {
		x.e.count[x.by.transport()].refused.Add(1)
	}
	x.e.answered.finish(x.key, answer{transaction: x.transaction, code: uint16(code), retryAfter: uint16(seconds)})
	p := newPacket()
	p.addr = x.echo.addr
	p.b = appendStatusLine(p.b, code, x.reason)
	p.b = append(p.b, x.echo.b...)
	p.b = appendEnd(p.b, code, seconds, x.header)
	x.echo.free()
	x.by.send(p)
	x.e.inProgress.Add(-1)
	x.e.release()
}

// known methods that we do not support (RFC 3261, 8.2.1), as far as registered with IANA.
var otherMethods = map[string]bool{
	"INVITE": true, "BYE": true, "REGISTER": true, "SUBSCRIBE": true, "NOTIFY": true, "REFER": true, "INFO": true,
	"PRACK": true, "UPDATE": true, "PUBLISH": true,
}

// screen is what the header as it was scanned decides: the order is that of RFC 3261, 8.2.
func (e *Endpoint) screen(m *message, from origin) refusal {
	switch {
	case !from.trusted && len(*e.users.Load()) == 0:
		return refusal{code: 403}
	case m.fault != "":
		return refusal{code: 400, reason: m.fault}
	case !bytes.EqualFold(m.version, sipVersion):
		return refusal{code: 505}
	}
	switch method := string(m.method); {
	case method == "MESSAGE", method == "OPTIONS", method == "REGISTER" && e.registrar != nil:
		return refusal{}
	case method == "CANCEL":
		return refusal{code: 481} // there is never a transaction to cancel (RFC 3261, 9.2)
	case !otherMethods[method]:
		return refusal{code: 501}
	case method == "BYE", tag(m.to) != nil && method != "INVITE":
		return refusal{code: 481} // there are no dialogs (RFC 3261, 12.2.2 and 15.1.2)
	default:
		return refusal{code: 405, header: e.allowMore()}
	}
}

// allowMore is what is supported besides what every endpoint does.
func (e *Endpoint) allowMore() string {
	if e.registrar == nil {
		return ""
	}
	return "Allow: REGISTER\r\n"
}

// options is the answer to an OPTIONS: what we can do (RFC 3261, 11.2).
func (e *Endpoint) options(m *message) refusal {
	if _, r := inspect(m); r.code != 0 {
		return r
	}
	supported := "Supported:\r\n"
	if e.registrar != nil {
		supported = "Supported: path, outbound\r\n"
	}
	return refusal{code: 200, header: allow + e.allowMore() + accept + acceptEncoding + supported}
}

// parseURI reads a Request-URI of any form that we know.
func parseURI(b []byte, uri *sip.Uri) refusal {
	if scheme, _, ok := bytes.Cut(b, []byte(":")); ok && isToken(scheme) &&
		!isName(scheme, "sip", 0) && !isName(scheme, "sips", 0) && !isName(scheme, "tel", 0) {
		return refusal{code: 416} // what follows may look like nothing that we know
	}
	if err := sip.ParseUri(string(b), uri); err != nil || uri.Wildcard {
		return refusal{code: 400, reason: "Bad Request-URI"}
	}
	switch uri.Scheme {
	case "sip", "sips", "tel":
		return refusal{}
	}
	return refusal{code: 416}
}

// inspect reads the Request-URI and refuses every extension that must be understood and is not among those that are known
// (RFC 3261, 8.2.2).
func inspect(m *message, known ...string) (uri sip.Uri, r refusal) {
	if !plainURI(m.uri, &uri) {
		if r = parseURI(m.uri, &uri); r.code != 0 {
			return uri, r
		}
	}
	var unsupported []string
	for _, field := range m.require {
		for extension := range list(field) {
			if !slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, string(extension)) }) {
				unsupported = append(unsupported, string(extension))
			}
		}
	}
	if unsupported != nil {
		return uri, refusal{code: 420, header: "Unsupported: " + strings.Join(unsupported, ", ") + "\r\n"}
	}
	return uri, refusal{}
}

// decode makes a message of a MESSAGE (RFC 3428, 7), or a notification of one that carries that.
func (e *Endpoint) decode(m *message, from origin, now time.Time) (*sms.Message, *Notification, refusal) {
	if m.maxForwards == 0 {
		return nil, nil, refusal{code: 483} // we hand it on, so it is one hop more (RFC 3261, 16.3)
	}
	to, r := inspect(m)
	if r.code != 0 {
		return nil, nil, r
	}
	if len(m.body) > e.cfg.MaxBody {
		return nil, nil, refusal{code: 413}
	}
	var sender sip.Uri
	if !plainAddress(m.from, &sender) {
		if _, err := sip.ParseAddressValue(string(m.from), &sender, nil); err != nil {
			return nil, nil, refusal{code: 400, reason: "Bad From"}
		}
	}
	if m.asserted != nil && from.trusted { // RFC 3325, 5
		var asserted sip.Uri
		if _, err := sip.ParseAddressValue(string(m.asserted), &asserted, nil); err == nil {
			sender = asserted
		}
	}
	body, r := uncompress(string(m.encoding), m.body, e.cfg.MaxBody)
	if r.code != 0 {
		return nil, nil, r
	}
	msg := &sms.Message{
		Ref:      printable(string(m.callID)),
		Ingress:  from.leg(),
		Peer:     from.peer(),
		From:     addressOf(&sender),
		To:       addressOf(&to),
		Received: now,
		Hops:     int16(min(max(m.maxForwards, 0), math.MaxUint8)),
	}
	if from.user != nil && !from.user.MayUse(msg.From) {
		return nil, nil, refusal{code: 403, reason: "From Is Not Yours"}
	}
	if m.expires != nil {
		msg.Expires = expiry(string(m.expires), string(m.date), now)
	}
	switch {
	case len(m.contentType) == 0 && len(body) == 0:
	case len(m.contentType) == 0:
		return nil, nil, refusal{code: 400, reason: "Missing Content-Type"} // RFC 3261, 7.4.1
	default:
		c, ok := decodeBody(string(m.contentType), body)
		if !ok {
			return nil, nil, refusal{code: 415}
		}
		if c.notification != nil && strings.HasSuffix(c.notification.MessageID, "@"+e.domain) {
			// It is of a message by its Call-ID, and so of one that asked for nothing: linphone sends it all the same.
			return nil, nil, refusal{code: 200}
		}
		if c.notification != nil {
			c.notification.Peer, c.notification.Received = msg.Peer, now
			return nil, c.notification, refusal{}
		}
		msg.Text = c.text
		e.ask(msg, c.cpim, &sender)
	}
	return msg, nil, refusal{}
}

// ask notes which report the sender of a message gets: what it asked for in CPIM, else what sip.reports says.
func (e *Endpoint) ask(msg *sms.Message, c *cpim, sender *sip.Uri) {
	switch {
	case c != nil && c.messageID != "" && (c.positive || c.negative):
		msg.Receipt = sms.ReceiptFinal
		if !c.positive {
			msg.Receipt = sms.ReceiptFailure
		}
		msg.Notify = &sms.Notify{
			URI: replyURI(sender), MessageID: c.messageID, From: c.from, To: c.to, DateTime: c.dateTime,
			Positive: c.positive, Negative: c.negative,
		}
	case e.cfg.Reports == ReportsText:
		msg.Receipt = sms.ReceiptFinal
		msg.Notify = &sms.Notify{URI: replyURI(sender), Positive: true, Negative: true}
	}
}

// expiry is when a message expires: Expires after Date where it has a Date, else after it came (RFC 3428, 4). A Date in the
// future is a clock that goes wrong, and does not count.
func expiry(expires, date string, now time.Time) time.Time {
	seconds, err := strconv.ParseUint(expires, 10, 32)
	if err != nil {
		return time.Time{}
	}
	from := now
	if sent, err := time.Parse(dateFormat, date); err == nil && sent.Before(now) {
		from = sent
	}
	return from.Add(time.Duration(seconds) * time.Second)
}

// dateFormat is a SIP-date: GMT and nothing else (RFC 3261, 20.17).
const dateFormat = "Mon, 02 Jan 2006 15:04:05 GMT"

// hostOf is an address as a host part: an IPv6 one in brackets.
func hostOf(host string) string {
	if ip := net.ParseIP(host); ip != nil && strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}
