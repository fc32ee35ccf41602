package tap

import (
	"sync"
	"testing"
)

func TestTaps(t *testing.T) {
	var taps Taps[int]
	taps.Show(1)
	if taps.Watched() {
		t.Error("nobody watches")
	}
	var a, b []int
	stopA := taps.Watch(func(v int) { a = append(a, v) })
	taps.Show(2)
	stopB := taps.Watch(func(v int) { b = append(b, v) })
	taps.Show(3)
	stopA()
	stopA() // again is nothing
	taps.Show(4)
	stopB()
	taps.Show(5)
	if len(a) != 2 || a[1] != 3 || len(b) != 2 || b[1] != 4 || taps.Watched() {
		t.Errorf("%v %v", a, b)
	}
	// Many at once.
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				taps.Watch(func(int) {})()
				taps.Show(6)
			}
		})
	}
	all.Wait()
	if taps.Watched() {
		t.Error("somebody still watches")
	}
}
