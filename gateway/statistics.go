package gateway

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sipsmpp/gateway/smpp"
)

// Statistic is one number of the gateway. Counters only grow, until they are reset.
type Statistic struct {
	Group, Name string // get_statistics calls it GROUP:NAME
	Value       uint64
	Counter     bool
	Help        string
}

type counters struct {
	accepted, sent, failed atomic.Uint64
}

type reportCounters struct {
	received, matched, unmatched, unrecorded atomic.Uint64
}

// Statistics gives every statistic, group by group. Counters count from the start or the last ResetStatistics.
func (g *Gateway) Statistics() []Statistic {
	list := g.measure()
	if base := g.baseline.Load(); base != nil {
		for i := range list {
			if list[i].Counter {
				list[i].Value -= (*base)[list[i].Group+":"+list[i].Name]
			}
		}
	}
	return list
}

// ResetStatistics makes the counters of Statistics begin at zero; gauges stay, and so does what Prometheus gets.
func (g *Gateway) ResetStatistics() {
	base := make(map[string]uint64)
	for _, s := range g.measure() {
		base[s.Group+":"+s.Name] = s.Value
	}
	g.baseline.Store(&base)
}

// measure reads every statistic as it has grown since the start.
func (g *Gateway) measure() []Statistic {
	var total smpp.Counters
	var binds, bound, inFlight, queued uint64
	for _, c := range g.connections.Status() {
		total.Add(c.Counters)
		queued += uint64(c.Queued)
		for _, b := range c.Binds {
			binds++
			inFlight += uint64(b.InFlight)
			if b.State == smpp.BindBound {
				bound++
			}
		}
	}
	var accounts smpp.Counters
	accountBinds := uint64(0)
	for _, a := range g.accounts.Status() {
		accounts.Add(a.Counters)
		accountBinds += uint64(len(a.Binds))
	}
	counter := func(group, name string, v uint64, help string) Statistic {
		return Statistic{Group: group, Name: name, Value: v, Counter: true, Help: help}
	}
	gauge := func(group, name string, v uint64, help string) Statistic {
		return Statistic{Group: group, Name: name, Value: v, Help: help}
	}
	sip := g.sip.Stats()
	return []Statistic{
		gauge("core", "uptime", uint64(time.Since(g.started)/time.Second), "seconds since the start"),
		counter("core", "messages_received", g.counters.accepted.Load(), "messages that came in by any leg"),
		counter("core", "messages_sent", g.counters.sent.Load(), "messages that a next hop accepted"),
		counter("core", "messages_failed", g.counters.failed.Load(), "messages that no next hop accepted"),
		counter("core", "messages_unrecorded", g.reports.counters.unrecorded.Load(), "messages whose record the database did not take"),
		gauge("core", "messages_awaiting", uint64(g.decisions.len()), "messages that wait for an application to decide"),
		gauge("core", "parts_waiting", uint64(g.parts.Len()), "long messages that wait for their missing parts"),
		counter("receipt", "received", g.reports.counters.received.Load(), "delivery receipts that came"),
		counter("receipt", "matched", g.reports.counters.matched.Load(), "delivery receipts that found their message"),
		counter("receipt", "unmatched", g.reports.counters.unmatched.Load(), "delivery receipts whose message nobody knows"),
		gauge("smpp", "binds", binds, "binds that the connections ask for"),
		gauge("smpp", "binds_bound", bound, "binds that are up"),
		gauge("smpp", "in_flight", inFlight, "requests that wait for their response"),
		gauge("smpp", "queued", queued, "messages that wait for a window slot"),
		counter("smpp", "segments_sent", total.Sent, "segments that a peer accepted"),
		counter("smpp", "segments_refused", total.Refused, "segments that a peer refused"),
		counter("smpp", "segments_unanswered", total.Unanswered, "segments that no peer answered"),
		counter("smpp", "segments_received", total.Received, "segments that came from a peer"),
		counter("smpp", "throttled", total.Throttled, "refusals that said that we send too fast"),
		counter("smpp", "responses_unexpected", total.Unexpected, "responses that nobody waited for"),
		counter("smpp", "malformed", total.Malformed, "PDUs and receipts that could not be read"),
		gauge("account", "binds_bound", accountBinds, "binds that accounts hold"),
		counter("account", "segments_received", accounts.Received, "segments that accounts submitted and that were looked at"),
		counter("account", "segments_sent", accounts.Sent, "segments that accounts accepted, receipts too"),
		counter("account", "segments_refused", accounts.Refused, "segments that accounts refused"),
		counter("account", "segments_unanswered", accounts.Unanswered, "segments that accounts did not answer"),
		counter("account", "duplicates", g.duplicates.counts.Load(), "submits that repeated an earlier one and were answered as that was"),
		counter("account", "malformed", accounts.Malformed, "PDUs of accounts that could not be read"),
		counter("account", "receipts_delivered", g.relay.delivered.Load(), "receipts that accounts took"),
		counter("account", "receipts_refused", g.relay.refused.Load(), "receipts that accounts refused or did not answer; they are sent again"),
		counter("account", "receipts_expired", g.relay.expired.Load(), "receipts that no bind of their account took in time"),
		gauge("event", "seq", g.hub.Seq(), "number of the last event"),
		counter("sip", "requests", sip.Requests, "requests that came in, retransmissions too"),
		counter("sip", "retransmissions", sip.Retransmissions, "requests that had come before"),
		counter("sip", "answered", sip.Answered, "requests that got a 2xx"),
		counter("sip", "refused", sip.Refused, "requests that got another final response"),
		counter("sip", "overload", sip.Overload, "requests and connections refused because there were too many"),
		counter("sip", "malformed", sip.Malformed, "what came and was no SIP, or could not be answered"),
		counter("sip", "dropped", sip.Dropped, "datagrams that did not leave; they are sent again"),
		counter("sip", "sent", sip.Sent, "requests to next hops"),
		counter("sip", "resent", sip.Resent, "retransmissions to next hops"),
		counter("sip", "accepted", sip.Accepted, "messages that a next hop took"),
		counter("sip", "failed", sip.Failed, "messages that no next hop took"),
		counter("sip", "timeouts", sip.Timeouts, "requests that no next hop answered"),
		gauge("sip", "in_progress", uint64(sip.InProgress), "requests that wait for our answer"),
		gauge("sip", "in_flight", uint64(sip.InFlight), "messages that wait for a next hop's answer"),
		gauge("sip", "connections", uint64(sip.Connections), "connections that peers opened"),
	}
}

// Collector gives the statistics to Prometheus as sipsmpp_GROUP_NAME, a counter's name ending in _total.
func (g *Gateway) Collector() prometheus.Collector { return collector{g} }

type collector struct{ g *Gateway }

// Describe announces nothing: what is collected depends on the configuration.
func (c collector) Describe(chan<- *prometheus.Desc) {}

func (c collector) Collect(metrics chan<- prometheus.Metric) {
	labels := prometheus.Labels{"node": c.g.config.Node}
	for _, s := range c.g.measure() {
		name, kind := "sipsmpp_"+s.Group+"_"+s.Name, prometheus.GaugeValue
		if s.Counter {
			name, kind = name+"_total", prometheus.CounterValue
		}
		metrics <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, s.Help, nil, labels), kind, float64(s.Value))
	}
}
