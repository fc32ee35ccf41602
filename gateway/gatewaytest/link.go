package gatewaytest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// maxPending is how much may wait to be written before the reader of the same link stops reading.
const maxPending = 1 << 20

// splitPause is the time between the two writes of a PDU that is to arrive in two.
const splitPause = 2 * time.Millisecond

var errHangUp = errors.New("closed as the script says")

// link is one connection: buffered reads, and writes that leave together. One goroutine reads; anybody may put.
type link struct {
	conn net.Conn
	r    *bufio.Reader
	wake chan struct{} // holds one token while there is something for the writer
	done chan struct{} // closed when the link is

	mu      sync.Mutex
	room    sync.Cond // pending was taken, or the link is closed
	pending []byte
	breaks  []int // offsets in pending where one write must end and another begin
	last    error // close when pending is written, with this cause
	err     error // why it was closed
}

func newLink(conn net.Conn) *link {
	l := &link{
		conn: conn, r: bufio.NewReaderSize(conn, maxPDU),
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	l.room.L = &l.mu
	return l
}

// put queues a PDU; flush tells the writer.
func (l *link) put(p []byte) {
	l.mu.Lock()
	if l.last == nil {
		l.pending = append(l.pending, p...)
	}
	l.mu.Unlock()
}

// putSplit queues a PDU that leaves in two writes.
func (l *link) putSplit(p []byte) {
	l.mu.Lock()
	if l.last == nil {
		l.breaks = append(l.breaks, len(l.pending)+len(p)/2)
		l.pending = append(l.pending, p...)
		l.breaks = append(l.breaks, len(l.pending))
	}
	l.mu.Unlock()
}

func (l *link) flush() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// hangUp writes what is queued and closes.
func (l *link) hangUp(cause error) {
	l.mu.Lock()
	l.last = cause
	l.mu.Unlock()
	l.flush()
}

// close closes at once; the first cause stands, that of hangUp among them.
func (l *link) close(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	if l.last == nil {
		l.last = cause
	}
	l.err = l.last
	l.room.Broadcast()
	close(l.done)
	l.conn.Close()
}

// cause is why the link was closed.
func (l *link) cause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// write is the writer: it runs until the link is closed.
func (l *link) write() {
	var spare []byte
	for {
		select {
		case <-l.wake:
		case <-l.done:
			return
		}
		l.mu.Lock()
		out, breaks, last := l.pending, l.breaks, l.last
		l.pending, l.breaks = spare[:0], nil
		l.room.Broadcast()
		l.mu.Unlock()
		spare = out
		from := 0
		for _, to := range append(breaks, len(out)) {
			if to == from {
				continue
			}
			if _, err := l.conn.Write(out[from:to]); err != nil {
				l.close(err)
				return
			}
			if from = to; to < len(out) {
				time.Sleep(splitPause)
			}
		}
		if last != nil {
			l.close(last)
			return
		}
	}
}

// read gives the next PDU; its octets are good until the next read. Before it waits for the peer it lets go what was put.
func (l *link) read() ([]byte, error) {
	l.mu.Lock()
	for len(l.pending) > maxPending && l.err == nil {
		l.room.Wait()
	}
	l.mu.Unlock()
	if l.r.Buffered() < 4 {
		l.flush()
	}
	first, err := l.r.Peek(4)
	if err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(first)
	if n < headerLength || n > maxPDU {
		return nil, fmt.Errorf("%w: command_length %d", ErrMalformed, n)
	}
	if l.r.Buffered() < int(n) {
		l.flush()
	}
	p, err := l.r.Peek(int(n))
	if err != nil {
		return nil, err
	}
	_, err = l.r.Discard(int(n))
	return p, err
}
