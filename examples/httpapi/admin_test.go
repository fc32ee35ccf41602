package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The operator's commands, one after the other, as a person gives them.
func TestAdmin(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "httpapi.yaml")
	if err := os.WriteFile(config, []byte("db: sqlite:"+filepath.Join(dir, "httpapi.db")), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(stdin, line string) (string, error) {
		var out bytes.Buffer
		c := command()
		c.SetArgs(append([]string{"-c", config}, strings.Fields(line)...))
		c.SetIn(strings.NewReader(stdin))
		c.SetOut(&out)
		c.SetErr(&out)
		err := c.ExecuteContext(t.Context())
		return out.String(), err
	}
	for _, tt := range []struct{ line, stdin, want, fails string }{
		{line: "customer add acme --price 0.05 --balance 10 --sender Acme --webhook https://example.com/"},
		{line: "customer add acme", fails: "there is one already"},
		{line: "customer add poor --price -1", fails: "less than nothing"},
		{line: "customer add poor --webhook ftp://x", fails: "--webhook"},
		{line: "customer set acme --throughput 50 --credit 5"},
		{line: "customer set nobody --throughput 50", fails: "not found"},
		{line: "customer pay acme 2.5 --reason invoice"},
		{line: "customer pay acme -- -1"},
		{line: "sender allow acme 4711 +4930*"},
		{line: "sender forbid acme 4711"},
		{line: "sender forbid acme 4711", fails: "not found"},
		{line: "number assign acme +493012345 +493012346"},
		{line: "number release +493012346"},
		{line: "price set * +49 0.07"},
		{line: "price set acme +49 0.06"},
		{line: "price set acme +49 cheap", fails: "no amount"},
		{line: "customer list", want: `acme +true +11\.50 +5\.00 +0\.05 +50 +Acme,\+4930\* +\+493012345 +https://example\.com/`},
		{line: "key add acme --rights send --label shop", want: `^sk_[A-Za-z0-9_-]{43}\n$`},
		{line: "key add acme --rights everything", fails: "no right"},
		{line: "key list acme", want: `shop +send +20`},
		{line: "key revoke nothing", fails: "not found"},
		{line: "login set acme foo", stdin: "bar\n"},
		{line: "login set acme foo", fails: "no password"},
		{line: "webhook dead", want: "ID +MESSAGE"},
		{line: "webhook dead acme", want: "ID +MESSAGE"},
		{line: "webhook retry acme", want: "0 are tried again"},
		{line: "webhook", fails: "wants a command"},
		{line: "customer set acme --enabled=false"},
		{line: "customer list", want: `acme +false`},
	} {
		out, err := run(tt.stdin, tt.line)
		switch {
		case tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)):
			t.Errorf("%s: %v, want %s", tt.line, err, tt.fails)
		case tt.fails == "" && err != nil:
			t.Errorf("%s: %v", tt.line, err)
		case tt.want != "" && !regexp.MustCompile(tt.want).MatchString(out):
			t.Errorf("%s:\n%s", tt.line, out)
		}
	}
	list, err := run("", "key list acme")
	if err != nil {
		t.Fatal(err)
	}
	id := regexp.MustCompile(`(?m)^([0-9a-z]{26}) `).FindStringSubmatch(list)
	if id == nil {
		t.Fatalf("no id in\n%s", list)
	}
	if _, err := run("", "key revoke "+id[1]); err != nil {
		t.Error(err)
	}
	if list, _ = run("", "key list acme"); regexp.MustCompile(`(?m) -$`).MatchString(list) {
		t.Errorf("it is not revoked:\n%s", list)
	}
}
