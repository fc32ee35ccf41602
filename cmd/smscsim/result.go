package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// result is what a run measured.
type result struct {
	Subject  string         `json:"subject"` // gateway, floor, or empty for one that ran already
	Rate     float64        `json:"messages_per_second"`
	Flows    []flowResult   `json:"flows"`
	Process  *processResult `json:"process,omitempty"`
	Load     float64        `json:"load_cpu_us_per_message"` // what both ends took, in this process
	Receipts *receiptResult `json:"receipts,omitempty"`
	// Start is from the start of a process until it was ready, Bound until it had bound to the SMSC.
	Start time.Duration `json:"start_ns,omitempty"`
	Bound time.Duration `json:"bound_ns,omitempty"`
}

// flowResult is one direction of a run.
type flowResult struct {
	Direction string            `json:"direction"`
	Run       string            `json:"run"`
	Seconds   float64           `json:"seconds"` // until the last was sent, and the last came out
	Rate      float64           `json:"messages_per_second"`
	Count     count             `json:"count"`
	Statuses  map[string]uint64 `json:"statuses"`
	Repeats   uint64            `json:"repeats"`
	Late      uint64            `json:"late"`
	SentAgain uint64            `json:"sent_again"`
	Transit   latency           `json:"entry_to_exit"`
	Answer    latency           `json:"request_to_answer"`
	Report    *latency          `json:"entry_to_report,omitempty"`
}

// processResult is what the process between the two ends used.
type processResult struct {
	PID    int     `json:"pid"`
	CPU    float64 `json:"cpu_us_per_message"`
	User   float64 `json:"user_us_per_message"`
	System float64 `json:"system_us_per_message"`
	Memory memory  `json:"rss_octets"`
}

// receiptResult is what became of the receipts.
type receiptResult struct {
	Sent       uint64 `json:"sent"`    // deliver_sm of the SMSC
	Taken      uint64 `json:"taken"`   // answered with ESME_ROK
	Unanswered uint64 `json:"lost"`    // never answered
	Awaited    bool   `json:"awaited"` // reports of them were
	Unread     uint64 `json:"unread"`  // events that the gateway could not keep for us
}

func (l *flow) result(began, ended time.Duration, awaited bool) flowResult {
	took := max(ended, time.Duration(l.lastExit.Load())) - began
	r := flowResult{
		Direction: l.direction, Run: l.name, Seconds: took.Seconds(), Count: l.ledger.count(), Statuses: make(map[string]uint64),
		Repeats: l.repeats.Load(), Late: l.late.Load(), SentAgain: l.sentAgain.Load(), Transit: l.transit.latency(), Answer: l.answer.latency(),
	}
	r.Rate = float64(r.Count.Arrived) / took.Seconds()
	if awaited {
		report := l.report.latency()
		r.Report = &report
	} else {
		r.Count.NotReported = 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for status, n := range l.statuses {
		name := fmt.Sprint(int32(status)) // errors of JSON-RPC are negative
		if l.direction == "mo" || l.direction == "esme" || l.direction == "relay" {
			name = fmt.Sprintf("%#02x", status)
		}
		r.Statuses[name] = n
	}
	return r
}

func (r flowResult) String() string {
	var b strings.Builder
	c := r.Count
	fmt.Fprintf(&b, "%-14s %d sent, %d accepted, %d refused, %d unanswered; %d came out\n", r.Direction, c.Sent, c.Accepted, c.Refused, c.Unanswered, c.Arrived)
	fmt.Fprintf(&b, "rate           %.0f messages/s for %.2f s\n", r.Rate, r.Seconds)
	fmt.Fprintf(&b, "entry to exit  %v\n", r.Transit)
	fmt.Fprintf(&b, "to the answer  %v\n", r.Answer)
	if r.Report != nil {
		fmt.Fprintf(&b, "to the report  %v\n", *r.Report)
	}
	var statuses []string
	for _, name := range slices.Sorted(maps.Keys(r.Statuses)) {
		statuses = append(statuses, fmt.Sprintf("%s: %d", name, r.Statuses[name]))
	}
	fmt.Fprintf(&b, "statuses       %s\n", strings.Join(statuses, ", "))
	fmt.Fprintf(&b, "losses         %d lost, %d doubled, %d refused but came out; %d repeats, %d late answers, %d sent again\n",
		c.Lost, c.Doubled, c.Stray, r.Repeats, r.Late, r.SentAgain)
	if r.Report != nil {
		fmt.Fprintf(&b, "reports        %d, %d missing, %d doubled\n", c.Reported, c.NotReported, c.ReportedAgain)
	}
	return b.String()
}

func (r result) String() string {
	var b strings.Builder
	for _, flow := range r.Flows {
		fmt.Fprint(&b, flow)
	}
	if c := r.Receipts; c != nil {
		fmt.Fprintf(&b, "receipts       %d sent, %d taken, %d never answered; %d events lost\n", c.Sent, c.Taken, c.Unanswered, c.Unread)
	}
	fmt.Fprintf(&b, "the load       %.1f us CPU a message\n", r.Load)
	if p := r.Process; p != nil {
		fmt.Fprintf(&b, "process %-6d %.1f us CPU a message: %.1f user, %.1f system; %v\n", p.PID, p.CPU, p.User, p.System, p.Memory)
	}
	return b.String()
}

// verdict is what the run failed by; nil where it is good.
func (r result) verdict() error {
	var faults []error
	for _, flow := range r.Flows {
		switch c := flow.Count; {
		case c.Lost > 0 || c.Doubled > 0:
			faults = append(faults, fmt.Errorf("%s: %d messages were accepted and lost, %d came out more than once", flow.Direction, c.Lost, c.Doubled))
		case c.Arrived == 0:
			faults = append(faults, fmt.Errorf("%s: nothing came out: %d were sent, %d refused, %d unanswered", flow.Direction, c.Sent, c.Refused, c.Unanswered))
		case c.ReportedAgain > 0 || c.NotReported > 0 && r.Receipts.Unread == 0:
			faults = append(faults, fmt.Errorf("%s: %d messages were never reported on, %d more than once", flow.Direction, c.NotReported, c.ReportedAgain))
		}
	}
	return errors.Join(faults...)
}

// show prints what was measured, for people or as JSON.
func show(w io.Writer, asJSON bool, v fmt.Stringer) error {
	if !asJSON {
		_, err := fmt.Fprint(w, v)
		return err
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
