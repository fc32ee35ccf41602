package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sipsmpp/clients"
	"sipsmpp/mi"
)

// The escape sequences of a screen that is drawn again and again: a second page of the terminal without a cursor.
const (
	enterPage = "\x1b[?1049h\x1b[?25l"
	leavePage = "\x1b[?25h\x1b[?1049l"
	drawFrom  = "\x1b[H"
	clearLine = "\x1b[K"
	clearRest = "\x1b[J"
)

// topParams are the parameters of top.
type topParams struct {
	name    string        // of a connection or account; empty: all
	seconds time.Duration // between two looks
	count   int           // looks; 0: until interrupted
}

const topUsage = "top [NAME] [seconds=N] [count=N]"

func parseTop(words []string) (p topParams, err error) {
	p.seconds = time.Second
	for _, w := range words {
		name, text, named := strings.Cut(w, "=")
		switch {
		case !named && p.name == "":
			p.name = w
		case name == "seconds" && named:
			seconds, err := strconv.ParseFloat(text, 64)
			if err != nil || seconds < 0.1 || seconds > 3600 {
				return p, usage("seconds=%s: want 0.1 to 3600; %s", text, topUsage)
			}
			p.seconds = time.Duration(seconds * float64(time.Second))
		case name == "count" && named:
			if p.count, err = strconv.Atoi(text); err != nil || p.count < 1 {
				return p, usage("count=%s: want a number from 1; %s", text, topUsage)
			}
		default:
			return p, usage("%q: %s", w, topUsage)
		}
	}
	return p, nil
}

// top shows connections and accounts as they work: what goes through them each second, and how full they are. On a terminal it is
// drawn again and again until q or Ctrl-C; else one frame follows the other.
func (s *session) top(ctx context.Context, words []string) error {
	p, err := parseTop(words)
	if err != nil {
		return err
	}
	before, err := s.look(ctx, p.name)
	if err != nil {
		return err
	}
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	if s.out.isTerminal() && s.format != asJSON {
		restore := s.watchKeys(ctx, quit)
		defer restore()
		s.out.printf(enterPage)
		defer s.out.printf(leavePage)
	}
	tick := time.NewTicker(p.seconds)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		now, err := s.look(ctx, p.name)
		if ctx.Err() != nil {
			return nil
		}
		refused := new(mi.Error)
		if errors.As(err, &refused) {
			return err // its name is gone, or our token
		}
		if err != nil { // the gateway is being started anew, perhaps
			now = before
		}
		if err := s.draw(newFrame(before, now, err)); err != nil {
			return err
		}
		if err == nil {
			before = now
		}
		if n == p.count {
			return nil
		}
	}
}

// look is one look at the gateway.
type look struct {
	at         time.Time
	list       mi.SMPPListResult
	statistics mi.Statistics
	version    string
	up         string
}

func (s *session) look(ctx context.Context, name string) (l look, err error) {
	if l.list, err = clients.Call(ctx, s.client, mi.SMPPList, mi.SMPPListParams{Name: name}); err != nil {
		return l, err
	}
	l.at = time.Now()
	if l.statistics, err = clients.Call(ctx, s.client, mi.GetStatistics, mi.StatisticsParams{Statistics: []string{"core:", "event:", "db:", "receipt:", "deferred:"}}); err != nil {
		return l, err
	}
	version, err := s.client.Version(ctx)
	l.version, l.up = version.Server, lasting(time.Duration(l.statistics["core:uptime"])*time.Second)
	return l, err
}

// frame is what top shows: what changed between two looks, each second, and how things are at the second.
type frame struct {
	Time     mi.Time `json:"time"`
	Received float64 `json:"received"` // messages
	Sent     float64 `json:"sent"`
	Failed   float64 `json:"failed"`
	Awaited  uint64  `json:"reports_awaited"` // at this moment
	Deferred uint64  `json:"deferred"`        // at this moment
	Events   float64 `json:"events"`
	Rows     float64 `json:"rows"` // written to the database
	Error    string  `json:"error,omitempty"`
	Lines    []line  `json:"lines"`

	version, up string
}

// line is what one connection or account does: segments each second.
type line struct {
	Name       string  `json:"name"`
	State      string  `json:"state"`
	Bound      int     `json:"bound"`
	Binds      int     `json:"binds"`
	Sent       float64 `json:"sent"`
	Refused    float64 `json:"refused"`
	Unanswered float64 `json:"unanswered"`
	Received   float64 `json:"received"`
	InFlight   int     `json:"in_flight"`
	Window     int     `json:"window"`
	Queued     int     `json:"queued"`
	Trouble    string  `json:"trouble,omitempty"`
}

func newFrame(before, now look, err error) frame {
	seconds := now.at.Sub(before.at).Seconds()
	rate := func(a, b uint64) float64 { return perSecond(a, b, seconds) }
	of := func(name string) float64 { return rate(before.statistics[name], now.statistics[name]) }
	f := frame{
		Time: mi.Time(time.Now()), version: now.version, up: now.up,
		Received: of("core:messages_received"), Sent: of("core:messages_sent"), Failed: of("core:messages_failed"),
		Awaited: now.statistics["receipt:awaited"], Deferred: now.statistics["deferred:waiting"],
		Events: of("event:published"), Rows: of("db:written"), Lines: []line{},
	}
	if err != nil {
		f.Error = err.Error()
	}
	old := make(map[string]mi.Counters)
	for _, c := range before.list.Connections {
		old[c.Name] = c.Counters
	}
	for _, a := range before.list.Accounts {
		old["account "+a.SystemID] = a.Counters
	}
	add := func(l line, binds []mi.Bind, queued int, c mi.Counters) {
		was, known := old[l.Name]
		if !known {
			was = c
		}
		l.Bound, l.InFlight, l.Window = load(binds)
		l.Binds, l.Queued = len(binds), queued
		l.Sent, l.Refused = rate(was.Sent, c.Sent), rate(was.Refused, c.Refused)
		l.Received, l.Unanswered = rate(was.Received, c.Received), rate(was.Unanswered, c.Unanswered)
		f.Lines = append(f.Lines, l)
	}
	for _, c := range now.list.Connections {
		l := line{Name: c.Name, State: c.State, Trouble: c.Fault}
		for _, b := range c.Binds {
			if b.State != "bound" && b.LastError != "" {
				l.Trouble = b.LastError
			}
		}
		if until := time.Time(c.ThrottledUntil); until.After(time.Now()) {
			l.State, l.Trouble = "slow", "throttled until "+clock(until)
		}
		add(l, c.Binds, c.Queued, c.Counters)
	}
	for _, a := range now.list.Accounts {
		l := line{Name: "account " + a.SystemID, State: "bound"}
		if len(a.Binds) == 0 {
			l.State = "unbound"
		}
		add(l, a.Binds, a.Queued, a.Counters)
	}
	slices.SortStableFunc(f.Lines, func(a, b line) int { return cmp.Compare(b.Sent+b.Received, a.Sent+a.Received) })
	return f
}

// show writes a frame for people.
func (f *frame) show(s *screen) {
	s.printf("%s  up %s  %s", s.paint(bold, printable(f.version)), f.up, time.Time(f.Time).Format("15:04:05"))
	if f.Error != "" {
		s.printf("  %s", s.paint(red, "the gateway does not answer: "+printable(f.Error)))
	}
	s.printf("\nmessages a second: %s in, %s out, %s failed; %d reports awaited, %d messages deferred; events %s a second, database %s rows a second\n\n",
		figure(f.Received), figure(f.Sent), figure(f.Failed), f.Awaited, f.Deferred, figure(f.Events), figure(f.Rows))
	t := table{headings: []string{"name", "state", "binds", "out/s", "refused/s", "lost/s", "in/s", "window", "", "queued", "trouble"}}
	for _, l := range f.Lines {
		t.add(cell{text: l.Name}, cell{text: l.State, hue: hues[l.State]}, cell{text: fmt.Sprintf("%d/%d", l.Bound, l.Binds), number: true},
			perSecondCell(l.Sent, plain), perSecondCell(l.Refused, red), perSecondCell(l.Unanswered, red), perSecondCell(l.Received, plain),
			cell{text: fmt.Sprintf("%d/%d", l.InFlight, l.Window), number: true}, bar(l.InFlight, l.Window), count(uint64(l.Queued)),
			cell{text: l.Trouble, hue: red})
	}
	t.show(s)
	if len(f.Lines) == 0 {
		s.printf("no connections and no accounts\n")
	}
}

// draw shows a frame: over the one before it where the screen is a terminal, or with --json as an object in a line.
func (s *session) draw(f frame) error {
	if s.format == asJSON {
		return json.NewEncoder(s.out).Encode(f)
	}
	if !s.out.isTerminal() {
		f.show(s.out)
		s.out.printf("\n")
		return nil
	}
	var b bytes.Buffer
	f.show(&screen{Writer: &b, file: s.out.file, colour: s.out.colour})
	_, height := s.out.size()
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) > height {
		lines = append(lines[:max(1, height-1)], s.out.paint(dim, fmt.Sprintf("and %d more: top NAME shows one", len(lines)-height+1)))
	}
	s.out.printf("%s%s%s", drawFrom, strings.Join(lines, clearLine+"\r\n"), clearLine+clearRest)
	return nil
}

// perSecond is a counter's growth; one that was reset began anew.
func perSecond(before, now uint64, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	if now < before {
		before = 0
	}
	return float64(now-before) / seconds
}

// figure is a rate with no more digits than somebody reads.
func figure(f float64) string {
	if f > 0 && f < 10 {
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'f', 0, 64)
}

func perSecondCell(f float64, h hue) cell {
	if f == 0 {
		h = dim
	}
	return cell{text: figure(f), number: true, hue: h}
}

// barLength is how many characters a full window has.
const barLength = 10

// bar shows how full a window is.
func bar(inFlight, window int) cell {
	if window == 0 {
		return cell{}
	}
	n := (inFlight*barLength + window - 1) / window
	c := cell{text: strings.Repeat("█", min(n, barLength)) + strings.Repeat("░", max(0, barLength-n)), hue: green}
	switch {
	case inFlight >= window:
		c.hue = red
	case inFlight*4 >= window*3:
		c.hue = yellow
	}
	return c
}

// lasting is a time as people say it.
func lasting(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}
