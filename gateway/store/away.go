package store

import (
	"errors"
	"slices"
	"time"

	"sipsmpp/gateway/sms"
)

// A server that cannot be reached is waited for before what is queued fails: it is mostly one that starts anew, or another that
// takes its place. It is waited for once: until it is back, what comes fails at once.
const (
	patience  = 3 * time.Second
	lastPause = 200 * time.Millisecond
)

// again says that a transaction is to be tried once more, after a pause if that is what it takes.
func (c *committer) again(err error, try int, begun time.Time) bool {
	moment := blameFor(err) == blameMoment
	if moment && try < 3 {
		return true
	}
	var begin *beginError
	var undone *undoneError
	return (moment || errors.As(err, &begin) || errors.As(err, &undone)) && c.wait(try, begun)
}

// wait waits for a server that is away; false: it was waited for long enough.
func (c *committer) wait(try int, begun time.Time) bool {
	if c.failing.Load() || c.db.dialect == sqliteDialect || time.Since(begun) > patience {
		return false
	}
	time.Sleep(min(10*time.Millisecond<<min(try, 10), lastPause))
	return true
}

// undoneError is a COMMIT that had no answer, and that is known to have had no effect.
type undoneError struct{ error }

func (e *undoneError) Unwrap() error { return e.error }

// committed finds out what became of a transaction whose COMMIT had no answer: all of it took effect if a message that it inserts is
// there. It may also take effect later than it is looked for; then the next try finds the message, as an error of its row. Where none
// is there, *err becomes an *undoneError if it is that of the COMMIT.
func (c *committer) committed(err *error, ops []op, begun time.Time) bool {
	first := slices.IndexFunc(ops, func(o op) bool { return o.kind == opInsert })
	if first < 0 || c.db.dialect == sqliteDialect {
		return false
	}
	var commit *commitError
	id := ops[first].record.Message.ID
	for try := 1; ; try++ {
		is, failed := c.isThere(id)
		switch {
		case failed == nil && is:
			return true
		case failed == nil && errors.As(*err, &commit):
			*err = &undoneError{*err}
			return false
		case failed == nil:
			return false
		case !c.wait(try, begun):
			return false
		}
	}
}

func (c *committer) isThere(id sms.ID) (bool, error) {
	ctx, cancel := c.db.deadline()
	defer cancel()
	var n int
	err := c.db.write.QueryRowContext(ctx, c.db.dialect.rebind("SELECT COUNT(*) FROM message WHERE id = ?"), id.String()).Scan(&n)
	return n > 0, err
}

// awayFor is how long after a failure the database counts as away.
const awayFor = 500 * time.Millisecond

// Away says that the database does not take what must be kept: it failed a moment ago. After that moment it is worth another try.
func (db *DB) Away() bool {
	c := db.committer
	return c.failing.Load() && time.Since(time.Unix(0, c.failedAt.Load())) < awayFor
}
