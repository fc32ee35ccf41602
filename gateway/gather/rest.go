package gather

import (
	"sync/atomic"
	"time"
)

const (
	// restTime is how long a rest is.
	restTime = time.Millisecond
	// above is from how many reads or messages a second on there are rests.
	above = 2000
	// small is the largest batch that is followed by one.
	small = 16

	period     = 100 * time.Millisecond // the rate is measured once in each
	busyBefore = 3                      // periods of many reads in a row, before the first rests
	restings   = 50                     // periods with rests, before one without shows what comes then
	awakenings = 50                     // most periods without, where rests slowed down what comes
	slowed     = 1.5                    // how many times as much comes without
)

// Rest lets one reader rest after a batch.
//
// At some thousand messages a second each read brings one, and four fifths of what that costs is waking up: the reader, and whoever
// it has something for. A rest makes one batch and one write of what comes meanwhile. It costs time to answer, so there is
// none where few reads would bring it all anyway, none after a batch that was large, and none where whoever sends waits for our
// answers: he would only send less. The zero value is ready.
type Rest struct {
	began   time.Time // of this period
	count   int       // what came in it
	reads   int       // that brought it
	resting bool
	busy    int     // periods in a row, of those without rests, with many reads
	seen    int64   // starters, when busy was 0
	left    int     // periods for which it stays as it is
	free    float64 // what came in a second of the last period without rests
	backoff int     // periods to stay without rests, the next time that they slow down what comes
	slept   int     // rests in the kernel
}

// After rests after a batch of n that was taken at now.
func (r *Rest) After(n int, now time.Time) {
	if d := r.due(n, now); d > 0 {
		r.sleep(d)
	}
}

// due is how long to rest.
func (r *Rest) due(n int, now time.Time) time.Duration {
	r.count += n
	r.reads++
	if took := now.Sub(r.began); took >= period {
		r.turn(float64(r.count)/took.Seconds(), float64(r.reads)/took.Seconds())
		r.began, r.count, r.reads = now, 0, 0
	}
	if !r.resting || n > small {
		return 0
	}
	return restTime
}

// starters is how many readers ever started to rest.
var starters atomic.Int64

// turn ends a period, in which came so many a second, by so many reads.
func (r *Rest) turn(rate, reads float64) {
	r.left--
	switch {
	case !r.resting:
		r.free = rate
		r.resting = r.isBusy(reads) && r.left <= 0
		if r.resting {
			r.left = restings
		}
	case rate*slowed < r.free: // or that was a burst, so that the first time tells little
		r.backoff = min(2*r.backoff+1, awakenings)
		r.resting, r.left = false, r.backoff
	case rate < above || r.left <= 0:
		r.resting, r.left, r.backoff = false, 0, 0
	}
}

// isBusy says that a reader without rests reads so often that it had better rest. What the rests of one reader have gathered comes
// in few reads to another, which has the answers to it, say. So they start to rest one after the other: who is to be next is busy
// still when the last has started, and a period without rests of his is too short to count.
func (r *Rest) isBusy(reads float64) bool {
	now := starters.Load()
	switch {
	case reads < above:
		r.busy = 0
	case r.busy < busyBefore && r.seen != now:
		r.busy, r.seen = 1, now
	case r.busy < busyBefore:
		r.busy++
		if r.busy == busyBefore && !starters.CompareAndSwap(now, now+1) {
			r.busy = 0
		}
	}
	return r.busy == busyBefore
}
