package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"sync"
	"sync/atomic"
	"time"
)

// flow is the messages of one direction of a run: what went in, what was answered, what came out, and when.
type flow struct {
	*loadFlags
	direction string // mt, mo, relay, mi
	window    int
	name      string // in the texts: tells this flow's messages from another's
	firstID   uint64 // SMSC id of message 0
	began     time.Time
	ledger    ledger

	transit histogram // from entry to first exit
	answer  histogram // from request to answer
	report  histogram // from entry to the report

	outstanding atomic.Int64
	arrived     atomic.Int64
	answered    atomic.Int64
	reported    atomic.Int64
	lastExit    atomic.Int64  // as entry.sent
	free        chan struct{} // holds a token when a message got its answer

	repeats atomic.Uint64 // retransmissions that came out, or answers that came again
	sentAgain,
	late atomic.Uint64

	mu       sync.Mutex
	statuses map[uint32]uint64
}

func newFlow(f *loadFlags, direction string, began time.Time) *flow {
	var id [runDigits / 2]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the process instead
	return &flow{
		loadFlags: f, direction: direction, window: f.windowOf(direction), name: hex.EncodeToString(id[:]), began: began,
		firstID: uint64(began.Unix()%1e9) * 1e9, // so that the ids of two runs are not the same
		free:    make(chan struct{}, 1), statuses: make(map[uint32]uint64),
	}
}

func (l *flow) now() time.Duration { return time.Since(l.began) }

// arrive counts a message that came out, and gives its number. A transaction that is not 0 tells a retransmission from a double.
func (l *flow) arrive(text []byte, transaction uint32) (int, bool) {
	n, ok := readMark(text, l.name)
	e := l.ledger.get(n)
	if !ok || e == nil {
		return 0, false
	}
	if transaction != 0 && !e.first.CompareAndSwap(0, transaction) && e.first.Load() == transaction {
		l.repeats.Add(1)
		return n, true
	}
	if e.exits.Add(1) == 1 {
		now := l.now()
		l.transit.add(now - time.Duration(e.sent.Load()))
		l.lastExit.Store(int64(now))
		l.arrived.Add(1)
	}
	return n, true
}

// settle takes the answer to a message: its status, and whether that accepts it.
func (l *flow) settle(e *entry, status uint32, accepted bool) {
	state := stateRefused
	if accepted {
		state = stateAccepted
	}
	switch {
	case e.state.CompareAndSwap(stateWaiting, state):
		l.answer.add(l.now() - time.Duration(e.sent.Load()))
		l.release()
	case e.state.CompareAndSwap(stateUnanswered, state):
		l.late.Add(1)
	default:
		l.repeats.Add(1)
		return
	}
	l.mu.Lock()
	l.statuses[status]++
	l.mu.Unlock()
}

// giveUp ends the wait for an answer.
func (l *flow) giveUp(e *entry) {
	if e.state.CompareAndSwap(stateWaiting, stateUnanswered) {
		l.release()
	}
}

func (l *flow) release() {
	l.answered.Add(1)
	l.outstanding.Add(-1)
	select {
	case l.free <- struct{}{}:
	default:
	}
}

// tell counts a report of the message with that SMSC id.
func (l *flow) tell(smscID uint64) {
	if smscID < l.firstID {
		return
	}
	if e := l.ledger.get(int(smscID - l.firstID)); e != nil && e.told.Add(1) == 1 {
		l.report.add(l.now() - time.Duration(e.sent.Load()))
		l.reported.Add(1)
	}
}

// sendAll calls send with the time that each message is due, as the flags say, until count, duration or the end of ctx. A batch
// ends where flush is called; it is the time to write what was gathered.
func (l *flow) sendAll(ctx context.Context, send func(n int, e *entry) error, flush func() error) error {
	if l.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.duration)
		defer cancel()
	}
	pace := pacer{rate: l.rate}
	for n := 0; n < l.count && ctx.Err() == nil; n++ {
		due := l.now()
		if l.rate > 0 {
			if pace.ahead() {
				if err := flush(); err != nil {
					return err
				}
			}
			at, err := pace.wait(ctx)
			if err != nil {
				break
			}
			due = at.Sub(l.began)
		} else if l.outstanding.Load() >= int64(l.window) {
			if err := flush(); err != nil {
				return err
			}
			if !l.awaitRoom(ctx) {
				break
			}
			due = l.now()
		}
		l.outstanding.Add(1)
		number, e := l.ledger.open(due)
		if err := send(number, e); err != nil {
			return err
		}
	}
	return flush()
}

// awaitRoom waits for room in the window.
func (l *flow) awaitRoom(ctx context.Context) bool {
	for l.outstanding.Load() >= int64(l.window) {
		select {
		case <-l.free:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// done says that everything was answered, and came out and was reported on as far as that is to be expected.
func (l *flow) done(reports bool) (answered, all bool) {
	arrived := l.arrived.Load()
	answered = l.outstanding.Load() == 0
	return answered, answered && arrived >= l.ledger.opened.Load() && (!reports || l.reported.Load() >= arrived)
}

// progress is a number that changes while anything happens.
func (l *flow) progress() int64 { return l.answered.Load() + l.arrived.Load() + l.reported.Load() }
