// Package tap lets somebody watch what crosses a connection, while it crosses it. Where nobody does it costs one comparison.
package tap

import (
	"slices"
	"sync/atomic"
)

// Taps are who watches. The zero value is nobody, and safe for any number of goroutines.
type Taps[T any] struct {
	list atomic.Pointer[[]*tap[T]] // nil: nobody watches
}

type tap[T any] struct{ sink func(T) }

// Watch adds a sink. It is called wherever what is watched happens, possibly with locks held: it must not block, nor call back.
// stop ends it.
func (t *Taps[T]) Watch(sink func(T)) (stop func()) {
	one := &tap[T]{sink}
	t.change(func(list []*tap[T]) []*tap[T] { return append(list, one) })
	return func() {
		t.change(func(list []*tap[T]) []*tap[T] {
			return slices.DeleteFunc(list, func(other *tap[T]) bool { return other == one })
		})
	}
}

// change puts a changed copy in place of the list.
func (t *Taps[T]) change(change func([]*tap[T]) []*tap[T]) {
	for {
		old := t.list.Load()
		var list []*tap[T]
		if old != nil {
			list = slices.Clone(*old)
		}
		changed := &list
		if list = change(list); len(list) == 0 {
			changed = nil
		}
		if t.list.CompareAndSwap(old, changed) {
			return
		}
	}
}

// Watched says whether anybody watches.
func (t *Taps[T]) Watched() bool { return t.list.Load() != nil }

// Show shows something to who watches.
func (t *Taps[T]) Show(v T) {
	if list := t.list.Load(); list != nil {
		for _, one := range *list {
			one.sink(v)
		}
	}
}
