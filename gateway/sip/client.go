package sip

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"syscall"
	"time"

	"sipsmpp/gateway/sms"

	"github.com/gorilla/websocket"
)

const (
	maxDatagram = 1300 // octets of a request by UDP where the path's MTU is not known (RFC 3261, 18.1.1)
	usualHead   = 576  // octets of a request's head, about, so that its buffer seldom grows
	dialTime    = 5 * time.Second
)

// Send sends m to m.To by way of the next hops. done is told the outcome once, possibly before Send returns; it must not block.
//
// A message whose Receipt is set is sent as CPIM that asks for notifications of its delivery, which come to
// Handler.Notification (RFC 5438); who takes no CPIM gets the text alone.
func (e *Endpoint) Send(m *sms.Message, done func(sms.Outcome)) { e.send(m, "", "", done) }

func (e *Endpoint) send(m *sms.Message, uri, kind string, done func(sms.Outcome)) {
	if users := e.registrar.usersOf(m.To); users != nil {
		e.inLane(m.To.Value, func(done func(sms.Outcome)) { e.sendToContacts(users, m, kind, done) }, done)
		return
	}
	start := func(done func(sms.Outcome)) {
		e.admit(&outgoing{
			m: m, done: done, uri: uri, kind: kind, fromTag: rand.Uint64(), callID: [2]uint64{rand.Uint64(), rand.Uint64()},
			request: make([]byte, 0, usualHead+len(m.Text)),
		})
	}
	if e.cfg.OneAtATime {
		e.inLane(m.To.Value, start, done)
		return
	}
	start(done)
}

// admit starts with a message unless it cannot be sent, or there are too many.
func (e *Endpoint) admit(o *outgoing) {
	m, done, now := o.m, o.done, time.Now()
	refuse := func(s sms.Severity, c sms.Cause, detail string) {
		failed := sms.Failed(s, c, detail)
		failed.Egress = sms.SIP
		done(failed)
	}
	switch {
	case o.only == nil && len(e.hops) == 0:
		refuse(sms.Permanent, sms.CauseNoRoute, "messages to SIP have no next hop; set sip.outbound_uri")
		return
	case m.IsBinary():
		refuse(sms.Permanent, sms.CauseUnencodable, "a binary message cannot go to SIP")
		return
	case m.To.IsZero():
		refuse(sms.Permanent, sms.CauseUnencodable, "the message has no recipient")
		return
	case !m.Expires.IsZero() && !now.Before(m.Expires):
		refuse(sms.Permanent, sms.CauseExpired, "")
		return
	}
	e.hold()
	if e.draining.Load() {
		e.release()
		refuse(sms.Temporary, sms.CauseShutdown, "")
		return
	}
	if int(e.inFlight.Add(1)) > e.cfg.MaxPending {
		e.inFlight.Add(-1)
		e.release()
		done(e.tooMany())
		return
	}
	e.try(o)
}

// try makes the next attempt: the next address of the next hop, else the next hop. Where none is left the message has failed.
func (e *Endpoint) try(o *outgoing) {
	for {
		if e.closed.Load() {
			o.fail(sms.Temporary, sms.CauseShutdown, "")
			e.finish(o, o.failure)
			return
		}
		if o.hop == nil {
			if o.hop, o.addresses = e.pick(o, time.Now()), 0; o.hop == nil {
				if !o.failed {
					what := "every next hop of sip.outbound_uri"
					if o.contact {
						what = o.uri
					}
					o.fail(sms.Temporary, sms.CauseNotReady, what+" asked to be left alone for now")
				}
				e.finish(o, o.failure)
				return
			}
		}
		targets, wait := e.targetsOf(o.hop, o)
		if wait {
			return
		}
		if t := o.nextTarget(targets, time.Now()); t != nil {
			o.to = t
			o.redialled = false
			if e.transmit(o) {
				return
			}
			continue
		}
		o.hop = nil
	}
}

// fail notes why an attempt failed of which nothing reached the next hop.
func (o *outgoing) fail(s sms.Severity, c sms.Cause, detail string) {
	if o.failed && o.failure.Fate == sms.Refused {
		return // a refusal says more
	}
	o.failure, o.failed = sms.Failed(s, c, detail), true
	o.failure.Egress = sms.SIP
}

// transmit starts a transaction to o.to. It is false if that cannot be.
func (e *Endpoint) transmit(o *outgoing) bool {
	now := time.Now()
	o.branch = rand.Uint64()
	o.by = o.hop.transport
	o.request = e.appendRequest(o.request[:0], o, o.by, now)
	if o.by == byUDP && len(o.request) > maxDatagram && !within(e.cfg.UDPSafe, o.to.addr.Addr()) {
		o.by = byTCP
		o.request = e.appendRequest(o.request[:0], o, byTCP, now)
	}
	if flow := o.hop.flow; flow != nil {
		e.over(flow, o)
		return true
	}
	if o.by != byUDP {
		e.sendStream(o)
		return true
	}
	socket := o.to.socket
	if socket == nil {
		o.fail(sms.Temporary, sms.CauseNotReady, fmt.Sprintf("no udp: listener of sip.listen can reach %s", o.to.addr))
		return false
	}
	p := newPacket()
	p.b = append(p.b, o.request...)
	p.addr, p.branch = o.to.udp, o.branch
	o.stream = nil
	e.begin(o, now) // and then it is no longer ours
	socket.send(p)
	return true
}

// begin puts o into the table and starts its timers. A response may come before the request has left, and find it.
func (e *Endpoint) begin(o *outgoing, now time.Time) {
	branch, due := o.branch, now.Add(min(e.cfg.T1, o.patience(&e.cfg)))
	if o.stream != nil {
		due = now.Add(o.patience(&e.cfg)) // no retransmissions: TCP has its own
	}
	o.began, o.due, o.interval, o.sent, o.proceeding = now, due, e.cfg.T1, 1, false
	if o.first.IsZero() {
		o.first = now
	}
	e.pending.put(o)
	e.count[o.by].sent.Add(1)
	e.wheel.add(branch, due)
	if e.closed.Load() {
		// Close took out what was in the table, and may have come just before this one.
		if o := e.pending.take(branch); o != nil {
			e.unknown(o, "the gateway is going down")
		}
	}
}

// tick is called by the wheel for a transaction whose time has come.
func (e *Endpoint) tick(branch uint64, now time.Time) {
	p, to, late := e.pending.clock(branch, now, &e.cfg, e.wheel)
	if p != nil {
		e.count[byUDP].resent.Add(1)
		to.socket.send(p)
	}
	if late != nil {
		e.count[late.by].timeouts.Add(1)
		reason := fmt.Sprintf("%s did not answer within %v", late.hop.uri, late.patience(&e.cfg))
		if late.hop.heard.Load() < late.began.UnixNano() {
			e.doubt(late.hop, late.to, now, reason)
		}
		flow := late.stream
		quiet := late.hop.flow != nil && flow.heard.Load() < late.began.UnixNano()
		e.unknown(late, reason)
		if quiet {
			flow.close() // nobody is there any more: who comes back registers again (RFC 5626, 5.3)
		}
	}
}

// unknown ends a message that was sent and will have no answer.
func (e *Endpoint) unknown(o *outgoing, detail string) {
	e.finish(o, sms.Outcome{
		Fate: sms.Unknown, Severity: sms.Temporary, Cause: sms.CauseNoAnswer, Detail: detail, Egress: sms.SIP,
	})
}

func (e *Endpoint) finish(o *outgoing, outcome sms.Outcome) {
	if o.probe {
		// It is no message.
	} else if outcome.Fate == sms.Accepted {
		e.count[o.by].accepted.Add(1)
	} else {
		e.count[o.by].failed.Add(1)
	}
	e.inFlight.Add(-1)
	outcome.Begun = o.first
	o.done(outcome)
	e.release()
}

// response takes a response to a request of ours (RFC 3261, 17.1.3 and 8.1.3.3).
func (e *Endpoint) response(m *message, by transport) {
	branch, ours := parseBranch(m.top.branch)
	if !ours || m.fault != "" || len(m.vias) > 1 || len(m.top.rest) > 0 || string(m.seqMethod) != "MESSAGE" && string(m.seqMethod) != "OPTIONS" {
		e.count[by].stray.Add(1)
		return
	}
	if m.status < 200 {
		if !e.pending.proceed(branch) {
			e.count[by].stray.Add(1)
		}
		return
	}
	o := e.pending.take(branch)
	if o == nil {
		e.count[by].stray.Add(1) // the answer to a retransmission, mostly
		return
	}
	now := time.Now()
	e.heardFrom(o.hop, o.to, now)
	if !o.probe {
		e.count[o.by].response.Observe(now.Sub(o.began))
	}
	if o.probe {
		e.finish(o, sms.Outcome{Fate: sms.Accepted}) // whatever it says, it is there
		return
	}
	outcome := outcomeOf(m.status)
	if m.status == 503 {
		// RFC 3261, 21.5.4: leave it alone for the time that it asks for, and try another.
		if m.retryAfter > 0 {
			o.hop.setAside(now, m.retryAfter)
		}
		o.failure, o.failed, o.hop = outcome, true, nil
		e.try(o)
		return
	}
	if m.status == 401 || m.status == 407 {
		if e.challenged(o, m) {
			return
		}
		outcome.Detail += o.hop.unauthorized()
	}
	if (m.status == 415 || m.status == 406 || m.status == 488) && o.asks() {
		o.bare = true
		if !e.transmit(o) {
			e.try(o)
		}
		return
	}
	e.finish(o, outcome)
}

// asks says that a message goes as CPIM, with a wish for notifications.
func (o *outgoing) asks() bool {
	return o.m.Receipt != sms.ReceiptNone && o.kind == "" && !o.bare && !o.m.ID.IsZero()
}

// unsent is told of a datagram that did not arrive.
func (e *Endpoint) unsent(branch uint64, err error) {
	if !errors.Is(err, syscall.EMSGSIZE) {
		e.notThere(branch, err.Error())
		return
	}
	if o := e.pending.take(branch); o != nil {
		o.fail(sms.Permanent, sms.CauseUnencodable, fmt.Sprintf("%d octets are too many for one datagram to %s", len(o.request), o.to.addr))
		e.finish(o, o.failure)
	}
}

func (e *Endpoint) notThere(branch uint64, reason string) {
	o := e.pending.take(branch)
	if o == nil {
		return
	}
	reason = fmt.Sprintf("cannot send to %s: %s", o.to.addr, reason)
	if o.sent > 1 {
		e.unknown(o, reason) // an earlier copy may have been taken
		return
	}
	e.refusedBy(o, reason)
}

// refusedBy goes on after an attempt that found nobody.
func (e *Endpoint) refusedBy(o *outgoing, reason string) {
	e.doubt(o.hop, o.to, time.Now(), reason)
	o.fail(sms.Temporary, sms.CauseNotReady, reason)
	e.try(o)
}

// dialKey names a connection of ours: by TLS and WebSocket the host of the URI counts, which the certificate or the HTTP request
// names.
type dialKey struct {
	by   transport
	addr netip.AddrPort
	host string
}

// dialled is the connection to one address, there or on its way.
type dialled struct {
	stream  *stream     // nil while it is being dialled
	waiting []*outgoing // for it; MaxPending bounds them
}

// sendStream sends o by the connection to its target, which is dialled if there is none.
func (e *Endpoint) sendStream(o *outgoing) {
	key, h := dialKey{by: o.by, addr: o.to.addr}, o.hop
	if o.by != byTCP {
		key.host = h.address
	}
	e.dialMu.Lock()
	d := e.dials[key]
	if d == nil {
		d = &dialled{}
		e.dials[key] = d
		e.tasks.Go(func() { e.dial(key, h, d) })
	}
	s := d.stream
	if s == nil {
		d.waiting = append(d.waiting, o)
	}
	e.dialMu.Unlock()
	if s != nil {
		e.over(s, o)
	}
}

// over sends o by s.
func (e *Endpoint) over(s *stream, o *outgoing) {
	o.stream = s
	s.asked.Store(true)
	branch, request := o.branch, o.request
	e.begin(o, time.Now())
	if s.queue(request) {
		return
	}
	// It was closed meanwhile, so nothing left. Whoever takes o out of the table has it.
	if o := e.pending.take(branch); o != nil {
		if o.hop.flow != nil {
			e.refusedBy(o, "the connection that it registered by is closed")
			return
		}
		if !o.redialled {
			o.redialled = true
			e.sendStream(o)
			return
		}
		e.refusedBy(o, fmt.Sprintf("the connection to %s is closed again and again", o.to.addr))
	}
}

func (e *Endpoint) dial(key dialKey, h *hop, d *dialled) {
	ctx, cancel := context.WithTimeout(e.ctx, dialTime+e.cfg.HandshakeTimeout)
	defer cancel()
	conn, ws, err := e.connect(ctx, key, h)
	forget := func() {
		e.dialMu.Lock()
		defer e.dialMu.Unlock()
		if e.dials[key] == d {
			delete(e.dials, key)
		}
	}
	if err != nil {
		forget()
		for _, o := range d.waiting { // nobody adds to it any more
			if o.hop.transport == byUDP { // which may well be there
				o.fail(sms.Temporary, sms.CauseNotReady, fmt.Sprintf(
					"%d octets are too many for one datagram, and %s cannot be connected to by TCP: %v; if datagrams of any size arrive there, name its network in sip.udp_safe",
					len(o.request), key.addr, err))
				e.try(o)
				continue
			}
			e.refusedBy(o, fmt.Sprintf("cannot connect to %s by %s: %v", key.addr, key.by, err))
		}
		return
	}
	s := newStream(e, conn, forget)
	s.dialled, s.by, s.ws = true, key.by, ws
	e.start(s)
	e.dialMu.Lock()
	d.stream = s
	waiting := d.waiting
	d.waiting = nil
	e.dialMu.Unlock()
	for _, o := range waiting {
		e.over(s, o)
	}
}

// connect makes a connection, with what its transport needs upon it.
func (e *Endpoint) connect(ctx context.Context, key dialKey, h *hop) (conn net.Conn, ws *websocket.Conn, err error) {
	dialling, cancel := context.WithTimeout(ctx, dialTime)
	conn, err = e.dialTCP(dialling, "tcp", key.addr.String())
	cancel()
	if err != nil {
		return nil, nil, err
	}
	tcp := conn
	if key.by.secure() {
		secured := tls.Client(conn, e.clientTLS(h))
		handshake, cancel := context.WithTimeout(ctx, e.cfg.HandshakeTimeout)
		err = secured.HandshakeContext(handshake)
		cancel()
		conn = secured
	}
	if err == nil && (key.by == byWS || key.by == byWSS) {
		ws, err = e.dialWS(ctx, conn, h)
	}
	if err != nil {
		_ = tcp.Close()
		return nil, nil, err
	}
	return conn, ws, nil
}

// lost is told that a connection was closed: what waits on it has no answer to expect.
func (e *Endpoint) lost(s *stream) {
	if !s.asked.Load() {
		return
	}
	for _, o := range e.pending.takeAll(func(o *outgoing) bool { return o.stream == s }) {
		e.unknown(o, fmt.Sprintf("the connection to %s was closed before it answered", o.to.addr))
	}
}

// dialer is net.Dialer, or a test's.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)
