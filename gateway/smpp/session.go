package smpp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"sipsmpp/gateway/gather"
	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

// Bounds of one session.
const (
	// fullOut is how many octets may wait for the socket before segments wait in the queue instead, whatever the window is.
	fullOut = 256 << 10
	// maxOut is how many may wait at all. Only responses go beyond fullOut: to a peer that sends and does not read.
	maxOut = 1 << 20
	// keepOut is the greatest buffer that a session keeps when it is empty.
	keepOut = 32 << 10
	// maxUnanswered is how many messages of the peer may wait for our answer.
	maxUnanswered = 1000
)

// Why sessions end. A refused bind is a *bindRefusedError.
var (
	errUnbound      = errors.New("unbound by us")
	errPeerUnbound  = errors.New("unbound by the peer")
	errPeerClosed   = errors.New("closed by the peer")
	errBindTimeout  = errors.New("the peer did not answer the bind in time")
	errSilent       = errors.New("the peer answers nothing")
	errDoesNotRead  = errors.New("the peer does not read what it is sent")
	errUnbindSilent = errors.New("the peer did not answer the unbind in time")
	errStopped      = errors.New("stopped")
)

// bindRefusedError is a bind response that says no.
type bindRefusedError struct{ status wire.Status }

func (e *bindRefusedError) Error() string {
	hint := ""
	if e.credentials() {
		hint = "; check system_id, password, system_type and the peer's list of allowed addresses and binds"
	}
	return fmt.Sprintf("the peer refused the bind: %s, %v%s", e.status.Text(), e.status, hint)
}

// credentials says that trying again soon is useless, and may lock the account.
func (e *bindRefusedError) credentials() bool {
	switch e.status {
	case wire.StatusBindFailed, wire.StatusInvalidPassword, wire.StatusInvalidSystemID, wire.StatusInvalidSystemType,
		wire.StatusAlreadyBound:
		return true
	}
	return false
}

// owner is whose session it is. It is called without locks, by the session's reader unless it says otherwise, and does not block.
type owner interface {
	// bound is called when the peer accepted our bind.
	bound(s *session)
	// received takes a legal request that the session does not answer by itself. body is valid until it returns.
	received(s *session, h wire.Header, body []byte)
	// answered tells what became of segments, as many as one read or one timeout ended, and that there may be room for others;
	// by any goroutine.
	answered(s *session, answers []answer)
	// idle is called while the session drains and its last unanswered request was answered by us; by any goroutine.
	idle(s *session)
}

// answer is what became of one segment.
type answer struct {
	message *submission
	segment int
	fate    sms.Fate // Accepted, Refused, Unknown or NotSent
	status  wire.Status
	id      string // SMSC id where it was accepted and the peer gives one, which named says
	named   bool
	reason  error // why there is no answer
	sent    time.Time
	// congestion is the peer's congestion_state where congested says that it told one (SMPP 5.0, 4.8.4.18).
	congestion uint32
	congested  bool
	severity   sms.Severity // of a refusal
}

// timed measures how long the peer took to answer, if it did.
func (a *answer) timed(c *counters, now time.Time) {
	if a.fate == sms.Accepted || a.fate == sms.Refused {
		c.response.Observe(now.Sub(a.sent))
	}
}

// sessionConfig is what a session goes by.
type sessionConfig struct {
	role            role // ours
	window          int
	responseTimeout time.Duration
	enquireLink     time.Duration // 0: never
	unanswered      int           // most messages of the peer that may wait for our answer; 0: maxUnanswered
	counters        *counters
	gather          *gather.Group
	log             *slog.Logger
}

// session is one SMPP life on one socket. Two goroutines serve it: read and write; it is over when both have returned, and then
// finish tells what became of what was in flight.
type session struct {
	sessionConfig
	conn  net.Conn
	owner owner
	wake  chan struct{} // the writer has something to do
	dead  chan struct{} // closed when cause is set
	wrote chan struct{} // closed when the writer is gone

	// Of the reader alone.
	answers []answer
	resp    wire.SMResp

	writing sync.Mutex // of who writes to the socket

	mu         sync.Mutex
	direct     *directWrite // who holds writing may use it; nil: only the writer writes
	state      state
	cause      error // why it ended; set once
	window     window
	out        []byte // what waits for the socket
	queued     uint64 // octets that were ever put in out
	written    uint64 // octets that the socket took
	spare      []byte // to be out next
	late       bool   // out leaves with the batch that is being worked on
	lastWords  error  // the cause to close with when out is empty
	reads      uint64
	lastRead   time.Time
	worked     time.Time // when something but enquire_link came or went last
	enquiring  bool      // an enquire_link waits for its response
	unanswered int       // requests of the peer that the owner has not answered
	draining   bool      // requests of the peer are refused
	noTLVs     bool      // the peer's interface_version is below 3.4
	timer      *time.Timer
	timerAt    time.Time // when timer runs out; zero: it does not run
}

func newSession(conn net.Conn, owner owner, config sessionConfig) *session {
	return &session{
		sessionConfig: config, conn: conn, owner: owner, lastRead: time.Now(),
		wake: make(chan struct{}, 1), dead: make(chan struct{}), wrote: make(chan struct{}),
	}
}

// begin sends our bind.
func (s *session) begin(command wire.CommandID, bind *wire.Bind) {
	if err := s.request(command, bind); err != nil {
		s.close(fmt.Errorf("the bind cannot be sent: %w", err))
	}
}

// serve serves the session until it is over, and gives its cause.
func (s *session) serve() error {
	s.mu.Lock()
	s.direct = newDirectWrite(s.conn)
	s.mu.Unlock()
	go s.write()
	s.read()
	<-s.wrote
	return s.cause
}

// request sends a request of the session itself: a bind, enquire_link or unbind.
func (s *session) request(command wire.CommandID, body wire.Body) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requestLocked(command, body)
}

func (s *session) requestLocked(command wire.CommandID, body wire.Body) error {
	sequence := s.window.next()
	start := len(s.out)
	out, err := wire.Append(s.out, wire.Header{Command: command, Sequence: sequence}, body)
	if err != nil {
		return err
	}
	s.register(request{command: command, sequence: sequence, sent: time.Now()}, out, start)
	return nil
}

// notify sends a request that has no response.
func (s *session) notify(command wire.CommandID, body wire.Body) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	start := len(s.out)
	out, err := wire.Append(s.out, wire.Header{Command: command, Sequence: s.window.next()}, body)
	if err == nil {
		s.queue(out, start)
	}
	return err
}

// register puts a request in the window before its octets can reach the socket: a peer on the same host answers before the
// write returns.
func (s *session) register(r request, out []byte, start int) {
	r.reads, r.start = s.reads, s.queued
	s.window.add(r)
	s.queue(out, start)
	s.arm(r.sent.Add(s.responseTimeout))
}

// queue takes out with what was appended to it from start on. The lock is held.
func (s *session) queue(out []byte, start int) {
	s.traceSent(out[start:])
	s.out = out
	s.queued += uint64(len(out) - start)
	if s.late {
		return
	}
	if s.late = s.gather.Later(s); !s.late {
		s.wakeWriter()
	}
}

func (s *session) wakeWriter() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// room is how many more segments the session takes now.
func (s *session) room() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roomLocked()
}

func (s *session) roomLocked() int {
	if !legal[s.state][s.role].has(s.carrier()) || len(s.out) >= fullOut {
		return 0
	}
	return s.sessionConfig.window - s.window.messages
}

// carrier is the request that messages leave by.
func (s *session) carrier() wire.CommandID {
	if s.role == smsc {
		return wire.CmdDeliverSM
	}
	return wire.CmdSubmitSM
}

// errNoRoom is for a segment that came when the window was full or the session over. Nothing was sent.
var errNoRoom = errors.New("no room")

// submit sends one segment. Any error but errNoRoom is of the codec: the segment cannot be sent by any session.
func (s *session) submit(m *submission, segment int, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.roomLocked() <= 0 {
		return errNoRoom
	}
	sequence := s.window.next()
	start := len(s.out)
	command := s.carrier()
	out, err := m.append(s.out, command, segment, sequence, now, s.noTLVs)
	if err != nil {
		return err
	}
	s.worked = now
	s.register(request{command: command, sequence: sequence, sent: now, message: m, segment: segment}, out, start)
	return nil
}

// respond answers a request of the peer.
func (s *session) respond(h wire.Header, status wire.Status) {
	s.mu.Lock()
	over := s.respondLocked(h, status, "")
	s.mu.Unlock()
	if over {
		s.close(errDoesNotRead)
	}
}

// respondLocked answers a request of the peer, a message that was taken with our id of it.
func (s *session) respondLocked(h wire.Header, status wire.Status, id string) (over bool) {
	if s.state == stateClosed {
		return false
	}
	start := len(s.out)
	out := wire.AppendHeader(s.out, wire.Header{Command: h.Command.Resp(), Status: status, Sequence: h.Sequence})
	switch {
	case h.Command == wire.CmdDeliverSM, h.Command == wire.CmdDataSM && s.role == esme:
		out = wire.Finish(append(out, 0), start) // message_id, unused (SMPP 3.4, 4.6.2)
	case status != wire.StatusOK: // and then there is no body (SMPP 3.4, 4.4.2)
	case h.Command == wire.CmdSubmitSM, h.Command == wire.CmdDataSM:
		out = wire.Finish(append(append(out, id...), 0), start)
	}
	s.queue(out, start)
	return len(s.out) > maxOut
}

// respondWithLocked answers a request of the peer with ESME_ROK and a body.
func (s *session) respondWithLocked(h wire.Header, body wire.Body) (over bool) {
	if s.state == stateClosed {
		return false
	}
	start := len(s.out)
	out, err := wire.Append(s.out, wire.Header{Command: h.Command.Resp(), Sequence: h.Sequence}, body)
	if err != nil {
		s.log.Error("a response cannot be written", "command", h.Command.Resp(), "seq", h.Sequence, "error", err)
		return s.respondLocked(h, wire.StatusSystemError, "")
	}
	s.queue(out, start)
	return len(s.out) > maxOut
}

// admitLocked binds the peer, which asked for it by h, as command does, and answers it. The lock is held.
func (s *session) admitLocked(h wire.Header, command wire.CommandID, systemID string, version uint8) {
	resp := &wire.BindResp{SystemID: systemID}
	s.noTLVs = version < 0x34 // SMPP 3.4, 3.4: no optional parameters to who speaks an earlier version
	if !s.noTLVs {
		resp.TLVs = wire.TLVs{{Tag: wire.TagSCInterfaceVersion, Value: []byte{0x34}}}
	}
	s.state = boundBy(command)
	s.respondWithLocked(h, resp)
	if s.enquireLink > 0 {
		s.arm(s.lastRead.Add(s.enquireLink))
	}
}

// refuse answers the peer's bind with an error, after which the session ends with that cause.
func (s *session) refuse(h wire.Header, status wire.Status, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateOpen {
		s.respondLocked(h, status, "")
		s.state, s.lastWords = stateUnbinding, cause
		s.wakeWriter()
	}
}

// closeUnbound closes the session if it is not bound.
func (s *session) closeUnbound(cause error) {
	s.mu.Lock()
	waiting := s.state == stateOpen
	s.mu.Unlock()
	if waiting {
		s.close(cause)
	}
}

// answerer is the func that answers a request which the owner took. The first call counts.
func (s *session) answerer(h wire.Header) func(wire.Status) {
	var answered atomic.Bool
	return func(status wire.Status) {
		if !answered.Swap(true) {
			s.answer(h, status, "", nil)
		}
	}
}

// answer answers a request that accept counted: with a body, or with a status and our id.
func (s *session) answer(h wire.Header, status wire.Status, id string, body wire.Body) {
	var over bool
	s.mu.Lock()
	s.unanswered--
	idle := s.draining && s.unanswered == 0
	if body != nil {
		over = s.respondWithLocked(h, body)
	} else {
		over = s.respondLocked(h, status, id)
	}
	s.mu.Unlock()
	if over {
		s.close(errDoesNotRead)
	} else if idle {
		s.owner.idle(s)
	}
}

// accept counts a message of the peer that the owner will answer; if it must not, it is answered here, and accept says false.
func (s *session) accept(h wire.Header) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.draining:
		s.respondLocked(h, wire.StatusSystemError, "")
	case s.unanswered >= s.mayWait():
		s.respondLocked(h, wire.StatusThrottled, "")
	default:
		s.unanswered++
		return true
	}
	return false
}

// mayWait is how many messages of the peer may wait for our answer.
func (s *session) mayWait() int {
	if n := s.sessionConfig.unanswered; n > 0 {
		return n
	}
	return maxUnanswered
}

// drain refuses what the peer sends from now on, and says whether nothing is in flight either way.
func (s *session) drain() (idle bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	return s.window.messages == 0 && s.unanswered == 0
}

// unbind ends the session: unbind, its response, close. What is in flight ends with it.
func (s *session) unbind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.bound() {
		s.state = stateUnbinding
		_ = s.requestLocked(wire.CmdUnbind, nil) // a header always encodes
	}
}

// lastWorked is when something but enquire_link came or went last.
func (s *session) lastWorked() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.worked
}

// inFlight is how many segments wait for their response.
func (s *session) inFlight() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.window.messages
}

// close ends the session with a cause. The first one counts.
func (s *session) close(cause error) {
	s.mu.Lock()
	if s.cause != nil {
		s.mu.Unlock()
		return
	}
	s.cause, s.state = cause, stateClosed
	if s.timer != nil {
		s.timer.Stop()
	}
	close(s.dead)
	s.mu.Unlock()
	conn := s.conn
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn() // without close_notify, which would wait for a peer that does not read
	}
	conn.Close()
}

// finish gives what became of the segments that were in flight when the session ended. Both goroutines are gone.
func (s *session) finish() []answer {
	s.writing.Lock() // a Flush by another goroutine may not have returned yet
	defer s.writing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	var left []answer
	for s.window.oldest != nil {
		r := s.window.remove(s.window.oldest)
		if r.message == nil {
			continue
		}
		fate := sms.Unknown
		if r.start >= s.written {
			fate = sms.NotSent // not one octet of it left
		}
		left = append(left, answer{message: r.message, segment: r.segment, fate: fate, reason: s.cause})
	}
	return left
}

// arm makes tick run at the given time, or before. The lock is held.
func (s *session) arm(at time.Time) {
	if s.state == stateClosed || !s.timerAt.IsZero() && !at.Before(s.timerAt) {
		return
	}
	s.timerAt = at
	if s.timer == nil {
		s.timer = time.AfterFunc(time.Until(at), s.tick)
	} else {
		s.timer.Reset(time.Until(at))
	}
}

// tick does what is due by time: requests that ran out, and the question whether a silent peer is alive. The one timer of the
// session is set for what is due next when it was set, and so runs out now and then for nothing; it never costs a request more
// than a comparison.
func (s *session) tick() {
	now := time.Now()
	var answers []answer
	var cause error
	s.mu.Lock()
	if s.state == stateClosed {
		s.mu.Unlock()
		return
	}
	s.timerAt = time.Time{}
	for s.window.oldest != nil && !now.Before(s.window.oldest.sent.Add(s.responseTimeout)) {
		if s.window.oldest.start >= s.written {
			cause = errDoesNotRead // and only the end of the write tells what has left, see finish
			break
		}
		r := s.window.remove(s.window.oldest)
		silent := r.reads == s.reads // nothing came since it was sent, so nobody is there
		switch r.command {
		case wire.CmdBindTransmitter, wire.CmdBindReceiver, wire.CmdBindTransceiver:
			cause = errBindTimeout
		case wire.CmdUnbind:
			cause = errUnbindSilent
		case wire.CmdEnquireLink:
			s.enquiring = false
			if silent {
				cause = fmt.Errorf("%w: no enquire_link_resp in %v", errSilent, s.responseTimeout)
			}
		default:
			reason := fmt.Errorf("no %v in %v", r.command.Resp(), s.responseTimeout)
			answers = append(answers, answer{message: r.message, segment: r.segment, fate: sms.Unknown, reason: reason})
			if silent {
				cause = fmt.Errorf("%w: %w", errSilent, reason)
			}
		}
	}
	if s.state.bound() && s.enquireLink > 0 && !s.enquiring && cause == nil {
		if due := s.lastRead.Add(s.enquireLink); now.Before(due) {
			s.arm(due)
		} else {
			s.enquiring = true
			_ = s.requestLocked(wire.CmdEnquireLink, nil) // a header always encodes
		}
	}
	switch {
	case cause != nil: // it is closed below, and nothing more is due
	case s.window.oldest != nil:
		s.arm(s.window.oldest.sent.Add(s.responseTimeout))
	case s.state.bound() && s.enquireLink > 0 && !s.enquiring:
		s.arm(s.lastRead.Add(s.enquireLink))
	}
	s.mu.Unlock()
	if cause != nil {
		s.close(cause)
	}
	if len(answers) > 0 {
		s.owner.answered(s, answers)
	}
}

// stopWith closes the session when ctx ends. The returned func gives that up.
func (s *session) stopWith(ctx context.Context) (release func() bool) {
	return context.AfterFunc(ctx, func() { s.close(errStopped) })
}
