package sip

import (
	"context"
	"time"
)

// backoff is the last pause of somebody who failed at what will work again some day: each is twice as long as the one before, up to a
// second. Zero: nothing failed since it worked.
type backoff time.Duration

// wait pauses, until ctx ends at the most.
func (b *backoff) wait(ctx context.Context) {
	*b = min(max(2**b, backoff(10*time.Millisecond)), backoff(time.Second))
	timer := time.NewTimer(time.Duration(*b))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
