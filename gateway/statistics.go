package gateway

import (
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sipsmpp/gateway/metric"
	"sipsmpp/gateway/route"
	"sipsmpp/gateway/smpp"
	"sipsmpp/gateway/sms"
)

// Statistic is one number of the gateway. Counters only grow, until they are reset.
type Statistic struct {
	Group, Name string // get_statistics calls it GROUP:NAME
	Value       uint64
	Counter     bool
	Help        string
}

type reportCounters struct {
	received, matched, unmatched, unrecorded, closed atomic.Uint64
}

// reading is one value of a family.
type reading struct {
	*family
	values []string // of its labels
	value  uint64
	times  metric.Snapshot // of a histogram, in place of value
	alone  bool            // a total, which Prometheus is not told
}

// readings are what one look at the gateway found.
type readings []reading

func (r *readings) add(f *family, value uint64, labels ...string) {
	// Prometheus takes no other label values.
	for i := range labels {
		labels[i] = strings.ToValidUTF8(labels[i], "?")
	}
	*r = append(*r, reading{family: f, value: value, values: labels})
}

func (r *readings) flag(f *family, is bool, labels ...string) {
	value := uint64(0)
	if is {
		value = 1
	}
	r.add(f, value, labels...)
}

func (r *readings) time(f *family, s metric.Snapshot, labels ...string) {
	r.add(f, 0, labels...)
	(*r)[len(*r)-1].times = s
}

// sum is a total, or a part of it that has no label.
func (r *readings) sum(f *family, value uint64) {
	*r = append(*r, reading{family: f, value: value, alone: true})
}

// Statistics gives every statistic, group by group. Counters count from the start or the last ResetStatistics.
func (g *Gateway) Statistics() []Statistic {
	list := g.statistics()
	if base := g.baseline.Load(); base != nil {
		for i := range list {
			// What was removed and is there again counts from zero by itself.
			if s := &list[i]; s.Counter {
				s.Value -= min(s.Value, (*base)[s.Group+":"+s.Name])
			}
		}
	}
	return list
}

// ResetStatistics makes the counters of Statistics begin at zero; gauges stay, and so does what Prometheus gets.
func (g *Gateway) ResetStatistics() {
	base := make(map[string]uint64)
	for _, s := range g.statistics() {
		base[s.Group+":"+s.Name] = s.Value
	}
	g.baseline.Store(&base)
}

// statistics names what is read as OpenSIPS does.
func (g *Gateway) statistics() []Statistic {
	var list []Statistic
	totals := make(map[*family]int) // where the sum of each stands
	for _, f := range families {
		if f.total != "" {
			totals[f] = len(list)
			list = append(list, Statistic{Group: f.total, Name: f.name, Counter: f.kind != gaugeKind, Help: f.help})
		}
	}
	for _, r := range g.measure() {
		s := Statistic{Group: r.group, Name: r.name, Value: r.value, Counter: r.kind != gaugeKind, Help: r.help}
		if len(r.values) > 0 {
			s.Name = strings.Join(r.values, "-") + "-" + r.name
		}
		if r.kind == histogramKind {
			s.Name, s.Value = s.Name+"_count", r.times.Count
			list = append(list, s)
			s.Name, s.Value = strings.TrimSuffix(s.Name, "count")+"ms", uint64(r.times.Sum.Milliseconds())
			s.Help += ", in milliseconds, all of them together"
			list = append(list, s)
			continue
		}
		if r.total != "" && (r.alone || !r.exact) {
			list[totals[r.family]].Value += r.value
		}
		if !r.alone {
			list = append(list, s)
		}
	}
	return list
}

// measure reads every statistic as it has grown since the start.
func (g *Gateway) measure() (r readings) {
	m := g.measures
	r.add(uptime, uint64(time.Since(g.started)/time.Second))
	for in := sms.LegNone + 1; in < legKinds; in++ {
		if in != sms.LegApp {
			r.add(messagesReceived, m.received[in].Load(), kindName(in))
			r.time(answerTime, m.answer[in].Snapshot(), kindName(in))
		}
		if in != sms.LegMI {
			r.add(messagesSent, m.sent[in].Load(), kindName(in))
		}
		for out := range legKinds {
			if s := m.forward[in][out].Snapshot(); s.Count > 0 {
				r.time(forwardTime, s, kindName(in), kindName(out))
			}
		}
	}
	for cause := sms.CauseNone + 1; cause < sms.Causes; cause++ {
		r.add(messagesFailed, m.failed[cause].Load(), strings.ReplaceAll(cause.String(), " ", "_"))
	}
	r.add(messagesUnrecorded, g.reports.counters.unrecorded.Load())
	r.add(messagesAwaiting, uint64(g.decisions.len()))
	r.add(partsWaiting, uint64(g.parts.Len()))
	g.measureReceipts(&r)
	g.measureConnections(&r)
	g.measureAccounts(&r)
	m.rules.each(func(label string, c *route.Counts) {
		r.add(routeMessages, c.Messages.Load(), label)
		r.add(routeSent, c.Sent.Load(), label)
		r.add(routeFailed, c.Failed.Load(), label)
	})
	g.measureSIP(&r)
	g.keeper.measure(&r)

	r.add(eventSeq, g.hub.Seq())
	r.add(eventsPublished, g.hub.Published())
	r.add(eventsLost, g.hub.Lost())
	g.measureDurables(&r)
	r.time(eventLag, m.lag.Snapshot())

	db := g.db.Stats()
	r.flag(dbUp, !db.Failing)
	r.add(dbQueued, uint64(db.Queued))
	r.add(dbLookups, uint64(db.Lookups))
	r.add(dbWritten, db.Written)
	r.add(dbFailed, db.Failed)
	r.time(dbTime, db.Commits)
	return r
}

// kindName is a kind of leg as a label says it: "connection", since `smpp` is of accounts as well.
func kindName(k sms.LegKind) string {
	if k == sms.LegConnection {
		return "connection"
	}
	return sms.Leg{Kind: k}.String()
}

func (g *Gateway) measureReceipts(r *readings) {
	c := &g.reports.counters
	r.add(receiptsReceived, c.received.Load())
	r.add(receiptsMatched, c.matched.Load())
	r.add(receiptsUnmatched, c.unmatched.Load())
	r.add(reportsOverdue, c.closed.Load())
	early, awaited := g.reports.waiting()
	r.add(receiptsEarly, uint64(early))
	r.add(reportsAwaited, uint64(awaited))
	there, told := g.table.Load().rows, 0
	g.reports.reportTimes(func(leg sms.Leg, s metric.Snapshot) {
		if _, ok := there[leg.Name]; (ok || leg.Kind != sms.LegConnection) && told < maxLabelled {
			r.time(reportTime, s, leg.String())
			told++
		}
	})
}

// maxLabelled bounds the connections, and the accounts, that are told one by one: the first by their names. The totals of
// get_statistics are of all.
const maxLabelled = 1000

// bindStates are those of a connection's binds, all of which are told, so that zero is, too.
var bindStates = []smpp.BindState{smpp.BindConnecting, smpp.BindBinding, smpp.BindBound, smpp.BindWaiting, smpp.BindUnbinding}

func (g *Gateway) measureConnections(r *readings) {
	times := g.connections.ResponseTimes()
	bound := 0
	for i, c := range g.connections.Status() {
		states := make(map[smpp.BindState]int)
		room, busy := 0, 0
		for _, b := range c.Binds {
			states[b.State]++
			busy += b.InFlight
			if b.State == smpp.BindBound {
				room += b.Window
			}
		}
		bound += states[smpp.BindBound]
		if i >= maxLabelled {
			r.sum(binds, uint64(len(c.Binds)))
			r.sum(window, uint64(room))
			r.sum(inFlight, uint64(busy))
			r.sum(queued, uint64(c.Queued))
			continue
		}
		for _, state := range bindStates {
			r.add(binds, uint64(states[state]), c.Name, string(state))
		}
		r.flag(connectionEnabled, c.Enabled, c.Name)
		r.add(window, uint64(room), c.Name)
		r.add(inFlight, uint64(busy), c.Name)
		r.add(queued, uint64(c.Queued), c.Name)
		r.flag(slowed, c.ThrottledTo > 0 || !c.ThrottledUntil.IsZero(), c.Name)
		for _, n := range connectionCounts(c.Counters) {
			r.add(n.family, n.value, c.Name)
		}
		if s, ok := times[c.Name]; ok {
			r.time(responseTime, s, c.Name)
		}
	}
	r.add(bindsBound, uint64(bound))
	for _, n := range connectionCounts(g.connections.Totals()) {
		r.sum(n.family, n.value)
	}
}

// connectionCounts are the counters of a connection, or of all.
func connectionCounts(c smpp.Counters) []reading {
	return []reading{
		{family: segmentsSent, value: c.Sent}, {family: segmentsRefused, value: c.Refused},
		{family: segmentsUnanswered, value: c.Unanswered}, {family: segmentsReceived, value: c.Received},
		{family: connectionReceipts, value: c.Receipts}, {family: throttled, value: c.Throttled},
		{family: unexpected, value: c.Unexpected}, {family: malformed, value: c.Malformed}, {family: bindsEstablished, value: c.Bound},
	}
}

func (g *Gateway) measureAccounts(r *readings) {
	times := g.accounts.ResponseTimes()
	for i, a := range g.accounts.Status() {
		busy := 0
		for _, b := range a.Binds {
			busy += b.InFlight
		}
		if i >= maxLabelled {
			r.sum(accountBinds, uint64(len(a.Binds)))
			r.sum(accountInFlight, uint64(busy))
			r.sum(accountQueued, uint64(a.Queued))
			continue
		}
		r.add(accountBinds, uint64(len(a.Binds)), a.SystemID)
		r.add(accountInFlight, uint64(busy), a.SystemID)
		r.add(accountQueued, uint64(a.Queued), a.SystemID)
		for _, n := range accountCounts(a.Counters) {
			r.add(n.family, n.value, a.SystemID)
		}
		if s, ok := times[a.SystemID]; ok {
			r.time(accountTime, s, a.SystemID)
		}
	}
	for _, n := range accountCounts(g.accounts.Totals()) {
		r.sum(n.family, n.value)
	}
	r.add(accountsRefused, g.measures.bindsRefused.Load())
	r.add(receiptsDelivered, g.relay.delivered.Load())
	r.add(receiptsRefused, g.relay.refused.Load())
	r.add(receiptsExpired, g.relay.expired.Load())
}

// accountCounts are the counters of an account, or of all.
func accountCounts(c smpp.Counters) []reading {
	return []reading{
		{family: accountReceived, value: c.Received}, {family: accountLimited, value: c.Limited}, {family: accountSent, value: c.Sent},
		{family: accountRefused, value: c.Refused}, {family: accountUnanswered, value: c.Unanswered},
		{family: accountThrottled, value: c.Throttled}, {family: accountMalformed, value: c.Malformed},
		{family: accountEstablished, value: c.Bound},
	}
}

func (g *Gateway) measureSIP(r *readings) {
	for _, t := range g.sip.Transports() {
		for _, n := range []reading{
			{family: sipRequests, value: t.Requests}, {family: sipRetransmissions, value: t.Retransmissions},
			{family: sipAnswered, value: t.Answered}, {family: sipRefused, value: t.Refused}, {family: sipOverload, value: t.Overload},
			{family: sipUnauthorized, value: t.Unauthorized}, {family: sipMalformed, value: t.Malformed},
			{family: sipDropped, value: t.Dropped}, {family: sipSent, value: t.Sent}, {family: sipResent, value: t.Resent},
			{family: sipAccepted, value: t.Accepted}, {family: sipFailed, value: t.Failed}, {family: sipTimeouts, value: t.Timeouts},
		} {
			r.add(n.family, n.value, t.Transport)
		}
		r.time(sipTime, t.Response, t.Transport)
	}
	s := g.sip.Stats()
	r.add(sipInProgress, uint64(s.InProgress))
	r.add(sipInFlight, uint64(s.InFlight))
	r.add(sipConnections, uint64(s.Connections))
	r.add(sipContacts, uint64(s.Contacts))
	up := make(map[string]bool) // by URI, which two may share that differ in their credentials
	for _, h := range g.sip.NextHops() {
		up[h.URI] = h.State == "up" || up[h.URI]
	}
	for _, uri := range slices.Sorted(maps.Keys(up)) {
		r.flag(nextHopUp, up[uri], uri)
	}
}

// Collector gives the statistics to Prometheus.
func (g *Gateway) Collector() prometheus.Collector { return collector{g} }

type collector struct{ g *Gateway }

// Describe announces nothing: what is collected depends on the configuration.
func (c collector) Describe(chan<- *prometheus.Desc) {}

func (c collector) Collect(metrics chan<- prometheus.Metric) {
	described := make(map[*family]*prometheus.Desc)
	for _, r := range c.g.measure() {
		if r.alone {
			continue
		}
		d := described[r.family]
		if d == nil {
			d = prometheus.NewDesc(r.metric, r.help, r.labels, nil)
			described[r.family] = d
		}
		switch r.kind {
		case histogramKind:
			buckets := make(map[float64]uint64, len(r.times.Bounds))
			for i, bound := range r.times.Bounds {
				buckets[bound.Seconds()] = r.times.Buckets[i]
			}
			metrics <- prometheus.MustNewConstHistogram(d, r.times.Count, r.times.Sum.Seconds(), buckets, r.values...)
		case counterKind:
			metrics <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(r.value), r.values...)
		default:
			metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(r.value), r.values...)
		}
	}
}
