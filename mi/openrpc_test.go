package mi

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write docs/openrpc.json anew")

// The document in docs/ is that of the declarations.
func TestOpenRPC(t *testing.T) {
	const file = "../docs/openrpc.json"
	var want bytes.Buffer
	e := json.NewEncoder(&want)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(OpenRPC()); err != nil {
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
}

// Every parameter and result has a schema that says something.
func TestSchemas(t *testing.T) {
	for _, d := range Methods() {
		for _, p := range d.Params {
			if len(schemaOf(p.typ, true)) == 0 {
				t.Errorf("%s: parameter %s of type %s has no schema", d.Name, p.Name, p.typ)
			}
		}
		if d.Name != Discover.Name && len(schemaOf(d.result, false)) == 0 {
			t.Errorf("%s: its result %s has no schema", d.Name, d.result)
		}
	}
	got, err := json.Marshal(schemaOf(SMPPList.result, false))
	if err != nil || !bytes.Contains(got, []byte(`"throttled_to":{"type":"number"}`)) || !bytes.Contains(got, []byte(`"malformed":{"minimum":0,"type":"integer"}`)) {
		t.Errorf("the result of smpp_list: %s, %v", got, err)
	}
}
