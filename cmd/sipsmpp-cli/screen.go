package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
	"golang.org/x/text/width"
)

// screen is where results go: a terminal that somebody looks at, or a file or pipe that a program reads.
type screen struct {
	io.Writer
	file    *os.File // nil where it is no terminal
	colour  bool
	columns int // that are shown; 0: as many as the terminal has
}

// newScreen looks at what is written to. NO_COLOR (no-color.org) and TERM=dumb want no colours.
func newScreen(w io.Writer) *screen {
	s := &screen{Writer: w}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.file = f
		s.colour = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
	return s
}

func (s *screen) isTerminal() bool { return s.file != nil }

// size is how many columns and lines are shown; what is no terminal is as wide as it takes.
func (s *screen) size() (columns, lines int) {
	if s.columns > 0 {
		return s.columns, 1 << 16
	}
	if s.file != nil {
		if columns, lines, err := term.GetSize(int(s.file.Fd())); err == nil && columns > 0 {
			return columns, lines
		}
		return 80, 24
	}
	return 1 << 16, 1 << 16
}

// hue is how a text is coloured: a parameter of ANSI's SGR.
type hue string

const (
	plain  hue = ""
	bold   hue = "1"
	dim    hue = "2"
	red    hue = "31"
	green  hue = "32"
	yellow hue = "33"
	cyan   hue = "36"
)

func (s *screen) paint(h hue, text string) string {
	if !s.colour || h == plain || text == "" {
		return text
	}
	return "\x1b[" + string(h) + "m" + text + "\x1b[0m"
}

// hues are the states that somebody should see at a glance.
var hues = map[string]hue{
	"bound": green, "up": green, "delivered": green, "done": green, "reported": green, "accepted": green,
	"partly": yellow, "connecting": yellow, "binding": yellow, "waiting": yellow, "unbinding": yellow, "deferred": yellow, "enroute": yellow,
	"unknown": yellow, "slow": yellow,
	"down": red, "invalid": red, "failed": red, "undeliverable": red, "expired": red, "rejected": red, "deleted": red,
	"disabled": dim, "unbound": dim,
}

// columnsOf is how many columns of a terminal a text takes: of the wide characters of the East two, of combining ones none.
func columnsOf(text string) (n int) {
	for _, r := range text {
		n += columnsOfRune(r)
	}
	return n
}

func columnsOfRune(r rune) int {
	if r < 0x300 {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// cut shortens a text to some columns, and says by an ellipsis that it did.
func cut(text string, columns int) string {
	if columnsOf(text) <= columns {
		return text
	}
	used := 0
	for i, r := range text {
		w := columnsOfRune(r)
		if used+w > columns-1 {
			return text[:i] + "…"
		}
		used += w
	}
	return text
}

// padded fills a text up to some columns, numbers from the left.
func padded(text string, columns int, right bool) string {
	blanks := strings.Repeat(" ", max(0, columns-columnsOf(text)))
	if right {
		return blanks + text
	}
	return text + blanks
}

// printable keeps what a peer sent from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, s)
}

func (s *screen) printf(format string, args ...any) { _, _ = fmt.Fprintf(s, format, args...) }
