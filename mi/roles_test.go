package mi

import (
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// Who may call what; a method that is not marked is the admin's alone.
func TestMay(t *testing.T) {
	for _, tt := range []struct {
		method, params string
		may            string // the roles, by their first letters
	}{
		{"smpp_list", `{}`, "aor"},
		{"which", ``, "aorp"},
		{"smpp_disable", `{"name":"acme"}`, "ao"},
		{"message_send", `["1","2","x"]`, "aop"},
		{"message_list", `{}`, "aor"},
		{"kill", `[]`, "a"},
		{"log_level", `{}`, "aor"},
		{"log_level", `[]`, "aor"},
		{"log_level", `{"level":null}`, "aor"},
		{"log_level", `["debug"]`, "ao"},
		{"log_level", `{"level":"debug"}`, "ao"},
		{"event_subscribe", `["E_*"]`, "aorp"},
		{"event_subscribe", `["E_*","udp:127.0.0.1:9"]`, "ao"},
	} {
		d, _ := Lookup(tt.method)
		for letter, role := range map[string]Role{"a": RoleAdmin, "o": RoleOperator, "r": RoleRead, "p": RoleApp} {
			if got := d.May(role, json.RawMessage(tt.params)); got != strings.Contains(tt.may, letter) {
				t.Errorf("%s %s: %s may: %t", tt.method, tt.params, role, got)
			}
		}
	}
}

func TestIsChange(t *testing.T) {
	for call, want := range map[string]bool{
		`smpp_list {}`: false, `smpp_reload {}`: true, `kill {}`: true, `log_level {}`: false, `log_level ["debug"]`: true,
		`message_send {"to":"1"}`: false, `event_subscribe ["*"]`: false, `event_subscribe {"event":"*","socket":"udp:a:1"}`: true,
	} {
		method, params, _ := strings.Cut(call, " ")
		if d, _ := Lookup(method); d.IsChange(json.RawMessage(params)) != want {
			t.Errorf("%s: %t", call, !want)
		}
	}
}

// What a log shows has names, and no secrets.
func TestShown(t *testing.T) {
	text := reflect.TypeFor[string]()
	d := &Declaration{Params: []Param{{Name: "system_id", typ: text}, {Name: "password", typ: text}, {Name: "socket", typ: text}}}
	for in, want := range map[string]string{
		`["shop","s3cret"]`:                                           `{"password":"***","system_id":"shop"}`,
		`{"password":"s3cret","system_id":"shop"}`:                    `{"password":"***","system_id":"shop"}`,
		`{"socket":"webhook:https://crm.example.org/sms?key=s3cret"}`: `{"socket":"webhook:https://crm.example.org/sms?..."}`,
		`["shop",null,"udp:127.0.0.1:9000"]`:                          `{"socket":"udp:127.0.0.1:9000","system_id":"shop"}`,
		`{}`:                                                          `{}`, ``: `{}`, `"x"`: `{}`, `{"unknown":"s3cret"}`: `{}`,
	} {
		if got := string(d.Shown(json.RawMessage(in))); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestNewToken(t *testing.T) {
	token, hash := NewToken()
	other, _ := NewToken()
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`).MatchString(token) || token == other || HashToken(token) != hash || len(hash) != 64 {
		t.Errorf("%q %q %q", token, other, hash)
	}
	if got := HashToken("abc"); got != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" { // FIPS 180-2, B.1
		t.Error(got)
	}
}

// opensips-cli takes no digits in the name of a parameter.
func TestNamesOfParameters(t *testing.T) {
	for _, d := range Methods() {
		for _, p := range d.Params {
			if !regexp.MustCompile(`^[a-z_]+$`).MatchString(p.Name) {
				t.Errorf("%s: parameter %q", d.Name, p.Name)
			}
		}
	}
}
