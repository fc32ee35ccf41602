package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"sipsmpp/events"
	"sipsmpp/events/stream"
	"sipsmpp/gateway"
	"sipsmpp/gateway/sms"
	"sipsmpp/mi"
)

// caller is who asks. Without one in the context of a call it is the owner of the process: somebody on loopback where there are
// no tokens, or on the Unix socket.
type caller struct {
	gateway.MIToken
	role  mi.Role
	hash  [sha256.Size]byte
	pace  *rate.Limiter   // of an app's messages; nil: none
	valid context.Context // ends when the token is taken away
	stop  context.CancelFunc
}

type callerKey struct{}

// callerOf is who asks, nil for the owner.
func callerOf(ctx context.Context) *caller {
	c, _ := ctx.Value(callerKey{}).(*caller)
	return c
}

func withCaller(ctx context.Context, c *caller) context.Context {
	if c == nil {
		return ctx
	}
	return context.WithValue(ctx, callerKey{}, c)
}

// who is what the log calls who asks.
func who(ctx context.Context) string {
	if c := callerOf(ctx); c != nil {
		return c.Name
	}
	return "local"
}

// access knows the callers, and what those get who are none.
type access struct {
	callers atomic.Pointer[[]*caller]
	slow    chan struct{} // those who wait for their refusal
	delay   time.Duration
	failed  atomic.Uint64
	told    atomic.Uint64 // of failed, by E_MI_REFUSED
	log     rate.Sometimes
}

const (
	// maxSlow bounds those who wait for a refusal; one more is refused at once, with 429.
	maxSlow = 64
	// refusalDelay is how long a refusal takes.
	refusalDelay = time.Second
)

func newAccess() *access {
	a := &access{slow: make(chan struct{}, maxSlow), delay: refusalDelay, log: rate.Sometimes{First: 1, Interval: 10 * time.Second}}
	a.callers.Store(new([]*caller))
	return a
}

// SetTokens takes `mi.tokens`, in place of those that were. Who holds a token that is gone or may do something else now loses
// the connections that were opened by it. With an error nothing changes.
func (s *Server) SetTokens(tokens []gateway.MIToken) error {
	before := *s.access.callers.Load()
	if len(tokens) == 0 && len(before) > 0 {
		return errors.New("mi.tokens: the last token cannot be taken away while the gateway runs: restart it")
	}
	list := make([]*caller, 0, len(tokens))
	kept := make(map[*caller]bool)
	for _, t := range tokens {
		c, err := newCaller(t)
		if err != nil {
			return fmt.Errorf("mi.tokens: %s: %w", t.Name, err)
		}
		for _, b := range before {
			if b.same(c) {
				c.stop()
				c, kept[b] = b, true // with its connections and its pace
			}
		}
		list = append(list, c)
	}
	s.access.callers.Store(&list)
	for _, b := range before {
		if !kept[b] {
			b.stop()
		}
	}
	return nil
}

func newCaller(t gateway.MIToken) (*caller, error) {
	role, ok := mi.ParseRole(t.Role)
	if !ok {
		return nil, fmt.Errorf("%q is no role", t.Role)
	}
	c := &caller{MIToken: t, role: role}
	if t.Certificate == "" {
		hash, err := t.ReadHash()
		if err != nil {
			return nil, err
		}
		if _, err := hex.Decode(c.hash[:], []byte(hash)); err != nil {
			return nil, err
		}
	}
	if t.Throughput > 0 {
		c.pace = rate.NewLimiter(rate.Limit(t.Throughput), t.Throughput)
	}
	c.valid, c.stop = context.WithCancel(context.Background())
	return c, nil
}

func (c *caller) same(o *caller) bool {
	return c.hash == o.hash && fmt.Sprint(c.MIToken) == fmt.Sprint(o.MIToken)
}

// needed says that who asks must say who it is.
func (a *access) needed() bool { return len(*a.callers.Load()) > 0 }

// protocolPrefix is before the token among the WebSocket protocols that a browser's page may offer, since it can set no header:
// new WebSocket(url, ["sipsmpp", "bearer."+token]). A token in the URL would stand in logs and histories, and is not taken.
const protocolPrefix = "bearer."

// bearer is the token of a request, empty where there is none.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for protocol := range strings.SplitSeq(line, ",") {
			if token, ok := strings.CutPrefix(strings.TrimSpace(protocol), protocolPrefix); ok {
				return token
			}
		}
	}
	return ""
}

// identify finds who sent a request, by token or by client certificate. Every token is compared, each in constant time.
func (a *access) identify(r *http.Request) *caller {
	var found *caller
	if token := bearer(r); token != "" {
		hash := sha256.Sum256([]byte(token))
		for _, c := range *a.callers.Load() {
			if subtle.ConstantTimeCompare(hash[:], c.hash[:]) == 1 && c.Certificate == "" {
				found = c
			}
		}
		return found
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		for _, c := range *a.callers.Load() {
			if c.Certificate != "" && c.Certificate == r.TLS.VerifiedChains[0][0].Subject.CommonName {
				found = c
			}
		}
	}
	return found
}

// admit finds who asks, or answers the request with a refusal. ok says that it is to be served.
func (s *Server) admit(w http.ResponseWriter, r *http.Request) (c *caller, ok bool) {
	a := s.access
	if !a.needed() {
		return nil, true
	}
	if c = a.identify(r); c != nil {
		return c, true
	}
	reason := "a token is wanted: Authorization: Bearer TOKEN (mi.tokens)"
	if bearer(r) != "" {
		reason = "the token is not known: mi.tokens has its hash, which sipsmpp-cli token makes"
		n := a.failed.Add(1)
		a.log.Do(func() {
			s.options.Log.Warn("the MI was called with an unknown token", "remote", r.RemoteAddr, "failures", n)
			s.core.Events().Publish(events.MIRefused{Remote: r.RemoteAddr, Count: n - a.told.Swap(n)})
		})
		select {
		case a.slow <- struct{}{}:
			defer func() { <-a.slow }()
			select {
			case <-time.After(a.delay):
			case <-r.Context().Done():
			}
		default:
			w.Header().Set("Retry-After", "1")
			fail(w, http.StatusTooManyRequests, mi.NewError(mi.CodeThrottled, "too many with unknown tokens at the same time", nil))
			return nil, false
		}
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="sipsmpp"`)
	fail(w, http.StatusUnauthorized, mi.NewError(mi.CodeUnauthorized, reason, nil))
	return nil, false
}

// mayGet says whether who asks may get what is not a method.
func (c *caller) mayGet(resource string) bool {
	if c == nil || c.role == mi.RoleAdmin {
		return true
	}
	switch resource {
	case "/mi", "/healthz":
		return true
	case "/events":
		return c.role != mi.RoleApp || len(c.Events) > 0
	case "/metrics", "/readyz":
		return c.role != mi.RoleApp
	}
	return false
}

// allowed says why a call is not served, if it is not.
func allowed(ctx context.Context, d *mi.Declaration, params json.RawMessage) *mi.Error {
	c := callerOf(ctx)
	if c == nil || d.May(c.role, params) {
		return nil
	}
	return mi.NewError(mi.CodeForbidden, fmt.Sprintf("%s has role %s, and %s wants: %s", c.Name, c.role, d.Name, d.RolesText()), nil)
}

// matches says that one of the patterns takes a name.
func matches(patterns []string, name string) bool {
	for _, p := range patterns {
		if ok, _ := path.Match(p, name); ok { // the configuration's check read them
			return true
		}
	}
	return false
}

// limit says why an app may not send a message, and puts its leg and connection in.
func (c *caller) limit(m *sms.Message) *mi.Error {
	if c == nil || c.role != mi.RoleApp {
		return nil
	}
	m.Ingress.Name = c.Name
	if !matches(c.Senders, m.From.String()) {
		return mi.NewError(mi.CodeForbidden, fmt.Sprintf("from: %s may not send as %s: senders of its token in mi.tokens says as whom", c.Name, m.From), nil)
	}
	if m.Connection == "" && len(c.Connections) == 1 && !strings.ContainsAny(c.Connections[0], `*?[\`) {
		m.Connection = c.Connections[0]
	}
	switch {
	case m.Connection != "" && !matches(c.Connections, m.Connection):
		return mi.NewError(mi.CodeForbidden, fmt.Sprintf("connection: %s may not send by %s: connections of its token in mi.tokens says by which", c.Name, m.Connection), nil)
	case m.Connection == "" && len(c.Connections) > 0 && !matches(c.Connections, "*"):
		return mi.NewError(mi.CodeForbidden, fmt.Sprintf("connection: %s must name one that its token in mi.tokens has", c.Name), nil)
	case c.pace != nil && !c.pace.Allow():
		return mi.NewError(mi.CodeThrottled, fmt.Sprintf("%s may send %d messages a second: try again", c.Name, c.Throughput), nil)
	}
	return nil
}

// sees says whether who asks may be told of a message.
func (c *caller) sees(m *sms.Message) bool {
	return c == nil || c.role != mi.RoleApp || m.Ingress == sms.Leg{Kind: sms.LegMI, Name: c.Name}
}

// filter is a filter that takes no more than who asks may get.
func (c *caller) filter(f events.Filter) (events.Filter, *mi.Error) {
	if c == nil || c.role != mi.RoleApp {
		return f, nil
	}
	if len(c.Events) == 0 {
		return f, mi.NewError(mi.CodeForbidden, c.Name+" may get no events: events of its token in mi.tokens says which", nil)
	}
	return f.Within(c.Events, c.Connections, c.Senders), nil
}

// serveEvents streams events to who may get them, as long as it may.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	c := callerOf(r.Context())
	if c != nil {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(c.valid, cancel)()
		r = r.WithContext(ctx)
	}
	who := stream.Who{Narrow: func(f events.Filter) events.Filter {
		f, _ = c.filter(f) // mayGet has refused who may get none
		return f
	}}
	if c != nil {
		who.Name, who.Refusal = c.Name, c.mayKeep()
	}
	done, ok := s.socket(w, r)
	if !ok {
		return
	}
	defer done()
	s.events.Serve(w, r, who)
}

// serveLink serves a WebSocket until it ends or its token is taken away.
func (s *Server) serveLink(conn *stream.Conn, r *http.Request) {
	l := websocketLink{conn}
	c := callerOf(r.Context())
	if c != nil {
		defer context.AfterFunc(c.valid, l.Close)()
	}
	s.serve(l, "ws:"+r.RemoteAddr, c)
}

// isPublic says that an address is reached from other hosts.
func isPublic(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && !tcp.IP.IsLoopback()
}
