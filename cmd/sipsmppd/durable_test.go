package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"sipsmpp/clients"
	"sipsmpp/events"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/store"
	"sipsmpp/mi"
)

// TestMain lets the test start its own program as the daemon, to kill it.
func TestMain(m *testing.M) {
	if config := os.Getenv("SIPSMPPD_TEST_DAEMON"); config != "" {
		os.Exit(run(context.Background(), []string{"-c", config}, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// killable is a daemon in a process of its own, between a simulated SMSC and those who call its MI.
type killable struct {
	t      *testing.T
	config string
	mi     string // host:port, the same for each of its lives
	client *clients.Client

	process *exec.Cmd
}

func newKillable(t *testing.T, smsc *gatewaytest.SMSC, more string) *killable {
	t.Helper()
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &killable{t: t, config: filepath.Join(dir, "sipsmpp.yaml"), mi: l.Addr().String()}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	url := "sqlite:" + filepath.Join(dir, "db")
	db, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(smsc.Addr())
	number, _ := strconv.Atoi(port)
	row := store.NewConnection("smsc", host, number)
	row.SystemID, row.Password, row.Window = "me", "secret", 100
	if err := errors.Join(db.PutConnection(t.Context(), row), db.Close()); err != nil {
		t.Fatal(err)
	}
	text := plain + "db: " + url + "\nmi: {listen: '" + k.mi + "'}\nlog: {level: error}\n" + more
	if err := os.WriteFile(k.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if k.client, err = clients.Dial("http://" + k.mi + "/mi"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = k.client.Close()
		k.kill()
	})
	k.start()
	return k
}

// start starts the daemon and waits until it answers.
func (k *killable) start() {
	k.t.Helper()
	k.process = exec.Command(os.Args[0])
	k.process.Env = append(os.Environ(), "SIPSMPPD_TEST_DAEMON="+k.config)
	k.process.Stdout, k.process.Stderr = k.t.Output(), k.t.Output()
	if err := k.process.Start(); err != nil {
		k.t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := k.client.Version(k.t.Context()); err == nil {
			return
		} else if time.Now().After(deadline) {
			k.t.Fatalf("the daemon does not answer: %v", err)
		}
	}
}

// kill ends it as kill -9 does.
func (k *killable) kill() {
	_ = k.process.Process.Kill()
	_ = k.process.Wait()
}

// ledger is what a durable subscriber made of its events, each once.
type ledger struct {
	mu      sync.Mutex
	seen    map[uint64]string          // event by seq
	last    uint64                     // what was dealt with
	of      map[string]map[string]bool // names by message
	doubles int
	lives   int
	faults  []string
}

func (l *ledger) has(id, name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of[id][name]
}

// take takes an event: a double is known by its number, and is the same event.
func (l *ledger) take(n events.Notification) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var id string
	switch e := n.Event.(type) {
	case events.MessageReceived:
		id = e.ID
	case events.MessageSent:
		id = e.ID
	case events.MessageFailed:
		id = e.ID
	case events.MessageDeferred:
		id = e.ID
	case events.MessageReport:
		id = e.ID
	case events.EventsLost:
		l.faults = append(l.faults, fmt.Sprintf("lost: %+v", e))
		return
	}
	what := n.Event.Name() + " " + id
	if n.Seq <= l.last {
		l.doubles++
		if was := l.seen[n.Seq]; was != what {
			l.faults = append(l.faults, fmt.Sprintf("%d was %s and is %s", n.Seq, was, what))
		}
		return
	}
	l.seen[n.Seq], l.last = what, n.Seq
	if l.of[id] == nil {
		l.of[id] = make(map[string]bool)
	}
	l.of[id][n.Event.Name()] = true
}

// follow is a durable subscriber that dies again and again, mostly before it acknowledges, until ctx ends.
func (l *ledger) follow(ctx context.Context, address string) {
	for ctx.Err() == nil {
		ws, _, err := websocket.DefaultDialer.DialContext(ctx, "ws://"+address+"/events?durable=ledger&filter=E_MESSAGE_*", nil)
		if err != nil {
			time.Sleep(10 * time.Millisecond) // the daemon is away
			continue
		}
		l.mu.Lock()
		l.lives++
		l.mu.Unlock()
		stop := context.AfterFunc(ctx, func() { _ = ws.Close() })
		for left := 1 + rand.N(300); left > 0; left-- {
			_, data, err := ws.ReadMessage()
			if err != nil {
				break
			}
			n, err := events.Parse(data)
			if err != nil {
				l.mu.Lock()
				l.faults = append(l.faults, err.Error())
				l.mu.Unlock()
				break
			}
			l.take(n)
			if rand.N(10) == 0 {
				if err := ws.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"ack","params":{"seq":%d}}`, n.Seq)); err != nil {
					break
				}
			}
		}
		stop()
		_ = ws.Close()
	}
}

// A durable subscriber that is killed again and again under load, and a daemon that is killed -9 between any two steps: every message
// that was answered has its events, every report that is stored has its own, in order, and doubles have the number of the first.
// SIPSMPP_TEST_KILLS says how often the daemon is killed.
func TestDurableOverKills(t *testing.T) {
	kills := 3
	if s := os.Getenv("SIPSMPP_TEST_KILLS"); s != "" {
		var err error
		if kills, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	for _, records := range []string{"all", "pending"} {
		t.Run(records, func(t *testing.T) { testDurableOverKills(t, records, kills) })
	}
}

func testDurableOverKills(t *testing.T, records string, kills int) {
	smsc, err := gatewaytest.NewSMSC(gatewaytest.SMSCConfig{ReceiptDelay: 20 * time.Millisecond, Keep: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(smsc.Close)
	k := newKillable(t, smsc, "records: "+records+"\n")
	l := &ledger{seen: make(map[uint64]string), of: make(map[string]map[string]bool)}
	follow, stopFollowing := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() { l.follow(follow, k.mi) })
	defer following.Wait()
	defer stopFollowing()
	await := func(what string, is func() bool) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
			l.mu.Lock()
			faults, last := l.faults, l.last
			l.mu.Unlock()
			if len(faults) > 0 || time.Now().After(deadline) {
				t.Fatalf("never: %s; the subscriber is at %d; faults %v", what, last, faults)
			}
		}
	}
	await("the first event", func() bool { // the subscription is there
		_, err := k.client.MessageSend(t.Context(), mi.MessageSendParams{From: "100", To: "+4915112345678", Text: "hi"})
		if err != nil {
			return false
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.last > 0
	})

	var mu sync.Mutex
	answered := make(map[string]bool) // id: with a wish for a report
	send, stopSending := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	for range 8 {
		sending.Go(func() {
			for i := 0; send.Err() == nil; i++ {
				params := mi.MessageSendParams{From: "100", To: fmt.Sprintf("+49151%08d", rand.N(100_000_000)), Text: "hi"}
				if i%2 == 0 {
					params.Receipt = "true"
				}
				result, err := k.client.MessageSend(send, params)
				if err != nil {
					time.Sleep(5 * time.Millisecond) // the daemon is away, or not bound yet
					continue
				}
				mu.Lock()
				answered[result.ID] = i%2 == 0
				mu.Unlock()
			}
		})
	}
	for range kills {
		time.Sleep(200*time.Millisecond + rand.N(400*time.Millisecond))
		k.kill()
		k.start()
	}
	time.Sleep(300 * time.Millisecond)
	stopSending()
	sending.Wait()

	ids := slices.Collect(maps.Keys(answered))
	await("every answered message has its events", func() bool {
		return !slices.ContainsFunc(ids, func(id string) bool {
			return !l.has(id, "E_MESSAGE_RECEIVED") || !l.has(id, "E_MESSAGE_SENT") && !l.has(id, "E_MESSAGE_DEFERRED")
		})
	})
	reported := 0
	for id, wanted := range answered {
		if !wanted {
			continue
		}
		m, err := k.client.MessageShow(t.Context(), mi.MessageShowParams{ID: id})
		if err != nil {
			t.Errorf("%s was answered and is not recorded: %v", id, err)
			continue
		}
		if m.State == "reported" {
			reported++
			await("the report of "+id+" is told", func() bool { return l.has(id, "E_MESSAGE_REPORT") })
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if reported == 0 || l.doubles == 0 || l.lives < 3 {
		t.Errorf("%d reports, %d doubles, %d lives of the subscriber: this showed nothing", reported, l.doubles, l.lives)
	}
	t.Logf("%d kills, %d messages answered, %d reports, %d events, %d doubles, %d lives of the subscriber", kills, len(answered), reported, len(l.seen), l.doubles, l.lives)
}
