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
	return goose.NewProvider(db.dialect.goose, db.write.DB, files,
		goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
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
	up := func() error {
		_, err := p.Up(ctx)
		return err
	}
	if db.dialect != sqliteDialect {
		err = db.locked(ctx, up)
	} else {
		// SQLite has no lock that outlives a transaction. Where two start at once, the second finds the tables already there,
		// fails as a whole, and has nothing left to do when it looks again.
		for range 3 {
			if err = up(); err == nil {
				break
			}
		}
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
	// Another node that starts makes the version table first: so it is looked for last.
	found := ""
	for _, table := range []string{"message", "message_segment", "message_part", "route"} {
		if has, err := db.hasTable(ctx, table); err != nil {
			return err
		} else if has {
			found = table
		}
	}
	ours, err := db.hasTable(ctx, versionTable)
	switch {
	case err != nil:
		return err
	case !ours && found != "":
		return fmt.Errorf("the database has a table %s of another program: give the gateway a database of its own", found)
	case !ours:
		return nil
	}
	p, err := db.provider()
	if err != nil {
		return err
	}
	// goose's own question would mend the table first, and another node may be at it.
	var have int64
	if err := db.write.GetContext(ctx, &have, "SELECT COALESCE(MAX(version_id), 0) FROM "+versionTable); err != nil {
		return fmt.Errorf("cannot read table %s: %w", versionTable, err)
	}
	sources := p.ListSources()
	know := sources[len(sources)-1].Version
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

// schemaLockID is any number that is ours: the first eight letters of "sipsmpp_schema".
const schemaLockID = 0x73697073_6d70705f

// locked runs f while no other gateway does the same on this database. goose has locks, too, but looks at the tables, and makes
// its own, before it takes one. The lock waits on the server and ends with the session that holds it.
func (db *DB) locked(ctx context.Context, f func() error) (err error) {
	conn, err := db.write.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	// PostgreSQL's lock is the database's; MySQL's is the server's, so that its name must tell the database.
	lock, unlock := "SELECT GET_LOCK(SHA1(CONCAT(DATABASE(), '/sipsmpp')), 300)", "SELECT RELEASE_LOCK(SHA1(CONCAT(DATABASE(), '/sipsmpp')))"
	if db.dialect == postgresDialect {
		lock = fmt.Sprintf("SELECT 1 FROM pg_advisory_lock(%d)", int64(schemaLockID))
		unlock = fmt.Sprintf("SELECT pg_advisory_unlock(%d)", int64(schemaLockID))
	}
	var got sql.NullInt64
	if err := conn.QueryRowContext(ctx, lock).Scan(&got); err != nil {
		return err
	}
	if got.Int64 != 1 {
		return errors.New("another gateway has been making the tables for five minutes")
	}
	err = f()
	_, unlocked := conn.ExecContext(context.WithoutCancel(ctx), unlock)
	return errors.Join(err, unlocked)
}
