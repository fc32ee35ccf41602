package main

import (
	"context"
	"time"
)

// pacer spreads events evenly over time; after a late one it catches up.
type pacer struct {
	rate  float64 // per second; 0: as fast as it is asked
	start time.Time
	n     int
}

// wait waits until the next event is due, and says when that was: latencies are counted from there, so that a generator that is
// held up does not hide it.
func (p *pacer) wait(ctx context.Context) (time.Time, error) {
	if err := ctx.Err(); err != nil {
		return time.Time{}, err
	}
	if p.rate == 0 {
		return time.Now(), nil
	}
	if p.n == 0 {
		p.start = time.Now()
	}
	due := p.start.Add(time.Duration(float64(p.n) / p.rate * float64(time.Second)))
	p.n++
	// Less than a timer can tell apart is not waited for.
	if d := time.Until(due); d > 200*time.Microsecond {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		}
	}
	return due, nil
}

// ahead says that the next event is not due yet: that wait will wait.
func (p *pacer) ahead() bool {
	return p.n > 0 && time.Since(p.start).Seconds() < float64(p.n)/p.rate
}
