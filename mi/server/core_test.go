package server

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sipsmpp/events"
	"sipsmpp/gateway"
	"sipsmpp/gateway/sip"
	"sipsmpp/gateway/smpp"
	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeCore is a core with one connection, acme, that says of a message what the test set.
type fakeCore struct {
	hub      *events.Hub
	durables *events.Durables

	mu       sync.Mutex
	ids      *sms.IDs
	accept   func(m *sms.Message, done func(sms.Outcome)) // nil: by acme, at once
	accepted []*sms.Message
	reload   func() (smpp.Changes, error)
	records  []*store.Record
	filter   store.Filter
	resets   int
	changes  []gateway.SIPUserChange
	ready    error
	called   []string
	changed  gateway.AccountChange // what account_add or account_set was called with last
	values   map[string]string     // of the row that was last added or set
	routes   fakeRoutes
	tables   []gateway.TableChanges // what a reload finds
	reloads  int
	fallback string // the default connection
}

func newFakeCore() *fakeCore { return &fakeCore{hub: events.NewHub("gw", 100), ids: sms.NewIDs()} }

func (c *fakeCore) Accept(m *sms.Message, done func(sms.Outcome)) {
	m.ID = c.ids.Next()
	c.mu.Lock()
	c.accepted = append(c.accepted, m)
	accept := c.accept
	c.mu.Unlock()
	if accept != nil {
		accept(m, done)
		return
	}
	done(sms.Outcome{Fate: sms.Accepted, Egress: sms.Connection("acme"), SMSCIDs: []string{"17"}, Segments: 1, Alphabet: sms.AlphabetGSM7})
}

func (c *fakeCore) AcceptOnce(m *sms.Message, done func(gateway.Once)) {
	c.Accept(m, func(o sms.Outcome) { done(gateway.Once{ID: m.ID, Outcome: o}) })
}

func (c *fakeCore) Events() *events.Hub { return c.hub }

func (c *fakeCore) Durables() *events.Durables { return c.durables }

func (c *fakeCore) Connections() []smpp.ConnectionStatus {
	return []smpp.ConnectionStatus{{
		Name: "acme", Peer: "10.0.0.1:2775", SessionType: sms.Transceiver, Enabled: true, State: smpp.ConnectionBound,
		Binds: []smpp.BindStatus{{
			ID: "acme#1", Owner: sms.Connection("acme"), Mode: "transceiver", State: smpp.BindBound,
			Since: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Remote: "10.0.0.1:2775", Local: "10.0.0.2:40000", Window: 10, InFlight: 2,
		}},
		Counters: smpp.Counters{Sent: 5},
	}}
}

func (c *fakeCore) Accounts() []smpp.AccountStatus {
	return []smpp.AccountStatus{{SystemID: "shop", Enabled: true, Binds: []smpp.BindStatus{{
		ID: "shop#1", Owner: sms.Account("shop"), Mode: "transceiver", State: smpp.BindBound,
	}}, Counters: smpp.Counters{Received: 7}}}
}

func (c *fakeCore) AccountRows() []sms.AccountConfig {
	row := store.NewAccount("shop", "a hash")
	row.AllowedIPs, row.LongMessage = "192.0.2.0/24 2001:db8::1/128", sms.LongPayload
	return []sms.AccountConfig{row}
}

func (c *fakeCore) AddAccount(_ context.Context, a gateway.AccountChange) error {
	if a.SystemID == "shop" {
		return gateway.ErrAccountExists
	}
	c.changed = a
	return nil
}

func (c *fakeCore) SetAccount(_ context.Context, a gateway.AccountChange) error {
	if a.SystemID != "shop" {
		return gateway.ErrUnknownAccount
	}
	if a.Window != nil && *a.Window == 0 {
		return &gateway.FaultsError{Faults: []sms.Fault{{Path: "smpp_account[system_id=shop].window", Reason: "0 is not a window"}}}
	}
	c.changed = a
	return nil
}

func (c *fakeCore) DeleteAccount(_ context.Context, systemID string) error {
	if systemID != "shop" {
		return gateway.ErrUnknownAccount
	}
	return nil
}

func (c *fakeCore) ReloadAccounts(context.Context) (smpp.Changes, error) {
	return smpp.Changes{Changed: []string{"shop"}}, nil
}

func (c *fakeCore) Reload(context.Context) (smpp.Changes, error) {
	if c.reload != nil {
		return c.reload()
	}
	return smpp.Changes{Added: []string{"acme"}, Unchanged: 2}, nil
}

func (c *fakeCore) named(what, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.called = append(c.called, what+" "+name)
	if name != "acme" {
		return gateway.ErrUnknownConnection
	}
	return nil
}

func (c *fakeCore) AddConnection(_ context.Context, values map[string]string) (smpp.Changes, error) {
	c.values = values
	if values["name"] == "acme" {
		return smpp.Changes{}, gateway.ErrConnectionExists
	}
	return smpp.Changes{Added: []string{values["name"]}, Unchanged: 1}, nil
}

func (c *fakeCore) SetConnection(_ context.Context, name string, values map[string]string) (smpp.Changes, error) {
	c.values = values
	return smpp.Changes{Changed: []string{name}}, c.named("set", name)
}

func (c *fakeCore) DeleteConnection(_ context.Context, name string) (smpp.Changes, error) {
	return smpp.Changes{Removed: []string{name}}, c.named("delete", name)
}

func (c *fakeCore) Enable(name string) error  { return c.named("enable", name) }
func (c *fakeCore) Disable(name string) error { return c.named("disable", name) }
func (c *fakeCore) Rebind(name string) error {
	if name == "panic" {
		panic("the test wants it")
	}
	return c.named("rebind", name)
}

func (c *fakeCore) Message(_ context.Context, id sms.ID) (*store.Record, error) {
	for _, r := range c.records {
		if r.Message.ID == id {
			return r, nil
		}
	}
	return nil, gateway.ErrUnknownMessage
}

// RetryMessage and CancelMessage know the records: one that is deferred can be tried, and one that is sent cannot.
func (c *fakeCore) RetryMessage(ctx context.Context, id sms.ID) error {
	r, err := c.Message(ctx, id)
	if err == nil && r.State != store.RecordDeferred {
		err = gateway.ErrNotDeferred
	}
	return err
}

func (c *fakeCore) CancelMessage(ctx context.Context, id sms.ID) error {
	if err := c.RetryMessage(ctx, id); err != nil {
		return err
	}
	return gateway.ErrBeingTried
}

func (c *fakeCore) DeferredFor(leg sms.Leg) int { return len(leg.Name) }

func (c *fakeCore) Messages(_ context.Context, f store.Filter) ([]*store.Record, sms.ID, error) {
	c.filter = f
	if len(c.records) == 0 {
		return nil, sms.ID{}, nil
	}
	return c.records, c.records[len(c.records)-1].Message.ID, nil
}

// Trace shows three PDUs of acme.
func (c *fakeCore) Trace(name string, sink func(smpp.TracedPDU)) (sms.Leg, smpp.Dissector, func(), error) {
	if name != "acme" {
		return sms.Leg{}, smpp.Dissector{}, nil, gateway.ErrUnknownConnection
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	sink(smpp.TracedPDU{Time: at, Peer: "10.0.0.1:2775", Sent: true, Header: wire.Header{Command: wire.CmdSubmitSM, Sequence: 7}, Body: []byte("\x00" +
		"\x00\x001\x00" + "\x01\x012\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00" + "\x02hi")})
	sink(smpp.TracedPDU{Time: at, Peer: "10.0.0.1:2775", Header: wire.Header{Command: wire.CmdSubmitSMResp, Sequence: 7, Status: wire.StatusThrottled}})
	sink(smpp.TracedPDU{Time: at, Peer: "10.0.0.1:2775", Header: wire.Header{Command: wire.CmdEnquireLink, Sequence: 8}})
	return sms.Connection(name), smpp.Dissector{}, func() { _ = c.named("untrace", name) }, nil
}

func (c *fakeCore) TLVs(leg sms.Leg, tlvs []sms.TLV) map[string][]byte {
	named := make(map[string][]byte)
	for _, t := range tlvs {
		named[leg.String()+" "+sms.FormatTag(t.Tag)] = t.Value
	}
	return named
}

func (c *fakeCore) ParseTLVs(connection string, values map[string]string) ([]sms.TLV, error) {
	var tlvs []sms.TLV
	for name, value := range values {
		tag, ok := sms.ParseTag(name)
		if !ok {
			return nil, errors.New(connection + " has no " + name)
		}
		tlvs = append(tlvs, sms.TLV{Tag: tag, Value: []byte(value)})
	}
	return tlvs, nil
}

func (c *fakeCore) SIPAddrs() []string { return []string{"udp:127.0.0.1:5060"} }

func (c *fakeCore) SIPNextHops() []sip.NextHop {
	return []sip.NextHop{{URI: "sip:a", State: "down", Reason: "nobody listens there", Addresses: []string{"192.0.2.1:5060"}}}
}

func (c *fakeCore) SIPStats() sip.Stats { return sip.Stats{InFlight: 3} }

func (c *fakeCore) SIPUsers(context.Context) ([]sms.SIPUser, error) {
	return []sms.SIPUser{{Name: "al", Realm: "example.com", HA1: "hidden", Numbers: []string{"100"}, Enabled: true}}, nil
}

func (c *fakeCore) SIPRegistrar() bool { return true }

// TraceSIP shows two messages.
func (c *fakeCore) TraceSIP(f sip.TraceFilter, sink func(sip.Traced)) func() {
	at := time.UnixMilli(1_790_000_000_000)
	sink(sip.Traced{Time: at, Peer: "udp:" + f.Peer, Octets: []byte("MESSAGE sip:" + f.User + " SIP/2.0\r\nVia: x\r\n\r\nhi")})
	sink(sip.Traced{Time: at, Peer: "udp:" + f.Peer, Sent: true, Octets: []byte("SIP/2.0 202 Accepted\r\nVia: x\r\n\r\n")})
	return func() { _ = c.named("untrace", "sip") }
}

func (c *fakeCore) SIPContacts(_ context.Context, user string) ([]sms.Contact, error) {
	if user == "nobody" {
		return nil, gateway.ErrUnknownSIPUser
	}
	at := time.UnixMilli(1_790_000_000_000)
	return []sms.Contact{{
		User: "al", URI: "sip:al@192.0.2.7", Received: "udp:192.0.2.7:5060", Q: 500, CallID: "hidden", Since: at, Updated: at, Expires: at.Add(time.Hour),
	}}, nil
}

func (c *fakeCore) DeleteSIPContacts(_ context.Context, user, contact string) (int, error) {
	switch {
	case user != "al":
		return 0, gateway.ErrUnknownContact
	case contact == "late":
		return 0, gateway.ErrNoRegistrar
	}
	return 1, nil
}

func (c *fakeCore) AddSIPUser(_ context.Context, name string, change gateway.SIPUserChange) error {
	if name == "al" {
		return gateway.ErrSIPUserExists
	}
	if *change.Password == "" {
		return &gateway.FaultsError{Faults: []sms.Fault{{Path: "sip_user[username=" + name + "].ha1", Reason: "none"}}}
	}
	return c.SetSIPUser(context.Background(), "al", change)
}

func (c *fakeCore) SetSIPUser(_ context.Context, name string, change gateway.SIPUserChange) error {
	if name != "al" {
		return gateway.ErrUnknownSIPUser
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes = append(c.changes, change)
	return nil
}

func (c *fakeCore) DeleteSIPUser(_ context.Context, name string) error {
	return c.SetSIPUser(context.Background(), name, gateway.SIPUserChange{})
}

func (c *fakeCore) ReloadSIPUsers(context.Context) (int, error) { return 1, nil }

func (c *fakeCore) DiffTables(context.Context) []gateway.TableChanges { return c.tables }

func (c *fakeCore) ReloadTables(context.Context) []gateway.TableChanges {
	c.reloads++
	return c.tables
}

func (c *fakeCore) SetDefaultConnection(name string) { c.fallback = name }

func (c *fakeCore) Statistics() []gateway.Statistic {
	return []gateway.Statistic{
		{Group: "core", Name: "uptime", Value: 7},
		{Group: "smpp", Name: "segments_sent", Value: 5, Counter: true},
	}
}

func (c *fakeCore) ResetStatistics() { c.resets++ }

func (c *fakeCore) Started() time.Time { return time.Now().Add(-7500 * time.Millisecond) }

func (c *fakeCore) Ready(context.Context) error { return c.ready }

// start makes a server that is closed with the test.
func start(t testing.TB, core *fakeCore, options Options) *Server {
	t.Helper()
	s := New(core, options)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

// call dispatches a body and waits for its answer, encoded.
func (s *Server) call(t testing.TB, body string) string {
	t.Helper()
	answers := make(chan answer, 1)
	s.dispatcher.dispatch(t.Context(), []byte(body), func(a answer) { answers <- a })
	return string((<-answers).encode(nil))
}

var discard = slog.New(slog.DiscardHandler)

// The core that this is for.
var _ Core = (*gateway.Gateway)(nil)
