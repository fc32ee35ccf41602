package store

import "sipsmpp/gateway/sms"

// keyReaders is how many goroutines look for idempotency keys.
const keyReaders = 2

// keyLookup asks for the message that a sender gave a key.
type keyLookup struct {
	key     string
	ingress sms.Leg
	done    func(*Record, error)
}

// FindKey looks for the message that came by a leg with an idempotency key, and calls done with it, or with ErrNotFound. It sees what
// was committed, as FindSegments does, and promises what that promises.
func (db *DB) FindKey(ingress sms.Leg, key string, done func(*Record, error)) {
	db.keys.put(keyLookup{key, ingress, done})
}

func newKeyReaders(db *DB, bound int) *readers[keyLookup] {
	r := &readers[keyLookup]{
		bound:  bound,
		gather: func(queue []keyLookup) int { return min(len(queue), chunks[0]) },
		read:   db.readKeys,
		refuse: func(q keyLookup, err error) { q.done(nil, err) },
	}
	r.start(keyReaders)
	return r
}

func (db *DB) readKeys(batch []keyLookup) {
	n := chunkAround(len(batch))
	args := make([]any, n)
	for i := range n {
		args[i] = escape(batch[min(i, len(batch)-1)].key)
	}
	look := func() ([]*Record, error) {
		ctx, cancel := db.deadline()
		defer cancel()
		return db.records(ctx, "WHERE idempotency_key IN "+list(n)+" ORDER BY id DESC", args...)
	}
	records, err := look()
	if err != nil && blameFor(err) == blameMoment {
		records, err = look()
	}
	for _, q := range batch {
		if err != nil {
			q.done(nil, err)
			continue
		}
		q.done(q.among(records))
	}
}

// among finds the newest message that has the key and came by the leg.
func (q keyLookup) among(records []*Record) (*Record, error) {
	for _, r := range records {
		if r.Message.IdempotencyKey == q.key && r.Message.Ingress == q.ingress {
			return r, nil
		}
	}
	return nil, ErrNotFound
}
