package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// tortureFlags are those of a torture.
type tortureFlags struct {
	gateway string
	db      string
	dir     string
	rounds  int
	round   time.Duration
	rate    float64
	seed    uint64
	breaks  []string
	drain   time.Duration
	config  []string
	keep    bool
	json    bool
	quiet   bool
}

func tortureCommand() *cobra.Command {
	var f tortureFlags
	c := &cobra.Command{
		Use:   "torture",
		Short: "Kill the gateway again and again under load, and count what became of each message",
		Long: `torture starts the gateway and sends messages through it in every direction: MESSAGE requests, message_send and the submit_sm of an
account to an SMSC, with receipts for the latter two, and deliver_sm of that SMSC to a SIP next hop. Meanwhile, in each round, it
breaks what --break names:

    kill    the gateway is ended by SIGKILL, and started again
    smsc    the SMSC hangs up and is not there for a while
    sink    the SIP next hop is not there, is mute, or answers 480 for a while
    db      the database server ends the gateway's connections and takes none for a while (PostgreSQL, MariaDB)
    disk    the disk of the database is full for a while (SQLite, with --dir on a small file system: it is filled up)

At the end everything works again, and each message that was answered with success must have come out, be deferred still, or be recorded as
failed because the far end refused it, which every fiftieth is for. Its sender must have been told so. A message may come out
twice only where something broke before the gateway could know that it had come out, or where its sender, who had no answer, sent
it again. The run fails on anything else. --seed repeats the choices of a run, though not its times.`,
		Example: `  smscsim torture --gateway ./sipsmppd --rounds 100
  smscsim torture --gateway ./sipsmppd --db postgres://postgres@127.0.0.1/torture --break kill,smsc,sink,db`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return runTorture(c.Context(), f, c.OutOrStdout()) },
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.gateway, "gateway", "./sipsmppd", "path of sipsmppd")
	fl.StringVar(&f.db, "db", "", "mysql:// or postgres:// `URL` of an empty database of its own; default: SQLite in a temporary directory")
	fl.StringVar(&f.dir, "dir", "", "where the temporary directory is made (default the system's)")
	fl.IntVar(&f.rounds, "rounds", 5, "how often things break")
	fl.DurationVar(&f.round, "round", 1500*time.Millisecond, "how long a round lasts, about")
	fl.Float64Var(&f.rate, "rate", 100, "messages per second, in each direction")
	fl.Uint64Var(&f.seed, "seed", 0, "of what is drawn (default a random one, which is printed)")
	fl.StringSliceVar(&f.breaks, "break", []string{killed, brokenSMSC, brokenSink}, "what breaks: kill, smsc, sink, db, disk")
	fl.DurationVar(&f.drain, "drain", 30*time.Second, "longest wait at the end for what is deferred, and for receipts")
	fl.StringArrayVar(&f.config, "config", nil, "`YAML` to add to the gateway's configuration")
	fl.BoolVar(&f.keep, "keep", false, "leave the directory with the database and the gateway's log")
	fl.BoolVar(&f.json, "json", false, "print the report as JSON")
	fl.BoolVar(&f.quiet, "quiet", false, "print nothing but the report")
	return c
}

func (f *tortureFlags) check() error {
	for _, b := range f.breaks {
		if !slices.Contains([]string{killed, brokenSMSC, brokenSink, brokenDB, brokenDisk}, b) {
			return fmt.Errorf("--break %s: want kill, smsc, sink, db or disk", b)
		}
	}
	switch {
	case f.rounds < 1 || f.rounds > 10_000:
		return fmt.Errorf("--rounds %d: want 1 to 10000", f.rounds)
	case f.round < 100*time.Millisecond || f.round > time.Minute:
		return fmt.Errorf("--round %v: want 100ms to 1m", f.round)
	case f.rate <= 0 || f.rate > 5000:
		return fmt.Errorf("--rate %v: want more than 0, at most 5000", f.rate)
	case f.breaking(brokenDB) && f.db == "":
		return errors.New("--break db: only a server can be broken: give --db")
	case f.breaking(brokenDisk) && (f.db != "" || f.dir == ""):
		return errors.New("--break disk: is for SQLite: give --dir, a directory on a small file system, and no --db")
	}
	return nil
}

func (f *tortureFlags) breaking(what string) bool { return slices.Contains(f.breaks, what) }

// torture is one run.
type torture struct {
	tortureFlags
	out     *printer
	dice    *rand.Rand
	dir     string
	gateway *torturedGateway
	smsc    *farSMSC
	sink    *farSink
	account *account
	server  dbServer // nil: the database is no server that is broken

	sip, mi, mo, esme *story
	outages           []outage
	kills             int
}

func runTorture(ctx context.Context, f tortureFlags, stdout io.Writer) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.seed == 0 {
		f.seed = rand.Uint64N(1 << 32)
	}
	t := &torture{tortureFlags: f, out: &printer{w: stdout}, dice: rand.New(rand.NewPCG(f.seed, 0))}
	if f.quiet || f.json {
		t.out.w = io.Discard
	}
	r, err := t.run(ctx)
	if err != nil {
		return failed(err)
	}
	if err := show(stdout, f.json, r); err != nil {
		return failed(err)
	}
	return failed(r.verdict())
}

func (t *torture) run(ctx context.Context) (r tortureResult, err error) {
	end, err := t.begin(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, end()) }()
	t.out.line("seed %d, %d rounds; the gateway is bound", t.seed, t.rounds)
	began := time.Now()
	t.account = newAccount(t.sender(t.esme, t.gateway.smpp))
	defer t.account.stop()
	if err := t.breakAll(ctx); err != nil {
		return r, err
	}
	t.settle(ctx)
	t.gateway.stop()
	return t.result(ctx, time.Since(began))
}

// begin opens both ends and starts the gateway between them, which is bound then. end closes everything; after an error it is done.
func (t *torture) begin(ctx context.Context) (end func() error, err error) {
	var opened []func() error
	closeAll := func() (err error) {
		for _, f := range slices.Backward(opened) {
			err = errors.Join(err, f())
		}
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll())
		}
	}()
	quietly := func(f func()) func() error { return func() error { f(); return nil } }
	if t.dir, err = os.MkdirTemp(t.tortureFlags.dir, "smscsim-torture-"); err != nil {
		return nil, err
	}
	opened = append(opened, func() error {
		if t.keep {
			t.out.line("the directory is %s", t.dir)
			return nil
		}
		return os.RemoveAll(t.dir)
	})
	t.sip, t.mi, t.mo, t.esme = newStory("SIP to SMPP", false), newStory("MI to SMPP", true), newStory("SMPP to SIP", false), newStory("account to SMPP", true)
	if t.smsc, err = newFarSMSC(t.seed, []*story{t.sip, t.mi, t.esme}); err != nil {
		return nil, err
	}
	opened = append(opened, quietly(t.smsc.close))
	t.sink = &farSink{story: t.mo}
	t.sink.how.Store(sinkUp)
	if err := t.sink.listen(&net4); err != nil {
		return nil, err
	}
	opened = append(opened, quietly(t.sink.close))
	if t.breaking(brokenDB) {
		if t.server, err = openServer(ctx, &t.db); err != nil {
			return nil, err
		}
		opened = append(opened, t.server.close)
	}
	starting, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if t.gateway, err = t.prepare(starting); err != nil {
		return nil, err
	}
	if err := t.gateway.start(starting); err != nil {
		return nil, err
	}
	opened = append(opened, quietly(func() { t.gateway.stop() }))
	if err := addAccount(starting, t.gateway.mi, 100); err != nil {
		return nil, err
	}
	if err := t.smsc.WaitBinds(starting, 1); err != nil {
		return nil, fmt.Errorf("the gateway did not bind: %w; its last lines: %s", err, t.gateway.lastLines())
	}
	return closeAll, nil
}

// sender sends a story's messages to one of the gateway's addresses.
func (t *torture) sender(s *story, to string) *sender {
	return &sender{story: s, rate: t.rate, to: to, timeout: 8 * time.Second, numbers: numbers{count: recipients}}
}

// recipients are how many a direction has.
const recipients = 200

// breakAll sends in every direction while things break, round by round. When it returns, nothing is broken, and all that was sent
// is answered or given up.
func (t *torture) breakAll(ctx context.Context) error {
	sending, stop := context.WithCancel(ctx)
	defer stop()
	var senders sync.WaitGroup
	faults := make(chan error, 4)
	for _, send := range []func() error{
		func() error { return t.sender(t.sip, t.gateway.sip).bySIP(sending) },
		func() error { return t.sender(t.mi, t.gateway.mi).byMI(sending) },
		func() error { return t.sender(t.mo, "").bySMSC(sending, t.smsc) },
		func() error { return t.account.send(sending) },
	} {
		senders.Go(func() {
			if err := send(); err != nil {
				faults <- err
			}
		})
	}
	var err error
	for round := 1; round <= t.rounds && err == nil && ctx.Err() == nil; round++ {
		err = t.breakOnce(ctx, round)
	}
	stop()
	senders.Wait()
	close(faults)
	for f := range faults {
		err = errors.Join(err, f)
	}
	return errors.Join(err, ctx.Err())
}

// settle waits until all is answered, has come out and is reported on, or the time for that is over.
func (t *torture) settle(ctx context.Context) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	ended := time.After(t.drain)
	second := time.Now()
	for {
		pending, unanswered := int(t.smsc.pending.Load()), 0
		for _, s := range t.stories() {
			u, p := s.waiting()
			unanswered += u
			if s != t.mi { // whose reports are read from the records
				pending += p
			}
		}
		if pending+unanswered == 0 {
			return
		}
		if time.Since(second) > time.Second {
			second = time.Now()
			t.out.line("%d without an answer, %d on their way", unanswered, pending)
		}
		select {
		case <-tick.C:
		case <-ended:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (t *torture) stories() []*story { return []*story{t.sip, t.mi, t.esme, t.mo} }

// tortureResult is what a torture found.
type tortureResult struct {
	Seed    uint64         `json:"seed"`
	Seconds float64        `json:"seconds"`
	Broken  map[string]int `json:"broken"` // how often what
	Stories []storyResult  `json:"stories"`
	outages []outage
}

// result reads what the gateway recorded, and judges. The gateway is stopped.
func (t *torture) result(ctx context.Context, took time.Duration) (r tortureResult, err error) {
	r = tortureResult{Seed: t.seed, Seconds: took.Seconds(), Broken: make(map[string]int), outages: t.outages}
	for _, o := range t.outages {
		r.Broken[o.what]++
	}
	if err := t.readRecords(ctx); err != nil {
		return r, err
	}
	for _, s := range t.stories() {
		r.Stories = append(r.Stories, s.result(t.outages))
	}
	return r, nil
}

// readRecords takes from the gateway's records what is still deferred, what failed, and what was reported of message_send.
func (t *torture) readRecords(ctx context.Context) error {
	db, err := store.Open(ctx, t.gateway.db)
	if err != nil {
		return err
	}
	defer db.Close()
	for f := (store.Filter{Limit: 1000}); ; {
		records, next, err := db.Messages(ctx, f)
		if err != nil {
			return err
		}
		for _, r := range records {
			for _, s := range t.stories() {
				if n, ours := s.number([]byte(r.Message.Text)); ours {
					s.record(n, r, s == t.mi)
				}
			}
		}
		if next.IsZero() {
			return nil
		}
		f.Before = next
	}
}

// record takes a record of a message.
func (s *story) record(n int, r *store.Record, reports bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tale(n)
	if t == nil {
		return
	}
	switch r.State {
	case store.RecordDeferred:
		t.kept = true
	case store.RecordFailed:
		if t.failed = r.ReportError; t.failed == "" {
			t.failed = "no reason is recorded"
		}
	}
	switch {
	case !reports || r.Message.ID.String() != t.id:
	case r.Report == sms.StateDelivered:
		t.reports = append(t.reports, "DELIVRD")
	case r.Report != sms.StateNone:
		t.reports = append(t.reports, r.Report.String())
	}
}

func (r tortureResult) verdict() error {
	var wrong []string
	for _, s := range r.Stories {
		if err := s.verdict(); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("seed %d: %s", r.Seed, strings.Join(wrong, "; "))
	}
	return nil
}

func (r tortureResult) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, %.1f s; broken:", r.Seed, r.Seconds)
	for _, what := range []string{killed, brokenSMSC, brokenSink, brokenDB, brokenDisk} {
		if n := r.Broken[what]; n > 0 {
			fmt.Fprintf(&b, " %s %d times", what, n)
		}
	}
	fmt.Fprintf(&b, "\n%s\n", storyHead)
	for _, s := range r.Stories {
		fmt.Fprintln(&b, s)
	}
	for _, s := range r.Stories {
		if len(s.Faults) > 0 {
			fmt.Fprintf(&b, "broken: %v\n", r.outages)
			break
		}
	}
	for _, s := range r.Stories {
		for _, fault := range s.Faults {
			fmt.Fprintf(&b, "%s: %s\n", s.Direction, fault)
		}
	}
	return b.String()
}

// configFile is the gateway's configuration in its directory.
func (t *torture) configFile() string { return filepath.Join(t.dir, "sipsmpp.yaml") }
