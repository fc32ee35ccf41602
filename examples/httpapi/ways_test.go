package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sipsmpp/examples/exampletest"
	"sipsmpp/examples/httpapi/store"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/mi"
)

// From HTTP to SMPP and to SIP, and from both to HTTP, through the application as it is served and a whole gateway.
func TestWays(t *testing.T) {
	phone, err := gatewaytest.NewUserAgent("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = phone.Close() })
	r := exampletest.New(t, "sip:"+phone.Addr())
	for _, route := range []mi.RouteAddParams{{Targets: "app", ToMatch: "+4930*"}, {Targets: "sip", ToMatch: "100"}} {
		if _, err := r.Client.RouteAdd(t.Context(), route); err != nil {
			t.Fatal(err)
		}
	}
	hooks := newWebhookLog(t)
	c := defaults()
	c.Listen, c.DB, c.Gateway = "127.0.0.1:0", "sqlite:"+filepath.Join(t.TempDir(), "httpapi.db"), r.URL
	c.Webhooks.Private, c.Webhooks.Retries = true, slices.Repeat([]time.Duration{time.Millisecond}, 20)
	db, err := store.Open(t.Context(), c.DB)
	if err != nil {
		t.Fatal(err)
	}
	id, err := db.AddCustomer(t.Context(), store.Customer{Name: "acme", Balance: 1_000_000, Price: 10_000, Throughput: 100, DefaultSender: "+493012345", WebhookURL: hooks.server.URL})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.SetNumber(t.Context(), id, "+493012345"); err != nil {
		t.Fatal(err)
	}
	key, err := db.AddKey(t.Context(), id, "", store.Rights)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	listening := make(chan string, 1)
	var log bytes.Buffer
	r.Run(func(ctx context.Context) error {
		return serve(ctx, c, slog.New(slog.NewTextHandler(&log, nil)), func(a net.Addr) { listening <- a.String() })
	})
	base := "http://" + <-listening

	post := func(to, text string) string {
		t.Helper()
		body, _ := json.Marshal(map[string]string{"to": to, "text": text})
		request, err := http.NewRequestWithContext(t.Context(), "POST", base+"/v1/messages", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+key)
		request.Header.Set("Content-Type", "application/json")
		id, err := accepted(http.DefaultClient, request)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	eventually := func(what string, condition func() bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("it did not come: %s", what)
			}
		}
	}
	reported := func(id string) func() bool {
		return func() bool {
			reports, _ := hooks.told()
			return len(reports[id]) == 1
		}
	}
	incoming := func(text string) func() bool {
		return func() bool {
			_, incoming := hooks.told()
			return len(incoming[text]) == 1
		}
	}
	const text = "Grüße, 汉字 and 👋"
	r.Phone("+4915112345678", "+493012345", "hello", func() bool { return hooks.count() > 0 }) // SMPP to HTTP; and now it listens

	sms := post("+4915112345678", text) // HTTP to SMPP
	if got := r.Next(); got.Text() != text || got.To != "4915112345678" {
		t.Errorf("the SMSC got %q to %s", got.Text(), got.To)
	}
	eventually("the report of the SMSC", reported(sms))

	call := post("100", text) // HTTP to SIP
	select {
	case got := <-phone.Received():
		if !strings.HasSuffix(got.Text, "\n"+text) && got.Text != text || !strings.HasPrefix(got.To, "sip:100@") {
			t.Errorf("the phone got %+v", got)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the phone got nothing")
	}
	eventually("the report of the phone", reported(call))

	code, err := phone.Send(t.Context(), fmt.Sprintf("sip:+493012345@%s", r.SIP), "100", "from SIP: "+text) // SIP to HTTP
	if err != nil || code != 202 && code != 200 {
		t.Errorf("the phone's message was answered %d, %v", code, err)
	}
	eventually("the phone's message", incoming("from SIP: "+text))

	own := post("+493012345", "to ourselves") // HTTP to HTTP
	eventually("a customer's message to a customer", incoming("to ourselves"))
	eventually("its report", reported(own))
}
