package smpp

import (
	"errors"
	"net"
	"time"
)

// What is queued goes out in one write: at the end of the batch that it came of, by whoever worked on that, if the socket takes it
// at once. What it does not take, and what comes of no batch, is the writer's: nobody but the writer waits for a peer.

// write is the writer.
func (s *session) write() {
	defer close(s.wrote)
	for {
		select {
		case <-s.wake:
		case <-s.dead:
			return
		}
		for s.writeQueued() {
		}
	}
}

// writeQueued writes what is queued, and waits until it has left. It is false if there is nothing to do.
func (s *session) writeQueued() bool {
	s.writing.Lock()
	buf, patience, last := s.takeOut()
	if len(buf) == 0 {
		s.writing.Unlock()
		if last != nil {
			s.close(last)
		}
		return false
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(patience))
	n, err := s.conn.Write(buf)
	s.wroteOut(buf, n)
	s.writing.Unlock()
	if err != nil {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			err = errDoesNotRead
		}
		s.close(err)
		return false
	}
	if len(buf) >= fullOut {
		s.owner.answered(s, nil) // segments may wait for nothing but this
	}
	return true
}

// Flush is called at the end of a batch.
func (s *session) Flush() {
	s.mu.Lock()
	s.late = false
	direct := s.direct
	full := len(s.out) >= fullOut // and when it has left, segments may leave that wait: that is the writer's
	s.mu.Unlock()
	if direct == nil || full || !s.writing.TryLock() {
		s.wakeWriter()
		return
	}
	buf, _, last := s.takeOut()
	n, err := direct.write(buf)
	s.wroteOut(buf, n)
	s.writing.Unlock()
	if err != nil {
		s.close(err)
	} else if n < len(buf) || last != nil {
		s.wakeWriter()
	}
}

// takeOut takes what is queued, unless it leaves with a batch that is being worked on, and gives how long the peer has to take it, and
// the cause to close with after it. s.writing is held.
func (s *session) takeOut() (buf []byte, patience time.Duration, last error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.late {
		return nil, 0, nil
	}
	if len(s.out) > 0 {
		buf, s.out, s.spare = s.out, s.spare[:0], nil
	}
	return buf, s.responseTimeout, s.lastWords // which changes once it is known whose the session is
}

// wroteOut counts what the socket took of buf; the rest goes back before what was queued meanwhile. s.writing is held.
func (s *session) wroteOut(buf []byte, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written += uint64(n)
	switch {
	case n < len(buf):
		s.out = append(buf[n:], s.out...)
	case len(buf) > 0 && cap(buf) <= keepOut:
		s.spare = buf
	}
}
