package server

import (
	"strings"
	"testing"
)

func TestSIPUsers(t *testing.T) {
	core := newFakeCore()
	s := start(t, core, Options{})
	for _, c := range []struct{ method, params, want string }{
		{"sip_list", "[]", `{"listeners":["udp:127.0.0.1:5060"],"next_hops":[{"uri":"sip:a","state":"down","reason":"nobody listens there",` +
			`"addresses":["192.0.2.1:5060"]}],"connections":0,"in_progress":0,"in_flight":3}`},
		{"sip_user_list", "[]", `{"users":[{"username":"al","realm":"example.com","numbers":["100"],"enabled":true}]}`},
		{"sip_user_add", `{"username":"bo","password":"p","numbers":"100","enabled":"0"}`, `"OK"`},
		{"sip_user_add", `{"username":"al","password":"p"}`, `"code":409`},
		{"sip_user_add", `{"username":"bo","password":""}`, `"code":400,"message":"a value is bad, and nothing was changed","data":[{"path":"sip_user[username=bo].ha1"`},
		{"sip_user_set", `{"username":"al","enabled":false}`, `"OK"`},
		{"sip_user_set", `{"username":"cy"}`, `"code":404`},
		{"sip_user_delete", `["al"]`, `"OK"`},
		{"sip_user_delete", `["cy"]`, `"code":404`},
		{"sip_user_reload", `[]`, `{"users":1}`},
		{"sip_contacts", `[]`, `{"registrar":true,"contacts":[{"id":"00000000000000000000000000","username":"al","contact":"sip:al@192.0.2.7","received":"udp:192.0.2.7:5060","q":0.5,` +
			`"since":"2026-09-21T14:13:20.000Z","updated":"2026-09-21T14:13:20.000Z","expires":"2026-09-21T15:13:20.000Z"}]}`},
		{"sip_contacts", `["nobody"]`, `"code":404`},
		{"sip_trace", `{"peer":"192.0.2.7:5060","user":"al","count":2}`, `{"messages":[{"time":"2026-09-21T14:13:20.000Z","peer":"udp:192.0.2.7:5060","direction":"received",` +
			`"start_line":"MESSAGE sip:al SIP/2.0","header":["Via: x"],"octets":2},` +
			`{"time":"2026-09-21T14:13:20.000Z","peer":"udp:192.0.2.7:5060","direction":"sent","start_line":"SIP/2.0 202 Accepted","header":["Via: x"],"octets":0}]}`},
		{"sip_trace", `{"count":1,"text":true}`, `"octets":2,"body":"hi"`},
		{"sip_trace", `{"seconds":31}`, `"code":400`},
		{"sip_trace", `{"live":true}`, `"code":400`},
		{"sip_contact_delete", `["al"]`, `{"deleted":1}`},
		{"sip_contact_delete", `{"username":"al","contact":"late"}`, `"code":409`},
		{"sip_contact_delete", `["bo"]`, `"code":404`},
	} {
		got := s.call(t, `{"jsonrpc":"2.0","id":1,"method":"`+c.method+`","params":`+c.params+`}`)
		if !strings.Contains(got, c.want) {
			t.Errorf("%s %s: %s, want %s", c.method, c.params, got, c.want)
		}
		if strings.Contains(got, "hidden") {
			t.Errorf("%s tells a hash: %s", c.method, got)
		}
	}
	if len(core.changes) != 3 {
		t.Fatalf("%d changes", len(core.changes))
	}
	if add := core.changes[0]; *add.Password != "p" || len(*add.Numbers) != 1 || *add.Enabled {
		t.Errorf("%+v", add)
	}
	if set := core.changes[1]; set.Password != nil || set.Numbers != nil || *set.Enabled {
		t.Errorf("%+v", set)
	}
}
