package store

import (
	"context"
	"database/sql"
	"fmt"

	"sipsmpp/gateway/sms"
)

// contactColumns are the columns of table sip_contact, the key first.
var contactColumns = []string{
	"id", "node", "username", "contact", "received", "local_address", "path", "instance", "reg_id", "q", "call_id", "cseq",
	"user_agent", "registered", "updated", "expires",
}

// contactWrites are what a batch makes of table sip_contact: what became of each contact last.
type contactWrites struct {
	order []sms.ID
	last  map[sms.ID]*sms.Contact // nil: it is dropped
}

func (w *contactWrites) set(id sms.ID, c *sms.Contact) {
	if _, known := w.last[id]; !known {
		w.order = append(w.order, id)
	}
	w.last[id] = c
}

func (w *contactWrites) reset() {
	w.order = w.order[:0]
	clear(w.last)
}

// KeepContacts keeps contacts, each in place of the one with its ID, and drops others.
func (db *DB) KeepContacts(keep []sms.Contact, drop []sms.ID, done func(error)) {
	db.committer.put(op{kind: opContacts, contacts: keep, ids: drop, done: done})
}

func (b *batch) writeContacts(ctx context.Context, tx *sql.Tx) error {
	var keep []*sms.Contact
	var drop []sms.ID
	for _, id := range b.contacts.order {
		if c := b.contacts.last[id]; c != nil {
			keep = append(keep, c)
		} else {
			drop = append(drop, id)
		}
	}
	for len(keep) > 0 {
		n := chunkFor(len(keep))
		b.args = b.args[:0]
		for _, c := range keep[:n] {
			b.args = append(b.args, c.ID.String(), clip(b.db.node), clip(c.User), escape(c.URI), clip(c.Received), clip(c.Local), escape(c.Path),
				clip(c.Instance), int64(c.RegID), int64(c.Q), clip(c.CallID), int64(c.CSeq), clip(c.UserAgent),
				millis(c.Since), millis(c.Updated), millis(c.Expires))
		}
		if err := b.statements.exec(ctx, tx, statement{putContact, n}, b.args); err != nil {
			return err
		}
		keep = keep[n:]
	}
	return b.update(ctx, tx, dropContact, drop)
}

// Contacts gives the contacts that this node keeps, in the order in which they registered. Those of other nodes are reached by
// these alone.
func (db *DB) Contacts(ctx context.Context) (contacts []sms.Contact, err error) {
	rows, err := db.read.QueryContext(ctx, db.dialect.rebind("SELECT id, username, contact, received, local_address, path, instance, reg_id, q, "+
		"call_id, cseq, user_agent, registered, updated, expires FROM sip_contact WHERE node = ? ORDER BY registered, id"), clip(db.node))
	if err != nil {
		return nil, fmt.Errorf("db: table sip_contact: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var c sms.Contact
		var id string
		var since, updated, expires int64
		if err := rows.Scan(&id, &c.User, &c.URI, &c.Received, &c.Local, &c.Path, &c.Instance, &c.RegID, &c.Q, &c.CallID, &c.CSeq, &c.UserAgent,
			&since, &updated, &expires); err != nil {
			return nil, fmt.Errorf("db: table sip_contact: %w", err)
		}
		if c.ID, err = sms.ParseID(id); err != nil {
			return nil, fmt.Errorf("db: table sip_contact: %w", err)
		}
		c.Since, c.Updated, c.Expires = fromMillis(since), fromMillis(updated), fromMillis(expires)
		for _, s := range []*string{&c.User, &c.URI, &c.Received, &c.Local, &c.Path, &c.Instance, &c.CallID, &c.UserAgent} {
			*s = unescape(*s)
		}
		contacts = append(contacts, c)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("db: table sip_contact: %w", err)
	}
	return contacts, nil
}
