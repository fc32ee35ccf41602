package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"sipsmpp/events"
	"sipsmpp/events/stream"
	"sipsmpp/gateway"
	"sipsmpp/mi"
)

// webhookPrefix begins the socket of a webhook.
const webhookPrefix = "webhook:"

// whenKept calls then once what was published is on disk for the durable subscriptions, or cannot be now.
func (s *Server) whenKept(then func()) {
	if durables := s.core.Durables(); durables != nil && durables.Any() {
		durables.Flush(func(error) { then() })
		return
	}
	then()
}

// webhookURLs reads `mi.webhooks`, which was checked.
func webhookURLs(list []string) gateway.WebhookURLs {
	urls, _ := gateway.ParseWebhookURLs(list)
	return urls
}

// subscribeDurable makes a durable subscription, of the connection that asks or a webhook, or ends it.
func (s *Server) subscribeDurable(ctx context.Context, p mi.EventSubscribeParams, filter events.Filter) (string, error) {
	if refusal := callerOf(ctx).mayKeep(); refusal != "" {
		return "", mi.NewError(mi.CodeForbidden, refusal, nil)
	}
	target, isWebhook := strings.CutPrefix(p.Socket, webhookPrefix)
	switch {
	case s.core.Durables() == nil:
		return "", badValue("durable", stream.ErrNoDurables.Error())
	case p.Socket != "" && !isWebhook:
		return "", badValue("socket", "want webhook:URL, or none: what is sent by udp and tcp is not acknowledged, and so not durable")
	case p.After != nil:
		return "", badValue("after", "a durable subscription goes on where its subscriber acknowledged: leave one of the two out")
	}
	spec := events.Spec{Name: cmp.Or(p.Durable, target), Owner: nameOf(ctx), Filter: filter, URL: target, Secret: p.Secret}
	if p.Expire != nil && *p.Expire == 0 {
		return s.subscriberDelete(ctx, mi.SubscriberDeleteParams{Name: spec.Name})
	}
	if p.Expire != nil {
		spec.Expires = time.Now().Add(time.Duration(*p.Expire) * time.Second).Truncate(time.Millisecond)
	}
	var err error
	if isWebhook {
		err = s.webhooks.Subscribe(ctx, spec)
	} else {
		err = s.followDurable(ctx, spec, p.Window)
	}
	if err != nil {
		return "", durableError(err)
	}
	return mi.OK, nil
}

// followDurable gives a durable subscription to the connection that asks.
func (s *Server) followDurable(ctx context.Context, spec events.Spec, window int) error {
	peer, ok := peerOf(ctx)
	if !ok {
		return badValue("socket", "want webhook:URL; only a WebSocket or the Unix socket can get events itself")
	}
	if window < 0 || window > events.MaxWindow {
		return badValue("window", fmt.Sprintf("want 1 to %d events", events.MaxWindow))
	}
	d, err := s.core.Durables().Put(ctx, spec)
	if err != nil {
		return err
	}
	return peer.follow(d, cmp.Or(window, events.DefaultWindow))
}

// follow sends a peer what a durable subscription has for it, until another takes that over.
func (p *peer) follow(d *events.Durable, window int) error {
	name := d.Spec().Name
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ctx.Err(); err != nil {
		return err
	}
	if p.durables[name] == nil && len(p.durables) >= maxSubscriptions {
		return mi.NewError(mi.CodeThrottled, "too many durable subscriptions on this connection", nil)
	}
	session, err := d.Take(p.name, window)
	if err != nil {
		return err
	}
	p.durables[name] = session
	p.wait.Go(func() {
		defer session.Close()
		_ = stream.Copy(p.ctx, session, p.link.Write)
		cause := session.Cause()
		p.mu.Lock()
		mine := p.durables[name] == session
		if mine {
			delete(p.durables, name)
		}
		p.mu.Unlock()
		switch {
		case p.ctx.Err() != nil:
		case cause == nil, errors.Is(cause, events.ErrDurableClosed): // it cannot be written to, or read from the database; we go down: it may come again
			p.close()
		case mine: // the connection stays: it may have other things to do
			_ = p.link.Write(endedNotification(name, cause))
		}
	})
	return nil
}

// endedNotification tells a connection that it gets nothing more of a durable subscription.
func endedNotification(name string, cause error) []byte {
	b, _ := json.Marshal(map[string]any{ // texts always marshal
		"jsonrpc": "2.0", "method": "ended", "params": map[string]string{"durable": name, "reason": cause.Error()},
	})
	return b
}

// ack acknowledges what came by the connection that asks.
func ack(ctx context.Context, p mi.AckParams) (string, error) {
	peer, ok := peerOf(ctx)
	if !ok {
		return "", badValue("seq", "only the connection that the events came by can acknowledge them")
	}
	session, err := peer.session(p.Durable)
	if err != nil {
		return "", err
	}
	if err := session.Ack(p.Seq); err != nil {
		return "", badValue("seq", err.Error())
	}
	return mi.OK, nil
}

// session finds a durable subscription of a connection: the one of that name, or its only one.
func (p *peer) session(name string) (*events.Session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.durables[name]; s != nil {
		return s, nil
	}
	if name == "" && len(p.durables) == 1 {
		for _, s := range p.durables {
			return s, nil
		}
	}
	if name == "" && len(p.durables) > 1 {
		return nil, badValue("durable", "this connection has several durable subscriptions: say which")
	}
	return nil, mi.NewError(mi.CodeNotFound, "this connection has no such durable subscription: event_subscribe with durable makes one", nil)
}

// subscriberDelete ends a durable subscription.
func (s *Server) subscriberDelete(ctx context.Context, p mi.SubscriberDeleteParams) (string, error) {
	durables := s.core.Durables()
	if durables == nil {
		return "", durableError(events.ErrNoDurable)
	}
	if d, ok := durables.Find(p.Name); ok && !callerOf(ctx).owns(d.Spec().Owner) {
		return "", durableError(events.ErrDurableOwner)
	}
	if err := durables.Delete(ctx, p.Name); err != nil {
		return "", durableError(err)
	}
	return mi.OK, nil
}

// listDurables adds the durable subscriptions to a list.
func (s *Server) listDurables(ctx context.Context, add func(events.Filter, mi.Subscriber, time.Time)) error {
	durables := s.core.Durables()
	if durables == nil {
		return nil
	}
	for _, d := range durables.All() {
		i, err := d.Info(ctx)
		if err != nil {
			return err
		}
		one := mi.Subscriber{
			Socket: cmp.Or(i.Peer, "durable"), Expire: "never", Lag: uint64(i.Waiting), Durable: i.Name, Owner: i.Owner,
			LastError: i.LastError, RetryAt: mi.Time(i.RetryAt),
		}
		if i.URL != "" {
			one.Socket = webhookPrefix + shownURL(i.URL)
		}
		if !i.Expires.IsZero() {
			one.Expire = stream.Left(i.Expires)
		}
		add(i.Filter, one, i.Since)
	}
	return nil
}

// shownURL is a URL for people: its query, in which a secret may be, is left out.
func shownURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "?"
	}
	if u.RawQuery != "" {
		u.RawQuery = "..."
	}
	return u.Redacted()
}

// durableError is what the MI says of an error of a durable subscription.
func durableError(err error) error {
	code := 0
	switch {
	case errors.Is(err, gateway.ErrWebhookURL):
		return badValue("socket", err.Error())
	case errors.Is(err, stream.ErrWebhookSecret):
		return badValue("secret", err.Error())
	case errors.Is(err, events.ErrDurableName):
		return badValue("durable", err.Error())
	case errors.Is(err, events.ErrDurableOwner):
		code = mi.CodeForbidden
	case errors.Is(err, events.ErrDurableKind):
		code = mi.CodeConflict
	case errors.Is(err, events.ErrTooManyDurable):
		code = mi.CodeThrottled
	case errors.Is(err, events.ErrNoDurable):
		code = mi.CodeNotFound
	case errors.Is(err, events.ErrDurableClosed):
		code = mi.CodeShuttingDown
	default:
		return err
	}
	return mi.NewError(code, err.Error(), nil)
}

// mayKeep says why a caller may have no durable subscription; empty: it may.
func (c *caller) mayKeep() string {
	if c == nil || c.role != mi.RoleRead {
		return ""
	}
	return c.Name + " has role read, which changes nothing, and a durable subscription is kept by the gateway: want role app, operator or admin"
}

// owns says whether a caller may end a durable subscription.
func (c *caller) owns(owner string) bool { return c == nil || c.role != mi.RoleApp || c.Name == owner }

// nameOf is the name of the token of who asks; empty where there is none.
func nameOf(ctx context.Context) string {
	if c := callerOf(ctx); c != nil {
		return c.Name
	}
	return ""
}
