package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"sipsmpp/gateway/sms"
)

func scanDeferral(rows *sql.Rows) (d Deferral, err error) {
	var id, node string
	var next, giveUp, changed int64
	err = rows.Scan(&id, &node, &d.Target, &d.Queue, &d.Waiting, &next, &giveUp, &d.Octets, &d.Attempts, &d.Unknown, &d.Trying, &d.Reason,
		&changed)
	if err != nil {
		return d, err
	}
	d.Target, d.Reason = unescape(d.Target), unescape(d.Reason)
	d.Next, d.GiveUp, d.Changed = fromMillis(next), fromMillis(giveUp), fromMillis(changed)
	d.ID, err = sms.ParseID(id)
	return d, err
}

// deferrals reads rows of table deferred.
func (db *DB) deferrals(ctx context.Context, clause string, args ...any) (list []Deferral, err error) {
	rows, err := db.read.QueryContext(ctx, db.dialect.rebind("SELECT "+strings.Join(deferredColumns, ", ")+" FROM deferred "+clause), args...)
	if err != nil {
		return nil, fmt.Errorf("db: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		d, err := scanDeferral(rows)
		if err != nil {
			return nil, fmt.Errorf("db: table deferred: %w", err)
		}
		list = append(list, d)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("db: %w", err)
	}
	return list, nil
}

// DueDeferrals are those that wait for a target and whose time has come, in the order of their time.
func (db *DB) DueDeferrals(ctx context.Context, target string, now time.Time, limit int) ([]Deferral, error) {
	return db.deferrals(ctx, fmt.Sprintf("WHERE target = ? AND waiting = 0 AND next_attempt <= ? ORDER BY next_attempt, id LIMIT %d", limit),
		clipTarget(target), now.UnixMilli())
}

// LaterDeferrals are those that wait for a target and for their time, whether it has come or not, from behind after on. Those that
// changed since a time are left out.
func (db *DB) LaterDeferrals(ctx context.Context, target string, after Deferral, since time.Time, limit int) ([]Deferral, error) {
	// Many may have the same time, and each page must begin where the last ended: a comparison of rows does, but MySQL finds none by
	// its index.
	behind, args := "(next_attempt, id) > (?, ?)", []any{clipTarget(target), millis(after.Next), after.ID.String()}
	if db.dialect == mysqlDialect {
		behind = "next_attempt >= ? AND (id > ? OR next_attempt > ?)"
		args = append(args, millis(after.Next))
	}
	return db.deferrals(ctx, fmt.Sprintf("WHERE target = ? AND waiting = 0 AND %s AND changed <= ? ORDER BY next_attempt, id LIMIT %d",
		behind, limit), append(args, since.UnixMilli())...)
}

// NextDeferral says when the first of those is due that wait for a target; zero: none is.
func (db *DB) NextDeferral(ctx context.Context, target string) (time.Time, error) {
	list, err := db.deferrals(ctx, "WHERE target = ? AND waiting = 0 ORDER BY next_attempt, id LIMIT 1", clipTarget(target))
	if err != nil || len(list) == 0 {
		return time.Time{}, err
	}
	return list[0].Next, nil
}

// StrandedDeferrals are those that have waited for a target, behind another, for longer than they should; alone are their queues in
// which none waits for its time, so that nothing would ever make one due.
func (db *DB) StrandedDeferrals(ctx context.Context, target string, now time.Time, limit int) (stranded []Deferral, alone []int64, err error) {
	stranded, err = db.deferrals(ctx, fmt.Sprintf("WHERE target = ? AND waiting = 1 AND next_attempt <= ? ORDER BY next_attempt, id LIMIT %d", limit),
		clipTarget(target), now.UnixMilli())
	if err != nil || len(stranded) == 0 {
		return nil, nil, err
	}
	var queues []any
	for _, d := range stranded {
		if !slices.Contains(queues, any(d.Queue)) {
			queues = append(queues, d.Queue)
		}
	}
	timed, err := db.deferrals(ctx, "WHERE waiting = 0 AND queue IN "+list(len(queues)), queues...)
	for _, q := range queues {
		if !slices.ContainsFunc(timed, func(d Deferral) bool { return d.Queue == q }) {
			alone = append(alone, q.(int64))
		}
	}
	return stranded, alone, err
}

// ExpiredDeferrals are those that are to be given up, in the order of that time.
func (db *DB) ExpiredDeferrals(ctx context.Context, now time.Time, limit int) ([]Deferral, error) {
	return db.deferrals(ctx, fmt.Sprintf("WHERE give_up <= ? ORDER BY give_up, id LIMIT %d", limit), now.UnixMilli())
}

// OldestDeferrals gives the oldest of each queue.
func (db *DB) OldestDeferrals(ctx context.Context, queues []int64) (oldest []Deferral, err error) {
	for some := range slices.Chunk(queues, 200) {
		args := make([]any, len(some))
		for i, q := range some {
			args[i] = q
		}
		part, err := db.deferrals(ctx, "WHERE id IN (SELECT id FROM ("+selectOldestText(db.dialect, len(some))+") oldest)", args...)
		if err != nil {
			return nil, err
		}
		oldest = append(oldest, part...)
	}
	return oldest, nil
}

// DeferredMessages gives the messages of deferrals. One that has none any more is left out.
func (db *DB) DeferredMessages(ctx context.Context, deferrals []Deferral) (records []*Record, err error) {
	for some := range slices.Chunk(deferrals, 200) {
		args := make([]any, len(some))
		byID := make(map[sms.ID]*Deferral, len(some))
		for i := range some {
			args[i], byID[some[i].ID] = some[i].ID.String(), &some[i]
		}
		rows, err := db.read.QueryContext(ctx, db.dialect.rebind("SELECT "+strings.Join(messageColumns, ", ")+
			" FROM message WHERE id IN "+list(len(some))+" ORDER BY id"), args...)
		if err != nil {
			return nil, fmt.Errorf("db: %w", err)
		}
		if err := scanAll(rows, func() error {
			r, err := scanRecord(rows)
			if err == nil {
				r.Deferral = byID[r.Message.ID]
				records = append(records, r)
			}
			return err
		}); err != nil {
			return nil, fmt.Errorf("db: %w", err)
		}
	}
	return records, nil
}

// scanAll reads every row, and closes them.
func scanAll(rows *sql.Rows, scan func() error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(); err != nil {
			return err
		}
	}
	return rows.Err()
}

// RecoverDeferred is for the start: attempts that were under way when the gateway ended count as such of unknown fate, and their
// messages are due now. It says how many there were.
func (db *DB) RecoverDeferred(ctx context.Context, now time.Time) (n int64, err error) {
	err = db.transact(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, db.dialect.rebind("UPDATE deferred SET trying = 0, waiting = 0, attempts = attempts + 1, "+
			"unknown_fates = unknown_fates + 1, next_attempt = ?, changed = ? WHERE trying <> 0"), now.UnixMilli(), now.UnixMilli())
		if err == nil {
			n, err = result.RowsAffected()
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("db: %w", err)
	}
	return n, nil
}

// EachDeferral tells of every deferred message what it takes to count it, in no order.
func (db *DB) EachDeferral(ctx context.Context, tell func(target string, queue int64, octets int)) error {
	rows, err := db.read.QueryContext(ctx, "SELECT target, queue, octets FROM deferred")
	if err != nil {
		return fmt.Errorf("db: %w", err)
	}
	var target sql.RawBytes
	last := "" // most rows have the target of the one before: its text is made once
	var queue int64
	var octets int
	if err := scanAll(rows, func() error {
		if err := rows.Scan(&target, &queue, &octets); err != nil {
			return err
		}
		if string(target) != last {
			last = string(target)
		}
		tell(unescape(last), queue, octets)
		return nil
	}); err != nil {
		return fmt.Errorf("db: %w", err)
	}
	return nil
}

// addDeferrals gives records of deferred messages how they wait.
func (db *DB) addDeferrals(ctx context.Context, records []*Record) error {
	byID := make(map[sms.ID]*Record)
	var ids []any
	for _, r := range records {
		if r.State == RecordDeferred {
			byID[r.Message.ID], ids = r, append(ids, r.Message.ID.String())
		}
	}
	for some := range slices.Chunk(ids, 200) {
		found, err := db.deferrals(ctx, "WHERE id IN "+list(len(some)), some...)
		if err != nil {
			return err
		}
		for _, d := range found {
			r := byID[d.ID]
			r.Deferral, r.Attempts = &d, d.Attempts
			if d.Waiting == WaitingTime {
				r.NextAttempt = d.Next
			}
		}
	}
	return nil
}
