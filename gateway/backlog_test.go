package gateway

import (
	"fmt"
	"testing"
)

// An application may name any number of targets: of those for which nothing waits any more few are remembered.
func TestIdleBacklogsAreForgotten(t *testing.T) {
	k := newKeeper(&Gateway{}, nil)
	named := func(i int) string { return fmt.Sprintf("sip:192.0.2.1:%d", i) }
	for i := range 3 * mostIdle {
		k.backlog(named(i))
	}
	waits, asked := k.backlog(named(1)), k.backlog(named(2))
	waits.join(7, 10)
	k.asked[7] = asked
	k.forgetIdle()
	if len(k.backlogs) != 2 || k.backlogs[named(1)] != waits || k.backlogs[named(2)] != asked || len(k.single) > 2 {
		t.Errorf("%d are left, %d by their leg; want those that something waits for, or is asked for", len(k.backlogs), len(k.single))
	}
	for i := range mostIdle - 2 {
		k.backlog(named(i + 3))
	}
	if k.forgetIdle(); len(k.backlogs) != mostIdle {
		t.Errorf("%d are left of few", len(k.backlogs))
	}
}
