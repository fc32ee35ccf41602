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
	failing := false
	for wait := purgeInterval; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		n, err := g.db.Purge(ctx, time.Now().Add(-time.Duration(g.config.Records.Keep)), purgeCount)
		switch {
		case err != nil && ctx.Err() == nil && !failing:
			g.log.Error("old records could not be dropped; trying each minute", "error", err)
		case err == nil && failing:
			g.log.Info("old records are dropped again")
		}
		failing = err != nil
		wait = purgeInterval
		if n == purgeCount {
			wait = purgeRest
		}
	}
}
