package gateway

import (
	"slices"
	"sync/atomic"

	"sipsmpp/gateway/sms"
)

// A message that goes from gateway to gateway in a circle would do so for ever. SIP counts by Max-Forwards. SMPP has nothing to
// count by, so that a connection or account may name an optional parameter for it (options.hops_tlv), which both sides of the link
// have to know.

// firstHops is what a message begins with that came with no count, as in RFC 3261, 8.1.1.6.
const firstHops = 70

// hops knows which legs carry the count, and by which tag. Its zero value: none does.
type hops struct {
	tags atomic.Pointer[map[sms.Leg]uint16]
}

// setHops reads the tags from the rows. The caller has the lock of the reloads, or is Start.
func (g *Gateway) setHops() {
	tags := make(map[sms.Leg]uint16)
	if t := g.table.Load(); t != nil {
		for name, row := range t.rows {
			if row.HopsTLV != 0 {
				tags[sms.Connection(name)] = row.HopsTLV
			}
		}
	}
	for _, row := range *g.accountRows.Load() {
		if row.HopsTLV != 0 {
			tags[sms.Account(row.SystemID)] = row.HopsTLV
		}
	}
	if len(tags) == 0 {
		g.hops.tags.Store(nil)
		return
	}
	g.hops.tags.Store(&tags)
}

// tag is what carries the count on a leg; 0: nothing does.
func (h *hops) tag(leg sms.Leg) uint16 {
	if tags := h.tags.Load(); tags != nil {
		return (*tags)[leg]
	}
	return 0
}

// take moves the count that a message came with from its parameter to its field.
func (h *hops) take(m *sms.Message) {
	tag := h.tag(m.Ingress)
	if tag == 0 {
		return
	}
	for i, t := range m.TLVs {
		if t.Tag != tag || len(t.Value) != 1 {
			continue
		}
		if m.Hops = int16(t.Value[0]); m.Hops == 0 {
			m.Hops = -1
		}
		m.TLVs = slices.Delete(m.TLVs, i, i+1)
		return
	}
}

// give is the message with the count as a leg is to have it: m itself where the leg carries none, else a copy.
func (h *hops) give(m *sms.Message, leg sms.Leg) *sms.Message {
	tag := h.tag(leg)
	if tag == 0 {
		return m
	}
	left := byte(firstHops - 1)
	if m.Hops > 0 {
		left = byte(m.Hops - 1)
	}
	counted := *m
	counted.TLVs = append(slices.Clip(m.TLVs), sms.TLV{Tag: tag, Value: []byte{left}})
	return &counted
}

// looped says that a message failed because it goes round in a circle, as we see it or as a SIP next hop does: 482 Loop Detected, 483
// Too Many Hops.
func looped(o sms.Outcome) bool {
	return o.Cause == sms.CauseLoop || o.Protocol == sms.ProtocolSIP && (o.Status == 482 || o.Status == 483)
}
