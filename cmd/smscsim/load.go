package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"sipsmpp/gateway/gatewaytest"
)

// loadFlags are those of a load run through the gateway.
type loadFlags struct {
	direction  string
	sip        string
	smscListen string
	sink       string
	sinkStatus int
	latency    time.Duration
	bindWait   time.Duration

	count    int
	duration time.Duration
	window   int
	rate     float64
	from, to string
	length   int

	timeout    time.Duration
	drain      time.Duration
	retransmit bool
	pid        int
	json       bool
	quiet      bool
}

func loadCommand() *cobra.Command {
	var f loadFlags
	c := &cobra.Command{
		Use:   "load",
		Short: "Send a load through the gateway, and count what comes out",
		Long: `load is both ends of a run through the gateway. --direction mt sends MESSAGE requests by UDP to --sip and counts what the
SMSC that it serves on --smsc-listen gets; --direction mo lets that SMSC send deliver_sm and counts what a SIP sink on --sip-sink
gets. The gateway must have a connection to --smsc-listen, and for mo --sip-sink as its sip.outbound_uri.

Each message has a number in its text, by which losses and doubles are found. With --window the load is a closed loop: a message
more for each answer. With --rate it is an open loop: so many per second whatever the gateway does, and times count from when a
message was due. The run fails on a message that was accepted and lost, on one that came out twice, and when nothing came out.`,
		Example: `  smscsim load --count 100000 --window 200 --pid $(pidof sipsmppd)
  smscsim load --direction mo --rate 5000 --duration 30s`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return runLoad(c.Context(), f, c.OutOrStdout()) },
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.direction, "direction", "mt", "mt (SIP to SMPP) or mo (SMPP to SIP)")
	fl.StringVar(&f.sip, "sip", "127.0.0.1:5060", "host:port of the gateway's SIP side, UDP")
	fl.StringVar(&f.smscListen, "smsc-listen", "127.0.0.1:2776", "host:port that the gateway binds to")
	fl.StringVar(&f.sink, "sip-sink", "127.0.0.1:5070", "host:port that takes the gateway's MESSAGE requests, UDP")
	fl.IntVar(&f.sinkStatus, "sip-status", 202, "what the sink answers")
	fl.DurationVar(&f.latency, "latency", 0, "time before a submit_sm_resp")
	fl.DurationVar(&f.bindWait, "bind-wait", 30*time.Second, "longest wait for the gateway to bind")
	fl.IntVar(&f.count, "count", 0, "messages in all (default 10000, or with --duration no limit)")
	fl.DurationVar(&f.duration, "duration", 0, "how long to send (default until --count)")
	fl.IntVar(&f.window, "window", 200, "closed loop: most unanswered messages")
	fl.Float64Var(&f.rate, "rate", 0, "open loop: messages per second, in place of --window")
	fl.StringVar(&f.from, "from", "+4915112345678", "sender")
	fl.StringVar(&f.to, "to", "+4915187654321", "recipient")
	fl.IntVar(&f.length, "length", 80, "characters of text")
	fl.DurationVar(&f.timeout, "timeout", 10*time.Second, "longest wait for an answer")
	fl.DurationVar(&f.drain, "drain", 3*time.Second, "how long nothing may come out at the end before it counts as lost")
	fl.BoolVar(&f.retransmit, "retransmit", false, "repeat requests that are not answered, as RFC 3261 17.1.2.1 does")
	fl.IntVar(&f.pid, "pid", 0, "process of the gateway, to report its CPU and memory")
	fl.BoolVar(&f.json, "json", false, "print the report as JSON")
	fl.BoolVar(&f.quiet, "quiet", false, "print nothing but the report")
	return c
}

func (f *loadFlags) check() error {
	switch {
	case f.direction != "mt" && f.direction != "mo":
		return fmt.Errorf("--direction %q: want mt or mo", f.direction)
	case f.count < 0 || f.count > maxEntries:
		return fmt.Errorf("--count %d: want at most %d", f.count, maxEntries)
	case f.window < 1 || f.rate < 0:
		return errors.New("--window must be 1 or more, and --rate not negative")
	case f.length < markLength+1 || f.length > 160:
		return fmt.Errorf("--length %d: want %d to 160", f.length, markLength+1)
	case f.sinkStatus < 200 || f.sinkStatus > 699:
		return fmt.Errorf("--sip-status %d: want a final one", f.sinkStatus)
	case f.pid != 0:
		if _, err := processUsage(f.pid); err != nil {
			return fmt.Errorf("--pid %d: %w", f.pid, err)
		}
	}
	if f.count == 0 {
		f.count = maxEntries
		if f.duration == 0 {
			f.count = 10_000
		}
	}
	return nil
}

// load is one run: what both directions share.
type load struct {
	loadFlags
	name   string // in the texts: tells this run's messages from another's
	began  time.Time
	ledger ledger
	smsc   *gatewaytest.SMSC

	transit histogram // from entry to first exit
	answer  histogram // from request to answer

	outstanding atomic.Int64
	arrived     atomic.Int64
	answered    atomic.Int64
	lastExit    atomic.Int64  // as entry.sent
	free        chan struct{} // holds a token when a message got its answer

	repeats atomic.Uint64 // retransmissions that came out, or answers that came again
	sentAgain,
	late atomic.Uint64

	mu       sync.Mutex
	statuses map[uint32]uint64
}

func (l *load) now() time.Duration { return time.Since(l.began) }

// arrive counts a message that came out.
func (l *load) arrive(text []byte, transaction uint32) {
	n, ok := readMark(text, l.name)
	e := l.ledger.get(n)
	if !ok || e == nil {
		return
	}
	if transaction != 0 && !e.first.CompareAndSwap(0, transaction) && e.first.Load() == transaction {
		l.repeats.Add(1)
		return
	}
	if e.exits.Add(1) == 1 {
		l.transit.add(l.now() - time.Duration(e.sent.Load()))
		l.lastExit.Store(int64(l.now()))
		l.arrived.Add(1)
	}
}

// settle takes the answer to a message: its status, and whether that accepts it.
func (l *load) settle(e *entry, status uint32, accepted bool) {
	state := stateRefused
	if accepted {
		state = stateAccepted
	}
	switch {
	case e.state.CompareAndSwap(stateWaiting, state):
		l.answer.add(l.now() - time.Duration(e.sent.Load()))
		l.release()
	case e.state.CompareAndSwap(stateUnanswered, state):
		l.late.Add(1)
	default:
		l.repeats.Add(1)
		return
	}
	l.mu.Lock()
	l.statuses[status]++
	l.mu.Unlock()
}

// giveUp ends the wait for an answer.
func (l *load) giveUp(e *entry) {
	if e.state.CompareAndSwap(stateWaiting, stateUnanswered) {
		l.release()
	}
}

func (l *load) release() {
	l.answered.Add(1)
	l.outstanding.Add(-1)
	select {
	case l.free <- struct{}{}:
	default:
	}
}

// sendAll calls send with the time that each message is due, as the flags say, until count, duration or the end of ctx. A batch
// ends where flush is called; it is the time to write what was gathered.
func (l *load) sendAll(ctx context.Context, send func(n int, e *entry) error, flush func() error) error {
	if l.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.duration)
		defer cancel()
	}
	pace := pacer{rate: l.rate}
	for n := 0; n < l.count && ctx.Err() == nil; n++ {
		due := l.now()
		if l.rate > 0 {
			if pace.ahead() {
				if err := flush(); err != nil {
					return err
				}
			}
			at, err := pace.wait(ctx)
			if err != nil {
				break
			}
			due = at.Sub(l.began)
		} else if l.outstanding.Load() >= int64(l.window) {
			if err := flush(); err != nil {
				return err
			}
			if !l.awaitRoom(ctx) {
				break
			}
			due = l.now()
		}
		l.outstanding.Add(1)
		number, e := l.ledger.open(due)
		if err := send(number, e); err != nil {
			return err
		}
	}
	return flush()
}

// awaitRoom waits for room in the window.
func (l *load) awaitRoom(ctx context.Context) bool {
	for l.outstanding.Load() >= int64(l.window) {
		select {
		case <-l.free:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// settleAll waits until everything is answered and came out, or nothing more does: after an interrupt too, or what is on its way
// would count as lost.
func (l *load) settleAll() {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	last, since := int64(-1), time.Now()
	for {
		arrived := l.arrived.Load()
		if l.outstanding.Load() == 0 && (arrived >= l.ledger.opened.Load() || time.Since(since) > l.drain) {
			return
		}
		if arrived != last || l.outstanding.Load() > 0 {
			last, since = arrived, time.Now()
		}
		<-tick.C
	}
}

// side is the direction of a load: what sends and what counts.
type side interface {
	start(ctx context.Context) error
	send(ctx context.Context) error
	stop()
}

func runLoad(ctx context.Context, f loadFlags, stdout io.Writer) error {
	if err := f.check(); err != nil {
		return err
	}
	out := &printer{w: stdout}
	if f.quiet || f.json {
		out.w = io.Discard
	}
	var id [runDigits / 2]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the process instead
	l := &load{loadFlags: f, name: hex.EncodeToString(id[:]), began: time.Now(), free: make(chan struct{}, 1), statuses: make(map[uint32]uint64)}
	var err error
	if l.smsc, err = gatewaytest.NewSMSC(l.smscConfig()); err != nil {
		return failed(err)
	}
	defer hangUp(l.smsc)
	var s side = &mt{load: l}
	if f.direction == "mo" {
		s = &mo{load: l}
	}
	if err := s.start(ctx); err != nil {
		return failed(err)
	}
	defer s.stop()
	out.line("waiting for the gateway to bind to %s", l.smsc.Addr())
	if err := l.awaitBind(ctx); err != nil {
		return failed(err)
	}
	before, _ := l.processUsage()
	out.line("run %s: %s, %d binds", l.name, f.direction, l.smsc.Stats().Bound)
	var lastAnswered, lastArrived int64
	stopSeconds := everySecond(func() {
		answered, arrived := l.answered.Load(), l.arrived.Load()
		out.line("%d/s answered, %d/s out; %d outstanding, %d sent", answered-lastAnswered, arrived-lastArrived, l.outstanding.Load(), l.ledger.opened.Load())
		lastAnswered, lastArrived = answered, arrived
	})
	began := l.now()
	err = s.send(ctx)
	ended := l.now()
	if err == nil {
		l.settleAll()
	}
	stopSeconds()
	after, _ := l.processUsage()
	r := l.report(max(ended, time.Duration(l.lastExit.Load()))-began, before, after)
	if f.json {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		if err := e.Encode(r); err != nil {
			return failed(err)
		}
	} else {
		fmt.Fprint(stdout, r)
	}
	if err != nil {
		return failed(err)
	}
	return failed(r.verdict())
}

func (l *load) smscConfig() gatewaytest.SMSCConfig {
	cfg := gatewaytest.SMSCConfig{Addr: l.smscListen, Latency: l.latency, Keep: -1, Window: l.window, AnswerTimeout: l.timeout}
	if l.direction == "mt" {
		cfg.OnSubmit = func(in gatewaytest.Submit) gatewaytest.Action {
			l.arrive(in.Octets(), 0)
			return gatewaytest.Action{}
		}
	}
	return cfg
}

func (l *load) awaitBind(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.bindWait)
	defer cancel()
	if err := l.smsc.WaitBinds(ctx, 1); err != nil {
		return fmt.Errorf("the gateway did not bind to %s: %w; has it a connection there?", l.smsc.Addr(), err)
	}
	return nil
}

func (l *load) processUsage() (usage, error) {
	if l.pid == 0 {
		return usage{}, nil
	}
	return processUsage(l.pid)
}

// report is what a run measured.
type report struct {
	Run       string            `json:"run"`
	Direction string            `json:"direction"`
	Seconds   float64           `json:"seconds"` // until the last was sent, and the last came out
	Rate      float64           `json:"messages_per_second"`
	Count     count             `json:"count"`
	Statuses  map[string]uint64 `json:"statuses"`
	Repeats   uint64            `json:"repeats"`
	Late      uint64            `json:"late"`
	SentAgain uint64            `json:"sent_again"`
	Transit   latency           `json:"entry_to_exit"`
	Answer    latency           `json:"request_to_answer"`
	PID       int               `json:"pid,omitempty"`
	CPU       float64           `json:"cpu_us_per_message,omitempty"`
	RSS       int64             `json:"rss_octets,omitempty"`
	PeakRSS   int64             `json:"peak_rss_octets,omitempty"`
}

func (l *load) report(took time.Duration, before, after usage) report {
	r := report{
		Run: l.name, Direction: l.direction, Seconds: took.Seconds(), Count: l.ledger.count(), Statuses: make(map[string]uint64),
		Repeats: l.repeats.Load(), Late: l.late.Load(), SentAgain: l.sentAgain.Load(), Transit: l.transit.latency(), Answer: l.answer.latency(),
		PID: l.pid, RSS: after.rss, PeakRSS: after.peakRSS,
	}
	r.Rate = float64(r.Count.Arrived) / took.Seconds()
	if l.pid != 0 && r.Count.Arrived > 0 {
		r.CPU = float64(after.cpu-before.cpu) / float64(time.Microsecond) / float64(r.Count.Arrived)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for status, n := range l.statuses {
		name := fmt.Sprint(status)
		if l.direction == "mo" {
			name = fmt.Sprintf("%#02x", status)
		}
		r.Statuses[name] = n
	}
	return r
}

func (r report) String() string {
	var b strings.Builder
	c := r.Count
	fmt.Fprintf(&b, "messages       %d sent, %d accepted, %d refused, %d unanswered; %d came out\n", c.Sent, c.Accepted, c.Refused, c.Unanswered, c.Arrived)
	fmt.Fprintf(&b, "rate           %.0f messages/s for %.2f s\n", r.Rate, r.Seconds)
	fmt.Fprintf(&b, "entry to exit  %v\n", r.Transit)
	fmt.Fprintf(&b, "to the answer  %v\n", r.Answer)
	var statuses []string
	for _, name := range slices.Sorted(maps.Keys(r.Statuses)) {
		statuses = append(statuses, fmt.Sprintf("%s: %d", name, r.Statuses[name]))
	}
	fmt.Fprintf(&b, "statuses       %s\n", strings.Join(statuses, ", "))
	fmt.Fprintf(&b, "losses         %d lost, %d doubled, %d refused but came out; %d repeats, %d late answers, %d sent again\n",
		c.Lost, c.Doubled, c.Stray, r.Repeats, r.Late, r.SentAgain)
	if r.PID != 0 {
		fmt.Fprintf(&b, "process %-6d %.1f us CPU a message, RSS %d MB, at most %d MB\n", r.PID, r.CPU, r.RSS>>20, r.PeakRSS>>20)
	}
	return b.String()
}

// verdict is what the run failed by; nil where it is good.
func (r report) verdict() error {
	switch c := r.Count; {
	case c.Lost > 0 || c.Doubled > 0:
		return fmt.Errorf("%d messages were accepted and lost, %d came out more than once", c.Lost, c.Doubled)
	case c.Arrived == 0:
		return fmt.Errorf("nothing came out: %d were sent, %d refused, %d unanswered", c.Sent, c.Refused, c.Unanswered)
	}
	return nil
}
