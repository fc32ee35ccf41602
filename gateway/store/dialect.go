package store

import (
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// dialect is what the three databases do not have in common.
type dialect struct {
	name      string // for people
	driver    string // of database/sql
	goose     goose.Dialect
	files     string // its migrations
	bind      int    // how sqlx writes a placeholder
	quote     string
	forUpdate string
	timeout   time.Duration // of a transaction; 0: the database is in this process
	prepare   bool          // the driver keeps no prepared statements by itself
}

var (
	sqliteDialect = &dialect{
		name: "SQLite", driver: "sqlite", goose: goose.DialectSQLite3, files: "migrations/sqlite",
		bind: sqlx.QUESTION, quote: `"`, prepare: true,
	}
	mysqlDialect = &dialect{
		name: "MySQL", driver: "mysql", goose: goose.DialectMySQL, files: "migrations/mysql",
		bind: sqlx.QUESTION, quote: "`", forUpdate: " FOR UPDATE", timeout: 10 * time.Second,
	}
	postgresDialect = &dialect{
		name: "PostgreSQL", driver: "pgx", goose: goose.DialectPostgres, files: "migrations/postgres",
		bind: sqlx.DOLLAR, quote: `"`, forUpdate: " FOR UPDATE", timeout: 10 * time.Second,
	}
)

// rebind turns the `?` of a query into what the database wants.
func (d *dialect) rebind(query string) string { return sqlx.Rebind(d.bind, query) }

// column quotes a column whose name is a reserved word somewhere, as `window` is.
func (d *dialect) column(name string) string { return d.quote + name + d.quote }

// insert is the statement that inserts n rows.
func (d *dialect) insert(table string, columns []string, n int) string {
	row := "(?" + strings.Repeat(", ?", len(columns)-1) + ")"
	return "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES " + row + strings.Repeat(", "+row, n-1)
}

// orReplace is the end of an INSERT that takes the place of a row with the same key.
func (d *dialect) orReplace(key, columns []string) string {
	var sets []string
	for _, c := range columns {
		if d == mysqlDialect {
			sets = append(sets, c+" = VALUES("+c+")")
		} else {
			sets = append(sets, c+" = excluded."+c)
		}
	}
	if d == mysqlDialect {
		return " ON DUPLICATE KEY UPDATE " + strings.Join(sets, ", ")
	}
	return " ON CONFLICT (" + strings.Join(key, ", ") + ") DO UPDATE SET " + strings.Join(sets, ", ")
}

// blame says what an error of a transaction is due to, and so what to do next.
type blame uint8

const (
	blameRow      blame = iota // one of its rows: the others may succeed without it
	blameMoment                // a lock or a connection that was lost: the same may succeed at once
	blameDatabase              // the database: nothing will succeed now
)

func blameFor(err error) blame {
	var (
		commit *commitError
		begin  *beginError
		my     *mysql.MySQLError
		pg     *pgconn.PgError
		lite   *sqlite.Error
	)
	switch {
	case errors.As(err, &commit):
		return blameDatabase
	case errors.As(err, &begin):
		if blameFor(begin.error) == blameMoment {
			return blameMoment
		}
		return blameDatabase
	case errors.Is(err, errRow):
		return blameRow
	case errors.As(err, &my):
		return blameMySQL(my.Number)
	case errors.As(err, &pg):
		return blamePostgres(pg.Code)
	case errors.As(err, &lite):
		switch lite.Code() & 0xff {
		case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE:
			return blameRow
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
			return blameMoment
		}
		return blameDatabase
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, mysql.ErrInvalidConn), pgconn.SafeToRetry(err),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return blameMoment
	}
	return blameDatabase
}

// blameMySQL goes by the server's error number.
func blameMySQL(number uint16) blame {
	switch number {
	case 1205, 1213, // lock wait timeout, deadlock
		1053, 1317, 1927: // shutdown, interrupted, connection killed
		return blameMoment
	case 1040, 1044, 1045, 1142, 1143, // too many connections; access denied
		1021, 1114, 1290, 1836, // disk full, table full, read only
		1054, 1064, 1146: // no such column, syntax, no such table: not our tables
		return blameDatabase
	}
	return blameRow
}

// blamePostgres goes by the class of the SQLSTATE (PostgreSQL, Appendix A).
func blamePostgres(code string) blame {
	switch code[:min(2, len(code))] {
	case "40", // serialization failure, deadlock
		"08", "57": // connection lost, operator intervention
		return blameMoment
	case "22", "23", "54": // a value, a constraint, a limit
		return blameRow
	}
	return blameDatabase
}
