package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sipsmpp/events"
	"sipsmpp/mi"
)

// The bounds beyond which something is told of.
const (
	flaps         = 3               // binds lost within recentSpan
	clockOff      = 2 * time.Second // between the gateway and here
	doneStep      = 15 * time.Minute
	doneReports   = 3 // that agree on it
	unmatchedMany = 5
	deferredLong  = 30 * time.Minute
	shownNames    = 5
)

// findings are what is wrong, the worst first.
func (e *evidence) findings() []finding {
	var list []finding
	for _, look := range []func() []finding{
		e.connections, e.flapping, e.windows, e.throttling, e.unmatched, e.reports, e.deferral, e.absent, e.failures, e.accounts, e.sipPeers, e.loops, e.clocks,
		e.database, e.viewers, e.configuration,
	} {
		list = append(list, look()...)
	}
	order := []string{problem, warning, note}
	slices.SortStableFunc(list, func(a, b finding) int {
		return cmp.Compare(slices.Index(order, a.Severity), slices.Index(order, b.Severity))
	})
	return list
}

func (e *evidence) now() mi.SMPPListResult { return e.lists[len(e.lists)-1] }

// connections are those that do not work.
func (e *evidence) connections() (list []finding) {
	for _, c := range e.now().Connections {
		about := "connection " + c.Name
		switch c.State {
		case "invalid":
			list = append(list, finding{problem, about, "its row is not good: " + c.Fault, "correct it (smpp_set name=" + c.Name + " ...), or in the table, and smpp_reload"})
		case "disabled":
			list = append(list, finding{note, about, "it is disabled", "smpp_enable " + c.Name + " lets it bind, if it should"})
		case "down", "partly":
			severity := problem
			if c.State == "partly" {
				severity = warning
			}
			for _, b := range c.Binds {
				if b.State == "bound" {
					continue
				}
				what := fmt.Sprintf("%s is %s", b.ID, b.State)
				if b.LastError != "" {
					what += ": " + b.LastError
				}
				if at := time.Time(b.RetryAt); !at.IsZero() {
					what += "; next try at " + clock(at)
				}
				list = append(list, finding{severity, about, what, remedy(c, b.LastError)})
			}
		}
	}
	return list
}

// remedies are what to do about what a bind failed with, by what stands in it.
var remedies = []struct{ sign, do string }{
	{"waits for the peer's outbind", "the SMSC is to connect to smpp.listen from the ip of the row and send an outbind with its system_id and password: ask its operator"},
	{"after our outbind", "the peer answers our outbind as it should not: have it bind as receiver, with the row's system_id and password"},
	{"connection refused", "nobody listens at its ip and port: check them, and whether the SMSC is up"},
	{"no such host", "its ip is a name that is not found: check it, and the name servers of this host"},
	{"i/o timeout", "no answer from its ip and port: check them, and whether a firewall lets this host through"},
	{"no route to host", "its ip is not reached from this host: check the address and the network"},
	{"ESME_RINVPASWD", "the SMSC does not take the password: set the right one (smpp_set ... password=)"},
	{"ESME_RINVSYSID", "the SMSC does not know the system_id: check it with the operator of the SMSC"},
	{"ESME_RBINDFAIL", "the SMSC refuses the bind: ask its operator for the mode (session_type), the number of binds and the address that is allowed"},
	{"ESME_RALYBND", "the SMSC says that we are bound already: another program uses this system_id, or it has not noticed that a session died"},
	{"certificate", "TLS failed: check options.tls_ca and options.tls_server_name"},
	{"tls", "TLS failed: check whether the SMSC speaks TLS on that port"},
	{"did not answer", "the SMSC took the connection and said nothing: check whether the port is that of SMPP, and without TLS"},
	{"closed by the peer", "the SMSC closed the connection: it may not allow this address, or as many binds, or want TLS (column tls)"},
}

func remedy(c mi.Connection, lastError string) string {
	for _, r := range remedies {
		if strings.Contains(strings.ToLower(lastError), strings.ToLower(r.sign)) {
			return r.do
		}
	}
	if c.SessionType == "outbind" {
		return "the peer is to bind on the socket that we open: check that it knows outbind, or change session_type"
	}
	return "sipsmpp-cli -x trace " + c.Name + " shows what is said on the wire"
}

// flapping are connections and accounts that lose their binds again and again.
func (e *evidence) flapping() (list []finding) {
	lost := make(map[string][]string) // reasons by who
	for _, n := range e.events {
		d, ok := n.Event.(events.BindDown)
		if !ok || e.at.Sub(n.Time) > recentSpan || d.Reason == "unbound by us" || d.Reason == "stopped" { // it was told to
			continue
		}
		who := "connection " + d.Connection
		if d.Account != "" {
			who = "account " + d.Account
		}
		lost[who] = append(lost[who], d.Reason)
	}
	for _, who := range slices.Sorted(maps.Keys(lost)) {
		reasons := lost[who]
		if len(reasons) < flaps {
			continue
		}
		do := "ask the peer's operator why; a firewall that forgets idle connections wants a shorter enquire_link"
		most := commonest(reasons)
		switch {
		case strings.Contains(most, "answers nothing"), strings.Contains(most, "does not read"):
			do = "the peer is too slow, or the network loses what is sent: look at both, and at enquire_link and response_timeout"
		case strings.Contains(most, "by the peer"):
			do = "the peer ends the session itself: ask its operator; another program with the same system_id may push ours out"
		}
		list = append(list, finding{problem, who, fmt.Sprintf("it flaps: %d binds lost in %s, mostly: %s", len(reasons), lasting(recentSpan), most), do})
	}
	return list
}

// windows are those that were full, and queues that had something, at every look.
func (e *evidence) windows() (list []finding) {
	full, queued := make(map[string]int), make(map[string]int)
	last := make(map[string]int)
	look := func(name string, binds []mi.Bind, waiting int) {
		_, inFlight, window := load(binds)
		if window > 0 && inFlight >= window {
			full[name]++
		}
		if waiting > 0 {
			queued[name]++
		}
		last[name] = waiting
	}
	for _, l := range e.lists {
		for _, c := range l.Connections {
			look("connection "+c.Name, c.Binds, c.Queued)
		}
		for _, a := range l.Accounts {
			look("account "+a.SystemID, a.Binds, a.Queued)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(last)) {
		switch {
		case full[name] == len(e.lists):
			list = append(list, finding{warning, name, fmt.Sprintf("its window is always full, and %d messages wait for a slot", last[name]),
				"if the peer allows more unanswered requests, raise window; else add binds, or ask why it answers slowly (connection:NAME-response_time_ms)"})
		case queued[name] == len(e.lists):
			list = append(list, finding{warning, name, fmt.Sprintf("messages always wait though its window has room: %d now", last[name]),
				"its throughput bounds it: raise it if the peer allows, or send less"})
		}
	}
	return list
}

// throttling are connections whose peer says that we send too fast.
func (e *evidence) throttling() (list []finding) {
	said := make(map[string]int)
	for _, n := range e.events {
		if t, ok := n.Event.(events.Throttled); ok && e.at.Sub(n.Time) <= recentSpan {
			said[t.Connection]++
		}
	}
	for _, c := range e.now().Connections {
		if said[c.Name] == 0 && c.ThrottledTo == 0 {
			continue
		}
		what := fmt.Sprintf("its peer said %d times in %s that we send too fast", said[c.Name], lasting(recentSpan))
		do := "set throughput to what was agreed with the peer, so that the gateway paces itself"
		if c.ThrottledTo > 0 {
			what += fmt.Sprintf("; it is slowed down to %.4g segments a second", c.ThrottledTo)
		}
		list = append(list, finding{warning, "connection " + c.Name, what, do})
	}
	return list
}

// unmatched are receipts of no known message.
func (e *evidence) unmatched() (list []finding) {
	causes := make(map[string][]string)
	for _, n := range e.events {
		if u, ok := n.Event.(events.ReceiptUnmatched); ok {
			who := cmp.Or(u.Connection, u.Account)
			causes[who] = append(causes[who], cmp.Or(u.LikelyCause, "no cause is known"))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(causes)) {
		if n := len(causes[name]); n >= unmatchedMany {
			list = append(list, finding{warning, "connection " + name, fmt.Sprintf("%d receipts match no message; mostly: %s", n, commonest(causes[name])),
				"compare the ids of submit_sm_resp and receipts (sipsmpp-cli -x trace " + name + "), and set smsc_id_format; another gateway with the same system_id gets ours, too"})
		}
	}
	return list
}

// reports are those that never came.
func (e *evidence) reports() []finding {
	overdue := e.statistics["receipt:overdue"]
	if overdue == 0 {
		return nil
	}
	return []finding{{warning, "reports", fmt.Sprintf("%d messages wait for a report that should have come", overdue),
		"message_list state=sent shows them: the SMSC sends no receipts, or sends them by a bind that is not up (a receiver or transceiver is needed)"}}
}

// deferral are messages that wait long for their next attempt.
func (e *evidence) deferral() []finding {
	if len(e.deferred) == 0 {
		return nil
	}
	oldest := e.deferred[0]
	for _, m := range e.deferred {
		if time.Time(m.Received).Before(time.Time(oldest.Received)) {
			oldest = m
		}
	}
	age := e.at.Sub(time.Time(oldest.Received))
	f := finding{note, "deferred messages", fmt.Sprintf("%d wait for their next attempt, the oldest for %s (%s)%s", max(len(e.deferred), int(e.statistics["deferred:waiting"])),
		lasting(age), oldest.ID, e.waiting()), "message_list state=deferred shows them, message_retry and message_cancel act on one"}
	if age > deferredLong {
		f.Severity = warning
	}
	list := []finding{f}
	if n := e.statistics["deferred:refused_full"]; n > 0 {
		list = append(list, finding{problem, "deferred messages", fmt.Sprintf("%d messages were refused because as many wait for their target as may", n),
			"let the target work again, or raise the bounds of what may wait"})
	}
	return list
}

// waiting says for whom most messages wait.
func (e *evidence) waiting() string {
	var most uint64
	var target string
	for name, n := range e.statistics {
		rest, ours := strings.CutPrefix(name, "deferred:")
		if leg, isWaiting := strings.CutSuffix(rest, "-waiting"); ours && isWaiting && n > most {
			most, target = n, leg
		}
	}
	if target == "" {
		return ""
	}
	return fmt.Sprintf("; %d of them for %s", most, target)
}

// absent are connections and accounts that messages wait for and that there are not.
func (e *evidence) absent() (list []finding) {
	there := make(map[string]bool)
	for _, c := range e.now().Connections {
		there["smpp:"+c.Name] = true
	}
	for _, a := range e.now().Accounts {
		there["account:"+a.SystemID] = true
	}
	for _, name := range slices.Sorted(maps.Keys(e.statistics)) {
		rest, _ := strings.CutPrefix(name, "deferred:")
		leg, isWaiting := strings.CutSuffix(rest, "-waiting")
		if n := e.statistics[name]; isWaiting && n > 0 && !there[leg] && (strings.HasPrefix(leg, "smpp:") || strings.HasPrefix(leg, "account:")) {
			list = append(list, finding{problem, "routes", fmt.Sprintf("%d messages wait for %s, and there is none of that name that is enabled", n, leg),
				"make it (smpp_add, account_add) or enable it, or correct who names it: a rule (route_list) or smpp.default_connection; what waits then goes where they say"})
		}
	}
	return list
}

// failures are messages that were refused for good, by cause and the next hop's code. A loop is told of by itself, and what a rule rejects is
// as it should be.
func (e *evidence) failures() (list []finding) {
	failed := make(map[string]int)
	last := make(map[string]events.MessageFailed)
	for _, n := range e.events {
		f, ok := n.Event.(events.MessageFailed)
		if !ok || e.at.Sub(n.Time) > recentSpan || strings.HasPrefix(f.Reason, "loop") || strings.HasSuffix(f.Reason, "the route rejects it") {
			continue
		}
		cause, _, _ := strings.Cut(f.Reason, ":") // behind it may be what differs from message to message
		key := fmt.Sprintf("%s %s %d", cause, f.Protocol, f.Code)
		failed[key]++
		last[key] = f
	}
	keys := slices.SortedStableFunc(maps.Keys(failed), func(a, b string) int {
		return cmp.Or(cmp.Compare(failed[b], failed[a]), cmp.Compare(a, b))
	})
	for i, key := range keys {
		if i == shownNames {
			list = append(list, finding{warning, "messages", fmt.Sprintf("%d more reasons why some failed", len(keys)-i), "sipsmpp-cli -x events E_MESSAGE_FAILED shows each"})
			break
		}
		f := last[key]
		one := finding{warning, "messages", fmt.Sprintf("%d failed in %s, lately %s from %s to %s: %s", failed[key], lasting(recentSpan), f.ID, f.From, f.To, f.Reason),
			"message_show " + f.ID + " tells more of it, where it has a record"}
		if strings.HasPrefix(f.Reason, "no route") {
			one.Severity, one.Do = problem, "do as it says, or route_add a rule; route_test from="+f.From+" to="+f.To+" ingress=... shows what happens then"
		}
		list = append(list, one)
	}
	return list
}

// accounts are ESMEs that were not let in.
func (e *evidence) accounts() (list []finding) {
	refused := make(map[string]uint64)
	why := make(map[string]events.BindRefused)
	for _, n := range e.events {
		if r, ok := n.Event.(events.BindRefused); ok && e.at.Sub(n.Time) <= recentSpan {
			refused[r.Account] += max(1, r.Count)
			why[r.Account] = r
		}
	}
	for _, name := range slices.Sorted(maps.Keys(refused)) {
		r := why[name]
		list = append(list, finding{warning, "account " + name, fmt.Sprintf("a bind was refused %d times in %s, lately from %s: %s", refused[name], lasting(recentSpan), r.Peer, r.Reason),
			"account_list shows what is allowed; account_set changes its password, addresses and number of binds"})
	}
	return list
}

// sipPeers are next hops that do not answer.
func (e *evidence) sipPeers() (list []finding) {
	for _, h := range e.sip.NextHops {
		if h.State == "down" {
			list = append(list, finding{problem, "SIP next hop " + h.URI, "it is down: " + h.Reason, "check its address (sip.outbound_uri), and that it answers OPTIONS"})
		}
	}
	return list
}

// loops are messages that came back.
func (e *evidence) loops() []finding {
	n, last := 0, events.MessageLoop{}
	for _, one := range e.events {
		if l, ok := one.Event.(events.MessageLoop); ok && e.at.Sub(one.Time) <= recentSpan {
			n, last = n+1, l
		}
	}
	if n == 0 {
		return nil
	}
	return []finding{{problem, "routes", fmt.Sprintf("%d messages went in a loop in %s, lately %s from %s to %s: %s", n, lasting(recentSpan), last.ID, last.From, last.To, last.Reason),
		"route_test from=" + last.From + " to=" + last.To + " ingress=" + last.Ingress + " shows which rule sends it back"}}
}

// clocks are those that are off: ours against the gateway's, and an SMSC's in its receipts.
func (e *evidence) clocks() (list []finding) {
	if off := e.at.Sub(e.here); !e.at.IsZero() && off.Abs() > clockOff+e.asked {
		list = append(list, finding{warning, "clock", fmt.Sprintf("the gateway's is %s %s that of this host", lasting(off.Abs().Round(time.Second)), map[bool]string{true: "ahead of", false: "behind"}[off > 0]),
			"let both follow a time server: records, events and validity periods go by the gateway's"})
	}
	offs, all := make(map[time.Duration]int), 0 // in quarters of an hour, as time zones are
	for _, n := range e.events {
		if r, ok := n.Event.(events.MessageReport); ok && !time.Time(r.DoneTime).IsZero() {
			offs[time.Time(r.DoneTime).Sub(n.Time).Round(doneStep)]++
			all++
		}
	}
	for off, n := range offs {
		if off != 0 && n >= doneReports && 2*n > all {
			list = append(list, finding{warning, "clock", fmt.Sprintf("%d of %d reports were done about %s %s they came", n, all, lasting(off.Abs()), map[bool]string{true: "after", false: "before"}[off > 0]),
				"the SMSC's clock is off, or it writes local time: the done_time of its reports is wrong by as much"})
		}
	}
	return list
}

// database is what is wrong with it.
func (e *evidence) database() (list []finding) {
	if up, known := e.statistics["db:up"]; known && up == 0 {
		list = append(list, finding{problem, "database", "it does not answer", "messages that want a record are refused: look at the log and at the database's server"})
	}
	if n := e.statistics["db:failed"]; n > 0 {
		list = append(list, finding{warning, "database", fmt.Sprintf("%d writes failed since the start", n), "the log says why"})
	}
	if n := e.statistics["core:messages_unrecorded"]; n > 0 {
		list = append(list, finding{warning, "database", fmt.Sprintf("%d messages went out without the record that they want", n), "the log says why"})
	}
	return list
}

// viewers are subscribers that lose events.
func (e *evidence) viewers() []finding {
	if n := e.statistics["event:lost"]; n > 0 {
		return []finding{{note, "events", fmt.Sprintf("subscribers lost %d events, because they read too slowly", n),
			"subscribers_list shows them; a filter takes less, a durable subscription loses nothing"}}
	}
	return nil
}

// configuration is what is written and does not count yet, and what should not stay.
func (e *evidence) configuration() (list []finding) {
	var faults []string
	for _, f := range e.pending.Faults {
		faults = append(faults, f.Path+": "+f.Reason)
	}
	if len(faults) > 0 {
		list = append(list, finding{problem, "configuration", "faults: " + some(faults, "; "), "correct them: until then a reload, or a restart, goes without those parts"})
	}
	var live, restart []string
	for _, c := range e.pending.Config {
		if c.Restart {
			restart = append(restart, c.Key)
		} else {
			live = append(live, c.Key)
		}
	}
	for table, c := range map[string]mi.SMPPReloadResult{"smpp": e.pending.Connections, "smpp_account": e.pending.Accounts, "route": e.pending.Routes, "sip_user": e.pending.SIPUsers} {
		if len(c.Added)+len(c.Changed)+len(c.Removed) > 0 {
			live = append(live, "table "+table)
		}
	}
	slices.Sort(live)
	if live = append(live, e.pending.Certificates...); len(live) > 0 {
		list = append(list, finding{note, "configuration", "changed and not yet in use: " + some(live, ", "), "reload takes it, config_diff shows it"})
	}
	if len(restart) > 0 {
		list = append(list, finding{note, "configuration", "changed and in use after a restart only: " + some(restart, ", "), "config_diff shows it"})
	}
	if e.level == 4 {
		list = append(list, finding{note, "log", "its level is debug, which slows every message and shows numbers and texts", "log_level info"})
	}
	return list
}

// commonest is the reason that came most often.
func commonest(reasons []string) string {
	times := make(map[string]int)
	for _, r := range reasons {
		times[r]++
	}
	return slices.MaxFunc(slices.Sorted(maps.Keys(times)), func(a, b string) int { return cmp.Compare(times[a], times[b]) })
}

// some are the first of a list, and how many there are more.
func some(list []string, between string) string {
	if len(list) > shownNames {
		return strings.Join(list[:shownNames], between) + fmt.Sprintf("%sand %d more", between, len(list)-shownNames)
	}
	return strings.Join(list, between)
}
