package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

// outageFlags are those of an outage.
type outageFlags struct {
	tortureFlags
	down    time.Duration
	newRate float64
	most    time.Duration
}

func outageCommand() *cobra.Command {
	var f outageFlags
	c := &cobra.Command{
		Use:   "outage",
		Short: "Let the SMSC be away under load, and see how what was kept leaves when it is back",
		Long: `outage starts the gateway, takes the SMSC away and sends MESSAGE requests at --rate for --down: all of them are kept. Then the SMSC
comes back. While what was kept leaves, new messages are sent to other recipients at --new-rate. Each message must come out once, those to
one recipient in the order in which they were sent, and of the new ones 99 in 100 within --most.`,
		Example: `  smscsim outage --gateway ./sipsmppd --rate 1000 --down 10s`,
		Args:    noArguments,
		RunE:    func(c *cobra.Command, _ []string) error { return runOutage(c.Context(), f, c.OutOrStdout()) },
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.gateway, "gateway", "./sipsmppd", "path of sipsmppd")
	fl.StringVar(&f.db, "db", "", "mysql:// or postgres:// `URL` of an empty database of its own; default: SQLite in a temporary directory")
	fl.StringVar(&f.dir, "dir", "", "where the temporary directory is made (default the system's)")
	fl.Float64Var(&f.rate, "rate", 1000, "messages per second while the SMSC is away")
	fl.DurationVar(&f.down, "down", 10*time.Second, "how long that is")
	fl.Float64Var(&f.newRate, "new-rate", 100, "new messages per second while what was kept leaves")
	fl.DurationVar(&f.most, "most", time.Second, "longest time from a new message to its exit, for 99 in 100")
	fl.DurationVar(&f.drain, "drain", time.Minute, "longest time for what was kept to leave")
	fl.StringArrayVar(&f.config, "config", nil, "`YAML` to add to the gateway's configuration")
	fl.BoolVar(&f.json, "json", false, "print the report as JSON")
	fl.BoolVar(&f.quiet, "quiet", false, "print nothing but the report")
	return c
}

func (f *outageFlags) check() error {
	switch {
	case f.down < 100*time.Millisecond || f.down > 10*time.Minute:
		return fmt.Errorf("--down %v: want 100ms to 10m", f.down)
	case f.newRate <= 0 || f.newRate > 5000:
		return fmt.Errorf("--new-rate %v: want more than 0, at most 5000", f.newRate)
	}
	f.rounds, f.round = 1, time.Second
	return f.tortureFlags.check()
}

// outageResult is what an outage showed.
type outageResult struct {
	Kept    storyResult   `json:"kept"`
	New     storyResult   `json:"new"`
	Left    float64       `json:"kept_left_in_seconds"` // from the bind to the last exit
	Rate    float64       `json:"kept_left_per_second"`
	P50     time.Duration `json:"new_p50"`
	P99     time.Duration `json:"new_p99"`
	Swapped int           `json:"out_of_order"`
	most    time.Duration
}

func runOutage(ctx context.Context, f outageFlags, stdout io.Writer) error {
	if err := f.check(); err != nil {
		return err
	}
	f.seed = rand.Uint64N(1 << 32)
	t := &torture{tortureFlags: f.tortureFlags, out: &printer{w: stdout}, dice: rand.New(rand.NewPCG(f.seed, 0))}
	if f.quiet || f.json {
		t.out.w = io.Discard
	}
	r, err := t.outage(ctx, f)
	if err != nil {
		return failed(err)
	}
	if err := show(stdout, f.json, r); err != nil {
		return failed(err)
	}
	return failed(r.verdict())
}

func (t *torture) outage(ctx context.Context, f outageFlags) (r outageResult, err error) {
	end, err := t.begin(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, end()) }()
	r.most = f.most
	if err := t.smsc.away(); err != nil {
		return r, err
	}
	sending, stop := context.WithTimeout(ctx, f.down)
	defer stop()
	kept := t.sender(t.sip, t.gateway.sip)
	kept.rate = f.rate
	if err := kept.bySIP(sending); err != nil {
		return r, err
	}
	t.out.line("%d messages were sent while the SMSC was away", len(t.sip.tales))
	if err := t.smsc.back(); err != nil {
		return r, err
	}
	back, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := t.smsc.WaitBinds(back, 1); err != nil {
		return r, fmt.Errorf("the gateway did not bind again: %w", err)
	}
	t.out.line("the gateway is bound again")
	bound := time.Now()
	fresh := t.sender(t.mi, t.gateway.sip) // a story of its own, by SIP as well
	t.mi.direction, t.mi.reported = "new", false
	fresh.rate, fresh.numbers.first = f.newRate, recipients
	arriving, arrived := context.WithTimeout(ctx, t.drain)
	defer arrived()
	var running sync.WaitGroup
	running.Go(func() { err = fresh.bySIP(arriving) })
	for arriving.Err() == nil {
		if _, pending := t.sip.waiting(); pending == 0 {
			break
		}
		rest(arriving, 10*time.Millisecond)
	}
	if time.Since(bound) < time.Second { // else there would be too few new ones to say anything
		rest(arriving, time.Second)
	}
	arrived()
	running.Wait()
	if err != nil {
		return r, err
	}
	t.settle(ctx)
	t.gateway.stop()
	if err := t.readRecords(ctx); err != nil {
		return r, err
	}
	r.judge(t, bound, kept.numbers)
	return r, ctx.Err()
}

func (r *outageResult) judge(t *torture, bound time.Time, to numbers) {
	r.Kept, r.New = t.sip.result(nil), t.mi.result(nil)
	last := bound
	latest := make(map[string]time.Time) // exit, by recipient
	for n, tale := range t.sip.tales {
		if len(tale.exits) == 0 {
			continue
		}
		at := tale.exits[0].at
		if at.After(last) {
			last = at
		}
		if at.Before(latest[to.of(n)]) {
			r.Swapped++
		}
		latest[to.of(n)] = at
	}
	r.Left = last.Sub(bound).Seconds()
	r.Rate = float64(r.Kept.Delivered) / max(r.Left, 0.001)
	var transits []time.Duration
	for _, tale := range t.mi.tales {
		if len(tale.exits) > 0 {
			transits = append(transits, tale.exits[0].at.Sub(tale.sent))
		}
	}
	if slices.Sort(transits); len(transits) > 0 {
		r.P50, r.P99 = transits[len(transits)/2], transits[len(transits)*99/100]
	}
}

func (r outageResult) verdict() error {
	var wrong []string
	for _, s := range []storyResult{r.Kept, r.New} {
		if err := s.verdict(); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	if r.Swapped > 0 {
		wrong = append(wrong, fmt.Sprintf("%d came out before one that was sent before them to the same recipient", r.Swapped))
	}
	if r.P99 > r.most {
		wrong = append(wrong, fmt.Sprintf("99 in 100 new messages came out within %v, want %v", r.P99, r.most))
	}
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "; "))
	}
	return nil
}

func (r outageResult) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%v\n%v\n", storyHead, r.Kept, r.New)
	fmt.Fprintf(&b, "what was kept left within %.1f s of the bind, %.0f messages/s; %d out of order\n", r.Left, r.Rate, r.Swapped)
	fmt.Fprintf(&b, "new messages meanwhile came out after %v (p50), %v (p99)\n", r.P50.Round(time.Microsecond), r.P99.Round(time.Microsecond))
	for _, s := range []storyResult{r.Kept, r.New} {
		for _, fault := range s.Faults {
			fmt.Fprintf(&b, "%s: %s\n", s.Direction, fault)
		}
	}
	return b.String()
}
