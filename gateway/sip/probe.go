package sip

import (
	"math/rand/v2"
	"strconv"
	"time"

	"sipsmpp/gateway/sms"
)

// probeTime is how long the answer to an OPTIONS is waited for.
const probeTime = 5 * time.Second

// probe asks every next hop now and then whether it is there, until the endpoint is closed.
func (e *Endpoint) probe() {
	tick := time.NewTicker(e.cfg.ProbeInterval)
	defer tick.Stop()
	for {
		for _, h := range e.hops {
			if h.probing.CompareAndSwap(false, true) {
				e.admit(&outgoing{
					m: &sms.Message{To: sms.Address{Value: "probe"}}, probe: true, only: h, fromTag: rand.Uint64(),
					callID: [2]uint64{rand.Uint64(), rand.Uint64()}, request: make([]byte, 0, usualHead),
					done: func(sms.Outcome) { h.probing.Store(false) },
				})
			}
		}
		select {
		case <-tick.C:
		case <-e.ctx.Done():
			return
		}
	}
}

// appendProbe appends the OPTIONS of a probe (RFC 3261, 11.1).
func (e *Endpoint) appendProbe(b []byte, o *outgoing, by transport) []byte {
	to := "sip:" + o.hop.address
	b = append(b, "OPTIONS "+to+o.hop.params+" SIP/2.0\r\nVia: SIP/2.0/"+viaNames[by]+o.to.sentBy[by]+";branch="...)
	b = appendBranch(b, o.branch)
	b = append(b, ";rport\r\nMax-Forwards: 70\r\nFrom: <sip:"+e.domain+">;tag="...)
	b = appendHex(b, o.fromTag)
	b = append(b, "\r\nTo: <"+to+">\r\nCall-ID: "...)
	b = appendHex(appendHex(b, o.callID[0]), o.callID[1])
	b = append(b, "@"+e.domain+"\r\nCSeq: "...)
	b = strconv.AppendUint(b, uint64(o.seq)+1, 10)
	return append(b, " OPTIONS\r\nAccept: text/plain, message/cpim\r\nContent-Length: 0\r\n\r\n"...)
}

// NextHop is how a next hop is doing.
type NextHop struct {
	URI       string    // without user and password
	State     string    // up, down, aside
	Reason    string    // why it is down
	Since     time.Time // when it went down or came up again; zero: it never did
	Aside     time.Time // until when it asked to be left alone
	Heard     time.Time // when it last answered; zero: it never did
	Addresses []string  // that its name has now, in the order to try them
}

// NextHops lists those of sip.outbound_uri in their order, then those that routes named.
func (e *Endpoint) NextHops() []NextHop {
	var list []NextHop
	for _, h := range e.hops {
		list = append(list, h.status(time.Now()))
	}
	e.otherHops.Range(func(_, h any) bool {
		list = append(list, h.(*hop).status(time.Now()))
		return true
	})
	return list
}

func (h *hop) status(now time.Time) NextHop {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := NextHop{URI: h.uri, State: "up", Reason: h.reason, Since: h.since}
	if at := h.heard.Load(); at > 0 {
		n.Heard = time.Unix(0, at)
	}
	if at := h.aside.Load(); at > now.UnixNano() {
		n.State, n.Aside = "aside", time.Unix(0, at)
	}
	if h.down.Load() {
		n.State = "down"
	}
	for _, t := range h.targets {
		n.Addresses = append(n.Addresses, t.addr.String())
	}
	return n
}
