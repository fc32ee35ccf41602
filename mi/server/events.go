package server

import (
	"cmp"
	"context"
	"errors"
	"slices"
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
	expire := defaultExpire
	if p.Expire != nil {
		expire = time.Duration(*p.Expire) * time.Second
	}
	if p.Socket == "" {
		peer, ok := peerOf(ctx)
		if !ok {
			return "", badValue("socket", "want udp:host:port or tcp:host:port; only a WebSocket or the Unix socket can get events itself")
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

func (s *Server) subscribersList(_ context.Context, p mi.SubscribersListParams) (mi.SubscribersListResult, error) {
	list := append(s.subscribers.List(), s.events.Subscribers()...)
	s.mu.Lock()
	for peer := range s.peers {
		list = append(list, peer.subscribed()...)
	}
	s.mu.Unlock()
	byName := make(map[string][]mi.Subscriber)
	for _, l := range list {
		name := cmp.Or(l.Filter.String(), "*")
		takes := p.Event == "" || p.Event == name || l.Filter.Match(p.Event)
		if takes && (p.Socket == "" || p.Socket == l.Socket) {
			byName[name] = append(byName[name], mi.Subscriber{Socket: l.Socket, Expire: l.Expire})
		}
	}
	result := mi.SubscribersListResult{Events: []mi.Subscribed{}}
	for name, subscribers := range byName {
		slices.SortFunc(subscribers, func(a, b mi.Subscriber) int { return cmp.Compare(a.Socket, b.Socket) })
		result.Events = append(result.Events, mi.Subscribed{Name: name, Subscribers: subscribers})
	}
	slices.SortFunc(result.Events, func(a, b mi.Subscribed) int { return cmp.Compare(a.Name, b.Name) })
	return result, nil
}

func (s *Server) raiseEvent(_ context.Context, p mi.RaiseEventParams) (string, error) {
	e, err := events.NewRaised(p.Event, p.Params)
	if errors.Is(err, events.ErrRaisedParams) {
		return "", badValue("params", err.Error())
	}
	if err != nil {
		return "", badValue("event", err.Error())
	}
	s.core.Events().Publish(e)
	return mi.OK, nil
}
