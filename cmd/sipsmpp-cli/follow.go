package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"sipsmpp/events"
)

// events shows events until the context ends: on a terminal as people read them, else, and with --json, one notification a line.
func (s *session) events(ctx context.Context, filter string) error {
	for n, err := range s.client.Events(ctx, filter) {
		if err != nil {
			return err
		}
		line := fmt.Sprintf(`{"jsonrpc":"2.0","method":%q,"params":%s}`, n.Event.Name(), n.Params)
		if s.forPeople() {
			line = readableEvent(s.out, n)
		}
		if _, err := fmt.Fprintln(s.out, line); err != nil {
			return err
		}
	}
	return nil
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
