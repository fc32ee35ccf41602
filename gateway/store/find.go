package store

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sipsmpp/gateway/sms"
)

// Match is a segment that has an SMSC id that was looked for, with what it takes to report its message.
type Match struct {
	ID       sms.ID
	Part     int    // the segment that matched
	Key      string // the key that it matched by
	Node     string // the gateway that recorded it
	State    RecordState
	Ref      string
	Ingress  sms.Leg
	Peer     string
	Egress   sms.Leg
	From, To sms.Address
	Receipt  sms.ReceiptRequest
	Notify   *sms.Notify         // where its report goes beside the event
	Wanted   []sms.WantedReceipt // by the account that submitted it
	Received time.Time
	Segments []Segment // all of the message, by part
}

// How lookups gather, and what bounds them.
const (
	findReaders = 4
	findKeys    = 16 // keys in one query
	findNewest  = 8  // matches for one key: a peer that gives every message one id matches the newest of them
)

// FindSegments looks for segments that left by leg and have one of keys (the normal forms that an SMSC id may have), newest
// message first, and calls done with what it found, which may be nothing. It sees what was committed: an Insert whose done was
// not yet called is not found, so whoever waits for one must look into what it inserted, too.
func (db *DB) FindSegments(leg sms.Leg, keys []string, done func([]Match, error)) {
	db.finder.put(lookup{leg: leg, keys: keys, done: done})
}

type lookup struct {
	leg  sms.Leg
	keys []string
	done func([]Match, error)
}

// finder looks segments up.
type finder struct {
	readers[lookup]
	db         *DB
	statements *statements
}

func newFinder(ctx context.Context, db *DB, bound int) (*finder, error) {
	s, err := newStatements(ctx, db.dialect, db.read.DB, selectKeys, selectMatches)
	if err != nil {
		return nil, err
	}
	f := &finder{db: db, statements: s}
	f.bound, f.gather, f.read = bound, gatherLookups, f.answer
	f.refuse = func(q lookup, err error) { q.done(nil, err) }
	f.start(findReaders)
	return f, nil
}

// gatherLookups lets as many share a query as their keys allow.
func gatherLookups(queue []lookup) int {
	n, keys := 0, 0
	for n < len(queue) && (n == 0 || keys+len(queue[n].keys) <= findKeys) {
		keys += len(queue[n].keys)
		n++
	}
	return n
}

func (f *finder) answer(batch []lookup) {
	found, err := f.look(batch)
	for _, q := range batch {
		if err != nil {
			q.done(nil, fmt.Errorf("db: %w", err))
			continue
		}
		q.done(found.of(q), nil)
	}
}

// legKey is what is looked for, as it is stored.
type legKey struct{ leg, key string }

type matches map[legKey][]Match

// of gathers what one lookup asked for.
func (m matches) of(q lookup) []Match {
	var out []Match
	leg := escape(q.leg.String())
	for i, key := range q.keys {
		if !slices.Contains(q.keys[:i], key) {
			out = append(out, m[legKey{leg, clip(key)}]...)
		}
	}
	slices.SortFunc(out, func(a, b Match) int { return cmp.Or(bytes.Compare(b.ID[:], a.ID[:]), a.Part-b.Part) })
	return out
}

func (f *finder) look(batch []lookup) (matches, error) {
	found := matches{}
	var keys []legKey
	for _, q := range batch {
		leg := escape(q.leg.String())
		for _, key := range q.keys {
			k := legKey{leg, clip(key)}
			if _, asked := found[k]; !asked {
				found[k] = nil
				keys = append(keys, k)
			}
		}
	}
	for len(keys) > 0 {
		n := min(len(keys), findKeys)
		err := f.readSome(keys[:n], found)
		if err != nil && blameFor(err) == blameMoment {
			for _, k := range keys[:n] {
				found[k] = nil
			}
			err = f.readSome(keys[:n], found)
		}
		if err != nil {
			return nil, err
		}
		keys = keys[n:]
	}
	return found, nil
}

// selectKeysText finds which segments have a key. An IN would do but for peers that give every message one id.
func selectKeysText(d *dialect, n int) string {
	arms := make([]string, n)
	for i := range arms {
		arms[i] = fmt.Sprintf("(SELECT leg, smsc_key, message_id, part FROM message_segment "+
			"WHERE leg = ? AND smsc_key = ? ORDER BY message_id DESC LIMIT %d)", findNewest)
		if d == sqliteDialect { // takes no parentheses around an arm of UNION
			arms[i] = "SELECT * FROM " + arms[i]
		}
	}
	return strings.Join(arms, " UNION ALL ")
}

const selectMatchesText = `SELECT m.id, m.node, m.state, m.ref, m.ingress, m.peer, m.egress,
	m.from_address, m.from_ton, m.from_npi, m.to_address, m.to_ton, m.to_npi, m.receipt, m.received, m.options,
	s.part, s.smsc_id, s.smsc_key, s.state, s.error, s.done_time
	FROM message m JOIN message_segment s ON s.message_id = m.id WHERE m.id IN `

// hit is a segment that has a key.
type hit struct {
	legKey
	part int
}

// readSome looks for at most findKeys keys: first which segments have them, then what is known of their messages.
func (f *finder) readSome(keys []legKey, found matches) error {
	ctx, cancel := f.db.deadline()
	defer cancel()
	hits, err := f.readKeys(ctx, keys, found)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(slices.Collect(maps.Keys(hits)), chunks[0]) {
		if err := f.readMatches(ctx, some, hits, found); err != nil {
			return err
		}
	}
	return nil
}

func (f *finder) readKeys(ctx context.Context, keys []legKey, found matches) (map[string][]hit, error) {
	n := chunkAround(len(keys))
	args := make([]any, 0, 2*n)
	for i := range n {
		k := legKey{} // no segment has it
		if i < len(keys) {
			k = keys[i]
		}
		args = append(args, k.leg, k.key)
	}
	rows, err := f.statements.queryPool(ctx, f.db.read.DB, statement{selectKeys, n}, args)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	hits := map[string][]hit{}
	for rows.Next() {
		var h hit
		var id string
		if err := rows.Scan(&h.leg, &h.key, &id, &h.part); err != nil {
			return nil, err
		}
		if _, asked := found[h.legKey]; asked { // MySQL takes no notice of blanks at the end
			hits[id] = append(hits[id], h)
		}
	}
	return hits, rows.Err()
}

func (f *finder) readMatches(ctx context.Context, ids []string, hits map[string][]hit, found matches) error {
	n := chunkAround(len(ids))
	args := make([]any, n)
	for i := range n {
		args[i] = ids[min(i, len(ids)-1)]
	}
	rows, err := f.statements.queryPool(ctx, f.db.read.DB, statement{selectMatches, n}, args)
	if err != nil {
		return err
	}
	defer rows.Close()
	messages := map[string]*Match{}
	for rows.Next() {
		var m Match
		var s segmentScan
		var id, ingress, egress, receipt string
		var received int64
		var options sql.NullString
		err := rows.Scan(&id, &m.Node, &m.State, &m.Ref, &ingress, &m.Peer, &egress,
			&m.From.Value, &m.From.TON, &m.From.NPI, &m.To.Value, &m.To.TON, &m.To.NPI, &receipt, &received, &options,
			&s.Part, &s.SMSCID, &s.Key, &s.state, &s.Error, &s.done)
		if err != nil {
			return err
		}
		if known := messages[id]; known != nil {
			known.Segments = append(known.Segments, s.segment())
			continue
		}
		if m.ID, err = sms.ParseID(id); err != nil {
			return err
		}
		if err := errors.Join(readLeg(&m.Ingress, ingress), readLeg(&m.Egress, egress)); err != nil {
			return err
		}
		for _, s := range []*string{&m.Node, &m.Ref, &m.Peer, &m.From.Value, &m.To.Value} {
			*s = unescape(*s)
		}
		m.Receipt, _ = sms.ParseReceiptRequest(receipt)
		m.Received = fromMillis(received)
		if options.Valid {
			var o rare
			if err := json.Unmarshal([]byte(options.String), &o); err != nil {
				return fmt.Errorf("message %s: options: %w", id, err)
			}
			m.Notify, m.Wanted = o.Notify, o.Wanted
		}
		m.Segments = []Segment{s.segment()}
		messages[id] = &m
	}
	for id, m := range messages {
		slices.SortFunc(m.Segments, func(a, b Segment) int { return a.Part - b.Part })
		for _, h := range hits[id] {
			match := *m
			match.Part, match.Key = h.part, unescape(h.key)
			found[h.legKey] = append(found[h.legKey], match)
		}
	}
	return rows.Err()
}
