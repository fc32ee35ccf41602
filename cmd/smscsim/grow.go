package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
)

// growRun is one row of the table of growth.
type growRun struct {
	name  string
	crowd crowd
	rate  float64 // messages per second; 0: as fast as the window lets
	base  bool    // the rows after it are compared with it
}

// growSet is what PERFORMANCE.md says the cost of growth by. Events multiply with their subscribers, so these have a pace of their own.
var growSet = []growRun{
	{name: "nothing else", base: true},
	{name: "1,000 connections, all bound", crowd: crowd{connections: 1000}},
	{name: "100,000 rules", crowd: crowd{rules: 100_000}},
	{name: "1,000,000 deferred messages", crowd: crowd{deferred: 1_000_000}},
	{name: "10,000 SIP senders", crowd: crowd{senders: 10_000}},
	{name: "nothing else, 200/s", rate: 200, base: true},
	{name: "1,000 subscribers to the events of messages, 200/s", crowd: crowd{subscribers: 1000}, rate: 200},
}

// growRow is what came of one.
type growRow struct {
	outcome
	Result *result `json:"result,omitempty"`
	Ratio  float64 `json:"cpu_ratio,omitempty"` // of CPU a message to the base's
}

type growResult struct {
	Machine string    `json:"machine"`
	Seconds float64   `json:"seconds_each"`
	Rows    []growRow `json:"rows"`
}

func growCommand() *cobra.Command {
	var f loadFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "grow",
		Short: "Measure how a gateway's cost grows, and print a table",
		Long: `grow sends the same load from SIP to SMPP through gateways that it starts one after the other, each with much of one thing beside
it: connections, rules, deferred messages, subscribers to events, senders. It prints a table in Markdown: how long the gateway took
to start and to bind, what it held, and what a message cost. To fill the tables takes about a minute; the machine should do nothing
else meanwhile.`,
		Example: `  smscsim grow --gateway ./sipsmppd > growth.md`,
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.checkMeasured(); err != nil {
				return err
			}
			g := grow(c.Context(), f, growSet, &printer{w: c.ErrOrStderr()})
			if err := show(c.OutOrStdout(), asJSON, g); err != nil {
				return failed(err)
			}
			return failed(g.verdict())
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.gateway, "gateway", "", "path of sipsmppd")
	fl.DurationVar(&f.duration, "duration", 5*time.Second, "how long each load is sent")
	fl.BoolVar(&asJSON, "json", false, "print all that was measured, as JSON")
	return c
}

func grow(ctx context.Context, f loadFlags, set []growRun, out *printer) growResult {
	f.defaults()
	f.bindWait = 10 * time.Minute // of which most is to fill the tables
	f.direction = "mt"
	g := growResult{Machine: machine(), Seconds: f.duration.Seconds()}
	var base *result
	for _, run := range set {
		if ctx.Err() != nil {
			break
		}
		out.line("%s, %v", run.name, f.duration)
		f := f
		f.crowd, f.rate = run.crowd, run.rate
		row := growRow{outcome: outcome{Name: run.name}}
		err := f.check()
		if err == nil {
			var r result
			if r, err = measure(ctx, f, &printer{w: io.Discard}); r.Flows != nil {
				row.Result = &r
				err = errors.Join(err, r.verdict())
			}
		}
		switch {
		case err != nil:
			row.Error = err.Error()
		case run.base:
			base = row.Result
		}
		if row.Error == "" && base != nil && base.Process != nil && row.Result.Process != nil && base.Process.CPU > 0 {
			row.Ratio = row.Result.Process.CPU / base.Process.CPU
		}
		g.Rows = append(g.Rows, row)
	}
	return g
}

func (g growResult) verdict() error {
	var faults []error
	for _, row := range g.Rows {
		faults = append(faults, row.verdict())
	}
	return errors.Join(faults...)
}

// String is the table.
func (g growResult) String() string {
	var s markdown
	fmt.Fprintf(&s, "%s; %.0f s each.\n\n", g.Machine, g.Seconds)
	s.head("beside the load", "ready after", "bound after", "memory before / highest", "messages/s", "CPU a message", "to the base's",
		"in to answer p50 / p99 / p99.9")
	for _, row := range g.Rows {
		if row.Error != "" || row.Result.Process == nil {
			s.failed(row.outcome)
			continue
		}
		r, p := row.Result, row.Result.Process
		s.row(row.Name, fmt.Sprintf("%.2f s", r.Start.Seconds()), fmt.Sprintf("%.2f s", r.Bound.Seconds()),
			fmt.Sprintf("%d / %d MB", p.Memory.First>>20, p.Memory.Highest>>20), fmt.Sprintf("%.0f", r.Rate), fmt.Sprintf("%.1f us", p.CPU),
			fmt.Sprintf("%.2f", row.Ratio), r.Flows[0].Answer.cell())
	}
	return s.String()
}
