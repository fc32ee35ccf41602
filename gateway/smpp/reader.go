package smpp

import (
	"errors"
	"fmt"
	"io"
	"time"

	"sipsmpp/gateway/gather"
	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

// read is the reader: it takes what one read brought, and only then hands on what that ended and lets leave what came of it.
func (s *session) read() {
	r := wire.NewReader(s.conn, 0)
	var rests gather.Rest
	for {
		first := time.Time{} // when this read brought something
		n := 0
		var err error
		for ; n == 0 || r.Ready(); n++ {
			var h wire.Header
			var body []byte
			if h, body, err = r.Next(); err != nil {
				break
			}
			if n == 0 {
				first = time.Now()
				s.beginBatch(first)
			}
			s.handle(h, body)
		}
		if n > 0 {
			s.endBatch()
		}
		if err != nil {
			s.close(readCause(err))
			return
		}
		rests.After(n, first)
	}
}

// readCause says why reading ended.
func readCause(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return errPeerClosed
	case errors.Is(err, wire.ErrFrameCut):
		return fmt.Errorf("%w: %w", errPeerClosed, err)
	}
	return err
}

// beginBatch starts with what a read brought.
func (s *session) beginBatch(now time.Time) {
	s.gather.Begin()
	s.mu.Lock()
	s.reads++
	s.lastRead = now
	s.mu.Unlock()
}

// handOn hands on the answers that were gathered.
func (s *session) handOn() {
	if len(s.answers) > 0 {
		s.owner.answered(s, s.answers)
		clear(s.answers)
		s.answers = s.answers[:0]
	}
}

// endBatch hands on the answers, which may queue more, and lets all of it leave.
func (s *session) endBatch() {
	s.handOn()
	s.gather.End()
	s.mu.Lock()
	over := len(s.out) > maxOut
	s.mu.Unlock()
	if over {
		s.close(errDoesNotRead)
	}
}

// handle takes one PDU.
func (s *session) handle(h wire.Header, body []byte) {
	s.traceReceived(h, body)
	if h.Command.IsResp() {
		s.response(h, body)
		return
	}
	if !h.Command.Known() {
		s.counters.malformed.Add(1)
		s.log.Debug("a command that SMPP 3.4 does not know", "command_id", uint32(h.Command), "seq", h.Sequence)
		// The specification's own answer is a generic_nack, not the command's response (SMPP 3.4, 4.3.1).
		s.respond(wire.Header{Command: wire.CmdGenericNack, Sequence: h.Sequence}, wire.StatusInvalidCommandID)
		return
	}
	s.mu.Lock()
	now := s.state
	if h.Command != wire.CmdEnquireLink {
		s.worked = s.lastRead
	}
	s.mu.Unlock()
	if !legal[now][s.role.peer()].has(h.Command) {
		s.log.Debug("a command that is illegal in this state", "command", h.Command, "seq", h.Sequence)
		if h.Command.HasResp() {
			s.respond(h, illegal(now, h.Command))
		}
		return
	}
	switch h.Command {
	case wire.CmdEnquireLink:
		s.respond(h, wire.StatusOK)
	case wire.CmdUnbind:
		s.respond(h, wire.StatusOK)
		s.mu.Lock()
		if s.state != stateClosed {
			s.state, s.lastWords = stateUnbinding, errPeerUnbound
		}
		s.mu.Unlock()
	default:
		s.owner.received(s, h, body)
	}
}

// response takes a response of the peer.
func (s *session) response(h wire.Header, body []byte) {
	s.mu.Lock()
	q := s.window.waiting[h.Sequence]
	if q == nil || h.Command != q.command.Resp() && h.Command != wire.CmdGenericNack {
		s.mu.Unlock()
		s.counters.unexpected.Add(1)
		s.log.Debug("a response that nobody waits for", "command", h.Command, "seq", h.Sequence, "status", h.Status)
		return
	}
	r := s.window.remove(q)
	if h.Command == wire.CmdGenericNack && h.Status == wire.StatusOK {
		h.Status = wire.StatusUnknownError // a nack is a no, whatever it says
	}
	switch r.command {
	case wire.CmdEnquireLink:
		s.enquiring = false
		s.mu.Unlock()
	case wire.CmdUnbind:
		s.mu.Unlock()
		s.close(errUnbound)
	case wire.CmdBindTransmitter, wire.CmdBindReceiver, wire.CmdBindTransceiver:
		s.mu.Unlock()
		s.bindAnswered(r.command, h.Status, body)
	default:
		s.mu.Unlock()
		s.answers = append(s.answers, s.segmentAnswered(r, h, body))
	}
}

// segmentAnswered reads a submit_sm_resp or the nack in its place.
func (s *session) segmentAnswered(r request, h wire.Header, body []byte) answer {
	a := answer{message: r.message, segment: r.segment, fate: sms.Refused, status: h.Status, sent: r.sent}
	err := s.resp.DecodeBody(body)
	if state, told := s.resp.TLVs.Uint(wire.TagCongestionState); told && err == nil {
		a.congestion, a.congested = state, true
	}
	if h.Status != wire.StatusOK {
		return a // an error response may have no body, and nothing else in it matters (SMPP 3.4, 4.4.2)
	}
	a.fate = sms.Accepted
	// The peer has accepted it, so a body that does not parse changes nothing but that its SMSC id may be missing.
	if err != nil {
		s.counters.malformed.Add(1)
		s.log.Debug("a response with a bad body", "command", h.Command, "seq", h.Sequence, "error", err)
	}
	if s.role == esme { // message_id is unused in a deliver_sm_resp (SMPP 3.4, 4.6.2)
		a.id, a.named = s.resp.MessageID, true
	}
	return a
}

// bindAnswered takes the response to our bind.
func (s *session) bindAnswered(command wire.CommandID, status wire.Status, body []byte) {
	if status != wire.StatusOK {
		s.close(&bindRefusedError{status})
		return
	}
	var resp wire.BindResp
	_ = resp.DecodeBody(body) // a yes is a yes; only the version is of interest
	version, told := resp.TLVs.Uint(wire.TagSCInterfaceVersion)
	s.mu.Lock()
	if s.state != stateOpen {
		s.mu.Unlock()
		return
	}
	s.state = boundBy(command)
	// SMPP 3.4, 3.4: no optional parameters to who speaks an earlier version. Who tells none is taken for 3.4, as peers are.
	s.noTLVs = told && version < 0x34
	if s.enquireLink > 0 {
		s.arm(s.lastRead.Add(s.enquireLink))
	}
	s.mu.Unlock()
	s.owner.bound(s)
}
