package main

import "testing"

func TestCollectorPercent(t *testing.T) {
	for _, c := range []struct {
		live, scanned uint64 // megabytes
		want          int
	}{
		{0, 0, 300},
		{8, 4, 300},     // idle: most of 32 MB between two runs
		{32, 20, 100},   // as by itself
		{120, 20, 26},   // mostly without pointers
		{128, 128, 100}, // mostly with
		{1000, 10, 20},
	} {
		if got := collectorPercent(c.live<<20, c.scanned<<20); got != c.want {
			t.Errorf("%d MB live, %d with pointers: %d, want %d", c.live, c.scanned, got, c.want)
		}
	}
}
