//go:build !linux

package main

// monotonic is 0: there is no systemd.
func monotonic() int64 { return 0 }
