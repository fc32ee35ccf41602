package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
)

func TestBlame(t *testing.T) {
	reset := &net.OpError{Op: "read", Err: syscall.ECONNRESET}
	for _, c := range []struct {
		err  error
		want blame
	}{
		{driver.ErrBadConn, blameMoment},
		{io.ErrUnexpectedEOF, blameMoment},
		{reset, blameMoment},
		{&commitError{reset}, blameDatabase}, // may have taken effect
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, blameDatabase},
		{context.DeadlineExceeded, blameDatabase},
		{errors.New("anything"), blameDatabase},
		{fmt.Errorf("to %w: too long", errRow), blameRow},
		{&mysql.MySQLError{Number: 1062}, blameRow},      // duplicate
		{&mysql.MySQLError{Number: 1406}, blameRow},      // too long
		{&mysql.MySQLError{Number: 1213}, blameMoment},   // deadlock
		{&mysql.MySQLError{Number: 1290}, blameDatabase}, // read only
		{&pgconn.PgError{Code: "23505"}, blameRow},       // duplicate
		{&pgconn.PgError{Code: "40P01"}, blameMoment},    // deadlock
		{&pgconn.PgError{Code: "57P01"}, blameMoment},    // terminated
		{&pgconn.PgError{Code: "25006"}, blameDatabase},  // read only
		{&pgconn.PgError{Code: "53100"}, blameDatabase},  // disk full
	} {
		if got := blameFor(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}
