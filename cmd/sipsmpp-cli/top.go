package main

import (
	"bytes"
	"cmp"
	"context"
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
	if s.out.isTerminal() {
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
		s.draw(frame(before, now, err))
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

// line is what one connection or account does.
type line struct {
	name, state, trouble                string
	bound, binds                        int
	inFlight, window, queued            int
	sent, refused, received, unanswered float64 // each second
}

// frame is what top shows: what changed between two looks, and how things are at the second.
func frame(before, now look, err error) func(*screen) {
	seconds := now.at.Sub(before.at).Seconds()
	rate := func(a, b uint64) float64 { return perSecond(a, b, seconds) }
	of := func(name string) float64 { return rate(before.statistics[name], now.statistics[name]) }
	old := make(map[string]mi.Counters)
	for _, c := range before.list.Connections {
		old[c.Name] = c.Counters
	}
	for _, a := range before.list.Accounts {
		old["account "+a.SystemID] = a.Counters
	}
	var lines []line
	add := func(l line, binds []mi.Bind, queued int, c mi.Counters) {
		was, known := old[l.name]
		if !known {
			was = c
		}
		l.bound, l.inFlight, l.window = load(binds)
		l.binds, l.queued = len(binds), queued
		l.sent, l.refused = rate(was.Sent, c.Sent), rate(was.Refused, c.Refused)
		l.received, l.unanswered = rate(was.Received, c.Received), rate(was.Unanswered, c.Unanswered)
		lines = append(lines, l)
	}
	for _, c := range now.list.Connections {
		l := line{name: c.Name, state: c.State, trouble: c.Fault}
		for _, b := range c.Binds {
			if b.State != "bound" && b.LastError != "" {
				l.trouble = b.LastError
			}
		}
		if until := time.Time(c.ThrottledUntil); until.After(time.Now()) {
			l.state, l.trouble = "slow", "throttled until "+clock(until)
		}
		add(l, c.Binds, c.Queued, c.Counters)
	}
	for _, a := range now.list.Accounts {
		l := line{name: "account " + a.SystemID, state: "bound"}
		if len(a.Binds) == 0 {
			l.state = "unbound"
		}
		add(l, a.Binds, a.Queued, a.Counters)
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(b.sent+b.received, a.sent+a.received) })

	return func(s *screen) {
		s.printf("%s  up %s  %s", s.paint(bold, printable(now.version)), now.up, time.Now().Format("15:04:05"))
		if err != nil {
			s.printf("  %s", s.paint(red, "the gateway does not answer: "+printable(err.Error())))
		}
		s.printf("\nmessages a second: %s in, %s out, %s failed; %d reports awaited, %d messages deferred; events %s a second, database %s rows a second\n\n",
			figure(of("core:messages_received")), figure(of("core:messages_sent")), figure(of("core:messages_failed")),
			now.statistics["receipt:awaited"], now.statistics["deferred:waiting"], figure(of("event:published")), figure(of("db:written")))
		t := table{headings: []string{"name", "state", "binds", "out/s", "refused/s", "lost/s", "in/s", "window", "", "queued", "trouble"}}
		for _, l := range lines {
			t.add(cell{text: l.name}, cell{text: l.state, hue: hues[l.state]}, cell{text: fmt.Sprintf("%d/%d", l.bound, l.binds), number: true},
				perSecondCell(l.sent, plain), perSecondCell(l.refused, red), perSecondCell(l.unanswered, red), perSecondCell(l.received, plain),
				cell{text: fmt.Sprintf("%d/%d", l.inFlight, l.window), number: true}, bar(l.inFlight, l.window), count(uint64(l.queued)),
				cell{text: l.trouble, hue: red})
		}
		t.show(s)
		if len(lines) == 0 {
			s.printf("no connections and no accounts\n")
		}
	}
}

// draw shows a frame: over the one before it where the screen is a terminal.
func (s *session) draw(show func(*screen)) {
	if !s.out.isTerminal() {
		show(s.out)
		s.out.printf("\n")
		return
	}
	var b bytes.Buffer
	show(&screen{Writer: &b, file: s.out.file, colour: s.out.colour})
	_, height := s.out.size()
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) > height {
		lines = append(lines[:max(1, height-1)], s.out.paint(dim, fmt.Sprintf("and %d more: top NAME shows one", len(lines)-height+1)))
	}
	s.out.printf("%s%s%s", drawFrom, strings.Join(lines, clearLine+"\r\n"), clearLine+clearRest)
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
