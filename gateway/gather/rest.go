package gather

import "time"

const (
	// restTime is how long a rest is; the kernel's timers make up to a millisecond of it.
	restTime = 500 * time.Microsecond
	// above is from how many a second on there are rests.
	above = 2000
	// small is the largest batch that is followed by one: what comes in a rest at thirty thousand a second.
	small = 16

	period     = 100 * time.Millisecond // the rate is measured once in each
	restings   = 50                     // periods with rests, before one without shows what comes then
	awakenings = 50                     // periods without, where rests slowed down what comes
	slowed     = 1.5                    // how many times as much comes without
)

// Rest says for one reader how long it is to rest after a batch.
//
// At some thousand messages a second each read brings one, and four fifths of what that costs is waking up: the reader, and whoever
// it has something for. A rest makes one batch and one write of what comes meanwhile. It costs time to answer, so there is
// none where little comes, none after a batch that was large anyway, and none where whoever sends waits for our answers: he would
// only send less. The zero value is ready.
type Rest struct {
	began   time.Time // of this period
	count   int       // what came in it
	resting bool
	left    int     // periods for which that stays so
	free    float64 // what came in a second of the last period without rests
}

// After says how long to rest after a batch of n that was taken at now.
func (r *Rest) After(n int, now time.Time) time.Duration {
	r.count += n
	if took := now.Sub(r.began); took >= period {
		r.turn(float64(r.count) / took.Seconds())
		r.began, r.count = now, 0
	}
	if !r.resting || n > small {
		return 0
	}
	return restTime
}

// turn ends a period, in which came so many a second.
func (r *Rest) turn(rate float64) {
	r.left--
	switch {
	case !r.resting:
		r.free = rate
		if rate >= above && r.left <= 0 {
			r.resting, r.left = true, restings
		}
	case rate*slowed < r.free:
		r.resting, r.left = false, awakenings
	case rate < above || r.left <= 0:
		r.resting, r.left = false, 0
	}
}
