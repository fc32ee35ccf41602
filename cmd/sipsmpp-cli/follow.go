package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"sipsmpp/events"
)

// events shows events until the context ends: `events [FILTER] [durable=NAME]`. Those of a durable subscription are acknowledged as they
// are shown.
func (s *session) events(ctx context.Context, words []string) error {
	filter, durable := "", ""
	for _, w := range words {
		name, isDurable := strings.CutPrefix(w, "durable=")
		switch {
		case isDurable && durable == "" && name != "":
			durable = name
		case isDurable:
			return usage("events takes one durable=NAME")
		case filter == "":
			filter = w
		default:
			return usage("events takes one pattern, and durable=NAME: several patterns are separated by commas, and quoted from the shell")
		}
	}
	f, err := events.ParseFilter(filter) // whose errors the gateway tells
	if err == nil && !slices.ContainsFunc(events.All(), func(d events.Declaration) bool { return f.Match(d.Name) }) {
		_, _ = fmt.Fprintf(s.errout, "%q takes none of the gateway's own events (mi events_list), only what applications raise\n", filter)
	}
	list, done := s.client.Events(ctx, filter), func(uint64) {}
	if durable != "" {
		d := s.client.Durable(durable, filter)
		list, done = d.Events(ctx), d.Ack
	}
	for n, err := range list {
		if err != nil {
			return err
		}
		if err := s.showEvent(n); err != nil {
			return err
		}
		done(n.Seq)
	}
	return nil
}

// showEvent shows an event on a terminal as people read it, else, and with --json, as one notification a line.
func (s *session) showEvent(n events.Notification) error {
	line := fmt.Sprintf(`{"jsonrpc":"2.0","method":%q,"params":%s}`, n.Event.Name(), n.Params)
	if s.forPeople() {
		line = readableEvent(s.out, n)
	}
	_, err := fmt.Fprintln(s.out, line)
	return err
}

// readableEvent is one line: the time, the name, and the parameters in their order.
func readableEvent(s *screen, n events.Notification) string {
	name := n.Event.Name()
	line := n.Time.Local().Format("15:04:05.000") + " " + s.paint(eventHue(n), padded(name, 20, false))
	v, err := parseValue(json.RawMessage(n.Params))
	if err != nil {
		return line
	}
	for i, m := range v.members {
		switch text := printable(m.inline()); {
		case v.names[i] == "seq", v.names[i] == "time", v.names[i] == "node", text == "":
		case strings.ContainsAny(text, " =\""):
			line += " " + s.paint(dim, v.names[i]+"=") + fmt.Sprintf("%q", text)
		default:
			line += " " + s.paint(dim, v.names[i]+"=") + s.paint(hues[text], text)
		}
	}
	return line
}

func eventHue(n events.Notification) hue {
	switch e := n.Event.(type) {
	case events.BindDown, events.BindRefused, events.MessageFailed, events.ReceiptUnmatched, events.SIPPeerDown, events.EventsLost:
		return red
	case events.Throttled, events.MessageDeferred:
		return yellow
	case events.BindUp, events.SIPPeerUp, events.Unthrottled:
		return green
	case events.MessageReport:
		return hues[e.State]
	}
	return cyan
}
