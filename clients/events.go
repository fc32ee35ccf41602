package clients

import (
	"context"
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

// rpcStream is a subscription on a Unix socket's connection of its own.
type rpcStream struct {
	conn  *jsonrpc2.Conn
	in    chan *jsonrpc2.Request
	early []*jsonrpc2.Request // came before the answer to the subscription
}

func (path unixDialer) events(ctx context.Context, filter string, after *uint64) (eventStream, error) {
	stream, err := path.dial(ctx)
	if err != nil {
		return nil, err
	}
	s := &rpcStream{in: make(chan *jsonrpc2.Request)}
	s.conn = newConn(stream, s)
	forever := uint32(math.MaxUint32)
	if filter == "" {
		filter = "*"
	}
	params := mi.EventSubscribeParams{Event: filter, Expire: &forever, After: after}
	answered := make(chan error, 1)
	go func() {
		_, err := call(ctx, s.conn, mi.EventSubscribe.Name, params)
		answered <- err
	}()
	for {
		select {
		case r := <-s.in:
			s.early = append(s.early, r)
		case err := <-answered:
			if err != nil {
				s.close()
				return nil, err
			}
			return s, nil
		}
	}
}

// Handle takes a notification. It is called by the connection's reader, which waits with it for next.
func (s *rpcStream) Handle(ctx context.Context, conn *jsonrpc2.Conn, r *jsonrpc2.Request) {
	select {
	case s.in <- r:
	case <-conn.DisconnectNotify():
	}
}

func (s *rpcStream) next() (events.Notification, error) {
	if len(s.early) > 0 {
		r := s.early[0]
		s.early = s.early[1:]
		return decode(r)
	}
	select {
	case r := <-s.in:
		return decode(r)
	case <-s.conn.DisconnectNotify():
		return events.Notification{}, jsonrpc2.ErrClosed
	}
}

func decode(r *jsonrpc2.Request) (events.Notification, error) {
	if r.Params == nil {
		return events.Notification{}, events.ErrNotification
	}
	return events.Decode(r.Method, *r.Params)
}

func (s *rpcStream) close() { _ = s.conn.Close() }
