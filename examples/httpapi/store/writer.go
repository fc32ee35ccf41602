package store

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
)

// maxGather bounds what goes into one transaction, commitTimeout how long one may take.
const (
	maxGather     = 256
	commitTimeout = 30 * time.Second
)

// ErrClosed is what a write gets after Close.
var ErrClosed = errors.New("the database is closed")

// write is a change that waits for its transaction.
type write struct {
	do      func(context.Context, Tx) error
	err     error
	done    chan struct{}
	claimed atomic.Bool // by the writer, which makes it, or by who gave it up before
}

// Write makes a change and returns when it is on disk. With an error nothing of it was done; the changes that share its
// transaction are not touched by that. Where ctx ends before the change was begun it is not made; else its end is waited for, so that
// what it writes into the caller's variables is written when Write returns.
func (db *DB) Write(ctx context.Context, do func(context.Context, Tx) error) error {
	w := &write{do: do, done: make(chan struct{})}
	select {
	case db.queue <- w:
	case <-db.closed:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		if w.claimed.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		<-w.done
		return w.err
	case <-db.ended:
		select {
		case <-w.done:
			return w.err
		default:
			return ErrClosed // it came when the writer had gone
		}
	}
}

// commit is the one writer: it takes what has gathered, as one transaction.
func (db *DB) commit() {
	defer close(db.ended)
	for {
		var batch []*write
		select {
		case w := <-db.queue:
			batch = append(batch, w)
		case <-db.closed:
			select {
			case w := <-db.queue:
				batch = append(batch, w)
			default:
				return
			}
		}
		for more := true; more && len(batch) < maxGather; {
			select {
			case w := <-db.queue:
				batch = append(batch, w)
			default:
				more = false
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
		err := db.transact(ctx, batch)
		cancel()
		for _, w := range batch {
			if w.err == nil {
				w.err = err
			}
			close(w.done)
		}
	}
}

// transact makes the changes of a batch. One that fails is taken back alone.
func (db *DB) transact(ctx context.Context, batch []*write) error {
	tx, err := db.writes.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	for _, w := range batch {
		if !w.claimed.CompareAndSwap(false, true) {
			continue // nobody waits for it any more
		}
		if _, err := tx.ExecContext(ctx, "SAVEPOINT one_change"); err != nil {
			return err
		}
		if w.err = db.run(ctx, w, tx); w.err != nil {
			if _, err := tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT one_change"); err != nil {
				return err
			}
			continue
		}
		if _, err := tx.ExecContext(ctx, "RELEASE SAVEPOINT one_change"); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// run makes one change. One that panics fails, and harms nobody else.
func (db *DB) run(ctx context.Context, w *write, tx *sqlx.Tx) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("a change of the database panicked: %v", r)
		}
	}()
	return w.do(ctx, Tx{tx, db.now()})
}
