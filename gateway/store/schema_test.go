package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sipsmpp/gateway/sms"
)

func TestOpenAgainFindsEverything(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		m, part := message("still here"), message("part")
		part.Part = sms.Part{Ref: 7, Total: 2, Seq: 1}
		db := open(t, url)
		insert(t, db, sent(m, "acme", "1"))
		if err := db.PutConnection(t.Context(), NewConnection("acme", "127.0.0.1", 2775)); err != nil {
			t.Fatal(err)
		}
		if err := wait(func(done func(error)) { db.PutPart(part, done) }); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}

		db = open(t, url)
		if r, err := db.Message(t.Context(), m.ID); err != nil || r.Message.Text != m.Text {
			t.Errorf("message: %v, %v", r, err)
		}
		if found := find(t, db, sms.Connection("acme"), "1"); len(found) != 1 {
			t.Errorf("segment: %v", found)
		}
		if good, _, err := db.Connections(t.Context()); err != nil || len(good) != 1 {
			t.Errorf("connection: %v, %v", good, err)
		}
		n := 0
		if err := db.Parts(t.Context(), func(*sms.Message) error { n++; return nil }); err != nil || n != 1 {
			t.Errorf("%d parts, %v", n, err)
		}
	})
}

func TestOpenByManyNodesAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		var nodes sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			nodes.Go(func() {
				db, err := Open(t.Context(), url, WithNode(fmt.Sprint("node", i)))
				if err == nil {
					err = db.Close()
				}
				errs[i] = err
			})
		}
		nodes.Wait()
		for i, err := range errs {
			if err != nil {
				t.Errorf("node %d: %v", i, err)
			}
		}
		var n int
		count, _ := known(t, url)
		if err := raw(t, url).QueryRow("SELECT COUNT(DISTINCT version_id) FROM " + versionTable + " WHERE version_id > 0").Scan(&n); err != nil || n != count {
			t.Errorf("%d migrations are on record, there are %d: %v", n, count, err)
		}
	})
}

// known is how many migrations a database has, and the version that the last one leads to.
func known(t *testing.T, url string) (count, version int) {
	t.Helper()
	src, err := parseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	files, err := migrations.ReadDir(src.dialect.files)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(files[len(files)-1].Name(), "%d_", &version); err != nil {
		t.Fatal(err)
	}
	return len(files), version
}

func TestOpenRefusesNewerTables(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		open(t, url).Close()
		if _, err := raw(t, url).Exec("UPDATE " + versionTable + " SET version_id = 999 WHERE version_id = 1"); err != nil {
			t.Fatal(err)
		}
		_, err := Open(t.Context(), url)
		_, version := known(t, url)
		if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("db: the tables are of a newer sipsmpp (schema 999, this one knows %d)", version)) {
			t.Errorf("%v", err)
		}
	})
}

func TestOpenLeavesTablesOfOthersAlone(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		if _, err := raw(t, url).Exec("CREATE TABLE message (theirs INTEGER)"); err != nil {
			t.Fatal(err)
		}
		_, err := Open(t.Context(), url)
		if err == nil || !strings.Contains(err.Error(), "db: the database has a table message of another program") {
			t.Errorf("Open: %v", err)
		}
		if _, err = Check(t.Context(), url); err == nil {
			t.Error("Check finds nothing wrong")
		}
	})
}

func TestCheckChangesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		if faults, err := Check(t.Context(), url); err != nil || len(faults) > 0 {
			t.Fatalf("empty database: %v, %v", faults, err)
		}
		if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
			if _, err := os.Stat(path); !os.IsNotExist(err) {
				t.Error("Check made the file")
			}
		}
		db := open(t, url)
		if has, err := db.hasTable(t.Context(), "smpp"); err != nil || !has {
			t.Fatal(has, err)
		}
		pool := raw(t, url)
		if _, err := pool.Exec("INSERT INTO smpp (name, ip, port) VALUES ('acme', 'host', 70000)"); err != nil {
			t.Fatal(err)
		}
		faults, err := Check(t.Context(), url)
		if err != nil || len(faults) != 1 || faults[0].Error() != "smpp[name=acme].port: 70000 is not a port: want 1 to 65535" {
			t.Errorf("%v, %v", faults, err)
		}
		if _, err := pool.Exec("INSERT INTO sip_user (username, realm) VALUES ('al', 'example.org')"); err != nil {
			t.Fatal(err)
		}
		faults, err = Check(t.Context(), url)
		if err != nil || len(faults) != 2 || !strings.HasPrefix(faults[1].Error(), `sip_user[username="al"].ha1: `) {
			t.Errorf("%v, %v", faults, err)
		}
	})
}

func TestErrorsOfOpen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("this is no database, whatever its name says"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ url, want string }{
		{"", "db: no database is named: want sqlite:PATH"},
		{"oracle://u:secret@host/db", `db: "oracle" is no kind of database that is known`},
		{"sqlite:", "db: sqlite: names no file"},
		{"sqlite:x.db?mode=ro", "db: sqlite: takes a path alone"},
		{"sqlite:/no/such/directory/x.db", "db: /no/such/directory/x.db cannot be made: there is no directory /no/such/directory"},
		{"sqlite:" + file, "db: cannot open the SQLite database: "},
		{"mysql://u:se/cr@et@host/db", "db: the mysql URL cannot be read"},
		{"mysql://u:secret@host", "db: the mysql URL names no database"},
		{"mysql://u:secret@host/db?x=2", "db: mysql: unknown option"},
		{"mysql://u:secret@127.0.0.1:1/db", "db: cannot open the MySQL database: "},
		{"postgres:u:secret@host/db", "db: the postgres URL cannot be read"},
		{"postgres://u:secret@127.0.0.1:1/db", "db: cannot open the PostgreSQL database: "},
		{"postgres://u:secret@host/db?sslmode=secret", "db: postgres: "},
		{"postgres://u@/db?host=/no/such/directory", "db: cannot open the PostgreSQL database: "},
		{"mysql://u@/db?socket=/no/such/socket", "db: cannot open the MySQL database: "},
	} {
		db, err := Open(t.Context(), c.url)
		if err == nil {
			db.Close()
			t.Errorf("%s: no error", c.url)
			continue
		}
		if !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", c.url, err)
		}
		for _, secret := range []string{"secret", "se/cr", "cr@et"} {
			if password := strings.Contains(c.url, ":"+secret); password && strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the password is in %q", c.url, err)
			}
		}
	}
}

func TestOpenInMemory(t *testing.T) {
	db := open(t, "sqlite::memory:")
	m := message("gone with the process")
	insert(t, db, sent(m, "acme", "1"))
	if found := find(t, db, sms.Connection("acme"), "1"); len(found) != 1 {
		t.Error(found)
	}
	if r, err := db.Message(t.Context(), m.ID); err != nil || len(r.Segments) != 1 {
		t.Error(r, err)
	}
}

func TestSQLiteIsDurable(t *testing.T) {
	db := open(t, "sqlite:"+filepath.Join(t.TempDir(), "a b%20é.db"))
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000"} {
		var got string
		if err := db.write.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s, %v; want %s", pragma, got, err, want)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"sqlite:x.db", "sqlite::memory:", "mysql://u:topsecret@h:1/d?tls=true", "postgres://u:topsecret@h/d?sslmode=x",
		"postgres://u:topsecret@[::1/d", "mysql://u:topsecret@h:x/d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		src, err := parseURL(s)
		if (src == nil) == (err == nil) {
			t.Fatalf("%v, %v", src, err)
		}
		if err != nil && strings.Contains(s, ":topsecret@") && strings.Contains(err.Error(), "topsecret") {
			t.Fatalf("the password is in %q", err)
		}
	})
}
