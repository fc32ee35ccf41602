package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sipsmppd -t names every fault by its path, a line each, and its exit code says whether there is one.
func TestCheck(t *testing.T) {
	t.Chdir(t.TempDir())
	daemon := func(args ...string) (code int, out string) {
		var stdout, stderr bytes.Buffer
		code = run(t.Context(), args, &stdout, &stderr)
		return code, stdout.String()
	}
	if code, out := daemon("-t"); code != 0 || out != "good\n" {
		t.Errorf("without a configuration: %d, %s", code, out)
	}
	const faulty = "colour: red\ndb: sqlite:gw.db\nsmpp: {listen: ['127.0.0.1:2775', nowhere]}\n" +
		"mi: {tls_cert: sipsmpp.yaml, tls_key: sipsmpp.yaml}\nsip: {listen: ['tls:127.0.0.1:5061'], tls_cert: gone.pem, tls_key: gone.key}\n"
	if err := os.WriteFile(defaultFile, []byte(faulty), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out := daemon("-t")
	got := make(map[string]int)
	for line := range strings.Lines(out) {
		path, _, _ := strings.Cut(line, ": ")
		got[path]++
	}
	for _, path := range []string{"colour", "smpp.listen[1]", "mi.tls_cert", "sip.tls_cert"} {
		if got[path] != 1 {
			t.Errorf("%s is told %d times", path, got[path])
		}
	}
	if code != 1 || len(got) != 4 {
		t.Errorf("%d:\n%s", code, out)
	}
	if files, _ := filepath.Glob("*"); len(files) != 1 {
		t.Errorf("it made %v", files)
	}
	for want, args := range map[int][]string{0: {"--help"}, 1: {"-c", "nowhere.yaml"}, 2: {"nonsense"}} {
		if code, out := daemon(args...); code != want {
			t.Errorf("%v: exit code %d, want %d: %s", args, code, want, out)
		}
	}
	if code, _ := daemon("--nonsense"); code != 2 {
		t.Errorf("an unknown flag: exit code %d", code)
	}
}
