package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"sipsmpp/gateway/sms"
)

// partColumns are the columns of table message_part, the key first.
var partColumns = []string{"id", "node", "received", "message"}

// PutPart keeps a part until DeleteParts names its ID, by which it also takes the place of what was kept before.
func (db *DB) PutPart(m *sms.Message, done func(error)) {
	db.committer.put(op{kind: opPutPart, message: m, done: done})
}

// DeleteParts drops the parts of a message that was assembled or given up. That some are not there is no error.
func (db *DB) DeleteParts(ids []sms.ID, done func(error)) {
	db.committer.put(op{kind: opDeleteParts, ids: ids, done: done})
}

func (b *batch) putParts(ctx context.Context, tx *sql.Tx) error {
	for rest := b.puts; len(rest) > 0; {
		n := chunkFor(len(rest))
		b.args = b.args[:0]
		for _, o := range rest[:n] {
			message, err := encodePart(o.message)
			if err != nil {
				return err
			}
			b.args = append(b.args, o.message.ID.String(), clip(b.db.node), millis(o.message.Received), message)
		}
		if err := b.statements.exec(ctx, tx, statement{insertPart, n}, b.args); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

func (b *batch) deleteParts(ctx context.Context, tx *sql.Tx) error {
	b.args = b.args[:0]
	for _, o := range b.deletes {
		for _, id := range o.ids {
			b.args = append(b.args, id.String())
		}
	}
	for rest := b.args; len(rest) > 0; {
		n := chunkFor(len(rest))
		if err := b.statements.exec(ctx, tx, statement{deletePart, n}, rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// encodePart makes JSON of a part. It lives for minutes, and only a gateway reads it.
func encodePart(m *sms.Message) ([]byte, error) {
	c := *m
	c.Ref, c.Peer, c.Text, c.ServiceType = escape(c.Ref), escape(c.Peer), escape(c.Text), escape(c.ServiceType)
	c.From.Value, c.To.Value, c.Ingress.Name = escape(c.From.Value), escape(c.To.Value), escape(c.Ingress.Name)
	b, err := json.Marshal(&c)
	if err != nil {
		return nil, fmt.Errorf("db: part %w: %w", errRow, err)
	}
	return b, nil
}

func decodePart(b []byte) (*sms.Message, error) {
	m := &sms.Message{}
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("db: table message_part: %w", err)
	}
	m.Ref, m.Peer, m.Text, m.ServiceType = unescape(m.Ref), unescape(m.Peer), unescape(m.Text), unescape(m.ServiceType)
	m.From.Value, m.To.Value, m.Ingress.Name = unescape(m.From.Value), unescape(m.To.Value), unescape(m.Ingress.Name)
	return m, nil
}

// Parts calls f with every part that this node keeps, oldest first: at start, before anything comes in. Those of other nodes are
// theirs to send on. The error of f ends it; f must not use the DB.
func (db *DB) Parts(ctx context.Context, f func(*sms.Message) error) error {
	query := db.dialect.rebind("SELECT message FROM message_part WHERE node = ? ORDER BY received, id")
	rows, err := db.read.QueryContext(ctx, query, clip(db.node))
	if err != nil {
		return fmt.Errorf("db: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			return fmt.Errorf("db: %w", err)
		}
		m, err := decodePart(b)
		if err != nil {
			return err
		}
		if err := f(m); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("db: %w", err)
	}
	return nil
}
