package gateway

import (
	"maps"
	"testing"
)

// A queue that is to be tried at once, as when its recipient registers, while a message of it is on its way, is tried when that has ended.
func TestAskedWhileOnItsWay(t *testing.T) {
	b := newBacklog("sip")
	b.busy[7] = struct{}{}
	k := &keeper{asked: map[int64]*backlog{7: b}}
	k.tryOldest(t.Context(), k.asked, whyAsked)
	if !maps.Equal(k.asked, map[int64]*backlog{7: b}) {
		t.Errorf("%v", k.asked)
	}
}
