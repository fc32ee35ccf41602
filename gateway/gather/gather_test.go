package gather

import (
	"sync"
	"testing"
	"time"
)

type flushes struct{ n int }

func (f *flushes) Flush() { f.n++ }

func TestGroup(t *testing.T) {
	var g Group
	f := &flushes{}
	if g.Later(f) {
		t.Fatal("something is to leave later, and no batch is being worked on")
	}
	g.Begin()
	g.Begin() // another goroutine's
	if !g.Later(f) || f.n != 0 {
		t.Fatalf("flushed %d times before a batch has ended", f.n)
	}
	g.End()
	if f.n != 1 {
		t.Fatalf("flushed %d times when the first batch had ended", f.n)
	}
	g.End()
	if f.n != 1 || g.Later(f) {
		t.Fatalf("flushed %d times in all", f.n)
	}
}

// inTurn flushes another when it is flushed.
type inTurn struct {
	g     *Group
	other Flusher
	later bool
}

func (f *inTurn) Flush() { f.later = f.g.Later(f.other) }

func TestFlushLeavesMore(t *testing.T) {
	var g Group
	other := &flushes{}
	f := &inTurn{g: &g, other: other}
	g.Begin()
	g.Begin()
	g.Later(f)
	g.End()
	g.End()
	if !f.later || other.n != 1 {
		t.Fatalf("what came of a flush was flushed %d times; later: %v", other.n, f.later)
	}
	g.Begin()
	g.Later(f)
	g.End()
	if f.later || other.n != 1 {
		t.Fatal("what came of the last batch's flush waits for a batch that never comes")
	}
}

// Whatever is left for later is flushed, by whichever batch.
func TestGroupConcurrent(t *testing.T) {
	var g Group
	var all sync.WaitGroup
	var mu sync.Mutex
	waiting := 0
	for range 4 {
		all.Go(func() {
			for range 1000 {
				g.Begin()
				mu.Lock()
				if g.Later(flushFunc(func() { mu.Lock(); waiting--; mu.Unlock() })) {
					waiting++
				}
				mu.Unlock()
				g.End()
			}
		})
	}
	all.Wait()
	if waiting != 0 {
		t.Errorf("%d were never flushed", waiting)
	}
}

type flushFunc func()

func (f flushFunc) Flush() { f() }

// traffic gives a Rest batches as a source sends them. It gives how many there were in a second, and how much of it was rest.
func traffic(r *Rest, now *time.Time, d time.Duration, next func(rest time.Duration) (wait time.Duration, n int)) (rate float64, rested time.Duration) {
	began, count, rest := *now, 0, time.Duration(0)
	for now.Sub(began) < d {
		wait, n := next(rest)
		*now = now.Add(wait)
		count += n
		rest = r.due(n, *now)
		rested += rest
	}
	return float64(count) / now.Sub(began).Seconds(), rested
}

// open is a source that sends so many a second, whatever becomes of them.
func open(rate int) func(time.Duration) (time.Duration, int) {
	gap := time.Second / time.Duration(rate)
	owed := time.Duration(0)
	return func(rest time.Duration) (time.Duration, int) {
		if owed += rest; owed < gap {
			rest, owed = rest+gap-owed, gap
		}
		n := int(owed / gap)
		owed -= time.Duration(n) * gap
		return rest, n
	}
}

// closed is a source that has so many messages outstanding, each of which takes so long when nobody rests.
func closed(window int, trip time.Duration) func(time.Duration) (time.Duration, int) {
	return func(rest time.Duration) (time.Duration, int) { return max(rest, trip), window }
}

func TestRest(t *testing.T) {
	for _, c := range []struct {
		name     string
		source   func(time.Duration) (time.Duration, int)
		min, max float64 // of the time, rested
	}{
		{"little comes", open(1000), 0, 0},
		{"much comes", open(5000), 0.9, 1},
		{"so much comes that batches are large", closed(32, 300*time.Microsecond), 0, 0},
		{"few outstanding, so that a rest slows them down", closed(1, 100*time.Microsecond), 0, 0.05},
		{"much comes, by few reads", closed(6, 2*time.Millisecond), 0, 0},
	} {
		var r Rest
		now := time.Unix(1e9, 0)
		traffic(&r, &now, time.Second, c.source)
		const long = 20 * time.Second
		rate, rested := traffic(&r, &now, long, c.source)
		if share := rested.Seconds() / long.Seconds(); share < c.min || share > c.max {
			t.Errorf("%s: rested %.3f of the time, want %.2f to %.2f; %.0f/s", c.name, share, c.min, c.max, rate)
		}
	}
}

// Who reads the answers to what another reader handed on does not rest, too: they come in the other's batches.
func TestRestOfOneIsEnough(t *testing.T) {
	var first, second Rest
	now := time.Unix(1e9, 0)
	source, rest := open(5000), time.Duration(0)
	var rested [2]time.Duration
	for began := now; now.Sub(began) < 20*time.Second; {
		wait, n := source(rest)
		now = now.Add(wait)
		rest = first.due(n, now)
		rested[0] += rest
		rested[1] += second.due(n, now.Add(100*time.Microsecond))
	}
	if rested[0] < 17*time.Second || rested[1] != 0 {
		t.Errorf("of 20 s, the first rested %v, and the second %v", rested[0], rested[1])
	}
}

// What came in a burst, while a reader tried how it is without rests, keeps it from them for a moment only.
func TestRestAfterBurst(t *testing.T) {
	var r Rest
	now := time.Unix(1e9, 0)
	traffic(&r, &now, time.Second, open(5000))
	r.turn(5000, 1000)
	for r.resting {
		r.turn(5000, 1000)
	}
	r.turn(20000, 5000)
	r.turn(5000, 1000)
	if r.resting {
		t.Fatal("rests go on that seem to slow down what comes")
	}
	if r.turn(5000, 5000); !r.resting {
		t.Error("there are no rests a period after the burst")
	}
}

// After a silence the first is answered at once.
func TestNoRestAfterSilence(t *testing.T) {
	var r Rest
	now := time.Unix(1e9, 0)
	if _, rested := traffic(&r, &now, time.Second, open(5000)); rested == 0 {
		t.Fatal("no rest at 5,000/s")
	}
	if rest := r.due(1, now.Add(time.Minute)); rest != 0 {
		t.Errorf("rests %v after the first in a minute", rest)
	}
}
