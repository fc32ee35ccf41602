package main

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// maxHistory bounds the lines of the prompt that are kept.
const maxHistory = 1000

// history is the lines that were typed at the prompt, this time and before, in a file of who typed them (mode 0600). A line with a
// secret in it is remembered until the prompt is left, and never written.
type history struct {
	lines []string // the newest last
	path  string   // empty: nothing is kept
}

// secret is a parameter whose value must not lie about, or a method that takes one by position, with either of its names.
var secret = regexp.MustCompile(`(?i)(password|secret|token|hash)\S*=|^\s*(mi\s+)?(account|sip|smpp)[_:](user_)?(add|set)\s+[^=\s]+(\s|$)|\bwebhook:`)

// openHistory reads what was typed before. Where it cannot be read or written there is none, and nobody minds.
func openHistory() *history {
	h := &history{}
	dir := os.Getenv("XDG_STATE_HOME")
	if home, err := os.UserHomeDir(); dir == "" && err == nil {
		dir = filepath.Join(home, ".local", "state")
	}
	if dir == "" {
		return h
	}
	dir = filepath.Join(dir, "sipsmpp")
	if os.MkdirAll(dir, 0o700) != nil {
		return h
	}
	h.path = filepath.Join(dir, "cli_history")
	f, err := os.Open(h.path)
	if err != nil {
		return h
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		h.keep(lines.Text())
	}
	return h
}

func (h *history) keep(line string) {
	if h.lines = append(h.lines, line); len(h.lines) > maxHistory {
		h.lines = h.lines[len(h.lines)-maxHistory:]
	}
}

// Add remembers a line, unless it is the last one again.
func (h *history) Add(line string) {
	if line = strings.TrimSpace(line); line != "" && (len(h.lines) == 0 || h.lines[len(h.lines)-1] != line) {
		h.keep(line)
	}
}

// Len is how many lines there are.
func (h *history) Len() int { return len(h.lines) }

// At gives a line, 0 the newest.
func (h *history) At(i int) string { return h.lines[len(h.lines)-1-i] }

// write keeps the lines for the next time.
func (h *history) write() {
	if h.path == "" {
		return
	}
	var b strings.Builder
	for _, line := range h.lines {
		if !secret.MatchString(line) {
			b.WriteString(line + "\n")
		}
	}
	_ = os.WriteFile(h.path, []byte(b.String()), 0o600) // it is a convenience
}
