package main

import "golang.org/x/sys/unix"

// monotonic is CLOCK_MONOTONIC in microseconds, as systemd compares it.
func monotonic() int64 {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return 0
	}
	return now.Nano() / 1000
}
