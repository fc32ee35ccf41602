package smpp

import (
	"bytes"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"sipsmpp/gateway/receipt"
	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/text"
)

// What an ESME asks of us once it is bound: to take messages, and what became of them.

// message makes a message of what the ESME submitted, or gives the status to refuse it with.
func (b *accountBind) message(sm *wire.SM, id sms.ID) (*sms.Message, wire.Status) {
	if sm.Dest.IsZero() {
		return nil, wire.StatusInvalidDestination
	}
	if sm.ScheduleDeliveryTime != "" {
		return nil, wire.StatusInvalidSchedule // a message is delivered at once
	}
	m := messageOf(sm, sms.Account(b.account.systemID), b.remote, b.alphabet)
	m.ID = id
	var err error
	if m.Expires, err = wire.ParseTime(sm.ValidityPeriod, m.Received); err != nil {
		return nil, wire.StatusInvalidValidity
	}
	if m.Receipt = receiptRequest(sm.RegisteredDelivery); m.Receipt != sms.ReceiptNone {
		m.Wanted = []sms.WantedReceipt{{ID: id, Receipt: m.Receipt}}
	}
	return m, wire.StatusOK
}

// receiptRequest is what registered_delivery asks of an SMSC (SMPP 3.4, 5.2.17); 3 is SMPP 5.0's wish for success alone, and gets
// every final state.
func receiptRequest(registered uint8) sms.ReceiptRequest {
	switch {
	case registered&wire.RegisteredIntermediate != 0:
		return sms.ReceiptAll
	case registered&3 == wire.RegisteredFailure:
		return sms.ReceiptFailure
	case registered&3 != 0:
		return sms.ReceiptFinal
	}
	return sms.ReceiptNone
}

// segmentsOf is how many segments a PDU counts against the throughput: one, or as many as its message_payload will make.
func segmentsOf(short []byte, tlvs wire.TLVs) int {
	payload, _ := tlvs.Get(wire.TagMessagePayload)
	if len(short) > 0 || len(payload) <= 140 {
		return 1
	}
	return (len(payload) + 133) / 134
}

// submit takes a submit_sm or data_sm.
func (b *accountBind) submit(h wire.Header, sm *wire.SM) {
	s := b.session
	if !s.accept(h) {
		return
	}
	if !b.account.take(segmentsOf(sm.ShortMessage, sm.TLVs)) {
		b.account.counters.limited.Add(1)
		s.answer(h, wire.StatusThrottled, "", nil)
		return
	}
	m, status := b.message(sm, b.all.config.NextID())
	if status != wire.StatusOK {
		s.answer(h, status, "", nil)
		return
	}
	b.account.counters.received.Add(1)
	var answered atomic.Bool
	b.all.handler.Submit(m, func(status wire.Status, id sms.ID) {
		if answered.Swap(true) {
			return
		}
		text := ""
		if status == wire.StatusOK {
			text = id.String()
		}
		s.answer(h, status, text, nil)
	})
}

// multi is a submit_multi that is not answered: one message for each destination, all under one id.
type multi struct {
	bind *accountBind
	h    wire.Header
	resp wire.SubmitMultiResp
	all  int

	mu   sync.Mutex
	left int
}

// ended takes what became of one destination; the last one answers.
func (m *multi) ended(dest sms.Address, status wire.Status) {
	m.mu.Lock()
	m.left--
	left := m.left
	if status != wire.StatusOK {
		m.resp.Failed = append(m.resp.Failed, wire.MultiFailure{Dest: dest, Status: status})
	}
	m.mu.Unlock()
	switch {
	case left > 0:
	case len(m.resp.Failed) == m.all:
		m.bind.session.answer(m.h, m.resp.Failed[0].Status, "", nil)
	default:
		m.bind.session.answer(m.h, wire.StatusOK, "", &m.resp)
	}
}

// submitMulti takes a submit_multi.
func (b *accountBind) submitMulti(h wire.Header) {
	s, p := b.session, &b.several
	if !s.accept(h) {
		return
	}
	if len(p.Dests) == 0 {
		s.answer(h, wire.StatusInvalidNumberOfDests, "", nil)
		return
	}
	if !b.account.take(len(p.Dests) * segmentsOf(p.ShortMessage, p.TLVs)) {
		b.account.counters.limited.Add(1)
		s.answer(h, wire.StatusThrottled, "", nil)
		return
	}
	told := b.all.config.NextID()
	all := &multi{bind: b, h: h, all: len(p.Dests), left: len(p.Dests), resp: wire.SubmitMultiResp{MessageID: told.String()}}
	for i := range p.Dests {
		d := p.Dests[i]
		if d.List != "" {
			all.ended(sms.Address{Value: d.List}, wire.StatusCannotSubmitToDL)
			continue
		}
		m, status := b.message(&wire.SM{
			ServiceType: p.ServiceType, Source: p.Source, Dest: d.Address, ESMClass: p.ESMClass, ProtocolID: p.ProtocolID,
			PriorityFlag: p.PriorityFlag, ScheduleDeliveryTime: p.ScheduleDeliveryTime, ValidityPeriod: p.ValidityPeriod,
			RegisteredDelivery: p.RegisteredDelivery, ReplaceIfPresent: p.ReplaceIfPresent, DataCoding: p.DataCoding,
			ShortMessage: p.ShortMessage, TLVs: p.TLVs,
		}, told)
		if status != wire.StatusOK {
			all.ended(d.Address, status)
			continue
		}
		if i > 0 {
			m.ID = b.all.config.NextID() // a record of its own; its receipts name the one that the ESME was told
		}
		b.account.counters.received.Add(1)
		var answered atomic.Bool
		b.all.handler.Submit(m, func(status wire.Status, _ sms.ID) {
			if !answered.Swap(true) {
				all.ended(d.Address, status)
			}
		})
	}
}

// query takes a query_sm.
func (b *accountBind) query(h wire.Header, q *wire.QuerySM) {
	s := b.session
	var answered atomic.Bool
	b.all.handler.Query(b.account.systemID, MessageQuery{ID: q.MessageID, Source: q.Source}, func(a QueryAnswer) {
		if answered.Swap(true) {
			return
		}
		if a.Status != wire.StatusOK {
			s.answer(h, a.Status, "", nil)
			return
		}
		resp := &wire.QuerySMResp{MessageID: q.MessageID, MessageState: receipt.MessageState(a.State)}
		if a.State.Final() && !a.DoneTime.IsZero() {
			resp.FinalDate = wire.FormatTime(a.DoneTime)
		}
		if n, err := strconv.ParseUint(a.Error, 10, 8); err == nil {
			resp.ErrorCode = uint8(n)
		}
		s.answer(h, wire.StatusOK, "", resp)
	})
}

// replace takes a replace_sm.
func (b *accountBind) replace(h wire.Header, r *wire.ReplaceSM) {
	answer := b.session.answerer(h)
	if r.ScheduleDeliveryTime != "" {
		answer(wire.StatusInvalidSchedule) // a message is delivered at once
		return
	}
	expires, err := wire.ParseTime(r.ValidityPeriod, time.Now())
	if err != nil {
		answer(wire.StatusInvalidValidity)
		return
	}
	octets := bytes.Clone(r.ShortMessage)
	if payload, ok := r.TLVs.Get(wire.TagMessagePayload); ok && len(octets) == 0 {
		octets = bytes.Clone(payload)
	}
	alphabet := b.alphabet
	b.all.handler.Replace(b.account.systemID, MessageQuery{ID: r.MessageID, Source: r.Source}, Replacement{
		Receipt: receiptRequest(r.RegisteredDelivery), Expires: expires,
		Decode: func(dataCoding uint8) (string, []byte) {
			d, _ := text.Decode(octets, false, dataCoding, alphabet) // it has no header that could be damaged
			return d.Text, d.Data
		},
	}, answer)
}
