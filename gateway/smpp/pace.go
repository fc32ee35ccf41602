package smpp

import (
	"time"

	"golang.org/x/time/rate"
)

// Bounds of how a connection is slowed down. A peer that says to send less halves the rate, once for each pause; each second
// without such a word adds a tenth of the rate that was too much, until it is as fast as it was at first. Beyond the rate that
// was too much the steps grow with it.
const (
	slowest   = 1 // segment per second
	raiseStep = time.Second
	raises    = 10 // steps from nothing to the rate that was too much
)

// The values of congestion_state (SMPP 5.0, 4.8.4.18).
const (
	congestionOptimum = 80  // just right: as it is, and no faster
	congestionNearing = 90  // a tenth less
	congestionFull    = 100 // half of it
)

// pace is how many segments a second go out by all binds of a connection: what the row allows, and less while the peer asks for
// less. The connection's lock guards it.
type pace struct {
	limiter *rate.Limiter // nil: unlimited
	most    float64       // column throughput; 0: unlimited

	// How fast it goes, by the second.
	second         time.Time
	sent, sentLast float64

	slowed  float64 // the rate now; 0: it is not slowed down
	tooMuch float64 // the rate that was too much when it was last slowed down
	full    float64 // the rate at which it is no longer slowed down
	changed time.Time
}

func newPace(throughput int) pace {
	p := pace{most: float64(throughput)}
	p.limit(p.most)
	return p
}

// limit sets the rate; 0: unlimited. The burst is what 20 ms bring: enough for the timer's grain, too little for a peer that
// counts by the second.
func (p *pace) limit(perSecond float64) {
	switch burst := max(1, int(perSecond/50)); {
	case perSecond == 0:
		p.limiter = nil
	case p.limiter == nil:
		p.limiter = rate.NewLimiter(rate.Limit(perSecond), burst)
	default:
		p.limiter.SetLimit(rate.Limit(perSecond))
		p.limiter.SetBurst(burst)
	}
}

// reserve takes a segment from the throughput, or says how long to wait for one.
func (p *pace) reserve(now time.Time) time.Duration {
	if p.limiter == nil {
		return 0
	}
	r := p.limiter.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

// count counts a segment that was sent.
func (p *pace) count(now time.Time) {
	if passed := now.Sub(p.second); passed >= time.Second {
		p.sentLast, p.sent, p.second = p.sent, 0, now
		if passed >= 2*time.Second {
			p.sentLast = 0
		}
	}
	p.sent++
}

// slow lowers the rate by a factor.
func (p *pace) slow(now time.Time, factor float64) {
	from := p.slowed
	if from == 0 {
		if from = max(p.sent, p.sentLast); p.most > 0 {
			from = min(from, p.most)
		}
	}
	if p.slowed == 0 {
		if p.full = p.most; p.full == 0 {
			p.full = max(from, 2*slowest)
		}
	}
	p.tooMuch = max(from, slowest)
	p.slowed = max(from*factor, slowest)
	p.changed = now
	p.limit(p.slowed)
}

// raise takes a step back to the full rate, if one is due; free says that it is there.
func (p *pace) raise(now time.Time) (free bool) {
	if p.slowed == 0 || now.Sub(p.changed) < raiseStep {
		return false
	}
	p.changed = now
	p.slowed += max(p.tooMuch/raises, p.slowed/raises, 1)
	if p.slowed >= p.full {
		p.slowed = 0
		p.limit(p.most)
		return true
	}
	p.limit(p.slowed)
	return false
}

// congestion takes a congestion_state, at most one in a step. slower and free say what came of it.
func (p *pace) congestion(now time.Time, state uint32) (slower, free bool) {
	if state < congestionOptimum {
		return false, p.raise(now)
	}
	if state < congestionNearing || now.Sub(p.changed) < raiseStep {
		return false, false
	}
	factor := 0.9
	if state >= congestionFull {
		factor = 0.5
	}
	p.slow(now, factor)
	return true, false
}
