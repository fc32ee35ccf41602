package smpp

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

// A connect that comes to nothing ends by itself, and is tried again.
func TestConnectTimesOut(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.conns.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		w.apply(row())
		if b := w.status().Binds[0]; b.State != BindConnecting {
			t.Errorf("%+v", b)
		}
		time.Sleep(dialTimeout)
		if b := w.status().Binds[0]; b.State != BindWaiting || !strings.Contains(b.LastError, "deadline") || b.RetryAt.IsZero() {
			t.Errorf("%+v", b)
		}
		time.Sleep(2 * time.Second)
		if b := w.status().Binds[0]; b.State != BindConnecting {
			t.Errorf("%+v", b)
		}
	})
}

// What an ESME sends and cannot be read is refused by its own number, and its session lives; a frame that is none ends it.
func TestPDUsOfAnESMEThatDoNotParse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSMSCWorld(t, nil)
		defer w.close()
		p := w.bind(t, wire.CmdBindTransceiver)
		for _, command := range []wire.CommandID{wire.CmdSubmitSM, wire.CmdDataSM, wire.CmdSubmitMulti, wire.CmdQuerySM, wire.CmdCancelSM, wire.CmdReplaceSM} {
			octets := wire.Finish(append(wire.AppendHeader(nil, wire.Header{Command: command, Sequence: 0x1234}), "xy"...), 0)
			p.write(octets)
			h, _, err := p.r.Next()
			if err != nil || h.Command != command.Resp() || h.Sequence != 0x1234 || h.Status == wire.StatusOK {
				t.Fatalf("%v: %+v, %v", command, h, err)
			}
		}
		p.send(wire.CmdSubmitSMResp, 0, 4711, nil) // a response to nothing
		p.send(wire.CmdDeliverSM, 0, 5, shopSM("an ESME sends none"))
		p.want(wire.CmdDeliverSMResp, 5, wire.StatusInvalidBindStatus)
		p.send(wire.CmdAlertNotification, 0, 6, &wire.AlertNotification{}) // has no response, whoever sends it
		p.send(wire.CmdSubmitSM, 0, 7, shopSM("still here"))
		p.want(wire.CmdSubmitSMResp, 7, wire.StatusOK)
		if s := w.accounts.Status()[0]; s.Malformed != 6 || s.Unexpected != 1 || s.Received != 1 {
			t.Errorf("%+v", s)
		}
		p.write([]byte{0, 0, 0, 15, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1})
		p.closed()
		synctest.Wait()
		if downs := w.handler.downs; len(downs) != 1 || !strings.Contains(downs[0], "below 16") {
			t.Errorf("%q", downs)
		}
	})
}

// The throughput of an account counts segments, those that a message_payload will make as well, and is for all of its binds together.
func TestAccountThroughputCountsSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSMSCWorld(t, func(row *sms.AccountConfig) { row.Throughput, row.Window = 5, 10 })
		defer w.close()
		a, b := w.bind(t, wire.CmdBindTransmitter), w.bind(t, wire.CmdBindTransmitter)
		payload := func(octets int) *wire.SM {
			sm := shopSM("")
			sm.TLVs = wire.TLVs{{Tag: wire.TagMessagePayload, Value: []byte(strings.Repeat("x", octets))}}
			return sm
		}
		a.send(wire.CmdSubmitSM, 0, 2, payload(300)) // three segments
		a.want(wire.CmdSubmitSMResp, 2, wire.StatusOK)
		b.send(wire.CmdSubmitSM, 0, 2, payload(300))
		b.want(wire.CmdSubmitSMResp, 2, wire.StatusThrottled)
		b.send(wire.CmdSubmitSM, 0, 3, shopSM("one"))
		b.want(wire.CmdSubmitSMResp, 3, wire.StatusOK)
		two := &wire.SubmitMulti{Source: sms.Address{Value: "100"}, ShortMessage: []byte("x")}
		for _, to := range []string{"1", "2"} {
			two.Dests = append(two.Dests, wire.MultiDest{Address: sms.Address{Value: to}})
		}
		a.send(wire.CmdSubmitMulti, 0, 4, two)
		a.want(wire.CmdSubmitMultiResp, 4, wire.StatusThrottled)
		time.Sleep(400 * time.Millisecond)
		a.send(wire.CmdSubmitMulti, 0, 5, two)
		a.want(wire.CmdSubmitMultiResp, 5, wire.StatusOK)
		if s := w.accounts.Status()[0]; s.Limited != 2 {
			t.Errorf("%+v", s)
		}
		a.conn.Close()
		b.conn.Close()
	})
}

// An enquire_link is answered at any time: before the bind, while messages wait, and while the bind goes down.
func TestEnquireLinkIsAnsweredAtAnyTime(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		p := w.net.next()
		asked := uint32(100)
		ask := func() {
			t.Helper()
			asked++
			p.send(wire.CmdEnquireLink, 0, asked, nil)
			p.want(wire.CmdEnquireLinkResp, asked, wire.StatusOK)
		}
		bind, _ := p.read(wire.CmdBindTransceiver)
		ask()
		p.send(bind.Command.Resp(), 0, bind.Sequence, &wire.BindResp{})
		synctest.Wait()
		w.send("one")
		first, _ := p.submit()
		ask()
		w.apply() // what is in flight gets its time first
		ask()
		p.respond(first, "1")
		unbind, _ := p.read(wire.CmdUnbind)
		ask()
		p.send(wire.CmdUnbindResp, 0, unbind.Sequence, nil)
		p.closed()
	})
}
