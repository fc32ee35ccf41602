package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"sipsmpp/gateway/sms"
)

// PartKey says which parts belong together: those of one owner, with the same addresses, reference and total. It has the fields
// of the reassembler's key, so that the one converts to the other.
type PartKey struct {
	Owner    sms.Leg // the connection or account; its binds share their parts
	From, To sms.Address
	Ref      uint16
	Wide     bool
	Total    uint8
}

// partID is one part.
type partID struct {
	PartKey
	seq uint8
}

// partColumns are the columns of table message_part; the first partIDColumns are its key, the sequence number last.
var partColumns = []string{
	"owner", "from_address", "from_ton", "from_npi", "to_address", "to_ton", "to_npi", "ref", "wide", "total", "seq",
	"node", "received", "message",
}

const partIDColumns = 11

// PutPart keeps a part until DeleteParts. The part's number is m.Part.Seq; a second one of the same number takes its place.
func (db *DB) PutPart(key PartKey, m *sms.Message, done func(error)) {
	db.committer.put(op{kind: opPutPart, key: key, message: m, done: done})
}

// DeleteParts drops the parts of a message that was assembled or given up. That there are none is no error.
func (db *DB) DeleteParts(key PartKey, done func(error)) {
	db.committer.put(op{kind: opDeleteParts, key: key, done: done})
}

// row appends the values of the key columns but seq.
func (k PartKey) row(args []any) ([]any, error) {
	owner, err := short("the part's owner", k.Owner.String(), 300)
	if err != nil {
		return args, err
	}
	from, err := short("the part's from", k.From.Value, maxPart)
	if err != nil {
		return args, err
	}
	to, err := short("the part's to", k.To.Value, maxPart)
	if err != nil {
		return args, err
	}
	wide := int64(0)
	if k.Wide {
		wide = 1
	}
	return append(args, owner, from, int64(k.From.TON), int64(k.From.NPI), to, int64(k.To.TON), int64(k.To.NPI),
		int64(k.Ref), wide, int64(k.Total)), nil
}

func (b *batch) putParts(ctx context.Context, tx *sql.Tx) error {
	for rest := b.puts; len(rest) > 0; {
		n := chunkFor(len(rest))
		b.args = b.args[:0]
		for _, o := range rest[:n] {
			var err error
			if b.args, err = o.key.row(b.args); err != nil {
				return err
			}
			message, err := encodePart(o.message)
			if err != nil {
				return err
			}
			b.args = append(b.args, int64(o.message.Part.Seq), clip(b.db.node), millis(o.message.Received), message)
		}
		if err := b.statements.exec(ctx, tx, statement{insertPart, n}, b.args); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

func (b *batch) deleteParts(ctx context.Context, tx *sql.Tx) error {
	for _, o := range b.deletes {
		args, err := o.key.row(b.args[:0])
		if err != nil {
			return err
		}
		b.args = args
		if err := b.statements.exec(ctx, tx, statement{deletePart, 1}, b.args); err != nil {
			return err
		}
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

// Parts calls f with every part that is kept, oldest first: at start, before anything comes in. The error of f ends it;
// f must not use the DB.
func (db *DB) Parts(ctx context.Context, f func(*sms.Message) error) error {
	rows, err := db.read.QueryContext(ctx, "SELECT message FROM message_part ORDER BY received, ref, seq")
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
