package store

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"sipsmpp/gateway/sms"
)

// door stands before a database server, and can be shut.
type door struct {
	t      *testing.T
	server string
	addr   string

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
	// cut is what becomes of the next COMMIT: cutBefore the server hears it, or cutAfter it was heard and before the answer.
	cut cut
}

type cut int

const (
	cutBefore cut = iota + 1
	cutAfter
)

// forward takes what the gateway says to the server.
func (d *door) forward(server, conn net.Conn) {
	defer server.Close()
	defer conn.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := conn.Read(b)
		if err != nil {
			return
		}
		d.mu.Lock()
		cut := d.cut
		if !bytes.Contains(bytes.ToUpper(b[:n]), []byte("COMMIT")) {
			cut = 0
		}
		if cut != 0 {
			d.cut = 0
		}
		d.mu.Unlock()
		if cut == cutBefore {
			return
		}
		if _, err := server.Write(b[:n]); err != nil {
			return
		}
		if cut == cutAfter {
			conn.Close()
			_ = server.SetReadDeadline(time.Now().Add(time.Second))
			_, _ = server.Read(b) // its answer, if the other direction has not taken it, says that it is done
			return
		}
	}
}

// newDoor gives a door and the URL of a database behind it.
func newDoor(t *testing.T, address string) (*door, string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		t.Skip("SQLite has no server")
	}
	d := &door{t: t, server: u.Host, addr: "127.0.0.1:0"}
	d.open()
	t.Cleanup(d.shut)
	u.Host = d.addr
	if q := u.Query(); u.Scheme == "postgres" {
		q.Set("sslmode", "disable") // so that forward can read along
		u.RawQuery = q.Encode()
	}
	return d, u.String()
}

func (d *door) open() {
	l, err := net.Listen("tcp", d.addr)
	if err != nil {
		d.t.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.listener, d.addr = l, l.Addr().String()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", d.server)
			if err != nil {
				conn.Close()
				continue
			}
			d.mu.Lock()
			d.conns = append(d.conns, conn, server)
			d.mu.Unlock()
			go d.forward(server, conn)
			go func() { _, _ = io.Copy(conn, server); conn.Close() }()
		}
	}()
}

// shut ends what goes through, and refuses what comes.
func (d *door) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.listener.Close()
	for _, c := range d.conns {
		c.Close()
	}
	d.conns = nil
}

// A server that is away for a moment is waited for; one that stays away fails what is queued, and then all that comes at once, until it
// is back.
func TestServerThatIsAway(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		d, through := newDoor(t, address)
		db := open(t, through)
		insert(t, db, sent(message("before"), "acme", "before"))

		d.shut()
		written := make(chan error, 1)
		db.Insert(sent(message("meanwhile"), "acme", "meanwhile"), func(err error) { written <- err })
		select {
		case err := <-written:
			t.Fatalf("%v, though the server may be back soon", err)
		case <-time.After(300 * time.Millisecond):
		}
		d.open()
		if err := <-written; err != nil {
			t.Error(err)
		}
		if found := find(t, db, sms.Connection("acme"), "meanwhile"); len(found) != 1 || db.Away() {
			t.Errorf("%v, away: %v", found, db.Away())
		}

		d.shut()
		begun := time.Now()
		late := func() error {
			return wait(func(done func(error)) { db.Insert(sent(message("late"), "acme", "late"), done) })
		}
		if err := late(); err == nil || time.Since(begun) < patience {
			t.Errorf("%v after %v, want a failure after %v", err, time.Since(begun), patience)
		}
		begun = time.Now()
		if err := late(); err == nil || time.Since(begun) > time.Second || !db.Away() || !db.Stats().Failing {
			t.Errorf("%v after %v, away: %v; want a failure at once", err, time.Since(begun), db.Away())
		}
		d.open()
		insert(t, db, sent(message("after"), "acme", "after"))
		if db.Away() || db.Stats().Failing {
			t.Error("it is not back")
		}
	})
}

// A COMMIT whose answer is lost has taken effect or not; either way what it was to write is there once, and its done says so.
func TestCommitWithoutAnswer(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		d, through := newDoor(t, address)
		db := open(t, through)
		for name, how := range map[string]cut{"before the server heard it": cutBefore, "before its answer": cutAfter} {
			insert(t, db, sent(message("warm"), "acme", "warm "+name))
			d.mu.Lock()
			d.cut = how
			d.mu.Unlock()
			m := message(name)
			insert(t, db, sent(m, "acme", name))
			if found := find(t, db, sms.Connection("acme"), name); len(found) != 1 || found[0].ID != m.ID {
				t.Errorf("cut %s: %v", name, found)
			}
			d.mu.Lock()
			if d.cut != 0 {
				t.Errorf("cut %s: there was no COMMIT", name)
			}
			d.mu.Unlock()
		}
		if s := db.Stats(); s.Failed != 0 || s.Failing {
			t.Errorf("%+v", s)
		}
	})
}

// So has one that inserts no message: what it wrote is there once, and what it says of that is right.
func TestCommitWithoutAnswerOfOtherWrites(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		d, through := newDoor(t, address)
		db := open(t, through)
		subscription, err := db.PutEventSubscription(t.Context(), EventSubscription{Name: "crm", Filter: "{}"})
		if err != nil {
			t.Fatal(err)
		}
		for name, how := range map[string]cut{"before the server heard it": cutBefore, "before its answer": cutAfter} {
			m, waits := message(name), deferred(name, 1, WaitingTime, received())
			insert(t, db, sent(m, "acme", name))
			insert(t, db, waits)
			for seq := range uint64(3) {
				wrote(t, func(done func(error)) { db.QueueEvent(queued(seq+1, subscription), done) })
			}
			lose := func() {
				d.mu.Lock()
				defer d.mu.Unlock()
				if d.cut != 0 {
					t.Errorf("cut %s: there was no COMMIT", name)
				}
				d.cut = how
			}

			lose()
			now := report(t, db, SegmentReport{ID: m.ID, Part: 1, State: sms.StateDelivered, DoneTime: received()})
			if !now.Changed || !now.Complete {
				t.Errorf("cut %s: %+v, want what the report told", name, now)
			}

			lose()
			ended := *sent(waits.Message, "acme", "ended "+name)
			if err := wait(func(done func(error)) { db.End(End{Record: &ended, Queue: 1}, done) }); err != nil {
				t.Errorf("cut %s: %v", name, err)
			}
			if found := find(t, db, sms.Connection("acme"), "ended "+name); len(found) != 1 {
				t.Errorf("cut %s: %v", name, found)
			}

			lose()
			dropped := 0
			if err := wait(func(done func(error)) {
				db.AckEvents(subscription, 3, func(n int, err error) { dropped = n; done(err) })
			}); err != nil || dropped != 3 {
				t.Errorf("cut %s: %d events dropped, %v; want 3", name, dropped, err)
			}
		}
		if s := db.Stats(); s.Failed != 0 || s.Failing {
			t.Errorf("%+v", s)
		}
	})
}
