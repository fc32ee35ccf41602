// Package store keeps in an SQL database what must outlive the process: the connections of table smpp, messages with their
// segments and reports, and the parts of long messages that wait for the rest. It speaks SQLite, MySQL/MariaDB and PostgreSQL.
//
// What it promises:
//
//   - A write whose done(nil) was called is on disk. One goroutine commits what has gathered, so that durability costs one
//     sync for many messages; when nothing else is under way, a write is committed at once.
//   - Insert, Report, PutPart, DeleteParts, KeepContacts, Attempt, Delay, End, Promote, FindSegments and FindKey never block and start no
//     goroutine: they queue, and where the queue is full they refuse with ErrBusy. Each done is called exactly once, with no lock held, from the goroutine that commits or
//     reads (or, where it is refused, before the call returns); it must be cheap and must not wait for another write.
//   - The writes of one DB take effect in the order that they were queued, and a bad one does not fail its neighbours.
//   - A database that went away fails what was queued with an error and is used again as soon as it is back.
//   - OpenSIPS' own table smpp is never altered, and what else is in the database is not touched.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/jmoiron/sqlx"

	"sipsmpp/gateway/gather"
	"sipsmpp/gateway/route"
	"sipsmpp/gateway/sms"
)

// The errors that say why something was not done. Others are the database's own.
var (
	ErrBusy     = errors.New("db: too much is queued: the database does not keep up")
	ErrClosed   = errors.New("db: closed")
	ErrNotFound = errors.New("db: no such record")
)

// DB is an open database. Its methods are safe for any number of goroutines.
type DB struct {
	dialect *dialect
	write   *sqlx.DB // one connection with SQLite, which has one writer
	read    *sqlx.DB
	node    string
	log     *slog.Logger

	committer *committer
	finder    *finder
	keys      *readers[keyLookup]
	gather    *gather.Group
}

// An Option changes how a database is opened.
type Option func(*settings)

type settings struct {
	node   string
	log    *slog.Logger
	queue  int
	gather *gather.Group
}

// WithNode names the gateway in what it records. The default is the host's name.
func WithNode(name string) Option { return func(s *settings) { s.node = name } }

// WithLogger says where it is logged that the database fails and that it is back. The default is nowhere.
func WithLogger(log *slog.Logger) Option { return func(s *settings) { s.log = log } }

// WithQueue bounds how many writes, and how many lookups, wait for the database. The default is 16384.
func WithQueue(n int) Option { return func(s *settings) { s.queue = n } }

// WithGather names the batches that are worked on elsewhere in the gateway: what comes of a commit leaves when all of it was told.
func WithGather(g *gather.Group) Option { return func(s *settings) { s.gather = g } }

// Open opens the database that url names, makes or updates its tables, and starts the committer:
//
//	sqlite:sipsmpp.db    sqlite:/var/lib/sipsmpp/sipsmpp.db    sqlite::memory:
//	mysql://user:password@host:3306/name    mysql://user@/name?socket=/run/mysqld/mysqld.sock
//	postgres://user:password@host:5432/name    postgres://user@/name?host=/run/postgresql
//
// Errors begin with "db: " and never tell the password. Several gateways may open one database at the same time.
func Open(ctx context.Context, url string, opts ...Option) (*DB, error) {
	s := settings{log: slog.New(slog.DiscardHandler), queue: 16384, gather: new(gather.Group)}
	for _, o := range opts {
		o(&s)
	}
	if s.node == "" {
		s.node, _ = os.Hostname()
	}
	src, err := parseURL(url)
	if err != nil {
		return nil, fmt.Errorf("db: %w", err)
	}
	if _, err := src.absent(); err != nil { // no directory to make it in, of which SQLite says less
		return nil, err
	}
	db, err := src.open(forWriting)
	if err != nil {
		return nil, src.fault(err)
	}
	db.node, db.log, db.gather = s.node, s.log, s.gather
	if err := db.ready(ctx, db.migrate); err != nil {
		return nil, src.fault(errors.Join(err, db.closePools()))
	}
	if db.finder, err = newFinder(ctx, db, s.queue); err != nil {
		return nil, src.fault(errors.Join(err, db.closePools()))
	}
	if db.committer, err = newCommitter(ctx, db, s.queue); err != nil {
		db.finder.close()
		return nil, src.fault(errors.Join(err, db.closePools()))
	}
	db.keys = newKeyReaders(db, s.queue)
	return db, nil
}

// Check says whether Open would succeed and which rows of the database are bad, and changes nothing: for `sipsmppd -t`. A
// database that has no tables yet is good.
func Check(ctx context.Context, url string) ([]sms.Fault, error) {
	src, err := parseURL(url)
	if err != nil {
		return nil, fmt.Errorf("db: %w", err)
	}
	if absent, err := src.absent(); err != nil || absent {
		return nil, err
	}
	db, err := src.open(forChecking)
	if err != nil {
		return nil, src.fault(err)
	}
	defer func() { _ = db.closePools() }() // nothing was written
	if err := db.ready(ctx, db.checkSchema); err != nil {
		return nil, src.fault(err)
	}
	var faults []sms.Fault
	for _, t := range []struct {
		name  string
		check func(context.Context) ([]sms.Fault, error)
	}{{"smpp", db.checkConnections}, {"smpp_account", db.checkAccounts}, {"sip_user", db.checkSIPUsers}, {"route", db.checkRoutes}} {
		has, err := db.hasTable(ctx, t.name)
		if err == nil && has {
			var wrong []sms.Fault
			wrong, err = t.check(ctx)
			faults = append(faults, wrong...)
		}
		if err != nil {
			return faults, src.fault(err)
		}
	}
	return faults, nil
}

func (db *DB) checkConnections(ctx context.Context) ([]sms.Fault, error) {
	_, faults, err := db.Connections(ctx)
	return faults, err
}

func (db *DB) checkAccounts(ctx context.Context) ([]sms.Fault, error) {
	_, faults, err := db.Accounts(ctx)
	return faults, err
}

func (db *DB) checkSIPUsers(ctx context.Context) ([]sms.Fault, error) {
	_, faults, err := db.SIPUsers(ctx)
	return faults, err
}

func (db *DB) checkRoutes(ctx context.Context) ([]sms.Fault, error) {
	rules, err := db.Routes(ctx)
	if err != nil {
		return nil, err
	}
	_, faults := route.Compile(rules, route.Options{})
	return faults, nil
}

// ready reaches the database and then does what is asked with its schema.
func (db *DB) ready(ctx context.Context, schema func(context.Context) error) error {
	reach, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := db.write.PingContext(reach)
	// SQLite does not wait for the lock that it takes to enter WAL mode, which another may hold that opens it, too.
	for err != nil && db.dialect == sqliteDialect && blameFor(err) == blameMoment {
		select {
		case <-reach.Done():
			return fmt.Errorf("cannot open the %s database: %w", db.dialect.name, err)
		case <-time.After(10 * time.Millisecond):
			err = db.write.PingContext(reach)
		}
	}
	if err != nil {
		return fmt.Errorf("cannot open the %s database: %w", db.dialect.name, err)
	}
	return schema(ctx)
}

// Ping says whether the database can be reached now.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.read.PingContext(ctx); err != nil {
		return fmt.Errorf("db: %w", err)
	}
	return nil
}

// Close commits what is queued, calls what is still owed, and closes the database. Later calls get ErrClosed.
func (db *DB) Close() error {
	db.committer.close()
	db.finder.close()
	db.keys.close()
	return db.closePools()
}

func (db *DB) closePools() error {
	err := db.read.Close()
	if db.write != db.read {
		err = errors.Join(err, db.write.Close())
	}
	return err
}

// transact runs f in a transaction of the writer.
func (db *DB) transact(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return &beginError{err}
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback() // the first error is the one that tells; the connection is dropped where this one fails
		return err
	}
	if err := tx.Commit(); err != nil {
		return &commitError{err}
	}
	return nil
}

// beginError says that a transaction could not even begin: whatever the server says, it is no fault of what was to be written.
type beginError struct{ error }

func (e *beginError) Unwrap() error { return e.error }

// commitError is the failure of a COMMIT: whether the transaction took effect is not known, so it must not be run again.
type commitError struct{ error }

func (e *commitError) Unwrap() error { return e.error }
