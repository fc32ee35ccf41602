package gather

import (
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// inKernel is how many rest there now.
var inKernel atomic.Int32

// sleep rests in the kernel, which wakes this thread afterwards and nobody else. The runtime's timers are for many at a time: each
// wakes the thread that waits for sockets when it is set and when it runs out, another to see whether there is more to do, and,
// since nobody ran meanwhile, the runtime's monitor. But who is in the kernel keeps a processor of the runtime's: half of them are
// left to the others.
func (r *Rest) sleep(d time.Duration) {
	if int(inKernel.Add(1)) > runtime.GOMAXPROCS(0)/2 {
		inKernel.Add(-1)
		time.Sleep(d)
		return
	}
	t := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&t, nil) // a signal may end it before
	inKernel.Add(-1)
	// The monitor takes a processor away from who has not asked the scheduler for 10 ms, and then looks for more of the kind every
	// 20 us.
	if r.slept++; r.slept%4 == 0 {
		runtime.Gosched()
	}
}
