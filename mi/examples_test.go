package mi

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
)

// Every method has an example whose parameters it takes, and stands in the document of methods.
func TestExamples(t *testing.T) {
	document, err := os.ReadFile("../docs/methods.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := make(map[string]bool)
	for _, e := range Examples {
		d, ok := Lookup(e.Method)
		if !ok {
			t.Errorf("%s is no method", e.Method)
			continue
		}
		shown[d.Name] = true
		params := strings.NewReplacer("$rule", "1", "$message", "id", "$awaiting", "id").Replace(e.Params)
		given, fault := d.spread(json.RawMessage(params))
		if fault != nil {
			t.Errorf("%s %s: %v", e.Method, params, fault)
			continue
		}
		for i, p := range d.Params {
			if given[i] == nil {
				if !p.Optional {
					t.Errorf("%s: the example has no %s", e.Method, p.Name)
				}
				continue
			}
			if err := unmarshal(given[i], reflect.New(p.typ).Elem()); err != nil {
				t.Errorf("%s: %s: %v", e.Method, p.Name, err)
			}
		}
	}
	for _, d := range Methods() {
		for _, p := range d.Params {
			if p.Want == "" {
				t.Errorf("%s: nothing says what %s must be", d.Name, p.Name)
			}
		}
		if !shown[d.Name] {
			t.Errorf("%s has no example: add one to mi/examples.go, at its place in the story, and go generate ./mi/server", d.Name)
		}
		if !strings.Contains(string(document), "\n### "+d.Name+"\n") {
			t.Errorf("docs/methods.md has no %s: go generate ./mi/server", d.Name)
		}
	}
}
