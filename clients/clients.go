// Package clients calls a gateway's management interface and follows its events.
//
//	c, err := clients.Dial("http://127.0.0.1:8888/mi")
//	sent, err := c.MessageSend(ctx, mi.MessageSendParams{From: "100", To: "+4915112345678", Text: "hi"})
//	for event, err := range c.Events(ctx, "E_MESSAGE_*") { ... }
//
// Every method of the MI is a method of Client; they are made from the declarations in package mi, on which the server is built, too.
// The events are the types of package events.
//
// # Errors
//
// A call that the gateway refused is a *mi.Error: errors.Is(err, mi.ErrNotFound) asks for its code, mi.IsTemporary whether the same call
// may succeed later, Details for what it says beyond that. Any other error says that the gateway could not be reached or that its
// answer did not come. With ErrNotSent in it the gateway did not get the call; without, what was asked may have been done. No call is
// repeated by itself: a message_send with an idempotency_key can be repeated without harm.
//
// # Events
//
// Events follows what happens now, and resumes where it was when the connection broke. What it may not miss, not even while the program
// is not there, a program follows by Durable.
package clients

//go:generate go run ./internal/methods ../mi methods.go

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"sipsmpp/mi"
)

// Client is a client of one gateway. It is safe for any number of goroutines.
type Client struct {
	transport transport
	link      dialer // to where calls are answered, for what needs a connection of its own
	stream    func(ctx context.Context, s subscription) (eventStream, error)
	retry     time.Duration // before the first try to connect a stream again
}

// transport carries calls.
type transport interface {
	call(ctx context.Context, method string, params any) (json.RawMessage, error)
	close() error
}

// Option changes how a client connects.
type Option func(*options)

type options struct {
	token string
	http  *http.Client
	tls   *tls.Config
}

// WithToken sends a bearer token (mi.tokens).
func WithToken(token string) Option { return func(o *options) { o.token = token } }

// WithHTTPClient sends POSTs by another http.Client than one with a timeout of a minute.
func WithHTTPClient(c *http.Client) Option { return func(o *options) { o.http = c } }

// WithTLS connects to https:// and wss:// with this configuration: other authorities, a certificate of our own. WithHTTPClient goes
// before it where both are given.
func WithTLS(c *tls.Config) Option { return func(o *options) { o.tls = c } }

// Dial makes a client of the gateway at a URL: http://host:port/mi and https:// for a POST each call, ws:// and wss:// for a
// WebSocket, unix:PATH for the Unix socket. Nothing is connected yet.
func Dial(address string, opts ...Option) (*Client, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	if socket, ok := strings.CutPrefix(address, "unix:"); ok {
		if socket == "" {
			return nil, fmt.Errorf("%q: want unix:PATH", address)
		}
		d := unixDialer(socket)
		return &Client{transport: &connected{dial: d}, link: d, stream: d.events, retry: retryMin}, nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	if o.token != "" {
		header.Set("Authorization", "Bearer "+o.token)
	}
	if u.Host == "" {
		return nil, fmt.Errorf("%q: want http://HOST:PORT/mi, https://, ws://, wss:// or unix:PATH", address)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/mi"
	}
	web := *u
	web.Scheme = strings.Replace(u.Scheme, "http", "ws", 1)
	web.Path = path.Join(path.Dir(u.Path), "events")
	stream := webDialer{web, header, o.tls}.events
	socket := *u
	socket.Scheme = web.Scheme
	link := webDialer{socket, header, o.tls}
	switch u.Scheme {
	case "http", "https":
		if o.http == nil {
			o.http = &http.Client{Timeout: time.Minute, Transport: &http.Transport{
				Proxy:               http.ProxyFromEnvironment,
				TLSClientConfig:     o.tls,
				MaxIdleConnsPerHost: 64,
				IdleConnTimeout:     time.Minute, // less than the gateway's
			}}
		}
		return &Client{transport: &poster{url: u.String(), header: header, client: o.http}, link: link, stream: stream, retry: retryMin}, nil
	case "ws", "wss":
		return &Client{transport: &connected{dial: link}, link: link, stream: stream, retry: retryMin}, nil
	}
	return nil, fmt.Errorf("%q: want http://HOST:PORT/mi, https://, ws://, wss:// or unix:PATH", address)
}

// Close gives up the connections. Calls under way fail.
func (c *Client) Close() error { return c.transport.close() }

// Call calls a method of the contract.
func Call[P, R any](ctx context.Context, c *Client, m mi.Method[P, R], params P) (R, error) {
	var result R
	raw, err := c.Invoke(ctx, m.Name, params)
	if err != nil {
		return result, err
	}
	if err := json.Unmarshal(raw, &result); err != nil {
		return result, fmt.Errorf("%s: the result is not what the contract says: %w", m.Name, err)
	}
	return result, nil
}

// Invoke calls a method by its name, with any parameters that JSON makes an object or an array of, and gives the result as it
// came.
func (c *Client) Invoke(ctx context.Context, method string, params any) (json.RawMessage, error) {
	raw, err := c.transport.call(ctx, method, params)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	return raw, nil
}

// ErrNotSent is in the error of a call that the gateway did not get: nothing was done.
var ErrNotSent = errors.New("the gateway was not reached")

// notSent puts ErrNotSent into an error, unless it is a refusal, which says so itself.
func notSent(err error) error {
	if errors.As(err, new(*mi.Error)) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNotSent, err)
}

// Details gives what the data of an error of the MI says: Details[mi.SendFailure](err) of a message that was not accepted,
// Details[[]mi.Fault](err) of a table with bad rows, Details[mi.ParamFault](err) of mi.ErrInvalidParams. It is false where the error has
// no such data.
func Details[T any](err error) (T, bool) {
	var details T
	var refusal *mi.Error
	if !errors.As(err, &refusal) || len(refusal.Data) == 0 || json.Unmarshal(refusal.Data, &details) != nil {
		var none T
		return none, false
	}
	return details, true
}
