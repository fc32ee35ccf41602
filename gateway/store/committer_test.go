package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"sipsmpp/gateway/sms"
)

// hold keeps the committer busy until the func that it gives is called, so that a test decides what gathers.
func hold(t *testing.T, db *DB) (release func()) {
	t.Helper()
	held, free := make(chan struct{}), make(chan struct{})
	db.Insert(&Record{Message: message("hold"), State: RecordDone}, func(error) {
		close(held)
		<-free
	})
	<-held
	return sync.OnceFunc(func() { close(free) })
}

func TestWritesAreDoneInOrder(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		const n = 2*batchCount + 10
		release := hold(t, db)
		var order []int // only the committer's goroutine writes it
		finished := make(chan struct{})
		for i := range n {
			db.Insert(sent(message("m"), "acme", fmt.Sprint(i)), func(err error) {
				if err != nil {
					t.Error(err)
				}
				if order = append(order, i); i == n-1 {
					close(finished)
				}
			})
		}
		if s := db.Stats(); s.Queued != n || s.Written != 1 {
			t.Errorf("while it is held: %+v, want %d queued", s, n)
		}
		release()
		<-finished
		if s := db.Stats(); s.Written != n+1 || s.Commits.Count != 4 || s.Commits.Sum <= 0 || s.Failed != 0 {
			t.Errorf("at the end: %+v, want %d written by 4 commits", s, n+1)
		}
		if len(order) != n || !slices.IsSorted(order) {
			t.Errorf("%d in the order %v", len(order), order)
		}
	})
}

func TestFullQueueRefusesAtOnce(t *testing.T) {
	db := open(t, "sqlite::memory:", WithQueue(3))
	release := hold(t, db)
	defer release()
	results := make(chan error, 3)
	for range 3 {
		db.Insert(&Record{Message: message("fits"), State: RecordDone}, func(err error) { results <- err })
	}
	refused := false
	db.Insert(&Record{Message: message("too many"), State: RecordDone}, func(err error) { refused = errors.Is(err, ErrBusy) })
	if !refused {
		t.Error("not refused before the call returned")
	}
	if s := db.Stats(); s.Failed != 1 || s.Queued != 3 || s.Failing {
		t.Errorf("%+v, want one failed for want of room", s)
	}
	release()
	for range 3 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	insert(t, db, &Record{Message: message("fits again"), State: RecordDone})
}

func TestOneBadWriteFailsAlone(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		twice := message("twice")
		insert(t, db, &Record{Message: twice, State: RecordDone})
		long := message("long")
		long.To.Value = strings.Repeat("1", 256)

		release := hold(t, db)
		const n = 40
		errs := make([]error, n)
		var all sync.WaitGroup
		records := make([]*Record, n)
		for i := range n {
			records[i] = sent(message("good"), "acme", fmt.Sprint(i))
			switch i {
			case 17:
				records[i].Message = twice
			case 18, 39:
				records[i].Message = long
			}
			all.Add(1)
			db.Insert(records[i], func(err error) { errs[i] = err; all.Done() })
		}
		release()
		all.Wait()
		for i, err := range errs {
			bad := i == 17 || i == 18 || i == 39
			if (err != nil) != bad {
				t.Errorf("%d: %v", i, err)
			}
			if found := find(t, db, sms.Connection("acme"), fmt.Sprint(i)); (len(found) == 0) != bad {
				t.Errorf("%d: found %v", i, found)
			}
		}
		if !errors.Is(errs[18], errRow) || !strings.HasPrefix(errs[18].Error(), "db: ") {
			t.Errorf("%v", errs[18])
		}
	})
}

func TestCloseCommitsWhatIsQueued(t *testing.T) {
	path := "sqlite:" + filepath.Join(t.TempDir(), "x.db")
	db := open(t, path)
	release := hold(t, db)
	m := message("late")
	got, next := errors.New("not called"), errors.New("not called")
	db.Insert(&Record{Message: m, State: RecordDone}, func(err error) {
		got = err
		db.Insert(&Record{Message: message("what follows"), State: RecordDone}, func(err error) { next = err })
	})
	release()
	if err := db.Close(); err != nil || got != nil || next != nil {
		t.Fatal(err, got, next)
	}
	if err := wait(func(done func(error)) { db.Insert(&Record{Message: message("x")}, done) }); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	err := wait(func(done func(error)) {
		db.FindSegments(sms.SIP, []string{"1"}, func(_ []Match, err error) { done(err) })
	})
	if !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if r, err := open(t, path).Message(t.Context(), m.ID); err != nil || r.Message.Text != "late" {
		t.Error(r, err)
	}
}

// A connection that the server ended costs nothing: the transaction had not committed, so it runs again on another.
func TestServerEndsTheConnections(t *testing.T) {
	end := map[string]struct{ list, kill string }{
		"mysql":    {"SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()", "KILL %d"},
		"postgres": {"SELECT pid FROM pg_stat_activity WHERE application_name = current_setting('application_name') AND pid <> pg_backend_pid()", "SELECT pg_terminate_backend(%d)"},
	}
	onEach(t, func(t *testing.T, url string) {
		kind, _, _ := strings.Cut(url, ":")
		server, network := end[kind]
		if !network {
			t.Skip("SQLite has no server")
		}
		db := open(t, url)
		pool := raw(t, url)
		for i := range 3 {
			insert(t, db, sent(message("before"), "acme", fmt.Sprint("before", i)))
			find(t, db, sms.Connection("acme"), "x")
			rows, err := pool.Query(server.list)
			if err != nil {
				t.Fatal(err)
			}
			var sessions []int64
			for rows.Next() {
				var id int64
				if err := rows.Scan(&id); err != nil {
					t.Fatal(err)
				}
				sessions = append(sessions, id)
			}
			rows.Close()
			if len(sessions) == 0 {
				t.Fatal("no session to end")
			}
			for _, id := range sessions {
				if _, err := pool.Exec(fmt.Sprintf(server.kill, id)); err != nil && kind != "mysql" {
					t.Fatal(err)
				}
			}
			insert(t, db, sent(message("after"), "acme", fmt.Sprint("after", i)))
			if found := find(t, db, sms.Connection("acme"), fmt.Sprint("after", i)); len(found) != 1 {
				t.Errorf("%v", found)
			}
		}
	})
}

func TestDatabaseThatFailsIsUsedAgain(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		pool := raw(t, url)
		// A table that is gone stands for all that makes every write fail.
		if _, err := pool.Exec("ALTER TABLE message RENAME TO message_gone"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			err := wait(func(done func(error)) { db.Insert(&Record{Message: message("x"), State: RecordDone}, done) })
			if err == nil || !strings.HasPrefix(err.Error(), "db: ") || blameFor(err) != blameDatabase {
				t.Errorf("%v, blame %d", err, blameFor(err))
			}
		}
		if s := db.Stats(); !s.Failing || s.Failed != 2 {
			t.Errorf("%+v, want it failing", s)
		}
		if _, err := pool.Exec("ALTER TABLE message_gone RENAME TO message"); err != nil {
			t.Fatal(err)
		}
		insert(t, db, &Record{Message: message("x"), State: RecordDone})
		if s := db.Stats(); s.Failing || s.Written != 1 {
			t.Errorf("%+v, want it back", s)
		}
	})
}

func TestReadOnlyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	open(t, "sqlite:"+path).Close()
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	if f, err := os.OpenFile(path, os.O_RDWR, 0); err == nil {
		f.Close()
		t.Skip("this user may write to a file whose mode forbids it")
	}
	if _, err := Check(t.Context(), "sqlite:"+path); err == nil || !strings.HasPrefix(err.Error(), "db: cannot") {
		t.Errorf("%v", err)
	}
}
