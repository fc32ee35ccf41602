package gateway

import (
	"container/heap"
	"errors"
	"sync"
	"time"

	"sipsmpp/gateway/route"
	"sipsmpp/gateway/sms"
)

// ErrNotAwaiting says that no message with that id awaits a decision.
var ErrNotAwaiting = errors.New("no message with this id awaits a decision: it never did, it was decided, or its time is over")

// maxAwaiting bounds the messages that wait for an application to decide. One more goes to the next target at once.
const maxAwaiting = 10_000

// decisions holds the messages of target `app?`, which wait in memory, unanswered, until an application says where they go, or
// until their time is over. One timer serves them all.
type decisions struct {
	mu      sync.Mutex
	waiting map[sms.ID]*undecided
	due     undecidedHeap
	timer   *time.Timer // nil: nothing waits
	closed  bool
}

// undecided is a message that waits. Who takes it out of the map owns its passage.
type undecided struct {
	p        *passage
	deadline time.Time
	place    int // in the heap
}

func newDecisions() *decisions { return &decisions{waiting: make(map[sms.ID]*undecided)} }

// wait lets a passage, whose first target is `app?`, wait for a decision. It is false if too many do.
func (d *decisions) wait(p *passage) bool {
	u := &undecided{p: p, deadline: time.Now().Add(p.route.Targets[0].Wait)}
	if e := p.out.Expires; !e.IsZero() && e.Before(u.deadline) {
		u.deadline = e
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || len(d.waiting) >= maxAwaiting {
		return false
	}
	p.attempt = 1
	d.waiting[p.m.ID] = u
	heap.Push(&d.due, u)
	if d.due[0] == u {
		d.rearm()
	}
	return true
}

// rearm sets the timer to the first that is due. The lock is held.
func (d *decisions) rearm() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if len(d.due) > 0 {
		d.timer = time.AfterFunc(time.Until(d.due[0].deadline), d.expire)
	}
}

// expire goes on with the messages whose time is over: the next target has its turn.
func (d *decisions) expire() {
	var over []*passage
	d.mu.Lock()
	for now := time.Now(); len(d.due) > 0 && !now.Before(d.due[0].deadline); {
		over = append(over, d.remove(d.due[0]))
	}
	d.rearm()
	d.mu.Unlock()
	for _, p := range over {
		p.undecided()
	}
}

// undecided goes on with a message that no application decided: the next target has its turn, unless the message has to wait behind
// another.
func (p *passage) undecided() {
	if p.g.keeper.behind(p) {
		p.g.keeper.keep(p, waitingBehind)
		return
	}
	p.ended(sms.Failed(sms.Temporary, sms.CauseNoAnswer, "no application decided in time"))
}

// remove takes one out. The lock is held.
func (d *decisions) remove(u *undecided) *passage {
	heap.Remove(&d.due, u.place)
	delete(d.waiting, u.p.m.ID)
	return u.p
}

// take gives the passage of a message that waits, to whoever decides it.
func (d *decisions) take(id sms.ID) (*passage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	u, ok := d.waiting[id]
	if !ok {
		return nil, ErrNotAwaiting
	}
	return d.remove(u), nil
}

// len is how many wait.
func (d *decisions) len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.waiting)
}

// close ends what waits: its senders are told to try again.
func (d *decisions) close() {
	var over []*passage
	d.mu.Lock()
	d.closed = true
	for len(d.due) > 0 {
		over = append(over, d.remove(d.due[0]))
	}
	d.rearm()
	d.mu.Unlock()
	for _, p := range over {
		p.fail(sms.Failed(sms.Temporary, sms.CauseShutdown, ""))
	}
}

// RouteMessage decides a message that waits for it: it goes to these targets, in order, and to no other of its rule.
// ErrNotAwaiting if it does not wait.
func (g *Gateway) RouteMessage(id sms.ID, targets []route.Target) error {
	p, err := g.decisions.take(id)
	if err != nil {
		return err
	}
	p.route.Targets, p.route.Decided, p.attempt = targets, true, 0
	p.begin()
	return nil
}

// CheckTarget says what is wrong with a target for RouteMessage: it waits for a decision itself, or its SIP URI cannot be reached.
func (g *Gateway) CheckTarget(t route.Target) error {
	switch {
	case t.Waits:
		return errors.New("app? is what asked for this decision")
	case t.URI != "":
		return g.sip.CheckURI(t.URI)
	}
	return nil
}

// undecidedHeap has the first that is due on top.
type undecidedHeap []*undecided

func (h undecidedHeap) Len() int           { return len(h) }
func (h undecidedHeap) Less(i, j int) bool { return h[i].deadline.Before(h[j].deadline) }
func (h undecidedHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push and Pop are container/heap's.
func (h *undecidedHeap) Push(x any) {
	u := x.(*undecided)
	u.place = len(*h)
	*h = append(*h, u)
}

func (h *undecidedHeap) Pop() any {
	last := len(*h) - 1
	u := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return u
}
