package gateway

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"sipsmpp/events"
	"sipsmpp/gateway/certs"
	"sipsmpp/gateway/smpp"
	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

var (
	// ErrUnknownAccount says that no account has that system_id.
	ErrUnknownAccount = errors.New("no such account")
	// ErrAccountExists says that an account has that system_id already.
	ErrAccountExists = errors.New("there is an account with this system_id already: account_set changes it")
)

// passwordCost is how slow bcrypt is made: about 60 ms. Tests have no time for that.
var passwordCost = bcrypt.DefaultCost

// AccountChange is what account_add and account_set give of an account; nil leaves a value as it is, or has its default.
type AccountChange struct {
	SystemID   string
	Password   *string
	AllowedIPs *string
	BindModes  *string
	MaxBinds   *int
	Window     *int
	Throughput *int
	Enabled    *bool
	Options    *string // a JSON object; it takes the place of the one before
}

// AddAccount makes an account. It may bind at once. ErrAccountExists, or a *FaultsError for a bad value.
func (g *Gateway) AddAccount(ctx context.Context, c AccountChange) error {
	if c.Password == nil {
		return &FaultsError{Faults: []sms.Fault{{Path: "password", Reason: "want one"}}}
	}
	return g.changeAccount(ctx, c, true)
}

// SetAccount changes an account. Its binds stay, unless it is no longer enabled. ErrUnknownAccount, or a *FaultsError.
func (g *Gateway) SetAccount(ctx context.Context, c AccountChange) error {
	return g.changeAccount(ctx, c, false)
}

func (g *Gateway) changeAccount(ctx context.Context, c AccountChange, add bool) error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	rows, faults, err := g.db.Accounts(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(rows, func(r sms.AccountConfig) bool { return r.SystemID == c.SystemID })
	bad := slices.ContainsFunc(faults, func(f sms.Fault) bool { return strings.HasPrefix(f.Path, accountPath(c.SystemID)) })
	switch {
	case add && (i >= 0 || bad):
		return ErrAccountExists
	case !add && i < 0 && !bad:
		return fmt.Errorf("%w: %s", ErrUnknownAccount, c.SystemID)
	}
	row := store.NewAccount(c.SystemID, "")
	if i >= 0 {
		row = rows[i]
	}
	if wrong := c.apply(&row); len(wrong) > 0 {
		return &FaultsError{Faults: wrong}
	}
	if wrong := store.CheckAccount(row); len(wrong) > 0 {
		return &FaultsError{Faults: wrong}
	}
	if err := g.db.PutAccount(ctx, row); err != nil {
		return err
	}
	// What else changed in the table waits for account_reload.
	known := slices.DeleteFunc(slices.Clone(*g.accountRows.Load()), func(r sms.AccountConfig) bool { return r.SystemID == row.SystemID })
	g.applyAccounts(append(known, row))
	return nil
}

func accountPath(systemID string) string { return "smpp_account[system_id=" + systemID + "]" }

// apply writes the change into a row, and says what of it makes no sense.
func (c AccountChange) apply(row *sms.AccountConfig) (faults []sms.Fault) {
	fault := func(column, reason string) {
		faults = append(faults, sms.Fault{Path: accountPath(c.SystemID) + "." + column, Reason: reason})
	}
	if c.Password != nil {
		switch {
		case *c.Password == "":
			fault("password", "it is empty")
		case len(*c.Password) > 72:
			fault("password", "it is longer than 72 octets")
		default:
			hash, err := bcrypt.GenerateFromPassword([]byte(*c.Password), passwordCost)
			if err != nil {
				fault("password", err.Error())
			}
			row.PasswordHash = string(hash)
		}
	}
	if c.AllowedIPs != nil {
		row.AllowedIPs = *c.AllowedIPs // CheckAccount looks at it, and it is read back in its normal form
		if networks, err := store.ParseNetworks(*c.AllowedIPs); err != nil {
			fault("allowed_ips", err.Error())
		} else {
			row.AllowedIPs = networks
		}
	}
	if c.BindModes != nil {
		modes, err := store.ParseBindModes(*c.BindModes)
		if err == nil && modes == 0 {
			err = errors.New("it is empty: want transceiver, transmitter, receiver, or several with commas")
		}
		if err != nil {
			fault("bind_modes", err.Error())
		}
		row.BindModes = modes
	}
	for _, n := range []struct{ from, to *int }{
		{c.MaxBinds, &row.MaxBinds}, {c.Window, &row.Window}, {c.Throughput, &row.Throughput},
	} {
		if n.from != nil {
			*n.to = *n.from
		}
	}
	if c.Enabled != nil {
		row.Enabled = *c.Enabled
	}
	if c.Options != nil {
		if err := store.SetAccountOptions(row, *c.Options); err != nil {
			fault("options", err.Error())
		}
	}
	return faults
}

// DeleteAccount drops an account and the receipts that wait for it; its binds finish what is in flight. ErrUnknownAccount if there
// is none.
func (g *Gateway) DeleteAccount(ctx context.Context, systemID string) error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	if err := g.db.DeleteAccount(ctx, systemID); errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%w: %s", ErrUnknownAccount, systemID)
	} else if err != nil {
		return err
	}
	g.applyAccounts(slices.DeleteFunc(slices.Clone(*g.accountRows.Load()), func(r sms.AccountConfig) bool { return r.SystemID == systemID }))
	return nil
}

// ReloadAccounts reads table smpp_account again and applies what changed. One bad row is a *FaultsError with the faults of all
// rows, and nothing changes.
func (g *Gateway) ReloadAccounts(ctx context.Context) (smpp.Changes, error) {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	rows, faults, err := g.db.Accounts(ctx)
	if err != nil {
		return smpp.Changes{}, err
	}
	if len(faults) > 0 {
		return smpp.Changes{}, &FaultsError{Faults: faults}
	}
	return g.applyAccounts(rows), nil
}

// applyAccounts makes the accounts those of the rows.
func (g *Gateway) applyAccounts(rows []sms.AccountConfig) smpp.Changes {
	slices.SortFunc(rows, func(a, b sms.AccountConfig) int { return cmp.Compare(a.SystemID, b.SystemID) })
	g.accountRows.Store(&rows)
	g.duplicates.set(rows)
	g.setHops()
	return g.accounts.Apply(rows)
}

// startAccounts reads the table and listens. Rows with faults are logged; the others may bind.
func (g *Gateway) startAccounts(ctx context.Context) error {
	rows, faults, err := g.db.Accounts(ctx)
	if err != nil {
		return err
	}
	for _, f := range faults {
		g.log.Error("an account cannot bind until its row is corrected and account_reload run", "fault", f.Error())
	}
	g.applyAccounts(rows)
	g.accounts.Start()
	return nil
}

// Accounts tells the state of every account, in the order of their names.
func (g *Gateway) Accounts() []smpp.AccountStatus { return g.accounts.Status() }

// AccountRows are the accounts as their rows say, in the order of their names.
func (g *Gateway) AccountRows() []sms.AccountConfig { return *g.accountRows.Load() }

// SMPPAddrs are the addresses that accounts bind to, as `127.0.0.1:2775`.
func (g *Gateway) SMPPAddrs() []string {
	var list []string
	for _, a := range g.accounts.Addrs() {
		list = append(list, a.String())
	}
	return list
}

// accountsConfig is the section in the terms of package smpp.
func (g *Gateway) accountsConfig(secure *tls.Config) smpp.AccountsConfig {
	return smpp.AccountsConfig{
		Listen: g.config.SMPP.Listen, SystemID: systemID(g.config.Node), MaxConnections: g.config.SMPP.MaxConnections,
		NextID: g.ids.Next, Connections: g.connections, Gather: g.gather, TLS: secure,
	}
}

// systemID makes of the node's name what a system_id can be: 15 characters of ASCII (SMPP 3.4, 4.1.2).
func systemID(node string) string {
	name := strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '-'
		}
		return r
	}, node)
	return name[:min(len(name), 15)]
}

// Certificates are the files of the listener's certificate.
func (c SMPPConfig) Certificates() certs.Files {
	return certs.Files{Section: "smpp", Cert: c.TLSCert, Key: c.TLSKey, CA: c.TLSClientCA, CAKey: "tls_client_ca"}
}

// secure is how listeners of tls: speak it; nil: there is no certificate.
func (c SMPPConfig) secure(log *slog.Logger) (*tls.Config, error) {
	if c.TLSCert == "" {
		return nil, nil
	}
	certificates, err := certs.Open(c.Certificates(), log)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{}
	if c.TLSClientCA != "" {
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return certificates.Server(config), nil
}

// check names what is wrong with the listener's part of the section.
func (c SMPPConfig) check() (faults []sms.Fault) {
	fault := func(path, reason string) { faults = append(faults, sms.Fault{Path: path, Reason: reason}) }
	for i, s := range c.Listen {
		path := "smpp.listen[" + strconv.Itoa(i) + "]"
		address, secure := strings.CutPrefix(s, "tls:")
		if err := checkAddress(address); err != nil {
			fault(path, strconv.Quote(s)+" is not HOST:PORT, with tls: before it for TLS")
		} else if secure && c.TLSCert == "" {
			fault(path, "TLS needs smpp.tls_cert and smpp.tls_key")
		}
	}
	faults = append(faults, c.Certificates().Check()...)
	if c.TLSClientCA != "" && c.TLSCert == "" {
		fault("smpp.tls_client_ca", "client certificates want TLS: set smpp.tls_cert and smpp.tls_key")
	}
	if c.MaxConnections < 0 {
		fault("smpp.max_connections", "is negative")
	}
	return faults
}

// fromAccounts is what the accounts tell the gateway.
type fromAccounts struct{ g *Gateway }

// Submit takes what an account submits: a message, or one part of it.
func (h fromAccounts) Submit(m *sms.Message, answer func(wire.Status, sms.ID)) {
	h.g.hops.take(m)
	if answer = h.g.duplicates.first(m, answer); answer == nil {
		return
	}
	if m.Part.IsSet() {
		h.g.part(m, answer)
		return
	}
	h.g.Accept(m, func(o sms.Outcome) { answer(smppStatus(o), m.ID) })
}

// Query looks into the records, which hold what somebody waits for.
func (h fromAccounts) Query(account string, q smpp.MessageQuery, answer func(smpp.QueryAnswer)) {
	id, err := sms.ParseID(q.ID)
	if err != nil {
		answer(smpp.QueryAnswer{Status: wire.StatusInvalidMessageID})
		return
	}
	looking := h.look(func(ctx context.Context) {
		r, err := h.g.Message(ctx, id)
		if err != nil || r.Message.Ingress != sms.Account(account) || !q.Source.IsZero() && q.Source.Value != r.Message.From.Value {
			answer(smpp.QueryAnswer{Status: wire.StatusQueryFailed})
			return
		}
		answer(smpp.QueryAnswer{State: queryState(r), DoneTime: r.DoneTime, Error: r.ReportError})
	})
	if !looking {
		answer(smpp.QueryAnswer{Status: wire.StatusThrottled})
	}
}

// look lets f look into the database. It is false where too many do.
func (h fromAccounts) look(f func(context.Context)) bool {
	select {
	case h.g.queries <- struct{}{}:
	default:
		return false
	}
	go func() {
		defer func() { <-h.g.queries }()
		f(context.Background())
	}()
	return true
}

// maxQueries is how many lookups for query_sm, cancel_sm and replace_sm may be under way.
const maxQueries = 8

// queryState is the state of a recorded message as its sender knows states.
func queryState(r *store.Record) sms.State {
	switch {
	case r.Report != sms.StateNone:
		return r.Report
	case r.State == store.RecordFailed:
		return sms.StateUndeliverable
	case r.State == store.RecordDone:
		return sms.StateAccepted
	}
	return sms.StateEnroute
}

// BindUp tells the world, and that receipts may leave.
func (h fromAccounts) BindUp(b smpp.BindStatus) {
	fromSMPP(h).BindUp(b)
	h.g.relay.signal()
}

// BindDown tells the world.
func (h fromAccounts) BindDown(b smpp.BindStatus, reason string, inFlight int) {
	fromSMPP(h).BindDown(b, reason, inFlight)
}

// BindRefused tells the world.
func (h fromAccounts) BindRefused(r smpp.BindRefusal) {
	h.g.measures.bindsRefused.Add(r.Count)
	h.g.hub.Publish(events.BindRefused{
		Account: r.SystemID, Peer: r.Peer, CommandStatus: uint32(r.Status), Reason: r.Reason, Count: r.Count,
	})
}
