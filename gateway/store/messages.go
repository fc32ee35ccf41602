package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"sipsmpp/gateway/sms"
)

// Filter says which records Messages gives. What is zero does not matter.
type Filter struct {
	State      RecordState
	Connection string    // name of a connection that the message came in or went out by
	From, To   string    // as ParseAddress reads it: +49..., a short code, a name
	Since      time.Time // the oldest
	Limit      int       // 0: 100; at most 1000
	Before     sms.ID    // the cursor: those older than that message
}

const (
	listDefault = 100
	listMost    = 1000
)

// Message gives one record, or ErrNotFound.
func (db *DB) Message(ctx context.Context, id sms.ID) (*Record, error) {
	records, err := db.records(ctx, "WHERE id = ?", id.String())
	if err == nil && len(records) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	records[0].Failed, err = db.failedAttempts(ctx, id)
	return records[0], err
}

// Messages lists records, newest first. next is the cursor for those after them; zero: there are no more.
func (db *DB) Messages(ctx context.Context, f Filter) (records []*Record, next sms.ID, err error) {
	var where []string
	var args []any
	add := func(condition string, values ...any) {
		where, args = append(where, condition), append(args, values...)
	}
	switch f.State {
	case "":
	case RecordDeferred, RecordSent, RecordFailed:
		add(inState(f.State))
	default:
		add("state = ?", string(f.State))
	}
	if f.Connection != "" {
		leg := escape(sms.Connection(f.Connection).String())
		add("(egress = ? OR ingress = ?)", leg, leg)
	}
	index := ""
	if f.From != "" {
		index = "message_from"
		add("from_address = ?", escape(sms.ParseAddress(f.From).Value))
	}
	if f.To != "" {
		index = "message_to"
		add("to_address = ?", escape(sms.ParseAddress(f.To).Value))
	}
	if !f.Since.IsZero() {
		add("id >= ?", firstID(f.Since).String())
	}
	if !f.Before.IsZero() {
		add("id < ?", f.Before.String())
	}
	limit := min(f.Limit, listMost)
	if limit <= 0 {
		limit = listDefault
	}
	conditions := strings.Join(where, " AND ")
	if index != "" && db.dialect == sqliteDialect {
		records, err = db.byNumber(ctx, index, f.Since, conditions, args, limit+1)
	} else {
		clause := ""
		if len(where) > 0 {
			clause = "WHERE " + conditions
		}
		records, err = db.records(ctx, clause+fmt.Sprintf(" ORDER BY id DESC LIMIT %d", limit+1), args...)
	}
	if err == nil && len(records) > limit {
		records = records[:limit]
		next = records[limit-1].Message.ID
	}
	return records, next, err
}

// Overdue are at most limit records whose report is awaited and was to be there by a time, the longest overdue first.
func (db *DB) Overdue(ctx context.Context, now time.Time, limit int) ([]*Record, error) {
	return db.records(ctx, fmt.Sprintf("WHERE %s AND next_attempt <= ? ORDER BY next_attempt LIMIT %d", inState(RecordSent), limit),
		now.UnixMilli())
}

// inState looks for one of the states that the index message_state has, which is used only where the query's text says so.
func inState(s RecordState) string { return "state = '" + string(s) + "'" }

// firstID is the least that an ID made at t can be.
func firstID(t time.Time) (id sms.ID) {
	binary.BigEndian.PutUint64(id[:8], uint64(max(t.UnixMilli(), 0))<<16)
	return id
}

// records reads messages and then their segments.
func (db *DB) records(ctx context.Context, clause string, args ...any) ([]*Record, error) {
	rows, err := db.read.QueryContext(ctx,
		db.dialect.rebind("SELECT "+strings.Join(messageColumns, ", ")+" FROM message "+clause), args...)
	if err != nil {
		return nil, fmt.Errorf("db: %w", err)
	}
	defer rows.Close()
	var records []*Record
	byID := map[string]*Record{}
	var ids []any
	for rows.Next() {
		r, err := scanRecord(rows)
		if err != nil {
			return nil, fmt.Errorf("db: %w", err)
		}
		id := r.Message.ID.String()
		records, ids, byID[id] = append(records, r), append(ids, id), r
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("db: %w", err)
	}
	for some := range slices.Chunk(ids, 200) {
		if err := db.segments(ctx, some, byID); err != nil {
			return nil, fmt.Errorf("db: %w", err)
		}
	}
	return records, db.addDeferrals(ctx, records)
}

func (db *DB) segments(ctx context.Context, ids []any, records map[string]*Record) error {
	rows, err := db.read.QueryContext(ctx, db.dialect.rebind("SELECT message_id, part, smsc_id, smsc_key, state, error, done_time "+
		"FROM message_segment WHERE message_id IN "+list(len(ids))+" ORDER BY message_id, part"), ids...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var s segmentScan
		if err := rows.Scan(&id, &s.Part, &s.SMSCID, &s.Key, &s.state, &s.Error, &s.done); err != nil {
			return err
		}
		records[id].Segments = append(records[id].Segments, s.segment())
	}
	return rows.Err()
}

// Purge drops records that were made before a time, at most limit of them, oldest first, and says how many; deferred ones stay.
// A limit of some hundreds keeps it from holding up the committer: call it again while it drops that many.
func (db *DB) Purge(ctx context.Context, before time.Time, limit int) (int, error) {
	return db.dropSome(ctx, []string{
		"DELETE FROM failed_attempt WHERE message_id IN ", "DELETE FROM message_segment WHERE message_id IN ", "DELETE FROM message WHERE id IN ",
	},
		fmt.Sprintf("SELECT id FROM message WHERE id < ? AND state <> ? ORDER BY id LIMIT %d", limit), firstID(before).String(), string(RecordDeferred))
}

// dropSome drops by deletes, in one transaction, what a query gives the ids of.
func (db *DB) dropSome(ctx context.Context, deletes []string, query string, args ...any) (int, error) {
	var ids []any
	err := db.transact(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, db.dialect.rebind(query), args...)
		if err != nil {
			return err
		}
		if err := scanAll(rows, func() error {
			var id string
			err := rows.Scan(&id)
			ids = append(ids, id)
			return err
		}); err != nil {
			return err
		}
		for some := range slices.Chunk(ids, 200) {
			for _, query := range deletes {
				if _, err := tx.ExecContext(ctx, db.dialect.rebind(query+list(len(some))), some...); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("db: %w", err)
	}
	return len(ids), nil
}
