package gatewaytest

import (
	"time"

	"github.com/linxGnu/gosmpp/pdu"
)

// session is one socket of an SMSC.
type session struct {
	smsc *SMSC
	link *link

	// Of the reader alone.
	canSubmit bool
	bound     bool // as isBound, without the lock
	out, id   []byte

	// Guarded by smsc.mu.
	info     BindInfo
	isBound  bool
	group    *group // where its deliveries come from; nil where it cannot receive
	sequence uint32
	inflight map[uint32]*delivery
	sweeping bool
	scratch  []byte
}

// nextSequence counts from 1 to 0x7FFFFFFF and again (SMPP 3.4, 5.1.4); mu is held.
func (c *session) nextSequence() uint32 {
	c.sequence = c.sequence&0x7FFFFFFF + 1
	if c.sequence > 0x7FFFFFFF {
		c.sequence = 1
	}
	return c.sequence
}

// serve is the reader: it runs until the socket is closed.
func (c *session) serve() {
	for {
		p, err := c.link.read()
		if err != nil {
			c.link.close(err)
			break
		}
		if Refusal(c.smsc.refusal.Load()) == RefuseAnswer {
			continue
		}
		c.handle(parseHeader(p), p)
	}
	c.end()
}

// respond answers with a header alone.
func (c *session) respond(command, status, sequence uint32) {
	c.out = appendHeader(c.out[:0], command, status, sequence)
	c.link.put(c.out)
}

func (c *session) handle(h header, p []byte) {
	stats := &c.smsc.stats
	switch h.command {
	case cmdSubmitSM:
		c.submit(h, p)
	case cmdDeliverSM | cmdResponse:
		c.delivered(h.sequence, h.status)
	case cmdGenericNack:
		stats.nacks.Add(1)
		c.delivered(h.sequence, h.status)
	case cmdEnquireLink:
		stats.enquireLinks.Add(1)
		c.respond(cmdEnquireLink|cmdResponse, StatusOK, h.sequence)
	case cmdEnquireLink | cmdResponse:
		stats.enquireLinkAnswers.Add(1)
	case cmdBindReceiver, cmdBindTransmitter, cmdBindTransceiver:
		c.bind(h, p)
	case cmdUnbind:
		stats.unbinds.Add(1)
		c.respond(cmdUnbind|cmdResponse, StatusOK, h.sequence)
		c.link.hangUp(ErrUnbound)
	case cmdUnbind | cmdResponse:
		stats.unbindAnswers.Add(1)
		c.link.hangUp(ErrUnbound)
	case cmdQuerySM:
		c.respond(h.command|cmdResponse, StatusQueryFailed, h.sequence)
	case cmdCancelSM:
		c.respond(h.command|cmdResponse, StatusCancelFailed, h.sequence)
	case cmdReplaceSM:
		c.respond(h.command|cmdResponse, StatusReplaceFailed, h.sequence)
	case cmdSubmitMulti, cmdDataSM:
		c.respond(h.command|cmdResponse, StatusSubmitFailed, h.sequence)
	default:
		stats.strays.Add(1)
		if h.command&cmdResponse == 0 {
			c.respond(cmdGenericNack, StatusInvalidID, h.sequence)
		}
	}
}

// bind answers a bind_transceiver, bind_transmitter or bind_receiver (SMPP 3.4, 4.1).
func (c *session) bind(h header, p []byte) {
	s := c.smsc
	parsed, err := parseControl(p)
	req, ok := parsed.(*pdu.BindRequest)
	if err != nil || !ok {
		c.respond(h.command|cmdResponse, StatusInvalidLength, h.sequence)
		return
	}
	if c.bound {
		c.respond(h.command|cmdResponse, StatusAlreadyBound, h.sequence)
		return
	}
	s.mu.Lock()
	info := c.info
	s.mu.Unlock()
	info.SystemID, info.Password, info.SystemType = req.SystemID, req.Password, req.SystemType
	info.InterfaceVersion = req.InterfaceVersion
	info.AddrTON, info.AddrNPI, info.AddressRange = req.AddressRange.Ton, req.AddressRange.Npi, req.AddressRange.AddressRange
	info.Since = time.Now()
	info.Mode = map[uint32]string{
		cmdBindReceiver: "receiver", cmdBindTransmitter: "transmitter", cmdBindTransceiver: "transceiver",
	}[h.command]

	if status := s.admit(info); status != StatusOK {
		s.stats.bindsRefused.Add(1)
		c.respond(h.command|cmdResponse, status, h.sequence)
		s.tell(Event{Kind: EventBind, Bind: info, Status: status})
		return
	}
	resp := pdu.NewBindResp(*req)
	resp.SystemID = "smsc"
	if info.InterfaceVersion >= 0x34 {
		resp.RegisterOptionalParam(pdu.Field{Tag: pdu.Tag(TagInterfaceVersion), Data: []byte{0x34}})
	}
	c.link.put(marshalControl(resp, h.sequence))
	c.bound, c.canSubmit = true, h.command != cmdBindReceiver
	s.stats.binds.Add(1)
	s.tell(Event{Kind: EventBind, Bind: info})

	s.mu.Lock()
	c.info, c.isBound = info, true
	if h.command != cmdBindTransmitter {
		c.group = s.groupOf(info.SystemID)
		c.group.sessions = append(c.group.sessions, c)
		c.group.queue.items = append(c.group.queue.items, s.anybody.drain()...)
		s.pump(c.group, c)
	}
	s.notify()
	s.mu.Unlock()
	if s.cfg.EnquireLink > 0 {
		s.schedule.after(s.cfg.EnquireLink, c.enquire)
	}
}

// admit gives the command_status of a bind.
func (s *SMSC) admit(b BindInfo) uint32 {
	switch Refusal(s.refusal.Load()) {
	case RefusePassword:
		return StatusWrongPassword
	case RefuseSystemID:
		return StatusWrongSystemID
	case RefuseBind:
		return StatusBindFailed
	}
	if s.cfg.SystemID != "" && b.SystemID != s.cfg.SystemID {
		return StatusWrongSystemID
	}
	if s.cfg.Password != "" && b.Password != s.cfg.Password {
		return StatusWrongPassword
	}
	if s.cfg.OnBind != nil {
		return s.cfg.OnBind(b)
	}
	return StatusOK
}

// enquire sends enquire_link, and again after the same time, as long as the bind stands.
func (c *session) enquire() {
	s := c.smsc
	s.mu.Lock()
	bound := c.isBound
	if bound {
		c.link.put(appendHeader(nil, cmdEnquireLink, 0, c.nextSequence()))
		c.link.flush()
	}
	s.mu.Unlock()
	if bound {
		s.schedule.after(s.cfg.EnquireLink, c.enquire)
	}
}

// end takes the session out of the SMSC. Receipts that were not answered go back to their queue, as an SMSC keeps them; other
// deliveries are told.
func (c *session) end() {
	s, cause := c.smsc, c.link.cause()
	s.mu.Lock()
	delete(s.sessions, c)
	was, info := c.isBound, c.info
	c.isBound = false
	var lost []*delivery
	if g := c.group; g != nil {
		g.remove(c)
		for _, d := range c.inflight {
			if d.done == nil && !s.closed {
				g.queue.push(d)
			} else {
				lost = append(lost, d)
			}
		}
		clear(c.inflight)
		s.pump(g, nil)
	}
	s.notify()
	s.mu.Unlock()
	for _, d := range lost {
		d.finish(s, info, 0, cause)
	}
	if was {
		s.tell(Event{Kind: EventUnbind, Bind: info, Err: cause})
	}
}
