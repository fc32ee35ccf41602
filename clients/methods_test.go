package clients_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sipsmpp/mi"
)

// There is a typed call for every method that is declared, and it is of this declaration.
func TestMethods(t *testing.T) {
	out := filepath.Join(t.TempDir(), "methods.go")
	if text, err := exec.Command("go", "run", "./internal/methods", "../mi", out).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	want, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile("methods.go"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("methods.go is not of the declarations in package mi: run go generate ./clients (%v)", err)
	}
	for _, d := range mi.Methods() {
		if !bytes.Contains(want, []byte(" calls "+d.Name+": ")) {
			t.Errorf("%s has no typed call: is it declared in a way that internal/methods does not read?", d.Name)
		}
	}
}

// Who uses the client links no SQL, SIP or SMPP code.
func TestLinksLittle(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "sipsmpp/clients").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"github.com/gorilla/websocket", "github.com/sourcegraph/jsonrpc2", "github.com/sourcegraph/jsonrpc2/websocket",
		"sipsmpp/clients", "sipsmpp/events", "sipsmpp/mi"}
	got := strings.Fields(string(out))
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the client links %v, want %v", got, want)
	}
	standard, err := exec.Command("go", "list", "-deps", "sipsmpp/clients").Output()
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(strings.Fields(string(standard)), "database/sql") {
		t.Error("the client links database/sql")
	}
}
