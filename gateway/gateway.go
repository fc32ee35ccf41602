// Package gateway is the core: it carries messages between SIP, SMPP connections and applications.
//
// Every message comes in by one door, Gateway.Accept, and leaves by a target that the route table names. Promises:
//
//   - A message that was answered with success is with the next hop, or in the database and tried again.
//   - A receipt that was answered is stored, and an event told of it.
//   - A reload touches only what changed.
//   - Nothing here waits for a viewer of events, for a client of the MI, or for the database while it holds up a message that
//     needs no record.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sipsmpp/events"
	"sipsmpp/gateway/gather"
	"sipsmpp/gateway/route"
	"sipsmpp/gateway/sip"
	"sipsmpp/gateway/smpp"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
	"sipsmpp/gateway/text"
)

// Gateway is a running gateway.
type Gateway struct {
	config Config
	log    *slog.Logger
	ids    *sms.IDs
	hub    *events.Hub

	gather      *gather.Group // the batches that are worked on
	durables    *events.Durables
	db          *store.DB
	connections *smpp.Connections
	accounts    *smpp.Accounts
	relay       *relay
	sip         *sip.Endpoint
	parts       *text.Reassembler
	reports     *reports
	decisions   *decisions
	hops        hops
	duplicates  duplicates
	onces       onces
	keeper      *keeper

	routes      atomic.Pointer[route.Table]
	rules       atomic.Pointer[route.Rules]
	stored      atomic.Pointer[routeTable]
	table       atomic.Pointer[connectionTable]
	accountRows atomic.Pointer[[]sms.AccountConfig]
	sipUsers    atomic.Pointer[[]sms.SIPUser]
	queries     chan struct{} // one for each query_sm that is looked up
	notices     atomic.Int64  // reports to senders on SIP that wait to be sent again
	// reloading lets one reload run at a time, and keeps it apart from what else changes the connections.
	reloading   sync.Mutex
	defaultName string // smpp.default_connection; of who has the lock

	up       atomic.Bool // Start has returned
	closing  atomic.Bool
	measures *measures
	baseline atomic.Pointer[map[string]uint64] // of the counters, when they were last reset
	started  time.Time
	stop     context.CancelFunc
	sweeper  sync.WaitGroup
}

// FaultsError is what a reload says of rows that are not good. Nothing was changed.
type FaultsError struct{ Faults []sms.Fault }

func (e *FaultsError) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

var (
	// ErrUnknownConnection says that no connection has that name.
	ErrUnknownConnection = smpp.ErrUnknownConnection
	// ErrUnknownMessage says that no record has that id.
	ErrUnknownMessage = errors.New("no record of a message has this id: it never existed, needed no record, or its record is gone")
)

// New makes a gateway and opens what it needs: the database and the SIP listeners. Nothing is bound and no message is taken
// before Start. A configuration with faults is a *FaultsError.
func New(ctx context.Context, config Config, log *slog.Logger) (*Gateway, error) {
	config = config.WithDefaults()
	if faults := append(config.Check(), config.CheckCertificates()...); len(faults) > 0 {
		return nil, &FaultsError{Faults: faults}
	}
	secure, err := config.SMPP.secure(log)
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		config:  config,
		log:     log,
		gather:  new(gather.Group),
		ids:     sms.NewIDs(),
		hub:     events.NewHub(config.Node, events.Kept),
		parts:   text.NewReassembler(text.Limits{Age: time.Duration(config.SMPP.ReassemblyTimeout)}),
		started: time.Now(),

		measures:  newMeasures(),
		decisions: newDecisions(),
		queries:   make(chan struct{}, maxQueries),
	}
	g.hub.Observe(g.measures.lag.Observe)
	g.accountRows.Store(new([]sms.AccountConfig))
	g.sipUsers.Store(new([]sms.SIPUser))
	g.defaultName = config.SMPP.DefaultConnection
	g.stored.Store(&routeTable{})
	g.table.Store(&connectionTable{rows: make(map[string]sms.ConnectionConfig)})
	url, err := config.ReadDB()
	if err != nil {
		return nil, fmt.Errorf("db: %w", err)
	}
	db, err := store.Open(ctx, url, store.WithNode(config.Node), store.WithLogger(log), store.WithGather(g.gather))
	if err != nil {
		return nil, err
	}
	g.db = db
	if err := g.openEvents(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	g.reports = newReports(db, g.hub, log, g.siblings, g.smscIDFormat)
	g.reports.legs = g.connectionLegs
	g.reports.tell = g.tellSender
	g.connections = smpp.NewConnections(fromSMPP{g}, log, smpp.WithGather(g.gather))
	g.accounts = smpp.NewAccounts(fromAccounts{g}, log, g.accountsConfig(secure))
	g.relay = newRelay(db, g.accounts, g.ids, log)
	g.reports.relay, g.reports.durables = g.relay, g.durables
	g.keeper = newKeeper(g, log)
	g.reports.again, g.reports.holdKey = g.keeper.again, g.onces.hold
	if err := g.accounts.Listen(); err != nil {
		return nil, errors.Join(err, g.abandon(ctx))
	}
	sipConfig, _ := config.sip()
	sipConfig.Gather = g.gather
	if g.sip, err = sip.New(sipConfig, fromSIP{g}, log); err != nil {
		return nil, errors.Join(err, g.abandon(ctx))
	}
	g.reloading.Lock() // until Start has read the tables: what the MI is asked to change meanwhile waits for that
	return g, nil
}

// Start binds the connections of the table and takes messages. Rows with faults are logged and shown as invalid; the others
// are bound.
func (g *Gateway) Start(ctx context.Context) error {
	defer g.reloading.Unlock() // which New took
	rows, faults, err := g.db.Connections(ctx)
	if err != nil {
		return fmt.Errorf("db: table smpp: %w", err)
	}
	for _, f := range faults {
		g.log.Error("a connection is not used until its row is corrected and smpp_reload run", "fault", f.Error())
	}
	if err := g.loadRoutes(ctx); err != nil {
		return err
	}
	if err := g.publishNoted(ctx); err != nil {
		return err
	}
	if err := g.keeper.load(ctx); err != nil {
		return fmt.Errorf("db: table deferred: %w", err)
	}
	g.apply(rows, faults)
	if err := g.restoreParts(ctx); err != nil {
		return fmt.Errorf("db: the parts of long messages: %w", err)
	}
	if err := g.loadSIPUsers(ctx); err != nil {
		return err
	}
	if err := g.restoreContacts(ctx); err != nil {
		return err
	}
	background, stop := context.WithCancel(context.Background())
	g.stop = stop
	g.sweeper.Go(func() { g.sweep(background) })
	g.sweeper.Go(func() { g.purge(background) })
	g.sweeper.Go(func() { g.closeReports(background) })
	g.sweeper.Go(func() { g.expireReceipts(background) })
	g.sweeper.Go(func() { g.durables.Run(background) })
	g.sweeper.Go(func() { g.relay.run(background) })
	g.sweeper.Go(func() { g.keeper.run(background) })
	if err := g.startAccounts(ctx); err != nil {
		return fmt.Errorf("db: table smpp_account: %w", err)
	}
	g.sip.Start()
	g.up.Store(true)
	g.keeper.up(sms.SIP.String())
	return nil
}

// abandon closes what New had opened when the rest failed.
func (g *Gateway) abandon(ctx context.Context) error {
	g.accounts.Close(ctx)
	g.closeEvents()
	return g.db.Close()
}

// sweep does what is due by time and by nothing else.
func (g *Gateway) sweep(ctx context.Context) {
	tick := time.NewTicker(min(10*time.Second, max(10*time.Millisecond, time.Duration(g.config.SMPP.ReassemblyTimeout)/10)))
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			g.sweepParts(now)
		case <-ctx.Done():
			return
		}
	}
}

// Close ends the gateway: nothing new is taken, what is in flight has until ctx ends, then binds are unbound and the database is
// closed.
func (g *Gateway) Close(ctx context.Context) error {
	g.closing.Store(true)
	if g.stop != nil {
		g.stop()
	}
	g.sweeper.Wait()
	g.decisions.close()
	g.accounts.Close(ctx)    // their messages in flight need the connections
	g.connections.Close(ctx) // first, so that the SIP side can still tell its senders what became of their messages
	err := g.sip.Close(ctx)
	g.closeEvents()
	return errors.Join(err, g.db.Close())
}

// Events is the hub that tells what happens.
func (g *Gateway) Events() *events.Hub { return g.hub }

// Node is the name of this gateway.
func (g *Gateway) Node() string { return g.config.Node }

// Started is when the gateway was made.
func (g *Gateway) Started() time.Time { return g.started }

// SIPAddrs are the addresses that the SIP side listens on, as `udp:127.0.0.1:5060`.
func (g *Gateway) SIPAddrs() []string { return g.sip.Listeners() }

// readyTime is how long the database may take to say that it is there.
const readyTime = 2 * time.Second

// Ready says why the gateway cannot carry messages: it is not up yet, it is going down, or its database does not answer. Its
// listeners are open from New to Close. That a peer is away is no reason: the others are served.
func (g *Gateway) Ready(ctx context.Context) error {
	switch {
	case g.closing.Load():
		return errors.New("shutting down")
	case !g.up.Load():
		return errors.New("starting")
	}
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	return g.db.Ping(ctx)
}

// Message gives the record of a message; ErrUnknownMessage if there is none.
func (g *Gateway) Message(ctx context.Context, id sms.ID) (*store.Record, error) {
	r, err := g.db.Message(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrUnknownMessage
	}
	return r, err
}

// Messages gives the records that match, and where the next page starts.
func (g *Gateway) Messages(ctx context.Context, f store.Filter) (records []*store.Record, next sms.ID, err error) {
	return g.db.Messages(ctx, f)
}
