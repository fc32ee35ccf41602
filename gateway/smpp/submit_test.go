package smpp

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

func TestSubmitAndResponse(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		p := w.net.next().accept()
		one := w.send("hello")
		seq, sm := p.submit()
		if string(sm.ShortMessage) != "hello" || sm.Dest != (sms.Address{Value: "4915112345678", TON: 1, NPI: 1}) ||
			sm.Source != (sms.Address{Value: "100"}) || sm.RegisteredDelivery != 0 || sm.ValidityPeriod != "" || len(sm.TLVs) != 0 {
			t.Fatalf("%+v", sm)
		}
		w.open(one)
		p.respond(seq, "4711")
		o := w.outcome(one)
		if o.Fate != sms.Accepted || len(o.SMSCIDs) != 1 || o.SMSCIDs[0] != "4711" || o.Segments != 1 ||
			o.Egress != sms.Connection("acme") || o.Alphabet != sms.AlphabetGSM7 {
			t.Fatalf("%+v", o)
		}
		if s := w.status(); s.Sent != 1 || s.State != ConnectionBound || s.Binds[0].State != BindBound {
			t.Fatalf("%+v", s)
		}
	})
}

func TestSubmitCarriesWhatWasAsked(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row(func(c *sms.ConnectionConfig) {
			c.SourceTON, c.SourceNPI, c.DestTON, c.DestNPI = 2, 8, 3, 9
			c.Receipt, c.ValidityDefault = sms.ReceiptFailure, time.Hour
		}))
		p := w.net.next().accept()
		w.send("hi", func(m *sms.Message) {
			m.Receipt, m.ServiceType, m.ProtocolID, m.Priority, m.ReplaceIfPresent, m.ReplyPath = sms.ReceiptAll, "CMT", 65, 3, true, true
			m.TLVs = []sms.TLV{{Tag: 0x1401, Value: []byte("x")}, {Tag: wire.TagSARTotalSegments, Value: []byte{7}}, {Tag: 0x1401}}
		})
		_, sm := p.submit()
		if sm.RegisteredDelivery != 0x11 || sm.ServiceType != "CMT" || sm.ProtocolID != 65 || sm.PriorityFlag != 3 ||
			sm.ReplaceIfPresent != 1 || sm.ESMClass != 0x80 || sm.ValidityPeriod != "000000010000000R" ||
			sm.Source != (sms.Address{Value: "100", TON: 2, NPI: 8}) || sm.Dest.TON != 3 || sm.Dest.NPI != 9 ||
			len(sm.TLVs) != 2 || string(sm.TLVs[0].Value) != "x" {
			t.Fatalf("%+v", sm)
		}
		w.send("hi", func(m *sms.Message) {
			m.From = sms.ParseAddress("ACME Ltd")
			m.Expires = time.Now().Add(90 * time.Second)
		})
		_, sm = p.submit()
		if sm.Source != (sms.Address{Value: "ACME Ltd", TON: sms.TONAlphanumeric}) || sm.RegisteredDelivery != 2 ||
			sm.ValidityPeriod != "000000000130000R" {
			t.Fatalf("%+v", sm)
		}
	})
}

func TestWhatIsNeverSent(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		p := w.net.next().accept()
		for name, c := range map[string]struct {
			change func(*sms.Message)
			cause  sms.Cause
		}{
			"expired":             {func(m *sms.Message) { m.Expires = time.Now() }, sms.CauseExpired},
			"no recipient":        {func(m *sms.Message) { m.To = sms.Address{} }, sms.CauseUnencodable},
			"long sender":         {func(m *sms.Message) { m.From = sms.ParseAddress("twelve chars") }, sms.CauseUnencodable},
			"accented sender":     {func(m *sms.Message) { m.From = sms.ParseAddress("Müller") }, sms.CauseUnencodable},
			"extended characters": {func(m *sms.Message) { m.From = sms.ParseAddress("{[~]}x") }, sms.CauseNone},
			"long number":         {func(m *sms.Message) { m.To.Value = strings.Repeat("1", 21) }, sms.CauseUnencodable},
			"NUL in a number":     {func(m *sms.Message) { m.To.Value = "1\x002" }, sms.CauseUnencodable},
			"long service_type":   {func(m *sms.Message) { m.ServiceType = "123456" }, sms.CauseUnencodable},
			"bad data_coding":     {func(m *sms.Message) { m.HasDataCoding, m.DataCoding, m.Text = true, 1, "ü" }, sms.CauseUnencodable},
		} {
			i := w.send("x", c.change)
			if c.cause == sms.CauseNone {
				seq, _ := p.submit()
				p.respond(seq, "")
				w.wantFate(i, sms.Accepted, sms.Permanent, sms.CauseNone)
			} else if o := w.outcome(i); o.Fate != sms.NotSent || o.Severity != sms.Permanent || o.Cause != c.cause || o.Detail == "" {
				t.Errorf("%s: %+v", name, o)
			}
		}
	})
}

func TestExpiresInTheQueue(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row(func(c *sms.ConnectionConfig) { c.Window = 1 }))
		p := w.net.next().accept()
		w.send("one")
		seq, _ := p.submit()
		two := w.send("two", func(m *sms.Message) { m.Expires = time.Now().Add(time.Second) })
		time.Sleep(2 * time.Second)
		p.respond(seq, "1")
		w.wantFate(two, sms.NotSent, sms.Permanent, sms.CauseExpired)
	})
}

func TestSegmentsGoInOrderByOneBind(t *testing.T) {
	for long, check := range map[sms.LongMessage]func(sm *wire.SM, i int) bool{
		sms.LongUDH16: func(sm *wire.SM, i int) bool {
			return sm.ESMClass == 0x40 && bytes.Equal(sm.ShortMessage[5:7], []byte{3, byte(i)})
		},
		sms.LongSAR: func(sm *wire.SM, i int) bool {
			total, _ := sm.TLVs.Uint(wire.TagSARTotalSegments)
			seq, _ := sm.TLVs.Uint(wire.TagSARSegmentSeqnum)
			_, ref := sm.TLVs.Get(wire.TagSARMsgRefNum)
			return sm.ESMClass == 0 && total == 3 && seq == uint32(i) && ref
		},
	} {
		inTime(t, func(t *testing.T, w *world) {
			w.apply(row(func(c *sms.ConnectionConfig) { c.Binds, c.LongMessage = 2, long }))
			a, b := w.net.next().accept(), w.net.next().accept()
			i := w.send(strings.Repeat("x", 400))
			// Window 2: the third segment waits for a slot of the bind that has the first two, though the other is free.
			other := b
			if a.quiet() {
				a, other = b, a
			}
			first, sm := a.submit()
			second, sm2 := a.submit()
			if !check(sm, 1) || !check(sm2, 2) {
				t.Fatalf("%v: %x %x", long, sm, sm2)
			}
			another := w.send("short")
			seq, _ := other.submit()
			other.respond(seq, "s")
			w.wantFate(another, sms.Accepted, 0, 0)
			a.respond(second, "b")
			third, sm := a.submit()
			if !check(sm, 3) {
				t.Fatalf("%v: %x", long, sm)
			}
			a.respond(third, "c")
			w.open(i)
			a.respond(first, "a")
			if o := w.outcome(i); o.Fate != sms.Accepted || fmt.Sprint(o.SMSCIDs) != "[a b c]" || o.Segments != 3 {
				t.Fatalf("%+v", o)
			}
		})
	}
}

func TestPayload(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row(func(c *sms.ConnectionConfig) { c.LongMessage = sms.LongPayload }))
		p := w.net.next().accept()
		w.send(strings.Repeat("x", 400))
		_, sm := p.submit()
		if v, _ := sm.TLVs.Get(wire.TagMessagePayload); len(v) != 400 || len(sm.ShortMessage) != 0 {
			t.Fatalf("%+v", sm)
		}
	})
}

// The worst segment decides, and after it no more of the message is sent.
func TestSegmentsThatFail(t *testing.T) {
	for _, c := range []struct {
		name     string
		play     func(p *peer, first, second uint32)
		fate     sms.Fate
		severity sms.Severity
		cause    sms.Cause
		status   wire.Status
	}{
		{"permanent over throttled", func(p *peer, first, second uint32) {
			p.send(wire.CmdSubmitSMResp, wire.StatusThrottled, first, nil)
			p.send(wire.CmdSubmitSMResp, wire.StatusInvalidDestination, second, nil)
		}, sms.Refused, sms.Permanent, sms.CauseRefused, wire.StatusInvalidDestination},
		{"permanent stays", func(p *peer, first, second uint32) {
			p.send(wire.CmdSubmitSMResp, wire.StatusInvalidDestination, first, nil)
			p.send(wire.CmdSubmitSMResp, wire.StatusSystemError, second, nil)
		}, sms.Refused, sms.Permanent, sms.CauseRefused, wire.StatusInvalidDestination},
		{"refused over unknown", func(p *peer, first, second uint32) {
			p.send(wire.CmdSubmitSMResp, wire.StatusTemporaryAppError, first, nil)
			p.conn.Close()
		}, sms.Refused, sms.Temporary, sms.CauseRefused, wire.StatusTemporaryAppError},
		{"unknown over accepted", func(p *peer, first, second uint32) {
			p.respond(first, "1")
			p.conn.Close()
		}, sms.Unknown, sms.Temporary, sms.CauseNoAnswer, 0},
	} {
		inTime(t, func(t *testing.T, w *world) {
			w.apply(row())
			p := w.net.next().accept()
			i := w.send(strings.Repeat("x", 400))
			first, _ := p.submit()
			second, _ := p.submit()
			go p.swallow() // a third segment may come, and a pipe has no buffer
			c.play(p, first, second)
			time.Sleep(20 * time.Second)
			w.wantFate(i, c.fate, c.severity, c.cause)
			if o := w.outcome(i); o.Status != uint32(c.status) {
				t.Errorf("%s: status 0x%X", c.name, o.Status)
			}
		})
	}
}

func TestResponsesInAnyOrder(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row(func(c *sms.ConnectionConfig) { c.Window = 3 }))
		p := w.net.next().accept()
		var seqs []uint32
		for i := range 3 {
			w.send(fmt.Sprint(i))
			seq, _ := p.submit()
			seqs = append(seqs, seq)
		}
		for _, i := range []int{2, 0, 1} {
			p.respond(seqs[i], fmt.Sprint("id", i))
			p.respond(seqs[i], "again") // nobody waits for it
			if o := w.outcome(i + 1); o.Fate != sms.Accepted || o.SMSCIDs[0] != fmt.Sprint("id", i) {
				t.Fatalf("%+v", o)
			}
		}
		if s := w.status(); s.Unexpected != 3 || s.State != ConnectionBound {
			t.Fatalf("%+v", s)
		}
	})
}

func TestNack(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		p := w.net.next().accept()
		i := w.send("x")
		seq, _ := p.submit()
		p.send(wire.CmdGenericNack, wire.StatusInvalidCommandID, seq, nil)
		w.wantFate(i, sms.Refused, sms.Permanent, sms.CauseRefused)
		i = w.send("x")
		seq, _ = p.submit()
		p.send(wire.CmdDeliverSMResp, wire.StatusOK, seq, nil) // the wrong response
		w.open(i)
		p.send(wire.CmdGenericNack, wire.StatusOK, seq, nil)
		w.wantFate(i, sms.Refused, sms.Temporary, sms.CauseRefused)
		p.send(wire.CmdGenericNack, wire.StatusInvalidCommandID, 0, nil)
		if s := w.status(); s.Unexpected != 2 || s.Refused != 2 || s.State != ConnectionBound {
			t.Fatalf("%+v", s)
		}
	})
}

// A yes is a yes, whatever its body is.
func TestResponseBodies(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		p := w.net.next().accept()
		for body, id := range map[string]string{"": "", "\x00": "", "abc": "abc", "abc\x00\x00\x01": "abc"} {
			i := w.send("x")
			seq, _ := p.submit()
			h := wire.AppendHeader(nil, wire.Header{Command: wire.CmdSubmitSMResp, Sequence: seq})
			p.write(wire.Finish(append(h, body...), 0))
			if o := w.outcome(i); o.Fate != sms.Accepted || o.SMSCIDs[0] != id {
				t.Errorf("%q: %+v", body, o)
			}
		}
	})
}

func TestLateResponse(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		p := w.net.next().accept()
		start := time.Now()
		i := w.send("x")
		seq, _ := p.submit()
		time.Sleep(5 * time.Second)
		p.send(wire.CmdEnquireLink, 0, 99, nil) // the peer is alive, only slow
		p.want(wire.CmdEnquireLinkResp, 99, wire.StatusOK)
		time.Sleep(5 * time.Second)
		w.wantFate(i, sms.Unknown, sms.Temporary, sms.CauseNoAnswer)
		if at := w.out.at[i].Sub(start); at != 10*time.Second {
			t.Fatalf("it ended after %v", at)
		}
		p.respond(seq, "late")
		if s := w.status(); s.Unexpected != 1 || s.Unanswered != 1 || s.State != ConnectionBound || s.Binds[0].InFlight != 0 {
			t.Fatalf("%+v", s)
		}
	})
}

func TestSilentPeerIsDead(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		p := w.net.next().accept()
		start := time.Now()
		one := w.send("x")
		time.Sleep(time.Second)
		two := w.send("y")
		p.submit()
		p.submit()
		p.closed()
		if d := time.Since(start); d != 10*time.Second {
			t.Fatalf("closed after %v", d)
		}
		w.wantFate(one, sms.Unknown, sms.Temporary, sms.CauseNoAnswer)
		w.wantFate(two, sms.Unknown, sms.Temporary, sms.CauseNoAnswer)
		if len(w.handler.downs) != 1 || !strings.Contains(w.handler.downs[0], "answers nothing") || w.handler.inFlight[0] != 1 {
			t.Fatalf("%q %v", w.handler.downs, w.handler.inFlight)
		}
		w.net.next().accept()
	})
}

func TestEnquireLink(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		p := w.net.next().accept()
		start := time.Now()
		h, _ := p.read(wire.CmdEnquireLink)
		if d := time.Since(start); d != 30*time.Second {
			t.Fatalf("asked after %v", d)
		}
		time.Sleep(3 * time.Second)
		p.send(wire.CmdEnquireLinkResp, 0, h.Sequence, nil)
		p.read(wire.CmdEnquireLink)
		if d := time.Since(start); d != 63*time.Second {
			t.Fatalf("asked again after %v", d)
		}
		p.closed()
		if d := time.Since(start); d != 73*time.Second {
			t.Fatalf("given up after %v", d)
		}
		synctest.Wait()
		if len(w.handler.downs) != 1 || !strings.Contains(w.handler.downs[0], "enquire_link") {
			t.Fatalf("%q", w.handler.downs)
		}
	})
}

// Who does not answer enquire_link but sends other things is alive.
func TestBusyPeerNeedNotAnswerEnquireLink(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		p := w.net.next().accept()
		p.read(wire.CmdEnquireLink)
		time.Sleep(9 * time.Second)
		p.send(wire.CmdEnquireLink, 0, 5, nil)
		p.want(wire.CmdEnquireLinkResp, 5, wire.StatusOK)
		time.Sleep(20 * time.Second)
		if s := w.status(); s.State != ConnectionBound {
			t.Fatalf("%+v", s)
		}
	})
}

func TestWindowAndQueue(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row(func(c *sms.ConnectionConfig) { c.QueueTimeout = 3 * time.Second }))
		p := w.net.next().accept()
		for range 4 {
			w.send("x")
		}
		start := time.Now()
		first, _ := p.submit()
		second, _ := p.submit()
		if s := w.status(); s.Queued != 2 || s.Binds[0].InFlight != 2 {
			t.Fatalf("%+v", s)
		}
		time.Sleep(time.Second)
		p.respond(first, "1") // its slot goes to the third
		third, _ := p.submit()
		w.open(4)
		time.Sleep(2 * time.Second)
		w.wantFate(4, sms.NotSent, sms.Temporary, sms.CauseQueueFull)
		if at := w.out.at[4].Sub(start); at != 3*time.Second {
			t.Fatalf("given up after %v", at)
		}
		p.respond(third, "3")
		p.respond(second, "2")
		for i := 1; i <= 3; i++ {
			w.wantFate(i, sms.Accepted, 0, 0)
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		p := w.net.next().accept()
		for range 2 + maxQueue {
			w.send("x")
		}
		over := w.send("x")
		w.wantFate(over, sms.NotSent, sms.Temporary, sms.CauseQueueFull)
		p.conn.Close()
		w.wantFate(over-1, sms.NotSent, sms.Temporary, sms.CauseNotReady)
	})
}

func TestNotReady(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		i := w.send("x")
		w.wantFate(i, sms.NotSent, sms.Configuration, sms.CauseNotReady)
		for _, c := range []struct {
			change func(*sms.ConnectionConfig)
			detail string
			never  bool
		}{
			{func(c *sms.ConnectionConfig) {}, "not bound yet", false},
			{func(c *sms.ConnectionConfig) { c.SessionType = sms.Receiver }, "cannot send", true},
			{func(c *sms.ConnectionConfig) { c.SessionType, c.Account = sms.Outbind, "shop" }, "send to account:shop", true},
			{func(c *sms.ConnectionConfig) { c.SessionType = sms.Outbind }, "not bound yet", false},
			{func(c *sms.ConnectionConfig) { c.Enabled = false }, "smpp_enable", false},
		} {
			w.apply()
			w.apply(row(c.change))
			i = w.send("x")
			if c.never {
				w.wantFate(i, sms.NotSent, sms.Configuration, sms.CauseNoRoute)
			} else {
				w.wantFate(i, sms.NotSent, sms.Temporary, sms.CauseNotReady)
			}
			if o := w.outcome(i); !strings.Contains(o.Detail, c.detail) {
				t.Errorf("%q does not say %q", o.Detail, c.detail)
			}
		}
	})
}

func TestThrottled(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row(func(c *sms.ConnectionConfig) { c.QueueTimeout = time.Minute }))
		p := w.net.next().accept()
		start := time.Now()
		for range 4 {
			w.send("x")
		}
		first, _ := p.submit()
		second, _ := p.submit()
		p.send(wire.CmdSubmitSMResp, wire.StatusThrottled, first, nil)
		p.send(wire.CmdSubmitSMResp, wire.StatusThrottled, second, nil) // of the same burst: the pause does not grow
		w.wantFate(1, sms.Refused, sms.Throttled, sms.CauseRefused)
		w.wantFate(2, sms.Refused, sms.Throttled, sms.CauseRefused)
		if s := w.status(); s.ThrottledUntil.Sub(start) != firstPause || s.Throttled != 2 || s.Queued != 2 {
			t.Fatalf("%+v", s)
		}
		third, _ := p.submit()
		if d := time.Since(start); d != firstPause {
			t.Fatalf("on again after %v", d)
		}
		fourth, _ := p.submit()
		if d := time.Since(start); d != firstPause+time.Second { // at half of the two a second that were too much
			t.Fatalf("the next one after %v", d)
		}
		start = time.Now()
		p.send(wire.CmdSubmitSMResp, wire.StatusQueueFull, third, nil)
		p.respond(fourth, "4") // accepted before the pause, and no reason to shorten it
		w.send("x")
		if s := w.status(); s.ThrottledUntil.Sub(start) != 2*firstPause || s.ThrottledTo != 1 {
			t.Fatalf("%+v", s)
		}
		fifth, _ := p.submit()
		p.respond(fifth, "5")
		w.wantFate(5, sms.Accepted, 0, 0)
		w.send("x")
		sixth, _ := p.submit()
		p.send(wire.CmdSubmitSMResp, wire.StatusThrottled, sixth, nil)
		synctest.Wait()
		if n := len(w.handler.throttles); n != 3 || time.Until(w.handler.throttles[2].Until) != firstPause {
			t.Fatalf("%v", w.handler.throttles)
		}
	})
}

func TestThroughput(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row(func(c *sms.ConnectionConfig) {
			c.Binds, c.Window, c.Throughput, c.QueueTimeout = 2, 100, 10, time.Minute
		}))
		for range 2 {
			go w.net.next().serve()
		}
		synctest.Wait()
		start := time.Now()
		for range 11 {
			w.send("x")
		}
		time.Sleep(999 * time.Millisecond)
		w.open(11)
		time.Sleep(2 * time.Millisecond)
		w.outcome(11)
		if at := w.out.at[11].Sub(start); at < 999*time.Millisecond || at > 1001*time.Millisecond {
			t.Fatalf("the eleventh after %v", at)
		}
	})
}

// slowWrite is a socket whose Write returns long after the peer had its octets.
type slowWrite struct{ net.Conn }

func (c slowWrite) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	time.Sleep(time.Second)
	return n, err
}

func TestResponseBeforeTheWriteReturns(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		ours, theirs := net.Pipe()
		w.net.socket <- theirs
		w.conns.dial = dialed(slowWrite{ours})
		w.apply(row())
		go w.net.next().serve()
		time.Sleep(10 * time.Second)
		start := time.Now()
		i := w.send("x")
		if o := w.outcome(i); o.Fate != sms.Accepted || w.out.at[i] != start {
			t.Fatalf("%+v after %v", o, w.out.at[i].Sub(start))
		}
		if s := w.status(); s.Unexpected != 0 || s.Binds[0].InFlight != 0 {
			t.Fatalf("%+v", s)
		}
	})
}

// A peer that reads nothing blocks nobody; what never left the buffer is told from what may have.
func TestPeerThatDoesNotRead(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row(func(c *sms.ConnectionConfig) { c.Window = 5 }))
		p := w.net.next().accept()
		start := time.Now()
		half := w.send("half read")
		synctest.Wait() // the writer holds it
		one := make([]byte, 20)
		if _, err := p.conn.Read(one); err != nil {
			t.Fatal(err)
		}
		never := w.send("never read")
		if time.Since(start) != 0 {
			t.Fatal("Submit blocked")
		}
		time.Sleep(10 * time.Second)
		w.wantFate(half, sms.Unknown, sms.Temporary, sms.CauseNoAnswer)
		w.wantFate(never, sms.NotSent, sms.Temporary, sms.CauseNotReady)
		if len(w.handler.downs) != 1 {
			t.Fatalf("%q", w.handler.downs)
		}
	})
}

// However wide the window is, what waits for the socket is bounded; and nothing waits for ever when it is free again.
func TestBufferIsBounded(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row(func(c *sms.ConnectionConfig) { c.Window, c.LongMessage = 1000, sms.LongPayload }))
		p := w.net.next().accept()
		for range 800 {
			w.send(strings.Repeat("x", 1000))
		}
		// What the writer holds and what waits behind it is a buffer each.
		if s := w.status(); s.Binds[0].InFlight > 2*fullOut/1000 || s.Binds[0].InFlight+s.Queued != 800 {
			t.Fatalf("%+v", s)
		}
		go p.serve()
		w.wantFate(800, sms.Accepted, 0, 0)
	})
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		p := w.net.next().accept()
		link, _ := wire.Append(nil, wire.Header{Command: wire.CmdEnquireLink, Sequence: 1}, nil)
		p.write(link)
		synctest.Wait()                    // the writer holds the first response
		p.write(bytes.Repeat(link, 20000)) // the others fill the buffer
		i := w.send("x")
		if s := w.status(); s.Queued != 1 || s.Binds[0].InFlight != 0 {
			t.Fatalf("%+v", s)
		}
		go p.serve()
		w.wantFate(i, sms.Accepted, 0, 0)
		if len(w.handler.downs) != 0 {
			t.Fatalf("%q", w.handler.downs)
		}
	})
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		p := w.net.next().accept()
		link, _ := wire.Append(nil, wire.Header{Command: wire.CmdEnquireLink, Sequence: 1}, nil)
		p.write(link)
		synctest.Wait()
		_, _ = p.conn.Write(bytes.Repeat(link, 100000))
		synctest.Wait()
		if len(w.handler.downs) != 1 || !strings.Contains(w.handler.downs[0], "does not read") {
			t.Fatalf("%q", w.handler.downs)
		}
	})
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		from     string
		ton, npi uint8
		want     sms.Address
		fails    bool
	}{
		{"+4915112345678", 0, 0, sms.Address{Value: "4915112345678", TON: 1, NPI: 1}, false},
		{"+4915112345678", 2, 0, sms.Address{Value: "4915112345678", TON: 2, NPI: 1}, false},
		{"12345", 6, 9, sms.Address{Value: "12345", TON: 6, NPI: 9}, false},
		{"ACME", 1, 1, sms.Address{Value: "ACME", TON: 5}, false},
		{"elevenchars", 1, 1, sms.Address{Value: "elevenchars", TON: 5}, false},
		{"twelve chars", 0, 0, sms.Address{}, true},
		{"[eleven]", 0, 0, sms.Address{Value: "[eleven]", TON: 5}, false},
		{"[elevenchr]", 0, 0, sms.Address{}, true},
		{"back`tick", 0, 0, sms.Address{}, true},
		{"na\x00me", 0, 0, sms.Address{}, true},
		{"", 1, 1, sms.Address{}, false},
	} {
		a := sms.ParseAddress(c.from)
		if c.from == "" {
			a = sms.Address{}
		}
		got, err := sourceAddress(a, c.ton, c.npi)
		if (err != nil) != c.fails || err == nil && got != c.want {
			t.Errorf("%q: %+v, %v", c.from, got, err)
		}
	}
}

func TestRegisteredDelivery(t *testing.T) {
	for want, pairs := range map[uint8][][2]sms.ReceiptRequest{
		0x00: {{sms.ReceiptNone, sms.ReceiptNone}},
		0x01: {{sms.ReceiptFinal, sms.ReceiptNone}, {sms.ReceiptFailure, sms.ReceiptFinal}},
		0x02: {{sms.ReceiptFailure, sms.ReceiptNone}, {sms.ReceiptNone, sms.ReceiptFailure}},
		0x11: {{sms.ReceiptAll, sms.ReceiptFailure}, {sms.ReceiptFinal, sms.ReceiptAll}},
	} {
		for _, p := range pairs {
			if got := registeredDelivery(p[0], p[1]); got != want {
				t.Errorf("%v and %v: 0x%02X, want 0x%02X", p[0], p[1], got, want)
			}
		}
	}
}

func TestSequenceWraps(t *testing.T) {
	w := window{last: maxSequence - 1}
	for _, want := range []uint32{maxSequence, 1, 2} {
		got := w.next()
		if got != want {
			t.Fatalf("%d, want %d", got, want)
		}
		w.add(request{sequence: got})
	}
	w.last = maxSequence
	if got := w.next(); got != 3 {
		t.Fatalf("%d: 1 and 2 wait for their responses", got)
	}
	for w.oldest != nil {
		w.remove(w.oldest)
	}
	if len(w.waiting) != 0 || w.newest != nil || w.messages != 0 {
		t.Fatalf("%+v", w)
	}
}

// The peer has a part of the message, so it may not be said not to be sent.
func TestMessageIsCutOff(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row(func(c *sms.ConnectionConfig) { c.Throughput = 1 }))
		p := w.net.next().accept()
		i := w.send(strings.Repeat("x", 400))
		seq, _ := p.submit()
		p.respond(seq, "1")
		w.open(i)
		p.conn.Close()
		w.wantFate(i, sms.Unknown, sms.Temporary, sms.CauseNoAnswer)
		if o := w.outcome(i); fmt.Sprintf("%q", o.SMSCIDs) != `["1" "" ""]` || o.Segments != 3 {
			t.Fatalf("%+v", o)
		}
	})
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row(func(c *sms.ConnectionConfig) { c.Window = 1 }))
		p := w.net.next().accept()
		i := w.send(strings.Repeat("x", 400))
		p.submit()
		p.conn.Close()
		w.wantFate(i, sms.Unknown, sms.Temporary, sms.CauseNoAnswer)
	})
}
