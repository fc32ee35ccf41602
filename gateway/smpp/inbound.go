package smpp

import (
	"bytes"
	"encoding/binary"
	"time"

	"sipsmpp/gateway/receipt"
	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/text"
)

// inbound is what the reader of a bind decodes into; it is used again for each PDU.
type inbound struct {
	sm   wire.SM
	data wire.DataSM
}

// decode reads a submit_sm, deliver_sm or data_sm. What it gives is good until the next.
func (in *inbound) decode(command wire.CommandID, body []byte) (*wire.SM, error) {
	if command != wire.CmdDataSM {
		return &in.sm, in.sm.DecodeBody(body)
	}
	d := &in.data
	err := d.DecodeBody(body)
	in.sm = wire.SM{
		ServiceType: d.ServiceType, Source: d.Source, Dest: d.Dest, ESMClass: d.ESMClass,
		RegisteredDelivery: d.RegisteredDelivery, DataCoding: d.DataCoding, TLVs: d.TLVs,
	}
	return &in.sm, err
}

// received is called by the session: a deliver_sm, a data_sm, an alert_notification, an outbind on a socket that we opened, or the bind that our own outbind
// asked for.
func (b *bind) received(s *session, h wire.Header, body []byte) {
	switch h.Command {
	case wire.CmdDeliverSM, wire.CmdDataSM:
	case wire.CmdBindTransmitter, wire.CmdBindReceiver, wire.CmdBindTransceiver:
		b.peerBinds(s, h, body)
		return
	case wire.CmdAlertNotification:
		b.alert(h, body)
		return
	default:
		b.log.Warn("the peer sent an outbind on a socket that we opened; it is ignored", "seq", h.Sequence)
		return
	}
	sm, err := b.inbound.decode(h.Command, body)
	if err != nil {
		b.connection.counters.malformed.Add(1)
		b.log.Warn("a PDU that does not parse is refused", "command", h.Command, "seq", h.Sequence, "error", err)
		s.respond(h, wire.StatusOf(err))
		return
	}
	if !s.accept(h) {
		return
	}
	answer := s.answerer(h)
	if receipt.Is(sm.ESMClass) {
		s.handOn() // the response that names its message may have come just before it
		b.receipt(h, sm, answer)
		return
	}
	b.connection.counters.received.Add(1)
	b.connection.all.handler.Message(b.message(sm), answer)
}

// alert hands on an alert_notification, which has no response (SMPP 3.4, 4.12).
func (b *bind) alert(h wire.Header, body []byte) {
	var p wire.AlertNotification
	if err := p.DecodeBody(body); err != nil {
		b.connection.counters.malformed.Add(1)
		b.log.Warn("a PDU that does not parse", "command", h.Command, "seq", h.Sequence, "error", err)
		return
	}
	state, _ := p.TLVs.Uint(wire.TagMSAvailabilityStatus) // none: available (SMPP 3.4, 5.3.2.30)
	b.connection.all.handler.Alert(b.connection.row.Name, p.Source, state)
}

// receipt hands on a delivery receipt. One that names no message helps nobody and would be sent again for ever if it were
// refused, so it is counted and answered with ESME_ROK. It is never taken for a message.
func (b *bind) receipt(h wire.Header, sm *wire.SM, answer func(wire.Status)) {
	c := b.connection
	c.counters.receipts.Add(1)
	// An error means that a user data header is damaged, and then the text is what is left.
	d, _ := text.Decode(userData(sm), sm.ESMClass&wire.ESMClassUDHI != 0, sm.DataCoding, c.cfg.Alphabet)
	said := d.Text
	if d.Alphabet == sms.AlphabetBinary {
		said = string(d.Data) // peers send receipts as data_coding 4
	}
	r, err := receipt.Parse(sm.ESMClass, sm.TLVs, said)
	if err != nil {
		c.counters.malformed.Add(1)
		b.log.Warn("a receipt cannot be read", "seq", h.Sequence, "error", err)
		answer(wire.StatusOK)
		return
	}
	r.From, r.To = sm.Source, sm.Dest
	c.all.handler.Receipt(sms.Connection(c.row.Name), r, answer)
}

// userData is the short_message, or the message_payload in its place (SMPP 3.4, 5.3.2.32).
func userData(sm *wire.SM) []byte {
	if len(sm.ShortMessage) > 0 {
		return sm.ShortMessage
	}
	payload, _ := sm.TLVs.Get(wire.TagMessagePayload)
	return payload
}

// message makes a message of a deliver_sm or data_sm: whole, or one part.
func (b *bind) message(sm *wire.SM) *sms.Message {
	return messageOf(sm, sms.Connection(b.connection.row.Name), b.remote, b.connection.cfg.Alphabet)
}

// messageOf makes a message of what came by a leg: whole, or one part. alphabet is what data_coding 0 means there.
func messageOf(sm *wire.SM, ingress sms.Leg, peer string, alphabet sms.Alphabet) *sms.Message {
	m := &sms.Message{
		Ingress: ingress, Peer: peer, From: sm.Source, To: sm.Dest,
		DataCoding: sm.DataCoding, HasDataCoding: true, ServiceType: sm.ServiceType, ProtocolID: sm.ProtocolID,
		Priority: sm.PriorityFlag, ReplaceIfPresent: sm.ReplaceIfPresent != 0, ReplyPath: sm.ESMClass&wire.ESMClassReplyPath != 0,
		Segments: 1, Received: time.Now(),
	}
	decode := text.Decode
	part, parted := sarPart(sm.TLVs)
	if parted {
		decode = text.DecodePart
	}
	// The only error is a damaged user data header; the text beside it is there nevertheless, and better than nothing.
	d, _ := decode(userData(sm), sm.ESMClass&wire.ESMClassUDHI != 0, sm.DataCoding, alphabet)
	m.Text, m.Data, m.Alphabet, m.Class, m.UDH, m.Part = d.Text, d.Data, d.Alphabet, d.Class, d.UDH, d.Part
	if parted {
		m.Part = part
	}
	for _, t := range sm.TLVs {
		if partsTag(t.Tag) && (parted || t.Tag == wire.TagMessagePayload) {
			continue
		}
		m.TLVs = append(m.TLVs, sms.TLV{Tag: t.Tag, Value: bytes.Clone(t.Value)})
	}
	return m
}

// sarPart reads the sar_* parameters (SMPP 3.4, 5.3.2.22 to 24); false where they are not there or make no sense.
func sarPart(tlvs wire.TLVs) (sms.Part, bool) {
	if len(tlvs) < 3 {
		return sms.Part{}, false
	}
	ref, _ := tlvs.Get(wire.TagSARMsgRefNum)
	total, _ := tlvs.Get(wire.TagSARTotalSegments)
	seq, _ := tlvs.Get(wire.TagSARSegmentSeqnum)
	if len(ref) != 2 || len(total) != 1 || len(seq) != 1 {
		return sms.Part{}, false
	}
	p := sms.Part{Ref: binary.BigEndian.Uint16(ref), Wide: true, Total: total[0], Seq: seq[0]}
	return p, p.Total > 1 && p.Seq > 0 && p.Seq <= p.Total
}
