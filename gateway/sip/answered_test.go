package sip

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestAnsweredForgets: a retransmission is known for 32 s at least (Timer J), and not for good.
func TestAnsweredForgets(t *testing.T) {
	for offset := time.Duration(0); offset < generationTime; offset += time.Second {
		table := newAnswered()
		start := table.shards[1].turn.Add(offset)
		k := requestKey{1, 2}
		if what, _ := table.begin(k, 7, start); what != isNew {
			t.Fatal("it is known before it came")
		}
		table.finish(k, answer{transaction: 7, code: 202})
		for _, after := range []time.Duration{0, 16 * time.Second, 31999 * time.Millisecond} {
			if what, a := table.look(k, 7, start.Add(after)); what != isAnswered || a.code != 202 {
				t.Errorf("begun %v into a generation: after %v it is %v", offset, after, what)
			}
		}
		if what, _ := table.look(k, 7, start.Add(48*time.Second)); what != isNew {
			t.Errorf("begun %v into a generation: it is kept for 48 s", offset)
		}
	}
	table := newAnswered()
	k := requestKey{1, 2}
	table.begin(k, 7, time.Now())
	if what, _ := table.look(k, 7, time.Now().Add(time.Hour)); what != isNew {
		t.Error("it is known an hour later")
	}
}

// TestAnsweredIsBounded: a flood makes it forget sooner, not grow.
func TestAnsweredIsBounded(t *testing.T) {
	key := func(i uint64) requestKey { // all of one shard, and spread as a hash is
		return requestKey{answeredShards * ((i + 1) * 0x9E3779B97F4A7C15 >> 8), i}
	}
	table := newAnswered()
	now := time.Now()
	for i := range uint64(5 * generationLimit) {
		table.begin(key(i), 1, now)
	}
	n := 0
	for _, g := range table.shards[0].gens {
		n += g.n
		if len(g.entries) > 1<<16 {
			t.Errorf("a table has room for %d", len(g.entries))
		}
	}
	if n > generations*generationLimit || n < (generations-1)*generationLimit {
		t.Errorf("it holds %d", n)
	}
	last := uint64(5*generationLimit - 1)
	if what, _ := table.look(key(last), 1, now); what != isWorkedOn {
		t.Error("the last one is forgotten")
	}
}

// hashOf spreads what counts up as a hash does, and is never 0.
func hashOf(i uint64) uint64 { return (i + 1) * 0x9E3779B97F4A7C15 }

// TestTable against a map.
func TestTable(t *testing.T) {
	var tab table
	random := rand.New(rand.NewPCG(1, 2))
	for range 3 {
		want := map[uint64]entry{}
		for range 20_000 {
			said := answer{code: uint16(random.UintN(700)), retryAfter: uint16(random.UintN(100))}
			e := newEntry(hashOf(random.Uint64N(10_000)), random.Uint64(), said)
			if a := e.answer(); a.code != said.code || a.retryAfter != min(said.retryAfter, mostSeconds) {
				t.Fatalf("%+v became %+v", said, a)
			}
			tab.put(e)
			want[e.key()] = e
		}
		for key := range uint64(10_000) {
			key = hashOf(key)
			got := tab.get(key)
			if e, ok := want[key]; ok != (got != nil) || ok && *got != e {
				t.Fatalf("%d: %v, want %v", key, got, e)
			}
		}
		if tab.n != len(want) {
			t.Errorf("%d entries, want %d", tab.n, len(want))
		}
		room := len(tab.entries)
		if tab.clear(); tab.n != 0 || tab.get(1) != nil || len(tab.entries) != room {
			t.Errorf("emptied, it has %d entries and room for %d", tab.n, len(tab.entries))
		}
	}
	tab.put(newEntry(1, 0, answer{}))
	if tab.clear(); tab.entries != nil {
		t.Error("room that is not needed is kept")
	}
}
