package gateway

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const someHash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

func TestTokensInTheConfiguration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hash")
	if err := os.WriteFile(file, []byte(strings.ToUpper(someHash)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HASH_FILE", file)
	config, faults := ParseConfig([]byte(`
mi:
  listen: 0.0.0.0:8888
  tls_cert: gw.pem
  tls_key: gw.key
  tls_client_ca: ca.pem
  tokens:
    - name: boss
      role: admin
      hash: file:${HASH_FILE}
    - {name: shop, role: app, hash: ` + someHash + `, senders: Shop, connections: [acme], events: ["E_MESSAGE_*"], throughput: 10}
    - {name: prometheus, role: read, certificate: monitor}
`))
	if faults = append(faults, config.WithDefaults().Check()...); len(faults) > 0 {
		t.Fatal(faults)
	}
	tokens := config.MI.Tokens
	if hash, err := tokens[0].ReadHash(); err != nil || hash != someHash {
		t.Errorf("the hash in the file: %q, %v", hash, err)
	}
	if len(tokens) != 3 || tokens[1].Senders[0] != "Shop" || tokens[1].Throughput != 10 || tokens[2].Certificate != "monitor" {
		t.Errorf("%+v", tokens)
	}
}

func TestFaultsOfTokens(t *testing.T) {
	config, faults := ParseConfig([]byte(`
mi:
  tls_cert: gw.pem
  tokens:
    - {name: a, role: king, hash: ` + someHash + `}
    - {name: a, role: read, hash: secret}
    - {role: read, hash: "file:/nonexistent"}
    - {name: c, role: read, hash: ` + someHash + `, senders: "1"}
    - {name: d, role: app, certificate: d, throughput: -1, events: ["E_["]}
    - {name: e, role: read, hash: ` + someHash + `, token: secret}
`))
	faults = append(faults, config.WithDefaults().Check()...)
	got := make(map[string]string)
	for _, f := range faults {
		got[f.Path] = f.Reason
	}
	for path, hint := range map[string]string{
		"mi.tls_key":               "belong together",
		"mi.tokens[0].role":        "admin, operator, app or read",
		"mi.tokens[1].name":        "taken",
		"mi.tokens[1].hash":        "sipsmpp-cli token",
		"mi.tokens[2].name":        "missing",
		"mi.tokens[2].hash":        "nonexistent",
		"mi.tokens[3].role":        "limits of role app",
		"mi.tokens[4].certificate": "mi.tls_client_ca",
		"mi.tokens[4].throughput":  "negative",
		"mi.tokens[4].events":      "pattern",
		"mi.tokens[5].token":       "unknown key: want name, hash",
	} {
		if !strings.Contains(got[path], hint) {
			t.Errorf("%s: %q, want something with %q", path, got[path], hint)
		}
		delete(got, path)
	}
	if len(got) > 0 {
		t.Errorf("faults that are none: %v", got)
	}
	if _, faults := ParseConfig([]byte("mi: {tokens: secret}")); len(faults) != 1 || !strings.Contains(faults[0].Reason, "a list of entries with name") {
		t.Errorf("%v", faults)
	}
}
