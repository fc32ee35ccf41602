package store

import (
	"context"
	"database/sql"
	"strings"
)

// chunks are how many rows or keys a statement takes: few sizes, so that each is prepared once.
var chunks = [...]int{64, 16, 4, 1}

// chunkFor is the largest chunk that n fill.
func chunkFor(n int) int {
	for _, c := range chunks {
		if c <= n {
			return c
		}
	}
	return 1
}

// chunkAround is the smallest chunk that holds n, or the largest there is.
func chunkAround(n int) int {
	size := chunks[0]
	for _, c := range chunks {
		if c >= n {
			size = c
		}
	}
	return size
}

// statement names a query that is used again and again: a template, and for how many rows or keys.
type statement struct {
	template template
	n        int
}

type template uint8

const (
	insertMessage template = iota
	insertSegment
	insertPart
	deletePart
	selectReported
	updateSegments
	updateMessages
	insertReceipt
	dropReceipt
	delayReceipt
	putContact
	dropContact
	queueEvent
	ackEvents
	reserveEvents
	sealEvents
	insertNote
	dropNotes
	insertDeferred
	attemptDeferred
	postponeDeferred
	delayDeferred
	dropDeferred
	selectOldest
	promoteDeferred
	endMessages
	dropTexts
	freeKeys
	replaceMessage
	replaceDeferred
	dropMessages
	leaveMark
	putFailed
	dropFailed
	selectKeys
	selectMatches
)

func (s statement) text(d *dialect) string {
	switch s.template {
	case insertMessage:
		return d.insert("message", messageColumns, s.n)
	case insertSegment:
		return d.insert("message_segment", segmentColumns, s.n)
	case insertPart:
		return d.insert("message_part", partColumns, s.n) + d.orReplace(partColumns[:1], partColumns[1:])
	case deletePart:
		return "DELETE FROM message_part WHERE id IN " + list(s.n)
	case selectReported:
		return selectReportedText + list(s.n) + " ORDER BY m.id, s.part" + d.forUpdate
	case updateSegments:
		return "UPDATE message_segment SET state = ?, error = ?, done_time = ? WHERE part = ? AND message_id IN " + list(s.n)
	case updateMessages:
		return "UPDATE message SET state = ?, report_state = ?, report_error = ?, done_time = ?, updated = ? WHERE id IN " + list(s.n)
	case insertReceipt:
		return d.insert("account_receipt", receiptColumns, s.n)
	case dropReceipt:
		return "DELETE FROM account_receipt WHERE id IN " + list(s.n)
	case delayReceipt:
		return "UPDATE account_receipt SET attempts = ?, next_attempt = ? WHERE id IN " + list(s.n)
	case putContact:
		return d.insert("sip_contact", contactColumns, s.n) + d.orReplace(contactColumns[:1], contactColumns[1:])
	case dropContact:
		return "DELETE FROM sip_contact WHERE id IN " + list(s.n)
	case queueEvent:
		return d.insert("event_queue", queueColumns, s.n) + d.orReplace(queueColumns[:2], queueColumns[2:])
	case ackEvents:
		return "DELETE FROM event_queue WHERE subscription = ? AND seq <= ?"
	case reserveEvents:
		return "UPDATE event_sequence SET reserved = ? WHERE node = ? AND reserved < ?"
	case sealEvents:
		return "UPDATE event_sequence SET reserved = ? WHERE node = ? AND reserved = ?"
	case insertNote:
		return d.insert("event_note", []string{"id", "node", "name", "params"}, s.n)
	case dropNotes:
		return "DELETE FROM event_note WHERE id IN " + list(s.n)
	case insertDeferred:
		return d.insert("deferred", deferredColumns, s.n)
	case attemptDeferred:
		return "UPDATE deferred SET trying = 1, waiting = 0, next_attempt = ?, changed = ? WHERE id IN " + list(s.n)
	case postponeDeferred:
		return "UPDATE deferred SET next_attempt = ? WHERE waiting = 1 AND id IN " + list(s.n)
	case delayDeferred:
		return "UPDATE deferred SET trying = 0, target = ?, queue = ?, waiting = ?, next_attempt = ?, give_up = ?, attempts = ?, " +
			"unknown_fates = ?, reason = ?, changed = ? WHERE id IN " + list(s.n)
	case dropDeferred:
		return "DELETE FROM deferred WHERE id IN " + list(s.n)
	case selectOldest:
		return selectOldestText(d, s.n)
	case promoteDeferred:
		return "UPDATE deferred SET waiting = 0, next_attempt = ? WHERE waiting = 1 AND id IN " + list(s.n)
	case endMessages:
		return "UPDATE message SET state = ?, egress = ?, rule = ?, attempts = ?, receipt = ?, report_state = ?, report_error = ?, " +
			"done_time = ?, next_attempt = ?, updated = ? WHERE id IN " + list(s.n)
	case dropTexts:
		return "UPDATE message SET text = '', data = NULL WHERE id IN " + list(s.n)
	case replaceMessage:
		return "UPDATE message SET text = ?, data = ?, receipt = ?, expires = ?, options = ?, updated = ? WHERE id IN " + list(s.n)
	case replaceDeferred:
		return "UPDATE deferred SET give_up = ?, octets = ? WHERE id IN " + list(s.n)
	case dropMessages:
		return "DELETE FROM message WHERE id IN " + list(s.n)
	case putFailed:
		return d.insert("failed_attempt", failedColumns, s.n) + d.orReplace(failedColumns[:2], failedColumns[2:])
	case dropFailed:
		return "DELETE FROM failed_attempt WHERE message_id IN " + list(s.n)
	case leaveMark:
		return "UPDATE commit_mark SET mark = ? WHERE id = ?"
	case freeKeys:
		return "UPDATE message SET idempotency_key = NULL WHERE id IN " + list(s.n)
	case selectKeys:
		return selectKeysText(d, s.n)
	default:
		return selectMatchesText + list(s.n)
	}
}

// list is n placeholders in parentheses.
func list(n int) string { return "(?" + strings.Repeat(", ?", n-1) + ")" }

// statements holds the text of each statement, and where the driver does not do it by itself, the statement prepared.
type statements struct {
	texts    map[statement]string
	prepared map[statement]*sql.Stmt
	alikes   map[template]*alike
}

// newStatements prepares at once all that will be used: within a transaction it would wait for a second connection, which
// SQLite's writer does not have.
func newStatements(ctx context.Context, d *dialect, pool *sql.DB, templates ...template) (*statements, error) {
	s := &statements{texts: map[statement]string{}, prepared: map[statement]*sql.Stmt{}, alikes: d.alikes()}
	for _, t := range templates {
		for _, n := range chunks {
			st := statement{t, n}
			s.texts[st] = d.rebind(st.text(d))
			if a := s.alikes[t]; a != nil {
				s.texts[st] = a.text(n)
			}
			if !d.prepare {
				continue
			}
			p, err := pool.PrepareContext(ctx, s.texts[st])
			if err != nil {
				return nil, err
			}
			s.prepared[st] = p
		}
	}
	return s, nil
}

// exec runs a statement within a transaction.
func (s *statements) exec(ctx context.Context, tx *sql.Tx, st statement, args []any) error {
	if a := s.alikes[st.template]; a != nil {
		return a.exec(ctx, tx, s, st, args)
	}
	_, err := s.run(ctx, tx, st, args)
	return err
}

func (s *statements) run(ctx context.Context, tx *sql.Tx, st statement, args []any) (sql.Result, error) {
	if p := s.prepared[st]; p != nil {
		return tx.StmtContext(ctx, p).ExecContext(ctx, args...)
	}
	return tx.ExecContext(ctx, s.texts[st], args...)
}

// count runs one within a transaction and says how many rows it touched.
func (s *statements) count(ctx context.Context, tx *sql.Tx, st statement, args []any) (int, error) {
	result, err := s.run(ctx, tx, st, args)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

// query runs one that reads, within a transaction.
func (s *statements) query(ctx context.Context, tx *sql.Tx, st statement, args []any) (*sql.Rows, error) {
	if p := s.prepared[st]; p != nil {
		return tx.StmtContext(ctx, p).QueryContext(ctx, args...)
	}
	return tx.QueryContext(ctx, s.texts[st], args...)
}

// queryPool runs one that reads, by itself.
func (s *statements) queryPool(ctx context.Context, pool *sql.DB, st statement, args []any) (*sql.Rows, error) {
	if p := s.prepared[st]; p != nil {
		return p.QueryContext(ctx, args...)
	}
	return pool.QueryContext(ctx, s.texts[st], args...)
}
