package smpp

import (
	"context"
	"crypto/tls"
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
	"sipsmpp/gateway/guard"
	"sipsmpp/gateway/metric"
	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

// AccountHandler is what the accounts tell their owner. It is called without locks, must not block, and may call back. An answer
// func may be called before the method returns or at any time later, by any goroutine; its first call counts, and it must come.
type AccountHandler interface {
	// Submit takes what an account submitted: a whole message, or one part of one (m.Part is set). m is the Handler's. Its ID is
	// set already, and m.Wanted names the receipts that the ESME waits for. The answer tells the ESME an id with ESME_ROK: m.ID, or
	// that of the same part where the ESME sent it before.
	Submit(m *sms.Message, answer func(wire.Status, sms.ID))
	// Query asks for what is known of a message that the account submitted.
	Query(account string, q MessageQuery, answer func(QueryAnswer))
	// Cancel asks for a message not to be delivered.
	Cancel(account string, q MessageQuery, answer func(wire.Status))
	// Replace asks for what a message says, and asks for, to be changed.
	Replace(account string, q MessageQuery, r Replacement, answer func(wire.Status))
	// BindUp and BindDown frame the life of a bind.
	BindUp(b BindStatus)
	BindDown(b BindStatus, reason string, inFlight int)
	// BindRefused tells of binds that were refused; how often it is called is bounded.
	BindRefused(r BindRefusal)
}

// MessageQuery names a message as query_sm and cancel_sm do.
type MessageQuery struct {
	ID     string      // as the ESME gives it
	Source sms.Address // the sender of that message; zero where it gives none
}

// QueryAnswer is what a query_sm_resp tells.
type QueryAnswer struct {
	Status   wire.Status // other than ESME_ROK: nothing is known
	State    sms.State
	DoneTime time.Time
	Error    string // network error code, of which digits are told
}

// Replacement is what a replace_sm puts in the place of what a message had (SMPP 3.4, 4.10.1).
type Replacement struct {
	Receipt sms.ReceiptRequest
	Expires time.Time // zero: it stays
	// Decode reads what the message is to say, which has the data_coding that it came with.
	Decode func(dataCoding uint8) (text string, data []byte)
}

// BindRefusal is a bind that was refused.
type BindRefusal struct {
	SystemID string // as the peer gave it
	Peer     string // host:port
	Status   wire.Status
	Reason   string
	Count    uint64 // how many there were from that address, since it was told last
}

// AccountsConfig is what the listener goes by. Its zero values take the defaults.
type AccountsConfig struct {
	Listen         []string      // HOST:PORT, or tls:HOST:PORT
	SystemID       string        // ours, in the response to a bind
	MaxConnections int           // most sockets; 1000
	InitTimeout    time.Duration // in which a peer must bind; 10 s
	TLS            *tls.Config   // how listeners of `tls:` speak it
	// Gather has the batches that are worked on elsewhere in the gateway; nil: there are no others.
	Gather *gather.Group
	// NextID makes the ids of messages.
	NextID func() sms.ID
	// Connections are those that a peer which says outbind may ask for, and whose peers may bind as accounts after an outbind of ours;
	// nil: none. It is before their first Apply that NewAccounts is called.
	Connections *Connections
}

// Accounts are the ESMEs of table smpp_account and the listeners that they bind to. It is safe for any number of goroutines.
type Accounts struct {
	config    AccountsConfig
	handler   AccountHandler
	log       *slog.Logger
	passwords *passwords
	guard     *guard.Guard
	table     atomic.Pointer[map[string]*account]
	totals    totals
	sessions  sync.WaitGroup
	listening sync.WaitGroup

	mu        sync.Mutex // lets one change of the table run at a time
	closed    bool
	listeners []*listener
	open      map[*accountBind]struct{} // every socket, bound or not
	unbound   map[netip.Addr]int        // sockets that are not bound, by the network that they come from
}

// NewAccounts makes an empty table; Apply fills it, and Start listens.
func NewAccounts(h AccountHandler, log *slog.Logger, config AccountsConfig) *Accounts {
	if config.MaxConnections <= 0 {
		config.MaxConnections = 1000
	}
	if config.InitTimeout <= 0 {
		config.InitTimeout = 10 * time.Second
	}
	if config.Gather == nil {
		config.Gather = new(gather.Group)
	}
	a := &Accounts{
		config: config, handler: h, log: log, passwords: newPasswords(), guard: guard.New(),
		open: make(map[*accountBind]struct{}), unbound: make(map[netip.Addr]int),
	}
	a.table.Store(&map[string]*account{})
	if config.Connections != nil {
		config.Connections.accounts = a
	}
	return a
}

// Apply makes the accounts those of rows, which must have different names. Whatever changed in a row holds from then on; the binds
// of an account stay, unless its row is gone or no longer enabled: those finish what is in flight and are unbound. Apply does not
// wait for that.
func (a *Accounts) Apply(rows []sms.AccountConfig) (changes Changes) {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return changes
	}
	old := *a.table.Load()
	table := make(map[string]*account, len(rows))
	var drained []*account
	for _, row := range rows {
		known := old[row.SystemID]
		if known == nil {
			table[row.SystemID] = newAccount(a, row)
			changes.Added = append(changes.Added, row.SystemID)
			continue
		}
		table[row.SystemID] = known
		known.mu.Lock()
		same, password := known.row == row, known.row.PasswordHash == row.PasswordHash
		if !same {
			known.set(row)
		}
		known.mu.Unlock()
		if same {
			changes.Unchanged++
			continue
		}
		changes.Changed = append(changes.Changed, row.SystemID)
		if !password {
			a.guard.Forgive(row.SystemID)
		}
		if !row.Enabled {
			drained = append(drained, known)
		}
	}
	var removed []*counters
	for name, account := range old {
		if table[name] == nil {
			changes.Removed = append(changes.Removed, name)
			removed = append(removed, account.counters)
			drained = append(drained, account)
		}
	}
	slices.Sort(changes.Removed)
	a.totals.swap(removed, func() { a.table.Store(&table) })
	for _, name := range changes.Removed {
		old[name].remove()
	}
	a.mu.Unlock()
	for _, account := range drained {
		account.drain()
	}
	return changes
}

// Submit hands a message to the account with that name, by any of its binds that can receive. It does not block. done is called
// exactly once, possibly before Submit returns.
func (a *Accounts) Submit(name string, m *sms.Message, done func(sms.Outcome)) {
	a.send(name, m, 0, done)
}

// Receipt is Submit of a delivery receipt, which is m's text and TLVs already.
func (a *Accounts) Receipt(name string, m *sms.Message, intermediate bool, done func(sms.Outcome)) {
	esmClass := wire.ESMClassReceipt
	if intermediate {
		esmClass = wire.ESMClassIntermediate
	}
	a.send(name, m, esmClass, done)
}

func (a *Accounts) send(name string, m *sms.Message, esmClass uint8, done func(sms.Outcome)) {
	account := (*a.table.Load())[name]
	if account == nil {
		o := sms.Failed(sms.Configuration, sms.CauseNotReady, "there is no account "+name)
		o.Egress = sms.Account(name)
		done(o)
		return
	}
	account.submit(m, esmClass, done)
}

// State says whether there is an account of that name, and whether a bind of it is up that takes messages.
func (a *Accounts) State(name string) (known, receives bool) {
	account := (*a.table.Load())[name]
	if account == nil {
		return false, false
	}
	account.mu.Lock()
	defer account.mu.Unlock()
	return true, account.canReceive()
}

// Receiving are the accounts that can receive now.
func (a *Accounts) Receiving() (names []string) {
	for name := range *a.table.Load() {
		if _, receives := a.State(name); receives {
			names = append(names, name)
		}
	}
	return names
}

// Status tells the state of every account, in the order of their names.
func (a *Accounts) Status() []AccountStatus {
	table := *a.table.Load()
	list := make([]AccountStatus, 0, len(table))
	for _, account := range table {
		list = append(list, account.status())
	}
	slices.SortFunc(list, func(x, y AccountStatus) int { return strings.Compare(x.SystemID, y.SystemID) })
	return list
}

// Totals sums up what all accounts counted, those that are there no more as well.
func (a *Accounts) Totals() Counters {
	return a.totals.sum(func(add func(*counters)) {
		for _, account := range *a.table.Load() {
			add(account.counters)
		}
	})
}

// ResponseTimes are how long the ESMEs took to answer a segment, by the account's name.
func (a *Accounts) ResponseTimes() map[string]metric.Snapshot {
	times := make(map[string]metric.Snapshot)
	for name, account := range *a.table.Load() {
		times[name] = account.counters.response.Snapshot()
	}
	return times
}

// Close takes no more connections, lets what is in flight be answered, unbinds and closes. When ctx ends first, the sockets are
// closed as they are. No goroutine is left when it returns.
func (a *Accounts) Close(ctx context.Context) {
	a.mu.Lock()
	a.closed = true
	listeners := a.listeners
	open := slices.Collect(maps.Keys(a.open))
	a.mu.Unlock()
	for _, l := range listeners {
		l.close()
	}
	a.listening.Wait()
	for _, b := range open {
		b.session.closeUnbound(errStopped)
	}
	for _, account := range *a.table.Load() {
		account.drain()
	}
	stop := context.AfterFunc(ctx, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		for b := range a.open {
			go b.session.close(errStopped)
		}
	})
	defer stop()
	a.sessions.Wait()
	a.passwords.close()
	for _, account := range *a.table.Load() {
		account.shut()
	}
}

// Addrs are what the listeners listen on.
func (a *Accounts) Addrs() (list []net.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.listeners {
		list = append(list, l.Addr())
	}
	return list
}
