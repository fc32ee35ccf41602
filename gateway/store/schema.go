package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrations embed.FS

// versionTable is where goose counts what it did. OpenSIPS has a table `version`, other programs one of goose's default name.
const versionTable = "sipsmpp_schema"

func (db *DB) provider() (*goose.Provider, error) {
	files, err := fs.Sub(migrations, db.dialect.files)
	if err != nil {
		return nil, err
	}
	opts := []goose.ProviderOption{
		goose.WithTableName(versionTable),
		goose.WithDisableGlobalRegistry(true),
		goose.WithLogger(goose.NopLogger()),
	}
	if db.dialect != sqliteDialect {
		opts = append(opts, goose.WithSessionLocker(schemaLock{db.dialect}))
	}
	return goose.NewProvider(db.dialect.goose, db.write.DB, files, opts...)
}

// migrate brings the tables to the version that this program knows.
func (db *DB) migrate(ctx context.Context) error {
	if err := db.checkSchema(ctx); err != nil {
		return err
	}
	p, err := db.provider()
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	// SQLite has no lock that outlives a transaction. Where two start at once, the second finds the tables already there,
	// fails as a whole, and has nothing left to do when it looks again.
	for range 3 {
		if err == nil || db.dialect != sqliteDialect {
			break
		}
		_, err = p.Up(ctx)
	}
	if err != nil {
		return fmt.Errorf("cannot make the tables: %w", err)
	}
	return nil
}

// checkSchema says whether migrate may go ahead; it changes nothing.
func (db *DB) checkSchema(ctx context.Context) error {
	if db.dialect == sqliteDialect {
		// A file that may not be written says so here, and not when the first message comes.
		if err := db.transact(ctx, func(*sql.Tx) error { return nil }); err != nil {
			return fmt.Errorf("cannot write to the database: %w", err)
		}
	}
	ours, err := db.hasTable(ctx, versionTable)
	if err != nil {
		return err
	}
	if !ours {
		for _, table := range []string{"message", "message_segment", "message_part"} {
			if has, err := db.hasTable(ctx, table); err != nil {
				return err
			} else if has {
				return fmt.Errorf("the database has a table %s of another program: give the gateway a database of its own", table)
			}
		}
		return nil
	}
	p, err := db.provider()
	if err != nil {
		return err
	}
	have, know, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("cannot read table %s: %w", versionTable, err)
	}
	if have > know {
		return fmt.Errorf("the tables are of a newer sipsmpp (schema %d, this one knows %d): update the program", have, know)
	}
	return nil
}

// hasTable looks for a table where an unqualified name would find or make one.
func (db *DB) hasTable(ctx context.Context, name string) (bool, error) {
	query := "SELECT 1 FROM sqlite_master WHERE type IN ('table', 'view') AND name = ?"
	switch db.dialect {
	case mysqlDialect:
		query = "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?"
	case postgresDialect:
		query = "SELECT 1 WHERE to_regclass(?) IS NOT NULL"
	}
	var one int
	err := db.write.QueryRowContext(ctx, db.dialect.rebind(query), name).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// schemaLock lets one gateway at a time make tables. It waits on the server, and ends with the session that holds it.
type schemaLock struct{ dialect *dialect }

// schemaLockID is any number that is ours: the first eight letters of "sipsmpp_schema".
const schemaLockID = 0x73697073_6d70705f

func (l schemaLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	if l.dialect == postgresDialect { // the lock is the database's
		_, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", int64(schemaLockID))
		return err
	}
	var got sql.NullInt64 // the lock is the server's, so that its name must tell the database
	if err := conn.QueryRowContext(ctx, "SELECT GET_LOCK(SHA1(CONCAT(DATABASE(), '/sipsmpp')), 300)").Scan(&got); err != nil {
		return err
	}
	if got.Int64 != 1 {
		return errors.New("another gateway has been making the tables for five minutes")
	}
	return nil
}

func (l schemaLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	query := "SELECT RELEASE_LOCK(SHA1(CONCAT(DATABASE(), '/sipsmpp')))"
	if l.dialect == postgresDialect {
		query = fmt.Sprintf("SELECT pg_advisory_unlock(%d)", int64(schemaLockID))
	}
	_, err := conn.ExecContext(ctx, query)
	return err
}
