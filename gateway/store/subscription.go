package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// EventSubscription is a row of table event_subscription, with what waits for it.
type EventSubscription struct {
	ID      int64 // 0: a new one
	Name    string
	Owner   string
	Filter  string
	URL     string
	Secret  string
	Expires time.Time

	Last   uint64 // number of its newest event; 0: none waits
	Count  int    // of its events
	Octets int64  // that they hold
}

// PutEventSubscription writes a subscription of this node and gives its ID.
func (db *DB) PutEventSubscription(ctx context.Context, s EventSubscription) (id int64, err error) {
	name, err := short("name", s.Name, maxShort)
	if err != nil {
		return 0, err
	}
	secret, err := short("secret", s.Secret, maxShort)
	if err != nil {
		return 0, err
	}
	err = db.transact(ctx, func(tx *sql.Tx) error {
		set := []any{clip(s.Owner), escape(s.Filter), escape(s.URL), secret, millis(s.Expires), clip(db.node), name}
		if s.ID == 0 {
			_, err := tx.ExecContext(ctx, db.dialect.rebind(
				"INSERT INTO event_subscription (owner, filter, url, secret, expires, node, name) VALUES (?, ?, ?, ?, ?, ?, ?)"), set...)
			if err != nil {
				return err
			}
		} else {
			_, err := tx.ExecContext(ctx, db.dialect.rebind(
				"UPDATE event_subscription SET owner = ?, filter = ?, url = ?, secret = ?, expires = ? WHERE node = ? AND name = ?"), set...)
			if err != nil {
				return err
			}
		}
		return tx.QueryRowContext(ctx, db.dialect.rebind("SELECT id FROM event_subscription WHERE node = ? AND name = ?"),
			clip(db.node), name).Scan(&id)
	})
	if err != nil {
		return 0, fmt.Errorf("db: table event_subscription: %w", err)
	}
	return id, nil
}

// EventSubscriptions gives the subscriptions of this node. What waits for none any more, since the node ended while it was dropped,
// goes. A transaction of a process that was killed may still be under way at the server: what it adds is there, or never will be.
func (db *DB) EventSubscriptions(ctx context.Context) (list []EventSubscription, err error) {
	if err := db.awaitJournal(ctx); err != nil {
		return nil, fmt.Errorf("db: table event_queue: %w", err)
	}
	err = db.transact(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM event_queue WHERE subscription NOT IN (SELECT id FROM event_subscription)")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("db: table event_queue: %w", err)
	}
	rows, err := db.read.QueryContext(ctx, db.dialect.rebind("SELECT s.id, s.name, s.owner, s.filter, s.url, s.secret, s.expires, "+
		"COALESCE(q.last, 0), COALESCE(q.count, 0), COALESCE(q.octets, 0) FROM event_subscription s LEFT JOIN "+
		"(SELECT subscription, MAX(seq) AS last, COUNT(*) AS count, SUM(LENGTH(event)) AS octets FROM event_queue GROUP BY subscription) q "+
		"ON q.subscription = s.id WHERE s.node = ? ORDER BY s.name"), clip(db.node))
	if err != nil {
		return nil, fmt.Errorf("db: table event_subscription: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var s EventSubscription
		var expires int64
		if err := rows.Scan(&s.ID, &s.Name, &s.Owner, &s.Filter, &s.URL, &s.Secret, &expires, &s.Last, &s.Count, &s.Octets); err != nil {
			return nil, fmt.Errorf("db: table event_subscription: %w", err)
		}
		s.Expires = fromMillis(expires)
		for _, t := range []*string{&s.Name, &s.Owner, &s.Filter, &s.URL, &s.Secret} {
			*t = unescape(*t)
		}
		list = append(list, s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("db: table event_subscription: %w", err)
	}
	return list, nil
}

// awaitJournal waits until those who write events, or notes of them, have done so. With SQLite a process that was killed takes its transaction
// along, and MySQL's DELETE waits for rows that are not committed by itself.
func (db *DB) awaitJournal(ctx context.Context) error {
	if db.dialect != postgresDialect {
		return nil
	}
	err := db.transact(ctx, func(tx *sql.Tx) error {
		// Other gateways that write wait, too; a session whose process is gone with its host may be there for long.
		if _, err := tx.ExecContext(ctx, "SET LOCAL lock_timeout = '2s'"); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "LOCK TABLE event_queue, event_note IN SHARE MODE")
		return err
	})
	const lockNotAvailable = "55P03"
	if refused := new(pgconn.PgError); errors.As(err, &refused) && refused.Code == lockNotAvailable {
		db.log.Warn("somebody is in the midst of writing events for long: those may come to their subscribers out of order")
		return nil
	}
	return err
}

// dropStep bounds the events that one transaction drops, so that messages do not wait long for it.
const dropStep = 2000

// DeleteEventSubscription drops a subscription and what waits for it.
func (db *DB) DeleteEventSubscription(ctx context.Context, id int64) error {
	err := db.transact(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, db.dialect.rebind("DELETE FROM event_subscription WHERE id = ?"), id)
		return err
	})
	if err != nil {
		return fmt.Errorf("db: table event_subscription: %w", err)
	}
	for {
		cut, err := db.TrimEvents(ctx, id, func(oldest []WaitingEvent) EventCut {
			return EventCut{UpTo: oldest[len(oldest)-1].Seq, Count: len(oldest)}
		})
		if err != nil || cut.Count == 0 {
			return err
		}
	}
}

// ReadEvents gives the events that wait for a subscription behind a number, in order.
func (db *DB) ReadEvents(ctx context.Context, subscription int64, after uint64, limit int) (list []WaitingEvent, err error) {
	list, err = waitingEvents(ctx, db.read.QueryContext, db.dialect, subscription, after, limit)
	if err != nil {
		return nil, fmt.Errorf("db: table event_queue: %w", err)
	}
	return list, nil
}

// WaitingEvent is a row of table event_queue.
type WaitingEvent struct {
	Seq     uint64
	Created time.Time
	Event   []byte
}

type query func(ctx context.Context, query string, args ...any) (*sql.Rows, error)

func waitingEvents(ctx context.Context, q query, d *dialect, subscription int64, after uint64, limit int) (list []WaitingEvent, err error) {
	rows, err := q(ctx, d.rebind(fmt.Sprintf(
		"SELECT seq, created, event FROM event_queue WHERE subscription = ? AND seq > ? ORDER BY seq LIMIT %d", limit)),
		subscription, int64(after))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var e WaitingEvent
		var created int64
		var event string
		if err := rows.Scan(&e.Seq, &created, &event); err != nil {
			return nil, err
		}
		e.Created, e.Event = fromMillis(created), []byte(unescape(event))
		list = append(list, e)
	}
	return list, rows.Err()
}

// EventCut is what TrimEvents drops: everything up to a number, in whose place stands another event. Count 0 drops nothing.
type EventCut struct {
	UpTo    uint64
	Count   int
	InPlace []byte // nil: nothing
	Created time.Time
}

// TrimEvents drops the oldest events of a subscription, as cut decides, which is not called where there are none.
func (db *DB) TrimEvents(ctx context.Context, subscription int64, cut func(oldest []WaitingEvent) EventCut) (c EventCut, err error) {
	err = db.transact(ctx, func(tx *sql.Tx) error {
		oldest, err := waitingEvents(ctx, tx.QueryContext, db.dialect, subscription, 0, dropStep)
		if err != nil || len(oldest) == 0 {
			return err
		}
		if c = cut(oldest); c.Count == 0 {
			return nil
		}
		if _, err := tx.ExecContext(ctx, db.dialect.rebind(statement{ackEvents, 1}.text(db.dialect)), subscription, int64(c.UpTo)); err != nil {
			return err
		}
		if c.InPlace == nil {
			return nil
		}
		_, err = tx.ExecContext(ctx, db.dialect.rebind(statement{queueEvent, 1}.text(db.dialect)),
			subscription, int64(c.UpTo), c.Created.UnixMilli(), escape(string(c.InPlace)))
		return err
	})
	if err != nil {
		return EventCut{}, fmt.Errorf("db: table event_queue: %w", err)
	}
	return c, nil
}

// OldestEvent tells since when the oldest event of a subscription waits; zero where none does.
func (db *DB) OldestEvent(ctx context.Context, subscription int64) (time.Time, error) {
	var created int64
	err := db.read.QueryRowContext(ctx, db.dialect.rebind(
		"SELECT created FROM event_queue WHERE subscription = ? ORDER BY seq LIMIT 1"), subscription).Scan(&created)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, fmt.Errorf("db: table event_queue: %w", err)
	}
	return fromMillis(created), nil
}
