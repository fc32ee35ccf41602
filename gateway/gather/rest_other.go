//go:build !linux

package gather

import "time"

func (r *Rest) sleep(d time.Duration) { time.Sleep(d) }
