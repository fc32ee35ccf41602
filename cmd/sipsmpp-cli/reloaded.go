package main

import (
	"encoding/json"
	"fmt"

	"sipsmpp/mi"
)

// showReload is reload and config_diff: what changed, or would, one a line.
func showReload(s *screen, result json.RawMessage) error {
	var r mi.ReloadResult
	if err := json.Unmarshal(result, &r); err != nil {
		return err
	}
	n := 0
	say := func(h hue, format string, args ...any) {
		n++
		s.printf("%s\n", s.paint(h, printable(fmt.Sprintf(format, args...))))
	}
	for _, c := range r.Config {
		switch {
		case c.Restart:
			say(yellow, "~ %s: %s -> %s (after a restart)", c.Key, none(c.Running), none(c.File))
		default:
			say(green, "~ %s: %s -> %s", c.Key, none(c.Running), none(c.File))
		}
	}
	for _, key := range r.Certificates {
		say(green, "~ %s: another file", key)
	}
	for _, t := range []struct {
		row     string
		changes mi.SMPPReloadResult
	}{{"smpp[name=%s]", r.Connections}, {"smpp_account[system_id=%s]", r.Accounts}, {"route[id=%s]", r.Routes}, {"sip_user[username=%s]", r.SIPUsers}} {
		for _, name := range t.changes.Added {
			say(green, "+ "+t.row, name)
		}
		for _, name := range t.changes.Changed {
			say(green, "~ "+t.row, name)
		}
		for _, name := range t.changes.Removed {
			say(red, "- "+t.row, name)
		}
	}
	for _, f := range r.Faults {
		say(red, "! %s: %s", f.Path, f.Reason)
	}
	if n == 0 {
		s.printf("nothing differs\n")
	}
	return nil
}

func none(text string) string {
	if text == "" {
		return "(none)"
	}
	return text
}
