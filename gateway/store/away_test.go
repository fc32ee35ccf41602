package store

import (
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
			go func() { _, _ = io.Copy(server, conn); server.Close() }()
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
