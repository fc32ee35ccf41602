package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// loadFlags are those of a load run.
type loadFlags struct {
	crowd
	direction  string
	gateway    string
	floor      bool
	compare    bool
	config     []string
	receipts   bool
	sip        string
	mi         string
	smpp       string
	systemID   string
	password   string
	smscListen string
	peerListen string
	sink       string
	sinkStatus int
	latency    time.Duration
	bindWait   time.Duration

	count    int
	duration time.Duration
	windows  int
	rate     float64
	from, to string
	length   int

	timeout    time.Duration
	drain      time.Duration
	retransmit bool
	pid        int
	profileTo  string
	json       bool
	quiet      bool
}

// directions are the flows of each --direction.
var directions = map[string][]string{
	"mt": {"mt"}, "mo": {"mo"}, "both": {"mt", "mo"}, "esme": {"esme"}, "relay": {"relay"}, "mi": {"mi"},
}

// loadAccount is the account of runs whose gateway was started for them, and its password.
const loadAccount = "load"

// windowOf is the most unanswered messages of a flow.
func (f *loadFlags) windowOf(direction string) int {
	switch {
	case f.windows > 0:
		return f.windows
	case direction == "mo":
		return 100
	case direction == "mi":
		return 50
	}
	return 200
}

// peerWindow is the window of the gateway's connections and accounts: wider than the load's own, which is to count.
func (f *loadFlags) peerWindow() int { return max(2*f.windowOf(directions[f.direction][0]), 1000) }

// mostReceipts is how many the SMSC may have unanswered: the gateway throttles what is more on one bind.
const mostReceipts = 1000

// outside are the flags that say where a gateway is that runs already.
var outside = []string{"sip", "mi", "smpp", "system-id", "password", "smsc-listen", "peer-listen", "sip-sink", "pid"}

func loadCommand() *cobra.Command {
	var f loadFlags
	c := &cobra.Command{
		Use:   "load",
		Short: "Send a load through the gateway, and measure what comes out",
		Long: `load is both ends of a run through the gateway. --direction says which way:

    mt      MESSAGE requests by UDP, counted by an SMSC
    mo      deliver_sm from an SMSC, counted by a SIP sink
    both    the two at once
    esme    submit_sm from an ESME that has an account, counted by an SMSC: SMPP to SMPP
    relay   deliver_sm from one SMSC, counted by another: SMPP to SMPP, too
    mi      message_send by HTTP, counted by an SMSC

With --gateway ./sipsmppd it starts that gateway in a temporary directory, with a configuration and tables made for the run. With
--floor it starts itself as a second process in the gateway's place, which does a gateway's bare input and output and nothing
else: what no gateway on this machine can undercut. --compare runs both under the same load, one after the other, and prints the
ratio. Without any of these a gateway runs already: it has a connection to --smsc-listen (and one to --peer-listen with a rule to
the first, for relay), and --sip-sink is its sip.outbound_uri.

Each message has a number in its text, by which losses and doubles are found. With --window the load is a closed loop: a message
more for each answer. With --rate it is an open loop: so many per second whatever the gateway does, and times count from when a
message was due. --receipts lets the SMSC send a receipt for each message, and waits for the gateway's reports of them. The run
fails on a message that was accepted and lost, on one that came out twice or was reported on twice, and when nothing came out.`,
		Example: `  smscsim load --gateway ./sipsmppd --compare --duration 10s
  smscsim load --gateway ./sipsmppd --direction both --rate 4000 --duration 10m
  smscsim load --direction mo --window 100 --count 100000 --pid $(pidof sipsmppd)`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if f.gateway != "" || f.floor {
				for _, name := range outside {
					if c.Flags().Changed(name) {
						return fmt.Errorf("--%s is of a gateway that runs already: leave it out, or --gateway and --floor", name)
					}
				}
				f.smscListen, f.peerListen, f.sink = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
				f.systemID, f.password = loadAccount, loadAccount
			}
			return runLoad(c.Context(), f, c.OutOrStdout())
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.direction, "direction", "mt", "mt, mo, both, esme, relay or mi")
	fl.StringVar(&f.gateway, "gateway", "", "path of sipsmppd: start it for the run")
	fl.BoolVar(&f.floor, "floor", false, "start the floor in the gateway's place")
	fl.BoolVar(&f.compare, "compare", false, "run the gateway, then the floor, and print the ratio")
	fl.StringArrayVar(&f.config, "config", nil, "`YAML` to add to the configuration of the started gateway, as 'log: {level: debug}'")
	fl.BoolVar(&f.receipts, "receipts", false, "receipts for all messages to the SMSC, and reports of them awaited")
	fl.StringVar(&f.sip, "sip", "127.0.0.1:5060", "host:port of the gateway's SIP side, UDP")
	fl.StringVar(&f.mi, "mi", "127.0.0.1:8888", "host:port of the gateway's MI")
	fl.StringVar(&f.smpp, "smpp", "127.0.0.1:2775", "esme: host:port that accounts bind to")
	fl.StringVar(&f.systemID, "system-id", loadAccount, "esme: the account")
	fl.StringVar(&f.password, "password", "", "esme: its password")
	fl.StringVar(&f.smscListen, "smsc-listen", "127.0.0.1:2776", "host:port that the gateway binds to")
	fl.StringVar(&f.peerListen, "peer-listen", "127.0.0.1:2777", "relay: host:port that the gateway binds to where messages come from")
	fl.StringVar(&f.sink, "sip-sink", "127.0.0.1:5070", "host:port that takes the gateway's MESSAGE requests, UDP")
	fl.IntVar(&f.sinkStatus, "sip-status", 202, "what the sink answers")
	fl.DurationVar(&f.latency, "latency", 0, "time before a submit_sm_resp")
	fl.DurationVar(&f.bindWait, "bind-wait", 30*time.Second, "longest wait for the gateway to start and to bind")
	fl.IntVar(&f.count, "count", 0, "messages in all, each way (default 10000, or with --duration no limit)")
	fl.DurationVar(&f.duration, "duration", 0, "how long to send (default until --count)")
	fl.IntVar(&f.windows, "window", 0, "closed loop: most unanswered messages, each way (default 200, mo 100, mi 50)")
	fl.Float64Var(&f.rate, "rate", 0, "open loop: messages per second, each way, in place of --window")
	fl.StringVar(&f.from, "from", "+4915112345678", "sender")
	fl.StringVar(&f.to, "to", "+4915187654321", "recipient; of mt, ten thousand of them, whose last four digits are the message's")
	fl.IntVar(&f.length, "length", 80, "characters of text")
	f.crowd.flags(fl)
	fl.DurationVar(&f.timeout, "timeout", 10*time.Second, "longest wait for an answer")
	fl.DurationVar(&f.drain, "drain", 3*time.Second, "how long nothing may come out at the end before it counts as lost")
	fl.BoolVar(&f.retransmit, "retransmit", false, "repeat requests that are not answered, as RFC 3261 17.1.2.1 does")
	fl.IntVar(&f.pid, "pid", 0, "process of a gateway that runs already, to report its CPU and memory")
	fl.StringVar(&f.profileTo, "profile", "", "`file` for a CPU profile of the gateway while the load runs, for go tool pprof; with --duration")
	fl.BoolVar(&f.json, "json", false, "print the report as JSON")
	fl.BoolVar(&f.quiet, "quiet", false, "print nothing but the report")
	return c
}

func (f *loadFlags) check() error {
	switch {
	case directions[f.direction] == nil:
		return fmt.Errorf("--direction %q: want mt, mo, both, esme, relay or mi", f.direction)
	case f.compare && (f.gateway == "" || f.floor):
		return errors.New("--compare runs the gateway and the floor: give --gateway, the path of sipsmppd, and no --floor")
	case !f.compare && f.gateway != "" && f.floor:
		return errors.New("--gateway and --floor are two: give one, or --compare with --gateway")
	case (f.floor || f.compare) && f.direction == "mi":
		return errors.New("--direction mi has no floor: it is that of HTTP")
	case len(f.config) > 0 && f.gateway == "":
		return errors.New("--config is for a gateway that is started: give --gateway, the path of sipsmppd")
	case slices.ContainsFunc(f.config, func(line string) bool { return strings.HasPrefix(line, "db:") }):
		return errors.New("--config db: the run has its own database")
	case f.receipts && f.direction == "mo":
		return errors.New("--receipts are of messages to the SMSC: none goes there with --direction mo")
	case f.crowd.ofGateway() && f.gateway == "":
		return errors.New("--connections, --rules, --deferred and --subscribers are of a gateway that is started: give --gateway, the path of sipsmppd")
	case f.senders > 0 && f.direction != "mt" && f.direction != "both":
		return errors.New("--senders are of requests by SIP: give --direction mt or both")
	case f.count < 0 || f.count > maxEntries:
		return fmt.Errorf("--count %d: want at most %d", f.count, maxEntries)
	case f.windows < 0 || f.rate < 0:
		return errors.New("--window must be 1 or more, and --rate not negative")
	case f.length < markLength+1 || f.length > 160:
		return fmt.Errorf("--length %d: want %d to 160", f.length, markLength+1)
	case f.sinkStatus < 200 || f.sinkStatus > 699:
		return fmt.Errorf("--sip-status %d: want a final one", f.sinkStatus)
	case f.profileTo != "" && (f.floor || f.duration < time.Second):
		return errors.New("--profile is of a gateway, and as long as the load: give --duration, 1s or more, and no --floor")
	case f.pid != 0:
		if _, err := processUsage(f.pid); err != nil {
			return fmt.Errorf("--pid %d: %w", f.pid, err)
		}
	}
	if err := f.crowd.check(); err != nil {
		return err
	}
	if f.count == 0 {
		f.count = maxEntries
		if f.duration == 0 {
			f.count = 10_000
		}
	}
	return nil
}

// has says that the run has that flow.
func (f *loadFlags) has(flow string) bool { return slices.Contains(directions[f.direction], flow) }

func runLoad(ctx context.Context, f loadFlags, stdout io.Writer) error {
	if err := f.check(); err != nil {
		return err
	}
	out := &printer{w: stdout}
	if f.quiet || f.json {
		out.w = io.Discard
	}
	if f.compare {
		c, err := compare(ctx, f, out)
		if err != nil {
			return failed(err)
		}
		if err := show(stdout, f.json, c); err != nil {
			return failed(err)
		}
		return failed(errors.Join(c.Gateway.verdict(), c.Floor.verdict()))
	}
	r, err := measure(ctx, f, out)
	if err != nil && r.Flows == nil {
		return failed(err)
	}
	if err := show(stdout, f.json, r); err != nil {
		return failed(err)
	}
	if err != nil {
		return failed(err)
	}
	return failed(r.verdict())
}

// comparison is the same load through the gateway and through the floor.
type comparison struct {
	Gateway result `json:"gateway"`
	Floor   result `json:"floor"`
	// Ratio is the gateway's CPU per message over the floor's.
	Ratio float64 `json:"cpu_ratio"`
}

func compare(ctx context.Context, f loadFlags, out *printer) (c comparison, err error) {
	if c.Gateway, err = measure(ctx, f, out); err != nil {
		return c, fmt.Errorf("through the gateway: %w", err)
	}
	f.gateway, f.config, f.floor, f.profileTo, f.crowd = "", nil, true, "", crowd{senders: f.senders}
	if c.Floor, err = measure(ctx, f, out); err != nil {
		return c, fmt.Errorf("through the floor: %w", err)
	}
	if g, floor := c.Gateway.Process, c.Floor.Process; g != nil && floor != nil && floor.CPU > 0 {
		c.Ratio = g.CPU / floor.CPU
	}
	return c, nil
}

func (c comparison) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the gateway\n%v\nthe floor\n%v\n", c.Gateway, c.Floor)
	fmt.Fprintf(&b, "%-24s %12s %12s %8s\n", "", "gateway", "floor", "ratio")
	row := func(name string, unit string, g, floor float64) {
		ratio := "-"
		if floor > 0 {
			ratio = fmt.Sprintf("%.2f", g/floor)
		}
		fmt.Fprintf(&b, "%-24s %12.1f %12.1f %8s\n", name+", "+unit, g, floor, ratio)
	}
	if g, floor := c.Gateway.Process, c.Floor.Process; g != nil && floor != nil {
		row("CPU per message", "us", g.CPU, floor.CPU)
		row("  user", "us", g.User, floor.User)
		row("  system", "us", g.System, floor.System)
		row("memory, highest", "MB", float64(g.Memory.Highest)/(1<<20), float64(floor.Memory.Highest)/(1<<20))
	}
	row("rate", "messages/s", c.Gateway.Rate, c.Floor.Rate)
	for i := range c.Gateway.Flows {
		g, floor := c.Gateway.Flows[i], c.Floor.Flows[i]
		us := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
		row(g.Direction+" to exit p50", "us", us(g.Transit.P50), us(floor.Transit.P50))
		row(g.Direction+" to exit p99", "us", us(g.Transit.P99), us(floor.Transit.P99))
		row(g.Direction+" to exit p99.9", "us", us(g.Transit.P999), us(floor.Transit.P999))
		row(g.Direction+" answer p99", "us", us(g.Answer.P99), us(floor.Answer.P99))
	}
	return b.String()
}
