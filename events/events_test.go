package events

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The names and parameters are what programs rely on: this is the contract's table.
func TestDeclarations(t *testing.T) {
	want := []string{
		"E_SMPP_BIND_UP connection account bind mode peer",
		"E_SMPP_BIND_DOWN connection account bind mode peer reason in_flight",
		"E_SMPP_BIND_REFUSED account peer command_status reason count",
		"E_SMPP_RELOADED added changed removed",
		"E_RELOADED who changed restart faults",
		"E_SMPP_THROTTLED connection command_status until congestion_state throughput",
		"E_SMPP_UNTHROTTLED connection",
		"E_SMPP_ALERT connection address state",
		"E_MESSAGE_RECEIVED id ref ingress from to text data coding segments awaits incomplete tlvs",
		"E_MESSAGE_SENT id ref from to egress connection smsc_ids segments attempt",
		"E_MESSAGE_DEFERRED id ref from to reason attempt next_attempt",
		"E_DEFERRED_FULL target messages octets refused reason",
		"E_MESSAGE_FAILED id ref from to reason protocol code",
		"E_MESSAGE_REPORT id ref from to state error done_time smsc_ids",
		"E_MESSAGE_LOOP id ref ingress from to rule reason",
		"E_RECEIPT_UNMATCHED connection account smsc_id state likely_cause",
		"E_MI_CHANGED who method params",
		"E_MI_REFUSED remote count",
		"E_SIP_PEER_DOWN peer reason",
		"E_SIP_PEER_UP peer",
		"E_SIP_REGISTERED user contact received expires user_agent",
		"E_SIP_UNREGISTERED user contact reason",
		"E_EVENTS_LOST count from_seq to_seq",
	}
	if len(All()) != len(want) {
		t.Fatalf("%d declarations, want %d", len(All()), len(want))
	}
	for i, d := range All() {
		if got := d.Name + " " + strings.Join(d.Params, " "); got != want[i] {
			t.Errorf("got %s, want %s", got, want[i])
		}
		if e, err := d.decode([]byte(`{}`)); err != nil || e.Name() != d.Name {
			t.Errorf("%s decodes as %v, %v", d.Name, e, err)
		}
		// A list is never null, whatever was left out.
		e, _ := d.decode([]byte(`{}`))
		if b, err := json.Marshal(e); err != nil || strings.Contains(string(b), "null") {
			t.Errorf("%s is %s, %v", d.Name, b, err)
		}
	}
}

func TestNewRaised(t *testing.T) {
	for _, tt := range []struct{ name, params, want, err string }{
		{"E_MINE", ``, `{}`, ""},
		{"E_MINE", `null`, `{}`, ""},
		{"E_MINE", ` {"a":1,"b":"x"}`, `{"a":1,"b":"x"}`, ""},
		{"E_MINE", `[1,2]`, `{"params":[1,2]}`, ""},
		{"E_MINE", `[1,`, ``, "JSON object or array"},
		{"E_MINE", `{`, ``, "JSON object or array"},
		{"E_MINE", `7`, ``, "JSON object or array"},
		{"E_MINE", `{"seq":1}`, ``, `"seq"`},
		{"E_MINE", `{"node":1}`, ``, `"node"`},
		{"E_SMPP_BIND_UP", ``, ``, "gateway's own: choose"},
		{"E_EVENTS_LOST", ``, ``, "gateway's own: choose"},
		{"E_", ``, ``, "want E_ and capitals"},
		{"mine", ``, ``, "want E_ and capitals"},
		{"E_a", ``, ``, "want E_ and capitals"},
		{`E_"`, ``, ``, "want E_ and capitals"},
		{"E_" + strings.Repeat("A", 63), ``, ``, "want E_ and capitals"},
		{"E_MINE", `"` + strings.Repeat("a", maxRaisedParams) + `"`, ``, "65536"},
	} {
		r, err := NewRaised(tt.name, json.RawMessage(tt.params))
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s %.40s: error %v, want %q", tt.name, tt.params, err, tt.err)
			}
			continue
		}
		if b, _ := r.MarshalJSON(); err != nil || string(b) != tt.want || r.Name() != tt.name {
			t.Errorf("%s %s: %s %s, %v", tt.name, tt.params, r.Name(), b, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, s := range []string{
		``, `[]`, `{}`, `{"method":"E_X"}`, `{"method":"E_X","id":1,"params":{}}`, `{"method":"E_X","params":[1]}`,
		`{"method":"E_SMPP_BIND_UP","params":{"seq":1,"time":"2000-01-01T00:00:00Z","bind":7}}`,
		`{"method":"E_SMPP_BIND_UP","params":{"seq":-1}}`,
	} {
		if n, err := Parse([]byte(s)); !errors.Is(err, ErrNotification) {
			t.Errorf("%s: %+v, %v", s, n, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"method":"E_SMPP_BIND_UP","params":{"seq":1,"time":"2000-01-01T00:00:00Z"}}`))
	f.Add([]byte(`{"method":"E_X","params":{"a":null}}`))
	f.Add([]byte(`{"method":"E_MESSAGE_REPORT","params":{"smsc_ids":[null],"done_time":null}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := Parse(data)
		if err != nil {
			return
		}
		if _, err := json.Marshal(n.Event); err != nil {
			t.Errorf("%q was read, and does not marshal: %v", data, err)
		}
	})
}

func TestFilter(t *testing.T) {
	for _, tt := range []struct {
		filter, name string
		want         bool
	}{
		{"", "E_SMPP_BIND_UP", true},
		{"  ", "E_SMPP_BIND_UP", true},
		{"*", "E_SMPP_BIND_UP", true},
		{"E_SMPP_*", "E_SMPP_BIND_UP", true},
		{"E_SMPP_*", "E_MESSAGE_SENT", false},
		{"E_MESSAGE_*, E_SMPP_*", "E_SMPP_BIND_UP", true},
		{"E_SMPP_BIND_??", "E_SMPP_BIND_UP", true},
		{"E_SMPP_BIND_[UD]*", "E_SMPP_BIND_DOWN", true},
		{"e_smpp_*", "E_SMPP_BIND_UP", false},
	} {
		if got := mustFilter(t, tt.filter).Match(tt.name); got != tt.want {
			t.Errorf("%q takes %s: %v", tt.filter, tt.name, got)
		}
	}
	for _, bad := range []string{"[", "E_*,[a", "a,,b", ",", "E_\\", strings.Repeat("a", 2049), strings.Repeat("a,", 70) + "a"} {
		if _, err := ParseFilter(bad); !errors.Is(err, ErrFilter) {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}

func FuzzFilter(f *testing.F) {
	for _, s := range []string{"", "E_*,E_SMPP_*", "[a-", "\\", "[]a]", "[^a]*"} {
		f.Add(s, "E_SMPP_BIND_UP")
	}
	f.Fuzz(func(t *testing.T, s, name string) {
		filter, err := ParseFilter(s)
		if err != nil {
			return
		}
		again, err := ParseFilter(filter.String())
		if err != nil {
			t.Fatalf("%q reads and %q does not: %v", s, filter, err)
		}
		if filter.Match(name) != again.Match(name) {
			t.Errorf("%q and %q differ on %q", s, filter, name)
		}
	})
}
