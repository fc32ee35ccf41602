package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"sipsmpp/gateway/sms"
)

// Waiting is what a deferred message waits for.
type Waiting uint8

// What it may be.
const (
	WaitingTime     Waiting = iota // for Next
	WaitingBehind                  // for an older message of its queue to end
	WaitingOperator                // for message_retry
)

// Deferral is a row of table deferred: how a message waits for its next attempt.
type Deferral struct {
	ID       sms.ID
	Target   string // the legs that it may go by
	Queue    int64  // of Target and recipient: messages of one queue go one after the other, by their ids; 0: of none
	Waiting  Waiting
	Next     time.Time // where it waits for its time
	GiveUp   time.Time
	Octets   int
	Attempts int
	Unknown  int  // of them, those whose fate is not known: each may have delivered it
	Trying   bool // an attempt is under way
	Reason   string
	Changed  time.Time // when it was deferred, or tried last

	// Failed are the attempts since it was written last. They are not read.
	Failed []FailedAttempt
}

// End is how the wait of a deferred message ended.
type End struct {
	// Record has what the row of table message gets: State, Egress, Rule, Attempts, NextAttempt, Report, ReportError, DoneTime,
	// Segments, Failed, and of Message the Receipt.
	Record   *Record
	DropText bool // what it says is not kept
	Forget   bool // nor is anything else of it
	// Queue is the one that it waited in. Where Followed says that others wait behind it, the oldest of those is due now.
	Queue    int64
	Followed bool
	// Receipts are what the account that submitted it is owed.
	Receipts []AccountReceipt
}

// Attempt writes that deferred messages are about to be tried, all of them in one transaction. Until Delay or End says how that
// ended, they are due again at the time that is given: after a restart RecoverDeferred finds them first.
func (db *DB) Attempt(ids []sms.ID, again time.Time, done func(error)) {
	db.committer.put(op{kind: opAttempt, ids: ids, deferral: &Deferral{Next: again}, done: done})
}

// Delay writes how a message waits on that stays deferred. Where it leaves its queue, what was said of End holds for what waits
// behind it there.
func (db *DB) Delay(d Deferral, left int64, done func(error)) {
	db.committer.put(op{kind: opDelay, deferral: &d, end: &End{Queue: left, Followed: left != 0}, done: done})
}

// End writes how the wait of a message ended, with its segments and what its account is owed.
func (db *DB) End(e End, done func(error)) {
	db.committer.put(op{kind: opEnd, end: &e, done: done})
}

// Postpone lets messages that wait behind others wait on until a time.
func (db *DB) Postpone(ids []sms.ID, until time.Time, done func(error)) {
	db.committer.put(op{kind: opPostpone, ids: ids, deferral: &Deferral{Next: until}, done: done})
}

// Replace writes what a deferred message says now and asks for: Text, Data, Receipt, Wanted and Expires of its message, GiveUp and
// Octets of its deferral.
func (db *DB) Replace(r *Record, done func(error)) {
	db.committer.put(op{kind: opReplace, record: r, done: done})
}

// Promote makes the oldest message of a queue due now.
func (db *DB) Promote(queue int64, done func(error)) {
	db.committer.put(op{kind: opPromote, end: &End{Queue: queue, Followed: true}, done: done})
}

// deferredColumns are the columns of table deferred in the order of deferredRow and scanDeferral.
var deferredColumns = []string{
	"id", "node", "target", "queue", "waiting", "next_attempt", "give_up", "octets", "attempts", "unknown_fates", "trying", "reason",
	"changed",
}

func (db *DB) deferredRow(args []any, d *Deferral) []any {
	return append(args, d.ID.String(), clip(db.node), clipTarget(d.Target), d.Queue, int64(d.Waiting), millis(d.Next), millis(d.GiveUp),
		int64(d.Octets), int64(d.Attempts), int64(d.Unknown), number(d.Trying), clip(d.Reason), millis(d.Changed))
}

// maxTarget is the most characters of column `target`.
const maxTarget = 300

// clipTarget gives the legs that fit.
func clipTarget(s string) string {
	s = escape(s)
	for len(s) > maxTarget {
		i := strings.LastIndex(s, ", ")
		if i < 0 {
			return clip(s)
		}
		s = s[:i]
	}
	return s
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// insertDeferrals writes how the messages of inserts wait that are deferred.
func (b *batch) insertDeferrals(ctx context.Context, tx *sql.Tx) error {
	b.args = b.args[:0]
	rows := 0
	for _, o := range b.inserts {
		if o.record.Deferral == nil {
			continue
		}
		b.args = b.db.deferredRow(b.args, o.record.Deferral)
		if err := b.oneMore(ctx, tx, insertDeferred, &rows); err != nil {
			return err
		}
	}
	return b.rest(ctx, tx, insertDeferred, len(deferredColumns), rows)
}

// ended is what several messages may get alike at their end, so that they share a statement.
type ended struct {
	state        RecordState
	egress, rule string
	attempts     int
	receipt      sms.ReceiptRequest
	report       sms.State
	reportError  string
	doneTime     int64
	next         int64
	dropText     bool
}

// moveDeferrals writes attempts, then how they ended, then which messages are due because the one before them is out of their way.
func (b *batch) moveDeferrals(ctx context.Context, tx *sql.Tx) error {
	if len(b.deferrals) == 0 {
		return nil
	}
	now := time.Now().UnixMilli()
	groups := make(map[ended][]sms.ID)
	var over, freed, forgotten, failed []sms.ID
	var queues []int64
	var owed []AccountReceipt
	for _, o := range b.deferrals {
		var err error
		switch o.kind {
		case opAttempt:
			err = b.update(ctx, tx, attemptDeferred, o.ids, millis(o.deferral.Next), now)
		case opPostpone:
			err = b.update(ctx, tx, postponeDeferred, o.ids, millis(o.deferral.Next))
		case opDelay:
			err = b.delay(ctx, tx, o.deferral)
		case opReplace:
			err = b.replace(ctx, tx, o.record)
		case opEnd:
			id := o.end.Record.Message.ID
			if o.end.Forget {
				over, forgotten, owed = append(over, id), append(forgotten, id), append(owed, o.end.Receipts...)
				if o.end.Record.Attempts > 1 || o.end.Record.State == RecordFailed {
					failed = append(failed, id)
				}
				break
			}
			g, err := endOf(o.end)
			if err != nil {
				return err
			}
			if o.end.Record.State == RecordFailed && o.end.Record.Message.IdempotencyKey != "" {
				freed = append(freed, id) // whoever sends it again wants it tried again
			}
			groups[g], over, owed = append(groups[g], id), append(over, id), append(owed, o.end.Receipts...)
		}
		if err != nil {
			return err
		}
		if o.end != nil && o.end.Followed {
			queues = append(queues, o.end.Queue)
		}
	}
	for g, ids := range groups {
		if err := b.update(ctx, tx, endMessages, ids, string(g.state), g.egress, g.rule, int64(g.attempts), g.receipt.String(),
			g.report.String(), g.reportError, g.doneTime, g.next, now); err != nil {
			return err
		}
		if g.dropText {
			if err := b.update(ctx, tx, dropTexts, ids); err != nil {
				return err
			}
		}
	}
	if err := b.update(ctx, tx, dropDeferred, over); err != nil {
		return err
	}
	if err := b.update(ctx, tx, freeKeys, freed); err != nil {
		return err
	}
	if err := b.update(ctx, tx, dropMessages, forgotten); err != nil {
		return err
	}
	if err := b.update(ctx, tx, dropFailed, failed); err != nil {
		return err
	}
	if err := b.endSegments(ctx, tx); err != nil {
		return err
	}
	if err := b.keepReceipts(ctx, tx, owed); err != nil {
		return err
	}
	return b.promote(ctx, tx, queues, now)
}

// endOf checks what a message gets at its end.
func endOf(e *End) (g ended, err error) {
	r := e.Record
	g = ended{
		state: r.State, attempts: r.Attempts, receipt: r.Message.Receipt, report: r.Report, reportError: clip(r.ReportError),
		doneTime: millis(r.DoneTime), next: millis(r.NextAttempt), dropText: e.DropText,
	}
	if g.egress, err = short("egress", r.Egress.String(), 300); err == nil {
		g.rule, err = short("rule", r.Rule, maxShort)
	}
	return g, err
}

func (b *batch) delay(ctx context.Context, tx *sql.Tx, d *Deferral) error {
	return b.update(ctx, tx, delayDeferred, []sms.ID{d.ID}, clipTarget(d.Target), d.Queue, int64(d.Waiting), millis(d.Next),
		millis(d.GiveUp), int64(d.Attempts), int64(d.Unknown), clip(d.Reason), millis(d.Changed))
}

func (b *batch) replace(ctx context.Context, tx *sql.Tx, r *Record) error {
	m := r.Message
	options, err := rareOf(r)
	if err != nil {
		return err
	}
	var data any
	if m.Data != nil {
		data = m.Data
	}
	id := []sms.ID{m.ID}
	if err := b.update(ctx, tx, replaceMessage, id, escape(m.Text), data, m.Receipt.String(), millis(m.Expires), options,
		time.Now().UnixMilli()); err != nil {
		return err
	}
	return b.update(ctx, tx, replaceDeferred, id, millis(r.Deferral.GiveUp), int64(r.Deferral.Octets))
}

// endSegments writes the segments of messages that a next hop took after all.
func (b *batch) endSegments(ctx context.Context, tx *sql.Tx) error {
	b.args = b.args[:0]
	rows := 0
	for _, o := range b.deferrals {
		if o.kind != opEnd || o.end.Forget {
			continue
		}
		if err := b.segmentsOf(ctx, tx, o.end.Record, &rows); err != nil {
			return err
		}
	}
	return b.rest(ctx, tx, insertSegment, len(segmentColumns), rows)
}

// selectOldestText finds the oldest message of each of n queues, NULL where one is empty. Each has a select of its own, which reads the
// first of its entries in the index: grouped, all of them would be read, and a queue may have a million. PostgreSQL takes the least id of
// a queue that has much of the table to be near the least of all, and reads the table from there, unless only the queue's index can have
// the order that is asked for.
func selectOldestText(d *dialect, n int) string {
	if d == postgresDialect {
		return "SELECT (SELECT id FROM deferred WHERE queue BETWEEN q.queue AND q.queue ORDER BY queue, id LIMIT 1) AS id " +
			"FROM (VALUES (?::bigint)" + strings.Repeat(", (?::bigint)", n-1) + ") q(queue)"
	}
	const one = "SELECT MIN(id) AS id FROM deferred WHERE queue = ?"
	return one + strings.Repeat(" UNION ALL "+one, n-1)
}

// promote makes the oldest message of each queue due.
func (b *batch) promote(ctx context.Context, tx *sql.Tx, queues []int64, now int64) error {
	var oldest []sms.ID
	for some := range slices.Chunk(queues, chunks[0]) {
		n := chunkAround(len(some))
		b.args = b.args[:0]
		for i := range n {
			b.args = append(b.args, some[min(i, len(some)-1)])
		}
		rows, err := b.statements.query(ctx, tx, statement{selectOldest, n}, b.args)
		if err != nil {
			return err
		}
		err = scanAll(rows, func() error {
			var text sql.NullString
			if err := rows.Scan(&text); err != nil || !text.Valid {
				return err
			}
			id, err := sms.ParseID(text.String)
			oldest = append(oldest, id)
			return err
		})
		if err != nil {
			return err
		}
	}
	return b.update(ctx, tx, promoteDeferred, oldest, now)
}
