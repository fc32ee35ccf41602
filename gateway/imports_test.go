package gateway_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// arrows are the imports that each package of the project may have of the others. An arrow that is not here is a fault: either
// the code is in the wrong room, or this table, ARCHITECTURE.md and the reviewer should all be told why not.
var arrows = map[string][]string{
	"mi":                {},
	"events":            {},
	"events/stream":     {"events"},
	"mi/server":         {"mi", "gateway", "events", "events/stream", "gateway/certs", "gateway/route", "gateway/sip", "gateway/sms", "gateway/smpp", "gateway/store"},
	"clients":           {"mi", "events"},
	"gateway/sms":       {},
	"gateway/metric":    {},
	"gateway/text":      {"gateway/sms"},
	"gateway/receipt":   {"gateway/sms"},
	"gateway/route":     {"gateway/sms"},
	"gateway/gather":    {},
	"gateway/tap":       {},
	"gateway/guard":     {},
	"gateway/certs":     {"gateway/sms"},
	"gateway/smpp/wire": {"gateway/sms"},
	"gateway/smpp":      {"gateway/sms", "gateway/gather", "gateway/guard", "gateway/metric", "gateway/tap", "gateway/text", "gateway/receipt", "gateway/route", "gateway/smpp/wire"},
	"gateway/sip":       {"gateway/sms", "gateway/certs", "gateway/gather", "gateway/guard", "gateway/metric", "gateway/tap", "gateway/text", "gateway/receipt", "gateway/route"},
	"gateway/store":     {"gateway/sms", "gateway/gather", "gateway/metric", "gateway/text", "gateway/receipt", "gateway/route"},
	"gateway": {"events", "gateway/sms", "gateway/certs", "gateway/gather", "gateway/metric", "gateway/text", "gateway/receipt", "gateway/route", "gateway/smpp", "gateway/smpp/wire",
		"gateway/sip", "gateway/store"},
	// It writes the typed calls of clients; nobody links it.
	"clients/internal/methods": {},
	// The scripted peers are the other end of a test: they share no code with ours.
	"gateway/gatewaytest": {},
}

// standardAlone are the packages that need nothing beside the standard library, so that whoever links them links no more.
var standardAlone = []string{"mi", "events", "gateway/sms", "gateway/receipt", "gateway/metric", "gateway/gather", "gateway/tap"}

func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "sipsmpp/...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		name := strings.TrimPrefix(fields[0], "sipsmpp/")
		if strings.HasPrefix(name, "cmd/") || strings.HasPrefix(name+"/", "examples/") {
			continue
		}
		allowed, known := arrows[name]
		if !known {
			t.Errorf("package %s is not in the table of imports: say what it may import", name)
			continue
		}
		seen++
		for _, path := range fields[1:] {
			target, ours := strings.CutPrefix(path, "sipsmpp/")
			if ours && !slices.Contains(allowed, target) {
				t.Errorf("package %s imports %s, which is none of %v", name, target, allowed)
			}
			host, _, _ := strings.Cut(path, "/")
			if !ours && strings.Contains(host, ".") && slices.Contains(standardAlone, name) {
				t.Errorf("package %s imports %s: it is to need the standard library alone", name, path)
			}
		}
	}
	if seen != len(arrows) {
		t.Errorf("%d of the %d packages in the table exist", seen, len(arrows))
	}
}
