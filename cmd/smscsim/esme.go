package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"sipsmpp/gateway/gatewaytest"
)

// esmeFlags are those of the load generator on the ESME's side.
type esmeFlags struct {
	esme           gatewaytest.ESMEConfig
	mode           string
	binds          int
	rate           float64
	count          int
	duration       time.Duration
	from, to, text string
	receipt        bool
	wait           time.Duration
	quiet          bool
}

func esmeCommand() *cobra.Command {
	var f esmeFlags
	c := &cobra.Command{
		Use:   "esme",
		Short: "Bind as an ESME and send messages: one, or a measured load",
		Long: `esme binds, sends --count messages or those of --duration, by --window on each bind, and reports messages per second, the
time to the submit_sm_resp, statuses and receipts. With --mode rx it only receives, for --duration or until it is interrupted.
It fails where a message was not answered, or was refused.`,
		Example: `  smscsim esme --connect 127.0.0.1:2776 --to 12345 --text 'hello' --receipt
  smscsim esme --connect 127.0.0.1:2776 --rate 5000 --duration 30s --window 100 --quiet`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return runESME(c.Context(), f, c.OutOrStdout()) },
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.esme.Addr, "connect", "127.0.0.1:2775", "host:port to bind to")
	fl.StringVar(&f.esme.SystemID, "system-id", "esme", "system_id")
	fl.StringVar(&f.esme.Password, "password", "", "password")
	fl.StringVar(&f.esme.SystemType, "system-type", "", "system_type")
	fl.StringVar(&f.mode, "mode", "trx", "trx, tx or rx")
	fl.IntVar(&f.binds, "binds", 1, "how many binds")
	fl.IntVar(&f.esme.Window, "window", 10, "most unanswered submit_sm on each")
	fl.Float64Var(&f.rate, "rate", 0, "messages per second, of all binds (default as fast as the window lets)")
	fl.IntVar(&f.count, "count", 0, "messages in all (default 1, or with --duration no limit)")
	fl.DurationVar(&f.duration, "duration", 0, "how long to send (default until --count)")
	fl.StringVar(&f.from, "from", "12345", "sender")
	fl.StringVar(&f.to, "to", "+4915112345678", "recipient; {n} is replaced by the message's number")
	fl.StringVar(&f.text, "text", "message {n}", "text; {n} is replaced by the message's number")
	fl.BoolVar(&f.receipt, "receipt", false, "ask for receipts, and wait for them")
	fl.DurationVar(&f.wait, "wait", 10*time.Second, "longest wait for an answer, and for receipts at the end")
	fl.BoolVar(&f.quiet, "quiet", false, "print no line for each deliver_sm")
	return c
}

// esmeRun is a run and what it counts.
type esmeRun struct {
	binds    []*gatewaytest.ESME
	latency  histogram
	answered atomic.Uint64 // segments that have their answer, or never will
}

func runESME(ctx context.Context, f esmeFlags, stdout io.Writer) error {
	mode, ok := map[string]string{"trx": "transceiver", "tx": "transmitter", "rx": "receiver"}[f.mode]
	switch {
	case !ok:
		return fmt.Errorf("--mode %q: want trx, tx or rx", f.mode)
	case f.binds < 1 || f.esme.Window < 1:
		return errors.New("--binds and --window must be 1 or more")
	case f.count < 0 || f.rate < 0:
		return errors.New("--count and --rate cannot be negative")
	}
	if f.count == 0 && f.duration == 0 && mode != "receiver" {
		f.count = 1
	}
	out := &printer{w: stdout, quiet: f.quiet}
	f.esme.Mode, f.esme.Keep, f.esme.AnswerTimeout = mode, -1, f.wait
	if !f.quiet {
		f.esme.OnDeliver = func(in gatewaytest.Incoming) gatewaytest.Action {
			out.limited(func() string { return "deliver_sm " + describeSM(&in) })
			return gatewaytest.Action{}
		}
	}
	var run esmeRun
	defer func() {
		for _, e := range run.binds {
			e.Drop()
		}
	}()
	for range f.binds {
		e, err := gatewaytest.NewESME(ctx, f.esme)
		if err != nil {
			return failed(fmt.Errorf("%s: %w", f.esme.Addr, err))
		}
		run.binds = append(run.binds, e)
	}
	out.line("bound to %s as %s, %d times", f.esme.Addr, mode, f.binds)

	sending := ctx
	if f.duration > 0 {
		var cancel context.CancelFunc
		sending, cancel = context.WithTimeout(ctx, f.duration)
		defer cancel()
	}
	stopSeconds := everySecond(func() { out.second(gatewaytest.SMSCStats{}, gatewaytest.SMSCStats{}) })
	defer stopSeconds()
	began := time.Now()
	var err error
	if mode == "receiver" {
		select {
		case <-sending.Done():
		case <-run.binds[0].Done():
			err = errors.New("the peer closed the bind")
		}
	} else {
		err = run.send(sending, f)
	}
	took := time.Since(began)
	if f.receipt && mode == "transceiver" && err == nil {
		run.awaitReceipts(ctx, f.wait)
	}
	stats := run.unbind()
	run.report(out, stats, took)
	switch refused := sum(stats.Answered) - stats.Answered[gatewaytest.StatusOK]; {
	case err != nil:
		return failed(err)
	case stats.Lost > 0 || refused > 0:
		return failed(fmt.Errorf("%d messages were refused, %d never answered", refused, stats.Lost))
	}
	return nil
}

// everySecond calls f each second until stop, which waits for it.
func everySecond(f func()) (stop func()) {
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				f()
			case <-done:
				return
			}
		}
	})
	return func() { close(done); running.Wait() }
}

// send sends until count or the end of sending, then waits for the answers: each comes, or is given up after --wait.
func (r *esmeRun) send(sending context.Context, f esmeFlags) error {
	pace := pacer{rate: f.rate}
	more := make(chan struct{}, 1)
	var err error
	for n := 1; (f.count == 0 || n <= f.count) && err == nil; n++ {
		due, stopped := pace.wait(sending)
		if stopped != nil {
			break
		}
		number := strconv.Itoa(n)
		o := gatewaytest.Outgoing{From: f.from, To: strings.ReplaceAll(f.to, "{n}", number), Text: strings.ReplaceAll(f.text, "{n}", number)}
		if f.receipt {
			o.RegisteredDelivery = 1
		}
		err = r.binds[n%len(r.binds)].Send(sending, o, func(a gatewaytest.Answer) {
			if a.Err == nil {
				r.latency.add(time.Since(due))
			}
			r.answered.Add(1)
			select {
			case more <- struct{}{}:
			default:
			}
		})
	}
	for sent := r.stats().Submits; r.answered.Load() < sent; {
		<-more
	}
	if sending.Err() != nil {
		return nil // the time was up while a message waited for the window
	}
	return err
}

// awaitReceipts waits until there is a receipt for each segment that was accepted, or none came for a while.
func (r *esmeRun) awaitReceipts(ctx context.Context, wait time.Duration) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	last, since := uint64(0), time.Now()
	for {
		st := r.stats()
		if st.Receipts >= st.Answered[gatewaytest.StatusOK] || time.Since(since) > wait {
			return
		}
		if st.Receipts != last {
			last, since = st.Receipts, time.Now()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// stats adds up the binds.
func (r *esmeRun) stats() (all gatewaytest.ESMEStats) {
	all.Answered = make(map[uint32]uint64)
	for _, e := range r.binds {
		st := e.Stats()
		all.Submits += st.Submits
		all.Lost += st.Lost
		all.Delivers += st.Delivers
		all.Receipts += st.Receipts
		all.Unexpected += st.Unexpected
		for status, n := range st.Answered {
			all.Answered[status] += n
		}
	}
	return all
}

// unbind ends the binds and gives what they counted.
func (r *esmeRun) unbind() gatewaytest.ESMEStats {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for _, e := range r.binds {
		_ = e.Close(ctx) // a peer that does not answer unbind is closed all the same
	}
	return r.stats()
}

func (r *esmeRun) report(out *printer, st gatewaytest.ESMEStats, took time.Duration) {
	out.line("%d submit_sm in %v: %.0f/s; %s", st.Submits, took.Round(time.Millisecond), float64(sum(st.Answered))/took.Seconds(), statuses(st.Answered))
	if st.Submits > 0 {
		out.line("time to the answer: %s", r.latency.latency())
	}
	out.line("%d deliver_sm, %d of them receipts; %d never answered, %d answers unexpected", st.Delivers, st.Receipts, st.Lost, st.Unexpected)
}
