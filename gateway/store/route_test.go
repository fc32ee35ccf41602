package store

import (
	"errors"
	"testing"

	"sipsmpp/gateway/route"
)

func TestRoutes(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db, err := Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		rules, err := db.Routes(t.Context())
		if err != nil || len(rules) != 0 {
			t.Fatalf("of a new database: %v, %v", rules, err)
		}
		want := route.Rule{
			Name: "germany", Description: "cheap \x00 way", Priority: -3, Enabled: true, Ingress: "sip, account:shop",
			From: "MyBank", To: "+49*", When: `hour < 8 || text contains "é"`, Targets: "smpp:a weight=2, smpp:b", Strategy: "weighted",
			Options: `{"coding":"ucs2"}`,
		}
		if want.ID, err = db.PutRoute(t.Context(), want); err != nil || want.ID == 0 {
			t.Fatalf("PutRoute: %d, %v", want.ID, err)
		}
		second, err := db.PutRoute(t.Context(), route.Rule{Targets: "sip"})
		if err != nil || second <= want.ID {
			t.Fatalf("the second id %d, the first %d, %v", second, want.ID, err)
		}
		want.Priority, want.Enabled = 7, false
		for range 2 { // the second time nothing changes
			if _, err := db.PutRoute(t.Context(), want); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.DeleteRoute(t.Context(), second); err != nil {
			t.Fatal(err)
		}
		if err := db.DeleteRoute(t.Context(), second); !errors.Is(err, ErrNotFound) {
			t.Errorf("deleting a row that is not there: %v", err)
		}
		if _, err := db.PutRoute(t.Context(), route.Rule{ID: second, Targets: "sip"}); !errors.Is(err, ErrNotFound) {
			t.Errorf("changing a row that is not there: %v", err)
		}
		// As an operator writes it, who leaves columns out.
		if _, err := raw(t, url).Exec("INSERT INTO route (targets, priority) VALUES ('smpp:a', 1)"); err != nil {
			t.Fatal(err)
		}
		rules, err = db.Routes(t.Context())
		if err != nil || len(rules) != 2 {
			t.Fatalf("%+v, %v", rules, err)
		}
		if rules[0] != want {
			t.Errorf("read %+v\nwrote %+v", rules[0], want)
		}
		if r := rules[1]; !r.Enabled || r.Targets != "smpp:a" || r.Strategy != "failover" || r.Priority != 1 {
			t.Errorf("a row with defaults: %+v", r)
		}
		if _, err := db.PutRoute(t.Context(), route.Rule{Enabled: true, Targets: "nowhere"}); err != nil {
			t.Fatal(err)
		}
		faults, err := Check(t.Context(), url)
		if err != nil || len(faults) != 1 || faults[0].Path[len(faults[0].Path)-len("].targets"):] != "].targets" {
			t.Errorf("Check: %v, %v", faults, err)
		}
	})
}
