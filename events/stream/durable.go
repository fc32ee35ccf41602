package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/gorilla/websocket"

	"sipsmpp/events"
)

// serveDurable serves the one subscriber of a durable subscription: it is given what it has not acknowledged, and then what comes.
func (h *Handler) serveDurable(w http.ResponseWriter, r *http.Request, filter events.Filter, who Who) {
	query := r.URL.Query()
	window, err := windowOf(query.Get("window"))
	switch {
	case h.durables == nil:
		http.Error(w, "durable: this gateway keeps no durable subscriptions; resume with after=SEQ", http.StatusBadRequest)
		return
	case who.Refusal != "":
		http.Error(w, who.Refusal, http.StatusForbidden)
		return
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	case query.Has("after"):
		http.Error(w, "after: a durable subscription goes on where its subscriber acknowledged: leave one of the two out", http.StatusBadRequest)
		return
	case !websocket.IsWebSocketUpgrade(r): // it would make a subscription of a slip
		http.Error(w, errWantWebSocket.Error(), http.StatusBadRequest)
		return
	case !h.enter():
		http.Error(w, "too many subscribers, or the gateway is going down: try again later", http.StatusServiceUnavailable)
		return
	}
	defer h.leave()
	durable, err := h.durables.Put(r.Context(), events.Spec{Name: query.Get("durable"), Owner: who.Name, Filter: filter})
	if err != nil {
		http.Error(w, "durable: "+err.Error(), durableStatus(err))
		return
	}
	conn, err := Upgrade(w, r, maxSaid)
	if err != nil {
		return
	}
	session, err := durable.Take("ws:"+r.RemoteAddr, window)
	if err != nil {
		conn.Close(closing(err))
		return
	}
	defer session.Close()
	ctx, cancel := h.until(r, conn)
	defer cancel()
	h.wait.Go(func() {
		defer cancel()
		if err := hearAcks(conn, session); err != nil {
			conn.Close(websocket.ClosePolicyViolation, clipReason(err.Error()))
		}
	})
	err = Copy(ctx, session, conn.Write)
	if cause := session.Cause(); cause != nil {
		err = cause
	}
	if h.ctx.Err() != nil {
		err = events.ErrDurableClosed
	}
	h.log.Debug("a durable subscriber left", "subscription", query.Get("durable"), "subscriber", r.RemoteAddr, "error", err)
	conn.Close(closing(err))
}

// closing is how a connection is closed for an error. With 1008 (policy violation) the subscriber is not to connect again by itself:
// another connection has the subscription now, or somebody ended it.
func closing(err error) (code int, reason string) {
	switch {
	case errors.Is(err, events.ErrTakenOver), errors.Is(err, events.ErrEnded):
		return websocket.ClosePolicyViolation, err.Error()
	case errors.Is(err, events.ErrDurableClosed):
		return websocket.CloseGoingAway, err.Error()
	case err == nil, errors.Is(err, context.Canceled):
		return websocket.CloseNormalClosure, ""
	}
	return websocket.CloseInternalServerErr, clipReason(err.Error())
}

// clipReason makes a text fit a close frame (RFC 6455, 5.5).
func clipReason(s string) string { return strings.ToValidUTF8(s[:min(len(s), 120)], "") }

// durableStatus is how a request for a durable subscription is refused.
func durableStatus(err error) int {
	switch {
	case errors.Is(err, events.ErrDurableName):
		return http.StatusBadRequest
	case errors.Is(err, events.ErrDurableOwner):
		return http.StatusForbidden
	case errors.Is(err, events.ErrDurableKind):
		return http.StatusConflict
	case errors.Is(err, events.ErrTooManyDurable):
		return http.StatusTooManyRequests
	}
	return http.StatusServiceUnavailable // the database, or the end
}

// windowOf reads how many events a subscriber takes before it acknowledges.
func windowOf(s string) (int, error) {
	if s == "" {
		return events.DefaultWindow, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > events.MaxWindow {
		return 0, fmt.Errorf("window=%.40q: want 1 to %d events", s, events.MaxWindow)
	}
	return n, nil
}

// hearAcks takes what a durable subscriber says until it is gone, or says something that is no acknowledgement.
func hearAcks(conn *Conn, session *events.Session) error {
	for {
		said, err := conn.Read()
		if err != nil {
			return nil
		}
		ack, err := parseAck(said)
		if err == nil {
			err = session.Ack(ack.seq)
		}
		if err != nil {
			return err
		}
		if ack.id == nil {
			continue
		}
		if err := conn.Write(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"result":"OK"}`, ack.id)); err != nil {
			return nil
		}
	}
}

// ErrAck is what the errors of what a durable subscriber said are.
var ErrAck = errors.New(`want {"jsonrpc":"2.0","method":"ack","params":{"seq":N}}`)

type ack struct {
	seq uint64
	id  json.RawMessage // of a request, which wants an answer; nil: a notification
}

// parseAck reads an acknowledgement: parameters by name or by position, as in every call.
func parseAck(said []byte) (ack, error) {
	var call struct {
		Method string
		ID     json.RawMessage
		Params json.RawMessage
	}
	if err := json.Unmarshal(said, &call); err != nil || call.Method != "ack" {
		return ack{}, ErrAck
	}
	var params struct{ Seq *uint64 }
	if len(call.Params) > 0 && call.Params[0] == '[' {
		var list []uint64
		if err := json.Unmarshal(call.Params, &list); err != nil || len(list) != 1 {
			return ack{}, ErrAck
		}
		params.Seq = &list[0]
	} else if err := json.Unmarshal(call.Params, &params); err != nil || params.Seq == nil {
		return ack{}, ErrAck
	}
	switch {
	case call.ID == nil || string(call.ID) == "null":
		return ack{seq: *params.Seq}, nil
	case call.ID[0] == '"', call.ID[0] == '-', call.ID[0] >= '0' && call.ID[0] <= '9':
		return ack{seq: *params.Seq, id: call.ID}, nil
	}
	return ack{}, ErrAck // an id is a text or a number
}
