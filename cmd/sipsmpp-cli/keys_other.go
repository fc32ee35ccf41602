//go:build !unix

package main

import "context"

// watchKeys watches none: Ctrl-C ends what is shown.
func (s *session) watchKeys(context.Context, func()) (restore func()) { return func() {} }
