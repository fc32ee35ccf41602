package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"unicode/utf8"

	"sipsmpp/mi"
)

// Limits on what one request may be. What is beyond them gets an error that says so.
const (
	maxBody  = 1 << 20 // octets of a request or a batch, unless mi.max_body says otherwise
	maxBatch = 100     // requests in a batch
	maxDepth = 32      // of nested arrays and objects
	maxID    = 256     // octets of an id
)

// handler does one call. reply is called exactly once, by any goroutine, at any time; what is called with it must not be changed
// any more.
type handler func(ctx context.Context, params json.RawMessage, reply func(result any, err error))

// dispatcher answers requests whatever transport brought them.
type dispatcher struct {
	log     *slog.Logger
	methods map[string]handler
	calls   atomic.Uint64
	// audited makes a reply tell of what changed.
	audited func(context.Context, *mi.Declaration, json.RawMessage, func(any, error)) func(any, error)
}

// answer is what a request, or a batch of them, is answered with. It is encoded by the transport, in its own time.
type answer struct {
	silent bool            // a notification, or a batch of them: nothing is sent
	id     json.RawMessage // as it came
	result any
	err    *mi.Error
	batch  []answer // of a batch, in the order of the requests
}

// register makes a method served: to those who may call it, and told of where it changed something.
func (d *dispatcher) register(declaration *mi.Declaration, h handler) {
	d.methods[declaration.Name] = func(ctx context.Context, raw json.RawMessage, reply func(any, error)) {
		if refusal := allowed(ctx, declaration, raw); refusal != nil {
			reply(nil, refusal)
			return
		}
		h(ctx, raw, d.audited(ctx, declaration, raw, reply))
	}
}

// serve registers a method that needs no more than memory.
func serve[P, R any](d *dispatcher, m mi.Method[P, R], f func(context.Context, P) (R, error)) {
	d.register(m.Declaration, func(ctx context.Context, raw json.RawMessage, reply func(any, error)) {
		params, fault := m.Decode(raw)
		if fault != nil {
			reply(nil, fault)
			return
		}
		result, err := f(ctx, params)
		reply(result, err)
	})
}

// serveSlow registers a method that waits for the database: it must not hold up the connection that asks.
func serveSlow[P, R any](d *dispatcher, m mi.Method[P, R], f func(context.Context, P) (R, error)) {
	d.register(m.Declaration, func(ctx context.Context, raw json.RawMessage, reply func(any, error)) {
		params, fault := m.Decode(raw)
		if fault != nil {
			reply(nil, fault)
			return
		}
		go func() {
			defer d.recovered(m.Name, reply)
			result, err := f(ctx, params)
			reply(result, err)
		}()
	})
}

// serveLater registers a method that is finished by whoever calls its reply.
func serveLater[P, R any](d *dispatcher, m mi.Method[P, R], f func(context.Context, P, func(R, error))) {
	d.register(m.Declaration, func(ctx context.Context, raw json.RawMessage, reply func(any, error)) {
		params, fault := m.Decode(raw)
		if fault != nil {
			reply(nil, fault)
			return
		}
		f(ctx, params, func(result R, err error) { reply(result, err) })
	})
}

// recovered answers a call whose method panicked. It is deferred.
func (d *dispatcher) recovered(method string, reply func(any, error)) {
	if cause := recover(); cause != nil {
		d.log.Error("a method of the MI panicked", "method", method, "panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
		reply(nil, mi.NewError(mi.CodeInternal, "Internal error", nil))
	}
}

// dispatch answers one request or one batch. reply is called exactly once, by any goroutine, possibly before dispatch returns;
// it must not block. The requests of a batch are begun in their order.
func (d *dispatcher) dispatch(ctx context.Context, body []byte, reply func(answer)) {
	body = bytes.TrimSpace(body)
	if !json.Valid(body) || !utf8.Valid(body) {
		reply(answer{err: mi.NewError(mi.CodeParse, "Parse error", "the request is no JSON in UTF-8")})
		return
	}
	if tooDeep(body) {
		reply(answer{err: invalidRequest("nested deeper than %d", maxDepth)})
		return
	}
	if body[0] != '[' {
		d.request(ctx, body, reply)
		return
	}
	var requests []json.RawMessage
	if err := json.Unmarshal(body, &requests); err != nil {
		reply(answer{err: invalidRequest("%s", err)})
		return
	}
	switch n := len(requests); {
	case n == 0:
		reply(answer{err: invalidRequest("an empty batch")})
	case n > maxBatch:
		reply(answer{err: invalidRequest("a batch may have %d requests, this one has %d", maxBatch, n)})
	default:
		d.all(ctx, requests, reply)
	}
}

// all begins the requests of a batch and replies once they are all answered.
func (d *dispatcher) all(ctx context.Context, requests []json.RawMessage, reply func(answer)) {
	whole := answer{silent: true, batch: make([]answer, len(requests))}
	var open atomic.Int64
	open.Store(int64(len(requests)))
	for i, r := range requests {
		d.request(ctx, r, func(a answer) {
			whole.batch[i] = a
			if open.Add(-1) > 0 {
				return
			}
			for _, a := range whole.batch {
				whole.silent = whole.silent && a.silent
			}
			reply(whole)
		})
	}
}

// request answers one request, which is valid JSON.
func (d *dispatcher) request(ctx context.Context, body json.RawMessage, reply func(answer)) {
	// A map and not a struct: names are compared exactly, and an id that is null is told from one that is absent.
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		reply(answer{err: invalidRequest("want an object")})
		return
	}
	id, isCall := members["id"]
	var version, method string
	switch {
	case isCall && (len(id) > maxID || id[0] == '{' || id[0] == '[' || id[0] == 't' || id[0] == 'f'):
		reply(answer{err: invalidRequest("id: want a string, a number or null, %d octets at most", maxID)})
		return
	case json.Unmarshal(members["jsonrpc"], &version) != nil || version != "2.0":
		reply(answer{id: id, err: invalidRequest(`jsonrpc: want "2.0"`)})
		return
	case members["method"] == nil || members["method"][0] != '"' || json.Unmarshal(members["method"], &method) != nil:
		reply(answer{id: id, err: invalidRequest("method: want a string")})
		return
	}
	if p := members["params"]; p != nil && p[0] != '{' && p[0] != '[' && p[0] != 'n' {
		reply(answer{id: id, err: invalidRequest("params: want an object or an array")})
		return
	}
	var replied atomic.Bool
	finish := func(result any, err error) {
		if replied.Swap(true) {
			return // it panicked after it had replied
		}
		a := answer{silent: !isCall, id: id}
		if err != nil {
			a.err = asError(err)
		} else {
			a.result = result
		}
		reply(a)
	}
	h, ok := d.methods[method]
	if declared, known := mi.Lookup(method); !ok && known { // by another name
		h, ok = d.methods[declared.Name]
	}
	if !ok {
		finish(nil, mi.NewError(mi.CodeMethodNotFound, "Method not found", "which lists the methods"))
		return
	}
	d.calls.Add(1)
	defer d.recovered(method, finish)
	h(ctx, members["params"], finish)
}

func invalidRequest(format string, args ...any) *mi.Error {
	return mi.NewError(mi.CodeInvalidRequest, "Invalid Request", fmt.Sprintf(format, args...))
}

// asError makes an error that a method returned one of the MI.
func asError(err error) *mi.Error {
	var e *mi.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return mi.NewError(mi.CodeNotNow, "it took too long, or was given up: try again", nil)
	}
	return mi.NewError(mi.CodeFailed, err.Error(), nil)
}

// tooDeep says that valid JSON is nested deeper than maxDepth.
func tooDeep(body []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted:
			if c == '\\' {
				i++
			}
			quoted = c != '"'
		case c == '"':
			quoted = true
		case c == '[', c == '{':
			if depth++; depth > maxDepth {
				return true
			}
		case c == ']', c == '}':
			depth--
		}
	}
	return false
}

// encode appends the answer as JSON. A silent one is nothing.
func (a answer) encode(b []byte) []byte {
	if a.silent {
		return b
	}
	if a.batch != nil {
		b = append(b, '[')
		first := true
		for _, one := range a.batch {
			if one.silent {
				continue
			}
			if !first {
				b = append(b, ',')
			}
			first = false
			b = one.encode(b)
		}
		return append(b, ']')
	}
	body, err := marshal(a.result)
	if a.err == nil && err != nil {
		a.err = mi.NewError(mi.CodeInternal, "Internal error", err.Error())
	}
	b = append(b, `{"jsonrpc":"2.0",`...)
	if a.err != nil {
		if body, err = marshal(a.err); err != nil {
			body = []byte(`{"code":-32603,"message":"Internal error"}`)
		}
		b = append(b, `"error":`...)
	} else {
		if string(body) == "null" {
			body = []byte(`"` + mi.OK + `"`)
		}
		b = append(b, `"result":`...)
	}
	b = append(b, body...)
	b = append(b, `,"id":`...)
	if a.id == nil {
		b = append(b, "null"...)
	} else {
		b = append(b, a.id...)
	}
	return append(b, '}')
}

// marshal is json.Marshal without the escapes that HTML wants.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
