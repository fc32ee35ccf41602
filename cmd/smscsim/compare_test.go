package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The gateway carries everything in every direction, beside the floor where there is one.
func TestGateway(t *testing.T) {
	if testing.Short() {
		t.Skip("builds sipsmppd")
	}
	gateway := filepath.Join(t.TempDir(), "sipsmppd")
	if out, err := exec.Command("go", "build", "-o", gateway, "sipsmpp/cmd/sipsmppd").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	all := count{Sent: 200, Accepted: 200, Arrived: 200}
	for _, direction := range []string{"mt", "mo", "both", "esme", "relay"} {
		code, c := runJSON[comparison](t, "--gateway", gateway, "--compare", "--direction", direction, "--count", "200")
		if code != exitGood || c.Gateway.Subject != "gateway" || c.Floor.Subject != "floor" || c.Gateway.Process == nil {
			t.Fatalf("%s: exit %d, %+v", direction, code, c)
		}
		for _, flow := range append(c.Gateway.Flows, c.Floor.Flows...) {
			if flow.Count != all {
				t.Errorf("%s: %+v", direction, flow)
			}
		}
		if text := c.String(); !strings.Contains(text, "CPU per message") || !strings.Contains(text, "p99.9") {
			t.Errorf("%s", text)
		}
	}
	code, r := runJSON[result](t, "--gateway", gateway, "--direction", "mi", "--count", "100", "--config", "log: {level: info, format: json}")
	if code != exitGood || r.Flows[0].Count != (count{Sent: 100, Accepted: 100, Arrived: 100}) || r.Flows[0].Statuses["0"] != 100 {
		t.Errorf("mi: exit %d, %+v", code, r)
	}
	code, r = runJSON[result](t, "--gateway", gateway, "--receipts", "--count", "200")
	all.Reported = 200
	if f := r.Flows[0]; code != exitGood || f.Count != all || f.Report == nil || f.Report.P50 <= 0 || r.Receipts.Taken != 200 || !r.Receipts.Awaited {
		t.Errorf("receipts: exit %d, %+v, %+v", code, r, r.Receipts)
	}
	b := bench(t.Context(), loadFlags{gateway: gateway, duration: 50 * time.Millisecond}, 0, []benchRun{
		{name: "first", direction: "mt", compare: true},
		{name: "half", direction: "mt", share: 0.5},
		{name: "no highest rate", direction: "mo", share: 0.5},
	}, &printer{w: io.Discard})
	if len(b.Rows) != 3 || b.Rows[0].Floor == nil || b.Rows[0].Error != "" || b.Rows[1].Error != "" ||
		b.Rows[1].Rate == 0 || b.Rows[1].Rate > b.Rows[0].Gateway.Rate || b.Rows[2].Error == "" {
		t.Errorf("%+v", b)
	}
	// Much of everything beside the load, and profiled.
	profile := filepath.Join(t.TempDir(), "cpu.pprof")
	code, r = runJSON[result](t, "--gateway", gateway, "--connections", "3", "--rules", "50", "--deferred", "20", "--subscribers", "2",
		"--senders", "7", "--rate", "200", "--duration", "1s", "--profile", profile)
	if f := r.Flows[0]; code != exitGood || f.Count.Lost != 0 || f.Count.Sent < 150 || f.Count.Arrived != f.Count.Sent || r.Start <= 0 || r.Bound < r.Start {
		t.Errorf("a crowd: exit %d, %+v", code, r)
	}
	if written, err := os.Stat(profile); err != nil || written.Size() == 0 {
		t.Errorf("the profile: %v", err)
	}
	g := grow(t.Context(), loadFlags{gateway: gateway, duration: 100 * time.Millisecond}, []growRun{
		{name: "nothing", base: true}, {name: "senders", crowd: crowd{senders: 300}}, {name: "wrong", crowd: crowd{rules: -1}},
	}, &printer{w: io.Discard})
	if len(g.Rows) != 3 || g.Rows[0].Ratio != 1 || g.Rows[1].Ratio <= 0 || g.Rows[2].Error == "" || g.verdict() == nil {
		t.Errorf("%+v", g)
	}
	if text := g.String(); !strings.Contains(text, "| senders | 0.") || !strings.Contains(text, "| wrong | failed: --rules -1") {
		t.Error(text)
	}
	// What does not start is said with its last words.
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), []string{"load", "--gateway", gateway, "--config", "nonsense: 1"}, strings.NewReader(""), &stdout, &stderr)
	if code != exitFailed || !strings.Contains(stderr.String(), "nonsense") {
		t.Errorf("exit %d: %s", code, &stderr)
	}
}

func TestLoadFlags(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--direction up", "mt, mo, both, esme, relay or mi"},
		{"--compare", "give --gateway"},
		{"--gateway x --floor", "--compare"},
		{"--floor --direction mi", "has no floor"},
		{"--floor --pid 1", "leave it out"},
		{"--gateway x --sip 127.0.0.1:1", "leave it out"},
		{"--config a", "give --gateway"},
		{"--gateway x --config db:x", "its own database"},
		{"--direction mo --receipts", "none goes there"},
		{"--length 3", "--length"},
		{"--window -1", "--window"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), append([]string{"load"}, strings.Fields(c.args)...), strings.NewReader(""), &stdout, &stderr)
		if code != exitUsage || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%s: exit %d: %s", c.args, code, &stderr)
		}
	}
}

// A row that failed says why, one that did not has its figures, and the run fails by the first.
func TestBenchTable(t *testing.T) {
	g := result{Rate: 1000, Flows: []flowResult{{Count: count{Arrived: 1}, Transit: latency{P50: 1500 * time.Microsecond}}},
		Process: &processResult{CPU: 15, User: 10, System: 5, Memory: memory{First: 20 << 20, Highest: 30 << 20, Last: 25 << 20}}}
	floor := g
	floor.Process = &processResult{CPU: 5}
	b := benchResult{Rows: []benchRow{{outcome: outcome{Name: "one"}, Gateway: &g, Floor: &floor, Ratio: 3}, {outcome: outcome{"two", "it\nfailed"}, Gateway: &g}}}
	text := b.String()
	for _, want := range []string{"| one | 1000 | 15.0 us (10.0 + 5.0) | 5.0 us | 3.00 | 1000 | 1.5 /", "20 / 30 / 25 MB", "| two | failed: it; failed |"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if err := b.verdict(); err == nil || !strings.Contains(err.Error(), "two: it") {
		t.Error(err)
	}
}

func TestTargets(t *testing.T) {
	measured := func(rate, cpu float64, p99 time.Duration, memory int64, lost int) *result {
		r := &result{Rate: rate, Flows: []flowResult{{Answer: latency{P99: p99}, Count: count{Lost: lost}}}, Process: &processResult{CPU: cpu}}
		r.Process.Memory.Highest = memory << 20
		return r
	}
	b := benchResult{Rows: []benchRow{
		{key: "mt", Gateway: measured(60_000, 15, 0, 0, 0), Floor: measured(0, 6, 0, 0, 0), Ratio: 2.5},
		{key: "mo", Gateway: measured(60_000, 19, 0, 0, 0), Floor: measured(0, 6, 0, 0, 0), Ratio: 3.1},
		{key: "paced", Gateway: measured(5000, 20, 0, 0, 0), Floor: measured(5000, 25, 0, 0, 0), Ratio: 0.8},
		{key: "half", Gateway: measured(30_000, 20, 5*time.Millisecond, 0, 0)},
		{key: "recorded", Gateway: measured(35_000, 27, 0, 0, 0)},
		{key: "receipts", Gateway: measured(29_000, 40, 0, 0, 0)},
		{key: "esme", Gateway: measured(50_000, 4, 0, 0, 0)},
		{key: "relay", outcome: outcome{Error: "it failed"}},
		{key: "long", long: true, outcome: outcome{Name: "long"}, Gateway: measured(50_000, 15, 0, 149, 1)},
	}}
	want := []string{ // by name, where it is met
		"SIP to SMPP, CPU a message: true", "SIP to SMPP, beside OpenSIPS 3.6: true", "SMPP to SIP, CPU a message: false",
		"SMPP to SIP, beside OpenSIPS 3.6: false", "SIP to SMPP at 5,000/s, CPU a message: true",
		"SIP to SMPP at half the highest rate, p99 to the answer: false", "every message committed to SQLite before its answer: true",
		"the same with a receipt and a report for each: false", "SMPP to SMPP, an account to a connection: true", "long: memory: true",
		"long: lost and doubled: false",
	}
	var got []string
	for _, target := range b.targets() {
		got = append(got, fmt.Sprintf("%s: %v", target.Name, target.Met))
		if target.Wanted == "" || target.Measured == "" {
			t.Errorf("%+v", target)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestVerdict(t *testing.T) {
	receipts := &receiptResult{}
	for name, c := range map[string]struct {
		count count
		bad   bool
	}{
		"good":           {count{Sent: 2, Accepted: 1, Refused: 1, Arrived: 1}, false},
		"lost":           {count{Sent: 1, Arrived: 1, Lost: 1}, true},
		"doubled":        {count{Sent: 1, Arrived: 1, Doubled: 1}, true},
		"nothing":        {count{Sent: 1, Unanswered: 1}, true},
		"not reported":   {count{Sent: 1, Arrived: 1, NotReported: 1}, true},
		"reported twice": {count{Sent: 1, Arrived: 1, Reported: 1, ReportedAgain: 1}, true},
	} {
		if err := (result{Flows: []flowResult{{Count: c.count}}, Receipts: receipts}).verdict(); (err != nil) != c.bad {
			t.Errorf("%s: %v", name, err)
		}
	}
	receipts.Unread = 1 // the gateway could not tell us all
	if err := (result{Flows: []flowResult{{Count: count{Sent: 1, Arrived: 1, NotReported: 1}}}, Receipts: receipts}).verdict(); err != nil {
		t.Error(err)
	}
}

// A report that never came, and one that came twice, are counted by message.
func TestReportsAreCounted(t *testing.T) {
	var l ledger
	for n, told := range []int32{0, 1, 2} {
		_, e := l.open(0)
		e.state.Store(stateAccepted)
		e.exits.Store(1)
		e.told.Store(told)
		if l.get(n) != e {
			t.Fatal(n)
		}
	}
	if c := l.count(); c.NotReported != 1 || c.Reported != 2 || c.ReportedAgain != 1 {
		t.Errorf("%+v", c)
	}
}

func TestNumberAfter(t *testing.T) {
	if n, ok := numberAfter([]byte(`{"smsc_ids":["123456789012345678"]}`), `"smsc_ids":["`); n != 123456789012345678 || !ok {
		t.Error(n, ok)
	}
	for _, b := range []string{``, `"smsc_ids":["`, `"smsc_ids":["x"`, `"smsc_ids":["1`} {
		if n, ok := numberAfter([]byte(b), `"smsc_ids":["`); ok {
			t.Errorf("%s: %d", b, n)
		}
	}
}
