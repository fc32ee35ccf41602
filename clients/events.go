package clients

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/gorilla/websocket"
	"github.com/sourcegraph/jsonrpc2"

	"sipsmpp/events"
	"sipsmpp/mi"
)

// subscription is what a stream is asked for.
type subscription struct {
	filter  string
	after   *uint64 // resume behind it; nil: from now on, or where a durable one was
	durable string  // the name of a durable one
}

// eventStream is one connection's stream of events.
type eventStream interface {
	next() (events.Notification, error)
	ack(seq uint64) error // of a durable subscription
	close()
}

// EventsOption says where a stream of events begins.
type EventsOption func(*subscription)

// After begins behind the event of that number. 0 is the oldest that the gateway keeps.
func After(seq uint64) EventsOption { return func(s *subscription) { s.after = &seq } }

// The delays before a stream that broke is connected again; each is drawn between a half and the whole.
const (
	retryMin = 500 * time.Millisecond
	retryMax = 30 * time.Second
)

// Events follows the events that the filter takes: shell patterns on their names and parameters, separated by commas
// (E_MESSAGE_*,connection=acme), empty for all. It begins with the next event, or where After says.
//
// A stream that breaks is connected again and resumes where it was: what came once does not come again, and what was lost is told
// by events.EventsLost. Only before the first event there is nothing to resume from, unless After is given. It ends with an error
// where it cannot be connected the first time, or where the gateway refuses it (a *mi.Error), and without one when ctx ends.
func (c *Client) Events(ctx context.Context, filter string, opts ...EventsOption) iter.Seq2[events.Notification, error] {
	return func(yield func(events.Notification, error) bool) {
		s := subscription{filter: filter}
		for _, opt := range opts {
			opt(&s)
		}
		err := c.follow(ctx, &s, func(eventStream) {}, func(n events.Notification) bool {
			s.after = &n.Seq
			return yield(n, nil)
		})
		if err != nil {
			yield(events.Notification{}, err)
		}
	}
}

// follow keeps a subscription connected, and gives each of its events to take until that is false. begin gets each new stream before
// its events. The error is the one with which it ends; there is none when ctx ended or nobody wants more.
func (c *Client) follow(ctx context.Context, s *subscription, begin func(eventStream), take func(events.Notification) bool) error {
	retry := c.retry
	for first := true; ; first = false {
		stream, err := c.stream(ctx, *s)
		if err == nil {
			begin(stream)
			var came, more bool
			if came, more, err = drain(ctx, stream, take); !more {
				return nil
			}
			if came {
				retry = c.retry
			}
			first = false
		}
		if ctx.Err() != nil {
			return nil
		}
		refusal := new(mi.Error)
		if first || errors.As(err, &refusal) && refusal.Code < 500 && refusal.Code != mi.CodeNotNow {
			return err
		}
		select {
		case <-time.After(retry/2 + rand.N(retry/2)):
		case <-ctx.Done():
			return nil
		}
		retry = min(2*retry, retryMax)
	}
}

// drain takes the events of one stream until it breaks. came says that there were any; more is false where nobody wants any.
func drain(ctx context.Context, s eventStream, take func(events.Notification) bool) (came, more bool, err error) {
	defer s.close()
	defer context.AfterFunc(ctx, s.close)()
	for {
		n, err := s.next()
		switch {
		case ctx.Err() != nil:
			return came, false, nil
		case errors.Is(err, events.ErrNotification):
			continue // of a newer gateway, perhaps
		case err != nil:
			return came, true, err
		case !take(n):
			return came, false, nil
		}
		came = true
	}
}

// webStream is a WebSocket on /events.
type webStream struct{ ws *websocket.Conn }

func (d webDialer) events(ctx context.Context, s subscription) (eventStream, error) {
	query := d.url.Query()
	query.Set("filter", s.filter)
	if s.durable != "" {
		query.Set("durable", s.durable)
	} else if s.after != nil {
		query.Set("after", strconv.FormatUint(*s.after, 10))
	}
	d.url.RawQuery = query.Encode()
	ws, err := d.websocket(ctx)
	if err != nil {
		return nil, err
	}
	return webStream{ws}, nil
}

func (s webStream) next() (events.Notification, error) {
	_, data, err := s.ws.ReadMessage()
	if websocket.IsCloseError(err, websocket.ClosePolicyViolation) { // another took a durable subscription over, or it was ended
		err = mi.NewError(mi.CodeConflict, err.(*websocket.CloseError).Text, nil)
	}
	if err != nil {
		return events.Notification{}, err
	}
	return events.Parse(data)
}

func (s webStream) ack(seq uint64) error {
	if err := s.ws.SetWriteDeadline(time.Now().Add(ackTimeout)); err != nil {
		return err
	}
	return s.ws.WriteJSON(acknowledgement(seq))
}

func (s webStream) close() { _ = s.ws.Close() }

// socketStream is a subscription on a Unix socket's connection of its own.
type socketStream struct {
	stream jsonrpc2.ObjectStream
	early  []json.RawMessage // came before the answer to the subscription
}

func (path unixDialer) events(ctx context.Context, sub subscription) (eventStream, error) {
	stream, err := path.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = stream.Close() })()
	s := &socketStream{stream: stream}
	if err := s.subscribe(sub); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *socketStream) subscribe(sub subscription) error {
	params := mi.EventSubscribeParams{Event: cmp.Or(sub.filter, "*"), Durable: sub.durable}
	if sub.durable == "" {
		forever := uint32(math.MaxUint32)
		params.Expire, params.After = &forever, sub.after
	}
	if err := s.stream.WriteObject(request{"2.0", 1, mi.EventSubscribe.Name, params}); err != nil {
		return err
	}
	for {
		var object json.RawMessage
		if err := s.stream.ReadObject(&object); err != nil {
			return err
		}
		var answer struct {
			ID    json.RawMessage
			Error *mi.Error
		}
		switch err := json.Unmarshal(object, &answer); {
		case err != nil:
			return err
		case answer.Error != nil:
			return answer.Error
		case answer.ID != nil:
			return nil
		}
		s.early = append(s.early, object)
	}
}

func (s *socketStream) next() (events.Notification, error) {
	if len(s.early) > 0 {
		object := s.early[0]
		s.early = s.early[1:]
		return events.Parse(object)
	}
	var object json.RawMessage
	if err := s.stream.ReadObject(&object); err != nil {
		return events.Notification{}, err
	}
	var other struct {
		Method string
		Error  *mi.Error // of an acknowledgement
		Params struct{ Reason string }
	}
	switch err := json.Unmarshal(object, &other); {
	case err != nil: // an event of an application may have any parameters
	case other.Error != nil:
		return events.Notification{}, other.Error
	case other.Method == "ended": // another took the durable subscription over, or it was ended
		return events.Notification{}, mi.NewError(mi.CodeConflict, other.Params.Reason, nil)
	}
	return events.Parse(object)
}

func (s *socketStream) ack(seq uint64) error {
	return s.stream.WriteObject(request{"2.0", 2, mi.Ack.Name, mi.AckParams{Seq: seq}})
}

func (s *socketStream) close() { _ = s.stream.Close() }
