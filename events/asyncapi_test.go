package events

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write docs/asyncapi.json anew")

// The document in docs/ is that of the declarations.
func TestAsyncAPI(t *testing.T) {
	const file = "../docs/asyncapi.json"
	var want bytes.Buffer
	e := json.NewEncoder(&want)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(AsyncAPI()); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is not of these declarations: run go generate ./mi ./events (%v)", file, err)
	}
	for _, d := range All() {
		for f := range d.typ.Fields() {
			if len(schemaOf(f.Type)) == 0 {
				t.Errorf("%s: %s of type %s has no schema", d.Name, f.Name, f.Type)
			}
		}
	}
}
