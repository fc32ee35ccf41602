package sip

import (
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
	table := newAnswered()
	now := time.Now()
	for i := range uint64(5 * generationLimit) {
		table.begin(requestKey{answeredShards * i, i}, 1, now) // all of one shard
	}
	n := 0
	for _, g := range table.shards[0].gens {
		n += len(g)
	}
	if n > generations*generationLimit || n < (generations-1)*generationLimit {
		t.Errorf("it holds %d", n)
	}
	last := uint64(5*generationLimit - 1)
	if what, _ := table.look(requestKey{answeredShards * last, last}, 1, now); what != isWorkedOn {
		t.Error("the last one is forgotten")
	}
}
