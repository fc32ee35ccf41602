package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"sipsmpp/gateway/metric"
	"sipsmpp/gateway/sms"
)

// How writes gather. The first is committed at once. What came while the database was busy goes into the next transaction; where
// those are so fast that they would be many and small, they start no oftener than every gatherTime, unless gatherCount wait.
const (
	gatherTime  = 2 * time.Millisecond
	gatherCount = 256
	batchCount  = 2048 // most writes in a transaction
)

type opKind uint8

const (
	opInsert opKind = iota
	opReport
	opPutPart
	opDeleteParts
	opDropReceipt
	opDelayReceipt
	opContacts
	opJournal
	opAttempt
	opPostpone
	opDelay
	opReplace
	opEnd
	opPromote
)

// op is a queued write.
type op struct {
	kind    opKind
	record  *Record       // opInsert, opReplace
	report  SegmentReport // opReport
	message *sms.Message  // opPutPart
	ids     []sms.ID      // opDeleteParts, opAttempt, opPostpone, and opContacts those that are dropped

	contacts []sms.Contact // opContacts

	owed     AccountReceipt // opDropReceipt, opDelayReceipt
	deferral *Deferral      // opAttempt, opPostpone, opDelay
	end      *End           // opDelay, opEnd, opPromote

	journal journalWrite // opJournal

	done     func(error)
	reported func(MessageReport, error)

	// What became of it, between the commit and the call.
	err    error
	result MessageReport
}

func (o *op) finish() {
	if o.reported != nil {
		o.reported(o.result, o.err)
		return
	}
	o.done(o.err)
}

// Insert records a message with its segments.
func (db *DB) Insert(r *Record, done func(error)) {
	db.committer.put(op{kind: opInsert, record: r, done: done})
}

// committer is the one goroutine that writes.
type committer struct {
	db    *DB
	bound int

	mu      sync.Mutex
	queue   []op
	journal int // of them that are the journal's
	closed  bool
	// finishing says that done of ops is being called, which may queue what follows from them, even after close.
	finishing bool

	wake     chan struct{} // holds one token: the queue is no longer empty, is full enough, or was closed
	done     chan struct{}
	failing  atomic.Bool       // the last transaction failed for the database's fault
	took     *metric.Histogram // of transactions that were committed
	written  atomic.Uint64
	failed   atomic.Uint64 // writes
	failedAt atomic.Int64  // when the last transaction failed, in Unix nanoseconds
	tx       *batch
	mark     mark
}

func newCommitter(ctx context.Context, db *DB, bound int) (*committer, error) {
	if err := db.dropMarks(ctx); err != nil {
		return nil, err
	}
	tx, err := newBatch(ctx, db)
	if err != nil {
		return nil, err
	}
	c := &committer{db: db, bound: bound, wake: make(chan struct{}, 1), done: make(chan struct{}), tx: tx, took: metric.New(metric.Short)}
	go c.run()
	return c, nil
}

func (c *committer) put(o op) {
	c.mu.Lock()
	if over := c.closed && !c.finishing; over || c.full(o.kind) {
		o.err = ErrBusy
		if over {
			o.err = ErrClosed
		}
		c.failed.Add(1)
		c.mu.Unlock()
		o.finish()
		return
	}
	c.queue = append(c.queue, o)
	if o.kind == opJournal {
		c.journal++
	}
	n := len(c.queue)
	c.mu.Unlock()
	if n == 1 || n == gatherCount {
		c.signal()
	}
}

// journalBound is how many writes of the journal may wait for each other one: a message has several events.
const journalBound = 4

// full says that no more of a kind may wait. The journal's have a bound of their own, so that messages find the room that they have
// without it. The lock is held.
func (c *committer) full(kind opKind) bool {
	if kind == opJournal {
		return c.journal >= journalBound*c.bound
	}
	return len(c.queue)-c.journal >= c.bound
}

func (c *committer) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// close lets what is queued be committed, and what follows from it, and waits for that.
func (c *committer) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.signal()
	<-c.done
}

func (c *committer) run() {
	defer close(c.done)
	var spare []op
	var last time.Time // when the last transaction started; zero: nothing waited when it had ended
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		c.mu.Lock()
		n, closed := len(c.queue), c.closed
		c.mu.Unlock()
		switch pause := gatherTime - time.Since(last); {
		case n == 0 && closed:
			return
		case n == 0:
			last = time.Time{}
			<-c.wake
			continue
		case n < gatherCount && !closed && pause > 0:
			timer.Reset(pause)
			select {
			case <-timer.C:
			case <-c.wake:
				continue
			}
		}
		c.mu.Lock()
		ops := c.queue
		c.queue, c.journal = spare[:0], 0
		c.mu.Unlock()
		for rest := ops; len(rest) > 0; {
			batch := rest[:min(len(rest), batchCount)]
			rest = rest[len(batch):]
			last = time.Now()
			c.commit(batch)
			c.finish(batch)
		}
		clear(ops) // lets go of the messages
		spare = ops
	}
}

// finish tells what became of ops.
func (c *committer) finish(ops []op) {
	finishing := func(is bool) {
		c.mu.Lock()
		c.finishing = is
		c.mu.Unlock()
	}
	finishing(true)
	c.db.gather.Begin()
	for i := range ops {
		ops[i].finish()
	}
	c.db.gather.End()
	finishing(false)
}

// commit writes ops in one transaction, or as many as it takes to part the bad ones from the good.
func (c *committer) commit(ops []op) {
	var err error
	begun := time.Now()
	unanswered := false // a COMMIT was
	c.mark.last++
	for try := 1; ; try++ {
		if err = c.transact(ops); err == nil {
			break
		}
		var commit *commitError
		unanswered = unanswered || errors.As(err, &commit)
		if unanswered && c.db.dialect != sqliteDialect && c.committed(&err, ops, begun) {
			err = nil
			break
		}
		if !c.again(err, try, begun) {
			break
		}
	}
	if unanswered {
		c.mark.row = ""
	}
	switch {
	case err == nil:
		c.written.Add(uint64(len(ops)))
		c.recovered()
	case blameFor(err) == blameRow && len(ops) > 1:
		half := len(ops) / 2
		c.commit(ops[:half])
		c.commit(ops[half:])
	default:
		if blameFor(err) == blameRow {
			c.recovered()
		} else if !c.failing.Swap(true) {
			c.db.log.Error("the database does not take what must be kept; trying with each next message", "error", err)
		}
		c.failed.Add(uint64(len(ops)))
		c.failedAt.Store(time.Now().UnixNano())
		for i := range ops {
			ops[i].err = fmt.Errorf("db: %w", err)
		}
	}
}

func (c *committer) recovered() {
	if c.failing.Swap(false) {
		c.db.log.Info("the database is back")
	}
}

func (c *committer) transact(ops []op) error {
	ctx, cancel := c.db.deadline()
	defer cancel()
	marked := c.needsMark(ops)
	if marked {
		if err := c.makeMark(ctx); err != nil {
			return &beginError{err}
		}
	}
	begun := time.Now()
	err := c.db.transact(ctx, func(tx *sql.Tx) error {
		err := c.tx.run(ctx, tx, ops)
		if err == nil && marked {
			err = c.tx.statements.exec(ctx, tx, statement{leaveMark, 1}, []any{c.mark.last, c.mark.row})
		}
		return err
	})
	if err == nil {
		c.took.Since(begun)
	}
	return err
}

// deadline bounds a transaction. In SQLite there is no peer to wait for, and a context that can end costs a goroutine for each
// statement.
func (db *DB) deadline() (context.Context, context.CancelFunc) {
	if db.dialect.timeout == 0 {
		return context.Background(), func() {}
	}
	return context.WithTimeout(context.Background(), db.dialect.timeout)
}
