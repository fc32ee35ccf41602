package gateway

import (
	"time"

	"sipsmpp/events"
	"sipsmpp/gateway/receipt"
	"sipsmpp/gateway/route"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// Accept is the one door: every message comes in by it, from SIP, from a connection, from an account and from the MI.
//
// It does not block and starts no goroutine. done is called exactly once, by whoever finished the message: the reader of the
// bind whose response came, the committer whose transaction ended, or this call itself where nothing had to be waited for. done
// must do no more than queue the ingress's answer. An outcome that is Taken means that the next hop has the message, or the
// database; the message must not be changed after it was handed in.
//
//  1. The route table names the targets.
//  2. They are tried in order, in memory, until one takes the message or one refuses it for good.
//  3. If somebody waits for its report, the message is recorded with its SMSC ids. If none took it now, it is kept in the database
//     and tried again; see keeper.
//  4. Then, and only then, done is called, and the ingress answers.
func (g *Gateway) Accept(m *sms.Message, done func(sms.Outcome)) {
	if m.ID.IsZero() {
		m.ID = g.ids.Next()
	}
	table := g.routes.Load()
	if table == nil { // the MI is there before the tables are read
		done(sms.Failed(sms.Temporary, sms.CauseNotReady, "the gateway is starting"))
		return
	}
	p := &passage{g: g, m: m, done: done, route: table.Decide(m)}
	g.measures.came(p)
	refusal, refused := p.refusal()
	if !refused {
		p.out = p.route.Rewrite(m)
	}
	// It waits before the event tells of it, since an application may decide before Publish returns.
	e := p.received()
	if !refused && p.route.Awaits() {
		e.Awaits = "decision"
	}
	var told events.Event = e
	p.kept = g.durables.Wants(told)
	waits := e.Awaits != "" && g.decisions.wait(p)
	if !waits && e.Awaits != "" {
		e.Awaits = ""
		told = e
	}
	g.hub.Publish(told)
	switch {
	case refused:
		p.fail(refusal)
	case !waits:
		p.begin()
	}
}

// begin tries the first target, unless the message has to wait behind another.
func (p *passage) begin() {
	if p.g.keeper.behind(p) {
		p.g.keeper.keep(p, waitingBehind)
		return
	}
	p.try()
}

// refusal says why no target is tried.
func (p *passage) refusal() (o sms.Outcome, refused bool) {
	switch {
	case p.g.closing.Load():
		return sms.Failed(sms.Temporary, sms.CauseShutdown, ""), true
	case !p.m.Expires.IsZero() && !time.Now().Before(p.m.Expires):
		return sms.Failed(sms.Permanent, sms.CauseExpired, ""), true
	case p.m.Hops < 0:
		return sms.Failed(sms.Permanent, sms.CauseLoop, "it came by as many gateways as it may"), true
	case p.route.Loop:
		return sms.Failed(sms.Permanent, sms.CauseLoop, "rule "+p.route.Rule+" sends it back to "+p.m.Ingress.String()), true
	case len(p.route.Targets) == 0:
		return sms.Failed(sms.Permanent, sms.CauseNoRoute, noRouteHint(p.m)), true
	case p.m.Receipt != sms.ReceiptNone && p.g.db.Away():
		// It could not be recorded, and its report would be lost with this process.
		return sms.Failed(sms.Temporary, sms.CauseStore, "its report cannot be promised now"), true
	}
	return sms.Outcome{}, false
}

func noRouteHint(m *sms.Message) string {
	if m.Connection != "" {
		return "there is no connection " + m.Connection
	}
	return "add a rule by route_add, set smpp.default_connection, or have exactly one connection that can send"
}

// passage is one message on its way from the door to the end of its attempts.
type passage struct {
	g       *Gateway
	m       *sms.Message
	out     *sms.Message // what goes out: m, or a copy that the rule rewrote
	route   route.Decision
	attempt int           // how many targets were tried; Targets[attempt-1] is the one that has it now
	counts  *route.Counts // of the rule
	flight  *flight       // of a message that is deferred; nil: it came just now
	before  sms.Outcome   // what became of it with the target before
	done    func(sms.Outcome)
	kept    bool // a durable subscription takes an event of it
	failed  []store.FailedAttempt

	id, from, to string // in events; see name
}

// name makes the words by which events name a message, once for all of them.
func (p *passage) name() {
	if p.id == "" {
		p.id, p.from, p.to = p.m.ID.String(), p.m.From.String(), p.m.To.String()
	}
}

// attempts is how often the message was handed to a target. An application that is to decide is none.
func (p *passage) attempts() int {
	switch {
	case p.flight != nil:
		return p.flight.deferral.Attempts + p.attempt
	case p.attempt > 0 && p.route.Targets[0].Waits:
		return p.attempt - 1
	}
	return p.attempt
}

// ended takes the fate of an attempt, which alone says what happens next. An attempt whose fate is unknown is made again
// elsewhere, since a lost message is worse than a double one.
func (p *passage) ended(o sms.Outcome) {
	target := p.route.Targets[p.attempt-1]
	o.Egress = target.Leg
	if o.Fate == sms.Accepted {
		p.accepted(o)
		return
	}
	if o.Fate != sms.NotSent || o.Severity == sms.Permanent { // of what waits while nobody is there one row more for each would be many
		p.failed = append(p.failed, store.FailedAttempt{Attempt: p.attempts(), Ended: time.Now(), Egress: legOf(target), Reason: o.Reason()})
	}
	if p.reported(target.Leg) {
		p.g.reports.sent(target.Leg)
	}
	if o.Cause == sms.CauseNoRoute && p.before.Cause != sms.CauseNone {
		o = p.before // that a target takes no message ever says nothing of those that may
	}
	p.before = o
	final := o.Severity == sms.Permanent || o.Fate == sms.Unknown && (target.FailUnknown || target.HoldUnknown)
	switch {
	case !final && p.attempt < len(p.route.Targets):
		p.try()
	case p.flight != nil:
		p.g.keeper.missed(p, o)
	case p.deferrable(o):
		p.g.keeper.keep(p, o)
	default:
		p.fail(o)
	}
}

func (p *passage) accepted(o sms.Outcome) {
	p.g.measures.took(p, &o)
	p.name()
	sent := events.MessageSent{
		ID:       p.id,
		Ref:      p.m.Ref,
		From:     p.from,
		To:       p.to,
		Egress:   o.Egress.String(),
		SMSCIDs:  o.SMSCIDs,
		Segments: o.Segments,
		Attempt:  p.attempts(),
	}
	if o.Egress.Kind == sms.LegConnection {
		sent.Connection = o.Egress.Name
	}
	p.tell(sent)
	switch {
	case !p.reported(o.Egress):
		p.over(o)
	case !p.g.sendsReceipts(o.Egress):
		p.expectHere(o)
	case o.Receipt == sms.ReceiptNone:
		p.g.reports.sent(o.Egress)
		p.over(o)
	default:
		p.expect(o)
	}
}

// over ends a message that was taken and whose report nobody waits for.
func (p *passage) over(o sms.Outcome) {
	if p.flight != nil {
		p.g.keeper.sent(p, o)
		return
	}
	p.keep(o, store.RecordDone)
}

// expect records a message that was taken, whose report is waited for.
func (p *passage) expect(o sms.Outcome) {
	if p.flight != nil {
		p.g.reports.expect(p.awaited(o), p.g.keeper.accepted(p), func() {})
		return
	}
	p.g.reports.expect(p.awaited(o), p.g.reports.insert, func() { p.answer(o) })
}

// keep ends a passage of which nothing more will be heard: it is recorded, where all messages are or its sender may ask for it, and
// then answered.
func (p *passage) keep(o sms.Outcome, state store.RecordState) {
	if p.g.config.Records.Messages != recordsAll && (p.m.IdempotencyKey == "" || state == store.RecordFailed) {
		p.settle(o)
		return
	}
	record := p.record(o, state)
	p.g.db.Insert(record, func(err error) {
		if err != nil { // what became of the message stands, whatever is known of it later; the store says once that it fails
			p.g.reports.counters.unrecorded.Add(1)
			if record.Message.IdempotencyKey != "" {
				p.g.reports.saveLater(record, new(recorded), err, time.Time{}, func() {})
			}
		}
		p.answer(p.told(o, err))
	})
}

// record is what the database keeps of a message whose attempts ended.
func (p *passage) record(o sms.Outcome, state store.RecordState) *store.Record {
	m := *p.m
	m.Receipt = o.Receipt
	if !p.g.keepsTexts() {
		m.Text, m.Data = "", nil
	}
	if state == store.RecordFailed {
		m.IdempotencyKey = "" // whoever sends it again wants it tried again
	}
	r := &store.Record{
		Message:  &m,
		State:    state,
		Egress:   o.Egress,
		Rule:     p.route.Rule,
		Attempts: p.attempts(),
		Segments: make([]store.Segment, len(o.SMSCIDs)),
		Failed:   p.failed,
	}
	for i, id := range o.SMSCIDs {
		r.Segments[i] = store.Segment{Part: i + 1, SMSCID: id, Key: receipt.Key(id)}
	}
	return r
}

func (p *passage) fail(o sms.Outcome) {
	p.g.measures.gaveUp(p, &o)
	p.tellFailed(o)
	p.keep(o, store.RecordFailed)
}

// tellFailed tells the world that nobody took a message.
func (p *passage) tellFailed(o sms.Outcome) {
	p.name()
	if looped(o) {
		p.tell(events.MessageLoop{
			ID: p.id, Ref: p.m.Ref, Ingress: p.m.Ingress.String(), From: p.from, To: p.to,
			Rule: p.route.Rule, Reason: o.Reason(),
		})
	}
	p.tell(events.MessageFailed{
		ID:       p.id,
		Ref:      p.m.Ref,
		From:     p.from,
		To:       p.to,
		Reason:   o.Reason(),
		Protocol: o.Protocol.String(),
		Code:     o.Status,
	})
}

// received is the event that tells of a message that came in.
func (p *passage) received() events.MessageReceived {
	m := p.m
	p.name()
	e := events.MessageReceived{
		ID:       p.id,
		Ref:      m.Ref,
		Ingress:  m.Ingress.String(),
		From:     p.from,
		To:       p.to,
		Segments: max(m.Segments, 1),

		Incomplete: m.Incomplete,
	}
	if m.Alphabet != sms.AlphabetAuto { // else it came in none that SMPP knows
		e.Coding = m.Alphabet.String()
	}
	if m.IsBinary() {
		e.Data = m.Data
	} else {
		e.Text = m.Text
	}
	for name, value := range p.g.TLVs(m.Ingress, m.TLVs) {
		if e.TLVs == nil {
			e.TLVs = make(map[string]events.Hex)
		}
		e.TLVs[name] = value
	}
	return e
}
