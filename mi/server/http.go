package server

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"sipsmpp/events/stream"
	"sipsmpp/mi"
)

// Handler serves /mi, /events, /healthz, /readyz, /metrics and /debug/pprof. Every request is checked: its Host, its Origin, and whether it is
// authorized.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/mi", s.serveMI)
	mux.HandleFunc("GET /events", s.serveEvents)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "OK") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := s.core.Ready(r.Context()); err != nil {
			say(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		say(w, http.StatusOK, "OK")
	})
	if s.options.Metrics != nil {
		mux.Handle("GET /metrics", s.options.Metrics)
	}
	mux.HandleFunc("GET /debug/pprof/", pprof.Index) // mayGet: for admins
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		say(w, http.StatusNotFound, "nothing is here: there are /mi (POST, or a WebSocket), /events (a WebSocket), /metrics, /healthz and /readyz")
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if reason := s.foreign(r); reason != "" {
			fail(w, http.StatusForbidden, mi.NewError(mi.CodeForbidden, reason, nil))
			return
		}
		if s.shared(w, r) {
			return
		}
		if r.URL.Path != "/healthz" {
			c, ok := s.admit(w, r)
			if !ok {
				return
			}
			if !c.mayGet(r.URL.Path) {
				fail(w, http.StatusForbidden, mi.NewError(mi.CodeForbidden, fmt.Sprintf("%s has role %s, which may not get %s", c.Name, c.role, r.URL.Path), nil))
				return
			}
			r = r.WithContext(withCaller(r.Context(), c))
		}
		if r.Method != http.MethodPost { // whose request is whole when its body is here
			defer served(r)()
		}
		mux.ServeHTTP(w, r)
	})
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // a client that went away needs no answer
}

// fail answers what is no answer to a call with an HTTP status, and a JSON-RPC error for programs.
func fail(w http.ResponseWriter, status int, err *mi.Error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(answer{err: err}.encode(nil))
}

// serveMI serves calls: one POST each, or a WebSocket of them.
func (s *Server) serveMI(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPost:
		s.servePost(w, r)
	case r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		done, ok := s.socket(w, r)
		if !ok {
			return
		}
		defer done()
		conn, err := stream.Upgrade(w, r, int64(s.options.MaxBody))
		if err != nil {
			return // it was answered
		}
		s.serveLink(conn, r)
	default:
		w.Header().Set("Allow", "POST")
		fail(w, http.StatusMethodNotAllowed, invalidRequest("the MI takes POST, or a WebSocket"))
	}
}

func (s *Server) servePost(w http.ResponseWriter, r *http.Request) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		fail(w, http.StatusUnsupportedMediaType, invalidRequest("want Content-Type: application/json"))
		return
	}
	most := s.options.MaxBody
	var body []byte
	if tooLarge := new(http.MaxBytesError); r.ContentLength <= int64(most) {
		body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, int64(most)))
		if err != nil && !errors.As(err, &tooLarge) {
			return // the client went away, or was too slow
		}
	}
	if r.ContentLength > int64(most) || err != nil {
		w.Header().Set("Connection", "close") // what follows is not read
		fail(w, http.StatusRequestEntityTooLarge, invalidRequest("a request may have %d octets (mi.max_body)", most))
		return
	}
	defer served(r)()
	answers := make(chan answer, 1)
	s.dispatcher.dispatch(r.Context(), body, func(a answer) { answers <- a })
	var a answer
	select {
	case a = <-answers:
	case <-r.Context().Done():
		// Nobody waits any more, or the server is closed.
		a = answer{err: mi.NewError(mi.CodeShuttingDown, "the gateway is going down", nil)}
	}
	// A client that does not read its answer is not waited for.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(30 * time.Second))
	if a.silent {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(a.encode(nil))
}
