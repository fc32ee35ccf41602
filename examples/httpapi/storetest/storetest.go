// Package storetest makes databases for tests: SQLite in a temporary directory, and where SIPSMPP_TEST_POSTGRES and SIPSMPP_TEST_MYSQL
// name servers, a database of its own on each of them.
package storetest

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"sipsmpp/examples/httpapi/store"
)

// Open makes a SQLite database.
func Open(t testing.TB) *store.DB {
	t.Helper()
	return open(t, "sqlite:"+filepath.Join(t.TempDir(), "httpapi.db"))
}

func open(t testing.TB, address string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// Each runs a test on every database that there is.
func Each(t *testing.T, test func(*testing.T, *store.DB)) {
	t.Run("sqlite", func(t *testing.T) { test(t, Open(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, open(t, Postgres(t))) })
	t.Run("mysql", func(t *testing.T) { test(t, open(t, MySQL(t))) })
}

// Postgres makes a database of its own, and gives its URL.
func Postgres(t *testing.T) string {
	t.Helper()
	return create(t, "SIPSMPP_TEST_POSTGRES", func(u *url.URL) (*sql.DB, error) { return sql.Open("pgx", u.String()) })
}

// MySQL makes a database of its own, and gives its URL.
func MySQL(t *testing.T) string {
	t.Helper()
	return create(t, "SIPSMPP_TEST_MYSQL", func(u *url.URL) (*sql.DB, error) {
		c := mysql.NewConfig()
		c.Net, c.Addr, c.DBName, c.User = "tcp", u.Host, strings.TrimPrefix(u.Path, "/"), u.User.Username()
		c.Passwd, _ = u.User.Password()
		return sql.Open("mysql", c.FormatDSN())
	})
}

func create(t *testing.T, variable string, connect func(*url.URL) (*sql.DB, error)) string {
	t.Helper()
	address := os.Getenv(variable)
	if address == "" {
		t.Skip(variable + " names no server")
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	server, err := connect(u)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("httpapi_test_%d_%s", os.Getpid(), strings.ToLower(strings.NewReplacer("/", "_", "#", "_").Replace(t.Name())))
	name = name[:min(len(name), 60)]
	if _, err := server.ExecContext(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // it runs after what was registered later: the store is closed
		if _, err := server.Exec("DROP DATABASE " + name); err != nil {
			t.Error(err)
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	own := *u
	own.Path = "/" + name
	return own.String()
}
