package clients_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sipsmpp/clients"
	"sipsmpp/gateway"
	"sipsmpp/mi"
	"sipsmpp/mi/server"
)

// realGateway is a whole gateway with a database, on an address of its own or the one that is given, and on a Unix socket beside the
// database.
func realGateway(db, address string) (at string, stop func() error, err error) {
	ctx := context.Background()
	config := gateway.Config{Node: "gw", DB: "sqlite:" + db}
	config.SIP.Listen, config.SMPP.Listen = []string{"udp:127.0.0.1:0"}, []string{"127.0.0.1:0"}
	silent := slog.New(slog.DiscardHandler)
	g, err := gateway.New(ctx, config, silent)
	if err != nil {
		return "", nil, err
	}
	s := server.New(g, server.Options{Log: silent})
	l, err := s.Listen(address)
	if err != nil {
		return "", nil, errors.Join(err, g.Close(ctx))
	}
	socket, err := s.ListenSocket(db + ".sock")
	if err != nil {
		return "", nil, errors.Join(err, l.Close(), g.Close(ctx))
	}
	served := make(chan error, 2)
	go func() { served <- s.Serve(l) }()
	go func() { served <- s.ServeSocket(socket) }()
	stop = func() error { return errors.Join(g.Close(ctx), s.Close(ctx), <-served, <-served) }
	if err := g.Start(ctx); err != nil {
		return "", nil, errors.Join(err, stop())
	}
	return l.Addr().String(), stop, nil
}

// raiseUntil raises an event again and again, until ctx ends: somebody subscribes.
func raiseUntil(ctx context.Context, c *clients.Client, event string) {
	for ctx.Err() == nil && c.RaiseEvent(ctx, mi.RaiseEventParams{Event: event}) == nil {
		time.Sleep(time.Millisecond)
	}
}

// A subscriber and its gateway both go away and come back: no event is missed, and none is done twice.
func TestDurableOverRestarts(t *testing.T) {
	for _, transport := range []string{"http", "unix"} {
		t.Run(transport, func(t *testing.T) { durableOverRestarts(t, transport) })
	}
}

func durableOverRestarts(t *testing.T, transport string) {
	db := filepath.Join(t.TempDir(), "gateway.db")
	address, stop, err := realGateway(db, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	url := map[string]string{"http": "http://" + address, "unix": "unix:" + db + ".sock"}[transport]
	c := dial(t, url)
	clients.SetRetry(c, time.Millisecond)
	raised := 0
	raise := func(count int) {
		t.Helper()
		for range count {
			raised++
			if err := c.RaiseEvent(t.Context(), mi.RaiseEventParams{Event: "E_N", Params: fmt.Appendf(nil, `{"n":%d}`, raised)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	var done uint64 // as the subscriber's own database would have it
	var got []int
	// take is one life of the subscriber: it takes so many events, and acknowledges every other one.
	take := func(count int, between func()) {
		t.Helper()
		d := c.Durable("billing", "E_N", clients.After(done))
		for event, err := range d.Events(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			var params struct{ N int }
			if err := json.Unmarshal(event.Params, &params); err != nil {
				t.Fatal(err)
			}
			if event.Event.Name() == "E_READY" {
				continue
			}
			got, done = append(got, params.N), event.Seq
			if count--; count%2 == 0 {
				d.Ack(event.Seq)
			}
			if count == 0 {
				return
			}
			between()
		}
	}
	ready, cancel := context.WithCancel(t.Context())
	raising := make(chan struct{})
	go func() {
		defer close(raising)
		raiseUntil(ready, c, "E_READY")
	}()
	for event, err := range c.Durable("billing", "E_N,E_READY").Events(t.Context()) { // makes the subscription
		if err != nil {
			t.Fatal(err)
		}
		done = event.Seq
		break
	}
	cancel()
	<-raising

	raise(6)
	take(3, func() {})
	restarted := false
	take(5, func() {
		if !restarted {
			restarted = true
			if err := stop(); err != nil { // under the eyes of the subscriber
				t.Fatal(err)
			}
			if _, stop, err = realGateway(db, address); err != nil {
				t.Fatal(err)
			}
			raise(4)
		}
	})
	raise(1)
	take(raised-len(got), func() {})
	want := make([]int, raised)
	for i := range want {
		want[i] = i + 1
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A second consumer takes a subscription over, and the first ends and says so, over every transport.
func TestDurableTakenOverByAnother(t *testing.T) {
	db := filepath.Join(t.TempDir(), "gateway.db")
	address, stop, err := realGateway(db, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	for _, url := range []string{"http://" + address, "unix:" + db + ".sock"} {
		c := dial(t, url)
		ready, cancel := context.WithCancel(t.Context())
		go raiseUntil(ready, dial(t, "http://"+address), "E_READY")
		first := c.Durable("one", "E_READY")
		for event, err := range first.Events(t.Context()) {
			if err != nil {
				if !errors.Is(err, mi.ErrConflict) {
					t.Errorf("%s: %v", url, err)
				}
				break
			}
			if first.Ack(event.Seq); ready.Err() == nil { // once
				for range c.Durable("one", "E_READY").Events(t.Context()) {
					cancel()
					break
				}
			}
		}
		cancel()
	}
}

// What may not be missed is followed by a durable subscription: what was published while nobody was there comes, too.
func ExampleClient_Durable() {
	directory, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(directory)
	address, stop, err := realGateway(filepath.Join(directory, "gateway.db"), "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer stop()
	ctx := context.Background()
	c, err := clients.Dial("http://" + address)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	raising, enough := context.WithCancel(ctx)
	defer enough()
	go raiseUntil(raising, c, "E_INVOICE") // somebody else

	lastCommitted := uint64(0) // of the program's own database
	d := c.Durable("billing", "E_INVOICE,E_MESSAGE_REPORT", clients.After(lastCommitted))
	for event, err := range d.Events(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(event.Event.Name())
		lastCommitted = event.Seq // in the transaction that did what the event asks for
		d.Ack(event.Seq)
		break
	}
	// Output: E_INVOICE
}
