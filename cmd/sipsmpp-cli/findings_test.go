package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"sipsmpp/events"
	"sipsmpp/mi"
)

// healthy is a gateway with nothing wrong.
func healthy(at time.Time) *evidence {
	list := mi.SMPPListResult{Connections: []mi.Connection{{
		Name: "acme", Enabled: true, State: "bound", Binds: []mi.Bind{{ID: "acme#1", State: "bound", Window: 10, InFlight: 3}},
	}}}
	return &evidence{at: at, here: at, lists: []mi.SMPPListResult{list, list, list}, statistics: mi.Statistics{"db:up": 1}, level: 3}
}

func notification(at time.Time, e events.Event) events.Notification {
	return events.Notification{Time: at, Event: e}
}

// Each thing that goes wrong in the field is found, with what to do about it; a healthy gateway has none.
func TestFindings(t *testing.T) {
	at := time.Now()
	if list := healthy(at).findings(); len(list) > 0 {
		t.Errorf("a healthy gateway has findings: %+v", list)
	}
	connection := func(change func(*mi.Connection)) func(*evidence) {
		return func(e *evidence) {
			for i := range e.lists {
				c := e.lists[i].Connections[0]
				change(&c)
				e.lists[i].Connections = []mi.Connection{c}
			}
		}
	}
	add := func(n int, age time.Duration, one events.Event) func(*evidence) {
		return func(e *evidence) {
			for range n {
				e.events = append(e.events, notification(at.Add(-age), one))
			}
		}
	}
	waiting := func(lastError string) func(*mi.Connection) {
		return func(c *mi.Connection) {
			c.State, c.Binds = "down", []mi.Bind{{ID: "acme#1", State: "waiting", LastError: lastError, RetryAt: mi.Time(at)}}
		}
	}
	for name, tt := range map[string]struct {
		change         func(*evidence)
		severity, want string // a part of what it says, or tells to do
	}{
		"nobody listens":     {connection(waiting("dial tcp 10.0.0.1:2775: connect: connection refused")), problem, "whether the SMSC is up"},
		"wrong password":     {connection(waiting("the peer refused the bind: ESME_RINVPASWD (0x0E)")), problem, "set the right one"},
		"unknown trouble":    {connection(waiting("strange")), problem, "trace acme"},
		"invalid":            {connection(func(c *mi.Connection) { c.State, c.Fault, c.Binds = "invalid", "port: 0", nil }), problem, "smpp_reload"},
		"disabled":           {connection(func(c *mi.Connection) { c.State, c.Binds = "disabled", nil }), note, "smpp_enable acme"},
		"flapping":           {add(3, time.Minute, events.BindDown{Connection: "acme", Reason: "the peer answers nothing"}), problem, "it flaps: 3 binds lost"},
		"a flapping account": {add(4, time.Minute, events.BindDown{Account: "shop", Reason: "unbound by the peer"}), problem, "account shop: it flaps"},
		"full window":        {connection(func(c *mi.Connection) { c.Binds = []mi.Bind{{State: "bound", Window: 10, InFlight: 10}}; c.Queued = 7 }), warning, "always full, and 7 messages wait"},
		"paced":              {connection(func(c *mi.Connection) { c.Queued = 7 }), warning, "its throughput bounds it"},
		"throttled":          {add(2, time.Minute, events.Throttled{Connection: "acme"}), warning, "2 times in 10 min"},
		"unmatched":          {add(5, time.Hour, events.ReceiptUnmatched{Connection: "acme", LikelyCause: "hex"}), warning, "5 receipts match no message; mostly: hex"},
		"overdue":            {func(e *evidence) { e.statistics["receipt:overdue"] = 3 }, warning, "message_list state=sent"},
		"deferred":           {func(e *evidence) { e.deferred = []mi.Message{{ID: "x", Received: mi.Time(at.Add(-time.Minute))}} }, note, "the oldest for 1 min (x)"},
		"deferred for whom": {func(e *evidence) {
			e.deferred = []mi.Message{{ID: "x", Received: mi.Time(at)}}
			e.statistics["deferred:waiting"], e.statistics["deferred:smpp:acme-waiting"], e.statistics["deferred:sip-waiting"] = 9, 8, 1
		}, note, "9 wait for their next attempt, the oldest for 0 s (x); 8 of them for smpp:acme"},
		"deferred long": {func(e *evidence) {
			e.deferred = []mi.Message{{ID: "x", Received: mi.Time(at.Add(-time.Hour))}, {ID: "y", Received: mi.Time(at)}}
		}, warning, "2 wait"},
		"no such connection": {func(e *evidence) {
			e.statistics["deferred:smpp:nope-waiting"], e.statistics["deferred:smpp:acme-waiting"], e.statistics["deferred:sip-waiting"] = 2, 3, 4
		}, problem, "2 messages wait for smpp:nope, and there is none of that name"},
		"no route": {add(3, time.Minute, events.MessageFailed{ID: "m", From: "1", To: "2", Reason: "no route: set sip.outbound_uri"}), problem, "3 failed in 10 min, lately m from 1 to 2: no route: set sip.outbound_uri; do as it says, or route_add a rule; route_test from=1 to=2"},
		"refused":  {add(2, time.Minute, events.MessageFailed{ID: "m", From: "1", To: "2", Reason: "refused: ESME_RINVDSTADR"}), warning, "2 failed in 10 min"},
		"expired": {func(e *evidence) {
			for _, at := range []string{"12:00", "12:01", "12:02"} {
				add(1, time.Minute, events.MessageFailed{Reason: "validity expired: nobody took it until " + at})(e)
			}
		}, warning, "3 failed in 10 min"},
		"refused binds":       {add(1, time.Minute, events.BindRefused{Account: "shop", Peer: "10.0.0.9:1", Reason: "wrong password", Count: 12}), warning, "refused 12 times in 10 min, lately from 10.0.0.9:1: wrong password"},
		"SIP down":            {func(e *evidence) { e.sip.NextHops = []mi.NextHop{{URI: "sip:a", State: "down", Reason: "timeout"}} }, problem, "sip.outbound_uri"},
		"loop":                {add(1, time.Minute, events.MessageLoop{ID: "m", Ingress: "sip", From: "1", To: "2", Reason: "came back"}), problem, "route_test from=1 to=2 ingress=sip"},
		"the gateway's clock": {func(e *evidence) { e.here = at.Add(-time.Minute) }, warning, "the gateway's is 1 min ahead of"},
		"an SMSC's clock":     {add(3, time.Minute, events.MessageReport{DoneTime: events.Time(at.Add(2*time.Hour - time.Minute))}), warning, "3 of 3 reports were done about 2 h 0 min after"},
		"database away":       {func(e *evidence) { e.statistics["db:up"] = 0 }, problem, "it does not answer"},
		"database failed":     {func(e *evidence) { e.statistics["db:failed"] = 2 }, warning, "2 writes failed"},
		"unrecorded":          {func(e *evidence) { e.statistics["core:messages_unrecorded"] = 2 }, warning, "without the record"},
		"events lost":         {func(e *evidence) { e.statistics["event:lost"] = 2 }, note, "subscribers_list"},
		"a bad row":           {func(e *evidence) { e.pending.Faults = []mi.Fault{{Path: "route[id=7].targets", Reason: "nowhere"}} }, problem, "faults: route[id=7].targets: nowhere"},
		"not yet reloaded":    {func(e *evidence) { e.pending.Connections.Added = []string{"b", "c"} }, note, "not yet in use: table smpp"},
		"restart":             {func(e *evidence) { e.pending.Config = []mi.ConfigChange{{Key: "sip.listen", Restart: true}} }, note, "after a restart only: sip.listen"},
		"debug":               {func(e *evidence) { e.level = 4 }, note, "log_level info"},
	} {
		e := healthy(at)
		tt.change(e)
		list := e.findings()
		if len(list) != 1 || list[0].Severity != tt.severity || !strings.Contains(list[0].About+": "+list[0].What+"; "+list[0].Do, tt.want) {
			t.Errorf("%s: %+v, want %s with %q", name, list, tt.severity, tt.want)
		}
	}
	// What is over, or too seldom, is none.
	for name, change := range map[string]func(*evidence){
		"flaps of yesterday":  add(9, 24*time.Hour, events.BindDown{Connection: "acme"}),
		"one bind lost":       add(2, time.Minute, events.BindDown{Connection: "acme"}),
		"refused yesterday":   add(9, 24*time.Hour, events.MessageFailed{Reason: "no route"}),
		"what a rule rejects": add(9, time.Minute, events.MessageFailed{Reason: "refused: the route rejects it"}),
		"a loop is no other":  add(9, time.Minute, events.MessageFailed{Reason: "loop: it came from there"}),
		"told to":             add(5, time.Minute, events.BindDown{Connection: "acme", Reason: "unbound by us"}),
		"reports on time":     add(9, time.Minute, events.MessageReport{DoneTime: events.Time(at.Add(-2 * time.Minute))}),
	} {
		e := healthy(at)
		change(e)
		if list := e.findings(); len(list) > 0 {
			t.Errorf("%s: %+v", name, list)
		}
	}
	e := healthy(at)
	connection(func(c *mi.Connection) { c.State = "disabled" })(e)
	e.statistics["db:up"], e.statistics["db:failed"] = 0, 1
	if list := e.findings(); len(list) != 3 || list[0].Severity != problem || list[2].Severity != note {
		t.Errorf("the worst does not come first: %+v", list)
	}
}

// Against a gateway: one SIP next hop is down, so the command fails; --json gives the findings to programs.
func TestDiagnose(t *testing.T) {
	core, url := serve(t)
	for range 4 {
		core.hub.Publish(events.BindDown{Connection: "acme", Bind: "acme#1", Reason: "EOF"})
	}
	code, out, errout := cli(t.Context(), "", "-u", url, "-x", "diagnose")
	if code != exitFailed || !strings.Contains(out, "PROBLEM  SIP next hop sip:a: it is down: nobody listens there\n         check its address") ||
		!strings.Contains(out, "connection acme: it flaps: 4 binds lost") || !strings.Contains(out, "1 of 1 connections bound") || errout != "sipsmpp-cli: diagnose found 2 problems\n" {
		t.Errorf("exit code %d\n%s%s", code, out, errout)
	}
	code, out, _ = cli(t.Context(), "", "--json", "-u", url, "-x", "diagnose")
	var list []finding
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != exitFailed || len(list) < 2 || list[0].Severity != problem {
		t.Errorf("exit code %d, %v\n%s", code, err, out)
	}
}
