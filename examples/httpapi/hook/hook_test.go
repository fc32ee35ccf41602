package hook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sipsmpp/examples/httpapi/hook"
	"sipsmpp/examples/httpapi/store"
	"sipsmpp/examples/httpapi/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// receiver is a customer's server.
type receiver struct {
	mu     sync.Mutex
	answer func(attempt int) (int, string)
	got    []delivered
}

type delivered struct {
	header http.Header
	query  string
	body   string
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	attempt, _ := strconv.Atoi(q.Header.Get("webhook-attempt"))
	r.mu.Lock()
	r.got = append(r.got, delivered{q.Header, q.URL.RawQuery, string(body)})
	answer := r.answer
	r.mu.Unlock()
	status, text := http.StatusOK, ""
	if answer != nil {
		status, text = answer(attempt)
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

func (r *receiver) deliveries() []delivered {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]delivered(nil), r.got...)
}

func receive(t *testing.T, db *store.DB, number string, from, n int) {
	t.Helper()
	err := db.Write(t.Context(), func(ctx context.Context, tx store.Tx) error {
		for i := range n {
			if _, err := tx.Receive(ctx, store.Incoming{ID: fmt.Sprintf("%s-%d", number, from+i), Sender: "+491", Recipient: number, Body: "hi", Received: 1}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func customer(t *testing.T, db *store.DB, name, url string) store.Customer {
	t.Helper()
	if _, err := db.AddCustomer(t.Context(), store.Customer{Name: name, WebhookURL: url}); err != nil {
		t.Fatal(err)
	}
	c, err := db.CustomerByName(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.SetNumber(t.Context(), c.ID, name); err != nil {
		t.Fatal(err)
	}
	return c
}

func run(t *testing.T, db *store.DB, o hook.Options) (stop func()) {
	t.Helper()
	o.Poll = 5 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		hook.New(db, slog.New(slog.DiscardHandler), o).Run(ctx)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-ended
	})
	t.Cleanup(stop)
	return stop
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come: %s", what)
		}
	}
}

func states(t *testing.T, db *store.DB, s store.HookState) []store.Hook {
	t.Helper()
	list, err := db.Hooks(t.Context(), "", s, "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// A delivery is signed, comes again until it is taken, and says so.
func TestDeliver(t *testing.T) {
	db := storetest.Open(t)
	r := &receiver{answer: func(attempt int) (int, string) {
		if attempt < 3 {
			return http.StatusInternalServerError, "not now"
		}
		return http.StatusNoContent, ""
	}}
	server := httptest.NewServer(r)
	defer server.Close()
	c := customer(t, db, "4711", server.URL)
	receive(t, db, "4711", 0, 1)
	run(t, db, hook.Options{Private: true, Schedule: []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond}})
	eventually(t, "the delivery", func() bool { return len(states(t, db, store.HookDone)) == 1 })
	got := r.deliveries()
	if len(got) != 3 {
		t.Fatalf("%d attempts", len(got))
	}
	for i, d := range got {
		h := d.header
		seconds, _ := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
		if h.Get("webhook-attempt") != strconv.Itoa(i+1) || h.Get("webhook-id") != got[0].header.Get("webhook-id") || h.Get("Content-Type") != "application/json" ||
			h.Get("webhook-signature") != hook.Sign(c.WebhookSecret, h.Get("webhook-id"), time.Unix(seconds, 0), []byte(d.body)) {
			t.Errorf("attempt %d: %v", i+1, h)
		}
	}
	var body struct {
		Type string
		Data store.IncomingView
	}
	if err := json.Unmarshal([]byte(got[0].body), &body); err != nil || body.Type != "message.incoming" || body.Data.Text != "hi" {
		t.Errorf("got %s, %v", got[0].body, err)
	}
}

// The example of the Standard Webhooks specification's libraries.
func TestSign(t *testing.T) {
	got := hook.Sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Why a server is not reached is told, and logged, without the URL, in which numbers and texts may be.
func TestErrorsWithoutURL(t *testing.T) {
	db := storetest.Open(t)
	server := httptest.NewServer(nil)
	server.Close() // nobody listens there
	customer(t, db, "4711", server.URL+"/?text=topsecret")
	receive(t, db, "4711", 0, 1)
	run(t, db, hook.Options{Private: true, Schedule: []time.Duration{}})
	eventually(t, "its death", func() bool { return len(states(t, db, store.HookDead)) == 1 })
	if got := states(t, db, store.HookDead)[0].LastError; !strings.Contains(got, "connection refused") || strings.Contains(got, "topsecret") {
		t.Error(got)
	}
}

// What nobody takes is dead after the last attempt, can be seen, and is made again when it is ordered.
func TestDead(t *testing.T) {
	db := storetest.Open(t)
	r := &receiver{answer: func(int) (int, string) { return http.StatusNotFound, "gone" }}
	server := httptest.NewServer(r)
	defer server.Close()
	c := customer(t, db, "4711", server.URL)
	receive(t, db, "4711", 0, 1)
	run(t, db, hook.Options{Private: true, Schedule: []time.Duration{time.Millisecond}})
	eventually(t, "its death", func() bool { return len(states(t, db, store.HookDead)) == 1 })
	if dead := states(t, db, store.HookDead)[0]; dead.Attempts != 2 || dead.LastError != `it answered 404 Not Found: "gone"` {
		t.Errorf("got %+v", dead)
	}
	r.mu.Lock()
	r.answer = nil
	r.mu.Unlock()
	if _, err := db.RetryHook(t.Context(), c.ID, ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the ordered attempt", func() bool { return len(states(t, db, store.HookDone)) == 1 })
	if got := r.deliveries(); got[len(got)-1].header.Get("webhook-attempt") != "3" {
		t.Errorf("the last has number %s", got[len(got)-1].header.Get("webhook-attempt"))
	}
}

// A server that hangs holds up nobody but its own customer.
func TestSlow(t *testing.T) {
	db := storetest.Open(t)
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer slow.Close()
	defer close(release)
	quick := &receiver{}
	server := httptest.NewServer(quick)
	defer server.Close()
	customer(t, db, "1", slow.URL)
	customer(t, db, "2", server.URL)
	receive(t, db, "1", 0, 500)
	stop := run(t, db, hook.Options{Private: true, Timeout: 2 * time.Second, Parallel: 16})
	receive(t, db, "2", 0, 200)
	eventually(t, "the quick customer's deliveries", func() bool { return len(states(t, db, store.HookDone)) == 200 })
	for _, h := range states(t, db, store.HookPending) {
		if h.Attempts > 1 {
			t.Errorf("an attempt was counted that was not made: %+v", h)
		}
	}
	stop()
}

// What was under way when the process died is made again, and has the number 2.
func TestAfterCrash(t *testing.T) {
	db := storetest.Open(t)
	r := &receiver{}
	server := httptest.NewServer(r)
	defer server.Close()
	customer(t, db, "4711", server.URL)
	receive(t, db, "4711", 0, 1)
	due, err := db.DueHooks(t.Context(), 10, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.TakeHooks(t.Context(), due, time.Millisecond); err != nil { // and then the process dies
		t.Fatal(err)
	}
	run(t, db, hook.Options{Private: true})
	eventually(t, "the delivery", func() bool { return len(states(t, db, store.HookDone)) == 1 })
	if got := r.deliveries(); len(got) != 1 || got[0].header.Get("webhook-attempt") != "2" {
		t.Errorf("got %+v", got)
	}
}

// Jasmin's clients say that they have it by their own word.
func TestJasmin(t *testing.T) {
	db := storetest.Open(t)
	r := &receiver{answer: func(attempt int) (int, string) {
		if attempt == 1 {
			return http.StatusOK, "thank you"
		}
		return http.StatusOK, "ACK/Jasmin\n"
	}}
	server := httptest.NewServer(r)
	defer server.Close()
	c := customer(t, db, "4711", "")
	m := store.Message{Sender: "1", Recipient: "2", Params: "{}", Segments: 1, Callback: store.Callback{Style: "jasmin", URL: server.URL + "/dlr", Mask: 31, Post: true}}
	var id string
	if _, _, err := db.Accept(t.Context(), store.Request{Customer: c, Messages: []store.Message{m}, Answer: func(m []store.Message) ([]byte, error) {
		id = m[0].ID
		return nil, nil
	}}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.End(t.Context(), id, store.Ending{State: store.Delivered, Left: true}); err != nil {
		t.Fatal(err)
	}
	run(t, db, hook.Options{Private: true, Schedule: []time.Duration{time.Millisecond, time.Millisecond}})
	eventually(t, "the delivery", func() bool { return len(states(t, db, store.HookDone)) == 1 })
	got := r.deliveries()
	if len(got) != 2 || !strings.Contains(got[1].body, "message_status=DELIVRD") || got[1].header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Errorf("got %+v", got)
	}
}

// A customer's webhook reaches nothing of ours: neither by its address, nor by DNS, nor by a redirect.
func TestGuard(t *testing.T) {
	for address, want := range map[string]bool{
		"https://example.com/hook": true, "http://93.184.216.34/": true, "http://[2606:2800:220:1::1]/": true,
		"http://127.0.0.1/": false, "http://10.1.2.3/": false, "http://169.254.169.254/latest": false, "http://[::1]/": false, "http://[fd00::1]/": false,
		"http://[::ffff:127.0.0.1]/": false, "http://100.64.0.1/": false, "http://0.0.0.0/": false, "file:///etc/passwd": false, "http://user:pw@example.com/": false,
		"https://": false, "http://192.168.1.1:8888/mi": false, "http://224.0.0.1/": false,
	} {
		if err := hook.CheckURL(address, false); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
	if err := hook.CheckURL("http://127.0.0.1/", false); !errors.Is(err, hook.ErrAddress) {
		t.Errorf("got %v", err)
	}
	db := storetest.Open(t)
	r := &receiver{}
	home := httptest.NewServer(r)
	defer home.Close()
	customer(t, db, "1", strings.Replace(home.URL, "127.0.0.1", "localhost", 1)) // a name that leads home
	receive(t, db, "1", 0, 1)
	stop := run(t, db, hook.Options{Schedule: []time.Duration{}})
	eventually(t, "the refusal", func() bool { return len(states(t, db, store.HookDead)) == 1 })
	stop()
	if dead := states(t, db, store.HookDead)[0]; !strings.Contains(dead.LastError, "may not be called") || len(r.deliveries()) != 0 {
		t.Errorf("got %+v, %d deliveries", dead, len(r.deliveries()))
	}
	redirect := httptest.NewServer(http.RedirectHandler(home.URL, http.StatusTemporaryRedirect))
	defer redirect.Close()
	customer(t, db, "2", redirect.URL)
	receive(t, db, "2", 0, 1)
	run(t, db, hook.Options{Private: true, Schedule: []time.Duration{}})
	eventually(t, "the second refusal", func() bool { return len(states(t, db, store.HookDead)) == 2 })
	if len(r.deliveries()) != 0 {
		t.Error("a redirect was followed")
	}
}
