package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sipsmpp/examples/httpapi/store"
	"sipsmpp/examples/httpapi/storetest"
)

// rig is the interface with a customer, and a key for each right.
type rig struct {
	*testing.T
	db       *store.DB
	server   *httptest.Server
	document document
	customer store.Customer
	keys     map[string]string // by their rights
	queued   atomic.Int32
	log      *bytes.Buffer
}

func newRig(t *testing.T) *rig {
	r := &rig{T: t, db: storetest.Open(t), document: readDocument(t), keys: make(map[string]string), log: new(bytes.Buffer)}
	api := New(r.db, slog.New(slog.NewTextHandler(r.log, nil)), func() { r.queued.Add(1) }, Options{MaxRecipients: 100, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	r.server = httptest.NewServer(api.Handler())
	t.Cleanup(r.server.Close)
	r.customer = r.add("acme", "10")
	for _, rights := range []string{"send,read,webhook", "send", "read", "webhook"} {
		r.keys[rights] = r.key(r.customer, rights)
	}
	return r
}

func (r *rig) add(name, balance string) store.Customer {
	r.Helper()
	amount, err := store.ParseAmount(balance)
	if err != nil {
		r.Fatal(err)
	}
	if _, err := r.db.AddCustomer(r.Context(), store.Customer{Name: name, Balance: amount, Price: 50_000, Throughput: 1000, DefaultSender: "Acme"}); err != nil {
		r.Fatal(err)
	}
	c, err := r.db.CustomerByName(r.Context(), name)
	if err != nil {
		r.Fatal(err)
	}
	return c
}

func (r *rig) key(c store.Customer, rights string) string {
	r.Helper()
	may, err := store.ParseRights(rights)
	if err != nil {
		r.Fatal(err)
	}
	key, err := r.db.AddKey(r.Context(), c.ID, "", may)
	if err != nil {
		r.Fatal(err)
	}
	return key
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	return v
}

// call makes a request and holds its answer against the OpenAPI document.
func (r *rig) call(method, path, key, body string, headers ...string) answer {
	r.Helper()
	request, err := http.NewRequestWithContext(r.Context(), method, r.server.URL+path, strings.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		r.Fatal(err)
	}
	if err := r.document.check(method, request.URL.Path, response.StatusCode, response.Header, text); err != nil {
		r.Errorf("%s %s answered %d %s, which openapi.yaml does not allow: %v", method, path, response.StatusCode, text, err)
	}
	if response.Header.Get("X-Request-Id") == "" {
		r.Errorf("%s %s: no X-Request-Id", method, path)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}

func (r *rig) balance() string {
	r.Helper()
	c, err := r.db.Customer(r.Context(), r.customer.ID)
	if err != nil {
		r.Fatal(err)
	}
	return c.Balance.String()
}

func (r *rig) messages() []store.Message {
	r.Helper()
	list, err := r.db.Messages(r.Context(), r.customer.ID, store.Page{Limit: 1000})
	if err != nil {
		r.Fatal(err)
	}
	return list
}

const all = "send,read,webhook"

func TestSend(t *testing.T) {
	r := newRig(t)
	got := r.call("POST", "/v1/messages", r.keys[all], `{"to":["+4915112345678","100"],"text":"Grüße 👋","ref":"r1"}`)
	if got.status != http.StatusAccepted || r.queued.Load() != 1 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	v := got.json(t)
	first := v["messages"].([]any)[0].(map[string]any)
	if v["price"] != "0.10" || first["to"] != "+4915112345678" || first["from"] != "Acme" || first["state"] != "queued" || first["ref"] != "r1" {
		t.Errorf("got %s", got.body)
	}
	if b := r.call("GET", "/v1/balance", r.keys[all], ""); b.json(t)["balance"] != "9.90" {
		t.Errorf("balance %s", b.body)
	}
	id := first["id"].(string)
	if m := r.call("GET", "/v1/messages/"+id, r.keys["read"], ""); m.status != http.StatusOK || m.json(t)["text"] != "Grüße 👋" {
		t.Errorf("%d %s", m.status, m.body)
	}
	page := r.call("GET", "/v1/messages?limit=1", r.keys[all], "").json(t)
	second := r.call("GET", "/v1/messages?limit=1&before="+page["next"].(string), r.keys[all], "").json(t)
	third := r.call("GET", "/v1/messages?limit=1&before="+second["next"].(string), r.keys[all], "").json(t)
	if len(second["messages"].([]any)) != 1 || len(third["messages"].([]any)) != 0 || third["next"] != "" {
		t.Errorf("pages %v %v %v", page, second, third)
	}
	if l := r.call("GET", "/v1/messages?to=100&state=queued", r.keys[all], "").json(t); len(l["messages"].([]any)) != 1 {
		t.Errorf("filtered: %v", l)
	}
}

func TestSchedule(t *testing.T) {
	r := newRig(t)
	at := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	got := r.call("POST", "/v1/messages", r.keys[all], `{"to":"+491","text":"later","send_at":"`+at+`"}`).json(t)
	m := got["messages"].([]any)[0].(map[string]any)
	if m["state"] != "scheduled" || m["send_at"] == nil {
		t.Errorf("got %v", m)
	}
	path := "/v1/messages/" + m["id"].(string)
	if got := r.call("DELETE", path, r.keys["send"], ""); got.status != http.StatusOK || got.json(t)["state"] != "canceled" || r.balance() != "10.00" {
		t.Errorf("%d %s, balance %s", got.status, got.body, r.balance())
	}
	if got := r.call("DELETE", path, r.keys["send"], ""); got.status != http.StatusConflict {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestIdempotencyKey(t *testing.T) {
	r := newRig(t)
	const body = `{"to":"+491","text":"once"}`
	first := r.call("POST", "/v1/messages", r.keys[all], body, "Idempotency-Key", "k")
	again := r.call("POST", "/v1/messages", r.keys[all], body, "Idempotency-Key", "k")
	if first.status != http.StatusAccepted || again.status != http.StatusAccepted || first.body != again.body || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%+v\n%+v", first, again)
	}
	if len(r.messages()) != 1 || r.balance() != "9.95" {
		t.Errorf("%d messages, balance %s", len(r.messages()), r.balance())
	}
	if other := r.call("POST", "/v1/messages", r.keys[all], `{"to":"+492","text":"once"}`, "Idempotency-Key", "k"); other.status != http.StatusUnprocessableEntity || other.json(t)["code"] != "key_reused" {
		t.Errorf("%+v", other)
	}
}

// What is refused says why, and changes nothing.
func TestRefused(t *testing.T) {
	r := newRig(t)
	many := `["+491"` + strings.Repeat(`,"+491"`, 100) + `]`
	for _, tt := range []struct {
		name, method, path, key, body string
		status                        int
		code                          string
	}{
		{"no key", "POST", "/v1/messages", "", `{"to":"+491","text":"x"}`, 401, "no_key"},
		{"wrong key", "POST", "/v1/messages", "sk_wrong", `{"to":"+491","text":"x"}`, 401, "wrong_key"},
		{"a key that may not send", "POST", "/v1/messages", "read", `{"to":"+491","text":"x"}`, 403, "no_right"},
		{"a key that may not cancel", "DELETE", "/v1/messages/x", "read", "", 403, "no_right"},
		{"a key that may not read", "GET", "/v1/messages", "send", "", 403, "no_right"},
		{"a key that may not set", "PUT", "/v1/webhook", "send", `{"url":"https://example.com/"}`, 403, "no_right"},
		{"another's sender", "POST", "/v1/messages", all, `{"from":"Bank","to":"+491","text":"x"}`, 403, "sender_not_allowed"},
		{"no balance", "POST", "/v1/messages", all, `{"to":"+491","text":"` + strings.Repeat("a", 1500) + `"}`, 202, ""}, // ten segments: the balance is 9.50 now
		{"no recipient", "POST", "/v1/messages", all, `{"text":"x"}`, 422, "bad_value"},
		{"too many", "POST", "/v1/messages", all, `{"to":` + many + `,"text":"x"}`, 422, "bad_value"},
		{"no number", "POST", "/v1/messages", all, `{"to":"+49 151","text":"x"}`, 422, "bad_value"},
		{"no text", "POST", "/v1/messages", all, `{"to":"+491"}`, 422, "bad_value"},
		{"text and data", "POST", "/v1/messages", all, `{"to":"+491","text":"x","data":"00"}`, 422, "bad_value"},
		{"too long", "POST", "/v1/messages", all, `{"to":"+491","text":"` + strings.Repeat("a", 1531) + `"}`, 422, "bad_value"},
		{"bad coding", "POST", "/v1/messages", all, `{"to":"+491","text":"x","coding":"klingon"}`, 422, "bad_value"},
		{"bad class", "POST", "/v1/messages", all, `{"to":"+491","text":"x","class":4}`, 422, "bad_value"},
		{"bad type", "POST", "/v1/messages", all, `{"to":"+491","text":7}`, 422, "bad_value"},
		{"too far ahead", "POST", "/v1/messages", all, `{"to":"+491","text":"x","send_at":"2126-01-01T00:00:00Z"}`, 422, "bad_value"},
		{"unknown field", "POST", "/v1/messages", all, `{"to":"+491","text":"x","colour":"red"}`, 400, "not_json"},
		{"no JSON", "POST", "/v1/messages", all, `{"to":`, 400, "not_json"},
		{"two objects", "POST", "/v1/messages", all, `{"to":"+491","text":"x"}{}`, 400, "not_json"},
		{"too large", "POST", "/v1/messages", all, `{"to":"+491","text":"` + strings.Repeat("a", maxBody) + `"}`, 413, "too_large"},
		{"unknown message", "GET", "/v1/messages/x", all, "", 404, "not_found"},
		{"unknown delivery", "POST", "/v1/webhook/deliveries/x/retry", all, "", 404, "not_found"},
		{"bad limit", "GET", "/v1/messages?limit=0", all, "", 422, "bad_value"},
		{"bad state", "GET", "/v1/messages?state=x", all, "", 422, "bad_value"},
		{"a webhook at home", "PUT", "/v1/webhook", all, `{"url":"http://127.0.0.1/"}`, 422, "bad_value"},
		{"a webhook in the cloud's own network", "PUT", "/v1/webhook", all, `{"url":"http://169.254.169.254/"}`, 422, "bad_value"},
		{"no webhook", "PUT", "/v1/webhook", all, `{"url":"ftp://example.com/"}`, 422, "bad_value"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			balance, count := r.balance(), len(r.messages())
			key := r.keys[tt.key]
			if key == "" {
				key = tt.key
			}
			got := r.call(tt.method, tt.path, key, tt.body)
			if got.status != tt.status {
				t.Fatalf("%d %s", got.status, got.body)
			}
			if tt.code == "" {
				return
			}
			v := got.json(t)
			if v["code"] != tt.code || v["request_id"] != got.header.Get("X-Request-Id") || v["detail"] == "" {
				t.Errorf("got %s", got.body)
			}
			if r.balance() != balance || len(r.messages()) != count {
				t.Error("something was changed")
			}
		})
	}
	if got := r.call("GET", "/v1/nothing", r.keys[all], ""); got.status != 404 {
		t.Errorf("%+v", got)
	}
	if got := r.call("PATCH", "/v1/messages", r.keys[all], ""); got.status != 405 || got.header.Get("Allow") != "GET, POST" {
		t.Errorf("%+v", got)
	}
	if got := r.call("POST", "/v1/messages", r.keys[all], "x", "Content-Type", "text/plain"); got.status != 415 {
		t.Errorf("%+v", got)
	}
}

func TestBalanceTooLow(t *testing.T) {
	r := newRig(t)
	poor := r.key(r.add("poor", "0.05"), all)
	for i, want := range []int{202, 402, 402} {
		if got := r.call("POST", "/v1/messages", poor, `{"to":"+491","text":"x"}`); got.status != want {
			t.Errorf("%d: %d %s", i, got.status, got.body)
		}
	}
}

func TestTooFast(t *testing.T) {
	r := newRig(t)
	c := r.add("slow", "1")
	c.Throughput = 2
	if err := r.db.SetCustomer(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	key := r.key(c, all)
	statuses := make(map[int]int)
	for range 5 {
		got := r.call("POST", "/v1/messages", key, `{"to":"+491","text":"x"}`)
		if statuses[got.status]++; got.status == 429 && got.header.Get("Retry-After") != "1" {
			t.Errorf("Retry-After: %q", got.header.Get("Retry-After"))
		}
	}
	if statuses[202] < 2 || statuses[429] < 2 {
		t.Errorf("got %v", statuses)
	}
}

// Who guesses keys or passwords waits, and so does nobody else: neither who is known, nor who comes from elsewhere by the same proxy.
func TestGuessing(t *testing.T) {
	r := doors(t)
	const login = "/send?username=foo&password=bar&to=1&content=x"
	if got := r.call("GET", login, "", ""); got.status != 200 {
		t.Fatalf("%+v", got)
	}
	last := 0
	for range failureBurst + 2 {
		last = r.call("GET", "/v1/balance", "sk_guess", "", "X-Forwarded-For", "203.0.113.7").status
	}
	if last != 429 {
		t.Errorf("the last guess was answered %d", last)
	}
	for _, tt := range []struct {
		path, key, from string
		want            int
	}{
		{"/v1/balance", r.keys[all], "203.0.113.7", 200},
		{"/v1/balance", "sk_guess", "203.0.113.8", 401},
		{"/v1/balance", "sk_guess", "203.0.113.8, 203.0.113.7", 429}, // what it says before our proxy's word is nobody's
		{login, "", "203.0.113.7", 200},
		{"/send?username=foo&password=guess&to=1&content=x", "", "203.0.113.7", 403}, // Jasmin's own 403, at once
	} {
		if got := r.call("GET", tt.path, tt.key, "", "X-Forwarded-For", tt.from); got.status != tt.want {
			t.Errorf("%s from %s: %+v", tt.path, tt.from, got)
		}
	}
}

// A message of another customer is not to be seen, and its number not to be had.
func TestOthers(t *testing.T) {
	r := newRig(t)
	other := r.key(r.add("other", "1"), all)
	id := r.call("POST", "/v1/messages", r.keys[all], `{"to":"+491","text":"secret"}`).json(t)["messages"].([]any)[0].(map[string]any)["id"].(string)
	for _, method := range []string{"GET", "DELETE"} {
		if got := r.call(method, "/v1/messages/"+id, other, ""); got.status != 404 {
			t.Errorf("%s: %+v", method, got)
		}
	}
	if got := r.call("GET", "/v1/messages", other, "").json(t); len(got["messages"].([]any)) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestWebhookSettings(t *testing.T) {
	r := newRig(t)
	first := r.call("PUT", "/v1/webhook", r.keys["webhook"], `{"url":"https://example.com/hook"}`).json(t)
	renewed := r.call("PUT", "/v1/webhook", r.keys["webhook"], `{"url":"https://example.com/hook","renew_secret":true}`).json(t)
	now := r.call("GET", "/v1/webhook", r.keys["webhook"], "").json(t)
	if !strings.HasPrefix(fmt.Sprint(first["secret"]), "whsec_") || first["secret"] == renewed["secret"] || now["secret"] != renewed["secret"] || now["url"] != "https://example.com/hook" {
		t.Errorf("%v\n%v\n%v", first, renewed, now)
	}
	if got := r.call("GET", "/v1/webhook/deliveries?state=pending", r.keys["webhook"], ""); got.status != 200 {
		t.Errorf("%+v", got)
	}
	if got := r.call("GET", "/v1/incoming", r.keys["read"], ""); got.status != 200 {
		t.Errorf("%+v", got)
	}
}

// Neither keys nor what messages say nor numbers are logged.
func TestLog(t *testing.T) {
	r := newRig(t)
	r.call("POST", "/v1/messages", r.keys[all], `{"to":"+4915112345678","text":"topsecret"}`, "X-Request-Id", "mine-1")
	r.call("GET", "/send?username=u&password=topsecret&to=1&content=x", "", "")
	r.server.Close()
	for _, secret := range []string{"topsecret", "15112345678", r.keys[all]} {
		if strings.Contains(r.log.String(), secret) {
			t.Errorf("%q is in the log:\n%s", secret, r.log)
		}
	}
	if !strings.Contains(r.log.String(), "request=mine-1 method=POST path=/v1/messages status=202") {
		t.Errorf("the log is\n%s", r.log)
	}
}

// BenchmarkPost is what a customer's request costs, with many at a time as it is meant to be.
func BenchmarkPost(b *testing.B) {
	db := storetest.Open(b)
	if _, err := db.AddCustomer(b.Context(), store.Customer{Name: "acme", Balance: 1 << 50, Price: 50_000, DefaultSender: "Acme"}); err != nil {
		b.Fatal(err)
	}
	c, err := db.CustomerByName(b.Context(), "acme")
	if err != nil {
		b.Fatal(err)
	}
	key, err := db.AddKey(b.Context(), c.ID, "", store.Rights)
	if err != nil {
		b.Fatal(err)
	}
	handler := New(db, slog.New(slog.DiscardHandler), func() {}, Options{}).Handler()
	b.SetParallelism(64)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := httptest.NewRequest("POST", "/v1/messages", strings.NewReader(`{"to":"+4915112345678","text":"hello"}`))
			r.Header.Set("Authorization", "Bearer "+key)
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != http.StatusAccepted {
				b.Errorf("%d %s", w.Code, w.Body)
				return
			}
		}
	})
}
