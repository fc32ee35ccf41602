package main

import (
	"context"
	"testing"

	"sipsmpp/examples/exampletest"
	"sipsmpp/mi"
)

func TestAutoresponder(t *testing.T) {
	r := exampletest.New(t, "")
	if _, err := r.Client.RouteAdd(t.Context(), mi.RouteAddParams{Targets: "app", ToMatch: "4711"}); err != nil {
		t.Fatal(err)
	}
	r.Run(func(ctx context.Context) error { return run(ctx, r.URL, "4711", "We are open from 9 to 5.") })
	r.Phone("+4915112345678", "4711", "When?", func() bool { return len(r.SMSC.Submits()) > 0 })
	if got := r.Next(); got.To != "4915112345678" || got.From != "4711" || got.Text() != "We are open from 9 to 5." {
		t.Errorf("got %s to %s: %q", got.From, got.To, got.Text())
	}
	// Somebody else gets an answer, the first does not get a second one.
	seen := func() bool {
		for _, s := range r.SMSC.Submits() {
			if s.To == "4915112345679" {
				return true
			}
		}
		return false
	}
	r.Phone("+4915112345679", "4711", "And you?", seen) // messages are answered one after the other: by then the first's all were
	count := 0
	for _, s := range r.SMSC.Submits() {
		if s.To == "4915112345678" {
			count++
		}
	}
	if count != 1 {
		t.Errorf("the first got %d answers", count)
	}
}
