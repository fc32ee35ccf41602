//go:build unix

package main

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// keyWait is how long is waited for a key before it is looked whether anybody still waits, in milliseconds. What is read in vain
// would be missing at the prompt.
const keyWait = 100

// watchKeys ends what is shown when q or Ctrl-C is typed. restore gives the terminal back as it was.
func (s *session) watchKeys(ctx context.Context, quit func()) (restore func()) {
	if s.keys == nil {
		return func() {}
	}
	fd := int(s.keys.Fd())
	state, err := term.MakeRaw(fd)
	if err != nil {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 64)
		for ctx.Err() == nil {
			ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, keyWait)
			if err != nil && !errors.Is(err, unix.EINTR) {
				return
			}
			if ready < 1 {
				continue
			}
			n, err := s.keys.Read(b)
			for _, key := range b[:n] {
				if key == 'q' || key == 'Q' || key == 3 || key == 4 { // Ctrl-C and Ctrl-D
					quit()
				}
			}
			if err != nil {
				return
			}
		}
	}()
	return func() {
		quit()
		<-done
		_ = term.Restore(fd, state)
	}
}
