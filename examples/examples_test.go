package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sipsmpp/examples/exampletest"
)

// The walk with curl, as it stands.
func TestWalkthrough(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl")
	}
	r := exampletest.New(t, "")
	run := exec.Command("sh", "curl/walkthrough.sh", "+4915112345678")
	run.Env = append(os.Environ(), "MI="+r.URL+"/mi")
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "its report: delivered") || len(r.SMSC.Submits()) != 1 {
		t.Errorf("%d messages were sent\n%s", len(r.SMSC.Submits()), out)
	}
}

// Kamailio takes its configuration, where it is installed.
func TestKamailio(t *testing.T) {
	kamailio, err := exec.LookPath("kamailio")
	if err != nil {
		t.Skip("there is no kamailio")
	}
	out, err := exec.Command(kamailio, "-c", "-f", "kamailio/kamailio.cfg").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "config file ok") {
		t.Errorf("%v\n%s", err, out)
	}
}

// OpenSIPS takes its configuration, where it is installed.
func TestOpenSIPS(t *testing.T) {
	opensips, err := exec.LookPath("opensips")
	if err != nil {
		t.Skip("there is no opensips")
	}
	if out, err := exec.Command(opensips, "-C", "-f", "opensips/opensips.cfg").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// systemd finds nothing wrong with the units, but that the programs are not installed here.
func TestUnits(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd-analyze")
	}
	units, _ := filepath.Glob("systemd/*.service")
	if len(units) != 2 {
		t.Fatalf("found %v", units)
	}
	out, _ := exec.Command(analyze, append([]string{"verify", "--man=no"}, units...)...).CombinedOutput() // it fails where the programs are not there
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "systemd/sipsmpp") && !strings.Contains(line, "is not executable") {
			t.Errorf("systemd-analyze: %s", line)
		}
	}
}

// README.md names everything that is here, and nothing else.
func TestIndex(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(string(text), -1) {
		if _, err := os.Stat(m[1]); err != nil {
			t.Error(err)
		}
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name := e.Name(); name != "README.md" && name != "exampletest" && !strings.HasSuffix(name, "_test.go") && !strings.Contains(string(text), "("+name) {
			t.Errorf("%s is not in README.md", name)
		}
	}
}
