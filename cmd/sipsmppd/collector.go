package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// leastRoom is how much may be allocated between two runs of the garbage collector, at least. By itself it runs whenever as much
	// was allocated as is live, which with the few megabytes that a gateway holds is dozens of times a second under load, and a tenth
	// of the CPU.
	leastRoom       = 32 << 20
	collectorReview = time.Second / 2
)

// tuneCollector sets how often the garbage collector runs, until ctx ends; where the environment does, it leaves that alone.
func tuneCollector(ctx context.Context) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/heap:bytes"}}
	tick := time.NewTicker(collectorReview)
	defer tick.Stop()
	for set := 100; ; {
		metrics.Read(samples)
		percent := collectorPercent(samples[0].Value.Uint64(), samples[1].Value.Uint64())
		if 10*max(percent-set, set-percent) > set { // each change stops the world for a moment
			debug.SetGCPercent(percent)
			set = percent
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// collectorPercent is GOGC for a heap of which so much is live, and so much has pointers. What has none, as the table of SIP's answers,
// which at full rate is most of the heap, costs the collector nothing, and so earns no room.
func collectorPercent(live, scanned uint64) int {
	return int(min(max(100*max(leastRoom, scanned)/max(live, 1<<20), 20), 300))
}
