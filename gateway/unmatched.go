package gateway

import (
	"fmt"
	"slices"

	"sipsmpp/events"
	"sipsmpp/gateway/receipt"
	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// maxExplained bounds the unmatched receipts whose cause is looked for at one time, and maxSearched the connections that are
// searched for one. A flood of receipts that nobody knows must not become a flood of queries.
const (
	maxExplained = 4
	maxSearched  = 20
)

const (
	causeNoID    = "the receipt gives no SMSC id, neither in its text nor in receipted_message_id"
	causeUnknown = "no recorded message has this SMSC id: it was sent without a wish for a receipt, by another gateway, or its record is gone"
)

// unmatched ends a receipt that belongs to no message that we know. The SMSC cannot help it, so it is told that all is well.
func (r *reports) unmatched(in *incoming) {
	r.counters.unmatched.Add(1)
	in.answer(wire.StatusOK)
	if in.receipt.SMSCID == "" {
		r.tellUnmatched(in, causeNoID)
		return
	}
	if r.explaining.Add(1) > maxExplained {
		r.explaining.Add(-1)
		r.tellUnmatched(in, causeUnknown)
		return
	}
	r.explain(in, r.searches(in), func(cause string) {
		r.explaining.Add(-1)
		r.tellUnmatched(in, cause)
	})
}

func (r *reports) tellUnmatched(in *incoming, cause string) {
	e := events.ReceiptUnmatched{SMSCID: in.receipt.SMSCID, State: in.receipt.State.String(), LikelyCause: cause}
	e.Connection, e.Account = owner(in.leg)
	r.hub.Publish(e)
}

// search is where the message of an unmatched receipt could be, had things been set otherwise.
type search struct {
	leg   sms.Leg
	keys  []string
	cause func(store.Match) string
}

// searches are where to look, likeliest first: the same legs with every form of the id, if column smsc_id_format allows one alone,
// and then the other connections.
func (r *reports) searches(in *incoming) (list []search) {
	all := receipt.Candidates(in.receipt.SMSCID, receipt.FormatAuto)
	own := r.siblings(in.leg)
	if format := r.format(in.leg); len(in.keys) < len(all) {
		for _, leg := range own {
			list = append(list, search{leg, all, func(m store.Match) string {
				return fmt.Sprintf("message %s has it in another notation, and smsc_id_format of %s is %s: set it to auto", m.ID, in.leg.Name, format)
			}})
		}
	}
	for _, leg := range r.legs() {
		if len(list) >= maxSearched {
			break
		}
		if !slices.Contains(own, leg) {
			list = append(list, search{leg, all, func(m store.Match) string {
				return fmt.Sprintf("message %s has it, and was sent by connection %s: receipts of the one are taken for the other's where both "+
					"have the same ip and system_id", m.ID, leg.Name)
			}})
		}
	}
	return list
}

// explain looks where searches say, one after the other.
func (r *reports) explain(in *incoming, list []search, done func(cause string)) {
	if len(list) == 0 {
		done(causeUnknown)
		return
	}
	r.db.FindSegments(list[0].leg, list[0].keys, func(matches []store.Match, err error) {
		if err != nil || len(matches) == 0 {
			r.explain(in, list[1:], done)
			return
		}
		done(list[0].cause(matches[0]))
	})
}

// connectionLegs are the legs of all connections, by name.
func (g *Gateway) connectionLegs() []sms.Leg {
	var legs []sms.Leg
	for _, name := range g.connections.Names() {
		legs = append(legs, sms.Connection(name))
	}
	return legs
}
