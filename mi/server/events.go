package server

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"sipsmpp/events"
	"sipsmpp/events/stream"
	"sipsmpp/mi"
)

func eventsList(context.Context, mi.None) (mi.EventsListResult, error) {
	var result mi.EventsListResult
	for i, d := range events.All() {
		result.Events = append(result.Events, mi.EventType{Name: d.Name, ID: i, Params: d.Params})
	}
	return result, nil
}

// defaultExpire is OpenSIPS'.
const defaultExpire = time.Hour

func (s *Server) eventSubscribe(ctx context.Context, p mi.EventSubscribeParams) (string, error) {
	filter, err := events.ParseFilter(p.Event)
	if err != nil {
		return "", badValue("event", err.Error())
	}
	filter, refusal := callerOf(ctx).filter(filter)
	if refusal != nil {
		return "", refusal
	}
	if p.Durable != "" || strings.HasPrefix(p.Socket, webhookPrefix) {
		return s.subscribeDurable(ctx, p, filter)
	}
	expire := defaultExpire
	if p.Expire != nil {
		expire = time.Duration(*p.Expire) * time.Second
	}
	if p.Socket == "" {
		peer, ok := peerOf(ctx)
		if !ok {
			return "", badValue("socket", "want udp:host:port, tcp:host:port or webhook:URL; only a WebSocket or the Unix socket can get events itself")
		}
		start := events.Now
		if p.After != nil {
			start = events.After(*p.After)
		}
		if err := peer.subscribe(s.core.Events(), filter, start, expire); err != nil {
			return "", err
		}
		return mi.OK, nil
	}
	if p.After != nil {
		return "", badValue("after", "only the connection that asks can resume: leave socket out")
	}
	switch err := s.subscribers.Subscribe(filter, p.Socket, expire); {
	case errors.Is(err, stream.ErrSocket):
		return "", badValue("socket", err.Error())
	case errors.Is(err, stream.ErrTooMany):
		return "", mi.NewError(mi.CodeThrottled, err.Error(), nil)
	case err != nil:
		return "", err
	}
	return mi.OK, nil
}

func (s *Server) subscribersList(ctx context.Context, p mi.SubscribersListParams) (mi.SubscribersListResult, error) {
	list := append(s.subscribers.List(), s.events.Subscribers()...)
	s.mu.Lock()
	for peer := range s.peers {
		list = append(list, peer.subscribed()...)
	}
	s.mu.Unlock()
	byName := make(map[string][]mi.Subscriber)
	add := func(filter events.Filter, one mi.Subscriber, since time.Time) {
		name := cmp.Or(filter.String(), "*")
		takes := p.Event == "" || p.Event == name || filter.Match(p.Event)
		if !takes || p.Socket != "" && p.Socket != one.Socket {
			return
		}
		if !since.IsZero() {
			one.LagSeconds = float64(time.Since(since).Milliseconds()) / 1000
		}
		byName[name] = append(byName[name], one)
	}
	for _, l := range list {
		add(l.Filter, mi.Subscriber{
			Socket: l.Socket, Expire: l.Expire, Lag: l.Lag, LastError: l.LastError, RetryAt: mi.Time(l.RetryAt),
		}, l.Since)
	}
	if err := s.listDurables(ctx, add); err != nil {
		return mi.SubscribersListResult{}, err
	}
	result := mi.SubscribersListResult{Events: []mi.Subscribed{}}
	for name, subscribers := range byName {
		slices.SortFunc(subscribers, func(a, b mi.Subscriber) int {
			return cmp.Or(cmp.Compare(a.Socket, b.Socket), cmp.Compare(a.Durable, b.Durable))
		})
		result.Events = append(result.Events, mi.Subscribed{Name: name, Subscribers: subscribers})
	}
	slices.SortFunc(result.Events, func(a, b mi.Subscribed) int { return cmp.Compare(a.Name, b.Name) })
	return result, nil
}

func (s *Server) raiseEvent(_ context.Context, p mi.RaiseEventParams, reply func(string, error)) {
	e, err := events.NewRaised(p.Event, p.Params)
	switch {
	case errors.Is(err, events.ErrRaisedParams):
		reply("", badValue("params", err.Error()))
	case err != nil:
		reply("", badValue("event", err.Error()))
	case !s.core.Events().Publish(e):
		reply(mi.OK, nil)
	default: // a durable subscription takes it
		s.core.Durables().Flush(func(err error) {
			if err != nil {
				reply("", mi.NewError(mi.CodeNotNow, "the event was published, but the database does not take it for the durable subscriptions now: should the gateway end before it does, they miss it", nil))
				return
			}
			reply(mi.OK, nil)
		})
	}
}
