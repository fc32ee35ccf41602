// Package api is what customers call: the REST interface under /v1, which openapi.yaml describes, and doors for programs that were
// written for Kannel (/cgi-bin/sendsms) and Jasmin (/send, /balance, /rate, /ping).
//
// A request to send is answered when its messages are in the database; nobody waits for the gateway.
package api

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"sipsmpp/examples/httpapi/store"
)

//go:embed openapi.yaml
var openapi []byte

// Options are limits on what customers may ask for. The zero value has defaults.
type Options struct {
	Currency        string         // EUR
	MaxRecipients   int            // of one request; 1000
	MaxSegments     int            // of one message; 10
	PrivateWebhooks bool           // webhooks may be at addresses that are not on the Internet
	Proxies         []netip.Prefix // whose X-Forwarded-For is believed
}

// API serves the customers.
type API struct {
	db      *store.DB
	log     *slog.Logger
	options Options
	queued  func() // is called when something was queued

	throughput limiter // of customers
	failures   limiter // of addresses that came with a wrong key or password
	passwords  passwords
}

// New makes an API; queued is called when there is something to send.
func New(db *store.DB, log *slog.Logger, queued func(), o Options) *API {
	if o.Currency == "" {
		o.Currency = "EUR"
	}
	if o.MaxRecipients <= 0 {
		o.MaxRecipients = 1000
	}
	if o.MaxSegments <= 0 {
		o.MaxSegments = 10
	}
	return &API{db: db, log: log, options: o, queued: queued}
}

// route is one method on one path of the REST interface.
type route struct {
	method, path string
	right        store.Right // that the key must have
	status       int         // of the answer
	handle       func(*API, *request) (any, error)
}

// routes are the REST interface.
var routes = []route{
	{"POST", "/v1/messages", store.MaySend, http.StatusAccepted, (*API).postMessages},
	{"GET", "/v1/messages", store.MayRead, http.StatusOK, (*API).listMessages},
	{"GET", "/v1/messages/{id}", store.MayRead, http.StatusOK, (*API).getMessage},
	{"DELETE", "/v1/messages/{id}", store.MaySend, http.StatusOK, (*API).cancelMessage},
	{"GET", "/v1/incoming", store.MayRead, http.StatusOK, (*API).listIncoming},
	{"GET", "/v1/balance", store.MayRead, http.StatusOK, (*API).getBalance},
	{"GET", "/v1/webhook", store.MayWebhook, http.StatusOK, (*API).getWebhook},
	{"PUT", "/v1/webhook", store.MayWebhook, http.StatusOK, (*API).putWebhook},
	{"GET", "/v1/webhook/deliveries", store.MayWebhook, http.StatusOK, (*API).listDeliveries},
	{"POST", "/v1/webhook/deliveries/{id}/retry", store.MayWebhook, http.StatusAccepted, (*API).retryDelivery},
}

// Handler is the whole interface.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.HandleFunc(r.method+" "+r.path, func(w http.ResponseWriter, hr *http.Request) { a.serve(w, hr, r) })
	}
	mux.HandleFunc("/v1/", func(w http.ResponseWriter, r *http.Request) {
		status, code := http.StatusNotFound, "no_such_path"
		if allowed := allowedOn(mux, r); allowed != "" {
			w.Header().Set("Allow", allowed)
			status, code = http.StatusMethodNotAllowed, "method_not_allowed"
		}
		a.fail(w, r, newProblem(status, code, "the interface is described at /v1/openapi.yaml"))
	})
	mux.HandleFunc("GET /v1/openapi.yaml", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write(openapi) // who asked has gone
	})
	mux.HandleFunc("/cgi-bin/sendsms", a.kannel)
	mux.HandleFunc("/send", a.jasminSend)
	mux.HandleFunc("/rate", a.jasminRate)
	mux.HandleFunc("/balance", a.jasminBalance)
	mux.HandleFunc("/ping", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "Jasmin/PONG") })
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if err := a.db.Ping(ctx); err != nil {
			http.Error(w, "the database does not answer", http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ready\n")
	})
	return a.observe(mux)
}

// allowedOn are the methods that a path has.
func allowedOn(mux *http.ServeMux, r *http.Request) string {
	var methods []string
	for _, m := range []string{"GET", "POST", "PUT", "DELETE"} {
		probe := r.Clone(r.Context())
		probe.Method = m
		if _, pattern := mux.Handler(probe); strings.HasPrefix(pattern, m+" ") {
			methods = append(methods, m)
		}
	}
	return strings.Join(methods, ", ")
}

type contextKey struct{}

// requestID is the id of a request: its own, where it brought a decent one.
func requestID(r *http.Request) string {
	id, _ := r.Context().Value(contextKey{}).(string)
	return id
}

// observe gives each request its id, logs it, and keeps a panic from harming others.
func (a *API) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		id := r.Header.Get("X-Request-Id")
		if id == "" || len(id) > 64 || strings.Trim(id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.") != "" {
			id = rand.Text()
		}
		w.Header().Set("X-Request-Id", id)
		r = r.WithContext(context.WithValue(r.Context(), contextKey{}, id))
		o := &observed{ResponseWriter: w}
		defer func() {
			if fault := recover(); fault != nil {
				if fault == http.ErrAbortHandler {
					panic(fault)
				}
				a.log.Error("a handler panicked", "request", id, "error", fault, "stack", string(debug.Stack()))
				if o.status == 0 {
					a.fail(o, r, newProblem(http.StatusInternalServerError, "our_fault", "this is a fault of ours, and was logged"))
				}
			}
			a.log.Info("request", "request", id, "method", r.Method, "path", r.URL.Path, "status", o.status, "took", time.Since(began).Round(time.Microsecond), "from", a.address(r))
		}()
		next.ServeHTTP(o, r)
	})
}

// observed remembers the status of an answer.
type observed struct {
	http.ResponseWriter
	status int
}

func (o *observed) WriteHeader(status int) {
	if o.status == 0 {
		o.status = status
	}
	o.ResponseWriter.WriteHeader(status)
}

func (o *observed) Write(b []byte) (int, error) {
	if o.status == 0 {
		o.status = http.StatusOK
	}
	return o.ResponseWriter.Write(b)
}

func (o *observed) Unwrap() http.ResponseWriter { return o.ResponseWriter }

// address is the host that a request comes from: the last one in X-Forwarded-For that is none of our own proxies.
func (a *API) address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && a.isProxy(host); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		host = hop.Unmap().String()
	}
	return host
}

func (a *API) isProxy(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && slices.ContainsFunc(a.options.Proxies, func(p netip.Prefix) bool { return p.Contains(ip.Unmap()) })
}

func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := *problemOf(err, a.log.With("request", requestID(r)))
	p.RequestID = requestID(r)
	p.write(w)
}

// request is a request of a customer who is known and may.
type request struct {
	*http.Request
	w        http.ResponseWriter
	customer store.Customer
}

func (a *API) serve(w http.ResponseWriter, hr *http.Request, r route) {
	customer, key, err := a.authenticate(hr)
	if err == nil && !key.May(r.right) {
		err = newProblem(http.StatusForbidden, "no_right", fmt.Sprintf("this key has not the right %q", r.right))
	}
	var result any
	if err == nil {
		result, err = r.handle(a, &request{hr, w, customer})
	}
	if err != nil {
		a.fail(w, hr, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(r.status)
	if raw, ok := result.([]byte); ok {
		_, _ = w.Write(raw) // who asked has gone
		return
	}
	_ = json.NewEncoder(w).Encode(result) // likewise
}

const (
	maxBody      = 1 << 20
	failureRate  = 0.5 // wrong keys or passwords a second from one address; more wait
	failureBurst = 10
)

// authenticate finds the customer of the key that a request brings.
func (a *API) authenticate(r *http.Request) (store.Customer, store.Key, error) {
	key, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !isBearer {
		key = r.Header.Get("X-Api-Key")
	}
	if key == "" {
		return store.Customer{}, store.Key{}, newProblem(http.StatusUnauthorized, "no_key", "an API key is wanted: Authorization: Bearer sk_...")
	}
	c, k, err := a.db.ByKey(r.Context(), key)
	if errors.Is(err, store.ErrNotFound) {
		if wait := a.failures.blocked(a.address(r)); wait > 0 {
			return c, k, tooOften(wait)
		}
		a.failures.failed(a.address(r))
		err = newProblem(http.StatusUnauthorized, "wrong_key", "this API key is not known, was revoked, or is of a customer who is disabled")
	}
	return c, k, err
}

// decode reads a JSON body strictly.
func (r *request) decode(into any) error {
	body, err := r.body()
	if err != nil {
		return err
	}
	return decode(body, into)
}

func (r *request) body() ([]byte, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, newProblem(http.StatusUnsupportedMediaType, "not_json", "want Content-Type: application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(r.w, r.Body, maxBody))
	if large := new(http.MaxBytesError); errors.As(err, &large) {
		return nil, newProblem(http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("the most is %d octets", large.Limit))
	}
	if err != nil {
		return nil, newProblem(http.StatusBadRequest, "not_read", "the body did not come whole")
	}
	return body, nil
}

func decode(body []byte, into any) error {
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil && d.More() {
		err = errors.New("there is something behind the object")
	}
	var p *problem
	var typed *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &p):
		return p
	case errors.As(err, &typed) && typed.Field != "":
		return badField(typed.Field, "want "+typed.Type.String()+", not a "+typed.Value)
	}
	return newProblem(http.StatusBadRequest, "not_json", strings.TrimPrefix(err.Error(), "json: "))
}
