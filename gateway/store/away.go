package store

import (
	"context"
	"errors"
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

// committed finds out what became of a transaction whose COMMIT had no answer. Where it had no effect, *err becomes an *undoneError if
// it is that of the COMMIT.
func (c *committer) committed(err *error, ops []op, begun time.Time) bool {
	var commit *commitError
	for try := 1; ; try++ {
		is, failed := c.tookEffect(ops)
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

// tookEffect says that a transaction did: all of it, if a message that it inserts is there, or else its mark. A message may also come to
// be there later; then the next try finds it, as an error of its row. To read the mark is to wait for the end of who writes it.
func (c *committer) tookEffect(ops []op) (bool, error) {
	ctx, cancel := c.db.deadline()
	defer cancel()
	if m := firstInsert(ops); m != nil {
		var n int
		err := c.db.write.QueryRowContext(ctx, c.db.dialect.rebind("SELECT COUNT(*) FROM message WHERE id = ?"), m.ID.String()).Scan(&n)
		return n > 0, err
	}
	var mark int64
	err := c.db.write.QueryRowContext(ctx, c.db.dialect.rebind("SELECT mark FROM commit_mark WHERE id = ?"+c.db.dialect.forUpdate),
		c.mark.row).Scan(&mark)
	return mark == c.mark.last, err
}

// firstInsert is a message that ops insert; nil: they insert none.
func firstInsert(ops []op) *sms.Message {
	for i := range ops {
		if ops[i].kind == opInsert {
			return ops[i].record.Message
		}
	}
	return nil
}

// mark is what the transactions leave behind that insert no message.
type mark struct {
	row  string // its row; empty: there is none yet
	last int64
}

// needsMark says that nothing else would tell whether ops took effect. SQLite is in this process, and always answers.
func (c *committer) needsMark(ops []op) bool {
	return c.db.dialect != sqliteDialect && firstInsert(ops) == nil
}

// makeMark makes a row for the marks. One that was written by a transaction without an answer is not used again: the server may hold it
// for as long as it takes the other end for alive.
func (c *committer) makeMark(ctx context.Context) error {
	if c.mark.row != "" {
		return nil
	}
	id := sms.NewIDs().Next().String()
	_, err := c.db.write.ExecContext(ctx, c.db.dialect.rebind("INSERT INTO commit_mark (id, node, mark) VALUES (?, ?, 0)"), id, clip(c.db.node))
	if err == nil {
		c.mark.row = id
	}
	return err
}

// dropMarks drops the rows of those who wrote here before.
func (db *DB) dropMarks(ctx context.Context) error {
	_, err := db.write.ExecContext(ctx, db.dialect.rebind("DELETE FROM commit_mark WHERE node = ? AND id < ?"),
		clip(db.node), firstID(time.Now().Add(-24*time.Hour)).String())
	return err
}

// awayFor is how long after a failure the database counts as away.
const awayFor = 500 * time.Millisecond

// Away says that the database does not take what must be kept: it failed a moment ago. After that moment it is worth another try.
func (db *DB) Away() bool {
	c := db.committer
	return c.failing.Load() && time.Since(time.Unix(0, c.failedAt.Load())) < awayFor
}
