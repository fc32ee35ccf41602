package gatewaytest

import (
	"strconv"
	"time"
)

// Action is what a script does with one submit_sm or deliver_sm. The zero value answers as the configuration says.
type Action struct {
	Status    uint32        // command_status of the answer where it is not 0
	MessageID string        // the SMSC id in place of the configured one
	Delay     time.Duration // before the answer, in place of Latency

	Drop       bool   // no answer, no receipt
	Close      bool   // the socket is closed in place of an answer
	Cut        bool   // half the answer, then the socket is closed
	CloseAfter bool   // the answer, then the socket is closed
	Twice      bool   // the same answer again
	Split      bool   // the answer in two writes
	Nack       bool   // generic_nack with Status (0: 0x03) in place of the answer
	Sequence   uint32 // of the answer where it is not 0: one that nobody waits for
	Raw        []byte // these octets in place of the answer

	NoReceipt    bool
	ReceiptFirst bool          // the receipt leaves before the answer
	ReceiptTwice bool          // the same receipt again
	ReceiptStat  string        // in place of the configured one
	ReceiptDelay time.Duration // in place of the configured one
}

// submit answers a submit_sm.
func (c *session) submit(h header, p []byte) {
	s := c.smsc
	s.stats.submits.Add(1)
	if !c.canSubmit {
		s.stats.refused.add(StatusWrongState)
		c.respond(cmdSubmitSM|cmdResponse, StatusWrongState, h.sequence)
		return
	}
	v, err := parseSM(p[headerLength:])
	if err != nil {
		s.stats.refused.add(StatusInvalidLength)
		c.respond(cmdSubmitSM|cmdResponse, StatusInvalidLength, h.sequence)
		return
	}
	n := s.ids.Add(1)
	if s.cfg.MessageID != nil {
		c.id = append(c.id[:0], s.cfg.MessageID(n)...)
	} else {
		c.id = strconv.AppendUint(c.id[:0], n, 10)
	}
	if s.cfg.OnOctets != nil {
		if id := s.cfg.OnOctets(v.octets()); id != 0 {
			c.id = strconv.AppendUint(c.id[:0], id, 10)
		}
	}
	status, stat := s.judge(v.registered)

	if !s.curious && v.registered == 0 && s.cfg.Latency == 0 {
		s.count(status)
		c.out = appendResponse(c.out[:0], cmdSubmitSM|cmdResponse, status, h.sequence, c.id)
		c.link.put(c.out)
		return
	}
	in := newIncoming(p, time.Now())
	in.Bind, in.MessageID, in.Status = c.info, string(c.id), status // the reader alone changes info
	var a Action
	if s.cfg.OnSubmit != nil {
		a = s.cfg.OnSubmit(in)
	}
	if a.Status != 0 {
		in.Status = a.Status
	}
	if a.MessageID != "" {
		in.MessageID = a.MessageID
	}
	if a.ReceiptStat != "" {
		stat = a.ReceiptStat
	}
	s.inbox.add(in)
	s.tell(Event{Kind: EventSubmit, Bind: in.Bind, Submit: &in, Status: in.Status})
	if !a.Drop && !a.Close {
		s.count(in.Status)
	}

	delay, receiptDelay, receipts := s.cfg.Latency, s.cfg.ReceiptDelay, 1
	if a.Delay > 0 {
		delay = a.Delay
	}
	if a.ReceiptDelay > 0 {
		receiptDelay = a.ReceiptDelay
	}
	if a.ReceiptTwice {
		receipts = 2
	}
	lost := a.Drop || a.Close || a.NoReceipt || in.Status != StatusOK
	if lost || !receiptWanted(in.RegisteredDelivery, stat) {
		receipts = 0
	}
	if a.ReceiptFirst {
		s.sendReceipt(&in, stat, receipts, 0)
		receipts = 0
	}
	reply := func() {
		c.link.answer(cmdSubmitSM|cmdResponse, in.Sequence, in.Status, []byte(in.MessageID), &a)
		if !lost && in.RegisteredDelivery&0x10 != 0 { // intermediate notification (SMPP 3.4, 5.2.17)
			s.queueReceipt(&in, "ENROUTE", 0x20)
		}
		s.sendReceipt(&in, stat, receipts, receiptDelay)
	}
	if delay > 0 {
		s.schedule.after(delay, func() { reply(); c.link.flush() })
		return
	}
	reply()
}

func (s *SMSC) count(status uint32) {
	if status == StatusOK {
		s.stats.accepted.Add(1)
	} else {
		s.stats.refused.add(status)
	}
}

// judge gives the command_status that the configuration has for the next submit_sm, and the state that its receipt would tell.
func (s *SMSC) judge(registered byte) (status uint32, stat string) {
	if s.cfg.ThrottleAbove == 0 && s.cfg.ErrorRate == 0 && registered&0x03 == 0 {
		return StatusOK, ""
	}
	s.diceMu.Lock()
	defer s.diceMu.Unlock()
	if s.cfg.ThrottleAbove > 0 {
		if now := time.Now(); now.Sub(s.second) >= time.Second {
			s.second, s.inSecond = now, 0
		}
		if s.inSecond++; s.inSecond > s.cfg.ThrottleAbove {
			s.stats.throttled.Add(1)
			return StatusThrottled, ""
		}
	}
	if s.cfg.ErrorRate > 0 && s.dice.Float64() < s.cfg.ErrorRate {
		return s.cfg.ErrorStatus, ""
	}
	if registered&0x03 != 0 {
		stat = s.stat.draw(s.dice)
	}
	return StatusOK, stat
}

// answer puts a response as a script says. The caller flushes.
func (l *link) answer(command, sequence, status uint32, id []byte, a *Action) {
	if a.Sequence != 0 {
		sequence = a.Sequence
	}
	if a.Nack && status == StatusOK {
		status = StatusInvalidID
	}
	var p []byte
	switch {
	case a.Raw != nil:
		p = a.Raw
	case a.Nack:
		p = appendHeader(nil, cmdGenericNack, status, sequence)
	default:
		p = appendResponse(nil, command, status, sequence, id)
	}
	switch {
	case a.Drop:
	case a.Close:
		l.close(errHangUp)
	case a.Cut:
		l.put(p[:len(p)/2])
		l.hangUp(errHangUp)
	case a.Split:
		l.putSplit(p)
	default:
		l.put(p)
		if a.Twice {
			l.put(p)
		}
	}
	if a.CloseAfter {
		l.hangUp(errHangUp)
	}
}
