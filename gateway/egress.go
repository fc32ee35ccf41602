package gateway

import (
	"sipsmpp/gateway/sms"
)

// try hands the message to the next target.
func (p *passage) try() {
	target := p.route.Targets[p.attempt]
	p.attempt++
	if p.reported(target.Leg) {
		p.g.reports.sending(target.Leg)
	}
	switch {
	case target.Reject:
		p.ended(target.Outcome())
	case target.Leg.Kind == sms.LegConnection:
		p.g.connections.Submit(target.Leg.Name, p.g.hops.give(p.out, target.Leg), p.ended)
	case target.Leg.Kind == sms.LegAccount:
		p.g.accounts.Submit(target.Leg.Name, p.g.hops.give(p.out, target.Leg), p.ended)
	case target.URI != "":
		m := p.out
		if to := target.Recipient(m); to != m.To {
			other := *m
			other.To, m = to, &other
		}
		p.g.sip.SendTo(target.URI, m, p.ended)
	case target.Leg.Kind == sms.LegSIP:
		p.g.sip.Send(p.out, p.ended)
	case target.Waits:
		p.ended(sms.Failed(sms.Temporary, sms.CauseQueueFull, "too many messages wait for an application to decide"))
	case target.Leg.Kind == sms.LegApp:
		p.ended(sms.Outcome{Fate: sms.Accepted}) // E_MESSAGE_RECEIVED told them
	default:
		p.ended(sms.Failed(sms.Temporary, sms.CauseNotReady, "nothing is bound as "+target.Leg.String()))
	}
}

// accountState says how an account stands, for people.
func (g *Gateway) accountState(systemID string) string {
	for _, a := range g.accounts.Status() {
		if a.SystemID != systemID {
			continue
		}
		switch {
		case !a.Enabled:
			return "disabled"
		case len(a.Binds) == 0:
			return "not bound"
		}
		return "bound"
	}
	return "unknown"
}
