package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"sipsmpp/gateway/sms"
)

// The journal is what durable subscriptions of this node have not acknowledged. Its writes go by the committer as messages do, so
// that an event is on disk before whatever was queued behind it, and one sync serves many.

// QueuedEvent is an event that waits for subscriptions.
type QueuedEvent struct {
	Subscriptions []int64
	Seq           uint64
	Created       time.Time
	Event         func() []byte // the notification; called by the committer
	Note          sms.ID        // that foretold it, and goes with this write; zero: none
}

// EventNote is an event that is known only within a transaction: it is written with what it tells of, and numbered, and queued,
// after the commit, or at the next start.
type EventNote struct {
	ID     sms.ID
	Name   string
	Params []byte
}

// journalWrite is a write of the journal: one field is set, or none, which only waits for what was queued before.
type journalWrite struct {
	queued   *QueuedEvent
	acked    *acked
	reserved uint64 // how far numbers of events are reserved
	sealed   *seal
}

type seal struct{ last, reserved uint64 }

type acked struct {
	subscription int64
	upTo         uint64
	dropped      int
}

// QueueEvent writes an event for the subscriptions that take it.
func (db *DB) QueueEvent(e *QueuedEvent, done func(error)) {
	db.committer.put(op{kind: opJournal, journal: journalWrite{queued: e}, done: done})
}

// AckEvents drops what a subscription has acknowledged, and says how many events that were.
func (db *DB) AckEvents(subscription int64, upTo uint64, done func(n int, err error)) {
	a := &acked{subscription: subscription, upTo: upTo}
	db.committer.put(op{kind: opJournal, journal: journalWrite{acked: a}, done: func(err error) { done(a.dropped, err) }})
}

// Flush calls done once what was queued before it is committed. Its error is of the database, not of what was queued.
func (db *DB) Flush(done func(error)) {
	db.committer.put(op{kind: opJournal, done: done})
}

// ReserveEvents writes up to which number the events of this node may count before it reserves more.
func (db *DB) ReserveEvents(upTo uint64, done func(error)) {
	db.committer.put(op{kind: opJournal, journal: journalWrite{reserved: upTo}, done: done})
}

// SealEvents gives the numbers of events back that are reserved behind the last one that was used, unless somebody else reserved
// more meanwhile.
func (db *DB) SealEvents(last, reserved uint64, done func(error)) {
	db.committer.put(op{kind: opJournal, journal: journalWrite{sealed: &seal{last, reserved}}, done: done})
}

// EventSequence gives the number behind which those of this node go on, and reserves step of them.
func (db *DB) EventSequence(ctx context.Context, step uint64) (last uint64, err error) {
	err = db.transact(ctx, func(tx *sql.Tx) error {
		row := tx.QueryRowContext(ctx, db.dialect.rebind("SELECT reserved FROM event_sequence WHERE node = ?"), clip(db.node))
		if err := row.Scan(&last); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		_, err := tx.ExecContext(ctx, db.dialect.rebind(db.dialect.insert("event_sequence", []string{"node", "reserved"}, 1)+
			db.dialect.orReplace([]string{"node"}, []string{"reserved"})), clip(db.node), int64(last+step))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("db: table event_sequence: %w", err)
	}
	return last, nil
}

// EventNotes gives the notes that no event was made of, oldest first.
func (db *DB) EventNotes(ctx context.Context) (list []EventNote, err error) {
	rows, err := db.read.QueryContext(ctx, db.dialect.rebind("SELECT id, name, params FROM event_note WHERE node = ? ORDER BY id"), clip(db.node))
	if err != nil {
		return nil, fmt.Errorf("db: table event_note: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var n EventNote
		var id, params string
		if err := rows.Scan(&id, &n.Name, &params); err != nil {
			return nil, fmt.Errorf("db: table event_note: %w", err)
		}
		if n.ID, err = sms.ParseID(id); err != nil {
			return nil, fmt.Errorf("db: table event_note: %w", err)
		}
		n.Params = []byte(unescape(params))
		list = append(list, n)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("db: table event_note: %w", err)
	}
	return list, nil
}

// IsRowFault says that an error of a write is due to what was to be written, which no database would take.
func IsRowFault(err error) bool { return blameFor(err) == blameRow }

// writeJournal writes events, notes that go and acknowledgements.
func (b *batch) writeJournal(ctx context.Context, tx *sql.Tx) error {
	if len(b.journal) == 0 {
		return nil
	}
	if err := b.queueEvents(ctx, tx); err != nil {
		return err
	}
	var notes []sms.ID
	for _, o := range b.journal {
		w := &o.journal
		switch {
		case w.queued != nil && !w.queued.Note.IsZero():
			notes = append(notes, w.queued.Note)
		case w.acked != nil:
			n, err := b.statements.count(ctx, tx, statement{ackEvents, 1}, []any{w.acked.subscription, int64(w.acked.upTo)})
			if err != nil {
				return err
			}
			w.acked.dropped = n
		case w.reserved > 0:
			if err := b.statements.exec(ctx, tx, statement{reserveEvents, 1}, []any{int64(w.reserved), clip(b.db.node), int64(w.reserved)}); err != nil {
				return err
			}
		case w.sealed != nil:
			if err := b.statements.exec(ctx, tx, statement{sealEvents, 1}, []any{int64(w.sealed.last), clip(b.db.node), int64(w.sealed.reserved)}); err != nil {
				return err
			}
		}
	}
	return b.update(ctx, tx, dropNotes, notes)
}

// queueColumns are the columns of table event_queue.
var queueColumns = []string{"subscription", "seq", "created", "event"}

// queueEvents writes a row for each subscription that an event waits for. A write whose commit was lost is made again.
func (b *batch) queueEvents(ctx context.Context, tx *sql.Tx) error {
	b.args = b.args[:0]
	rows, octets := 0, 0
	flush := func() error {
		for args := b.args; rows > 0; {
			n := chunkFor(rows)
			if err := b.statements.exec(ctx, tx, statement{queueEvent, n}, args[:n*len(queueColumns)]); err != nil {
				return err
			}
			args, rows = args[n*len(queueColumns):], rows-n
		}
		b.args, octets = b.args[:0], 0
		return nil
	}
	for _, o := range b.journal {
		q := o.journal.queued
		if q == nil || len(q.Subscriptions) == 0 {
			continue
		}
		event, created := escape(string(q.Event())), q.Created.UnixMilli()
		for _, id := range q.Subscriptions {
			b.args = append(b.args, id, int64(q.Seq), created, event)
			octets += len(event)
			if rows++; rows == chunks[0] || octets > maxChunkBytes {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	return flush()
}

// keepNotes writes notes, in the transaction of what they tell of.
func (b *batch) keepNotes(ctx context.Context, tx *sql.Tx, notes []EventNote) error {
	for len(notes) > 0 {
		n := chunkFor(len(notes))
		b.args = b.args[:0]
		for _, note := range notes[:n] {
			b.args = append(b.args, note.ID.String(), clip(b.db.node), note.Name, escape(string(note.Params)))
		}
		if err := b.statements.exec(ctx, tx, statement{insertNote, n}, b.args); err != nil {
			return err
		}
		notes = notes[n:]
	}
	return nil
}
