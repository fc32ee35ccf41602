package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sipsmpp/examples/exampletest"
	"sipsmpp/mi"
)

func TestDecide(t *testing.T) {
	file := filepath.Join(t.TempDir(), "routes.csv")
	if err := os.WriteFile(file, []byte("# who goes where\n+49,smpp:sim\n+4930, reject 603\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	routes, err := readRoutes(file)
	if err != nil {
		t.Fatal(err)
	}
	r := exampletest.New(t, "")
	if _, err := r.Client.RouteAdd(t.Context(), mi.RouteAddParams{Targets: "app?, reject 404", Options: []byte(`{"wait":1}`)}); err != nil {
		t.Fatal(err)
	}
	r.Run(func(ctx context.Context) error { return run(ctx, r.URL, routes) })
	send := func(to string) error {
		_, err := r.Client.MessageSend(t.Context(), mi.MessageSendParams{From: "100", To: to, Text: "hi"})
		return err
	}
	for deadline := time.Now().Add(10 * time.Second); send("+4915112345678") != nil; { // until it listens
		if time.Now().After(deadline) {
			t.Fatal("it decides nothing")
		}
	}
	if got := r.Next(); got.To != "4915112345678" {
		t.Errorf("got %+v", got)
	}
	if err := send("+493012345"); !errors.Is(err, mi.ErrForbidden) {
		t.Errorf("what it rejects: %v", err)
	}
	began := time.Now()
	if err := send("+33612345678"); err == nil || time.Since(began) < 900*time.Millisecond {
		t.Errorf("what it does not decide: %v after %s", err, time.Since(began))
	}
}
