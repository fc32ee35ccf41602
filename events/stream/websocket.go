// Package stream is how events leave the gateway: over WebSockets, and to subscribers by UDP and TCP.
//
// Every subscriber reads the hub by a cursor of its own, so a slow or dead one hurts nobody else: what it missed it is told of by
// E_EVENTS_LOST, and one that takes nothing for ten seconds is dropped.
package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"sipsmpp/events"
)

const (
	// maxSubscribers bounds the WebSockets that one Handler serves at the same time.
	maxSubscribers = 4096
	// maxSaid bounds what a subscriber says at a time: an acknowledgement, a control frame.
	maxSaid = 4096
)

// parameters are those of a request beside the events' own.
var parameters = []string{"filter", "after", "durable", "window"}

// Handler streams the events of a hub over WebSockets: `ws://host/events?filter=E_MESSAGE_*,E_SMPP_*&after=SEQ`, also by a
// parameter: `&connection=acme`. Each event is one text message. With `durable=NAME` it serves a durable subscription, whose
// subscriber acknowledges; nothing else is read from a subscriber. Whose Origin may subscribe is checked before a request comes here.
type Handler struct {
	hub      *events.Hub
	durables *events.Durables // nil: there are none
	log      *slog.Logger
	ctx      context.Context // ends with Close
	stop     context.CancelFunc

	mu          sync.Mutex
	entered     int
	subscribers map[*Conn]*subscriber
	wait        sync.WaitGroup
}

// Subscriber is one who gets events, for a list.
type Subscriber struct {
	Filter events.Filter
	Socket string // ws:host:port, udp:host:port, tcp:host:port
	Expire string // seconds that are left, or never

	Lag       uint64    // events that were published and that it has not taken
	Since     time.Time // when the oldest of them was
	LastError string    // why it cannot be reached; empty: it can
	RetryAt   time.Time
}

// subscriber is a WebSocket's, with where it is.
type subscriber struct {
	Subscriber
	cursor *events.Subscription
}

// NewHandler makes a handler; Close ends its streams.
func NewHandler(hub *events.Hub, durables *events.Durables, log *slog.Logger) *Handler {
	h := &Handler{hub: hub, durables: durables, log: log, subscribers: make(map[*Conn]*subscriber)}
	h.ctx, h.stop = context.WithCancel(context.Background())
	return h
}

// ServeHTTP serves one subscriber until it goes or the handler is closed. A bad filter or number is answered 400 before the
// WebSocket's handshake.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.Serve(w, r, Who{})
}

// Who says who a subscriber is, and what it may get. The zero value may get everything.
type Who struct {
	Name    string                            // of its token; durable subscriptions belong to it
	Narrow  func(events.Filter) events.Filter // makes a filter one that takes no more than it may get; nil: it may get everything
	Refusal string                            // why it may have no durable subscription; empty: it may
}

// Serve is ServeHTTP for somebody. It ends with the request's context too.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, who Who) {
	filter, err := filterOf(r, who)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if r.URL.Query().Has("durable") {
		h.serveDurable(w, r, filter, who)
		return
	}
	start, err := startOf(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !h.enter() {
		http.Error(w, "too many subscribers, or the gateway is going down: try again later", http.StatusServiceUnavailable)
		return
	}
	defer h.leave()
	subscription := h.hub.Subscribe(filter, start)
	conn, err := Upgrade(w, r, maxSaid)
	if err != nil {
		return
	}
	h.mu.Lock()
	h.subscribers[conn] = &subscriber{Subscriber{Filter: filter, Socket: "ws:" + r.RemoteAddr, Expire: "never"}, subscription}
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.subscribers, conn)
	}()
	ctx, cancel := h.until(r, conn)
	defer cancel()
	h.wait.Go(func() {
		defer cancel()
		for {
			if _, err := conn.Read(); err != nil { // what a subscriber sends is ignored
				return
			}
		}
	})
	if err := Copy(ctx, subscription, conn.Write); !errors.Is(err, context.Canceled) {
		h.log.Debug("a subscriber was dropped", "subscriber", r.RemoteAddr, "error", err)
	}
	if h.ctx.Err() != nil {
		conn.Close(websocket.CloseGoingAway, "the gateway is going down")
		return
	}
	conn.Close(websocket.CloseNormalClosure, "")
}

func (h *Handler) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.entered >= maxSubscribers || h.ctx.Err() != nil {
		return false
	}
	h.entered++
	h.wait.Add(1)
	return true
}

func (h *Handler) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.entered--
	h.wait.Done()
}

// until gives a context that ends with the handler and with the request's, and makes a connection end soon then.
func (h *Handler) until(r *http.Request, conn *Conn) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(h.ctx)
	closes := context.AfterFunc(h.ctx, conn.End)
	leaves := context.AfterFunc(r.Context(), func() {
		cancel()
		conn.End()
	})
	return ctx, func() {
		closes()
		leaves()
		cancel()
	}
}

// filterOf reads which events a request asks for.
func filterOf(r *http.Request, who Who) (events.Filter, error) {
	query := r.URL.Query()
	filter, err := events.ParseFilter(query.Get("filter"))
	if err != nil {
		return filter, err
	}
	for name, values := range query {
		if slices.Contains(parameters, name) {
			continue
		}
		if !events.IsParameter(name) {
			return filter, fmt.Errorf("%.40q: no event has such a parameter; known are %s and the parameters of the events", name, strings.Join(parameters, ", "))
		}
		for _, value := range values {
			if filter, err = filter.Where(name, value); err != nil {
				return filter, err
			}
		}
	}
	if who.Narrow != nil {
		filter = who.Narrow(filter)
	}
	return filter, nil
}

// startOf reads where a request wants to begin.
func startOf(r *http.Request) (events.Start, error) {
	query := r.URL.Query()
	if !query.Has("after") {
		return events.Now, nil
	}
	seq, err := strconv.ParseUint(query.Get("after"), 10, 64)
	if err != nil {
		return events.Now, fmt.Errorf("after=%.40q: want the seq of an event, or 0 for all that are kept", query.Get("after"))
	}
	return events.After(seq), nil
}

// source gives events: an events.Subscription, or an events.Session of a durable one.
type source interface {
	Next(ctx context.Context) ([]events.Entry, error)
}

// Copy writes a source's events, as many at once as gathered, until a write fails, the source ends or the context does. The messages
// that write gets are shared and must not be changed.
func Copy(ctx context.Context, s source, write func(messages ...[]byte) error) error {
	var messages [][]byte
	for {
		entries, err := s.Next(ctx)
		if err != nil {
			return err
		}
		messages = messages[:0]
		for _, e := range entries {
			messages = append(messages, e.JSON)
		}
		if err := write(messages...); err != nil {
			return err
		}
	}
}

// Subscribers are those who are connected.
func (h *Handler) Subscribers() []Subscriber {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]Subscriber, 0, len(h.subscribers))
	for _, s := range h.subscribers {
		one := s.Subscriber
		one.Lag, one.Since = s.cursor.Lag()
		list = append(list, one)
	}
	return list
}

// Close ends every stream, after the events that were published before it, and waits for it.
func (h *Handler) Close() {
	h.mu.Lock()
	h.stop()
	h.mu.Unlock()
	h.wait.Wait()
}
