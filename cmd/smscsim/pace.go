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

// timerSlack is how late a timer may wake us without our being held up.
const timerSlack = 2 * time.Millisecond

// wait waits until the next event is due, and gives the time that its latency counts from: now, or when it was due if that is
// long ago, so that a generator that is held up does not hide it.
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
	now := time.Now()
	if d := due.Sub(now); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case now = <-timer.C:
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		}
	}
	if now.Sub(due) > timerSlack {
		return due, nil
	}
	return now, nil
}

// ahead says that the next event is not due yet: that wait will wait.
func (p *pacer) ahead() bool {
	return p.n > 0 && time.Since(p.start).Seconds() < float64(p.n)/p.rate
}
