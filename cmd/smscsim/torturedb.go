package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"

	_ "github.com/go-sql-driver/mysql" // the drivers of both servers
	_ "github.com/jackc/pgx/v5/stdlib"
)

// dbServer is a database that can be made to end its connections and take none.
type dbServer interface {
	breakDown(ctx context.Context) error
	mend(ctx context.Context) error
	close() error
}

// openServer makes ready to break the database of a URL, which it may change to one by which the gateway is to come.
func openServer(ctx context.Context, address *string) (dbServer, error) {
	u, err := url.Parse(*address)
	if err != nil {
		return nil, fmt.Errorf("--db: %w", err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	if name == "" || strings.ContainsAny(name, "\"`'") {
		return nil, fmt.Errorf("--db: %q is no name of a database that is broken", name)
	}
	switch u.Scheme {
	case "postgres", "postgresql":
		u.Path = "/postgres"
		db, err := sql.Open("pgx", u.String())
		return &postgresServer{db: db, name: name}, err
	case "mysql":
		return newMariaServer(ctx, u, name, address)
	}
	return nil, errors.New("--break db: want a mysql:// or postgres:// URL")
}

// postgresServer refuses by ALLOW_CONNECTIONS, which the postmaster asks of each that comes.
type postgresServer struct {
	db   *sql.DB
	name string
}

func (s *postgresServer) breakDown(ctx context.Context) error {
	if _, err := s.db.ExecContext(ctx, `ALTER DATABASE "`+s.name+`" ALLOW_CONNECTIONS false`); err != nil {
		return err
	}
	_, err := s.db.ExecContext(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", s.name)
	return err
}

func (s *postgresServer) mend(ctx context.Context) error {
	_, err := s.db.ExecContext(ctx, `ALTER DATABASE "`+s.name+`" ALLOW_CONNECTIONS true`)
	return err
}

func (s *postgresServer) close() error { return s.db.Close() }

// mariaServer has a user of its own for the gateway, which it locks, and ends that user's connections.
type mariaServer struct {
	db   *sql.DB
	user string
}

func newMariaServer(ctx context.Context, u *url.URL, name string, address *string) (*mariaServer, error) {
	password, _ := u.User.Password()
	db, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s)/", u.User.Username(), password, u.Host))
	if err != nil {
		return nil, err
	}
	s := &mariaServer{db: db, user: "torture_" + newStory("", false).run}
	for _, statement := range []string{
		"CREATE USER '" + s.user + "'@'%' IDENTIFIED BY '" + s.user + "'",
		"GRANT ALL ON `" + name + "`.* TO '" + s.user + "'@'%'",
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	own := *u
	own.User = url.UserPassword(s.user, s.user)
	*address = own.String()
	return s, nil
}

func (s *mariaServer) breakDown(ctx context.Context) error {
	if _, err := s.db.ExecContext(ctx, "ALTER USER '"+s.user+"'@'%' ACCOUNT LOCK"); err != nil {
		return err
	}
	_, err := s.db.ExecContext(ctx, "KILL USER '"+s.user+"'")
	return err
}

func (s *mariaServer) mend(ctx context.Context) error {
	_, err := s.db.ExecContext(ctx, "ALTER USER '"+s.user+"'@'%' ACCOUNT UNLOCK")
	return err
}

func (s *mariaServer) close() error {
	_, err := s.db.ExecContext(context.Background(), "DROP USER IF EXISTS '"+s.user+"'@'%'")
	return errors.Join(err, s.db.Close())
}
