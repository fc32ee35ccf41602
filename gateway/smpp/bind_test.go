package smpp

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

func TestBind(t *testing.T) {
	for kind, command := range map[sms.SessionType]wire.CommandID{
		sms.Transceiver: wire.CmdBindTransceiver, sms.Transmitter: wire.CmdBindTransmitter, sms.Receiver: wire.CmdBindReceiver,
	} {
		inTime(t, func(t *testing.T, w *world) {
			w.apply(row(func(c *sms.ConnectionConfig) { c.SessionType, c.SystemType = kind, "SMPP" }))
			p := w.net.next()
			h, body := p.read(command)
			if b := body.(*wire.Bind); *b != (wire.Bind{
				SystemID: "gateway", Password: "a long password", SystemType: "SMPP", InterfaceVersion: 0x34,
			}) || h.Sequence != 1 {
				t.Fatalf("%d %#v", h.Sequence, *b)
			}
			if s := w.status(); s.State != ConnectionDown || s.Binds[0].State != BindBinding {
				t.Fatalf("%+v", s)
			}
			p.send(command.Resp(), wire.StatusOK, h.Sequence, &wire.BindResp{SystemID: "smsc"})
			s := w.status()
			b := s.Binds[0]
			if s.State != ConnectionBound || b.ID != "acme#1" || b.State != BindBound || b.Mode != kind.String() ||
				b.Owner != sms.Connection("acme") || b.Window != 2 || b.Remote == "" {
				t.Fatalf("%+v", s)
			}
			if len(w.handler.ups) != 1 || w.handler.ups[0].ID != b.ID {
				t.Fatalf("%+v", w.handler.ups)
			}
		})
	}
}

func TestBindIsNeverAnswered(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		start := time.Now()
		p := w.net.next()
		p.read(wire.CmdBindTransceiver)
		p.closed()
		if d := time.Since(start); d != 10*time.Second {
			t.Fatalf("given up after %v", d)
		}
		if b := w.status().Binds[0]; b.State != BindWaiting || !strings.Contains(b.LastError, "did not answer the bind") ||
			b.RetryAt.IsZero() {
			t.Fatalf("%+v", b)
		}
		if len(w.handler.downs) != 0 {
			t.Fatalf("what was never up went down: %q", w.handler.downs)
		}
	})
}

func TestBindIsRefused(t *testing.T) {
	for _, status := range []wire.Status{
		wire.StatusInvalidPassword, wire.StatusInvalidSystemID, wire.StatusBindFailed, wire.StatusAlreadyBound,
	} {
		inTime(t, func(t *testing.T, w *world) {
			w.apply(row())
			for _, wait := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute} {
				p := w.net.next()
				h, _ := p.read(wire.CmdBindTransceiver)
				p.send(h.Command.Resp(), status, h.Sequence, nil)
				p.closed()
				b := w.status().Binds[0]
				if !strings.Contains(b.LastError, status.Text()) || !strings.Contains(b.LastError, "system_id") ||
					strings.Contains(b.LastError, "a long password") {
					t.Fatalf("%+v", b)
				}
				if d := time.Until(b.RetryAt); d < wait*3/4 || d > wait*5/4 {
					t.Fatalf("%v: again in %v, want %v or so", status, d, wait)
				}
			}
		})
	}
}

func TestReconnectSlowsDown(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.net.stop(errors.New("connection refused"))
		w.apply(row())
		time.Sleep(10 * time.Minute)
		if n := w.net.dialed(); n < 12 || n > 20 {
			t.Fatalf("%d tries in ten minutes", n)
		}
		if b := w.status().Binds[0]; b.State != BindWaiting || b.LastError != "connection refused" {
			t.Fatalf("%+v", b)
		}
		w.net.stop(nil)
		p := w.net.next().accept()
		time.Sleep(29 * time.Second) // not long enough to be trusted
		p.conn.Close()
		if d := time.Until(w.status().Binds[0].RetryAt); d < 40*time.Second {
			t.Fatalf("again in %v", d)
		}
		p = w.net.next().accept()
		go p.serve()
		time.Sleep(time.Hour)
		p.conn.Close()
		if d := time.Until(w.status().Binds[0].RetryAt); d > 2*time.Second {
			t.Fatalf("again in %v", d)
		}
	})
}

// A peer that accepts the bind and drops it is not bound to thousands of times a second.
func TestPeerThatDropsUs(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		go func() {
			for conn := range w.net.socket {
				p := &peer{t, conn, wire.NewReader(conn, 0)}
				p.accept().conn.Close()
			}
		}()
		time.Sleep(time.Minute)
		n := w.net.dialed()
		w.net.stop(errors.New("over"))
		close(w.net.socket)
		if n < 4 || n > 9 {
			t.Fatalf("%d binds in a minute", n)
		}
	})
}

func TestPeerUnbinds(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		p := w.net.next().accept()
		i := w.send("x")
		p.submit()
		p.send(wire.CmdUnbind, 0, 77, nil)
		p.want(wire.CmdUnbindResp, 77, wire.StatusOK)
		p.closed()
		w.wantFate(i, sms.Unknown, sms.Temporary, sms.CauseNoAnswer)
		if len(w.handler.downs) != 1 || w.handler.downs[0] != "unbound by the peer" || w.handler.inFlight[0] != 1 {
			t.Fatalf("%q", w.handler.downs)
		}
		w.net.next().accept()
	})
}

func TestCommandsThatAreNotForUs(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		p := w.net.next()
		bind, _ := p.read(wire.CmdBindTransceiver)
		p.send(wire.CmdDeliverSM, 0, 5, &wire.SM{}) // before it is bound
		p.want(wire.CmdDeliverSMResp, 5, wire.StatusInvalidBindStatus)
		p.send(wire.CmdEnquireLink, 0, 6, nil)
		p.want(wire.CmdEnquireLinkResp, 6, wire.StatusOK)
		p.send(bind.Command.Resp(), 0, bind.Sequence, nil)
		synctest.Wait()

		for command, status := range map[wire.CommandID]wire.Status{
			wire.CmdSubmitSM: wire.StatusInvalidBindStatus, wire.CmdQuerySM: wire.StatusInvalidBindStatus,
			wire.CmdCancelSM: wire.StatusInvalidBindStatus, wire.CmdReplaceSM: wire.StatusInvalidBindStatus,
			wire.CmdSubmitMulti: wire.StatusInvalidBindStatus, wire.CmdBindTransceiver: wire.StatusAlreadyBound,
		} {
			p.send(command, 0, 7, nil)
			h, _, err := p.r.Next()
			if err != nil || h != (wire.Header{Command: command.Resp(), Status: status, Sequence: 7}) {
				t.Fatalf("%v: %+v, %v", command, h, err)
			}
		}
		p.send(0x0000000A, 0, 8, nil)
		p.want(wire.CmdGenericNack, 8, wire.StatusInvalidCommandID)
		mobile := sms.Address{Value: "4915112345678", TON: 1, NPI: 1}
		p.send(wire.CmdAlertNotification, 0, 9, &wire.AlertNotification{Source: mobile})
		p.send(wire.CmdAlertNotification, 0, 9, &wire.AlertNotification{Source: mobile, TLVs: wire.TLVs{{Tag: wire.TagMSAvailabilityStatus, Value: []byte{2}}}})
		p.write([]byte{0, 0, 0, 17, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 9, 'x'}) // not to be read
		p.send(wire.CmdOutbind, 0, 10, &wire.Outbind{})
		p.send(0x8000000A, 0, 11, nil) // a response to nothing
		p.send(wire.CmdEnquireLink, 0, 12, nil)
		p.want(wire.CmdEnquireLinkResp, 12, wire.StatusOK) // and not a word about those before it
		if s := w.status(); s.State != ConnectionBound || s.Malformed != 2 || s.Unexpected != 1 {
			t.Fatalf("%+v", s)
		}
		if got := strings.Join(w.handler.alerts, ", "); got != "acme +4915112345678 0, acme +4915112345678 2" {
			t.Errorf("%s", got)
		}
	})
}

func TestFrames(t *testing.T) {
	for name, c := range map[string]struct {
		octets []byte
		reason string
	}{
		"command_length below 16":        {[]byte{0, 0, 0, 15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "below 16"},
		"command_length above the limit": {[]byte{0, 2, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0}, "above the limit"},
		"the end within a PDU":           {[]byte{0, 0, 0, 50, 0, 0, 0, 5}, "within a PDU"},
		"the end within a header":        {[]byte{0, 0}, "within a PDU"},
		"the end":                        {nil, "closed by the peer"},
	} {
		inTime(t, func(t *testing.T, w *world) {
			w.apply(row())
			p := w.net.next().accept()
			if c.octets != nil {
				p.write(c.octets)
			}
			synctest.Wait()
			p.conn.Close()
			synctest.Wait()
			if len(w.handler.downs) != 1 || !strings.Contains(w.handler.downs[0], c.reason) {
				t.Errorf("%s: %q", name, w.handler.downs)
			}
		})
	}
}

func TestStates(t *testing.T) {
	for _, c := range []struct {
		state   state
		role    role
		command wire.CommandID
		legal   bool
	}{
		{stateOpen, esme, wire.CmdBindTransceiver, true}, {stateOpen, smsc, wire.CmdBindTransceiver, false},
		{stateOpen, smsc, wire.CmdOutbind, true}, {stateOpen, esme, wire.CmdOutbind, true}, {stateRX, esme, wire.CmdOutbind, false},
		{stateOpen, esme, wire.CmdSubmitSM, false}, {stateOpen, smsc, wire.CmdDeliverSM, false},
		{stateOpen, esme, wire.CmdUnbind, false}, {stateOpen, esme, wire.CmdEnquireLink, true},
		{stateTX, esme, wire.CmdSubmitSM, true}, {stateTX, esme, wire.CmdDataSM, true}, {stateTX, esme, wire.CmdQuerySM, true},
		{stateTX, esme, wire.CmdSubmitMulti, true}, {stateTX, smsc, wire.CmdDeliverSM, false},
		{stateTX, smsc, wire.CmdDataSM, false}, {stateTX, smsc, wire.CmdAlertNotification, false},
		{stateRX, esme, wire.CmdSubmitSM, false}, {stateRX, smsc, wire.CmdDeliverSM, true},
		{stateRX, smsc, wire.CmdDataSM, true}, {stateRX, esme, wire.CmdDataSM, false}, {stateRX, smsc, wire.CmdAlertNotification, true},
		{stateRX, esme, wire.CmdCancelSM, false}, {stateRX, esme, wire.CmdUnbind, true},
		{stateTRX, esme, wire.CmdSubmitSM, true}, {stateTRX, smsc, wire.CmdDeliverSM, true}, {stateTRX, smsc, wire.CmdSubmitSM, false},
		{stateTRX, esme, wire.CmdReplaceSM, true}, {stateTRX, esme, wire.CmdBindReceiver, false}, {stateTRX, smsc, wire.CmdOutbind, false},
		{stateUnbinding, smsc, wire.CmdDeliverSM, false}, {stateUnbinding, smsc, wire.CmdUnbind, true},
		{stateClosed, smsc, wire.CmdEnquireLink, false},
	} {
		if got := legal[c.state][c.role].has(c.command); got != c.legal {
			t.Errorf("state %d, role %d, %v: %v", c.state, c.role, c.command, got)
		}
	}
}

func TestSeverity(t *testing.T) {
	classes := map[sms.Severity][]wire.Status{
		sms.Throttled:     {0x58, 0x14},
		sms.Temporary:     {0x08, 0x64, 0x45, 0xFE, 0xFF, 0x400, 0x4FF, 0xFFFFFFFF},
		sms.Configuration: {0x04, 0x05, 0x0D, 0x0E, 0x0F, 0x53},
		sms.Permanent: {0x01, 0x02, 0x03, 0x06, 0x07, 0x0A, 0x0B, 0x0C, 0x11, 0x13, 0x15, 0x33, 0x34, 0x40, 0x42, 0x43, 0x44, 0x48,
			0x49, 0x50, 0x51, 0x54, 0x55, 0x61, 0x62, 0x63, 0x65, 0x66, 0x67, 0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0x100, 0x104, 0x112, 0x3FF},
	}
	for class, statuses := range classes {
		for _, s := range statuses {
			if got := severity(s); got != class {
				t.Errorf("%v is %v, want %v", s, got, class)
			}
		}
	}
	order := []sms.Severity{sms.Permanent, sms.Configuration, sms.Throttled, sms.Temporary}
	for i, a := range order {
		for j, b := range order {
			if worse(a, b) != (i < j) {
				t.Errorf("%v worse than %v: %v", a, b, worse(a, b))
			}
		}
	}
}

func TestTLSNeedsAPeerThatSpeaksIt(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row(func(c *sms.ConnectionConfig) { c.TLS = true }))
		p := w.net.next()
		hello := make([]byte, 5)
		if _, err := p.conn.Read(hello); err != nil || hello[0] != 0x16 {
			t.Fatalf("%x is no TLS handshake, %v", hello, err)
		}
		p.conn.Close()
		if b := w.status().Binds[0]; !strings.HasPrefix(b.LastError, "tls: ") || b.State != BindWaiting {
			t.Fatalf("%+v", b)
		}
	})
}

func TestPeerOfAnEarlierVersionGetsNoTLVs(t *testing.T) {
	for version, want := range map[byte]int{0x33: 0, 0x34: 1} {
		inTime(t, func(t *testing.T, w *world) {
			w.apply(row())
			p := w.net.next()
			h, _ := p.read(wire.CmdBindTransceiver)
			p.send(h.Command.Resp(), 0, h.Sequence, &wire.BindResp{
				TLVs: wire.TLVs{{Tag: wire.TagSCInterfaceVersion, Value: []byte{version}}},
			})
			synctest.Wait()
			w.send("x", func(m *sms.Message) { m.TLVs = []sms.TLV{{Tag: 0x1401}} })
			if _, sm := p.submit(); len(sm.TLVs) != want {
				t.Errorf("version 0x%X: %v", version, sm.TLVs)
			}
		})
	}
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row(func(c *sms.ConnectionConfig) { c.InterfaceVersion, c.LongMessage = 0x33, sms.LongSAR }))
		p := w.net.next().accept()
		w.send(strings.Repeat("x", 161))
		if _, sm := p.submit(); sm.ESMClass != wire.ESMClassUDHI || len(sm.TLVs) != 0 {
			t.Errorf("%+v", sm)
		}
	})
}

func TestPasswordsAreNotShown(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		if s := fmt.Sprintf("%+v %#v", w.status(), w.status()); strings.Contains(s, "long password") {
			t.Fatal(s)
		}
	})
}

func TestOutbindOnOurSocketIsIgnored(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		p := w.net.next()
		h, _ := p.read(wire.CmdBindTransceiver)
		p.send(wire.CmdOutbind, 0, 1, &wire.Outbind{SystemID: "smsc"})
		p.send(h.Command.Resp(), wire.StatusOK, h.Sequence, nil)
		if s := w.status(); s.State != ConnectionBound {
			t.Fatalf("%+v", s)
		}
	})
}

func TestCredentialsThatCannotBeSent(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row(func(c *sms.ConnectionConfig) { c.Password = "a\x00b" }))
		w.net.next().closed()
		if b := w.status().Binds[0]; !strings.Contains(b.LastError, "password") || strings.Contains(b.LastError, "a\x00b") {
			t.Fatalf("%+v", b)
		}
	})
}
