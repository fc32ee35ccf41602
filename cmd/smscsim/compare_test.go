package main

import (
	"bytes"
	"io"
	"os/exec"
	"path/filepath"
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
	b := bench(t.Context(), loadFlags{gateway: gateway, duration: 50 * time.Millisecond}, []benchRun{
		{name: "first", direction: "mt", compare: true},
		{name: "half", direction: "mt", share: 0.5},
		{name: "no highest rate", direction: "mo", share: 0.5},
	}, &printer{w: io.Discard})
	if len(b.Rows) != 3 || b.Rows[0].Floor == nil || b.Rows[0].Error != "" || b.Rows[1].Error != "" ||
		b.Rows[1].Rate == 0 || b.Rows[1].Rate > b.Rows[0].Gateway.Rate || b.Rows[2].Error == "" {
		t.Errorf("%+v", b)
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
	b := benchResult{Rows: []benchRow{{Name: "one", Gateway: &g, Floor: &floor, Ratio: 3}, {Name: "two", Gateway: &g, Error: "it\nfailed"}}}
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
