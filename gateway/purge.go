package gateway

import (
	"context"
	"time"
)

const (
	// purgeInterval is how often records are looked for that are older than `records.keep`.
	purgeInterval = time.Minute
	// purgeCount is how many of them go in one transaction, so that it holds up no message, and purgeRest is the time between two
	// such: 10,000 records a second, more than come.
	purgeCount = 500
	purgeRest  = 50 * time.Millisecond
)

// purge drops old records, a few at a time.
func (g *Gateway) purge(ctx context.Context) {
	g.sweepRecords(ctx, "old records", "dropped", purgeInterval, func() (more bool, err error) {
		n, err := g.db.Purge(ctx, time.Now().Add(-time.Duration(g.config.Records.Keep)), purgeCount)
		return n == purgeCount, err
	})
}

// sweepRecords does some of what is to be done to records each interval, and while there is more almost at once.
func (g *Gateway) sweepRecords(ctx context.Context, what, done string, interval time.Duration, some func() (more bool, err error)) {
	failing := false
	for wait := interval; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		more, err := some()
		switch {
		case err != nil && ctx.Err() == nil && !failing:
			g.log.Error(what+" could not be "+done+"; trying again and again", "error", err, "interval", interval)
		case err == nil && failing:
			g.log.Info(what + " are " + done + " again")
		}
		failing = err != nil
		wait = interval
		if more && err == nil {
			wait = purgeRest
		}
	}
}
