package store

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	neturl "net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/jmoiron/sqlx"
	"modernc.org/sqlite"
)

const dialTimeout = 5 * time.Second

// source is a database that was named but not yet opened.
type source struct {
	dialect  *dialect
	password string // to keep it out of errors
	path     string // SQLite's file; empty: in memory
	pool     func(purpose) (*sql.DB, error)
	shared   bool // readers use the writer's connection
}

// purpose is what a pool of connections is for.
type purpose uint8

const (
	forWriting purpose = iota
	forReading
	forChecking // as for writing, but nothing is changed by it
)

const wantURL = "want sqlite:PATH, mysql://user:password@host/name or postgres://user:password@host/name"

// CheckURL says what is wrong with a database's URL, without reaching the database.
func CheckURL(url string) error {
	_, err := parseURL(url)
	return err
}

func parseURL(raw string) (*source, error) {
	scheme, rest, ok := strings.Cut(raw, ":")
	if !ok {
		return nil, errors.New("no database is named: " + wantURL)
	}
	switch scheme {
	case "sqlite":
		return parseSQLite(rest)
	case "mysql", "mariadb", "postgres", "postgresql":
	default:
		return nil, fmt.Errorf("%q is no kind of database that is known: %s", scheme, wantURL)
	}
	u, err := neturl.Parse(raw)
	if err != nil || u.Opaque != "" {
		// What net/url says quotes the URL, and with it the password.
		return nil, fmt.Errorf("the %s URL cannot be read: %s, with special characters in user and password "+
			"percent-encoded (%%40 is @, %%2F is /, %%3A is :)", scheme, wantURL)
	}
	if strings.Trim(u.Path, "/") == "" {
		return nil, fmt.Errorf("the %s URL names no database: %s", scheme, wantURL)
	}
	if scheme == "mysql" || scheme == "mariadb" {
		return parseMySQL(u)
	}
	return parsePostgres(raw, u)
}

func parseSQLite(path string) (*source, error) {
	if rest, ok := strings.CutPrefix(path, "//"); ok {
		path = rest // sqlite:///var/lib/x.db is as common as sqlite:/var/lib/x.db
	}
	s := &source{dialect: sqliteDialect}
	dsn := ":memory:"
	switch {
	case path == "":
		return nil, errors.New("sqlite: names no file: want sqlite:PATH")
	case strings.ContainsAny(path, "?#"):
		return nil, errors.New("sqlite: takes a path alone, without ? or #")
	case path == ":memory:":
		s.shared = true
	default:
		s.path = path
		dsn = "file:" + (&neturl.URL{Path: path}).EscapedPath()
	}
	s.pool = func(p purpose) (*sql.DB, error) {
		// The pages of an index change with each transaction, so that it is cheaper to bring them into the file seldom: when the log
		// has 64 MB.
		pragmas := "?_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&_pragma=temp_store(2)&_dqs=0&_error_rc=1"
		switch p {
		case forWriting:
			pragmas += "&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-16000)&_pragma=wal_autocheckpoint(16000)&_txlock=immediate"
		case forReading:
			pragmas += "&_query_only=1"
		case forChecking:
			pragmas += "&_txlock=immediate"
		}
		// As SQLite does wherever there is fdatasync; else it goes on to use fsync, which also waits for the file's times.
		_, _ = sqlite.Fdatasync(true)
		db, err := sql.Open("sqlite", dsn+pragmas)
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(4)
		if p != forReading {
			db.SetMaxOpenConns(1)
		}
		db.SetMaxIdleConns(4)
		return db, nil
	}
	return s, nil
}

func parseMySQL(u *neturl.URL) (*source, error) {
	cfg := mysql.NewConfig()
	cfg.User = u.User.Username()
	cfg.Passwd, _ = u.User.Password()
	cfg.DBName = strings.Trim(u.Path, "/")
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(orElse(u.Hostname(), "127.0.0.1"), orElse(u.Port(), "3306"))
	for key, values := range u.Query() {
		switch value := values[len(values)-1]; key {
		case "socket", "host":
			cfg.Net, cfg.Addr = "unix", value
		case "tls":
			cfg.TLSConfig = value
		default:
			return nil, fmt.Errorf("mysql: unknown option %q: want socket=PATH or tls=true|skip-verify|preferred", key)
		}
	}
	cfg.ParseTime, cfg.Loc = true, time.UTC
	cfg.Timeout = dialTimeout
	cfg.ClientFoundRows = true   // an UPDATE that changes nothing found its row all the same
	cfg.InterpolateParams = true // one round trip for a statement instead of three
	cfg.MaxAllowedPacket = 0     // the server's own
	cfg.Logger = &mysql.NopLogger{}
	if err := cfg.Apply(mysql.Charset("utf8mb4", "utf8mb4_bin")); err != nil {
		return nil, fmt.Errorf("mysql: %w", err)
	}
	s := &source{dialect: mysqlDialect, password: cfg.Passwd}
	s.pool = func(p purpose) (*sql.DB, error) {
		connector, err := mysql.NewConnector(cfg)
		if err != nil {
			return nil, err
		}
		return networkPool(sql.OpenDB(connector), p), nil
	}
	return s, nil
}

func parsePostgres(raw string, u *neturl.URL) (*source, error) {
	s := &source{dialect: postgresDialect}
	s.password, _ = u.User.Password()
	cfg, err := pgx.ParseConfig(raw)
	if err != nil {
		return nil, s.redact(fmt.Errorf("postgres: %w", err))
	}
	s.password = cfg.Password
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = dialTimeout
	}
	s.pool = func(p purpose) (*sql.DB, error) {
		c := cfg.Copy()
		// Every statement goes by an index. Tables that fill up faster than they are analysed would be planned as if they were
		// still small, and the plan kept.
		parameters := map[string]string{"application_name": "sipsmpp", "enable_seqscan": "off"}
		if p == forReading {
			parameters["enable_hashjoin"], parameters["enable_mergejoin"] = "off", "off"
		} else {
			parameters["plan_cache_mode"] = "force_custom_plan"
		}
		for name, value := range parameters {
			if c.RuntimeParams[name] == "" {
				c.RuntimeParams[name] = value
			}
		}
		return networkPool(stdlib.OpenDB(*c), p), nil
	}
	return s, nil
}

// networkPool bounds a pool to a server. The committer needs one connection of the writers'; the other is for the MI.
func networkPool(db *sql.DB, p purpose) *sql.DB {
	n := 2
	if p == forReading {
		n = 6
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	db.SetConnMaxIdleTime(3 * time.Minute) // before a server or a firewall forgets it
	return db
}

// open makes the pools. Nothing is reached before they are used.
func (s *source) open(writer purpose) (*DB, error) {
	w, err := s.pool(writer)
	if err != nil {
		return nil, err
	}
	db := &DB{dialect: s.dialect, write: sqlx.NewDb(w, s.dialect.driver)}
	if s.shared {
		db.read = db.write
		return db, nil
	}
	r, err := s.pool(forReading)
	if err != nil {
		_ = w.Close() // nothing was opened yet
		return nil, err
	}
	db.read = sqlx.NewDb(r, s.dialect.driver)
	return db, nil
}

// absent says that the database is a file that Open would make; an error, that it could not.
func (s *source) absent() (bool, error) {
	if s.dialect != sqliteDialect {
		return false, nil
	}
	if s.path == "" {
		return true, nil
	}
	_, err := os.Stat(s.path)
	if !errors.Is(err, os.ErrNotExist) {
		return false, s.fault(err)
	}
	dir := filepath.Dir(s.path)
	if i, err := os.Stat(dir); err != nil || !i.IsDir() {
		return false, fmt.Errorf("db: %s cannot be made: there is no directory %s", s.path, dir)
	}
	return true, nil
}

// fault gives an error of this database its "db: ", without the password.
func (s *source) fault(err error) error {
	if err = s.redact(err); err == nil || strings.HasPrefix(err.Error(), "db: ") {
		return err
	}
	return fmt.Errorf("db: %w", err)
}

// redact takes out the password should a driver have quoted it, and makes one line of what pgx says of each host.
func (s *source) redact(err error) error {
	if err == nil {
		return nil
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	if s.password != "" {
		text = strings.ReplaceAll(text, s.password, "***")
	}
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
