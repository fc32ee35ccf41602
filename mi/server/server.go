// Package server serves the management interface: its methods onto the core, by HTTP POST, WebSocket and Unix socket, and beside
// it the stream of events and what a monitor asks for.
//
// One dispatcher answers requests of all transports. Whatever comes in, the process stays up: bodies, batches, nesting, calls in
// progress and connections are bounded, a method that panics is an Internal error, and a client that is slow hurts only itself.
// A web page in somebody's browser is not the admin: requests with a foreign Origin or Host are refused.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"

	"sipsmpp/events"
	"sipsmpp/events/stream"
	"sipsmpp/gateway"
	"sipsmpp/gateway/certs"
	"sipsmpp/gateway/smpp"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// Core is what the methods need of *gateway.Gateway.
type Core interface {
	Accept(m *sms.Message, done func(sms.Outcome))
	AcceptOnce(m *sms.Message, done func(gateway.Once))
	Events() *events.Hub
	Durables() *events.Durables
	Connections() []smpp.ConnectionStatus
	Reload(ctx context.Context) (smpp.Changes, error)
	AddConnection(ctx context.Context, values map[string]string) (smpp.Changes, error)
	SetConnection(ctx context.Context, name string, values map[string]string) (smpp.Changes, error)
	DeleteConnection(ctx context.Context, name string) (smpp.Changes, error)
	Enable(name string) error
	Disable(name string) error
	Rebind(name string) error
	Message(ctx context.Context, id sms.ID) (*store.Record, error)
	Accounts() []smpp.AccountStatus
	AccountRows() []sms.AccountConfig
	AddAccount(ctx context.Context, c gateway.AccountChange) error
	SetAccount(ctx context.Context, c gateway.AccountChange) error
	DeleteAccount(ctx context.Context, systemID string) error
	ReloadAccounts(ctx context.Context) (smpp.Changes, error)
	Messages(ctx context.Context, f store.Filter) ([]*store.Record, sms.ID, error)
	RetryMessage(ctx context.Context, id sms.ID) error
	CancelMessage(ctx context.Context, id sms.ID) error
	DeferredFor(leg sms.Leg) int
	Trace(name string, sink func(smpp.TracedPDU)) (leg sms.Leg, how smpp.Dissector, stop func(), err error)
	TLVs(leg sms.Leg, tlvs []sms.TLV) map[string][]byte
	ParseTLVs(connection string, values map[string]string) ([]sms.TLV, error)
	SIPCore
	ReloadCore
	RouteCore
	Statistics() []gateway.Statistic
	ResetStatistics()
	Started() time.Time
	Ready(ctx context.Context) error
}

// Options are what a server may be given beside the core. The zero value serves loopback.
type Options struct {
	Log     *slog.Logger   // nil: nowhere
	Level   *slog.LevelVar // what log_level sets; nil: a level of its own
	Version string         // what `version` tells behind the name
	Origins []string       // web pages that may call, as their Origin says, and whose hosts are ours: https://admin.example.org
	Metrics http.Handler   // /metrics; nil: there is none
	Stop    func()         // what `kill` does; nil: nothing
	// Tokens are `mi.tokens`, which were checked. With none everybody may call, and only loopback is listened on.
	Tokens []gateway.MIToken
	// Config is what the gateway runs with, and Reread reads its file again: for reload. Nil: there is no file.
	Config         gateway.Config
	Reread         func() (gateway.Config, error)
	MaxConnections int         // TCP connections, WebSockets among them; 0: 8192
	MaxBody        int         // octets of a request or a batch; 0: 1 MiB
	Certificates   certs.Files // with a certificate the MI is HTTPS; clients may show one that the CA vouches for
}

// Server serves the MI of one core.
type Server struct {
	core         Core
	options      Options
	dispatcher   dispatcher
	access       *access
	pool         *pool
	tokensFault  error
	certificates *certs.Certificates // nil: plain HTTP
	events       *stream.Handler
	subscribers  *stream.Subscribers
	webhooks     *stream.Webhooks
	http         *http.Server
	origins      atomic.Pointer[origins]
	host         string // of Listen

	reloading sync.Mutex        // one reload at a time
	stamps    map[string]string // of the certificates' files, at the last reload

	ctx  context.Context // of every call; ends with Close
	stop context.CancelFunc

	traces   atomic.Int32                      // at this time
	baseline atomic.Pointer[map[string]uint64] // of the MI's own counters, when they were last reset

	mu      sync.Mutex
	peers   map[*peer]struct{}
	closed  bool
	sockets []net.Listener // Unix sockets
	wait    sync.WaitGroup // for the peers and those who accept them
}

// New makes a server. What is wrong with its tokens is the error of Listen.
func New(core Core, options Options) *Server {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.Level == nil {
		options.Level = new(slog.LevelVar)
	}
	if options.MaxConnections == 0 {
		options.MaxConnections = maxConnections
	}
	if options.MaxBody == 0 {
		options.MaxBody = maxBody
	}
	if options.Stop == nil {
		options.Stop = func() {}
	}
	s := &Server{
		core:        core,
		options:     options,
		events:      stream.NewHandler(core.Events(), core.Durables(), options.Log),
		subscribers: stream.NewSubscribers(core.Events(), options.Log),
		webhooks:    stream.NewWebhooks(core.Durables(), webhookURLs(options.Config.MI.Webhooks).Check, options.Log),
		peers:       make(map[*peer]struct{}),
		access:      newAccess(),
		pool:        &pool{max: options.MaxConnections},
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.dispatcher = dispatcher{log: options.Log, methods: make(map[string]handler), audited: s.audited}
	s.register()
	s.tokensFault = s.SetTokens(options.Tokens)
	s.origins.Store(newOrigins(options.Origins))
	s.stamps = options.Config.CertificateStamps()
	s.http = &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ConnContext:       connContext,
		ErrorLog:          slog.NewLogLogger(options.Log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return s.ctx },
	}
	return s
}

// Listen opens the address of `mi.listen`, and takes its host for one of ours. What is not loopback is refused unless requests
// are authorized.
func (s *Server) Listen(address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("mi.listen: %q: want host:port: %w", address, err)
	}
	if s.tokensFault != nil {
		return nil, s.tokensFault
	}
	if !isLoopback(host) && !s.access.needed() {
		return nil, fmt.Errorf("mi.listen: %s is no loopback address, and whoever reaches the MI rules the gateway: set mi.tokens, or listen on 127.0.0.1", address)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("mi.listen: %w", err)
	}
	s.host = strings.ToLower(host)
	if s.options.Certificates.Cert == "" {
		if isPublic(l.Addr()) {
			s.options.Log.Warn("the MI is reached from other hosts without HTTPS, so that whoever listens on the way learns the tokens: set mi.tls_cert and mi.tls_key", "mi", l.Addr().String())
		}
		return l, nil
	}
	if s.certificates, err = certs.Open(s.options.Certificates, s.options.Log); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Serve serves HTTP until Close. A listener that is not loopback is refused as Listen does.
func (s *Server) Serve(l net.Listener) error {
	if isPublic(l.Addr()) && !s.access.needed() {
		_ = l.Close()
		return fmt.Errorf("mi.listen: %s is no loopback address, and whoever reaches the MI rules the gateway: set mi.tokens, or listen on 127.0.0.1", l.Addr())
	}
	s.pool.Listener = l
	l = s.pool
	if s.certificates != nil {
		secure := &tls.Config{NextProtos: []string{"http/1.1"}}
		if s.options.Certificates.CA != "" {
			secure.ClientAuth = tls.VerifyClientCertIfGiven
		}
		l = tls.NewListener(l, s.certificates.Server(secure))
	}
	err := s.http.Serve(l)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// ListenSocket opens the Unix socket `mi.socket` for its owner alone (mode 0600). A socket that a dead process left is taken
// over; one that answers is not.
func (s *Server) ListenSocket(path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != fs.ModeSocket {
			return nil, fmt.Errorf("mi.socket: %s exists and is no socket", path)
		}
		if c, err := net.Dial("unix", path); err == nil {
			_ = c.Close()
			return nil, fmt.Errorf("mi.socket: %s is served by another process", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("mi.socket: %w", err)
		}
	}
	l, err := listenPrivate(path)
	if err != nil {
		return nil, fmt.Errorf("mi.socket: %w", err)
	}
	return l, nil
}

// ServeSocket serves the MI on a Unix socket until Close.
func (s *Server) ServeSocket(l net.Listener) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return l.Close()
	}
	s.sockets = append(s.sockets, l)
	s.wait.Add(1)
	s.mu.Unlock()
	defer s.wait.Done()
	limited := netutil.LimitListener(l, maxSocketPeers)
	for {
		c, err := limited.Accept()
		if err != nil {
			s.mu.Lock()
			closed := s.closed
			s.mu.Unlock()
			if closed {
				return nil
			}
			return fmt.Errorf("mi.socket: %w", err)
		}
		s.wait.Go(func() { s.serveSocket(c) })
	}
}

// Close ends the server: nothing new is accepted, calls in progress have until ctx ends, streams of events are closed.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	for _, l := range s.sockets {
		_ = l.Close()
	}
	peers := slices.Collect(maps.Keys(s.peers))
	s.mu.Unlock()
	s.events.Close()
	s.subscribers.Close()
	s.webhooks.Close()
	err := s.http.Shutdown(ctx)
	for _, p := range peers {
		p.drain(ctx)
		p.close()
	}
	s.stop()
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	s.wait.Wait()
	return err
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
