package gateway

import (
	"sipsmpp/events"
	"sipsmpp/gateway/sip"
	"sipsmpp/gateway/sms"
)

// NextHopDown and NextHopUp tell the world.
func (h fromSIP) NextHopDown(uri, reason string) {
	h.g.hub.Publish(events.SIPPeerDown{Peer: uri, Reason: reason})
}

func (h fromSIP) NextHopUp(uri string) {
	h.g.hub.Publish(events.SIPPeerUp{Peer: uri})
	h.g.keeper.up(sms.SIP.String())
	h.g.keeper.up(uri)
}

// SIPNextHops lists the next hops of messages to SIP: those of sip.outbound_uri, then those that routes named.
func (g *Gateway) SIPNextHops() []sip.NextHop { return g.sip.NextHops() }

// TraceSIP calls sink for every message that crosses the SIP side, as far as the filter chooses it, until stop is called. The sink must
// not block, nor call the gateway.
func (g *Gateway) TraceSIP(f sip.TraceFilter, sink func(sip.Traced)) (stop func()) {
	return g.sip.Trace(f, sink)
}

// SIPStats counts what crossed the SIP side since the start.
func (g *Gateway) SIPStats() sip.Stats { return g.sip.Stats() }
