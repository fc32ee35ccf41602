package gateway_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"sipsmpp/events"
	"sipsmpp/gateway"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/smpp"
	"sipsmpp/gateway/sms"
)

func (r *rig) connection(name string) smpp.ConnectionStatus {
	r.t.Helper()
	for _, c := range r.gw.Connections() {
		if c.Name == name {
			return c
		}
	}
	r.t.Fatalf("there is no connection %s", name)
	return smpp.ConnectionStatus{}
}

func TestConnectionRows(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.sql("INSERT INTO smpp (name, ip, port, options) VALUES ('other', 'h', 1, '{\"receipt\": true}')") // seen by the next reload alone
	first := r.connection("smsc").Binds[0]
	row := r.row("second", r.smsc.Addr())
	values := map[string]string{
		"name": "second", "ip": row.Host, "port": r.smsc.Addr()[strings.LastIndex(r.smsc.Addr(), ":")+1:], "system_id": "gw",
		"password": "secret", "options": `{"tlvs": {"0x1400": "operator_id"}}`, "window": "3", "tls": "false",
	}
	changes, err := r.gw.AddConnection(r.ctx, values)
	if err != nil || !slices.Equal(changes.Added, []string{"second"}) || changes.Unchanged != 1 || len(changes.Changed)+len(changes.Removed) != 0 {
		t.Fatalf("%+v, %v", changes, err)
	}
	if e := r.event("E_SMPP_BIND_UP").(events.BindUp); e.Connection != "second" {
		t.Errorf("%+v", e)
	}
	if e := r.event("E_SMPP_RELOADED").(events.Reloaded); !slices.Equal(e.Added, []string{"second"}) {
		t.Errorf("%+v", e)
	}
	if _, err := r.gw.AddConnection(r.ctx, values); !errors.Is(err, gateway.ErrConnectionExists) {
		t.Errorf("added twice: %v", err)
	}
	changes, err = r.gw.SetConnection(r.ctx, "second", map[string]string{"window": "7", "name": "renamed"})
	if err == nil {
		t.Errorf("%+v: a connection was renamed", changes)
	}
	changes, err = r.gw.SetConnection(r.ctx, "second", map[string]string{"window": "7"})
	if err != nil || !slices.Equal(changes.Changed, []string{"second"}) || changes.Unchanged != 1 {
		t.Fatalf("%+v, %v", changes, err)
	}
	r.event("E_SMPP_BIND_UP")
	if c := r.connection("second"); c.Binds[0].Window != 7 {
		t.Errorf("%+v", c)
	}
	if tlvs, err := r.gw.ParseTLVs("second", map[string]string{"operator_id": "01"}); err != nil || len(tlvs) != 1 {
		t.Errorf("what was not set has changed: %v, %v", tlvs, err)
	}
	for _, c := range []struct {
		set  map[string]string
		path string
	}{
		{map[string]string{"window": "0"}, "smpp[name=second].window"},
		{map[string]string{"options": `{"recipt": true}`}, "smpp[name=second].options"},
	} {
		_, err := r.gw.SetConnection(r.ctx, "second", c.set)
		var faults *gateway.FaultsError
		if !errors.As(err, &faults) || len(faults.Faults) != 1 || faults.Faults[0].Path != c.path {
			t.Errorf("%v: %v", c.set, err)
		}
	}
	if _, err := r.gw.SetConnection(r.ctx, "nobody", map[string]string{"window": "1"}); !errors.Is(err, gateway.ErrUnknownConnection) {
		t.Errorf("%v", err)
	}
	if changes, err := r.gw.DeleteConnection(r.ctx, "second"); err != nil || !slices.Equal(changes.Removed, []string{"second"}) {
		t.Errorf("%+v, %v", changes, err)
	}
	if _, err := r.gw.DeleteConnection(r.ctx, "second"); !errors.Is(err, gateway.ErrUnknownConnection) {
		t.Errorf("deleted twice: %v", err)
	}
	if now := r.connection("smsc").Binds[0]; now.ID != first.ID || now.Since != first.Since {
		t.Errorf("another connection was touched: %+v", now)
	}
	if len(r.gw.Connections()) != 1 {
		t.Errorf("a row that nobody asked for was read: %+v", r.gw.Connections())
	}
	// What was written is what a reload reads.
	if changes, err := r.gw.Reload(r.ctx); err != nil || !slices.Equal(changes.Added, []string{"other"}) || changes.Unchanged != 1 {
		t.Errorf("%+v, %v", changes, err)
	}
}

// OpenSIPS' own table is never altered.
func TestConnectionRowsOfOpenSIPS(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, func(c *sms.ConnectionConfig) { c.Enabled = false })
	r.sql("ALTER TABLE smpp DROP COLUMN throughput")
	_, err := r.gw.SetConnection(context.Background(), "smsc", map[string]string{"throughput": "5"})
	var faults *gateway.FaultsError
	if !errors.As(err, &faults) || faults.Faults[0].Path != "smpp[name=smsc].throughput" || !strings.Contains(err.Error(), "no such column") {
		t.Errorf("%v", err)
	}
	if _, err := r.gw.SetConnection(context.Background(), "smsc", map[string]string{"enabled": "1"}); err != nil {
		t.Error(err)
	}
	r.event("E_SMPP_BIND_UP")
}
