package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"sipsmpp/examples/exampletest"
	"sipsmpp/examples/httpapi/store"
)

// Kannel itself is the client: its bearerbox sends by our /cgi-bin/sendsms, as by another Kannel, and passes our reports on.
func TestKannelIsClient(t *testing.T) {
	for _, tool := range []string{"bearerbox", "smsbox"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("there is no %s", tool)
		}
	}
	if testing.Short() {
		t.Skip("it starts processes")
	}
	r := exampletest.New(t, "")
	c := defaults()
	c.Listen, c.DB, c.Gateway = "127.0.0.1:0", "sqlite:"+filepath.Join(t.TempDir(), "httpapi.db"), r.URL
	c.Webhooks.Private = true
	db, err := store.Open(t.Context(), c.DB)
	if err != nil {
		t.Fatal(err)
	}
	id, err := db.AddCustomer(t.Context(), store.Customer{Name: "acme", Throughput: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{db.SetLogin(t.Context(), id, "foo", "bar"), db.SetSender(t.Context(), id, "13*", true), db.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	listening := make(chan string, 1)
	r.Run(func(ctx context.Context) error {
		return serve(ctx, c, slog.New(slog.DiscardHandler), func(a net.Addr) { listening <- a.String() })
	})
	told := make(chan string, 100)
	customer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { told <- r.URL.RawQuery }))
	defer customer.Close()

	ports := freePorts(t, 4)
	port := func(i int) string {
		_, p, _ := net.SplitHostPort(ports[i])
		return p
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "kannel.conf")
	text := fmt.Sprintf(`group = core
admin-port = %s
admin-password = x
smsbox-port = %s
dlr-storage = internal
box-allow-ip = 127.0.0.1

group = smsc
smsc = http
smsc-id = up
system-type = kannel
port = %s
connect-allow-ip = 127.0.0.1
smsc-username = foo
smsc-password = bar
send-url = "http://%s/cgi-bin/sendsms"
dlr-url = "http://127.0.0.1:%[3]s/sms?username=foo&password=bar"

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = %[5]s

group = sendsms-user
username = tester
password = foobar
max-messages = 3
concatenation = true

group = sms-service
keyword = default
text = "none"
`, port(0), port(1), port(2), <-listening, port(3))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{"bearerbox", "smsbox"} {
		log, err := os.Create(filepath.Join(dir, tool+".log"))
		if err != nil {
			t.Fatal(err)
		}
		run := exec.Command(tool, conf)
		run.Dir, run.Stdout, run.Stderr = dir, log, log
		if err := run.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = run.Process.Kill() // it may have gone
			_ = run.Wait()
			if said, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
				t.Logf("%s said:\n%s", tool, said[max(0, len(said)-6000):])
			}
		})
		if tool == "bearerbox" {
			awaitListener(t, ports[1]) // smsbox ends where bearerbox does not listen yet
		}
	}

	for _, tt := range []struct{ text, parameters string }{
		{"Hello @ äöü", ""},
		{"Привет €", "&coding=2&charset=UTF-8"},
	} {
		query := url.Values{"username": {"tester"}, "password": {"foobar"}, "from": {"1313"}, "to": {"+4915112345678"}, "text": {tt.text}, "dlr-mask": {"31"},
			"dlr-url": {customer.URL + "/?type=%d"}}
		var answer string
		for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(100 * time.Millisecond) {
			response, err := http.Get("http://127.0.0.1:" + port(3) + "/cgi-bin/sendsms?" + query.Encode() + tt.parameters)
			if err == nil {
				body, _ := io.ReadAll(response.Body)
				_ = response.Body.Close()
				if answer = string(body); response.StatusCode == http.StatusAccepted {
					break
				}
			}
			if time.Now().After(deadline) {
				t.Fatalf("Kannel does not take it: %v %s", err, answer)
			}
		}
		if got := r.Next(); got.Text() != tt.text || got.To != "4915112345678" {
			t.Errorf("the SMSC got %q to %s, want %q", got.Text(), got.To, tt.text)
		}
		for final := false; !final; {
			select {
			case q := <-told:
				final = q == "type=1"
			case <-time.After(15 * time.Second):
				t.Fatalf("Kannel passed no final report on")
			}
		}
	}
}

// awaitListener returns once something takes connections at an address.
func awaitListener(t *testing.T, address string) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing listens: %v", err)
		}
	}
}
