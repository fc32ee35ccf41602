package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"sipsmpp/gateway/gatewaytest"
)

// source is what sends the messages of a flow, and counts its answers and, for mo, what comes out.
type source interface {
	// listen opens what the gateway sends to, and gives its address; empty where there is nothing.
	listen() (addr string, err error)
	// connect opens what sends to the gateway.
	connect(ctx context.Context) error
	send(ctx context.Context) error
	stop()
}

// ends are the addresses of a run's two ends, for who stands between them.
type ends struct {
	smsc string
	peer string // relay: the SMSC where messages come from
	sink string // mo
}

// rig is both ends of one run.
type rig struct {
	loadFlags
	out     *printer
	smsc    *gatewaytest.SMSC
	peer    *gatewaytest.SMSC
	flows   []*flow
	sources []source
}

// measure makes one run: it opens the ends, starts what stands between them if it is to, and sends. With an error in the middle the
// result has what was measured before it.
func measure(ctx context.Context, f loadFlags, out *printer) (result, error) {
	r := &rig{loadFlags: f, out: out}
	defer r.close()
	e, err := r.open()
	if err != nil {
		return result{}, err
	}
	var s *subject
	if r.gateway != "" || r.floor {
		starting, started := context.WithTimeout(ctx, r.bindWait)
		defer started()
		if s, err = r.startSubject(starting, e); err != nil {
			return result{}, err
		}
		defer s.stop()
		var cancel func()
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		s.onEnd(cancel) // what nobody takes need not be sent
		r.pid, r.sip, r.mi, r.smpp = s.cmd.Process.Pid, s.sip, s.mi, s.smpp
	}
	for _, s := range r.sources {
		if err := s.connect(ctx); err != nil {
			return result{}, err
		}
	}
	began := time.Now()
	if err := r.awaitBinds(ctx); err != nil {
		return result{}, err
	}
	bound := time.Since(began)
	listeners, err := r.subscribe(ctx, r.mi)
	if err != nil {
		return result{}, err
	}
	defer listeners.stop()
	res, err := r.run(ctx)
	if s != nil {
		res.Start, res.Bound = s.took, s.took+bound
		err = errors.Join(err, s.dead())
	}
	return res, err
}

// open opens the ends that the gateway connects to.
func (r *rig) open() (e ends, err error) {
	began := time.Now()
	for _, direction := range directions[r.direction] {
		r.flows = append(r.flows, newFlow(&r.loadFlags, direction, began))
	}
	cfg := gatewaytest.SMSCConfig{
		Addr: r.smscListen, Latency: r.latency, Keep: -1, Window: r.windowOf("mo"), AnswerTimeout: r.timeout,
	}
	if r.receipts && !r.has("mo") {
		cfg.Window = min(r.peerWindow(), mostReceipts) // what counts is how many messages are outstanding, not how many receipts
	}
	if first := r.flows[0]; first.direction != "mo" {
		cfg.OnOctets = func(octets []byte) uint64 {
			n, ok := first.arrive(octets, 0)
			if !ok {
				return 0
			}
			return first.firstID + uint64(n)
		}
	}
	if r.smsc, err = gatewaytest.NewSMSC(cfg); err != nil {
		return e, err
	}
	e.smsc = r.smsc.Addr()
	if r.has("relay") {
		cfg = gatewaytest.SMSCConfig{Addr: r.peerListen, Keep: -1, Window: r.windowOf("relay"), AnswerTimeout: r.timeout}
		if r.peer, err = gatewaytest.NewSMSC(cfg); err != nil {
			return e, err
		}
		e.peer = r.peer.Addr()
	}
	for _, l := range r.flows {
		s := r.source(l)
		addr, err := s.listen()
		if err != nil {
			return e, err
		}
		if addr != "" {
			e.sink = addr
		}
		r.sources = append(r.sources, s)
	}
	return e, nil
}

func (r *rig) source(l *flow) source {
	switch l.direction {
	case "mo":
		return &mo{flow: l, smsc: r.smsc}
	case "relay":
		return &relay{flow: l, smsc: r.peer}
	case "mi":
		return &viaMI{flow: l}
	case "esme":
		return &viaAccount{flow: l}
	}
	return &mt{flow: l}
}

func (r *rig) close() {
	for _, s := range r.sources {
		s.stop()
	}
	for _, smsc := range []*gatewaytest.SMSC{r.smsc, r.peer} {
		if smsc != nil {
			hangUp(smsc)
		}
	}
}

// awaitBinds waits until what stands between the ends is bound to each SMSC.
func (r *rig) awaitBinds(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.bindWait)
	defer cancel()
	for _, smsc := range []*gatewaytest.SMSC{r.smsc, r.peer} {
		if smsc == nil {
			continue
		}
		r.out.line("waiting for the gateway to bind to %s", smsc.Addr())
		binds := 1
		if smsc == r.smsc {
			binds += r.connections
		}
		if err := smsc.WaitBinds(ctx, binds); err != nil {
			return fmt.Errorf("the gateway did not bind to %s: %w; has it a connection there?", smsc.Addr(), err)
		}
		// It is bound when it has read our answer, not when we wrote it.
		smsc.Enquire()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for smsc.Stats().EnquireLinkAnswers == 0 {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return fmt.Errorf("the gateway bound to %s, but does not answer enquire_link: %w", smsc.Addr(), ctx.Err())
			}
		}
	}
	return nil
}

// subjectName is what the result calls what stands between the ends.
func (r *rig) subjectName() string {
	switch {
	case r.floor:
		return "floor"
	case r.gateway != "":
		return "gateway"
	}
	return ""
}

// run sends, waits for what is on its way, and gives what was measured.
func (r *rig) run(ctx context.Context) (result, error) {
	awaited := r.receipts && !r.floor // the floor has no events
	var reports *reportWatch
	if awaited {
		var err error
		if reports, err = watchReports(ctx, r.mi, r.flows[0].tell); err != nil {
			return result{}, fmt.Errorf("the events of the gateway: %w", err)
		}
		defer reports.stop()
	}
	loadBefore, _ := processUsage(os.Getpid()) // without /proc there are no figures
	measured := func() (usage, memory, error) { return usage{}, memory{}, nil }
	if r.pid != 0 {
		var err error
		if measured, err = watchProcess(r.pid); err != nil {
			return result{}, err
		}
	}
	stopSeconds := r.everySecond()
	profiled := r.profile(ctx)
	began := time.Since(r.flows[0].began)
	type end struct {
		at  time.Duration
		err error
	}
	ended := make([]chan end, len(r.flows))
	for i, s := range r.sources {
		ended[i] = make(chan end, 1)
		go func() {
			err := s.send(ctx)
			ended[i] <- end{r.flows[i].now(), err}
		}()
	}
	at := make([]time.Duration, len(r.flows))
	var failed error
	for i := range ended {
		e := <-ended[i]
		at[i], failed = e.at, errors.Join(failed, e.err)
	}
	if failed == nil {
		r.settleAll(awaited)
	}
	stopSeconds()
	failed = errors.Join(failed, profiled())
	cpu, memory, err := measured()
	loadAfter, _ := processUsage(os.Getpid()) // likewise
	if err != nil {
		err = fmt.Errorf("the gateway's process has ended: %w", err)
	}
	res := result{Subject: r.subjectName()}
	arrived := 0
	for i, l := range r.flows {
		flow := l.result(began, at[i], awaited && i == 0)
		res.Flows = append(res.Flows, flow)
		res.Rate += flow.Rate
		arrived += flow.Count.Arrived
	}
	us := func(d time.Duration) float64 {
		return float64(d) / float64(time.Microsecond) / float64(max(arrived, 1))
	}
	res.Load = us(loadAfter.user + loadAfter.system - loadBefore.user - loadBefore.system)
	if r.pid != 0 {
		res.Process = &processResult{
			PID: r.pid, CPU: us(cpu.user + cpu.system), User: us(cpu.user), System: us(cpu.system), Memory: memory,
		}
	}
	if r.receipts {
		res.Receipts = r.receiptResult(reports)
	}
	return res, errors.Join(failed, err)
}

func (r *rig) receiptResult(reports *reportWatch) *receiptResult {
	s := r.smsc.Stats()
	sent := s.Delivers
	for _, l := range r.flows {
		if l.direction == "mo" {
			sent -= uint64(l.ledger.opened.Load())
		}
	}
	res := &receiptResult{Sent: sent, Taken: s.Receipts, Unanswered: s.DeliversLost}
	if reports != nil {
		res.Awaited, res.Unread = true, reports.lost.Load()
	}
	return res
}

// everySecond prints the rates of each second until stop.
func (r *rig) everySecond() (stop func()) {
	type last struct{ answered, arrived, reported int64 }
	before := make([]last, len(r.flows))
	return everySecond(func() {
		for i, l := range r.flows {
			now := last{l.answered.Load(), l.arrived.Load(), l.reported.Load()}
			r.out.line("%-5s %d/s answered, %d/s out, %d/s reported; %d outstanding, %d sent", l.direction, now.answered-before[i].answered,
				now.arrived-before[i].arrived, now.reported-before[i].reported, l.outstanding.Load(), l.ledger.opened.Load())
			before[i] = now
		}
	})
}

// settleAll waits until everything is answered, came out and was reported on, or nothing more happens: after an interrupt too,
// or what is on its way would count as lost.
func (r *rig) settleAll(awaited bool) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	last, since := int64(-1), time.Now()
	for {
		answered, all, progress := true, true, int64(0)
		for i, l := range r.flows {
			a, done := l.done(awaited && i == 0)
			answered, all, progress = answered && a, all && done, progress+l.progress()
		}
		if r.receipts { // those of the SMSC are answered too
			s := r.smsc.Stats()
			all, progress = all && s.Queued+s.Unanswered == 0, progress+int64(s.Receipts)
		}
		idle := time.Since(since)
		if all || answered && idle > r.drain || idle > r.timeout+r.drain { // what waits for a bind that is gone has no end
			return
		}
		if progress != last {
			last, since = progress, time.Now()
		}
		<-tick.C
	}
}
