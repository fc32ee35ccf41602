package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// benchRun is one row of the standard set.
type benchRun struct {
	name      string
	key       string // what targets call it; empty: none is of it
	direction string
	compare   bool
	receipts  bool
	recorded  bool // every message has a record, and not only those that wait for something
	long      bool // as long as --soak says, and only then
	// of the rate of the first run of the same direction; 0: as fast as the window lets, unless rate is given
	share float64
	rate  float64
}

// standardSet is what PERFORMANCE.md has figures of.
var standardSet = []benchRun{
	{name: "SIP to SMPP", key: "mt", direction: "mt", compare: true},
	{name: "SMPP to SIP", key: "mo", direction: "mo", compare: true},
	{name: "both at once", direction: "both", compare: true},
	{name: "SMPP to SMPP, an account to a connection", key: "esme", direction: "esme", compare: true},
	{name: "SMPP to SMPP, a connection to another", key: "relay", direction: "relay", compare: true},
	{name: "SIP to SMPP, 5,000/s", key: "paced", direction: "mt", compare: true, rate: 5000},
	{name: "SIP to SMPP, half its highest rate", key: "half", direction: "mt", share: 0.5},
	{name: "SIP to SMPP, 90 % of it", direction: "mt", share: 0.9},
	{name: "SIP to SMPP, every message recorded", key: "recorded", direction: "mt", recorded: true},
	{name: "SIP to SMPP, every message recorded, receipts and reports", key: "receipts", direction: "mt", receipts: true, recorded: true},
	{name: "message_send by HTTP", direction: "mi"},
	{name: "SIP to SMPP, long, 90 % of its highest rate", key: "long", direction: "mt", share: 0.9, long: true},
	{name: "SIP to SMPP, long", key: "full", direction: "mt", long: true},
}

// benchRow is what came of one.
type benchRow struct {
	outcome
	key     string
	long    bool
	Rate    float64 `json:"paced_at,omitempty"` // messages per second
	Gateway *result `json:"gateway,omitempty"`
	Floor   *result `json:"floor,omitempty"`
	Ratio   float64 `json:"cpu_ratio,omitempty"`
}

// benchResult is the standard set, and where it ran.
type benchResult struct {
	Machine string     `json:"machine"`
	Seconds float64    `json:"seconds_each"`
	Rows    []benchRow `json:"rows"`
	Targets []target   `json:"targets"`
}

func benchCommand() *cobra.Command {
	var f loadFlags
	var asJSON bool
	var soak time.Duration
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure a gateway with the standard set of loads, and print a table",
		Long: `bench runs the loads that PERFORMANCE.md has figures of, one after the other, each through a gateway that it starts anew and most
of them through the floor too (see load --help), and prints a table in Markdown, and one that says which of the project's targets
they meet. It takes about a quarter of a minute for each 1 s of --duration; the machine should do nothing else meanwhile. With --soak
two long runs follow, one at 90 % of the highest rate and one as fast as it goes. It fails when a message was lost or doubled.`,
		Example: `  smscsim bench --gateway ./sipsmppd > figures.md
  smscsim bench --gateway ./sipsmppd --soak 10m > figures.md`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.checkMeasured(); err != nil {
				return err
			}
			b := bench(c.Context(), f, soak, standardSet, &printer{w: c.ErrOrStderr()})
			if err := show(c.OutOrStdout(), asJSON, b); err != nil {
				return failed(err)
			}
			return failed(b.verdict())
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.gateway, "gateway", "", "path of sipsmppd")
	fl.DurationVar(&f.duration, "duration", 10*time.Second, "how long each load is sent")
	fl.DurationVar(&soak, "soak", 0, "how long each of two long runs is; without, there are none")
	fl.StringArrayVar(&f.config, "config", nil, "`YAML` to add to the configuration of the gateway")
	fl.BoolVar(&asJSON, "json", false, "print all that was measured, as JSON")
	return c
}

// defaults are what load has where nobody says otherwise, on free ports.
func (f *loadFlags) defaults() {
	f.smscListen, f.peerListen, f.sink, f.sinkStatus = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", 202
	f.systemID, f.password = loadAccount, loadAccount
	f.bindWait, f.timeout, f.drain = 30*time.Second, 10*time.Second, 3*time.Second
	f.from, f.to, f.length = "+4915112345678", "+4915187654321", 80
}

func bench(ctx context.Context, f loadFlags, soak time.Duration, set []benchRun, out *printer) benchResult {
	f.defaults()
	b := benchResult{Machine: machine(), Seconds: f.duration.Seconds()}
	highest := make(map[string]float64)
	for _, run := range set {
		if ctx.Err() != nil {
			break
		}
		if run.long && soak <= 0 {
			continue
		}
		f := f
		f.direction, f.receipts, f.rate = run.direction, run.receipts, run.rate
		row := benchRow{outcome: outcome{Name: run.name}, key: run.key, long: run.long}
		if run.recorded {
			f.config = append(slices.Clone(f.config), "records: all")
		}
		if run.long {
			f.duration = soak
			row.Name += ", " + soak.String()
		}
		if run.share > 0 {
			f.rate = float64(int(run.share * highest[run.direction]))
			if f.rate == 0 {
				row.Error = "there is no highest rate: the run that finds it failed"
				b.Rows = append(b.Rows, row)
				continue
			}
		}
		row.Rate = f.rate
		out.line("%s, %v", row.Name, f.duration)
		row.measure(ctx, f, run.compare)
		if row.Gateway != nil && highest[run.direction] == 0 {
			highest[run.direction] = row.Gateway.Rate
		}
		b.Rows = append(b.Rows, row)
	}
	b.Targets = b.targets()
	return b
}

// measure makes the run, through the floor too if it is to compare.
func (row *benchRow) measure(ctx context.Context, f loadFlags, beside bool) {
	quiet := &printer{w: io.Discard}
	err := f.check()
	var g result
	if err == nil && beside {
		var c comparison
		if c, err = compare(ctx, f, quiet); err == nil {
			row.Floor, row.Ratio = &c.Floor, c.Ratio
			err = c.Floor.verdict()
		}
		g = c.Gateway
	} else if err == nil {
		g, err = measure(ctx, f, quiet)
	}
	if g.Flows != nil {
		row.Gateway = &g
		err = errors.Join(err, g.verdict())
	}
	if err != nil {
		row.Error = err.Error()
	}
}

func (b benchResult) verdict() error {
	var faults []error
	for _, row := range b.Rows {
		faults = append(faults, row.verdict())
	}
	return errors.Join(faults...)
}

// String is the table.
func (b benchResult) String() string {
	var s markdown
	fmt.Fprintf(&s, "%s; %.0f s each.\n\n", b.Machine, b.Seconds)
	s.head("load", "messages/s", "CPU a message (user + system)", "floor's CPU", "gateway / floor", "floor's messages/s",
		"in to out p50 / p99 / p99.9", "in to answer p50 / p99 / p99.9", "memory before / highest / end", "lost, doubled")
	for _, row := range b.Rows {
		if row.Error != "" {
			s.failed(row.outcome)
			continue
		}
		g, floorCPU, ratio, floorRate := row.Gateway, "", "", ""
		if row.Floor != nil && row.Floor.Process != nil {
			floorCPU, floorRate = fmt.Sprintf("%.1f us", row.Floor.Process.CPU), fmt.Sprintf("%.0f", row.Floor.Rate)
			ratio = fmt.Sprintf("%.2f", row.Ratio)
		}
		var out, answer, losses []string
		for _, flow := range g.Flows {
			out, answer = append(out, flow.Transit.cell()), append(answer, flow.Answer.cell())
			losses = append(losses, fmt.Sprintf("%d, %d", flow.Count.Lost, flow.Count.Doubled))
		}
		var cpu, held string
		if p := g.Process; p != nil {
			cpu = fmt.Sprintf("%.1f us (%.1f + %.1f)", p.CPU, p.User, p.System)
			held = fmt.Sprintf("%d / %d / %d MB", p.Memory.First>>20, p.Memory.Highest>>20, p.Memory.Last>>20)
		}
		s.row(row.Name, fmt.Sprintf("%.0f", g.Rate), cpu, floorCPU, ratio, floorRate,
			strings.Join(out, "; "), strings.Join(answer, "; "), held, strings.Join(losses, "; "))
	}
	s.WriteByte('\n')
	s.head("target", "wanted", "measured", "met")
	for _, t := range b.Targets {
		met := "yes"
		if !t.Met {
			met = "no"
		}
		s.row(t.Name, t.Wanted, t.Measured, met)
	}
	return s.String()
}

// cell is a latency in a table, in milliseconds.
func (l latency) cell() string {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return fmt.Sprintf("%.1f / %.1f / %.1f ms", ms(l.P50), ms(l.P99), ms(l.P999))
}

// machine says where figures come from, and whether anything else ran there.
func machine() string {
	parts := []string{fmt.Sprintf("%d CPUs", runtime.NumCPU())}
	if model := fieldOf("/proc/cpuinfo", "model name"); model != "" {
		parts[0] += " of " + model
	}
	if memory := fieldOf("/proc/meminfo", "MemTotal"); memory != "" {
		parts = append(parts, memory+" of memory")
	}
	if kernel, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		parts = append(parts, "Linux "+strings.TrimSpace(string(kernel)))
	}
	parts = append(parts, runtime.Version())
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		minute, _, _ := strings.Cut(string(load), " ")
		parts = append(parts, "load average of the minute before "+minute)
	}
	return strings.Join(parts, ", ")
}

// fieldOf gives the value of the first `name: value` of a file of /proc; empty where there is none.
func fieldOf(file, name string) string {
	b, _ := os.ReadFile(file) // what is not there is not said
	for line := range strings.Lines(string(b)) {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
