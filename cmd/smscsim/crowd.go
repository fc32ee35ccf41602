package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"time"

	"sipsmpp/gateway/route"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"

	"github.com/gorilla/websocket"
	"github.com/spf13/pflag"
)

// crowd is what a gateway has to bear beside the load: much of something that costs little each.
type crowd struct {
	connections int // bound to the SMSC, beside the one that the load goes by
	rules       int
	deferred    int // messages that wait in the database for a connection that is not there
	subscribers int // of all events of messages
	senders     int // source addresses and numbers that the load comes from
}

func (c *crowd) flags(fl *pflag.FlagSet) {
	fl.IntVar(&c.connections, "connections", 0, "connections of the started gateway that are bound beside the load's")
	fl.IntVar(&c.rules, "rules", 0, "rules of the started gateway")
	fl.IntVar(&c.deferred, "deferred", 0, "messages that wait in the started gateway's database")
	fl.IntVar(&c.subscribers, "subscribers", 0, "WebSockets that get the started gateway's events of messages")
	fl.IntVar(&c.senders, "senders", 0, "mt: addresses of 127.0.0.0/8 and numbers that requests come from, in turn")
}

func (c *crowd) check() error {
	for name, n := range map[string]int{
		"connections": c.connections, "rules": c.rules, "deferred": c.deferred, "subscribers": c.subscribers, "senders": c.senders,
	} {
		if n < 0 || n > 10_000_000 {
			return fmt.Errorf("--%s %d: want 0 to 10000000", name, n)
		}
	}
	return nil
}

// ofGateway says that something of it is in the gateway that is started.
func (c *crowd) ofGateway() bool { return c.connections+c.rules+c.deferred+c.subscribers > 0 }

// fill writes what a gateway finds in its database. path is SQLite's file, which db has open.
func (c *crowd) fill(ctx context.Context, db *store.DB, path string, smsc func(name string) sms.ConnectionConfig) error {
	for i := range c.connections {
		if err := db.PutConnection(ctx, smsc(fmt.Sprintf("crowd%05d", i))); err != nil {
			return err
		}
	}
	return errors.Join(c.fillRules(ctx, path), c.fillDeferred(ctx, db))
}

// fillRules writes rules whose prefixes are none of the load's recipients', in one transaction.
func (c *crowd) fillRules(ctx context.Context, path string) (err error) {
	if c.rules == 0 {
		return nil
	}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?_pragma=busy_timeout(5000)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after the commit
	for i := range c.rules {
		if _, err := tx.ExecContext(ctx, "INSERT INTO route (name, to_match, targets) VALUES (?, ?, 'smpp:smsc')",
			fmt.Sprintf("crowd %d", i), fmt.Sprintf("+7%07d*", i)); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// nobody is the connection that deferred messages wait for.
const nobody = "nobody"

// fillDeferred writes messages that wait, each for a recipient of its own, an hour for their next attempt.
func (c *crowd) fillDeferred(ctx context.Context, db *store.DB) error {
	if c.deferred == 0 {
		return nil
	}
	away := store.NewConnection(nobody, "127.0.0.1", 1)
	away.Enabled = false
	if err := db.PutConnection(ctx, away); err != nil {
		return err
	}
	if _, err := db.PutRoute(ctx, route.Rule{Name: nobody, Enabled: true, To: "+7*", Targets: "smpp:" + nobody}); err != nil {
		return err
	}
	ids, now := sms.NewIDs(), time.Now()
	var failed error
	var mu sync.Mutex
	room := make(chan struct{}, 4096)
	for i := range c.deferred {
		room <- struct{}{}
		m := &sms.Message{
			ID: ids.Next(), Ingress: sms.SIP, Peer: "udp:127.0.0.1:5060", From: sms.ParseAddress("+4915112345678"),
			To: sms.ParseAddress(fmt.Sprintf("+7%010d", i)), Text: "a message that waits for a connection which is not there",
			Received: now, Segments: 1,
		}
		target := sms.Connection(nobody).String()
		db.Insert(&store.Record{
			Message: m, State: store.RecordDeferred, Attempts: 1, NextAttempt: now.Add(time.Hour),
			Deferral: &store.Deferral{
				ID: m.ID, Target: target, Queue: int64(i + 1), Next: now.Add(time.Hour), GiveUp: now.Add(48 * time.Hour),
				Octets: len(m.Text), Attempts: 1, Reason: "not bound", Changed: now,
			},
		}, func(err error) {
			mu.Lock()
			failed = errors.Join(failed, err)
			mu.Unlock()
			<-room
		})
	}
	for range cap(room) {
		room <- struct{}{}
	}
	return failed
}

// audience are the subscribers of a run.
type audience struct {
	conns   []*websocket.Conn
	reading sync.WaitGroup
}

// subscribe opens them.
func (c *crowd) subscribe(ctx context.Context, mi string) (*audience, error) {
	a := &audience{}
	u := url.URL{Scheme: "ws", Host: mi, Path: "/events", RawQuery: "filter=E_MESSAGE_*"}
	dialer := websocket.Dialer{ReadBufferSize: 1 << 10, WriteBufferSize: 256}
	for range c.subscribers {
		conn, _, err := dialer.DialContext(ctx, u.String(), nil)
		if err != nil {
			a.stop()
			return nil, fmt.Errorf("subscriber %d: %w", len(a.conns)+1, err)
		}
		a.conns = append(a.conns, conn)
		a.reading.Go(func() {
			for {
				if _, r, err := conn.NextReader(); err != nil {
					return
				} else if _, err := io.Copy(io.Discard, r); err != nil {
					return
				}
			}
		})
	}
	return a, nil
}

func (a *audience) stop() {
	for _, conn := range a.conns {
		conn.Close()
	}
	a.reading.Wait()
}

// senderOf is one of those that requests come from: an address of 127.0.0.0/8 and a number.
func senderOf(i int) (ip net.IP, number string) {
	return net.IPv4(127, byte(1+i>>16), byte(i>>8), byte(i)), fmt.Sprintf("%010d", i)
}
