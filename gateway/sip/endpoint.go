package sip

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"

	"sipsmpp/gateway/certs"
	"sipsmpp/gateway/guard"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/tap"
)

// Endpoint is the SIP side of the gateway. Its methods are safe for any number of goroutines.
type Endpoint struct {
	cfg          Config
	handler      Handler
	log          *slog.Logger
	domain       string
	hops         []*hop
	realm        string
	users        atomic.Pointer[map[string]*sms.SIPUser]
	nonces       *nonces
	guard        *guard.Guard
	certificates *certs.Certificates

	otherHops     sync.Map // uri -> *hop: those that routes name
	otherHopCount atomic.Int64

	sockets   []*udpSocket
	listeners []*streamListener
	addrs     []net.Addr // in the order of Config.Listen

	answered  *answered
	registrar *registrar // nil: nobody may register
	lanes     *lanes
	pending   *pending
	wheel     *wheel
	count     [transports]*counters

	taps tap.Taps[Traced]

	lookup    func(ctx context.Context, network, host string) ([]netip.Addr, error)
	lookupSRV func(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
	dialTCP   dialer
	dialMu    sync.Mutex
	dials     map[dialKey]*dialled

	streamMu sync.Mutex
	streams  map[*stream]struct{}
	accepted atomic.Int64 // connections that peers opened

	inProgress atomic.Int64 // requests handed over and not answered
	inFlight   atomic.Int64 // messages to SIP that are not finished
	busy       atomic.Int64 // both
	idle       chan struct{}

	started  atomic.Bool
	draining atomic.Bool // nothing new is taken
	closed   atomic.Bool // nothing is waited for
	ctx      context.Context
	cancel   context.CancelFunc
	tasks    sync.WaitGroup
}

// New opens the listeners. Nothing is taken before Start. An error names the key that is at fault, every fault on its own line.
func New(cfg Config, h Handler, log *slog.Logger) (*Endpoint, error) {
	if faults := Check(cfg); len(faults) > 0 {
		errs := make([]error, len(faults))
		for i, f := range faults {
			errs[i] = f
		}
		return nil, errors.Join(errs...)
	}
	e := newEndpoint(cfg, h, log)
	certificates, err := certs.Open(cfg.files(), log)
	if err != nil {
		return nil, err
	}
	e.certificates = certificates
	for i, s := range e.cfg.Listen {
		if err := e.listen(s); err != nil {
			_ = e.Close(context.Background()) // waits for nothing: nothing was started
			return nil, sms.Fault{Path: fmt.Sprintf("sip.listen[%d]", i), Reason: err.Error()}
		}
	}
	return e, nil
}

// newEndpoint is New without its sockets. The configuration has no fault.
func newEndpoint(cfg Config, h Handler, log *slog.Logger) *Endpoint {
	cfg = cfg.withDefaults()
	e := &Endpoint{
		cfg: cfg, handler: h, log: log, domain: cfg.Domain,
		answered: newAnswered(), lanes: newLanes(), pending: newPending(), wheel: newWheel(), nonces: newNonces(), guard: guard.New(), count: newCounters(),
		lookup: net.DefaultResolver.LookupNetIP, lookupSRV: net.DefaultResolver.LookupSRV,
		dialTCP: (&net.Dialer{KeepAlive: tcpKeepAlives}).DialContext,
		dials:   make(map[dialKey]*dialled), streams: make(map[*stream]struct{}),
		idle: make(chan struct{}, 1),
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	password, _ := cfg.password() // Check has read it
	for _, uri := range cfg.OutboundURI {
		if h, err := parseHop(uri); err == nil {
			if h.credentials == nil && cfg.OutboundUser != "" {
				h.credentials = &credentials{user: cfg.OutboundUser, password: password}
			}
			h.probed = cfg.ProbeInterval > 0
			e.hops = append(e.hops, h)
		}
	}
	if e.domain == "" {
		e.domain = defaultDomain(cfg.Listen[0])
	}
	e.domain = hostOf(e.domain)
	if e.realm = cfg.Realm; e.realm == "" {
		e.realm = e.domain
	}
	if cfg.Registrar {
		e.registrar = newRegistrar(e)
	}
	e.SetUsers(nil)
	return e
}

// defaultDomain is a listener's host, or this machine's name where it listens on all addresses.
func defaultDomain(listen string) string {
	_, address, _ := parseListen(listen)
	host, _, _ := net.SplitHostPort(address)
	if ip, err := netip.ParseAddr(host); host != "" && (err != nil || !ip.IsUnspecified()) {
		return host
	}
	if name, err := os.Hostname(); err == nil {
		return cleanToken(name)
	}
	return "localhost"
}

func (e *Endpoint) listen(s string) error {
	network, address, err := parseListen(s)
	if err != nil {
		return err
	}
	if network == byUDP {
		conn, err := listenUDP(address)
		if err != nil {
			return err
		}
		e.addSocket(conn)
		return nil
	}
	l, err := listenTCP(address)
	if err != nil {
		return err
	}
	listener := &streamListener{e: e, l: l, by: network}
	if network == byWS || network == byWSS {
		listener.l = counted{l, e, network}
		listener.ws = e.serveWS(network, &listener.upgrades)
		if network == byWSS {
			listener.l = tls.NewListener(listener.l, e.serverTLS())
		}
	}
	e.listeners = append(e.listeners, listener)
	e.addrs = append(e.addrs, l.Addr())
	return nil
}

func (e *Endpoint) addSocket(conn batchConn) {
	e.sockets = append(e.sockets, newUDPSocket(e, conn))
	e.addrs = append(e.addrs, conn.LocalAddr())
}

// Start begins to take requests. It does not block.
func (e *Endpoint) Start() {
	e.started.Store(true)
	for _, s := range e.sockets {
		e.tasks.Go(s.read)
		e.tasks.Go(s.write)
	}
	for _, l := range e.listeners {
		e.tasks.Go(l.serve)
	}
	e.tasks.Go(func() { e.wheel.run(e.ctx.Done(), e.tick) })
	if e.cfg.ProbeInterval > 0 && len(e.hops) > 0 {
		e.tasks.Go(e.probe)
	}
	if e.registrar != nil {
		e.tasks.Go(e.registrar.sweep)
	}
}

// start runs a connection.
func (e *Endpoint) start(s *stream) {
	e.streamMu.Lock()
	e.streams[s] = struct{}{}
	e.streamMu.Unlock()
	e.tasks.Go(func() {
		s.read()
		if e.registrar != nil {
			e.registrar.lost(s)
		}
	})
	e.tasks.Go(s.write)
	if e.closed.Load() {
		s.close()
	}
}

func (e *Endpoint) forget(s *stream) {
	e.streamMu.Lock()
	delete(e.streams, s)
	e.streamMu.Unlock()
}

// Close ends the endpoint. New requests get 503 and new messages are not sent; what is in progress has until ctx
// ends to finish, and the answers leave. Then the sockets are closed, and messages that still wait for an answer end as unknown.
// The error is ctx's, if not all could finish.
func (e *Endpoint) Close(ctx context.Context) error {
	e.draining.Store(true)
	var err error
	for err == nil && e.busy.Load() > 0 {
		select {
		case <-e.idle:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if e.closed.Swap(true) {
		e.tasks.Wait()
		return nil
	}
	for _, o := range e.pending.takeAll(func(*outgoing) bool { return true }) {
		e.unknown(o, "the gateway is going down")
	}
	e.cancel()
	for _, l := range e.listeners {
		l.close()
	}
	for _, s := range e.sockets {
		s.end()
		if !e.started.Load() {
			_ = s.conn.Close()
		}
	}
	e.eachStream((*stream).end)
	done := make(chan struct{})
	go func() {
		e.tasks.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		e.eachStream((*stream).close)
		<-done
	}
	return err
}

func (e *Endpoint) eachStream(f func(*stream)) {
	e.streamMu.Lock()
	all := make([]*stream, 0, len(e.streams))
	for s := range e.streams {
		all = append(all, s)
	}
	e.streamMu.Unlock()
	for _, s := range all {
		f(s)
	}
}

// hold and release count what Close waits for.
func (e *Endpoint) hold() { e.busy.Add(1) }

func (e *Endpoint) release() {
	if e.busy.Add(-1) == 0 && e.draining.Load() {
		select {
		case e.idle <- struct{}{}:
		default:
		}
	}
}

// Addrs are the addresses of the listeners, in the order of Config.Listen, with the ports that they really have. Network tells
// the transport.
func (e *Endpoint) Addrs() []net.Addr { return e.addrs }

// Listeners are the same in the words of the configuration: udp:127.0.0.1:5060.
func (e *Endpoint) Listeners() []string {
	list := make([]string, len(e.addrs))
	for i, a := range e.addrs {
		by, _, _ := parseListen(e.cfg.Listen[i]) // it is open, so it parses
		list[i] = by.String() + ":" + a.String()
	}
	return list
}

func (e *Endpoint) trusts(a netip.Addr) bool { return within(e.cfg.Trusted, a) }

func within(networks []netip.Prefix, a netip.Addr) bool {
	a = a.WithZone("")
	for _, p := range networks {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
