package smpp

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

// deliver is a deliver_sm as a mobile's message comes.
func deliver(text string, change ...func(*wire.SM)) *wire.SM {
	sm := &wire.SM{
		Source: sms.Address{Value: "4915112345678", TON: 1, NPI: 1}, Dest: sms.Address{Value: "100"}, ShortMessage: []byte(text),
	}
	for _, f := range change {
		f(sm)
	}
	return sm
}

func TestDeliver(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		p := w.net.next().accept()
		p.send(wire.CmdDeliverSM, 0, 41, deliver("hell\x7f \x00", func(sm *wire.SM) {
			sm.ESMClass, sm.ServiceType, sm.ProtocolID, sm.PriorityFlag = wire.ESMClassReplyPath, "CMT", 5, 2
			sm.TLVs = wire.TLVs{{Tag: 0x1401, Value: []byte("v")}, {Tag: 0x1401, Value: []byte{}}}
		}))
		p.want(wire.CmdDeliverSMResp, 41, wire.StatusOK)
		m := w.handler.messages[0]
		if m.Text != "hellà @" || m.From.String() != "+4915112345678" || m.To.Value != "100" || m.Ingress != sms.Connection("acme") ||
			!m.ReplyPath || m.ServiceType != "CMT" || m.ProtocolID != 5 || m.Priority != 2 || !m.HasDataCoding || m.Segments != 1 ||
			m.Part.IsSet() || len(m.TLVs) != 2 || string(m.TLVs[0].Value) != "v" || !m.Received.Equal(time.Now()) || m.Peer == "" {
			t.Fatalf("%+v", m)
		}
		if s := w.status(); s.Received != 1 || s.Receipts != 0 {
			t.Fatalf("%+v", s)
		}
	})
}

func TestDataSM(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		p := w.net.next().accept()
		long := strings.Repeat("long ", 100)
		p.send(wire.CmdDataSM, 0, 1, &wire.DataSM{
			Source: sms.Address{Value: "1"}, Dest: sms.Address{Value: "2"},
			TLVs: wire.TLVs{{Tag: wire.TagMessagePayload, Value: []byte(long)}, {Tag: 9, Value: []byte{1}}},
		})
		p.want(wire.CmdDataSMResp, 1, wire.StatusOK)
		if m := w.handler.messages[0]; m.Text != long || len(m.TLVs) != 1 || m.TLVs[0].Tag != 9 {
			t.Fatalf("%+v", m)
		}
	})
}

func TestParts(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		p := w.net.next().accept()
		p.send(wire.CmdDeliverSM, 0, 1, deliver("\x05\x00\x03\x2a\x02\x01part", func(sm *wire.SM) { sm.ESMClass = wire.ESMClassUDHI }))
		p.want(wire.CmdDeliverSMResp, 1, wire.StatusOK)
		sar := wire.TLVs{
			{Tag: wire.TagSARMsgRefNum, Value: []byte{1, 2}}, {Tag: wire.TagSARTotalSegments, Value: []byte{2}},
			{Tag: wire.TagSARSegmentSeqnum, Value: []byte{2}},
		}
		p.send(wire.CmdDeliverSM, 0, 2, deliver("part", func(sm *wire.SM) { sm.TLVs = sar }))
		p.want(wire.CmdDeliverSMResp, 2, wire.StatusOK)
		sar[2].Value = []byte{3} // the third of two is none
		p.send(wire.CmdDeliverSM, 0, 3, deliver("whole", func(sm *wire.SM) { sm.TLVs = sar }))
		p.want(wire.CmdDeliverSMResp, 3, wire.StatusOK)
		for i, want := range []sms.Part{{Ref: 0x2a, Total: 2, Seq: 1}, {Ref: 0x0102, Wide: true, Total: 2, Seq: 2}, {}} {
			m := w.handler.messages[i]
			if m.Part != want {
				t.Errorf("%+v", m)
			}
			if want.IsSet() && (string(m.Data) != "part" || m.Text != "" || len(m.TLVs) != 0) {
				t.Errorf("%+v", m)
			}
		}
		if m := w.handler.messages[2]; m.Text != "whole" || len(m.TLVs) != 3 {
			t.Errorf("%+v", m)
		}
	})
}

func TestReceipts(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		p := w.net.next().accept()
		p.send(wire.CmdDeliverSM, 0, 1, deliver("id:4711 sub:001 dlvrd:001 done date:2611231400 stat:DELIVRD err:000 text:hi",
			func(sm *wire.SM) { sm.ESMClass = wire.ESMClassReceipt }))
		p.want(wire.CmdDeliverSMResp, 1, wire.StatusOK)
		p.send(wire.CmdDataSM, 0, 2, &wire.DataSM{
			Source: sms.Address{Value: "1"}, Dest: sms.Address{Value: "2"}, ESMClass: wire.ESMClassIntermediate,
			TLVs: wire.TLVs{{Tag: wire.TagReceiptedMessageID, Value: []byte("4712\x00")}, {Tag: wire.TagMessageState, Value: []byte{1}}},
		})
		p.want(wire.CmdDataSMResp, 2, wire.StatusOK)
		p.send(wire.CmdDeliverSM, 0, 3, deliver("no receipt at all", func(sm *wire.SM) { sm.ESMClass = wire.ESMClassReceipt }))
		p.want(wire.CmdDeliverSMResp, 3, wire.StatusOK)
		p.send(wire.CmdDeliverSM, 0, 4, deliver("id:4713 stat:UNDELIV", func(sm *wire.SM) {
			sm.ESMClass, sm.DataCoding = wire.ESMClassReceipt, 4
		}))
		p.want(wire.CmdDeliverSMResp, 4, wire.StatusOK)
		r := w.handler.receipts
		if len(r) != 3 || r[0].SMSCID != "4711" || r[0].State != sms.StateDelivered || r[0].From.Value != "4915112345678" ||
			r[0].To.Value != "100" || r[1].SMSCID != "4712" || !r[1].Intermediate || r[1].State != sms.StateEnroute ||
			r[2].SMSCID != "4713" || r[2].State != sms.StateUndeliverable {
			t.Fatalf("%+v", r)
		}
		if s := w.status(); len(w.handler.messages) != 0 || s.Receipts != 4 || s.Malformed != 1 || s.Received != 0 {
			t.Fatalf("%+v", s)
		}
	})
}

// A PDU comes octet by octet, and then many in one write: none is lost, and what cannot be read is refused by its own number.
func TestPDUsAsTheyCome(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		p := w.net.next().accept()
		pdu, _ := wire.Append(nil, wire.Header{Command: wire.CmdDeliverSM, Sequence: 1}, deliver("split"))
		for _, octet := range pdu {
			p.write([]byte{octet})
		}
		p.want(wire.CmdDeliverSMResp, 1, wire.StatusOK)

		var many []byte
		for seq := uint32(2); seq <= 30; seq++ {
			many, _ = wire.Append(many, wire.Header{Command: wire.CmdDeliverSM, Sequence: seq}, deliver("many"))
		}
		bad := len(many)
		many, _ = wire.Append(many, wire.Header{Command: wire.CmdDeliverSM, Sequence: 31}, deliver("bad"))
		many[bad+wire.HeaderLen+35] = 200 // sm_length
		many[len(many)-4] = 200
		many, _ = wire.Append(many, wire.Header{Command: wire.CmdDeliverSM, Sequence: 32}, deliver("good"))
		go func() { _, _ = p.conn.Write(many) }()
		// They came in one write, so their answers go in one write too.
		answers := make([]byte, 4096)
		n, err := p.conn.Read(answers)
		if want := 31 * 17; err != nil || n != want {
			t.Fatalf("%d octets in the first write, %v; want %d", n, err, want)
		}
		r := wire.NewReader(bytes.NewReader(answers[:n]), 0)
		for seq := uint32(2); seq <= 32; seq++ {
			want := wire.StatusOK
			if seq == 31 {
				want = wire.StatusInvalidMessageLength
			}
			if h, _, err := r.Next(); err != nil || h.Sequence != seq || h.Status != want {
				t.Fatalf("%+v, %v; want %d, %v", h, err, seq, want)
			}
		}
		if s := w.status(); s.Malformed != 1 || s.Received != 31 {
			t.Fatalf("%+v", s)
		}
	})
}

func TestUnansweredMessagesAreBounded(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.handler.hold = true
		w.apply(row())
		p := w.net.next().accept()
		for seq := range uint32(maxUnanswered) {
			p.send(wire.CmdDeliverSM, 0, seq+1, deliver("x"))
		}
		p.send(wire.CmdDeliverSM, 0, 5000, deliver("x"))
		p.want(wire.CmdDeliverSMResp, 5000, wire.StatusThrottled)
		w.handler.held[7](wire.StatusTemporaryAppError)
		w.handler.held[7](wire.StatusOK) // the first one counted
		p.want(wire.CmdDeliverSMResp, 8, wire.StatusTemporaryAppError)
		p.send(wire.CmdDeliverSM, 0, 5001, deliver("x"))
		synctest.Wait()
		if n := len(w.handler.held); n != maxUnanswered+1 {
			t.Fatalf("%d messages wait", n)
		}
		p.conn.Close()
		synctest.Wait()
		w.handler.held[1](wire.StatusOK) // nobody is there any more
	})
}

// FuzzSession lets a bound peer send anything: the session must answer or end, and nothing else.
func FuzzSession(f *testing.F) {
	for _, sm := range []*wire.SM{deliver("hi"), deliver("id:1 stat:DELIVRD", func(sm *wire.SM) { sm.ESMClass = 4 })} {
		octets, _ := wire.Append(nil, wire.Header{Command: wire.CmdDeliverSM, Sequence: 1}, sm)
		f.Add(octets)
	}
	octets, _ := wire.Append(nil, wire.Header{Command: wire.CmdSubmitSMResp, Sequence: 2}, &wire.SMResp{MessageID: "1"})
	octets, _ = wire.Append(octets, wire.Header{Command: wire.CmdUnbind, Sequence: 2}, nil)
	f.Add(octets)
	f.Fuzz(func(t *testing.T, octets []byte) {
		inTime(t, func(t *testing.T, w *world) {
			w.apply(row())
			p := w.net.next().accept()
			w.send("x")
			go p.swallow()
			_, _ = p.conn.Write(octets)
			time.Sleep(time.Second)
			p.conn.Close()
		})
	})
}
