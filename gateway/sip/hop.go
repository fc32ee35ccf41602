package sip

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sipsmpp/gateway/sms"
)

const (
	maxHops      = 64               // bits of outgoing.tried
	lookupTime   = 5 * time.Second  // for a name server to answer
	lookupFresh  = 30 * time.Second // an answer is used; then it is used and asked for again
	lookupFailed = 5 * time.Second  // a name that was not found is not asked for again
	suspectTime  = 30 * time.Second // an address, or a next hop that is not probed, that did not answer comes after the others
	maxTargets   = 64               // addresses of one next hop: bits of outgoing.addresses
	longestAside = time.Hour        // of the Retry-After of a 503
)

// hop is one next hop: an entry of sip.outbound_uri.
type hop struct {
	uri       string // as configured, without user and password
	transport transport
	host      string // a name or an address, without brackets
	port      int
	portGiven bool   // by the URI, so that no SRV record is asked for (RFC 3263, 4.2)
	address   string // host and port as the URI has them
	params    string // for the Request-URI
	userPhone bool   // numbers get ;user=phone
	// credentials are ours with it; nil: we have none.
	credentials *credentials

	contact bool    // it is one of a registered user
	flow    *stream // the connection that it is reached by; nil: any

	probed  bool        // OPTIONS asks it whether it is there
	probing atomic.Bool // and has no answer yet

	aside   atomic.Int64 // until then it asked not to be used, in Unix nanoseconds: 503 with Retry-After (RFC 3261, 21.5.4)
	suspect atomic.Int64 // until then others are tried first
	down    atomic.Bool  // it did not answer, and has not since
	heard   atomic.Int64 // when it last answered

	mu       sync.Mutex
	since    time.Time // when it went down, or came up again
	reason   string    // why it is down
	targets  []*target // replaced, never changed
	again    time.Time // when the name may be asked for again
	looking  bool
	waiting  []*outgoing // for the first answer
	lookedUp error
}

// target is one address of a next hop, and how we look from there.
type target struct {
	addr   netip.AddrPort
	udp    *net.UDPAddr
	socket *udpSocket         // to send from; nil: no listener fits
	sentBy [transports]string // in Via

	suspect atomic.Int64 // until then the next hop's other addresses are tried first
}

// targetsOf gives the addresses of a next hop. wait means that o was queued until its name is known, and is tried then.
func (e *Endpoint) targetsOf(h *hop, o *outgoing) (targets []*target, wait bool) {
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.looking && now.After(h.again) {
		h.looking = true
		e.tasks.Go(func() { e.lookUp(h) })
	}
	if h.targets == nil && h.looking {
		h.waiting = append(h.waiting, o)
		return nil, true
	}
	if h.targets == nil {
		o.fail(sms.Temporary, sms.CauseNotReady, fmt.Sprintf("no address of %s is known: %v", h.uri, h.lookedUp))
	}
	return h.targets, false
}

// lookUp asks for the addresses of a next hop and lets those go on that wait for them.
func (e *Endpoint) lookUp(h *hop) {
	ctx, cancel := context.WithTimeout(e.ctx, lookupTime)
	defer cancel()
	addrs, literal, err := e.locate(ctx, h)
	h.mu.Lock()
	before := h.targets
	h.mu.Unlock()
	var targets []*target
	for _, a := range addrs[:min(len(addrs), maxTargets)] {
		if i := slices.IndexFunc(before, func(t *target) bool { return t.addr == a }); i >= 0 {
			targets = append(targets, before[i]) // how it is doing stays known
			continue
		}
		t, terr := e.targetAt(a)
		if terr != nil {
			err = terr
			continue
		}
		targets = append(targets, t)
	}
	if targets == nil {
		e.log.Warn("a next hop has no address", "next_hop", h.uri, "error", err)
	}
	h.mu.Lock()
	h.looking, h.lookedUp = false, err
	if targets != nil {
		h.targets = targets
	}
	switch {
	case targets == nil:
		h.again = time.Now().Add(lookupFailed)
	case literal:
		h.again = time.Now().AddDate(100, 0, 0)
	default:
		h.again = time.Now().Add(lookupFresh)
	}
	waiting := h.waiting
	h.waiting = nil
	h.mu.Unlock()
	for _, o := range waiting {
		e.try(o)
	}
}

// locate finds the addresses of a next hop, in the order to try them (RFC 3263, 4.2): of a name without a port those that its SRV
// records name, by their priority and weight; else the name's own. literal says that it is an address, for good.
func (e *Endpoint) locate(ctx context.Context, h *hop) (addrs []netip.AddrPort, literal bool, err error) {
	if ip, err := netip.ParseAddr(h.host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(ip.Unmap(), uint16(h.port))}, true, nil
	}
	if service := srvServices[h.transport]; !h.portGiven && service[0] != "" {
		_, records, srvErr := e.lookupSRV(ctx, service[0], service[1], h.host)
		for _, r := range records {
			if r.Target == "." || len(addrs) >= maxTargets {
				continue // RFC 2782: the service is not to be had
			}
			ips, ipErr := e.lookup(ctx, "ip", strings.TrimSuffix(r.Target, "."))
			if ipErr != nil {
				err = ipErr
			}
			for _, ip := range ips {
				addrs = append(addrs, netip.AddrPortFrom(ip.Unmap(), r.Port))
			}
		}
		if srvErr == nil && len(records) > 0 {
			return addrs, false, err
		}
	}
	ips, err := e.lookup(ctx, "ip", h.host)
	for _, ip := range ips {
		addrs = append(addrs, netip.AddrPortFrom(ip.Unmap(), uint16(h.port)))
	}
	return addrs, false, err
}

// srvServices are the service and protocol of SRV records (RFC 3263, 4.1). WebSocket has none.
var srvServices = [transports][2]string{byUDP: {"sip", "udp"}, byTCP: {"sip", "tcp"}, byTLS: {"sips", "tcp"}}

// nextTarget is the next address that o goes to: those that lately did not answer last. Nil: none is left.
func (o *outgoing) nextTarget(targets []*target, now time.Time) *target {
	for _, suspects := range [2]bool{false, true} {
		for i, t := range targets {
			if o.addresses&(1<<i) == 0 && (now.UnixNano() < t.suspect.Load()) == suspects {
				o.addresses |= 1 << i
				return t
			}
		}
	}
	return nil
}

// targetAt finds out which socket reaches an address and what our own is from there.
func (e *Endpoint) targetAt(addr netip.AddrPort) (*target, error) {
	t := &target{addr: addr, udp: net.UDPAddrFromAddrPort(addr)}
	for _, s := range e.sockets {
		local := s.local.Addr()
		if local.IsLoopback() && !addr.Addr().IsLoopback() {
			continue // nothing gets from there to elsewhere
		}
		if local.Is4() == addr.Addr().Is4() || local.IsUnspecified() && local.Is6() {
			t.socket = s
			break
		}
	}
	var local netip.Addr
	if t.socket != nil {
		local = t.socket.local.Addr()
	}
	if !local.IsValid() || local.IsUnspecified() {
		conn, err := net.Dial("udp", addr.String()) // sends nothing: it asks the kernel for the route
		if err != nil {
			return nil, err
		}
		local = addrPort(conn.LocalAddr()).Addr()
		_ = conn.Close()
	}
	port := uint16(0)
	if t.socket != nil {
		port = t.socket.local.Port()
	}
	t.sentBy[byUDP] = sentBy(local, port)
	for by := byTCP; by < transports; by++ {
		at := port
		for _, l := range e.listeners {
			if l.by == by {
				at = addrPort(l.l.Addr()).Port()
				break
			}
		}
		t.sentBy[by] = sentBy(local, at)
	}
	return t, nil
}

func sentBy(ip netip.Addr, port uint16) string {
	if port == 0 {
		return hostOf(ip.String())
	}
	return hostOf(ip.String()) + ":" + strconv.Itoa(int(port))
}

// pick is the next hop that o goes to: in the order of the configuration, those that lately did not answer last. Nil: none is
// left.
func (e *Endpoint) pick(o *outgoing, now time.Time) *hop {
	if o.only != nil {
		if o.tried != 0 || now.UnixNano() < o.only.aside.Load() {
			return nil
		}
		o.tried = 1
		return o.only
	}
	for _, suspects := range [2]bool{false, true} {
		for i, h := range e.hops {
			n := now.UnixNano()
			if o.tried&(1<<i) != 0 || n < h.aside.Load() || n < h.suspect.Load() != suspects {
				continue
			}
			o.tried |= 1 << i
			return h
		}
	}
	return nil
}

// doubt puts an address of a next hop behind its others for a while. With the last of them the next hop is down: behind the
// others, until it is heard from if it is probed, else for a while.
func (e *Endpoint) doubt(h *hop, t *target, now time.Time, reason string) {
	if h.contact {
		return // there is no other way to it
	}
	h.mu.Lock()
	if t != nil {
		t.suspect.Store(now.Add(suspectTime).UnixNano())
	}
	for _, other := range h.targets {
		if now.UnixNano() >= other.suspect.Load() {
			h.mu.Unlock()
			return
		}
	}
	if h.probed {
		h.suspect.Store(math.MaxInt64)
	} else {
		h.suspect.Store(now.Add(suspectTime).UnixNano())
	}
	was := h.down.Swap(true)
	if !was {
		h.since, h.reason = now, reason
	}
	h.mu.Unlock()
	if !was {
		e.log.Warn("a next hop does not answer; others are tried first", "next_hop", h.uri, "error", reason)
		e.handler.NextHopDown(h.uri, reason)
	}
}

// heardFrom takes that back.
func (e *Endpoint) heardFrom(h *hop, t *target, now time.Time) {
	h.heard.Store(now.UnixNano())
	if t.suspect.Load() != 0 {
		t.suspect.Store(0)
	}
	if !h.down.Load() || !h.down.CompareAndSwap(true, false) {
		return
	}
	h.suspect.Store(0)
	h.mu.Lock()
	h.since, h.reason = now, ""
	h.mu.Unlock()
	e.log.Info("a next hop answers again", "next_hop", h.uri)
	e.handler.NextHopUp(h.uri)
}

// setAside obeys the Retry-After of a 503.
func (h *hop) setAside(now time.Time, seconds int) {
	h.aside.Store(now.Add(min(time.Duration(seconds)*time.Second, longestAside)).UnixNano())
}
