package smpp

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sipsmpp/gateway/gather"
	"sipsmpp/gateway/metric"
	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

// Handler is what the SMPP side tells its owner. It is called without locks, must not block, and may call back. An answer func
// may be called before the method returns or at any time later, by any goroutine; its first call counts, and it must come, since
// the peer waits for it and a bounded number of messages may wait.
type Handler interface {
	// Message takes a deliver_sm or data_sm: a whole message, or one part of one (m.Part is set; Data has the part's octets).
	// m is the Handler's; it has no ID yet.
	Message(m *sms.Message, answer func(wire.Status))
	// Receipt takes a delivery receipt or an intermediate notification that came by owner.
	Receipt(owner sms.Leg, r sms.Receipt, answer func(wire.Status))
	// Alert takes an alert_notification: a mobile is there again, where availability is 0.
	Alert(connection string, mobile sms.Address, availability uint32)
	// BindUp and BindDown frame the life of a bound session. inFlight counts the segments that had no answer.
	BindUp(b BindStatus)
	BindDown(b BindStatus, reason string, inFlight int)
	// Throttled tells that a connection is slowed down because its peer asks for that.
	Throttled(t Throttle)
	// Unthrottled tells that it is as free again as its row says.
	Unthrottled(connection string)
}

// ErrUnknownConnection is for a name that no row of table smpp has.
var ErrUnknownConnection = errors.New("no such connection")

// Connections are the peers of table smpp that we reach. It is safe for any number of goroutines.
type Connections struct {
	handler     Handler
	log         *slog.Logger
	dial        func(ctx context.Context, network, address string) (net.Conn, error)
	accounts    *Accounts // that binds after an outbind of ours may be of; nil: none
	lookup      func(ctx context.Context, network, host string) ([]netip.Addr, error)
	roots       *x509.CertPool  // who may vouch for a peer that speaks TLS; nil: the system's
	ctx         context.Context // of all binds
	cancel      context.CancelFunc
	generations sync.WaitGroup // that have not left
	table       atomic.Pointer[map[string]*connection]
	gather      *gather.Group

	mu     sync.Mutex // lets one change of the table run at a time
	closed bool
	lastID map[string]int // the number of the last bind that a name had

	totals totals
}

// Option changes what NewConnections makes.
type Option func(*Connections)

// WithDial opens sockets by dial in place of net.Dialer. A TLS connection speaks TLS above what it gives.
func WithDial(dial func(ctx context.Context, network, address string) (net.Conn, error)) Option {
	return func(c *Connections) { c.dial = dial }
}

// WithGather names the batches that are worked on elsewhere in the gateway: what comes of one leaves when it ends.
func WithGather(g *gather.Group) Option { return func(c *Connections) { c.gather = g } }

// NewConnections makes an empty table; Apply fills it.
func NewConnections(h Handler, log *slog.Logger, options ...Option) *Connections {
	// A half-open TCP connection is noticed by enquire_link; keepalive is for who has set that to 0.
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 4}}
	c := &Connections{handler: h, log: log, dial: dialer.DialContext, lookup: net.DefaultResolver.LookupNetIP, lastID: make(map[string]int),
		gather: new(gather.Group)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.table.Store(&map[string]*connection{})
	for _, o := range options {
		o(c)
	}
	return c
}

// Apply makes the connections those of configs, which must have different names. One whose config is == to what it was keeps its
// sockets, its window and its messages in flight. One that changed or is gone gets no new work, has what is in flight answered
// within its response_timeout, unbinds and closes; what was queued goes to the new binds of one that changed, and ends NotSent
// where it is gone. Apply does not wait for that.
func (c *Connections) Apply(configs []sms.ConnectionConfig) Changes {
	c.mu.Lock()
	changes, after := c.apply(configs)
	c.mu.Unlock()
	for _, f := range after {
		f()
	}
	return changes
}

// apply is Apply with the lock held. after is to be called without it.
func (c *Connections) apply(configs []sms.ConnectionConfig) (changes Changes, after []func()) {
	if c.closed {
		return changes, nil
	}
	old := *c.table.Load()
	table := make(map[string]*connection, len(configs))
	replaced := make(map[*connection]*connection)
	for _, cfg := range configs {
		prev, known := old[cfg.Name]
		switch {
		case !known:
			table[cfg.Name] = c.make(cfg, cfg.Enabled, nil)
			changes.Added = append(changes.Added, cfg.Name)
		case prev.row == cfg:
			table[cfg.Name] = prev
			changes.Unchanged++
		default:
			table[cfg.Name] = c.make(cfg, cfg.Enabled, prev)
			replaced[prev] = table[cfg.Name]
			changes.Changed = append(changes.Changed, cfg.Name)
		}
	}
	var removed []*counters
	for name := range old {
		if table[name] == nil {
			changes.Removed = append(changes.Removed, name)
			removed = append(removed, old[name].counters)
		}
	}
	slices.Sort(changes.Removed)
	c.totals.swap(removed, func() { c.table.Store(&table) })

	for _, name := range changes.Removed {
		after = append(after, old[name].retire(nil, sms.Failed(sms.Temporary, sms.CauseNotReady, "the connection was removed")))
	}
	for prev, next := range replaced {
		after = append(after, prev.retire(next, sms.Outcome{}))
		next.start(prev)
	}
	for _, name := range changes.Added {
		table[name].start(nil)
	}
	return changes, after
}

// make makes a generation. The lock is held.
func (c *Connections) make(cfg sms.ConnectionConfig, enabled bool, prev *connection) *connection {
	counts := newCounters()
	if prev != nil {
		counts = prev.counters
	}
	c.generations.Add(1)
	next := newConnection(c, cfg, enabled, counts, func() string {
		c.lastID[cfg.Name]++
		return fmt.Sprintf("%s#%d", cfg.Name, c.lastID[cfg.Name])
	})
	next.prev = prev
	if prev != nil {
		prev.mu.Lock()
		if prev.establishing > 0 || prev.binding() {
			next.establishing = len(next.binds) // messages wait for the new binds instead of being refused
		}
		prev.mu.Unlock()
	}
	return next
}

// Submit hands a message to the connection with that name. It does not block. done is called exactly once, possibly before Submit
// returns, with what became of the message when all of its segments are answered or nothing more will become of them.
func (c *Connections) Submit(name string, m *sms.Message, done func(sms.Outcome)) {
	connection, ok := (*c.table.Load())[name]
	if !ok {
		o := sms.Failed(sms.Configuration, sms.CauseNotReady, fmt.Sprintf("there is no connection %q", name))
		o.Egress = sms.Connection(name)
		done(o)
		return
	}
	connection.submit(m, done)
}

// Status tells the state of every connection, in the order of their names.
func (c *Connections) Status() []ConnectionStatus {
	table := *c.table.Load()
	list := make([]ConnectionStatus, 0, len(table))
	for _, connection := range table {
		list = append(list, connection.status())
	}
	slices.SortFunc(list, func(a, b ConnectionStatus) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Names are those of all connections, sorted.
func (c *Connections) Names() []string { return slices.Sorted(maps.Keys(*c.table.Load())) }

// Enable binds a connection that is disabled. It lasts until the row changes or Disable. ErrUnknownConnection if there is none.
func (c *Connections) Enable(name string) error {
	return c.renew(name, func(now bool) (enabled, change bool) { return true, !now })
}

// Disable unbinds a connection after what is in flight was answered; what is queued ends NotSent. It lasts until the row changes
// or Enable. ErrUnknownConnection if there is none.
func (c *Connections) Disable(name string) error {
	return c.renew(name, func(now bool) (enabled, change bool) { return false, now })
}

// Rebind makes the binds of a connection anew: those that are bound unbind first, those that wait for their next try have it at
// once. Nothing happens to one that is disabled. ErrUnknownConnection if there is none.
func (c *Connections) Rebind(name string) error {
	return c.renew(name, func(now bool) (enabled, change bool) { return now, now })
}

// renew makes a new generation with the same row.
func (c *Connections) renew(name string, wanted func(now bool) (enabled, change bool)) error {
	c.mu.Lock()
	old := *c.table.Load()
	prev, ok := old[name]
	if !ok {
		c.mu.Unlock()
		return fmt.Errorf("%w: %s", ErrUnknownConnection, name)
	}
	enabled, change := wanted(prev.enabled)
	if !change || c.closed {
		c.mu.Unlock()
		return nil
	}
	next := c.make(prev.row, enabled, prev)
	table := maps.Clone(old)
	table[name] = next
	c.table.Store(&table)
	handOver := prev.retire(next, sms.Outcome{})
	next.start(prev)
	c.mu.Unlock()
	handOver()
	return nil
}

// Totals sums up what all connections counted, those that are there no more as well.
func (c *Connections) Totals() Counters {
	return c.totals.sum(func(add func(*counters)) {
		for _, connection := range *c.table.Load() {
			add(connection.counters)
		}
	})
}

// ResponseTimes are how long the peers of the connections took to answer a segment, by the connection's name.
func (c *Connections) ResponseTimes() map[string]metric.Snapshot {
	times := make(map[string]metric.Snapshot)
	for name, connection := range *c.table.Load() {
		times[name] = connection.counters.response.Snapshot()
	}
	return times
}

// Close takes nothing more, lets what is in flight be answered, unbinds and closes. What is queued ends NotSent. When ctx ends
// first, the sockets are closed as they are. No goroutine is left when it returns.
func (c *Connections) Close(ctx context.Context) {
	var after []func()
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		for _, connection := range *c.table.Load() {
			after = append(after, connection.retire(nil, sms.Failed(sms.Temporary, sms.CauseShutdown, "the gateway goes down")))
		}
	}
	c.mu.Unlock()
	for _, f := range after {
		f()
	}
	stop := context.AfterFunc(ctx, c.cancel)
	defer stop()
	c.generations.Wait()
	c.cancel()
}
