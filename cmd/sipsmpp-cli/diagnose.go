package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"sipsmpp/clients"
	"sipsmpp/events"
	"sipsmpp/mi"
)

// finding is one thing that is wrong, and what to do about it.
type finding struct {
	Severity string `json:"severity"` // problem: messages suffer; warning: they may; note
	About    string `json:"about"`    // connection acme, clock, database
	What     string `json:"what"`
	Do       string `json:"do"`
}

const (
	problem = "problem"
	warning = "warning"
	note    = "note"
)

// evidence is what the findings are drawn from.
type evidence struct {
	at         time.Time // by the clock of the gateway
	here       time.Time // by ours, at the same time
	asked      time.Duration
	lists      []mi.SMPPListResult // some looks, a short while apart
	statistics mi.Statistics
	sip        mi.SIPListResult
	pending    mi.ReloadResult // what config_diff says
	level      int             // of the log
	events     []events.Notification
	deferred   []mi.Message // the newest first
}

// How often, and how far apart, the windows are looked at; and the events that are looked through.
const (
	looks       = 5
	looksApart  = 300 * time.Millisecond
	eventsWait  = 10 * time.Second
	firstEvent  = 1500 * time.Millisecond
	eventsIdle  = 500 * time.Millisecond // without one: all that is kept was sent
	recentSpan  = 10 * time.Minute
	maxDeferred = 20_000 // that are looked through for the oldest
	eventFilter = "E_SMPP_*,E_RECEIPT_UNMATCHED,E_MESSAGE_REPORT,E_MESSAGE_FAILED,E_MESSAGE_LOOP,E_SIP_PEER_*"
)

// problemsError is what diagnose ends with where something is wrong: exit code 1.
type problemsError int

func (n problemsError) Error() string {
	if n == 1 {
		return "diagnose found a problem"
	}
	return fmt.Sprintf("diagnose found %d problems", int(n))
}

// diagnose looks at everything that the gateway tells of itself, and says what is wrong and what to do.
func (s *session) diagnose(ctx context.Context, words []string) error {
	if len(words) > 0 {
		return usage("diagnose takes nothing: it looks at everything")
	}
	e, err := s.gather(ctx)
	if err != nil {
		return err
	}
	findings := e.findings()
	if s.format == asJSON {
		raw, err := json.Marshal(findings)
		if err != nil {
			return err
		}
		if err := s.showJSON(raw); err != nil {
			return err
		}
	} else {
		s.showFindings(e, findings)
	}
	n := 0
	for _, f := range findings {
		if f.Severity == problem {
			n++
		}
	}
	if n > 0 {
		return problemsError(n)
	}
	return nil
}

// gather asks the gateway for all that it tells. It takes about two seconds.
func (s *session) gather(ctx context.Context) (e evidence, err error) {
	began := time.Now()
	uptime, err := s.client.Uptime(ctx)
	if err != nil {
		return e, err
	}
	e.asked = time.Since(began)
	e.here, e.at = began.Add(e.asked/2), time.Time(uptime.Time)
	if e.statistics, err = s.client.GetStatistics(ctx, mi.StatisticsParams{Statistics: []string{"all"}}); err != nil {
		return e, err
	}
	for i := range looks {
		list, err := s.client.SMPPList(ctx, mi.SMPPListParams{})
		if err != nil {
			return e, err
		}
		e.lists = append(e.lists, list)
		if i < looks-1 {
			select {
			case <-time.After(looksApart):
			case <-ctx.Done():
				return e, ctx.Err()
			}
		}
	}
	if e.sip, err = s.client.SIPList(ctx); err != nil {
		return e, err
	}
	if e.pending, err = clients.Call(ctx, s.client, mi.ConfigDiff, mi.None{}); err != nil {
		return e, err
	}
	level, err := s.client.LogLevel(ctx, mi.LogLevelParams{})
	if err != nil {
		return e, err
	}
	for _, p := range level.Processes {
		e.level = p.Level
	}
	for page := (mi.MessageListResult{}); len(e.deferred) == 0 || page.Next != "" && len(e.deferred) < maxDeferred; {
		if page, err = s.client.MessageList(ctx, mi.MessageListParams{State: "deferred", Limit: 1000, Before: page.Next}); err != nil {
			return e, err
		}
		if e.deferred = append(e.deferred, page.Messages...); len(page.Messages) == 0 {
			break
		}
	}
	e.events, err = s.recent(ctx, e.statistics["event:seq"])
	return e, err
}

// recent gives the events that the gateway still keeps, up to the one that was the last.
func (s *session) recent(ctx context.Context, last uint64) (list []events.Notification, err error) {
	if last == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, eventsWait)
	defer cancel()
	idle := time.AfterFunc(firstEvent, cancel)
	defer idle.Stop()
	for n, err := range s.client.Events(ctx, eventFilter, clients.After(0)) {
		if err != nil {
			return list, err
		}
		if n.Seq > last {
			break
		}
		list = append(list, n)
		idle.Reset(eventsIdle)
	}
	return list, nil
}

func (s *session) showFindings(e evidence, findings []finding) {
	signs := map[string]struct {
		sign string
		hue  hue
	}{problem: {"PROBLEM", red}, warning: {"warning", yellow}, note: {"note", cyan}}
	for _, f := range findings {
		sign := signs[f.Severity]
		s.out.printf("%s %s: %s\n", s.out.paint(sign.hue, padded(sign.sign, 8, false)), s.out.paint(bold, printable(f.About)), printable(f.What))
		if f.Do != "" {
			s.out.printf("%s%s\n", padded("", 9, false), printable(f.Do))
		}
	}
	list := e.lists[len(e.lists)-1]
	bound := 0
	for _, c := range list.Connections {
		if c.State == "bound" {
			bound++
		}
	}
	s.out.printf("%s%d of %d connections bound, %d accounts here, %d messages in and %d out since %s, %d events looked through\n",
		map[bool]string{true: s.out.paint(green, "nothing is wrong") + ": ", false: ""}[len(findings) == 0],
		bound, len(list.Connections), len(list.Accounts), e.statistics["core:messages_received"], e.statistics["core:messages_sent"],
		clock(e.here.Add(-time.Duration(e.statistics["core:uptime"])*time.Second)), len(e.events))
}
