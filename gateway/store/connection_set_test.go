package store

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"sipsmpp/gateway/sms"
)

func TestAddAndSetConnection(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		want := NewConnection("acme", "smsc.example", 2775)
		want.Window, want.TLS, want.Receipt = 5, true, sms.ReceiptFinal
		got, err := db.AddConnection(t.Context(), map[string]string{
			"name": "acme", "ip": "smsc.example", "port": "2775", "window": "5", "tls": "true", "options": `{"receipt": "true"}`,
		})
		if err != nil || got != want {
			t.Fatalf("%+v, %v", got, err)
		}
		if _, err := db.AddConnection(t.Context(), map[string]string{"name": "acme", "ip": "h", "port": "1"}); !errors.Is(err, ErrConnectionExists) {
			t.Errorf("added twice: %v", err)
		}
		want.Window, want.SystemID = 9, "me"
		if got, err = db.SetConnection(t.Context(), "acme", map[string]string{"window": "9", "system_id": "me"}); err != nil || got != want {
			t.Errorf("%+v, %v", got, err)
		}
		var faults *ConnectionFaultsError
		for _, values := range []map[string]string{{"window": "0", "port": "x"}, {"name": "other", "ip": ""}} {
			if _, err := db.SetConnection(t.Context(), "acme", values); !errors.As(err, &faults) || len(faults.Faults) != 2 {
				t.Errorf("%v: %v", values, err)
			}
		}
		if _, err := db.SetConnection(t.Context(), "nobody", map[string]string{"window": "1"}); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v", err)
		}
		if good, bad, err := db.Connections(t.Context()); err != nil || len(bad) > 0 || !slices.Equal(good, []sms.ConnectionConfig{want}) {
			t.Errorf("%+v, %v, %v", good, bad, err)
		}
	})
}

func TestAddToOpenSIPSTable(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		kind, _, _ := strings.Cut(url, ":")
		pool := raw(t, url)
		for _, query := range openSIPS[kind].create {
			if _, err := pool.Exec(query); err != nil {
				t.Fatal(err)
			}
		}
		db := open(t, url)
		got, err := db.AddConnection(t.Context(), map[string]string{"name": "acme", "ip": "smsc.example", "port": "2775"})
		if want := NewConnection("acme", "smsc.example", 2775); err != nil || got != want {
			t.Fatalf("%+v, %v", got, err)
		}
		var missing *MissingColumnError
		if _, err := db.SetConnection(t.Context(), "acme", map[string]string{"window": "10"}); !errors.As(err, &missing) || missing.Column != "window" {
			t.Errorf("%v", err)
		}
		if got, err = db.SetConnection(t.Context(), "acme", map[string]string{"src_ton": "5"}); err != nil || got.SourceTON != 5 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}
