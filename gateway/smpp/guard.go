package smpp

import (
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How guessing is slowed: from the first failures on each makes the next attempt wait longer, up to a minute. An address that
// tries many names is slowed as well, later, since many ESMEs may come from one.
const (
	freeFailures        = 3
	freeFailuresAddress = 20
	firstBlock          = time.Second
	lastBlock           = time.Minute
	guardForgets        = 10 * time.Minute // that nobody has failed for so long
	maxGuarded          = 10_000           // keys that are remembered
	tellEvery           = 10 * time.Second // for one key
)

// guard remembers who failed to bind, so that passwords cannot be guessed fast, and bounds what is told of it.
type guard struct {
	mu      sync.Mutex
	known   map[guardKey]*failures
	limiter *rate.Limiter // of what is told, of all together
}

// guardKey is an address with the system_id that it tried, or with none: all that it tried.
type guardKey struct {
	from     netip.Addr
	systemID string
}

type failures struct {
	count        int
	last         time.Time
	blockedUntil time.Time
	told         time.Time
	untold       uint64
}

func newGuard() *guard {
	return &guard{known: make(map[guardKey]*failures), limiter: rate.NewLimiter(5, 20)}
}

// tell says that one more thing may be told of.
func (g *guard) tell() bool { return g.limiter.Allow() }

// blocked says how long no attempt is looked at.
func (g *guard) blocked(from netip.Addr, systemID string, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	var wait time.Duration
	for _, key := range [...]guardKey{{from, systemID}, {from, ""}} {
		if f := g.known[key]; f != nil {
			wait = max(wait, f.blockedUntil.Sub(now))
		}
	}
	return wait
}

// failed counts a wrong name or password.
func (g *guard) failed(from netip.Addr, systemID string, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.get(guardKey{from, systemID}, now).fail(now, freeFailures)
	g.get(guardKey{from: from}, now).fail(now, freeFailuresAddress)
}

func (f *failures) fail(now time.Time, free int) {
	f.count++
	f.last = now
	if f.count >= free {
		f.blockedUntil = now.Add(min(firstBlock<<min(f.count-free, 16), lastBlock))
	}
}

// succeeded forgets the failures of an ESME that has found its password.
func (g *guard) succeeded(from netip.Addr, systemID string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.known, guardKey{from, systemID})
}

// forgive forgets the failures with a system_id whose password was changed.
func (g *guard) forgive(systemID string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key := range g.known {
		if key.systemID == systemID {
			delete(g.known, key)
		}
	}
}

// refused says whether to tell of a refusal, and of how many.
func (g *guard) refused(from netip.Addr, systemID string, now time.Time) (count uint64, tell bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f := g.get(guardKey{from, systemID}, now)
	f.last = now
	f.untold++
	if now.Sub(f.told) < tellEvery || !g.limiter.AllowN(now, 1) {
		return 0, false
	}
	count, f.untold, f.told = f.untold, 0, now
	return count, true
}

// get finds or makes an entry, at the cost of those that are old, or of any where none is.
func (g *guard) get(key guardKey, now time.Time) *failures {
	f := g.known[key]
	if f != nil {
		if now.Sub(f.last) > guardForgets {
			f.count = 0
		}
		return f
	}
	if len(g.known) >= maxGuarded {
		for k, f := range g.known {
			if now.Sub(f.last) > guardForgets {
				delete(g.known, k)
			}
		}
		for k := range g.known {
			if len(g.known) < maxGuarded*3/4 {
				break
			}
			delete(g.known, k)
		}
	}
	f = &failures{}
	g.known[guardKey{key.from, strings.Clone(key.systemID)}] = f
	return f
}
