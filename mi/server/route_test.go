package server

import (
	"context"
	"strings"
	"testing"

	"sipsmpp/gateway"
	"sipsmpp/gateway/route"
	"sipsmpp/gateway/sms"
)

// fakeRoutes is the part of a core that has rules: two, of which the second has a fault.
type fakeRoutes struct {
	put     route.Rule // what was written last
	tested  *sms.Message
	decided string // the last decision: id and targets
}

func (c *fakeCore) Routes() ([]route.Rule, []sms.Fault) {
	return []route.Rule{
		{ID: 3, Name: "germany", Priority: 1, Enabled: true, To: "+49*", Targets: "smpp:acme", Strategy: "failover", Options: `{"receipt":true}`},
		{ID: 7, Targets: "nowhere", Options: "no JSON"},
	}, []sms.Fault{{Path: "route[id=7].targets", Reason: "no target"}}
}

func (c *fakeCore) ReloadRoutes(context.Context) (gateway.RouteChanges, error) {
	if c.routes.put.Targets == "bad" {
		return gateway.RouteChanges{}, &gateway.FaultsError{Faults: []sms.Fault{{Path: "route[id=7].targets", Reason: "no target"}}}
	}
	return gateway.RouteChanges{Rules: 2, Enabled: 1, Added: 1, Unchanged: 1}, nil
}

func (c *fakeCore) AddRoute(_ context.Context, r route.Rule) (int64, error) {
	c.routes.put = r
	return 8, nil
}

func (c *fakeCore) SetRoute(_ context.Context, id int64, change func(*route.Rule)) error {
	rules, _ := c.Routes()
	if id != 3 {
		return gateway.ErrUnknownRoute
	}
	c.routes.put = rules[0]
	change(&c.routes.put)
	return nil
}

func (c *fakeCore) DeleteRoute(_ context.Context, id int64) error {
	if id != 3 {
		return gateway.ErrUnknownRoute
	}
	return nil
}

func (c *fakeCore) TestRoute(m *sms.Message) gateway.RouteTest {
	c.routes.tested = m
	result := gateway.RouteTest{
		Explanation: route.Explanation{
			Decision: route.Decision{Rule: "germany", ID: 3, Targets: []route.Target{{Leg: sms.Connection("acme")}}},
			Others:   []route.Other{{ID: 7, Rule: "#7", Why: "when: no"}}, Asked: 1,
		},
		Message: m, States: []string{"bound"},
	}
	result.Plan.Alphabet, result.Plan.Segments = sms.AlphabetGSM7, 1
	return result
}

func (c *fakeCore) RouteMessage(id sms.ID, targets []route.Target) error {
	if !id.IsZero() {
		return gateway.ErrNotAwaiting
	}
	var names []string
	for _, t := range targets {
		names = append(names, t.String())
	}
	c.routes.decided = strings.Join(names, ", ")
	return nil
}

func (c *fakeCore) CheckTarget(route.Target) error { return nil }

func TestRouteMethods(t *testing.T) {
	core := newFakeCore()
	s := start(t, core, Options{})
	zero := sms.ID{}.String()
	germany := `{"id":3,"name":"germany","priority":1,"enabled":true,"ingress":"","from_match":"","to_match":"+49*","when":"",` +
		`"targets":"smpp:acme","strategy":"failover","options":{"receipt":true}}`
	for _, tt := range []struct{ method, params, want string }{
		{"route_list", `{"limit":1}`, `{"routes":[` + germany + `],"total":2,"next":3}`},
		{"route_list", `{"after":3}`, `{"routes":[{"id":7,"priority":0,"enabled":false,"ingress":"","from_match":"","to_match":"","when":"",` +
			`"targets":"nowhere","strategy":"","options":"no JSON","fault":"route[id=7].targets: no target"}],"total":2,"next":0}`},
		{"route_list", `["3"]`, `{"routes":[` + germany + `],"total":2,"next":0}`},
		{"route_list", `[4]`, `{"code":404,"message":"` + gateway.ErrUnknownRoute.Error() + `"}`},
		{"route_list", `{"limit":-1}`, `{"code":400,"message":"Bad value: limit: want 1 to 10000","data":{"parameter":"limit","reason":"want 1 to 10000"}}`},
		{"route_add", `{"targets":"smpp:acme","to_match":"+43*","options":"{\"loop\":true}","priority":"5"}`, `{"id":8}`},
		{"route_set", `{"id":3,"to_match":"","enabled":"0"}`, `"OK"`},
		{"route_set", `{"id":4,"to_match":""}`, `{"code":404,"message":"` + gateway.ErrUnknownRoute.Error() + `"}`},
		{"route_delete", `[3]`, `"OK"`},
		{"route_delete", `[4]`, `{"code":404,"message":"` + gateway.ErrUnknownRoute.Error() + `"}`},
		{"route_reload", `[]`, `{"rules":2,"enabled":1,"added":1,"changed":0,"removed":0,"unchanged":1}`},
		{"route_test", `{"from":"100","to":"+49151","text":"hi","receipt":"all","validity":60,"ref":"order 17","idempotency_key":"k","priority":1,"defer":false}`, // as for message_send
			`{"id":3,"rule":"germany","targets":[{"target":"smpp:acme","state":"bound"}],` +
				`"from":"100","to":"+49151","coding":"gsm7","segments":1,"receipt":"all","others":[{"id":7,"rule":"#7","why":"when: no"}],"asked":1}`},
		{"route_test", `{"from":"100","to":"+49151","ingress":"sip:alice"}`, `{"id":3,"rule":"germany","targets":[{"target":"smpp:acme","state":"bound"}],` +
			`"from":"100","to":"+49151","coding":"gsm7","segments":1,"receipt":false,"others":[{"id":7,"rule":"#7","why":"when: no"}],"asked":1}`},
		{"route_test", `{"from":"100","to":"+49151","ingress":"http"}`, `{"code":400,"message":"Bad value: ingress: want sip, sip:USER, smpp:NAME, account:SYSTEM_ID or mi",` +
			`"data":{"parameter":"ingress","reason":"want sip, sip:USER, smpp:NAME, account:SYSTEM_ID or mi"}}`},
		{"message_route", `["` + zero + `","smpp:acme, sip"]`, `"OK"`},
		{"message_route", `["7zzzzzzzzzzzzzzzzzzzzzzzzz","sip"]`, `{"code":404,"message":"` + gateway.ErrNotAwaiting.Error() + `"}`},
		{"message_route", `["` + zero + `","mars"]`, `{"code":400,"message":"Bad value: target: \"mars\" is no target: want smpp:NAME, account:SYSTEM_ID, sip, ` +
			`sip:USER@HOST:PORT, app, app? or reject CODE","data":{"parameter":"target","reason":"\"mars\" is no target: want smpp:NAME, account:SYSTEM_ID, sip, ` +
			`sip:USER@HOST:PORT, app, app? or reject CODE"}}`},
		{"help", `["route_reload"]`, `{"Help":"route_reload - reads table route again and lets it decide at once; with a bad row nothing changes; roles: admin, operator","Exported by":"route"}`},
	} {
		if got := s.result(t, tt.method, tt.params); got != tt.want {
			t.Errorf("%s %s:\n%s\nwant\n%s", tt.method, tt.params, got, tt.want)
		}
		switch r := core.routes.put; {
		case tt.method == "route_add" && (r.To != "+43*" || !r.Enabled || r.Options != `{"loop":true}` || r.Priority != 5 || r.Strategy != "failover"):
			t.Errorf("added %+v", r)
		case tt.params == `{"id":3,"to_match":"","enabled":"0"}` && (r.To != "" || r.Enabled || r.Name != "germany"):
			t.Errorf("set %+v", r)
		}
	}
	if core.routes.decided != "smpp:acme, sip" {
		t.Errorf("decided %q", core.routes.decided)
	}
	if m := core.routes.tested; m.Ingress.String() != "sip:alice" || m.Text != "" {
		t.Errorf("tested %+v", m)
	}
	if got := s.result(t, "message_reject", `["`+zero+`",486]`); got != `"OK"` || core.routes.decided != "reject 486" {
		t.Errorf("rejected: %s, %s", got, core.routes.decided)
	}
	if got := s.result(t, "message_reject", `["`+zero+`","200"]`); !strings.Contains(got, `"code":400`) {
		t.Errorf("rejected with 200: %s", got)
	}
	core.routes.put.Targets = "bad"
	if got := s.result(t, "route_reload", `[]`); !strings.Contains(got, `"data":[{"path":"route[id=7].targets","reason":"no target"}]`) {
		t.Errorf("a bad row: %s", got)
	}
}
