package store

import (
	"database/sql"
	"fmt"
	neturl "net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sipsmpp/gateway/sms"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a kind of database to run the suite on.
type server struct {
	name  string
	fresh func(t testing.TB) (url string) // makes a database that goes with the test
}

var servers = []server{
	{"SQLite", func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "test.db") }},
	{"MySQL", func(t testing.TB) string {
		return freshDatabase(t, "SIPSMPP_TEST_MYSQL", "mysql://root@127.0.0.1:3306/test")
	}},
	{"PostgreSQL", func(t testing.TB) string {
		return freshDatabase(t, "SIPSMPP_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432/postgres")
	}},
}

var databases atomic.Int64

// freshDatabase makes a database on the server that an environment variable names, and drops it after the test.
func freshDatabase(t testing.TB, variable, example string) string {
	t.Helper()
	admin := os.Getenv(variable)
	if admin == "" {
		t.Skipf("set %s to the URL of a database whose user may create databases, as in %s", variable, example)
	}
	u, err := neturl.Parse(admin)
	if err != nil {
		t.Fatalf("%s is no URL", variable)
	}
	name := fmt.Sprintf("sipsmpp_test_%d_%d", os.Getpid(), databases.Add(1))
	if strings.HasPrefix(u.Scheme, "postgres") { // a schema costs a tenth of a database there
		adminExec(t, admin, "CREATE SCHEMA "+name)
		t.Cleanup(func() { adminExec(t, admin, "DROP SCHEMA "+name+" CASCADE") })
		q := u.Query()
		q.Set("search_path", name)
		q.Set("application_name", name)
		u.RawQuery = q.Encode()
		return u.String()
	}
	adminExec(t, admin, "CREATE DATABASE "+name)
	t.Cleanup(func() { adminExec(t, admin, "DROP DATABASE "+name) })
	u.Path = "/" + name
	return u.String()
}

// raw opens a pool beside the store's.
func raw(t testing.TB, url string) *sql.DB {
	t.Helper()
	src, err := parseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := src.pool(forWriting)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	return pool
}

func adminExec(t testing.TB, url, query string) {
	t.Helper()
	src, err := parseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := src.pool(forWriting)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// onEach runs a test on every server with a database of its own, at once: it mostly waits for them.
func onEach(t *testing.T, test func(t *testing.T, url string)) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			test(t, s.fresh(t))
		})
	}
}

func open(t testing.TB, url string, opts ...Option) *DB {
	t.Helper()
	db, err := Open(t.Context(), url, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

var ids = sms.NewIDs()

// received is a time as the database keeps it.
func received() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// message is a short one that a sender wants reported.
func message(text string) *sms.Message {
	return &sms.Message{
		ID: ids.Next(), Ref: "call-1", Ingress: sms.SIP, Peer: "127.0.0.1:5060", Text: text, Receipt: sms.ReceiptFinal,
		From: sms.Address{Value: "100"}, To: sms.ParseAddress("+4915112345678"), Received: received(),
	}
}

// sent is a message that a connection took in as many segments as there are SMSC ids.
func sent(m *sms.Message, connection string, smscIDs ...string) *Record {
	r := &Record{Message: m, State: RecordSent, Egress: sms.Connection(connection), Rule: "default", Attempts: 1}
	for i, id := range smscIDs {
		r.Segments = append(r.Segments, Segment{Part: i + 1, SMSCID: id, Key: strings.ToLower(id)})
	}
	return r
}

// wait runs something that calls back, and gives what it said.
func wait(start func(done func(error))) error {
	c := make(chan error, 1)
	start(func(err error) { c <- err })
	return <-c
}

func insert(t testing.TB, db *DB, r *Record) {
	t.Helper()
	if err := wait(func(done func(error)) { db.Insert(r, done) }); err != nil {
		t.Fatal(err)
	}
}

func report(t testing.TB, db *DB, r SegmentReport) MessageReport {
	t.Helper()
	var result MessageReport
	err := wait(func(done func(error)) {
		db.Report(r, func(m MessageReport, err error) { result = m; done(err) })
	})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func find(t testing.TB, db *DB, leg sms.Leg, keys ...string) []Match {
	t.Helper()
	var found []Match
	err := wait(func(done func(error)) {
		db.FindSegments(leg, keys, func(m []Match, err error) { found = m; done(err) })
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
