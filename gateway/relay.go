package gateway

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"sipsmpp/gateway/receipt"
	"sipsmpp/gateway/smpp"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

const (
	// receiptsKept is how long a receipt waits for its account to take it.
	receiptsKept = 3 * 24 * time.Hour
	// maxRelayed bounds the receipts of one account that are on their way; the others wait in the database.
	maxRelayed = 1000
	// mostAttempts is how often an account may refuse a receipt, or leave it unanswered.
	mostAttempts = 12
	// relayPause is the wait after the first refusal; it doubles up to lastRelayPause.
	relayPause, lastRelayPause = 5 * time.Second, time.Hour
	// relayTick is how often the database is asked for what is due again.
	relayTick = 5 * time.Second
)

// relay brings accounts the receipts that they asked for. A receipt is written in the transaction of the report that makes it, and
// stays in the database until the account has answered it with ESME_ROK: what is here in memory can be lost at any time.
type relay struct {
	db       *store.DB
	accounts *smpp.Accounts
	ids      *sms.IDs
	log      *slog.Logger
	wake     chan struct{}

	mu       sync.Mutex
	sending  map[sms.ID]struct{} // on their way, until their end is written
	count    map[string]int      // of them, by account
	behind   map[string]bool     // accounts with receipts in the database that had no room
	finished map[sms.ID]struct{} // that ended while the database was read; nil: it is not

	delivered, refused, expired atomic.Uint64
}

func newRelay(db *store.DB, accounts *smpp.Accounts, ids *sms.IDs, log *slog.Logger) *relay {
	return &relay{
		db: db, accounts: accounts, ids: ids, log: log, wake: make(chan struct{}, 1),
		sending: make(map[sms.ID]struct{}), count: make(map[string]int), behind: make(map[string]bool),
	}
}

// owe makes the receipts that an account is to get for what a report told of a message that went by a leg. That SIP accepted it is
// perhaps the last that is heard of it, and final in SMPP (SMPP 3.4, 5.2.28), so that it is told to who wants the final state, and
// not again when the report is closed. Of a closed report who wants the final state hears, though it is none.
func (r *relay) owe(m *recorded, leg sms.Leg, now store.MessageReport) (list []store.AccountReceipt) {
	at := time.Now()
	accepted := leg.Kind == sms.LegSIP && now.State == sms.StateAccepted
	if accepted && now.Closed {
		return nil
	}
	last := accepted || now.Closed && !now.State.Final()
	for _, w := range m.wanted {
		if w.Receipt.Wants(now.State) || last && w.Receipt == sms.ReceiptFinal {
			list = append(list, store.AccountReceipt{
				ID: r.ids.Next(), Account: m.ingress.Name, Message: w.ID, From: m.from, To: m.to, State: now.State, Closing: now.Closed,
				Error: now.Error, DoneTime: now.DoneTime, Created: at, Next: at,
			})
		}
	}
	return list
}

// send sends receipts that are in the database now, if their account can receive.
func (r *relay) send(list []store.AccountReceipt) {
	for i := range list {
		if _, receives := r.accounts.State(list[i].Account); receives {
			r.sendOne(list[i])
		}
	}
}

// sendOne sends a receipt unless it is on its way, or too many are; full says that.
func (r *relay) sendOne(a store.AccountReceipt) (full bool) {
	r.mu.Lock()
	_, under := r.sending[a.ID]
	_, over := r.finished[a.ID]
	full = r.count[a.Account] >= maxRelayed
	if full {
		r.behind[a.Account] = true
	}
	if under || over || full {
		r.mu.Unlock()
		return full
	}
	r.sending[a.ID] = struct{}{}
	r.count[a.Account]++
	r.mu.Unlock()
	intermediate := a.State == sms.StateEnroute || a.State == sms.StateUnknown && !a.Closing
	r.accounts.Receipt(a.Account, accountReceipt(a), intermediate, func(o sms.Outcome) { r.ended(a, o) })
	return false
}

// accountReceipt is the receipt as a message to the account: from the recipient of the message to its sender.
func accountReceipt(a store.AccountReceipt) *sms.Message {
	delivered := 0
	if a.State == sms.StateDelivered {
		delivered = 1
	}
	said := sms.Receipt{
		SMSCID: a.Message.String(), State: a.State, Error: a.Error, SubmitTime: a.Message.Time(), DoneTime: a.DoneTime,
	}
	if said.DoneTime.IsZero() {
		said.DoneTime = a.Created
	}
	return &sms.Message{
		ID: a.ID, From: a.To, To: a.From, Text: receipt.Format(said, 1, delivered), TLVs: receipt.TLVs(said), Received: a.Created,
	}
}

// ended takes what became of a receipt.
func (r *relay) ended(a store.AccountReceipt, o sms.Outcome) {
	switch {
	case o.Fate == sms.Accepted:
		r.delivered.Add(1)
		r.drop(a)
	case o.Fate == sms.NotSent && o.Severity != sms.Permanent:
		r.forget(a) // it waits for a bind, or for room
	default:
		r.refused.Add(1)
		a.Attempts++
		if a.Attempts >= mostAttempts || o.Cause == sms.CauseUnencodable {
			r.log.Error("a receipt is given up: its account does not take it",
				"account", a.Account, "message", a.Message, "attempts", a.Attempts, "reason", o.Reason())
			r.drop(a)
			return
		}
		wait := min(relayPause<<min(a.Attempts-1, 16), lastRelayPause)
		a.Next = time.Now().Add(wait)
		r.log.Warn("an account did not take a receipt; it is sent again",
			"account", a.Account, "message", a.Message, "attempts", a.Attempts, "reason", o.Reason(), "retry_in", wait)
		r.db.DelayReceipt(a, func(err error) {
			if err != nil {
				r.log.Error("a receipt that was refused could not be put off", "account", a.Account, "message", a.Message, "error", err)
			}
			r.forget(a)
		})
	}
}

// drop ends a receipt for good.
func (r *relay) drop(a store.AccountReceipt) {
	r.db.DropReceipt(a.ID, func(err error) {
		if err != nil {
			r.log.Error("a receipt that has its account's answer could not be dropped; it may be sent again",
				"account", a.Account, "message", a.Message, "error", err)
		}
		r.forget(a)
	})
}

// forget takes a receipt out of those on their way, and lets the next be looked for where that makes room.
func (r *relay) forget(a store.AccountReceipt) {
	r.mu.Lock()
	delete(r.sending, a.ID)
	if r.finished != nil {
		r.finished[a.ID] = struct{}{}
	}
	r.count[a.Account]--
	more := r.behind[a.Account] && r.count[a.Account] <= maxRelayed/2
	if r.count[a.Account] == 0 {
		delete(r.count, a.Account)
	}
	r.mu.Unlock()
	if more {
		r.signal()
	}
}

// signal makes run look for what is due.
func (r *relay) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run sends what waits in the database when there is a bind for it, and again what was refused when it is time.
func (r *relay) run(ctx context.Context) {
	tick := time.NewTicker(relayTick)
	defer tick.Stop()
	for {
		select {
		case <-r.wake:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for _, account := range r.accounts.Receiving() {
			if err := r.fill(ctx, account); err != nil && ctx.Err() == nil {
				r.log.Error("the receipts that wait for an account could not be read", "account", account, "error", err)
			}
		}
	}
}

// expireReceipts drops the receipts that no bind of their account took in time, a few at a time.
func (g *Gateway) expireReceipts(ctx context.Context) {
	dropped := 0
	g.sweepRecords(ctx, "old receipts", "dropped", purgeInterval, func() (more bool, err error) {
		n, err := g.db.ExpireReceipts(ctx, time.Now().Add(-receiptsKept), purgeCount)
		g.relay.expired.Add(uint64(n))
		dropped += n
		if more = n == purgeCount; !more && dropped > 0 {
			g.log.Warn("receipts were dropped that no bind of their account took for three days", "count", dropped)
			dropped = 0
		}
		return more, err
	})
}

// fill sends the due receipts of an account, as many as may be on their way.
func (r *relay) fill(ctx context.Context, account string) error {
	r.mu.Lock()
	r.finished = make(map[sms.ID]struct{})
	delete(r.behind, account)
	room := maxRelayed - r.count[account]
	if room <= 0 {
		r.behind[account] = true
	}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.finished = nil
		r.mu.Unlock()
	}()
	if room <= 0 {
		return nil
	}
	const most = 2 * maxRelayed // those on their way are among them
	list, err := r.db.DueReceipts(ctx, account, time.Now(), most)
	if err != nil {
		return err
	}
	for _, a := range list {
		if r.sendOne(a) {
			return nil
		}
	}
	if len(list) == most {
		r.mu.Lock()
		r.behind[account] = true
		r.mu.Unlock()
	}
	return nil
}
