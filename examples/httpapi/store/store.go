// Package store is the application's database: customers, their messages, and what is to be told to them.
//
// Whatever changes something goes through DB.Write, which gathers what is asked for at the same time into one transaction: a POST
// is answered when it is on disk, and a hundred at once cost one write to the disk. Reads go by connections of their own.
package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib" // driver pgx
	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // driver sqlite
)

//go:embed migrations/*.sql
var migrations embed.FS

// What errors of this package are.
var (
	ErrNotFound = errors.New("not found")
	ErrBalance  = errors.New("the balance is too low")
	ErrExists   = errors.New("there is one already")
	ErrReused   = errors.New("the Idempotency-Key was used for another request")
)

// DB is the database. Close ends it.
type DB struct {
	reads  *sqlx.DB
	writes *sqlx.DB
	queue  chan *write
	closed chan struct{} // Close was called
	ended  chan struct{} // the writer has gone
	now    func() time.Time
}

// Open opens sqlite:PATH, postgres://... or mysql://user:password@host/name, and brings its tables up to date.
func Open(ctx context.Context, address string) (*DB, error) {
	driver, source, dialect, err := parse(address)
	if err != nil {
		return nil, err
	}
	db := &DB{queue: make(chan *write, 1024), closed: make(chan struct{}), ended: make(chan struct{}), now: time.Now}
	if db.reads, err = sqlx.Open(driver, source); err != nil {
		return nil, err
	}
	db.reads.SetMaxOpenConns(8)
	db.reads.SetConnMaxIdleTime(5 * time.Minute)
	if db.writes, err = sqlx.Open(driver, source); err != nil {
		return nil, err
	}
	db.writes.SetMaxOpenConns(1)
	if err := db.migrate(ctx, dialect); err != nil {
		return nil, errors.Join(fmt.Errorf("database: %w", err), db.reads.Close(), db.writes.Close())
	}
	go db.commit()
	return db, nil
}

// Close ends the database. What was asked for before is still written.
func (db *DB) Close() error {
	close(db.closed)
	<-db.ended
	return errors.Join(db.reads.Close(), db.writes.Close())
}

// Ping says whether the database answers.
func (db *DB) Ping(ctx context.Context) error { return db.reads.PingContext(ctx) }

// parse makes an address the driver's.
func parse(address string) (driver, source string, dialect goose.Dialect, err error) {
	if path, ok := strings.CutPrefix(address, "sqlite:"); ok && path != "" {
		q := url.Values{"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"}, "_txlock": {"immediate"}}
		return "sqlite", "file:" + path + "?" + q.Encode(), goose.DialectSQLite3, nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", "", "", errors.New("db: want sqlite:PATH, postgres://user:password@host/name or mysql://user:password@host/name")
	}
	switch u.Scheme {
	case "postgres", "postgresql":
		return "pgx", address, goose.DialectPostgres, nil
	case "mysql":
		c := mysql.NewConfig()
		c.Net, c.Addr, c.DBName = "tcp", u.Host, strings.TrimPrefix(u.Path, "/")
		if u.Port() == "" {
			c.Addr += ":3306"
		}
		c.User = u.User.Username()
		c.Passwd, _ = u.User.Password()
		c.Collation = "utf8mb4_bin"
		c.ClientFoundRows = true // so that 'one row' says the same as with the others
		return "mysql", c.FormatDSN(), goose.DialectMySQL, nil
	}
	return "", "", "", errors.New("db: want sqlite:PATH, postgres://user:password@host/name or mysql://user:password@host/name")
}

func (db *DB) migrate(ctx context.Context, dialect goose.Dialect) error {
	if dialect == goose.DialectMySQL { // numbers and names are compared octet by octet, and texts hold every character
		if _, err := db.writes.ExecContext(ctx, "ALTER DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"); err != nil {
			return err
		}
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(dialect, db.writes.DB, files)
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// Tx is a transaction. Its queries are written with question marks for every database.
type Tx struct {
	tx  *sqlx.Tx
	now time.Time
}

func (tx Tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := tx.tx.ExecContext(ctx, tx.tx.Rebind(query), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (tx Tx) get(ctx context.Context, into any, query string, args ...any) error {
	return found(tx.tx.GetContext(ctx, into, tx.tx.Rebind(query), args...))
}

func (tx Tx) list(ctx context.Context, into any, query string, args ...any) error {
	return tx.tx.SelectContext(ctx, into, tx.tx.Rebind(query), args...)
}

func (db *DB) get(ctx context.Context, into any, query string, args ...any) error {
	return found(db.reads.GetContext(ctx, into, db.reads.Rebind(query), args...))
}

func (db *DB) list(ctx context.Context, into any, query string, args ...any) error {
	return db.reads.SelectContext(ctx, into, db.reads.Rebind(query), args...)
}

func found(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Time is what a column of milliseconds says.
func Time(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

const digits = "0123456789abcdefghjkmnpqrstvwxyz" // Crockford's base 32

// newID makes an id: ten digits of time, sixteen of chance. In the order of ids is in the order of time.
func newID(now time.Time) string {
	var id [26]byte
	ms := uint64(now.UnixMilli())
	for i := 9; i >= 0; i-- {
		id[i] = digits[ms%32]
		ms /= 32
	}
	_, _ = rand.Read(id[10:]) // never fails: crypto/rand ends the process instead
	for i := 10; i < 26; i++ {
		id[i] = digits[id[i]%32]
	}
	return string(id[:])
}

// clip shortens a text to what a column takes.
func clip(s string, most int) string {
	s = strings.ToValidUTF8(s, "�")
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}
