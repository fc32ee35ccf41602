package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"sipsmpp/gateway/sms"
)

// AccountReceipt is a receipt that an account is owed: a row of table account_receipt, kept until the account has it.
type AccountReceipt struct {
	ID       sms.ID // its own
	Account  string
	Message  sms.ID      // as the account knows the message, or the part of it
	From, To sms.Address // of the message
	State    sms.State
	Closing  bool // nothing more will be told, whatever State is
	Error    string
	DoneTime time.Time
	Created  time.Time
	Attempts int // that the account refused or did not answer
	Next     time.Time
}

// receiptColumns are the columns of table account_receipt.
var receiptColumns = []string{
	"id", "node", "account", "message_id", "from_address", "from_ton", "from_npi", "to_address", "to_ton", "to_npi",
	"state", "error", "done_time", "created", "attempts", "next_attempt", "closing",
}

// DropReceipt forgets a receipt that the account has, or that is given up.
func (db *DB) DropReceipt(id sms.ID, done func(error)) {
	db.committer.put(op{kind: opDropReceipt, owed: AccountReceipt{ID: id}, done: done})
}

// DelayReceipt writes Attempts and Next of a receipt that the account did not take.
func (db *DB) DelayReceipt(r AccountReceipt, done func(error)) {
	db.committer.put(op{kind: opDelayReceipt, owed: r, done: done})
}

// DueReceipts are those that an account is owed and that are due now, oldest first.
func (db *DB) DueReceipts(ctx context.Context, account string, now time.Time, limit int) (list []AccountReceipt, err error) {
	rows, err := db.read.QueryContext(ctx, db.dialect.rebind(fmt.Sprintf(
		"SELECT id, account, message_id, from_address, from_ton, from_npi, to_address, to_ton, to_npi, state, error, done_time, "+
			"created, attempts, next_attempt, closing FROM account_receipt WHERE account = ? AND next_attempt <= ? ORDER BY next_attempt, id LIMIT %d", limit)),
		escape(account), now.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("db: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var r AccountReceipt
		var id, message, state string
		var done, created, next, closing int64
		if err := rows.Scan(&id, &r.Account, &message, &r.From.Value, &r.From.TON, &r.From.NPI, &r.To.Value, &r.To.TON, &r.To.NPI,
			&state, &r.Error, &done, &created, &r.Attempts, &next, &closing); err != nil {
			return nil, fmt.Errorf("db: %w", err)
		}
		var errs [2]error
		r.ID, errs[0] = sms.ParseID(id)
		r.Message, errs[1] = sms.ParseID(message)
		if err := errors.Join(errs[:]...); err != nil {
			return nil, fmt.Errorf("db: table account_receipt: %w", err)
		}
		r.State, _ = sms.ParseState(state)
		r.Closing = closing != 0
		r.DoneTime, r.Created, r.Next = fromMillis(done), fromMillis(created), fromMillis(next)
		for _, s := range []*string{&r.Account, &r.From.Value, &r.To.Value, &r.Error} {
			*s = unescape(*s)
		}
		list = append(list, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("db: %w", err)
	}
	return list, nil
}

// ExpireReceipts drops receipts that were made before a time, at most limit of them, oldest first, and says how many. As with Purge, a
// limit of some hundreds keeps it from holding up the committer.
func (db *DB) ExpireReceipts(ctx context.Context, before time.Time, limit int) (int, error) {
	return db.dropSome(ctx, []string{"DELETE FROM account_receipt WHERE id IN "},
		fmt.Sprintf("SELECT id FROM account_receipt WHERE id < ? ORDER BY id LIMIT %d", limit), firstID(before).String())
}

func flag(is bool) int64 {
	if is {
		return 1
	}
	return 0
}

// keepReceipts writes the receipts that reports make, in the transaction of those.
func (b *batch) keepReceipts(ctx context.Context, tx *sql.Tx, list []AccountReceipt) error {
	for len(list) > 0 {
		n := chunkFor(len(list))
		b.args = b.args[:0]
		for i := range list[:n] {
			r := &list[i]
			b.args = append(b.args, r.ID.String(), clip(b.db.node), clip(r.Account), r.Message.String(),
				clip(r.From.Value), int64(r.From.TON), int64(r.From.NPI), clip(r.To.Value), int64(r.To.TON), int64(r.To.NPI),
				r.State.String(), clip(r.Error), millis(r.DoneTime), millis(r.Created), int64(r.Attempts), millis(r.Next), flag(r.Closing))
		}
		if err := b.statements.exec(ctx, tx, statement{insertReceipt, n}, b.args); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// writeReceipts drops and delays receipts.
func (b *batch) writeReceipts(ctx context.Context, tx *sql.Tx) error {
	var dropped []sms.ID
	for _, o := range b.receipts {
		if o.kind == opDropReceipt {
			dropped = append(dropped, o.owed.ID)
			continue
		}
		if err := b.update(ctx, tx, delayReceipt, []sms.ID{o.owed.ID}, int64(o.owed.Attempts), millis(o.owed.Next)); err != nil {
			return err
		}
	}
	return b.update(ctx, tx, dropReceipt, dropped)
}
