package store

import (
	"context"
	"database/sql"
	"time"

	"sipsmpp/gateway/sms"
)

// maxChunkBytes is how much text several rows may have in one statement: servers bound the size of one.
const maxChunkBytes = 1 << 20

// batch runs queued writes within one transaction, gathered by kind. It is the committer's own: one goroutine uses it.
type batch struct {
	db         *DB
	statements *statements
	inserts    []*op
	reports    []*op
	puts       []*op
	deletes    []*op
	receipts   []*op
	contacts   contactWrites
	journal    []*op
	deferrals  []*op
	parts      map[sms.ID]struct{} // those that were put or deleted
	periods    periods
	args       []any

	// What the reports call for.
	owed  []AccountReceipt
	notes []EventNote
}

func newBatch(ctx context.Context, db *DB) (*batch, error) {
	s, err := newStatements(ctx, db.dialect, db.write.DB,
		insertMessage, insertSegment, insertPart, deletePart, selectReported, updateSegments, updateMessages,
		insertReceipt, dropReceipt, delayReceipt, putContact, dropContact,
		queueEvent, ackEvents, reserveEvents, sealEvents, insertNote, dropNotes,
		insertDeferred, attemptDeferred, postponeDeferred, delayDeferred, dropDeferred, selectOldest, promoteDeferred, endMessages, dropTexts,
		freeKeys, replaceMessage, replaceDeferred, dropMessages, leaveMark, putFailed, dropFailed)
	return &batch{
		db: db, statements: s, parts: map[sms.ID]struct{}{}, contacts: contactWrites{last: map[sms.ID]*sms.Contact{}},
	}, err
}

// run writes ops. They are gathered by kind, in an order that keeps theirs wherever it matters: a report follows the insert of
// its message or the end of its wait, and a part that is put again, or after it was deleted, is put on its own.
func (b *batch) run(ctx context.Context, tx *sql.Tx, ops []op) error {
	b.reset()
	for i := range ops {
		o := &ops[i]
		switch o.kind {
		case opInsert:
			b.inserts = append(b.inserts, o)
		case opReport:
			b.reports = append(b.reports, o)
		case opPutPart:
			if _, again := b.parts[o.message.ID]; again {
				if err := b.flush(ctx, tx); err != nil {
					return err
				}
			}
			b.parts[o.message.ID] = struct{}{}
			b.puts = append(b.puts, o)
		case opDeleteParts:
			for _, id := range o.ids {
				b.parts[id] = struct{}{}
			}
			b.deletes = append(b.deletes, o)
		case opDropReceipt, opDelayReceipt:
			b.receipts = append(b.receipts, o)
		case opContacts:
			for i := range o.contacts {
				b.contacts.set(o.contacts[i].ID, &o.contacts[i])
			}
			for _, id := range o.ids {
				b.contacts.set(id, nil)
			}
		case opJournal:
			b.journal = append(b.journal, o)
		case opAttempt, opPostpone, opDelay, opReplace, opEnd, opPromote:
			b.deferrals = append(b.deferrals, o)
		}
	}
	return b.flush(ctx, tx)
}

func (b *batch) reset() {
	b.inserts, b.reports, b.puts, b.deletes = b.inserts[:0], b.reports[:0], b.puts[:0], b.deletes[:0]
	b.receipts, b.journal, b.deferrals = b.receipts[:0], b.journal[:0], b.deferrals[:0]
	b.contacts.reset()
	b.owed, b.notes = nil, nil
	clear(b.parts)
	clear(b.args[:cap(b.args)]) // lets go of the texts
}

func (b *batch) flush(ctx context.Context, tx *sql.Tx) error {
	b.reportFresh()
	if err := b.insert(ctx, tx); err != nil {
		return err
	}
	if err := b.moveDeferrals(ctx, tx); err != nil {
		return err
	}
	if err := b.writeFailed(ctx, tx); err != nil {
		return err
	}
	if err := b.report(ctx, tx); err != nil {
		return err
	}
	if err := b.putParts(ctx, tx); err != nil {
		return err
	}
	if err := b.deleteParts(ctx, tx); err != nil {
		return err
	}
	if err := b.writeReceipts(ctx, tx); err != nil {
		return err
	}
	if err := b.writeContacts(ctx, tx); err != nil {
		return err
	}
	if err := b.writeJournal(ctx, tx); err != nil {
		return err
	}
	b.reset()
	return nil
}

// insert writes messages, then their segments.
func (b *batch) insert(ctx context.Context, tx *sql.Tx) error {
	rest, inPeriods := b.inserts, b.db.dialect == sqliteDialect
	var period int64
	if inPeriods && len(rest) > 0 {
		period = b.periods.of(time.Now(), len(rest))
	}
	for len(rest) > 0 {
		n := chunkOf(rest)
		b.args = b.args[:0]
		var err error
		for _, o := range rest[:n] {
			if b.args, err = b.db.messageRow(b.args, o.record); err != nil {
				return err
			}
			if inPeriods {
				b.args = append(b.args, max(period, o.record.Message.ID.Time().UnixMilli()+1)) // the clock may have gone back
			}
		}
		if err := b.statements.exec(ctx, tx, statement{insertMessage, n}, b.args); err != nil {
			return err
		}
		rest = rest[n:]
	}
	b.args = b.args[:0]
	rows := 0
	for _, o := range b.inserts {
		if err := b.segmentsOf(ctx, tx, o.record, &rows); err != nil {
			return err
		}
	}
	if err := b.rest(ctx, tx, insertSegment, len(segmentColumns), rows); err != nil {
		return err
	}
	return b.insertDeferrals(ctx, tx)
}

// segmentsOf appends the rows of a record's segments to b.args, which has some already.
func (b *batch) segmentsOf(ctx context.Context, tx *sql.Tx, r *Record, rows *int) error {
	if len(r.Segments) == 0 {
		return nil
	}
	id, leg := r.Message.ID.String(), escape(r.Egress.String())
	for i := range r.Segments {
		b.args = segmentRow(b.args, id, leg, &r.Segments[i])
		if err := b.oneMore(ctx, tx, insertSegment, rows); err != nil {
			return err
		}
	}
	return nil
}

// oneMore counts a row in b.args, and inserts those once they fill a statement; rest inserts what is left.
func (b *batch) oneMore(ctx context.Context, tx *sql.Tx, t template, rows *int) error {
	if *rows++; *rows < chunks[0] {
		return nil
	}
	err := b.statements.exec(ctx, tx, statement{t, *rows}, b.args)
	b.args, *rows = b.args[:0], 0
	return err
}

func (b *batch) rest(ctx context.Context, tx *sql.Tx, t template, columns, rows int) error {
	for args := b.args; rows > 0; {
		n := chunkFor(rows)
		if err := b.statements.exec(ctx, tx, statement{t, n}, args[:n*columns]); err != nil {
			return err
		}
		args, rows = args[n*columns:], rows-n
	}
	return nil
}

// chunkOf is the same for messages, which may be long.
func chunkOf(ops []*op) int {
	n, size := chunkFor(len(ops)), 0
	for _, o := range ops[:n] {
		if m := o.record.Message; len(m.Text)+len(m.Data) > 1024 {
			size += len(m.Text) + len(m.Data)
		}
	}
	if size > maxChunkBytes {
		return 1
	}
	return n
}
