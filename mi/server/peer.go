package server

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/sourcegraph/jsonrpc2"

	"sipsmpp/events"
	"sipsmpp/events/stream"
	"sipsmpp/mi"
)

const (
	// maxInProgress bounds the calls of one connection that are not answered; it is read no further until some are.
	maxInProgress = 256
	// maxAnswers bounds the answers that one write takes.
	maxAnswers = 64
	// maxSocketPeers bounds the connections of a Unix socket.
	maxSocketPeers = 256
	// maxSubscriptions bounds what one connection subscribes to.
	maxSubscriptions = 16
)

// link is a connection that carries JSON-RPC objects both ways. One goroutine reads, any may write.
type link interface {
	Read() ([]byte, error)
	Write(objects ...[]byte) error
	Close()
}

// peer is a client with a connection of its own, which gets answers and the events that it subscribed to. One goroutine reads,
// one writes answers, and one each subscription.
type peer struct {
	link   link
	name   string
	ctx    context.Context // of its calls and subscriptions
	cancel context.CancelFunc
	once   sync.Once

	// answers are those that wait to be written. It holds as many as there are calls in progress, so that to answer never blocks.
	answers chan answer
	slots   chan struct{} // one for each call in progress
	wait    sync.WaitGroup

	mu            sync.Mutex
	subscriptions map[string]*subscription // by filter
	durables      map[string]*events.Session
}

type subscription struct {
	filter  events.Filter
	ctx     context.Context
	cancel  context.CancelFunc
	expiry  *time.Timer
	expires time.Time
	cursor  *events.Subscription
}

type peerKey struct{}

// peerOf is the connection that a call came by, if it came by one that can take events.
func peerOf(ctx context.Context) (*peer, bool) {
	p, ok := ctx.Value(peerKey{}).(*peer)
	return p, ok
}

// serve serves a connection until it ends.
func (s *Server) serve(l link, name string, c *caller) {
	p := &peer{
		link:          l,
		name:          name,
		answers:       make(chan answer, maxInProgress),
		slots:         make(chan struct{}, maxInProgress),
		subscriptions: make(map[string]*subscription),
		durables:      make(map[string]*events.Session),
	}
	p.ctx, p.cancel = context.WithCancel(context.WithValue(withCaller(s.ctx, c), peerKey{}, p))
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		p.close()
		return
	}
	s.peers[p] = struct{}{}
	s.wait.Add(1)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.peers, p)
		s.mu.Unlock()
		s.wait.Done()
	}()

	p.wait.Go(p.writeAnswers)
	for {
		body, err := l.Read()
		if err != nil {
			if bad := new(parseError); errors.As(err, &bad) { // where the next object begins is not known
				_ = l.Write(answer{err: bad.answer}.encode(nil))
			}
			break
		}
		select {
		case p.slots <- struct{}{}:
		case <-p.ctx.Done():
		}
		if p.ctx.Err() != nil {
			break
		}
		s.dispatcher.dispatch(p.ctx, body, func(a answer) { p.answers <- a })
	}
	p.close()
	p.mu.Lock()
	//lint:ignore SA2001 a barrier: who subscribes from here on sees that it is closed, who did before is waited for
	p.mu.Unlock()
	p.wait.Wait()
}

// writeAnswers writes answers, those that gathered in one piece.
func (p *peer) writeAnswers() {
	defer p.close()
	var objects [][]byte
	for {
		var a answer
		select {
		case a = <-p.answers:
		case <-p.ctx.Done():
			return
		}
		objects = objects[:0]
		calls := 1
		for {
			if !a.silent {
				objects = append(objects, a.encode(nil))
			}
			if len(p.answers) == 0 || calls == maxAnswers {
				break
			}
			a = <-p.answers
			calls++
		}
		if len(objects) > 0 && p.link.Write(objects...) != nil {
			return
		}
		for range calls {
			<-p.slots
		}
	}
}

func (p *peer) close() {
	p.once.Do(func() {
		p.cancel()
		p.link.Close()
	})
}

// subscribe sends the peer what a filter takes, in addition to what it gets, or keeps it up for longer. An expiry of zero ends
// it, also where there is none.
func (p *peer) subscribe(hub *events.Hub, filter events.Filter, start events.Start, expire time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ctx.Err(); err != nil {
		return err
	}
	name := filter.String()
	s, had := p.subscriptions[name]
	had = had && s.ctx.Err() == nil // else it has just expired
	switch {
	case expire == 0:
		if had {
			s.cancel()
		}
		return nil
	case had:
		s.expiry.Reset(expire)
		s.expires = time.Now().Add(expire)
		return nil
	case len(p.subscriptions) >= maxSubscriptions:
		return mi.NewError(mi.CodeThrottled, "too many subscriptions on this connection: one may have several patterns, separated by commas", nil)
	}
	ctx, cancel := context.WithCancel(p.ctx)
	s = &subscription{filter: filter, ctx: ctx, cancel: cancel, expiry: time.AfterFunc(expire, cancel), expires: time.Now().Add(expire)}
	s.cursor = hub.Subscribe(filter, start)
	p.subscriptions[name] = s
	p.wait.Go(func() {
		_ = stream.Copy(ctx, s.cursor, p.link.Write) // the subscription or the connection ended
		if ctx.Err() == nil {
			p.close()
		}
		cancel()
		s.expiry.Stop()
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.subscriptions[name] == s {
			delete(p.subscriptions, name)
		}
	})
	return nil
}

// subscribed lists the subscriptions.
func (p *peer) subscribed() []stream.Subscriber {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []stream.Subscriber
	for _, s := range p.subscriptions {
		if s.ctx.Err() == nil {
			one := stream.Subscriber{Filter: s.filter, Socket: p.name, Expire: stream.Left(s.expires)}
			one.Lag, one.Since = s.cursor.Lag()
			list = append(list, one)
		}
	}
	return list
}

// drain waits until every call of the connection is answered, or ctx ends. No call is begun any more.
func (p *peer) drain(ctx context.Context) {
	for range cap(p.slots) {
		select {
		case p.slots <- struct{}{}:
		case <-p.ctx.Done():
			return
		case <-ctx.Done():
			return
		}
	}
}

// websocketLink is a WebSocket: an object is a message.
type websocketLink struct{ *stream.Conn }

func (l websocketLink) Close() { l.Conn.Close(websocket.CloseGoingAway, "") }

// socketLink is a Unix socket: objects follow one another, as JSON's own syntax bounds them.
type socketLink struct {
	conn    net.Conn
	most    int // octets of an object
	limited *limitedReader
	stream  jsonrpc2.ObjectStream
	writing sync.Mutex
}

// parseError is what ends a Unix socket's connection: the object that follows cannot be found.
type parseError struct{ answer *mi.Error }

func (e *parseError) Error() string { return e.answer.Error() }

func newSocketLink(c net.Conn, most int) *socketLink {
	l := &limitedReader{Conn: c}
	return &socketLink{conn: c, most: most, limited: l, stream: jsonrpc2.NewPlainObjectStream(l)}
}

func (l *socketLink) Read() ([]byte, error) {
	l.limited.left = l.most
	var object json.RawMessage
	err := l.stream.ReadObject(&object)
	syntax := new(json.SyntaxError)
	switch {
	case errors.Is(err, errTooLong):
		return nil, &parseError{invalidRequest("a request may have %d octets (mi.max_body)", l.most)}
	case errors.As(err, &syntax):
		return nil, &parseError{mi.NewError(mi.CodeParse, "Parse error", syntax.Error())}
	}
	return object, err
}

func (l *socketLink) Write(objects ...[]byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.conn.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	lines := make(net.Buffers, 0, 2*len(objects))
	for _, o := range objects {
		lines = append(lines, o, []byte("\n"))
	}
	_, err := lines.WriteTo(l.conn)
	return err
}

func (l *socketLink) Close() { _ = l.stream.Close() }

// limitedReader bounds what is read for one object.
type limitedReader struct {
	net.Conn
	left int
}

var errTooLong = errors.New("the request is too long")

func (r *limitedReader) Read(b []byte) (int, error) {
	if r.left <= 0 {
		return 0, errTooLong
	}
	n, err := r.Conn.Read(b[:min(len(b), r.left)])
	r.left -= n
	return n, err
}

func (s *Server) serveSocket(c net.Conn) {
	s.serve(newSocketLink(c, s.options.MaxBody), "unix", nil)
}

// listenPrivate opens a Unix socket that nobody else could connect to at any time: it gets its name when its mode is right.
func listenPrivate(path string) (net.Listener, error) {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".mi-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	private := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: private, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(private, 0o600), os.Rename(private, path)); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &socketListener{l, path}, nil
}

// socketListener removes its socket when it is closed.
type socketListener struct {
	*net.UnixListener
	path string
}

func (l *socketListener) Close() error {
	err := l.UnixListener.Close()
	if err == nil {
		err = os.Remove(l.path)
	}
	return err
}
