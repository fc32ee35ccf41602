package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A gateway that is killed loses nothing. The rounds of .ci/run are more, and on every database.
func TestTorture(t *testing.T) {
	if testing.Short() {
		t.Skip("builds sipsmppd")
	}
	gateway := filepath.Join(t.TempDir(), "sipsmppd")
	if out, err := exec.Command("go", "build", "-o", gateway, "sipsmpp/cmd/sipsmppd").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"torture", "--gateway", gateway, "--rounds", "2", "--rate", "40", "--seed", "3", "--json"}, strings.NewReader(""), &stdout, &stderr)
	var r tortureResult
	if err := json.Unmarshal(stdout.Bytes(), &r); code != exitGood || err != nil {
		t.Fatalf("exit %d, %v: %s\n%s", code, err, &stderr, &stdout)
	}
	if r.Broken[killed] != 2 || len(r.Stories) != 4 {
		t.Errorf("%+v", r)
	}
	for _, s := range r.Stories {
		if s.Accepted == 0 || s.Delivered+s.Kept+s.Denied != s.Accepted {
			t.Errorf("%+v", s)
		}
	}
	// A database that is somebody else's is left alone, and what cannot start is said.
	code = run(t.Context(), []string{"torture", "--gateway", gateway, "--config", "nonsense: 1"}, strings.NewReader(""), &stdout, &stderr)
	if code != exitFailed || !strings.Contains(stderr.String(), "nonsense") {
		t.Errorf("exit %d: %s", code, &stderr)
	}
}

// What was kept while the SMSC was away leaves in order when it is back, and new messages do not wait for it.
func TestOutage(t *testing.T) {
	if testing.Short() {
		t.Skip("builds sipsmppd")
	}
	gateway := filepath.Join(t.TempDir(), "sipsmppd")
	if out, err := exec.Command("go", "build", "-o", gateway, "sipsmpp/cmd/sipsmppd").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"outage", "--gateway", gateway, "--down", "1s", "--json"}, strings.NewReader(""), &stdout, &stderr)
	var r outageResult
	if err := json.Unmarshal(stdout.Bytes(), &r); code != exitGood || err != nil {
		t.Fatalf("exit %d, %v: %s\n%s", code, err, &stderr, &stdout)
	}
	if r.Kept.Accepted < 500 || r.Kept.Delivered+r.Kept.Denied != r.Kept.Accepted || r.Swapped != 0 || r.New.Delivered == 0 || r.P99 <= 0 {
		t.Errorf("%+v", r)
	}
}
