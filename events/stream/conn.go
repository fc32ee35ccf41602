package stream

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// The times of a connection.
const (
	writeTimeout = 10 * time.Second // a peer that takes nothing for this long is dropped
	pingInterval = 30 * time.Second
	endTimeout   = time.Second                   // the same, once the connection is to end
	silence      = pingInterval + 2*writeTimeout // without a pong the peer is gone
	// corkSize bounds what is gathered before it is written.
	corkSize = 64 << 10
)

// Conn is a WebSocket connection of a server that writes many messages at once. It pings, and drops a peer that answers nothing
// or takes nothing. One goroutine may read; any may write.
type Conn struct {
	ws   *websocket.Conn
	cork *cork

	writing sync.Mutex
	ending  atomic.Bool // End was called
	pinging sync.Mutex
	ping    *time.Timer // nil once closed
}

// Protocol is the WebSocket protocol that a peer may offer. One that offers any, as a browser's page does that carries its token
// among them, must offer this one.
const Protocol = "sipsmpp"

var errWantWebSocket = errors.New("want a WebSocket, at ws:// in place of http://; sipsmpp-cli -x events opens one")

// Upgrade makes a connection of a request. Whether the request's Origin may connect was checked before. An error was answered.
func Upgrade(w http.ResponseWriter, r *http.Request, readLimit int64) (*Conn, error) {
	upgrader := websocket.Upgrader{
		HandshakeTimeout: writeTimeout,
		Subprotocols:     []string{Protocol},
		CheckOrigin:      func(*http.Request) bool { return true },
		Error: func(w http.ResponseWriter, r *http.Request, status int, reason error) {
			if !websocket.IsWebSocketUpgrade(r) {
				reason = errWantWebSocket
			}
			http.Error(w, reason.Error(), status)
		},
	}
	h := &hijacker{ResponseWriter: w}
	ws, err := upgrader.Upgrade(h, r, nil)
	if err != nil {
		return nil, err
	}
	c := &Conn{ws: ws, cork: h.cork}
	ws.SetReadLimit(readLimit)
	alive := func(string) error { return ws.SetReadDeadline(time.Now().Add(silence)) }
	ws.SetPongHandler(alive)
	if err := alive(""); err != nil {
		return nil, errors.Join(err, ws.Close())
	}
	c.pinging.Lock()
	defer c.pinging.Unlock()
	c.ping = time.AfterFunc(pingInterval, c.sendPing)
	return c, nil
}

func (c *Conn) sendPing() {
	if err := c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeTimeout)); err != nil {
		return // whoever reads or writes learns of it too
	}
	c.pinging.Lock()
	defer c.pinging.Unlock()
	if c.ping != nil {
		c.ping.Reset(pingInterval)
	}
}

// Read waits for the next message, text or binary.
func (c *Conn) Read() ([]byte, error) {
	_, data, err := c.ws.ReadMessage()
	return data, err
}

// Write sends each message as one of the WebSocket's, all of them in as few writes as there can be. After an error the
// connection is of no use.
func (c *Conn) Write(messages ...[]byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	deadline := time.Now().Add(writeTimeout)
	if c.ending.Load() {
		deadline = time.Now().Add(endTimeout)
	}
	if err := c.ws.SetWriteDeadline(deadline); err != nil {
		return err
	}
	if len(messages) == 1 {
		return c.ws.WriteMessage(websocket.TextMessage, messages[0])
	}
	c.cork.hold(deadline)
	for _, m := range messages {
		if err := c.ws.WriteMessage(websocket.TextMessage, m); err != nil {
			return errors.Join(err, c.cork.release())
		}
	}
	return c.cork.release()
}

// End says that the connection will be closed soon: a peer that takes nothing is not waited for any more.
func (c *Conn) End() {
	c.ending.Store(true)
	_ = c.cork.Conn.SetWriteDeadline(time.Now().Add(endTimeout)) // fails only once it is closed
}

// Close tells the peer why, as far as it listens, and closes the connection. It may be called by any goroutine, and twice.
func (c *Conn) Close(code int, reason string) {
	c.pinging.Lock()
	if c.ping != nil {
		c.ping.Stop()
		c.ping = nil
	}
	c.pinging.Unlock()
	c.End() // a writer that waits for the peer must not hold this up
	_ = c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), time.Now().Add(endTimeout))
	_ = c.ws.Close()
}

// hijacker gives the WebSocket a corked connection.
type hijacker struct {
	http.ResponseWriter
	cork *cork
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.cork = &cork{Conn: conn}
	return h.cork, rw, nil
}

// cork is a connection that can gather what is written into one write. The WebSocket library writes each message by itself.
type cork struct {
	net.Conn
	mu   sync.Mutex
	held bool
	buf  []byte
}

func (c *cork) hold(deadline time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = true
	_ = c.Conn.SetWriteDeadline(deadline) // fails only once it is closed, as the write then does
}

func (c *cork) release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = false
	return c.flush()
}

func (c *cork) flush() error {
	_, err := c.Conn.Write(c.buf)
	if c.buf = c.buf[:0]; cap(c.buf) > corkSize {
		c.buf = nil
	}
	return err
}

// SetWriteDeadline is nothing while writes are gathered: hold set the one of all.
func (c *cork) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held {
		return nil
	}
	return c.Conn.SetWriteDeadline(t)
}

func (c *cork) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.held {
		return c.Conn.Write(b)
	}
	c.buf = append(c.buf, b...)
	if len(c.buf) >= corkSize {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}
