package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"sipsmpp/mi"
)

// views are how results are shown to people whose shape alone does not show them well.
var views = map[string]func(s *screen, result json.RawMessage) error{
	mi.SMPPList.Name:        showConnections,
	mi.MessageList.Name:     showMessages,
	mi.SubscribersList.Name: showSubscribers,
	mi.Reload.Name:          showReload,
	mi.ConfigDiff.Name:      showReload,
	mi.Help.Name:            showHelp,
}

// showMessages is message_list: what somebody looks for first, and the whole id, which the other methods take.
func showMessages(s *screen, result json.RawMessage) error {
	var list mi.MessageListResult
	if err := json.Unmarshal(result, &list); err != nil {
		return err
	}
	t := table{headings: []string{"received", "id", "state", "from", "to", "ingress", "egress", "segments", "report", "next attempt", "text"}}
	for _, m := range list.Messages {
		report, text := "", m.Text
		if m.Report != nil {
			report = m.Report.State
		}
		if len(m.Data) > 0 {
			text = fmt.Sprintf("%d octets", len(m.Data))
		}
		next := ""
		if at := time.Time(m.Next); m.State == "deferred" && !at.IsZero() {
			next = clock(at)
		}
		t.add(cell{text: clock(time.Time(m.Received))}, cell{text: m.ID}, cell{text: m.State, hue: hues[m.State]}, cell{text: m.From}, cell{text: m.To},
			cell{text: m.Ingress}, cell{text: m.Egress}, count(uint64(len(m.Segments))), cell{text: report, hue: hues[report]}, cell{text: next}, cell{text: text})
	}
	t.show(s)
	switch {
	case len(list.Messages) == 0:
		s.printf("no messages\n")
	case list.Next != "":
		s.printf("%s\n", s.paint(dim, "older ones: message_list before="+list.Next))
	}
	return nil
}

// showSubscribers is subscribers_list: a row for each, with what it subscribed to and how far behind it is.
func showSubscribers(s *screen, result json.RawMessage) error {
	var list mi.SubscribersListResult
	if err := json.Unmarshal(result, &list); err != nil {
		return err
	}
	t := table{headings: []string{"events", "socket", "durable", "owner", "lag", "lag seconds", "expire", "retry at", "last error"}}
	for _, e := range list.Events {
		for _, r := range e.Subscribers {
			retry, seconds := "", ""
			if at := time.Time(r.RetryAt); !at.IsZero() {
				retry = clock(at)
			}
			if r.LagSeconds > 0 {
				seconds = strconv.FormatFloat(r.LagSeconds, 'f', 1, 64)
			}
			t.add(cell{text: e.Name}, cell{text: r.Socket}, cell{text: r.Durable}, cell{text: r.Owner}, count(r.Lag), cell{text: seconds, number: true},
				cell{text: r.Expire, number: true}, cell{text: retry}, cell{text: r.LastError, hue: red})
		}
	}
	t.show(s)
	if len(t.rows) == 0 {
		s.printf("no subscribers: events_list lists the events, event_subscribe subscribes to them\n")
	}
	return nil
}

// showConnections is smpp_list: connections, what is wrong with their binds, and accounts.
func showConnections(s *screen, result json.RawMessage) error {
	var list mi.SMPPListResult
	if err := json.Unmarshal(result, &list); err != nil {
		return err
	}
	t := table{headings: []string{"connection", "state", "binds", "peer", "type", "window", "queued", "deferred", "sent", "refused", "received", "receipts"}}
	for _, c := range list.Connections {
		bound, inFlight, window := load(c.Binds)
		t.add(cell{text: c.Name}, cell{text: c.State, hue: hues[c.State]}, cell{text: fmt.Sprintf("%d/%d", bound, len(c.Binds)), number: true},
			cell{text: c.Peer}, cell{text: c.SessionType}, cell{text: fmt.Sprintf("%d/%d", inFlight, window), number: true},
			count(uint64(c.Queued)), ifAny(c.Deferred), count(c.Sent), count(c.Refused), count(c.Received), count(c.Receipts))
	}
	t.show(s)
	for _, c := range list.Connections {
		showTrouble(s, c)
	}
	t = table{headings: []string{"account", "binds", "from", "window", "queued", "deferred", "sent", "refused", "received"}}
	for _, a := range list.Accounts {
		bound, inFlight, window := load(a.Binds)
		from := ""
		if len(a.Binds) > 0 {
			from = a.Binds[0].Remote
		}
		t.add(cell{text: a.SystemID}, count(uint64(bound)), cell{text: from}, cell{text: fmt.Sprintf("%d/%d", inFlight, window), number: true},
			count(uint64(a.Queued)), ifAny(a.Deferred), count(a.Sent), count(a.Refused), count(a.Received))
	}
	if len(list.Connections) > 0 && len(list.Accounts) > 0 {
		s.printf("\n")
	}
	t.show(s)
	if len(list.Connections)+len(list.Accounts) == 0 {
		s.printf("no connections and no accounts: smpp_add and account_add make some\n")
	}
	return nil
}

// showTrouble says what keeps a connection, or one of its binds, from working, and when it is tried again.
func showTrouble(s *screen, c mi.Connection) {
	if c.Fault != "" {
		s.printf("%s %s\n", s.paint(red, c.Name+":"), printable(c.Fault))
	}
	if until := time.Time(c.ThrottledUntil); until.After(time.Now()) {
		s.printf("%s throttled by its peer until %s\n", s.paint(yellow, c.Name+":"), clock(until))
	}
	if c.ThrottledTo > 0 {
		s.printf("%s slowed down to %.4g segments a second: its peer said that we send too fast\n", s.paint(yellow, c.Name+":"), c.ThrottledTo)
	}
	for _, b := range c.Binds {
		if b.State == "bound" || !c.Enabled {
			continue
		}
		again := ""
		if at := time.Time(b.RetryAt); !at.IsZero() {
			again = "; next try at " + clock(at)
		}
		s.printf("%s %s, %s%s\n", s.paint(hues[b.State], b.ID+":"), b.State, printable(b.LastError), again)
	}
}

// load is how many of some binds are bound, and how full their windows are.
func load(binds []mi.Bind) (bound, inFlight, window int) {
	for _, b := range binds {
		if b.State == "bound" {
			bound++
			window += b.Window
		}
		inFlight += b.InFlight
	}
	return bound, inFlight, window
}

// ifAny is a number that is left out where it is none, so that a column that says nothing is left out.
func ifAny(n int) cell {
	if n == 0 {
		return cell{number: true}
	}
	return count(uint64(n))
}

func count(n uint64) cell { return cell{text: strconv.FormatUint(n, 10), number: true} }
