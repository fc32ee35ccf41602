package clients

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/sourcegraph/jsonrpc2"
	rpcsocket "github.com/sourcegraph/jsonrpc2/websocket"

	"sipsmpp/mi"
)

// dialer opens connections that carry calls and notifications both ways.
type dialer interface {
	dial(ctx context.Context) (jsonrpc2.ObjectStream, error)
}

// unixDialer is the path of a Unix socket.
type unixDialer string

func (path unixDialer) dial(ctx context.Context) (jsonrpc2.ObjectStream, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", string(path))
	if err != nil {
		return nil, err
	}
	return jsonrpc2.NewPlainObjectStream(c), nil
}

type webDialer struct {
	url    url.URL
	header http.Header
	tls    *tls.Config
}

func (d webDialer) dial(ctx context.Context) (jsonrpc2.ObjectStream, error) {
	ws, err := d.websocket(ctx)
	if err != nil {
		return nil, err
	}
	return rpcsocket.NewObjectStream(ws), nil
}

// silence is how long the gateway, which pings every 30 s, may say nothing.
const silence = 75 * time.Second

func (d webDialer) websocket(ctx context.Context) (*websocket.Conn, error) {
	dialer := websocket.Dialer{Proxy: http.ProxyFromEnvironment, HandshakeTimeout: 10 * time.Second, TLSClientConfig: d.tls}
	ws, response, err := dialer.DialContext(ctx, d.url.String(), d.header)
	if err != nil {
		return nil, refused(response, err)
	}
	ws.SetReadLimit(maxAnswer)
	alive := func() { _ = ws.SetReadDeadline(time.Now().Add(silence)) } // it fails where the next read does
	alive()
	pong := ws.PingHandler()
	ws.SetPingHandler(func(data string) error {
		alive()
		return pong(data)
	})
	return ws, nil
}

// refused is the error of a handshake: a *mi.Error where the gateway gave a reason.
func refused(response *http.Response, err error) error {
	if response == nil || !errors.Is(err, websocket.ErrBadHandshake) {
		return err
	}
	reason, _ := io.ReadAll(io.LimitReader(response.Body, 1024)) // the dialer kept the beginning
	var answer struct{ Error *mi.Error }
	if json.Unmarshal(reason, &answer) == nil && answer.Error != nil {
		return answer.Error
	}
	if len(reason) == 0 {
		reason = []byte(response.Status)
	}
	return &mi.Error{Code: response.StatusCode, Message: strings.TrimRight(string(reason), "\n")}
}

// connected calls over a connection, which is made when it is needed and made anew after it broke.
type connected struct {
	dial dialer

	mu     sync.Mutex
	conn   *jsonrpc2.Conn
	closed bool
}

// ErrClosed is in the error of a call after Close.
var ErrClosed = errors.New("the client is closed")

func (c *connected) get(ctx context.Context) (*jsonrpc2.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, notSent(ErrClosed)
	}
	if c.conn != nil {
		select {
		case <-c.conn.DisconnectNotify():
		default:
			return c.conn, nil
		}
	}
	stream, err := c.dial.dial(ctx)
	if err != nil {
		return nil, notSent(err)
	}
	c.conn = jsonrpc2.NewConn(context.Background(), stream, ignore{}, jsonrpc2.SetLogger(log.New(io.Discard, "", 0)))
	return c.conn, nil
}

// ignore takes no requests: a gateway has none.
type ignore struct{}

func (ignore) Handle(context.Context, *jsonrpc2.Conn, *jsonrpc2.Request) {}

func (c *connected) call(ctx context.Context, method string, params any) (json.RawMessage, error) {
	conn, err := c.get(ctx)
	if err != nil {
		return nil, err
	}
	var result json.RawMessage
	err = conn.Call(ctx, method, params, &result)
	if refusal := new(jsonrpc2.Error); errors.As(err, &refusal) {
		e := &mi.Error{Code: int(refusal.Code), Message: refusal.Message}
		if refusal.Data != nil {
			e.Data = *refusal.Data
		}
		return nil, e
	}
	if errors.Is(err, jsonrpc2.ErrClosed) {
		c.drop(conn) // what waits for its end may hear of it a moment later than this
		err = errors.New("the gateway closed the connection before it answered")
	}
	return result, err
}

// drop lets the next call make another connection than one that broke.
func (c *connected) drop(conn *jsonrpc2.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == conn {
		c.conn = nil
	}
}

func (c *connected) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.conn == nil {
		return nil
	}
	if err := c.conn.Close(); err != nil && !errors.Is(err, jsonrpc2.ErrClosed) {
		return err
	}
	return nil
}
