package gateway_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"sipsmpp/gateway"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/sms"
)

// metrics are what Prometheus gets, by `name{label="value"}`; a histogram as the number of its observations.
func metrics(r *rig) map[string]float64 {
	r.t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(r.gw.Collector())
	list, err := registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, family := range list {
		for _, m := range family.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			name := family.GetName()
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			switch family.GetType() {
			case dto.MetricType_HISTOGRAM:
				values[name] = float64(m.Histogram.GetSampleCount())
			case dto.MetricType_COUNTER:
				values[name] = m.Counter.GetValue()
			default:
				values[name] = m.Gauge.GetValue()
			}
		}
	}
	return values
}

func TestStatisticsOfOneMessageEachWay(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.addRoute("INSERT INTO route (name, to_match, targets) VALUES ('germany', '+49*', 'smpp:smsc')")
	if code := r.send("hi"); code != 202 {
		t.Fatalf("%d", code)
	}
	r.event("E_MESSAGE_SENT")
	if r.accept(&sms.Message{From: sms.ParseAddress("100"), To: sms.ParseAddress("+331"), Text: "by default"}).Fate != sms.Accepted {
		t.Fatal("not accepted")
	}
	if status, err := r.smsc.Deliver(r.ctx, gatewaytest.Deliver{From: "+491701", To: "100", Text: "hi"}); err != nil || status != 0 {
		t.Fatal(status, err)
	}
	r.message()
	r.event("E_MESSAGE_SENT")
	r.event("E_MESSAGE_SENT")

	got := metrics(r)
	for name, want := range map[string]float64{
		`sipsmpp_messages_received_total{ingress="sip"}`:                     1,
		`sipsmpp_messages_received_total{ingress="mi"}`:                      1,
		`sipsmpp_messages_received_total{ingress="connection"}`:              1,
		`sipsmpp_messages_received_total{ingress="account"}`:                 0,
		`sipsmpp_messages_sent_total{egress="connection"}`:                   2,
		`sipsmpp_messages_sent_total{egress="sip"}`:                          1,
		`sipsmpp_messages_failed_total{cause="no_route"}`:                    0,
		`sipsmpp_message_answer_seconds{ingress="sip"}`:                      1,
		`sipsmpp_message_forward_seconds{egress="connection",ingress="sip"}`: 1,
		`sipsmpp_message_forward_seconds{egress="sip",ingress="connection"}`: 1,
		`sipsmpp_connection_binds{connection="smsc",state="bound"}`:          1,
		`sipsmpp_connection_binds{connection="smsc",state="waiting"}`:        0,
		`sipsmpp_connection_window{connection="smsc"}`:                       10,
		`sipsmpp_connection_segments_sent_total{connection="smsc"}`:          2,
		`sipsmpp_connection_segments_received_total{connection="smsc"}`:      1,
		`sipsmpp_connection_binds_established_total{connection="smsc"}`:      1,
		`sipsmpp_connection_response_seconds{connection="smsc"}`:             2,
		`sipsmpp_route_messages_total{rule="germany"}`:                       1,
		`sipsmpp_route_sent_total{rule="germany"}`:                           1,
		`sipsmpp_route_sent_total{rule="default"}`:                           2,
		`sipsmpp_sip_requests_total{transport="udp"}`:                        1,
		`sipsmpp_sip_requests_total{transport="tcp"}`:                        0,
		`sipsmpp_sip_accepted_total{transport="udp"}`:                        1,
		`sipsmpp_sip_response_seconds{transport="udp"}`:                      1,
		`sipsmpp_sip_next_hop_up{next_hop="sip:` + r.phone.Addr() + `"}`:     1,
		`sipsmpp_db_up`: 1,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (%v), want %v", name, v, ok, want)
		}
	}
	for name, want := range map[string]uint64{
		"core:messages_received": 3, "core:sip-messages_received": 1, "core:messages_sent": 3, "smpp:segments_sent": 2,
		"connection:smsc-segments_sent": 2, "connection:smsc-bound-binds": 1, "smpp:binds": 1, "smpp:binds_bound": 1,
		"connection:smsc-response_time_count": 2, "route:germany-messages": 1, "transport:udp-requests": 1, "sip:requests": 1,
		"account:binds_bound": 0,
	} {
		group, stat, _ := strings.Cut(name, ":")
		if v := statistic(r, group, stat); v != want {
			t.Errorf("%s is %d, want %d", name, v, want)
		}
	}
}

// A reset and a connection that goes leave no statistic below zero, and Prometheus is told of no reset.
func TestStatisticsAfterResetAndReload(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.send("one")
	r.gw.ResetStatistics()
	if n := statistic(r, "smpp", "segments_sent"); n != 0 {
		t.Errorf("%d after the reset", n)
	}
	if n := metrics(r)[`sipsmpp_connection_segments_sent_total{connection="smsc"}`]; n != 1 {
		t.Errorf("Prometheus is told %v after the reset", n)
	}
	r.send("two")
	if n, own := statistic(r, "smpp", "segments_sent"), statistic(r, "connection", "smsc-segments_sent"); n != 1 || own != 1 {
		t.Errorf("%d and %d after one more", n, own)
	}
	r.sql("UPDATE smpp SET name = 'other'")
	if _, err := r.gw.Reload(r.ctx); err != nil {
		t.Fatal(err)
	}
	r.event("E_SMPP_BIND_UP")
	r.send("three")
	if n, own := statistic(r, "smpp", "segments_sent"), statistic(r, "connection", "other-segments_sent"); n != 2 || own != 1 {
		t.Errorf("%d in all and %d of the new one, want 2 and 1", n, own)
	}
	r.sql("UPDATE smpp SET name = 'smsc'") // and the name that was reset at one counts from zero again
	if _, err := r.gw.Reload(r.ctx); err != nil {
		t.Fatal(err)
	}
	if n := statistic(r, "connection", "smsc-segments_sent"); n != 0 {
		t.Errorf("the name that is there again begins at %d", n)
	}
}

// However many rules there are, so many are told one by one, and none is lost from the sum.
func TestRulesAreCountedUpToABound(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	var values []string
	for i := range 600 {
		values = append(values, fmt.Sprintf("('rule %d', '+49151%d', 'smpp:smsc')", i, i))
	}
	r.addRoute("INSERT INTO route (name, to_match, targets) VALUES " + strings.Join(values, ","))
	for i := range 600 {
		if i%100 == 99 {
			r.accept(&sms.Message{From: sms.ParseAddress("100"), To: sms.ParseAddress(fmt.Sprintf("+49151%d", i)), Text: "x"})
		}
	}
	series, sum := 0, 0.0
	for name, v := range metrics(r) {
		if strings.HasPrefix(name, "sipsmpp_route_sent_total{") {
			series++
			sum += v
		}
	}
	if series > 510 || sum != 6 {
		t.Errorf("%d series that count %v messages, want about 500 that count 6", series, sum)
	}
	r.addRoute("DELETE FROM route")
	if _, there := metrics(r)[`sipsmpp_route_sent_total{rule="rule 99"}`]; there {
		t.Error("a rule that is gone is told")
	}
}

// addRoute changes table route as an operator does.
func (r *rig) addRoute(statement string) {
	r.t.Helper()
	r.sql(statement)
	if _, err := r.gw.ReloadRoutes(r.ctx); err != nil {
		r.t.Fatal(err)
	}
}

// A gateway is ready from the end of its start to the begin of its end, while the database answers.
func TestReady(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	if err := r.gw.Ready(r.ctx); err != nil {
		t.Error(err)
	}
	config := r.config
	config.SIP.Listen = []string{"udp:127.0.0.1:0"}
	other, err := gateway.New(r.ctx, config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close(context.Background()) }()
	if err := other.Ready(r.ctx); err == nil || err.Error() != "starting" {
		t.Errorf("before Start: %v", err)
	}
	// The MI is there already: what it asks for is refused for now, and harms nothing.
	refused := make(chan sms.Outcome, 2)
	hasty := sms.Message{Ingress: sms.MI, From: sms.ParseAddress("100"), To: sms.ParseAddress("+49"), Text: "hasty"}
	first := hasty
	other.Accept(&first, func(o sms.Outcome) { refused <- o })
	hasty.IdempotencyKey = "hasty"
	other.AcceptOnce(&hasty, func(o gateway.Once) { refused <- o.Outcome })
	for range 2 {
		if o := <-refused; o.Fate != sms.NotSent || o.Severity != sms.Temporary || o.Detail != "the gateway is starting" {
			t.Errorf("a message before Start: %+v", o)
		}
	}
	if len(other.Statistics()) == 0 || len(other.Connections()) != 0 || other.TestRoute(&first).Fault == "" {
		t.Error("statistics, connections or a route before Start")
	}
	ended, cancel := context.WithCancel(r.ctx)
	cancel() // stands for a database that does not answer in time
	if err := r.gw.Ready(ended); err == nil || !strings.HasPrefix(err.Error(), "db: ") {
		t.Errorf("without a database: %v", err)
	}
	r.smsc.Close()
	r.event("E_SMPP_BIND_DOWN")
	if err := r.gw.Ready(r.ctx); err != nil {
		t.Errorf("a peer is away: %v", err)
	}
	r.stop(r.gw)
	if err := r.gw.Ready(r.ctx); err == nil || err.Error() != "shutting down" {
		t.Errorf("after Close: %v", err)
	}
}
