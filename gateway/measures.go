package gateway

import (
	"sync"
	"sync/atomic"
	"time"

	"sipsmpp/gateway/metric"
	"sipsmpp/gateway/route"
	"sipsmpp/gateway/sms"
)

const legKinds = sms.LegApp + 1

// measures are what the core counts of messages. They are arrays, so that a message finds its own without a lock.
type measures struct {
	received, sent [legKinds]atomic.Uint64   // by ingress, and by egress
	failed         [sms.Causes]atomic.Uint64 // by cause

	answer  [legKinds]*metric.Histogram           // by ingress
	forward [legKinds][legKinds]*metric.Histogram // by ingress and egress
	lag     *metric.Histogram                     // of events

	bindsRefused atomic.Uint64

	rules ruleCounts
}

func newMeasures() *measures {
	m := &measures{lag: metric.New(metric.Short)}
	m.rules.known = make(map[string]*route.Counts)
	for in := range legKinds {
		m.answer[in] = metric.New(metric.Short)
		for out := range legKinds {
			m.forward[in][out] = metric.New(metric.Short)
		}
	}
	return m
}

// came counts a message that came in.
func (m *measures) came(p *passage) {
	m.received[p.m.Ingress.Kind].Add(1)
	p.counts = m.rules.of(&p.route)
	p.counts.Messages.Add(1)
}

// took counts a message that a next hop accepted. How long it was on its way is told where the first target took it: later ones
// were begun when the others had failed.
func (m *measures) took(p *passage, o *sms.Outcome) {
	m.sent[o.Egress.Kind].Add(1)
	p.counts.Sent.Add(1)
	if p.attempts() == 1 && p.flight == nil && !o.Begun.IsZero() {
		m.forward[p.m.Ingress.Kind][o.Egress.Kind].Observe(o.Begun.Sub(p.m.Received))
	}
}

// gaveUp counts a message that no next hop accepted.
func (m *measures) gaveUp(p *passage, o *sms.Outcome) {
	m.failed[o.Cause].Add(1)
	p.counts.Failed.Add(1)
}

// answer tells the ingress what became of the message, which is the end of its sender's wait.
func (p *passage) answer(o sms.Outcome) {
	p.g.measures.answer[p.m.Ingress.Kind].Since(p.m.Received)
	p.done(o)
}

// maxRules bounds the rules that are counted one by one.
const maxRules = 500

// restOfRules is what those beyond maxRules are counted as, together.
const restOfRules = "(others)"

// ruleCounts are the counts of rules, by their label. A compiled rule holds its own, so that they are looked up when rules are
// compiled and never for a message.
type ruleCounts struct {
	mu    sync.Mutex
	known map[string]*route.Counts
	rest  route.Counts

	fallback, asked, none route.Counts // decided by no rule
}

// get gives the counts of a rule, those that it had before if it had any.
func (r *ruleCounts) get(label string) *route.Counts {
	switch label { // a rule that is called so is counted with what it is called after
	case "default":
		return &r.fallback
	case "asked for":
		return &r.asked
	case "none":
		return &r.none
	case restOfRules:
		return &r.rest
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.known[label]
	if c == nil {
		if len(r.known) >= maxRules {
			return &r.rest
		}
		c = new(route.Counts)
		r.known[label] = c
	}
	return c
}

// keep drops the counts of rules that are there no more.
func (r *ruleCounts) keep(rules []route.Rule) {
	labels := make(map[string]bool, len(rules))
	for _, rule := range rules {
		labels[rule.Label()] = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for label := range r.known {
		if !labels[label] {
			delete(r.known, label)
		}
	}
}

// of gives the counts for what decided a message.
func (r *ruleCounts) of(d *route.Decision) *route.Counts {
	switch {
	case d.Counts != nil:
		return d.Counts
	case len(d.Targets) == 0:
		return &r.none
	case d.Rule == "default":
		return &r.fallback
	}
	return &r.asked
}

// each gives the counts by what decided.
func (r *ruleCounts) each(f func(label string, c *route.Counts)) {
	f("default", &r.fallback)
	f("asked for", &r.asked)
	f("none", &r.none)
	f(restOfRules, &r.rest)
	r.mu.Lock()
	defer r.mu.Unlock()
	for label, c := range r.known {
		f(label, c)
	}
}

// reportTimes tells how long reports took, by the leg that their receipts came by.
func (r *reports) reportTimes(f func(leg sms.Leg, s metric.Snapshot)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for leg, l := range r.learners {
		f(leg, l.took.Snapshot())
	}
}

// waiting is how many receipts wait for the response that names their message, and how many segments for their receipt.
func (r *reports) waiting() (early, awaited int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.parked, len(r.awaited)
}

// completed measures how long a message took from its arrival to its report.
func (in *incoming) completed(id sms.ID) { in.learner.took.Observe(time.Since(id.Time())) }
