package gateway

import (
	"time"

	"sipsmpp/gateway/sip"
	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// Reports of messages that came from SIP, and of messages that went there. The two legs have the same words for them inside the
// gateway: a notification that comes in is the receipt of a message whose SMSC id on leg `sip` is its own ID.

// Notification takes one from SIP for a message that went there.
func (h fromSIP) Notification(n *sip.Notification, answer func(code int, retryAfter time.Duration)) {
	h.g.reports.receipt(sms.SIP, sms.Receipt{SMSCID: n.MessageID, State: n.State, Error: n.Status, DoneTime: n.Received},
		func(s wire.Status) {
			if s != wire.StatusOK {
				answer(480, retryAfter)
				return
			}
			answer(200, 0)
		})
}

// reported says that a report can come by a leg for what is sent there: from an SMSC always, since a connection may ask for
// receipts by itself; from SIP and from an account where somebody wants one.
func (p *passage) reported(leg sms.Leg) bool {
	switch {
	case p.g.sendsReceipts(leg):
		return true
	case leg.Kind == sms.LegSIP, leg.Kind == sms.LegAccount, leg.Kind == sms.LegConnection:
		return p.out.Receipt != sms.ReceiptNone
	}
	return false
}

// sendsReceipts says that an SMSC is reached by a leg: any connection, but for one whose peer is the ESME (session_type 4).
func (g *Gateway) sendsReceipts(leg sms.Leg) bool {
	return leg.Kind == sms.LegConnection && !g.table.Load().outbinds[leg.Name]
}

// expectHere records a message whose report is wanted and that SIP or an ESME took: the one sends no receipts, and the other is
// the end of the way. A 200 is from the recipient's own device, so that nothing more need be waited for; a 202 is from somebody who
// will see, and may tell by a notification (RFC 3428, 7). An ESME that answered deliver_sm has the message.
func (p *passage) expectHere(o sms.Outcome) {
	leg, id, state := o.Egress, p.m.ID.String(), sms.StateDelivered
	if leg.Kind == sms.LegSIP {
		leg = sms.SIP // by which its notification will come
		if o.Status != 200 {
			state = sms.StateAccepted
		}
	}
	o.Egress, o.Receipt, o.SMSCIDs = leg, p.out.Receipt, []string{id}
	p.expect(o)
	p.g.reports.own(leg, sms.Receipt{SMSCID: id, State: state, DoneTime: time.Now()})
}

// own takes a receipt that we make ourselves, and that nobody sends again.
func (r *reports) own(leg sms.Leg, rc sms.Receipt) {
	r.receipt(leg, rc, func(s wire.Status) {
		if s != wire.StatusOK {
			r.again(func() { r.own(leg, rc) })
		}
	})
}

// tellSender sends the report of a message to its sender on SIP, if that wants it.
func (g *Gateway) tellSender(m *recorded, now store.MessageReport) {
	unknown := now.Closed && now.State == sms.StateUnknown // no good news, and the last
	if m.notify == nil || !(m.notify.Wants(now.State) || unknown && m.notify.Negative) {
		return
	}
	g.notify(sip.Report{
		ID: g.ids.Next(), Notify: m.notify, From: m.from, To: m.to, State: now.State, Done: now.DoneTime,
	}, m.id, 1)
}

// maxNotices bounds the reports to senders on SIP that wait to be sent again.
const maxNotices = 10_000

// noticePause is the wait before a report to a sender on SIP is sent again; it doubles with each attempt.
var noticePause = relayPause

// notify sends a report, and again where it may arrive later: its sender may be away, or the next hop. What waits for that is in memory
// alone, so that a report is lost if we end meanwhile.
func (g *Gateway) notify(r sip.Report, message sms.ID, attempt int) {
	g.sip.Report(r, func(o sms.Outcome) {
		switch {
		case o.Fate == sms.Accepted:
			return
		case o.Severity != sms.Permanent && attempt < mostAttempts && !g.closing.Load():
			if g.notices.Add(1) <= maxNotices {
				time.AfterFunc(min(noticePause<<(attempt-1), lastRelayPause), func() {
					g.notices.Add(-1)
					g.notify(r, message, attempt+1)
				})
				return
			}
			g.notices.Add(-1)
		}
		g.log.Warn("a report did not reach the sender of its message", "message", message, "attempts", attempt, "reason", o.Reason())
	})
}
