package main

import (
	"errors"
	"fmt"
	"strings"
)

// outcome is what each row of a table of measurements has: its name, and why there is nothing more to say.
type outcome struct {
	Name  string `json:"name"`
	Error string `json:"error,omitempty"`
}

func (o outcome) verdict() error {
	if o.Error == "" {
		return nil
	}
	return fmt.Errorf("%s: %s", o.Name, o.Error)
}

// checkMeasured checks the flags of a command that starts gateways and loads them, each for as long.
func (f *loadFlags) checkMeasured() error {
	if f.gateway == "" {
		return errors.New("--gateway: want the path of sipsmppd")
	}
	if f.duration <= 0 {
		return errors.New("--duration must be above 0")
	}
	return nil
}

// markdown writes tables.
type markdown struct {
	strings.Builder
	columns int
}

func (m *markdown) head(headings ...string) {
	m.columns = len(headings)
	m.row(headings...)
	m.WriteString("|" + strings.Repeat(" --- |", m.columns) + "\n")
}

func (m *markdown) row(cells ...string) {
	m.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// failed is the row of what could not be measured.
func (m *markdown) failed(o outcome) {
	fmt.Fprintf(m, "| %s | failed: %s |%s\n", o.Name, strings.ReplaceAll(o.Error, "\n", "; "), strings.Repeat(" |", m.columns-2))
}
