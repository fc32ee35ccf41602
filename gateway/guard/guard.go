// Package guard slows down who guesses passwords. It remembers addresses and the names that they tried, some thousand of them, and
// forgets those that it has not heard of for longest. It waits for nothing.
package guard

import (
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How guessing is slowed: after some failures each makes the next attempt wait longer, up to a minute. An address that
// tries many names is slowed as well, later, since many peers may come from one.
const (
	FreeFailures        = 3
	freeFailuresAddress = 20
	firstBlock          = time.Second
	lastBlock           = time.Minute
	forgets             = 10 * time.Minute // that nobody has failed for so long
	maxKnown            = 10_000           // keys that are remembered
	tellEvery           = 10 * time.Second // for one key
)

// Guard remembers who failed to prove who he is, so that passwords cannot be guessed fast, and bounds what is told of it.
type Guard struct {
	mu      sync.Mutex
	known   map[key]*failures
	limiter *rate.Limiter // of what is told, of all together
}

// key is an address with the name that it tried, or with none: all that it tried.
type key struct {
	from netip.Addr
	name string
}

type failures struct {
	count        int
	last         time.Time
	blockedUntil time.Time
	told         time.Time
	untold       uint64
}

// New makes a guard that knows nobody.
func New() *Guard {
	return &Guard{known: make(map[key]*failures), limiter: rate.NewLimiter(5, 20)}
}

// Tell says that one more thing may be told of.
func (g *Guard) Tell() bool { return g.limiter.Allow() }

// Blocked says how long no attempt is looked at.
func (g *Guard) Blocked(from netip.Addr, name string, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	var wait time.Duration
	for _, k := range [...]key{{from, name}, {from, ""}} {
		if f := g.known[k]; f != nil {
			wait = max(wait, f.blockedUntil.Sub(now))
		}
	}
	return wait
}

// Failed counts a wrong name or password.
func (g *Guard) Failed(from netip.Addr, name string, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.get(key{from, name}, now).fail(now, FreeFailures)
	g.get(key{from: from}, now).fail(now, freeFailuresAddress)
}

// FailedBehind counts it for the name alone: the address is a proxy's, behind which there are others.
func (g *Guard) FailedBehind(from netip.Addr, name string, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.get(key{from, name}, now).fail(now, FreeFailures)
}

func (f *failures) fail(now time.Time, free int) {
	f.count++
	f.last = now
	if f.count >= free {
		f.blockedUntil = now.Add(min(firstBlock<<min(f.count-free, 16), lastBlock))
	}
}

// Succeeded forgets the failures of who has found the password.
func (g *Guard) Succeeded(from netip.Addr, name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.known, key{from, name})
}

// Forgive forgets the failures with a name whose password was changed.
func (g *Guard) Forgive(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for k := range g.known {
		if k.name == name {
			delete(g.known, k)
		}
	}
}

// Refused says whether to tell of a refusal, and of how many.
func (g *Guard) Refused(from netip.Addr, name string, now time.Time) (count uint64, tell bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f := g.get(key{from, name}, now)
	f.last = now
	f.untold++
	if now.Sub(f.told) < tellEvery || !g.limiter.AllowN(now, 1) {
		return 0, false
	}
	count, f.untold, f.told = f.untold, 0, now
	return count, true
}

// get finds or makes an entry, at the cost of those that are old, or of any where none is.
func (g *Guard) get(k key, now time.Time) *failures {
	f := g.known[k]
	if f != nil {
		if now.Sub(f.last) > forgets {
			f.count = 0
		}
		return f
	}
	if len(g.known) >= maxKnown {
		for other, f := range g.known {
			if now.Sub(f.last) > forgets {
				delete(g.known, other)
			}
		}
		for other := range g.known {
			if len(g.known) < maxKnown*3/4 {
				break
			}
			delete(g.known, other)
		}
	}
	f = &failures{}
	g.known[key{k.from, strings.Clone(k.name)}] = f
	return f
}
