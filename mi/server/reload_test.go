package server

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"sipsmpp/events"
	"sipsmpp/gateway"
	"sipsmpp/gateway/smpp"
	"sipsmpp/gateway/sms"
	"sipsmpp/mi"
)

// reloadable is a server whose configuration's file is a text that the test changes.
func reloadable(t *testing.T, core *fakeCore, running string) (s *Server, file *string) {
	t.Helper()
	file = &running
	read := func() (gateway.Config, error) {
		config, faults := gateway.ParseConfig([]byte(*file))
		config = config.WithDefaults()
		if faults = append(faults, config.Check()...); len(faults) > 0 {
			return config, &gateway.FaultsError{Faults: faults}
		}
		return config, nil
	}
	config, err := read()
	if err != nil {
		t.Fatal(err)
	}
	level := new(slog.LevelVar)
	return start(t, core, Options{
		Config: config, Reread: read, Level: level, Tokens: config.MI.Tokens, Origins: config.MI.Origins,
		Certificates: config.MI.Certificates(),
	}), file
}

// entry is one of mi.tokens.
func entry(name, role, secret string) string {
	return "{name: " + name + ", role: " + role + ", hash: " + mi.HashToken(secret) + "}"
}

// What counts without a restart counts at once, what does not is named, and config_diff has told so before.
func TestReload(t *testing.T) {
	core := newFakeCore()
	core.tables = []gateway.TableChanges{
		{Table: "smpp", Key: "name", Changes: smpp.Changes{Added: []string{"acme"}, Unchanged: 3}},
		{Table: "route", Key: "id", Changes: smpp.Changes{Removed: []string{"7"}}},
	}
	const before = "node: gw\nmi: {tokens: ["
	s, file := reloadable(t, core, before+entry("anna", "admin", "a")+"]}\n")
	follow := core.hub.Subscribe(events.Filter{}, events.Now)
	*file = before + entry("anna", "read", "a") + ", " + entry("bob", "admin", "b") + "], origins: [https://admin.example.org]}\n" +
		"log: {level: debug}\nsmpp: {default_connection: acme, listen: ['127.0.0.1:2999']}\ndb: mysql://gw:secret@db.example.org/gw\n"
	a, b := mi.HashToken("a")[:8], mi.HashToken("b")[:8]
	want := `{"config":[` +
		`{"key":"db","running":"sqlite:sipsmpp.db","file":"mysql://gw:***@db.example.org/gw","restart":true},` +
		`{"key":"smpp.listen","running":"127.0.0.1:2775","file":"127.0.0.1:2999","restart":true},` +
		`{"key":"smpp.default_connection","running":"","file":"acme","restart":false},` +
		`{"key":"mi.origins","running":"","file":"https://admin.example.org","restart":false},` +
		`{"key":"mi.tokens[name=anna]","running":"role admin, hash ` + a + `...","file":"role read, hash ` + a + `...","restart":false},` +
		`{"key":"mi.tokens[name=bob]","running":"","file":"role admin, hash ` + b + `...","restart":false},` +
		`{"key":"log.level","running":"info","file":"debug","restart":false}],` +
		`"certificates":[],"connections":{"added":["acme"],"changed":[],"removed":[],"unchanged":3},` +
		`"accounts":{"added":[],"changed":[],"removed":[],"unchanged":0},"routes":{"added":[],"changed":[],"removed":["7"],"unchanged":0},` +
		`"sip_users":{"added":[],"changed":[],"removed":[],"unchanged":0},"faults":[]}`
	if got := s.result(t, "config_diff", `{}`); got != want {
		t.Errorf("config_diff\ngot  %s\nwant %s", got, want)
	}
	if core.reloads != 0 || s.options.Level.Level() != slog.LevelInfo {
		t.Error("config_diff changed something")
	}
	if got := s.result(t, "reload", `{}`); got != want {
		t.Errorf("reload\ngot  %s\nwant %s", got, want)
	}
	if core.reloads != 1 || core.fallback != "acme" || s.options.Level.Level() != slog.LevelDebug {
		t.Errorf("%d reloads, default connection %q, level %v", core.reloads, core.fallback, s.options.Level)
	}
	for _, tt := range []struct {
		token, method string
		status        int
	}{{"b", "log_level", 200}, {"a", "log_level", 200}, {"x", "log_level", 401}} {
		w := ask(s, "POST", "/mi", `{"jsonrpc":"2.0","id":1,"method":"log_level","params":["debug"]}`,
			"Authorization", "Bearer "+tt.token, "Origin", "https://admin.example.org")
		if w.Code != tt.status || tt.token == "a" && !strings.Contains(w.Body.String(), `"code":403`) {
			t.Errorf("token %s: %d %s", tt.token, w.Code, w.Body)
		}
	}
	entries, err := follow.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e, ok := entries[0].Event.(events.GatewayReloaded)
	if want := (events.GatewayReloaded{
		Who:     "local",
		Changed: events.List{"smpp.default_connection", "mi.origins", "mi.tokens[name=anna]", "mi.tokens[name=bob]", "log.level", "smpp[name=acme]", "route[id=7]"},
		Restart: events.List{"db", "smpp.listen"},
	}); !ok || !reflect.DeepEqual(e, want) {
		t.Errorf("got %+v", entries[0].Event)
	}
	// What wants a restart is told of until there is one; the rest is as the file says.
	var again mi.ReloadResult
	if err := json.Unmarshal([]byte(s.result(t, "config_diff", `{}`)), &again); err != nil {
		t.Fatal(err)
	}
	if len(again.Config) != 2 || again.Config[0].Key != "db" || again.Config[1].Key != "smpp.listen" {
		t.Errorf("%+v", again.Config)
	}
}

// A part with a fault stays as it is, whole, and hinders no other.
func TestReloadWithFaults(t *testing.T) {
	core := newFakeCore()
	core.tables = []gateway.TableChanges{{Table: "smpp_account", Key: "system_id", Faults: []sms.Fault{{Path: "smpp_account[system_id=x].window", Reason: "0 is no window"}}}}
	s, file := reloadable(t, core, "mi: {tokens: ["+entry("anna", "admin", "a")+"]}")
	for text, path := range map[string]string{
		"log: {level: debug}\nmi: {tokens: []}":                                "mi.tokens", // the last one cannot be taken away
		"log: {level: debug}\nmi: {tokens: [{name: a, role: r, hash: x}]}":     "mi.tokens[0].hash",
		"log: {level: debug}\nmi: {tokens: [" + entry("b", "king", "b") + "]}": "mi.tokens[0].role",
		"log: {level: loud}": "log.level",
		"log: [":             "yaml",
	} {
		*file = text
		var e mi.Error
		if err := json.Unmarshal([]byte(s.result(t, "reload", `[]`)), &e); err != nil || e.Code != mi.CodeBadValue {
			t.Fatalf("%s: %+v, %v", text, e, err)
		}
		var result mi.ReloadResult
		if err := json.Unmarshal(e.Data, &result); err != nil {
			t.Fatal(err)
		}
		paths := make(map[string]bool)
		for _, f := range result.Faults {
			paths[f.Path] = true
		}
		if !paths[path] || !paths["smpp_account[system_id=x].window"] || len(result.Config) > 0 {
			t.Errorf("%s: %+v", text, result)
		}
		if s.options.Level.Level() != slog.LevelInfo {
			t.Errorf("%s: the level is %v", text, s.options.Level)
		}
		if w := ask(s, "POST", "/mi", versionCall, "Authorization", "Bearer a"); w.Code != 200 {
			t.Errorf("%s: the token that was is refused: %d", text, w.Code)
		}
	}
	s.options.Reread = func() (gateway.Config, error) { return gateway.Config{}, errors.New("no such file") }
	if got := s.result(t, "reload", `[]`); !strings.Contains(got, `{"path":"config","reason":"no such file"}`) {
		t.Error(got)
	}
}

// Certificates that changed are named once; one that is no good is named as long as it is.
func TestReloadCertificates(t *testing.T) {
	dir := t.TempDir()
	ca := issue(t, dir, "ca", nil)
	issue(t, dir, "gw", ca)
	cert := filepath.Join(dir, "gw.pem")
	s, _ := reloadable(t, newFakeCore(), "mi: {tls_cert: "+cert+", tls_key: "+filepath.Join(dir, "gw.key")+"}")
	l, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	current := func() *tls.Certificate { c, _ := s.certificates.Current(); return c }
	before := current()
	issue(t, dir, "gw", ca)
	if r := s.Reload(t.Context(), "SIGHUP"); !reflect.DeepEqual(r.Certificates, mi.List{"mi.tls_cert", "mi.tls_key"}) || len(r.Faults) > 0 {
		t.Errorf("%+v", r)
	}
	after := current()
	if before == after {
		t.Error("the new certificate is not in use")
	}
	if err := os.WriteFile(cert, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if r := s.Reload(t.Context(), "SIGHUP"); len(r.Faults) != 1 || r.Faults[0].Path != "mi.tls_cert" {
			t.Errorf("%+v", r)
		}
	}
	if current() != after {
		t.Error("with a broken file the old certificate is not kept")
	}
}

// A certificate that is no good is one fault, by its key, and hinders nothing else.
func TestReloadBesideABadCertificate(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "gw.pem"), filepath.Join(dir, "gw.key")
	issue(t, dir, "gw", nil)
	for _, section := range []string{"sip", "smpp"} {
		files := section + ": {tls_cert: " + cert + ", tls_key: " + key + "}\n"
		s, file := reloadable(t, newFakeCore(), files+"mi: {tokens: ["+entry("anna", "admin", "a")+"]}")
		if err := os.WriteFile(cert, []byte("broken"), 0o600); err != nil {
			t.Fatal(err)
		}
		*file = files + "mi: {tokens: [" + entry("anna", "admin", "b") + "]}"
		r := s.Reload(t.Context(), "SIGHUP")
		if len(r.Faults) != 1 || r.Faults[0].Path != section+".tls_cert" || !strings.HasSuffix(r.Faults[0].Reason, "; what was read before stays in use") {
			t.Errorf("%+v", r.Faults)
		}
		if len(r.Config) != 1 || r.Config[0].Key != "mi.tokens[name=anna]" {
			t.Errorf("%+v", r.Config)
		}
		if w := ask(s, "POST", "/mi", versionCall, "Authorization", "Bearer b"); w.Code != 200 {
			t.Errorf("the new token: %d", w.Code)
		}
		issue(t, dir, "gw", nil)
	}
}
