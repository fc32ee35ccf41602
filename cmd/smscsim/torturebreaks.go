package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// What breaks.
const (
	killed     = "kill"
	brokenSMSC = "smsc"
	brokenSink = "sink"
	brokenDB   = "db"
	brokenDisk = "disk"
)

// sinkUp is what the sink answers while it is well.
const sinkUp = http.StatusAccepted

// net4 is a free port of this host.
var net4 = net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}

// between draws a time.
func (t *torture) between(least, most time.Duration) time.Duration {
	return least + time.Duration(t.dice.Int64N(int64(most-least)+1))
}

// breakOnce is one round: some of what may break breaks at a random time, and is well again at its end. A gateway that is to be
// killed is killed in every round, at any time of it.
func (t *torture) breakOnce(ctx context.Context, round int) error {
	if !rest(ctx, t.between(t.round/4, t.round/2)) {
		return ctx.Err()
	}
	mend := func() error { return nil }
	what := ""
	if others := t.others(); len(others) > 0 && t.dice.IntN(4) > 0 {
		what = others[t.dice.IntN(len(others))]
		from := time.Now()
		repair, err := t.damage(ctx, what)
		if err != nil {
			return fmt.Errorf("breaking %s: %w", what, err)
		}
		mend = func() error {
			err := repair()
			t.outages = append(t.outages, outage{what, from, time.Now()})
			return err
		}
	}
	rest(ctx, t.between(0, t.round/2))
	down := time.Duration(0)
	if t.breaking(killed) {
		down = t.between(0, t.round/4)
		if err := t.kill(ctx, down, what != brokenDB && what != brokenDisk); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
	}
	rest(ctx, t.between(0, t.round/4))
	err := mend()
	if err == nil {
		err = t.gateway.resume(ctx) // one that could not start without its database
	}
	accepted := 0
	for _, s := range t.stories() {
		s.mu.Lock()
		accepted += len(s.tales)
		s.mu.Unlock()
	}
	t.out.line("round %d: %s; %d messages so far", round, describe(what, t.breaking(killed), down), accepted)
	return err
}

func describe(what string, kills bool, down time.Duration) string {
	text := "nothing broke"
	if what != "" {
		text = what + " was broken"
	}
	if kills {
		text += fmt.Sprintf(", and the gateway was killed and away for %v", down.Round(time.Millisecond))
	}
	return text
}

// others are what breaks beside the gateway.
func (t *torture) others() (list []string) {
	for _, b := range t.breaks {
		if b != killed {
			list = append(list, b)
		}
	}
	return list
}

// kill ends the gateway at once and starts it again after a while. Where it is not to start yet, resume does that.
func (t *torture) kill(ctx context.Context, down time.Duration, start bool) error {
	from := time.Now()
	t.gateway.kill()
	t.outages = append(t.outages, outage{killed, from, time.Now()})
	t.kills++
	rest(ctx, down)
	if !start {
		return nil
	}
	return t.gateway.resume(ctx)
}

// damage breaks something until repair.
func (t *torture) damage(ctx context.Context, what string) (repair func() error, err error) {
	switch what {
	case brokenSMSC:
		return t.smsc.back, t.smsc.away()
	case brokenDB:
		return func() error { return t.server.mend(ctx) }, t.server.breakDown(ctx)
	case brokenDisk:
		return fillDisk(t.dir)
	}
	switch t.dice.IntN(3) {
	case 0:
		t.sink.close()
		return func() error { return t.sink.listen(t.sink.addr) }, nil
	case 1:
		t.sink.how.Store(0)
	default:
		t.sink.how.Store(480)
	}
	return func() error { t.sink.how.Store(sinkUp); return nil }, nil
}

// mostFree is the largest file system that is filled up, by what is free on it.
const mostFree = 256 << 20

// fillDisk fills the file system of a directory until repair.
func fillDisk(dir string) (repair func() error, err error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return nil, err
	}
	if free := int64(fs.Bavail) * fs.Bsize; free > mostFree {
		return nil, fmt.Errorf("%s has %d MB free: a file system of at most %d MB is filled up, such as mount -t tmpfs -o size=64m makes", dir, free>>20, mostFree>>20)
	}
	path := filepath.Join(dir, "ballast")
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	for size := 1 << 20; size >= 512; size /= 2 {
		for err = nil; err == nil; {
			_, err = file.Write(make([]byte, size))
		}
	}
	return func() error { return os.Remove(path) }, nil
}

// rest waits; false: the run is over.
func rest(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
