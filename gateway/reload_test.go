package gateway_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"sipsmpp/gateway"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/smpp"
)

// What DiffTables says is what ReloadTables then does, table by table.
func TestReloadTables(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.sql("INSERT INTO smpp (name, ip, port, enabled) VALUES ('other', 'h', 1, 0)")
	r.sql("UPDATE smpp SET throughput = 5 WHERE name = 'smsc'")
	r.sql("INSERT INTO smpp_account (system_id, password_hash) VALUES ('shop', '$2a$04$abcdefghijklmnopqrstuuPqkEkRZZZZZZZZZZZZZZZZZZZZZZZZZ')")
	r.sql("INSERT INTO route (id, targets, to_match) VALUES (7, 'smpp:smsc', '+49*')")
	r.sql("INSERT INTO sip_user (username, realm, ha1) VALUES ('al', '127.0.0.1', '0123456789abcdef0123456789abcdef')")
	want := []gateway.TableChanges{
		{Table: "smpp", Key: "name", Changes: smpp.Changes{Added: []string{"other"}, Changed: []string{"smsc"}}},
		{Table: "smpp_account", Key: "system_id", Changes: smpp.Changes{Added: []string{"shop"}}},
		{Table: "route", Key: "id", Changes: smpp.Changes{Added: []string{"7"}}},
		{Table: "sip_user", Key: "username", Changes: smpp.Changes{Added: []string{"al"}}},
	}
	same := func(what string, got []gateway.TableChanges) {
		t.Helper()
		if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
			t.Errorf("%s\ngot  %s\nwant %s", what, g, w)
		}
	}
	same("diff", r.gw.DiffTables(r.ctx))
	if len(r.gw.Connections()) != 1 || len(r.gw.AccountRows()) != 0 {
		t.Error("to ask for the difference changed something")
	}
	same("reload", r.gw.ReloadTables(r.ctx))
	if len(r.gw.Connections()) != 2 || len(r.gw.AccountRows()) != 1 {
		t.Error("it was not applied")
	}

	// A table with a bad row stays as it is, whole; the others are read.
	r.sql("UPDATE smpp SET port = 0 WHERE name = 'other'")
	r.sql("UPDATE smpp SET throughput = 6 WHERE name = 'smsc'")
	r.sql("DELETE FROM smpp_account")
	r.sql("UPDATE route SET targets = 'nowhere'")
	got := r.gw.ReloadTables(r.ctx)
	if len(got[0].Faults) != 1 || got[0].Faults[0].Path != "smpp[name=other].port" || !slices.Equal(got[1].Removed, []string{"shop"}) || len(got[2].Faults) != 1 {
		t.Errorf("%+v", got)
	}
	if len(r.gw.Connections()) != 2 || len(r.gw.AccountRows()) != 0 {
		t.Error("the tables were not kept apart")
	}
	// What is the same is no change, nor is what the gateway wrote itself.
	password := "secret"
	if err := r.gw.AddSIPUser(r.ctx, "bo", gateway.SIPUserChange{Password: &password}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if u := r.gw.DiffTables(r.ctx)[3]; u.Unchanged != 2 || len(u.Added)+len(u.Changed)+len(u.Removed) > 0 {
			t.Errorf("%+v", u)
		}
	}
}

func TestDefaultConnectionLater(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.put(r.row("smsc", r.smsc.Addr()), r.row("second", r.smsc.Addr()))
	r.gw.ReloadTables(r.ctx)
	r.event("E_SMPP_BIND_UP")
	if code := r.send("hi"); code != 404 { // two connections, and nothing says which
		t.Errorf("without a default: %d", code)
	}
	r.gw.SetDefaultConnection("second")
	if code := r.send("hi"); code != 202 || r.connection("second").Sent != 1 {
		t.Errorf("with a default: %d", code)
	}
}

func TestDiffConfig(t *testing.T) {
	no := false
	running := gateway.Config{DB: "postgres://u:old@h/db", SIP: gateway.SIPConfig{OutboundPassword: "old"}}.WithDefaults()
	file := running
	file.DB = "postgres://u:new@h/db"
	file.SIP.OutboundPassword = "new"
	file.SIP.OutboundURI = gateway.List{"sip:a", "sip:b"}
	file.SMPP.ReassemblyTimeout = 2 * running.SMPP.ReassemblyTimeout
	file.Records.Text = &no
	file.MI.Tokens = []gateway.MIToken{{Name: "x", Role: "app", Certificate: "x.example.org", Senders: gateway.List{"1*", "2"}, Throughput: 5}}
	want := []gateway.KeyChange{
		{"db", "postgres://u:***@h/db", "postgres://u:***@h/db", true},
		{"sip.outbound_uri", "", "sip:a, sip:b", true},
		{"sip.outbound_password", "***", "***", true},
		{"smpp.reassembly_timeout", "5m0s", "10m0s", true},
		{"records.text", "", "false", true},
		{"mi.tokens[name=x]", "", "role app, certificate x.example.org, senders 1* 2, throughput 5", false},
	}
	if got := gateway.DiffConfig(running, file); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if got := gateway.DiffConfig(running, running); len(got) > 0 {
		t.Errorf("nothing differs: %v", got)
	}
	// However a password may be written, it is not shown.
	for _, db := range []string{"mysql://u:s3cret@h/db", "postgres://u:p@s3cret@h/db", "postgres://h/db?password=s3cret", "s3cret"} {
		other := running
		other.DB = db
		for _, c := range gateway.DiffConfig(running, other) {
			if slices.Contains([]string{c.File, c.Running}, db) || reflect.DeepEqual(c.File, "s3cret") {
				t.Errorf("%s: %+v", db, c)
			}
		}
	}
	hop := func(password string) gateway.Config {
		c := running
		c.SIP.OutboundURI = gateway.List{"sip:a", "sip:gw:" + password + "@proxy.example.com;transport=tls", "sip:gw@b"}
		return c
	}
	const hidden = "sip:a, sip:gw:***@proxy.example.com;transport=tls, sip:gw@b"
	want = []gateway.KeyChange{{"sip.outbound_uri", hidden, hidden, true}}
	if got := gateway.DiffConfig(hop("old"), hop("p@s3cret:x")); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if got := gateway.DiffConfig(hop("same"), hop("same")); len(got) > 0 {
		t.Errorf("nothing differs: %v", got)
	}
}
