package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"sipsmpp/gateway/sms"
)

// FailedAttempt is an attempt that was refused or had no answer: a row of table failed_attempt. It is written with what came of it, so
// that a message that the first took costs nothing here.
type FailedAttempt struct {
	Attempt int // from 1
	Ended   time.Time
	Egress  string // the leg, or the URI, that it went by
	Reason  string
}

// mostFailed is how many of them are kept of a message: the last.
const mostFailed = 20

// failedColumns are the columns of table failed_attempt.
var failedColumns = []string{"message_id", "slot", "attempt", "ended", "egress", "reason"}

// writeFailed writes the failed attempts of messages that are inserted, wait on, or ended.
func (b *batch) writeFailed(ctx context.Context, tx *sql.Tx) error {
	b.args = b.args[:0]
	rows := 0
	add := func(id sms.ID, list []FailedAttempt) error {
		for _, f := range list[max(0, len(list)-mostFailed):] {
			b.args = append(b.args, id.String(), int64(f.Attempt%mostFailed), int64(f.Attempt), millis(f.Ended), clip(f.Egress), clip(f.Reason))
			if err := b.oneMore(ctx, tx, putFailed, &rows); err != nil {
				return err
			}
		}
		return nil
	}
	for _, o := range b.inserts {
		if err := add(o.record.Message.ID, o.record.Failed); err != nil {
			return err
		}
	}
	for _, o := range b.deferrals {
		var err error
		switch {
		case o.kind == opDelay:
			err = add(o.deferral.ID, o.deferral.Failed)
		case o.kind == opEnd && !o.end.Forget:
			err = add(o.end.Record.Message.ID, o.end.Record.Failed)
		}
		if err != nil {
			return err
		}
	}
	return b.rest(ctx, tx, putFailed, len(failedColumns), rows)
}

// failedAttempts are those that are kept of a message, oldest first.
func (db *DB) failedAttempts(ctx context.Context, id sms.ID) (list []FailedAttempt, err error) {
	rows, err := db.read.QueryContext(ctx, db.dialect.rebind("SELECT attempt, ended, egress, reason FROM failed_attempt WHERE message_id = ?"), id.String())
	if err != nil {
		return nil, fmt.Errorf("db: %w", err)
	}
	err = scanAll(rows, func() error {
		var f FailedAttempt
		var ended int64
		err := rows.Scan(&f.Attempt, &ended, &f.Egress, &f.Reason)
		f.Ended, f.Egress, f.Reason = fromMillis(ended), unescape(f.Egress), unescape(f.Reason)
		list = append(list, f)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("db: table failed_attempt: %w", err)
	}
	slices.SortFunc(list, func(a, b FailedAttempt) int { return a.Attempt - b.Attempt })
	return list, nil
}
