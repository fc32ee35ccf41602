package events

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func deferred(attempt int) Event { return MessageDeferred{ID: "m", Reason: "r", Attempt: attempt} }

func mustFilter(t testing.TB, s string) Filter {
	t.Helper()
	f, err := ParseFilter(s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// take reads what a subscription has, by the numbers of the events; a loss as its two ends, negative.
func take(t *testing.T, s *Subscription) []int {
	t.Helper()
	batch, err := s.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var seqs []int
	for _, e := range batch {
		n, err := Parse(e.JSON)
		if err != nil {
			t.Fatal(err)
		}
		if n.Seq != e.Seq || n.Event.Name() != e.Event.Name() || n.Node != "gw" {
			t.Fatalf("entry %d %s reads as %+v", e.Seq, e.Event.Name(), n)
		}
		if lost, ok := n.Event.(EventsLost); ok {
			if lost.Count != lost.ToSeq+1-lost.FromSeq {
				t.Errorf("lost %+v", lost)
			}
			seqs = append(seqs, -int(lost.FromSeq), -int(lost.ToSeq))
			continue
		}
		seqs = append(seqs, int(n.Seq))
	}
	return seqs
}

func TestStart(t *testing.T) {
	for _, tt := range []struct {
		name          string
		before, after int // published before and after it subscribes
		start         Start
		want          string
	}{
		{"now", 3, 1, Now, "[4]"},
		{"all kept", 3, 1, After(0), "[1 2 3 4]"},
		{"all kept of a full ring", 9, 0, After(0), "[5 6 7 8 9]"},
		{"after one that is kept", 3, 1, After(2), "[3 4]"},
		{"after the last", 3, 1, After(3), "[4]"},
		{"after the last that is lost", 9, 0, After(4), "[5 6 7 8 9]"},
		{"after one that is long gone", 9, 0, After(1), "[-2 -4 5 6 7 8 9]"},
		{"after one of an earlier process", 3, 0, After(900), "[-1 0 1 2 3]"},
		{"after one of an earlier process, full", 9, 0, After(900), "[-1 -4 5 6 7 8 9]"},
		{"nothing published, earlier process", 0, 0, After(900), "[-1 0]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := NewHub("gw", 5)
				for i := range tt.before {
					hub.Publish(deferred(i))
				}
				s := hub.Subscribe(Filter{}, tt.start)
				for i := range tt.after {
					hub.Publish(deferred(i))
				}
				if got := fmt.Sprint(take(t, s)); got != tt.want {
					t.Errorf("got %v, want %s", got, tt.want)
				}
			})
		})
	}
}

func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := NewHub("gw", 4)
		s := hub.Subscribe(mustFilter(t, "E_MESSAGE_*"), Now)
		for i := range 10 {
			hub.Publish(deferred(i))
		}
		if got := fmt.Sprint(take(t, s)); got != "[-1 -6 7 8 9 10]" {
			t.Errorf("got %v", got)
		}
		hub.Publish(deferred(0))
		if got := fmt.Sprint(take(t, s)); got != "[11]" {
			t.Errorf("after the loss: got %v", got)
		}
	})
}

func TestBatchIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := NewHub("gw", 2000)
		s := hub.Subscribe(Filter{}, Now)
		for i := range 1000 {
			hub.Publish(deferred(i))
		}
		next := 1
		for next <= 1000 {
			batch, err := s.Next(t.Context())
			if err != nil || len(batch) > maxBatch {
				t.Fatalf("%d entries, %v", len(batch), err)
			}
			for _, e := range batch {
				if e.Seq != uint64(next) {
					t.Fatalf("got %d, want %d", e.Seq, next)
				}
				next++
			}
		}
	})
}

func TestFilteredSubscriptionWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := NewHub("gw", 100)
		s := hub.Subscribe(mustFilter(t, "E_SMPP_*"), Now)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go func() {
			for i := range 200 { // what it does not take runs through the ring without a loss
				hub.Publish(deferred(i))
				time.Sleep(10 * time.Millisecond)
			}
		}()
		if batch, err := s.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %d entries, %v", len(batch), err)
		}
		hub.Publish(Reloaded{})
		if got := fmt.Sprint(take(t, s)); got != "[201]" {
			t.Errorf("got %v", got)
		}
	})
}

// What was published before the context ended still comes, and nothing after it.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := NewHub("gw", 1000)
		s := hub.Subscribe(mustFilter(t, "E_MESSAGE_*"), Now)
		ctx, cancel := context.WithCancel(t.Context())
		for i := range 300 {
			hub.Publish(deferred(i))
		}
		cancel()
		got := 0
		for {
			batch, err := s.Next(ctx)
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				break
			}
			got += len(batch)
			hub.Publish(Reloaded{})
			hub.Publish(deferred(0)) // one that never ends
		}
		if got < 300 || got > 310 {
			t.Errorf("got %d events", got)
		}
	})
}

// A thousand subscribers are woken together, and the first event after a silence at once.
func TestThousandSubscribers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := NewHub("gw", 1000)
		var wait sync.WaitGroup
		var mu sync.Mutex
		batches := 0
		for range 1000 {
			wait.Go(func() {
				s := hub.Subscribe(Filter{}, Now)
				for seen := 0; seen < 101; {
					batch, err := s.Next(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					for _, e := range batch {
						seen++
						if e.Seq != uint64(seen) {
							t.Errorf("got %d, want %d", e.Seq, seen)
						}
					}
					mu.Lock()
					batches++
					mu.Unlock()
				}
			})
		}
		synctest.Wait()
		began := time.Now()
		hub.Publish(deferred(0))
		time.Sleep(time.Nanosecond) // lets the timer that is due run; wakeGap has not passed
		synctest.Wait()
		if batches != 1000 || time.Since(began) != 1 {
			t.Errorf("%d subscribers were woken at once after %v", batches, time.Since(began))
		}
		for i := range 100 {
			hub.Publish(deferred(i))
			synctest.Wait()
		}
		wait.Wait()
		if batches != 2000 {
			t.Errorf("%d wake-ups of 1000 subscribers for 101 events, want 2 each", batches)
		}
		if d := time.Since(began); d > wakeGap {
			t.Errorf("the last wake-up came after %v, want %v at most", d, wakeGap)
		}
	})
}

func TestEncodedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := NewHub("gw", 10)
		a, b := hub.Subscribe(Filter{}, Now), hub.Subscribe(Filter{}, Now)
		hub.Publish(deferred(1))
		first, _ := a.Next(t.Context())
		second, _ := b.Next(t.Context())
		if &first[0].JSON[0] != &second[0].JSON[0] {
			t.Error("two subscribers got JSON of their own")
		}
	})
}

// marshalFails is an event that cannot be encoded.
type marshalFails struct{}

func (marshalFails) Name() string                 { return "E_BROKEN" }
func (marshalFails) MarshalJSON() ([]byte, error) { return nil, errors.New("no") }

func TestEncodingFailureTakesNothingAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := NewHub("gw", 10)
		s := hub.Subscribe(Filter{}, Now)
		hub.Publish(marshalFails{})
		hub.Publish(deferred(1))
		if got := fmt.Sprint(take(t, s)); got != "[1 2]" {
			t.Errorf("got %v", got)
		}
	})
}

func TestWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the clock of a bubble begins at midnight UTC 2000-01-01
		hub := NewHub(`gw "1"`, 20)
		s := hub.Subscribe(Filter{}, Now)
		when := Time(time.Date(2026, 3, 1, 13, 0, 0, 5e6, time.FixedZone("CET", 3600)))
		raised, err := NewRaised("E_MINE", json.RawMessage(`{"a": [1]}`))
		if err != nil {
			t.Fatal(err)
		}
		none, err := NewRaised("E_NONE", nil)
		if err != nil {
			t.Fatal(err)
		}
		published := []Event{
			BindUp{Connection: "acme", Bind: "acme#1", Mode: "transceiver", Peer: "10.0.0.1:2775"},
			Reloaded{Added: []string{"acme"}},
			MessageReceived{ID: "m", Ingress: "sip", From: "+1", To: "2", Text: "<ü> & \xff"},
			MessageReport{ID: "m", State: "delivered", DoneTime: when},
			&MessageReceived{ID: "m", Ingress: "mi", Data: []byte{0, 0xff}, Coding: "binary"},
			raised, none,
		}
		want := []string{
			`{"jsonrpc":"2.0","method":"E_SMPP_BIND_UP","params":{"seq":1,"time":"2000-01-01T00:00:00.000Z","node":"gw \"1\"","connection":"acme","bind":"acme#1","mode":"transceiver","peer":"10.0.0.1:2775"}}`,
			`{"jsonrpc":"2.0","method":"E_SMPP_RELOADED","params":{"seq":2,"time":"2000-01-01T00:00:00.000Z","node":"gw \"1\"","added":["acme"],"changed":[],"removed":[]}}`,
			`{"jsonrpc":"2.0","method":"E_MESSAGE_RECEIVED","params":{"seq":3,"time":"2000-01-01T00:00:00.000Z","node":"gw \"1\"","id":"m","ingress":"sip","from":"+1","to":"2","text":"<ü> & \ufffd"}}`,
			`{"jsonrpc":"2.0","method":"E_MESSAGE_REPORT","params":{"seq":4,"time":"2000-01-01T00:00:00.000Z","node":"gw \"1\"","id":"m","from":"","to":"","state":"delivered","done_time":"2026-03-01T12:00:00.005Z","smsc_ids":[]}}`,
			`{"jsonrpc":"2.0","method":"E_MESSAGE_RECEIVED","params":{"seq":5,"time":"2000-01-01T00:00:00.000Z","node":"gw \"1\"","id":"m","ingress":"mi","from":"","to":"","data":"00ff","coding":"binary"}}`,
			`{"jsonrpc":"2.0","method":"E_MINE","params":{"seq":6,"time":"2000-01-01T00:00:00.000Z","node":"gw \"1\"","a":[1]}}`,
			`{"jsonrpc":"2.0","method":"E_NONE","params":{"seq":7,"time":"2000-01-01T00:00:00.000Z","node":"gw \"1\""}}`,
		}
		for _, e := range published {
			hub.Publish(e)
		}
		batch, err := s.Next(t.Context())
		if err != nil || len(batch) != len(want) {
			t.Fatalf("%d entries, %v", len(batch), err)
		}
		for i, e := range batch {
			if string(e.JSON) != want[i] {
				t.Errorf("got  %s\nwant %s", e.JSON, want[i])
			}
			n, err := Parse(e.JSON)
			if err != nil {
				t.Error(err)
			}
			if n.Seq != uint64(i+1) || n.Node != `gw "1"` || !n.Time.Equal(e.Time.Truncate(time.Millisecond)) {
				t.Errorf("%s reads as %+v", e.JSON, n)
			}
		}
	})
}

func BenchmarkPublish(b *testing.B) {
	for _, subscribers := range []int{0, 1, 10, 1000} {
		b.Run(fmt.Sprintf("subscribers=%d", subscribers), func(b *testing.B) {
			b.ReportAllocs()
			hub := NewHub("gw", Kept)
			ctx, cancel := context.WithCancel(b.Context())
			var wait sync.WaitGroup
			var event Event = MessageSent{ID: "01jq", Egress: "smpp:acme", SMSCIDs: List{"12345"}, Segments: 1, Attempt: 1}
			for range subscribers {
				s := hub.Subscribe(Filter{}, Now)
				wait.Go(func() {
					for {
						if _, err := s.Next(ctx); err != nil {
							return
						}
					}
				})
			}
			for b.Loop() {
				hub.Publish(event)
			}
			cancel()
			wait.Wait()
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	b.ReportAllocs()
	hub := NewHub("gw", 10)
	s := hub.Subscribe(Filter{}, Now)
	var event Event = MessageSent{ID: "01jq", Egress: "smpp:acme", SMSCIDs: List{"12345"}, Segments: 1, Attempt: 1}
	for b.Loop() {
		hub.Publish(event)
		if batch, err := s.Next(b.Context()); err != nil || !bytes.HasPrefix(batch[0].JSON, []byte(`{"jsonrpc"`)) {
			b.Fatal(err)
		}
	}
}

// Ten thousand of the longest messages do not fill the memory: the oldest go, and who asks for them is told.
func TestKeptOctetsAreBounded(t *testing.T) {
	hub := NewHub("gw", 1000)
	text := strings.Repeat("x", 1<<20)
	for range 200 {
		hub.Publish(MessageReceived{ID: "1", Text: text})
	}
	first, err := hub.Subscribe(Filter{}, After(1)).Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lost, ok := first[0].Event.(EventsLost)
	if !ok || lost.FromSeq != 2 || lost.ToSeq < 130 || lost.ToSeq >= 200 {
		t.Errorf("%+v", first[0].Event)
	}
	if held := hub.octets; held > maxOctets || held < maxOctets/2 {
		t.Errorf("the hub holds %d octets of %d", held, maxOctets)
	}
}

func TestObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub("gw", 4)
		var lags []time.Duration
		h.Observe(func(d time.Duration) { lags = append(lags, d) })
		h.Publish(deferred(1))
		time.Sleep(time.Hour)
		s := h.Subscribe(mustFilter(t, ""), After(0))
		take(t, s) // it is older than the subscription
		h.Publish(deferred(2))
		time.Sleep(30 * time.Millisecond)
		h.Publish(deferred(3))
		time.Sleep(20 * time.Millisecond)
		take(t, s)
		if fmt.Sprint(lags) != "[50ms]" || h.Lost() != 0 {
			t.Errorf("lags %v, want the oldest of what came in one batch; %d lost", lags, h.Lost())
		}
		for i := range 10 {
			h.Publish(deferred(i))
		}
		take(t, s)
		if h.Lost() != 6 {
			t.Errorf("%d lost, want 6 of 10 with room for 4", h.Lost())
		}
	})
}
