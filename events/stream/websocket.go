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
	"strconv"
	"sync"

	"github.com/gorilla/websocket"

	"sipsmpp/events"
)

// maxSubscribers bounds the WebSockets that one Handler serves at the same time.
const maxSubscribers = 4096

// Handler streams the events of a hub over WebSockets: `ws://host/events?filter=E_MESSAGE_*,E_SMPP_*&after=SEQ`, also by a
// parameter: `&connection=acme`. Each event is one text message. Nothing is read from the subscriber. Whose Origin may subscribe is checked before a request comes here.
type Handler struct {
	hub  *events.Hub
	log  *slog.Logger
	ctx  context.Context // ends with Close
	stop context.CancelFunc

	mu          sync.Mutex
	entered     int
	subscribers map[*Conn]Subscriber
	wait        sync.WaitGroup
}

// Subscriber is one who gets events, for a list.
type Subscriber struct {
	Filter events.Filter
	Socket string // ws:host:port, udp:host:port, tcp:host:port
	Expire string // seconds that are left, or never
}

// NewHandler makes a handler; Close ends its streams.
func NewHandler(hub *events.Hub, log *slog.Logger) *Handler {
	h := &Handler{hub: hub, log: log, subscribers: make(map[*Conn]Subscriber)}
	h.ctx, h.stop = context.WithCancel(context.Background())
	return h
}

// ServeHTTP serves one subscriber until it goes or the handler is closed. A bad filter or number is answered 400 before the
// WebSocket's handshake.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.Serve(w, r, func(f events.Filter) events.Filter { return f })
}

// Serve is ServeHTTP for a subscriber that may not get everything: narrow makes its filter one that takes no more than it may. It
// ends with the request's context too.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, narrow func(events.Filter) events.Filter) {
	subscription, filter, err := h.subscribe(r, narrow)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !h.enter() {
		http.Error(w, "too many subscribers, or the gateway is going down: try again later", http.StatusServiceUnavailable)
		return
	}
	defer h.leave()
	conn, err := Upgrade(w, r, 4096) // it has nothing to say but control frames
	if err != nil {
		return
	}
	h.mu.Lock()
	h.subscribers[conn] = Subscriber{Filter: filter, Socket: "ws:" + r.RemoteAddr, Expire: "never"}
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.subscribers, conn)
	}()
	defer context.AfterFunc(h.ctx, conn.End)()

	ctx, cancel := context.WithCancel(h.ctx)
	defer cancel()
	defer context.AfterFunc(r.Context(), func() {
		cancel()
		conn.End()
	})()
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

func (h *Handler) subscribe(r *http.Request, narrow func(events.Filter) events.Filter) (*events.Subscription, events.Filter, error) {
	query := r.URL.Query()
	filter, err := events.ParseFilter(query.Get("filter"))
	if err != nil {
		return nil, filter, err
	}
	for name, values := range query {
		if name == "filter" || name == "after" || name == "durable" {
			continue
		}
		if !events.IsParameter(name) {
			return nil, filter, fmt.Errorf("%.40q: no event has such a parameter; known are filter, after and the parameters of the events", name)
		}
		for _, value := range values {
			if filter, err = filter.Where(name, value); err != nil {
				return nil, filter, err
			}
		}
	}
	filter = narrow(filter)
	start := events.Now
	if query.Has("after") {
		seq, err := strconv.ParseUint(query.Get("after"), 10, 64)
		if err != nil {
			return nil, filter, fmt.Errorf("after=%.40q: want the seq of an event, or 0 for all that are kept", query.Get("after"))
		}
		start = events.After(seq)
	}
	if query.Has("durable") {
		return nil, filter, errors.New("durable: this gateway keeps no durable subscriptions; resume with after=SEQ")
	}
	return h.hub.Subscribe(filter, start), filter, nil
}

// Copy writes a subscription's events, as many at once as gathered, until a write fails or the context ends. The messages that
// write gets are shared and must not be changed.
func Copy(ctx context.Context, s *events.Subscription, write func(messages ...[]byte) error) error {
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
		list = append(list, s)
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
