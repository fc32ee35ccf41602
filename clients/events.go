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

// eventStream is one connection's stream of events.
type eventStream interface {
	next() (events.Notification, error)
	close()
}

// The delays before a stream that broke is connected again; each is drawn between a half and the whole.
const (
	retryMin = 500 * time.Millisecond
	retryMax = 30 * time.Second
)

// Events follows the events whose names the filter takes: shell patterns separated by commas, empty for all. It begins with the
// next event, or, with after, behind the event of that number; after 0 begins with the oldest that the gateway keeps.
//
// A stream that breaks is connected again and resumes where it was: what came once does not come again, and what was lost is told
// by events.EventsLost. Only before the first event there is nothing to resume from, unless after is given. It ends with an error
// where it cannot be connected the first time, or where the gateway refuses it (a *mi.Error), and without one when ctx ends.
func (c *Client) Events(ctx context.Context, filter string, after ...uint64) iter.Seq2[events.Notification, error] {
	return func(yield func(events.Notification, error) bool) {
		var last *uint64
		if len(after) > 0 {
			last = &after[0]
		}
		retry := c.retry
		for first := true; ; first = false {
			s, err := c.stream(ctx, filter, last)
			refusal := new(mi.Error)
			switch {
			case ctx.Err() != nil:
				if err == nil {
					s.close()
				}
				return
			case err != nil && (first || errors.As(err, &refusal) && refusal.Code < 500 && refusal.Code != mi.CodeNotNow):
				yield(events.Notification{}, err)
				return
			case err == nil:
				seq, more := follow(ctx, s, yield)
				if !more {
					return
				}
				if seq != nil {
					last, retry = seq, c.retry
				}
			}
			select {
			case <-time.After(retry/2 + rand.N(retry/2)):
			case <-ctx.Done():
				return
			}
			retry = min(2*retry, retryMax)
		}
	}
}

// follow yields the events of one connection until it breaks. seq is the number of the last one, nil where none came; more is
// false where nobody wants any.
func follow(ctx context.Context, s eventStream, yield func(events.Notification, error) bool) (seq *uint64, more bool) {
	defer s.close()
	defer context.AfterFunc(ctx, s.close)()
	for {
		n, err := s.next()
		if ctx.Err() != nil {
			return seq, false
		}
		if errors.Is(err, events.ErrNotification) {
			continue // of a newer gateway, perhaps
		}
		if err != nil {
			return seq, true
		}
		if !yield(n, nil) {
			return seq, false
		}
		seq = &n.Seq
	}
}

// webStream is a WebSocket on /events.
type webStream struct{ ws *websocket.Conn }

func (d webDialer) events(ctx context.Context, filter string, after *uint64) (eventStream, error) {
	query := d.url.Query()
	query.Set("filter", filter)
	if after != nil {
		query.Set("after", strconv.FormatUint(*after, 10))
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
	if err != nil {
		return events.Notification{}, err
	}
	return events.Parse(data)
}

func (s webStream) close() { _ = s.ws.Close() }

// socketStream is a subscription on a Unix socket's connection of its own.
type socketStream struct {
	stream jsonrpc2.ObjectStream
	early  []json.RawMessage // came before the answer to the subscription
}

func (path unixDialer) events(ctx context.Context, filter string, after *uint64) (eventStream, error) {
	stream, err := path.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = stream.Close() })()
	s := &socketStream{stream: stream}
	if err := s.subscribe(filter, after); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *socketStream) subscribe(filter string, after *uint64) error {
	forever := uint32(math.MaxUint32)
	params := mi.EventSubscribeParams{Event: cmp.Or(filter, "*"), Expire: &forever, After: after}
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
	return events.Parse(object)
}

func (s *socketStream) close() { _ = s.stream.Close() }
