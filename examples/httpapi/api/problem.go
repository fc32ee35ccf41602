package api

import (
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"sipsmpp/examples/httpapi/store"
)

// problem is an error as a customer gets it (RFC 9457). Code is for programs and stays; Detail is for people.
type problem struct {
	Type      string        `json:"type"`
	Title     string        `json:"title"`
	Status    int           `json:"status"`
	Code      string        `json:"code"`
	Detail    string        `json:"detail"`
	Field     string        `json:"field,omitempty"` // of the request, that is wrong
	RequestID string        `json:"request_id"`
	After     time.Duration `json:"-"` // when to try again
}

func (p *problem) Error() string { return p.Detail }

func newProblem(status int, code, detail string) *problem {
	return &problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// badField is a value that is wrong.
func badField(field, detail string) *problem {
	p := newProblem(http.StatusUnprocessableEntity, "bad_value", field+": "+detail)
	p.Field = field
	return p
}

// tooFast is a customer who sends more than it may.
func tooFast(after time.Duration) *problem {
	p := newProblem(http.StatusTooManyRequests, "too_fast", "more messages a second than agreed: wait as Retry-After says")
	p.After = after
	return p
}

// tooOften is somebody whose keys or passwords are wrong.
func tooOften(after time.Duration) *problem {
	p := newProblem(http.StatusTooManyRequests, "too_many_failures", "too many wrong keys or passwords from your address: wait as Retry-After says")
	p.After = after
	return p
}

// problemOf is what a customer is told of an error. Our own faults are logged and not told.
func problemOf(err error, log *slog.Logger) *problem {
	var p *problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, store.ErrNotFound):
		return newProblem(http.StatusNotFound, "not_found", "there is no such thing of yours")
	case errors.Is(err, store.ErrBalance):
		return newProblem(http.StatusPaymentRequired, "balance_too_low", "the balance is too low for this: nothing was sent")
	case errors.Is(err, store.ErrReused):
		return newProblem(http.StatusUnprocessableEntity, "key_reused", "this Idempotency-Key was used for another request: take a new one for each request")
	}
	log.Error("a request failed", "error", err)
	p = newProblem(http.StatusServiceUnavailable, "try_later", "this cannot be done now: try again later")
	p.After = 2 * time.Second
	return p
}

func (p *problem) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/problem+json")
	p.headers(w)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // who asked has gone
}

func (p *problem) headers(w http.ResponseWriter) {
	if p.After > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(p.After.Seconds())))))
	}
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
}
