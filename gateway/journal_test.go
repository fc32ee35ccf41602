package gateway_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sipsmpp/events"
	"sipsmpp/gateway"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// keepEvents makes a durable subscription, and gives what reads its events from the database by names.
func keepEvents(r *rig, filter string) (waiting func() string) {
	r.t.Helper()
	f, err := events.ParseFilter(filter)
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.gw.Durables().Put(r.ctx, events.Spec{Name: "crm", Filter: f}); err != nil {
		r.t.Fatal(err)
	}
	return func() string {
		r.t.Helper()
		db, err := store.Open(r.ctx, r.config.DB, store.WithNode("test"))
		if err != nil {
			r.t.Fatal(err)
		}
		defer db.Close()
		list, err := db.EventSubscriptions(r.ctx)
		if err != nil || len(list) != 1 {
			r.t.Fatalf("%+v, %v", list, err)
		}
		rows, err := db.ReadEvents(r.ctx, list[0].ID, 0, 100)
		if err != nil {
			r.t.Fatal(err)
		}
		var names []string
		for _, row := range rows {
			n, err := events.Parse(row.Event)
			if err != nil || n.Seq != row.Seq {
				r.t.Fatalf("%s: %v", row.Event, err)
			}
			names = append(names, strings.TrimPrefix(n.Event.Name(), "E_MESSAGE_"))
		}
		return strings.Join(names, " ")
	}
}

// What a durable subscription takes is on disk when the message is answered, whatever became of it and whether it has a record.
func TestAnsweredWhenKept(t *testing.T) {
	for _, records := range []string{"all", "pending"} {
		t.Run(records, func(t *testing.T) {
			r := newRig(t, gatewaytest.SMSCConfig{ErrorRate: 1, ErrorStatus: 0x0B}, nil)
			r.stop(r.gw)
			r.config.Records = gateway.RecordsConfig{Messages: records}
			r.start()
			r.event("E_SMPP_BIND_UP")
			waiting := keepEvents(r, "E_MESSAGE_*")
			if o := r.accept(&sms.Message{Text: "hi"}); o.Fate == sms.Accepted {
				t.Errorf("%+v", o)
			}
			if got := waiting(); got != "RECEIVED FAILED" {
				t.Errorf("refused: %s", got)
			}
			if o := r.accept(&sms.Message{Text: "hi", To: sms.ParseAddress("1"), From: sms.ParseAddress("2"), Expires: time.Now().Add(-time.Second)}); o.Fate == sms.Accepted {
				t.Errorf("%+v", o)
			}
			if got := waiting(); got != "RECEIVED FAILED RECEIVED FAILED" {
				t.Errorf("expired: %s", got)
			}
		})
	}
}

// A message to the applications is their event: it is answered when that is on disk.
func TestAppIsAnsweredWhenKept(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.stop(r.gw)
	r.config.Records = gateway.RecordsConfig{Messages: "pending"}
	r.sql("INSERT INTO route (priority, enabled, targets) VALUES (1, 1, 'app')")
	r.start()
	r.event("E_SMPP_BIND_UP")
	waiting := keepEvents(r, "E_MESSAGE_RECEIVED")
	for i := range 3 {
		if o := r.accept(&sms.Message{Text: "hi"}); o.Fate != sms.Accepted {
			t.Fatalf("%+v", o)
		}
		if got, want := waiting(), strings.TrimSpace(strings.Repeat(" RECEIVED", i+1)); got != want {
			t.Errorf("waits: %q, want %q", got, want)
		}
	}
}

// A report is told durably: noted with it, told once, and told after a restart where it was not.
func TestReportIsKept(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	waiting := keepEvents(r, "E_MESSAGE_REPORT")
	if o := r.accept(&sms.Message{Text: "hi", Receipt: sms.ReceiptFinal}); o.Fate != sms.Accepted {
		t.Fatalf("%+v", o)
	}
	r.event("E_MESSAGE_REPORT")
	await := func(want string) {
		t.Helper()
		for waiting() != want {
			select {
			case <-r.ctx.Done():
				t.Fatalf("waits: %s, want %s", waiting(), want)
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
	await("REPORT")
	last := r.gw.Events().Seq()
	r.stop(r.gw)
	// As if it had ended between the commit of a report and its event.
	r.sql(fmt.Sprintf(`INSERT INTO event_note (id, node, name, params) VALUES ('%s', 'test', 'E_MESSAGE_REPORT', '{"id":"later","state":"delivered","smsc_ids":["17"]}')`, sms.NewIDs().Next()))
	r.start()
	e := r.event("E_MESSAGE_REPORT").(events.MessageReport)
	if e.ID != "later" || e.State != "delivered" || fmt.Sprint(e.SMSCIDs) != "[17]" {
		t.Errorf("%+v", e)
	}
	if seq := r.gw.Events().Seq(); seq <= last || seq > last+100 {
		t.Errorf("the numbers went from %d to %d", last, seq)
	}
	await("REPORT REPORT")
	r.stop(r.gw)
	r.start()
	await("REPORT REPORT") // and no more
	r.none("E_MESSAGE_REPORT")
}
