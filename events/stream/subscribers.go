package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"sipsmpp/events"
)

// Subscribers sends the events of a hub to addresses that were subscribed by event_subscribe: by UDP each event as a datagram,
// by TCP one JSON object after the other with nothing between them, as OpenSIPS does and its subscribers read it. A TCP subscriber
// that is away is tried again until its subscription ends, and gets what the hub still keeps. A datagram may be lost on its way,
// and nobody learns of it.
type Subscribers struct {
	hub  *events.Hub
	log  *slog.Logger
	ctx  context.Context // ends with Close
	stop context.CancelFunc
	wait sync.WaitGroup

	mu     sync.Mutex
	active map[string]*active // by socket and filter
}

type active struct {
	filter  events.Filter
	socket  string
	ctx     context.Context
	cancel  context.CancelFunc
	expiry  *time.Timer
	expires time.Time
	cursor  *events.Subscription

	failure string // of the last attempt; empty: it went well
	retryAt time.Time
}

const (
	maxActive   = 100
	maxDatagram = 65507
	dialTimeout = 5 * time.Second
	retryMin    = 250 * time.Millisecond
	retryMax    = 30 * time.Second
)

// The errors of Subscribe, beside those of an address that cannot be used.
var (
	ErrSocket  = errors.New("want udp:host:port or tcp:host:port")
	ErrTooMany = fmt.Errorf("there are %d subscriptions already: end one with expire=0", maxActive)
)

// NewSubscribers makes an empty list; Close ends what is in it then.
func NewSubscribers(hub *events.Hub, log *slog.Logger) *Subscribers {
	s := &Subscribers{hub: hub, log: log, active: make(map[string]*active)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Subscribe sends what filter takes to socket until expire is over, or keeps that up for longer. An expiry of zero ends it; one
// that is over by itself is ended well, since a subscriber that ends it at its expiry cannot know.
func (s *Subscribers) Subscribe(filter events.Filter, socket string, expire time.Duration) error {
	network, address, _ := strings.Cut(socket, ":")
	if network != "udp" && network != "tcp" {
		return fmt.Errorf("%q: %w", socket, ErrSocket)
	}
	if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
		return fmt.Errorf("%q: %w", socket, ErrSocket)
	}
	key := socket + " " + filter.String()
	s.mu.Lock()
	defer s.mu.Unlock()
	a, had := s.active[key]
	had = had && a.ctx.Err() == nil // else it has just expired
	switch {
	case expire == 0:
		if had {
			a.cancel()
		}
		return nil
	case had:
		a.expiry.Reset(expire)
		a.expires = time.Now().Add(expire)
		return nil
	case len(s.active) >= maxActive:
		return ErrTooMany
	case s.ctx.Err() != nil:
		return s.ctx.Err()
	}
	ctx, cancel := context.WithCancel(s.ctx)
	a = &active{
		filter:  filter,
		socket:  socket,
		ctx:     ctx,
		cancel:  cancel,
		expiry:  time.AfterFunc(expire, cancel),
		expires: time.Now().Add(expire),
		cursor:  s.hub.Subscribe(filter, events.Now),
	}
	s.active[key] = a
	s.wait.Go(func() {
		s.send(ctx, a, network, address)
		cancel()
		a.expiry.Stop()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.active[key] == a {
			delete(s.active, key)
		}
	})
	return nil
}

// send sends until ctx ends.
func (s *Subscribers) send(ctx context.Context, a *active, network, address string) {
	log := s.log.With("subscriber", network+":"+address)
	var conn *subscriberConn
	defer func() { conn.hangUp() }()
	retry := retryMin
	for {
		entries, err := a.cursor.Next(ctx)
		if err != nil {
			return
		}
		for sent := false; !sent; {
			if conn.isGone() {
				conn.hangUp()
				conn, err = dialSubscriber(ctx, network, address)
			}
			if err == nil {
				if network == "udp" {
					err = sendDatagrams(log, conn, entries)
				} else {
					err = sendObjects(conn, entries)
				}
			}
			if sent = err == nil; sent {
				if retry != retryMin {
					s.failed(a, "", time.Time{})
				}
				retry = retryMin
				continue
			}
			s.failed(a, err.Error(), time.Now().Add(retry))
			log.Debug("a subscriber cannot be reached", "error", err, "retry", retry)
			conn.hangUp()
			conn, err = nil, nil
			select {
			case <-time.After(retry):
			case <-ctx.Done():
				return
			}
			retry = min(2*retry, retryMax)
		}
	}
}

func (s *Subscribers) failed(a *active, reason string, retryAt time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.failure, a.retryAt = reason, retryAt
}

// subscriberConn is a connection to a subscriber. A nil one is none.
type subscriberConn struct {
	net.Conn
	gone chan struct{} // closes when a TCP subscriber hung up; nil of UDP
}

// dialSubscriber connects to a subscriber. What a TCP subscriber says is read and dropped, so that its hanging up is noticed
// before an event is written to nobody: that of python-opensips takes one read from each connection and closes it.
func dialSubscriber(ctx context.Context, network, address string) (*subscriberConn, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &subscriberConn{Conn: conn}
	if network == "tcp" {
		c.gone = make(chan struct{})
		go func() {
			_, _ = io.Copy(io.Discard, conn) // ends when either side closes
			close(c.gone)
			_ = conn.Close()
		}()
	}
	return c, nil
}

func (c *subscriberConn) isGone() bool {
	if c == nil {
		return true
	}
	select {
	case <-c.gone:
		return true
	default:
		return false
	}
}

// hangUp closes the connection, if there is one.
func (c *subscriberConn) hangUp() {
	if c != nil {
		_ = c.Close()
	}
}

// sendDatagrams sends each event by itself. That nobody listens is no error, since a later datagram may be heard.
func sendDatagrams(log *slog.Logger, conn net.Conn, entries []events.Entry) error {
	for _, e := range entries {
		if len(e.JSON) > maxDatagram {
			log.Warn("an event is too long for a datagram", "seq", e.Seq, "octets", len(e.JSON))
			continue
		}
		_, _ = conn.Write(e.JSON)
	}
	return nil
}

func sendObjects(conn net.Conn, entries []events.Entry) error {
	if err := conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	objects := make(net.Buffers, 0, len(entries))
	for _, e := range entries {
		objects = append(objects, e.JSON)
	}
	_, err := objects.WriteTo(conn)
	return err
}

// List lists the subscriptions.
func (s *Subscribers) List() []Subscriber {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Subscriber, 0, len(s.active))
	for _, a := range s.active {
		if a.ctx.Err() == nil {
			one := Subscriber{Filter: a.filter, Socket: a.socket, Expire: Left(a.expires), LastError: a.failure, RetryAt: a.retryAt}
			one.Lag, one.Since = a.cursor.Lag()
			list = append(list, one)
		}
	}
	return list
}

// Left is the time that is left, in whole seconds, for Subscriber.Expire.
func Left(expires time.Time) string {
	return strconv.Itoa(int(math.Ceil(max(0, time.Until(expires).Seconds()))))
}

// Close ends every subscription and waits for it.
func (s *Subscribers) Close() {
	s.mu.Lock()
	s.stop()
	s.mu.Unlock()
	s.wait.Wait()
}
