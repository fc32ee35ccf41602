package gateway

import (
	"context"
	"errors"
	"time"

	"sipsmpp/events"
	"sipsmpp/gateway/smpp"
	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/text"
)

// fromSIP is what the SIP endpoint tells the gateway.
type fromSIP struct{ g *Gateway }

// Message takes a MESSAGE.
func (h fromSIP) Message(m *sms.Message, answer func(code int, retryAfter time.Duration)) {
	h.g.Accept(m, func(o sms.Outcome) { answer(sipCode(o)) })
}

// fromSMPP is what the SMPP side tells the gateway.
type fromSMPP struct{ g *Gateway }

// Message takes a deliver_sm: a message, or one part of it.
func (h fromSMPP) Message(m *sms.Message, answer func(wire.Status)) {
	h.g.hops.take(m)
	if m.Part.IsSet() {
		h.g.part(m, func(s wire.Status, _ sms.ID) { answer(s) })
		return
	}
	h.g.Accept(m, func(o sms.Outcome) { answer(smppStatus(o)) })
}

// Receipt takes a delivery receipt.
func (h fromSMPP) Receipt(owner sms.Leg, r sms.Receipt, answer func(wire.Status)) {
	h.g.reports.receipt(owner, r, answer)
}

// Alert tells the world.
func (h fromSMPP) Alert(connection string, mobile sms.Address, availability uint32) {
	states := [...]string{"available", "denied", "unavailable"}
	h.g.hub.Publish(events.Alert{Connection: connection, Address: mobile.String(), State: states[min(availability, 2)]})
}

// BindUp and BindDown tell the world.
func (h fromSMPP) BindUp(b smpp.BindStatus) {
	e := events.BindUp{Bind: b.ID, Mode: b.Mode, Peer: b.Remote}
	e.Connection, e.Account = owner(b.Owner)
	h.g.hub.Publish(e)
	h.g.keeper.up(b.Owner.String())
}

func (h fromSMPP) BindDown(b smpp.BindStatus, reason string, inFlight int) {
	e := events.BindDown{Bind: b.ID, Mode: b.Mode, Peer: b.Remote, Reason: reason, InFlight: inFlight}
	e.Connection, e.Account = owner(b.Owner)
	h.g.hub.Publish(e)
}

// Throttled tells the world.
func (h fromSMPP) Throttled(t smpp.Throttle) {
	h.g.hub.Publish(events.Throttled{
		Connection: t.Connection, CommandStatus: uint32(t.Status), CongestionState: t.Congestion, Until: events.Time(t.Until),
		Throughput: t.Throughput,
	})
}

// Unthrottled tells the world.
func (h fromSMPP) Unthrottled(connection string) {
	h.g.hub.Publish(events.Unthrottled{Connection: connection})
}

// owner puts a leg's name in the parameter that is its own.
func owner(l sms.Leg) (connection, account string) {
	if l.Kind == sms.LegAccount {
		return "", l.Name
	}
	return l.Name, ""
}

// part takes one part of a longer message. A part that does not complete it is on disk before it is answered, since many peers
// send the next only then; the one that completes it is answered as the message is. A peer that was told to try again sends that
// last part again, so the parts are kept until the message is taken or refused for good.
func (g *Gateway) part(m *sms.Message, reply func(wire.Status, sms.ID)) {
	if m.ID.IsZero() {
		m.ID = g.ids.Next() // of the part
	}
	answer := func(s wire.Status) { reply(s, m.ID) }
	whole, held, err := g.parts.Add(m)
	for errors.Is(err, text.ErrUnderWay) {
		// The peer did not wait for the answer. It gets the one that the message has, as often as it asks.
		if g.parts.Join(whole, func(o sms.Outcome) { reply(smppStatus(o), held.ID) }) {
			return
		}
		whole, held, err = g.parts.Add(m)
	}
	switch {
	case errors.Is(err, text.ErrReassemblyFull):
		answer(wire.StatusQueueFull)
	case errors.Is(err, text.ErrForgotten):
		answer(wire.StatusOK)
	case err != nil:
		answer(wire.StatusPermanentAppError)
	case whole != nil:
		whole.ID = m.ID // so that the id which an account is told for the last part is known
		g.acceptWhole(whole, func(o sms.Outcome) { reply(smppStatus(o), held.ID) })
	default:
		// A part that is held already is put again, too: the first time may have failed, or not be done.
		g.db.PutPart(held, func(err error) {
			if err != nil {
				g.log.Error("a part of a long message could not be kept; its sender is told to try again",
					"leg", m.Ingress, "error", err)
				answer(wire.StatusSystemError)
				return
			}
			reply(wire.StatusOK, held.ID)
		})
	}
}

// acceptWhole hands in an assembled message, and drops its parts unless its fate asks for them again.
func (g *Gateway) acceptWhole(whole *sms.Message, done func(sms.Outcome)) {
	g.Accept(whole, func(o sms.Outcome) {
		parts, joined := g.parts.End(whole, o)
		if len(parts) > 0 {
			g.db.DeleteParts(parts, func(err error) {
				if err != nil {
					g.log.Error("the parts of a long message could not be deleted; after a restart they may be sent again",
						"message", whole.ID, "error", err)
				}
			})
		}
		done(o)
		for _, told := range joined {
			told(o)
		}
	})
}

// restoreParts takes back the parts that wait on disk since before the restart.
func (g *Gateway) restoreParts(ctx context.Context) error {
	var parts []*sms.Message
	if err := g.db.Parts(ctx, func(m *sms.Message) error { parts = append(parts, m); return nil }); err != nil {
		return err
	}
	for _, whole := range g.parts.Restore(parts) {
		g.acceptWhole(whole, func(sms.Outcome) {})
	}
	return nil
}

// sweepParts sends on, marked as incomplete, what has waited too long for a part that never came.
func (g *Gateway) sweepParts(now time.Time) {
	for _, m := range g.parts.Expired(now) {
		if m.Incomplete {
			g.log.Warn("a long message goes on without its missing parts", "leg", m.Ingress, "parts", m.Segments)
		}
		g.acceptWhole(m, func(sms.Outcome) {})
	}
}
