package gateway

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sipsmpp/gateway/sms"
)

func TestParseConfig(t *testing.T) {
	t.Setenv("DB_PASSWORD", "s3cret: #1")
	got, faults := ParseConfig([]byte(`
node: gw1
db: mysql://gw:${DB_PASSWORD}@db/sms
sip:
  listen: ["udp:127.0.0.1:5070"]
  outbound_uri: sip:192.0.2.1:5060
  trusted: [10.0.0.0/8, 192.0.2.7]
smpp:
  default_connection: acme
  reassembly_timeout: 90s
records:
  keep: 48h
  text: false
mi:
  listen: 127.0.0.1:9999
`))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	want := Config{
		Node: "gw1",
		DB:   "mysql://gw:s3cret: #1@db/sms",
		SIP: SIPConfig{
			Listen:      []string{"udp:127.0.0.1:5070"},
			OutboundURI: List{"sip:192.0.2.1:5060"},
			Trusted:     []string{"10.0.0.0/8", "192.0.2.7"},
		},
		SMPP: SMPPConfig{DefaultConnection: "acme", ReassemblyTimeout: Duration(90 * time.Second)},
		Records: RecordsConfig{
			Keep: Duration(48 * time.Hour),
			Text: new(bool),
		},
		MI: MIConfig{Listen: "127.0.0.1:9999"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Every fault is told at once, by its path.
func TestConfigFaults(t *testing.T) {
	config, faults := ParseConfig([]byte(`
nodes: gw1
db: oracle://x
sip:
  listen: ["udp:127.0.0.1:5070", "sctp:127.0.0.1:5060"]
  trusted: [10.0.0.0/8, intranet]
  max_body: much
smpp:
  listen: ["127.0.0.1:2775", "tls:127.0.0.1"]
  tls_cert: /nowhere/cert.pem
  max_connections: -1
  reassembly_timeout: fast
  colour: ${NOT_SET_ANYWHERE}
records:
  keep: 5m
  text: maybe
mi:
  listen: 0.0.0.0:8888
log:
  level: loud
  format: ${NOT_SET_ANYWHERE}
`))
	faults = append(faults, config.WithDefaults().Check()...)
	paths := make(map[string]string)
	for _, f := range faults {
		paths[f.Path] = f.Reason
	}
	for path, hint := range map[string]string{
		"nodes":                   "unknown key: want node, db,",
		"db":                      "sqlite:",
		"sip.listen[1]":           "sctp",
		"sip.trusted[1]":          "intranet",
		"sip.max_body":            `"much" is not a whole number (line 7)`,
		"smpp.listen[1]":          "HOST:PORT",
		"smpp.tls_key":            "belong together",
		"smpp.max_connections":    "negative",
		"smpp.reassembly_timeout": "a time such as",
		"smpp.colour":             "unknown key",
		"records.keep":            "an hour or more",
		"records.text":            `"maybe" is not true or false`,
		"mi.listen":               "loopback",
		"log.level":               "loud",
		"log.format":              "NOT_SET_ANYWHERE",
	} {
		if !strings.Contains(paths[path], hint) {
			t.Errorf("%s: %q, want something with %q", path, paths[path], hint)
		}
		delete(paths, path)
	}
	if len(paths) > 0 {
		t.Errorf("faults that are none: %v", paths)
	}
}

// What is no text may come from the environment, too.
func TestEnvironmentOfAnyType(t *testing.T) {
	t.Setenv("REGISTRAR", "true")
	t.Setenv("BODY", "30000")
	t.Setenv("TIMEOUT", "90s")
	t.Setenv("NETWORK", "10.0.0.0/8")
	config, faults := ParseConfig([]byte("sip:\n  registrar: ${REGISTRAR}\n  max_body: ${BODY}\n  idle_timeout: ${TIMEOUT}\n  trusted:\n    - ${NETWORK}\ndefer:\n  enabled: ${REGISTRAR}\n"))
	if s := config.SIP; len(faults) > 0 || !s.Registrar || s.MaxBody != 30000 || s.IdleTimeout != Duration(90*time.Second) || len(s.Trusted) != 1 ||
		s.Trusted[0] != "10.0.0.0/8" || config.Defer.Enabled == nil || !*config.Defer.Enabled {
		t.Errorf("%+v, faults %v", config, faults)
	}
	t.Setenv("REGISTRAR", "perhaps")
	if _, faults := ParseConfig([]byte("sip:\n  registrar: ${REGISTRAR}")); len(faults) != 1 || faults[0].Path != "sip.registrar" {
		t.Errorf("%v", faults)
	}
}

// `records: pending` is short for the key below it.
func TestShortRecords(t *testing.T) {
	for text, want := range map[string]string{
		"records: pending": "pending", "records: {messages: pending}": "pending", "records: all": "all", "records:": "all",
	} {
		config, faults := ParseConfig([]byte(text))
		config = config.WithDefaults()
		if faults = append(faults, config.Check()...); len(faults) > 0 || config.Records.Messages != want {
			t.Errorf("%s: %q, faults %v", text, config.Records.Messages, faults)
		}
	}
	config, _ := ParseConfig([]byte("records: some"))
	if faults := config.WithDefaults().Check(); len(faults) != 1 || faults[0].Path != "records.messages" {
		t.Errorf("%v", faults)
	}
	if _, faults := ParseConfig([]byte("records: [all]")); len(faults) != 1 || faults[0].Path != "records" {
		t.Errorf("%v", faults)
	}
}

func TestConfigThatIsNoYAML(t *testing.T) {
	for _, text := range []string{"sip: [", "just words", "- a\n- list", "a: 1\n---\nb: 2", "sip:\n  listen: !tag\n"} {
		if _, faults := ParseConfig([]byte(text)); len(faults) == 0 {
			t.Errorf("%q: no fault", text)
		}
	}
	if _, faults := ParseConfig(nil); len(faults) > 0 {
		t.Errorf("an empty file has faults: %v", faults)
	}
}

func TestZeroConfigWorks(t *testing.T) {
	if faults := (Config{}).WithDefaults().Check(); len(faults) > 0 {
		t.Error(faults)
	}
}

// The example shows every key, and what it shows is good.
func TestExampleConfig(t *testing.T) {
	text, err := os.ReadFile("../examples/sipsmpp.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config, faults := ParseConfig(text)
	if faults = append(faults, config.WithDefaults().Check()...); len(faults) > 0 {
		t.Error(faults)
	}
	var look func(section string, of reflect.Type)
	look = func(section string, of reflect.Type) {
		for field := range of.Fields() {
			key := field.Tag.Get("yaml")
			if field.Type.Kind() == reflect.Struct {
				_, rest, found := strings.Cut(string(text), "\n"+key+":\n")
				if !found {
					t.Errorf("there is no section %s", key)
				}
				rest, _, _ = strings.Cut(rest, "\n\n")
				look(rest, field.Type)
			} else if !strings.Contains(section, key+":") {
				t.Errorf("key %s is not there", key)
			}
		}
	}
	look(string(text), reflect.TypeFor[Config]())
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte("sip:\n  listen: [udp:127.0.0.1:5060]\n"))
	f.Add([]byte("db: ${HOME}\nsmpp: {reassembly_timeout: 5m}"))
	f.Add([]byte("sip:\n  listen: !tag\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		config, _ := ParseConfig(data)
		config.WithDefaults().Check()
	})
}

// The URL of the database may be in a file of its own, since it holds a password.
func TestDatabaseFromAFile(t *testing.T) {
	path := t.TempDir() + "/db"
	c := Config{DB: "file:" + path}.WithDefaults()
	faulty := func() bool {
		return slices.ContainsFunc(c.Check(), func(f sms.Fault) bool { return f.Path == "db" })
	}
	if !faulty() {
		t.Error("a file that is not there is no fault")
	}
	for text, good := range map[string]bool{"postgres://gw:s3cret@db/sms\n": true, "oracle://x\n": false} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if url, err := c.ReadDB(); url != strings.TrimSpace(text) || err != nil {
			t.Errorf("%q, %v", url, err)
		}
		if faulty() == good {
			t.Errorf("%q: a fault: %v", text, !good)
		}
	}
}
