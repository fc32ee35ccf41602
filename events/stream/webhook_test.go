package stream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sipsmpp/events"
	"sipsmpp/gateway"
)

const testSecret = "0123456789abcdef"

// receiver is what takes a webhook's requests.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	status   int // of its answers
	header   http.Header
	requests int
	got      []int // attempts, as they were taken
	heads    []http.Header
	faults   []string
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{status: http.StatusNoContent}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	if err != nil || q.Method != http.MethodPost || q.Header.Get("Content-Type") != "application/json" {
		r.faults = append(r.faults, fmt.Sprint(q.Method, q.Header, err))
	}
	if want := "sha256=" + Signature(testSecret, q.Header.Get("Sipsmpp-Timestamp"), body); q.Header.Get("Sipsmpp-Signature") != want {
		r.faults = append(r.faults, "signature "+q.Header.Get("Sipsmpp-Signature"))
	}
	var list []json.RawMessage
	if err := json.Unmarshal(body, &list); err != nil || len(list) > webhookBatch {
		r.faults = append(r.faults, fmt.Sprintf("%d events, %v", len(list), err))
	}
	var last uint64
	if r.status < 300 {
		for _, one := range list {
			n, err := events.Parse(one)
			if err != nil {
				r.faults = append(r.faults, err.Error())
			}
			last = n.Seq
			if d, ok := n.Event.(events.MessageDeferred); ok {
				r.got = append(r.got, d.Attempt)
			}
		}
		if q.Header.Get("Sipsmpp-Seq") != fmt.Sprint(last) {
			r.faults = append(r.faults, "seq "+q.Header.Get("Sipsmpp-Seq"))
		}
		r.heads = append(r.heads, q.Header)
	}
	for name, values := range r.header {
		w.Header()[name] = values
	}
	w.WriteHeader(r.status)
	_, _ = io.WriteString(w, "an answer")
}

func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

// await waits until the receiver is as it should be.
func (r *receiver) await(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		r.mu.Lock()
		ok, got, faults := is(), fmt.Sprint(r.got), r.faults
		r.mu.Unlock()
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		if ok {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("never: %s; got %.200s", what, got)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func anywhere(string) error { return nil }

func numbers(n int) string {
	list := make([]int, n)
	for i := range list {
		list[i] = i + 1
	}
	return fmt.Sprint(list)
}

// A receiver that is down, refuses, and comes back gets everything in order; so does it over a restart of the gateway.
func TestWebhook(t *testing.T) {
	db := filepath.Join(t.TempDir(), "test.db")
	r := newReceiver(t)
	spec := events.Spec{Name: "crm", URL: r.URL + "/hooks", Secret: testSecret}
	spec.Filter, _ = events.ParseFilter("E_MESSAGE_*")
	var g *gateway.Gateway
	publish := func(from, to int) {
		for i := from; i <= to; i++ {
			g.Events().Publish(events.MessageDeferred{Attempt: i})
			g.Events().Publish(events.Unthrottled{})
		}
	}
	t.Run("first", func(t *testing.T) {
		g, _ = durableGateway(t, db)
		w := NewWebhooks(g.Durables(), anywhere, slog.New(slog.DiscardHandler))
		t.Cleanup(w.Close)
		if err := w.Subscribe(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
		publish(1, 1)
		r.await(t, "the first", func() bool { return fmt.Sprint(r.got) == "[1]" })
		h := r.heads[0]
		if h.Get("Sipsmpp-Event") != "E_MESSAGE_DEFERRED" || h.Get("Sipsmpp-Subscription") != "crm" {
			t.Errorf("%v", h)
		}
		r.answer(http.StatusInternalServerError)
		publish(2, 250)
		before := r.requests
		r.await(t, "a refusal", func() bool { return r.requests > before })
		d, _ := g.Durables().Find("crm")
		r.await(t, "the error is seen", func() bool {
			i, err := d.Info(t.Context())
			return err == nil && i.LastError == "it answered 500 Internal Server Error" && !i.RetryAt.IsZero() && i.Waiting == 249 && i.Secret == ""
		})
	})
	t.Run("second", func(t *testing.T) {
		g, _ = durableGateway(t, db)
		r.answer(http.StatusOK)
		w := NewWebhooks(g.Durables(), anywhere, slog.New(slog.DiscardHandler))
		t.Cleanup(w.Close)
		r.await(t, "the rest", func() bool { return fmt.Sprint(r.got) == numbers(250) })
		publish(251, 300)
		r.await(t, "new ones", func() bool { return fmt.Sprint(r.got) == numbers(300) })
		d, _ := g.Durables().Find("crm")
		r.await(t, "nothing waits", func() bool {
			i, err := d.Info(t.Context())
			return err == nil && i.Waiting == 0 && i.LastError == ""
		})
		if err := g.Durables().Delete(t.Context(), "crm"); err != nil {
			t.Fatal(err)
		}
		publish(301, 301)
		w.wait.Wait() // its goroutines are gone
		if r.await(t, "it is ended", func() bool { return fmt.Sprint(r.got) == numbers(300) }); len(w.served) > 0 {
			t.Error("it is still served")
		}
	})
}

// Where a redirect leads was not allowed, so it is not followed; nor is a URL that is not allowed any more.
func TestWebhookGoesNowhereElse(t *testing.T) {
	g, _ := durableGateway(t, filepath.Join(t.TempDir(), "test.db"))
	r, other := newReceiver(t), newReceiver(t)
	r.status, r.header = http.StatusTemporaryRedirect, http.Header{"Location": {other.URL}}
	var mu sync.Mutex
	var refusal error
	w := NewWebhooks(g.Durables(), func(string) error {
		mu.Lock()
		defer mu.Unlock()
		return refusal
	}, slog.New(slog.DiscardHandler))
	t.Cleanup(w.Close)
	if err := w.Subscribe(t.Context(), events.Spec{Name: "crm", URL: r.URL, Secret: "short"}); !errors.Is(err, ErrWebhookSecret) {
		t.Errorf("a short secret: %v", err)
	}
	if err := w.Subscribe(t.Context(), events.Spec{Name: "crm", URL: r.URL, Secret: testSecret}); err != nil {
		t.Fatal(err)
	}
	g.Events().Publish(events.MessageDeferred{Attempt: 1})
	d, _ := g.Durables().Find("crm")
	r.await(t, "the redirect is seen", func() bool {
		i, err := d.Info(t.Context())
		return err == nil && strings.Contains(i.LastError, "redirects are not followed")
	})
	mu.Lock()
	refusal = errors.New("it is not allowed any more")
	mu.Unlock()
	r.await(t, "the refusal is seen", func() bool {
		i, err := d.Info(t.Context())
		return err == nil && i.LastError == refusal.Error()
	})
	if other.requests > 0 {
		t.Error("the redirect was followed")
	}
	if err := w.Subscribe(t.Context(), events.Spec{Name: "new", URL: r.URL, Secret: testSecret}); !errors.Is(err, refusal) {
		t.Errorf("made though it is not allowed: %v", err)
	}
}

// Why a receiver is not reached is told without what stands in the query of its URL.
func TestWebhookErrorsKeepSecrets(t *testing.T) {
	g, _ := durableGateway(t, filepath.Join(t.TempDir(), "test.db"))
	r := newReceiver(t)
	r.Close() // nobody listens there
	var log bytes.Buffer
	w := NewWebhooks(g.Durables(), anywhere, slog.New(slog.NewTextHandler(&log, nil)))
	if err := w.Subscribe(t.Context(), events.Spec{Name: "crm", URL: r.URL + "/hooks?key=hidden", Secret: testSecret}); err != nil {
		t.Fatal(err)
	}
	g.Events().Publish(events.MessageDeferred{Attempt: 1})
	d, _ := g.Durables().Find("crm")
	r.await(t, "the error is seen", func() bool {
		i, err := d.Info(t.Context())
		return err == nil && strings.Contains(i.LastError, "connection refused") && !strings.Contains(i.LastError, "hidden")
	})
	w.Close()
	if !strings.Contains(log.String(), "connection refused") || strings.Contains(log.String(), "hidden") {
		t.Errorf("the log is\n%s", &log)
	}
}

// As printf '1700000000.[]' | openssl dgst -sha256 -hmac 0123456789abcdef says it.
func TestSignature(t *testing.T) {
	if got := Signature(testSecret, "1700000000", []byte("[]")); got != "c91545d09b999c13267144ab89f40da36c784c2397a9684263e82122a502a910" {
		t.Error(got)
	}
}
