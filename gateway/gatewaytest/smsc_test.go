package gatewaytest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair gives an SMSC and an ESME that is bound to it.
func pair(t *testing.T, cfg SMSCConfig, ecfg ESMEConfig) (*SMSC, *ESME) {
	t.Helper()
	s, err := NewSMSC(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if s.Addr() == "" {
		ours, theirs := net.Pipe()
		s.Attach(ours)
		ecfg.Conn = theirs
	}
	ecfg.Addr = s.Addr()
	e, err := NewESME(t.Context(), ecfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Drop)
	return s, e
}

func submit(t *testing.T, e *ESME, o Outgoing) []Answer {
	t.Helper()
	answers, err := e.Submit(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return answers
}

func TestBindSubmitReceipt(t *testing.T) {
	s, e := pair(t, SMSCConfig{SystemID: "alice", Password: "a-long-password-indeed"},
		ESMEConfig{SystemID: "alice", Password: "a-long-password-indeed", SystemType: "test"})
	b := s.Binds()
	if len(b) != 1 || b[0].SystemID != "alice" || b[0].Password != "a-long-password-indeed" || b[0].Mode != "transceiver" ||
		b[0].InterfaceVersion != 0x34 || b[0].SystemType != "test" {
		t.Fatalf("binds %+v", b)
	}
	answers := submit(t, e, Outgoing{From: "+4915112345678", To: "12345", Text: "Grüße an @lle", RegisteredDelivery: 1,
		TLVs: []TLV{{0x1400, []byte("vendor")}, {0x1400, nil}}})
	if len(answers) != 1 || answers[0].Status != 0 || answers[0].MessageID != "1" {
		t.Fatalf("answers %+v", answers)
	}
	in, err := s.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if in.From != "4915112345678" || in.FromTON != 1 || in.FromNPI != 1 || in.To != "12345" || in.Text() != "Grüße an @lle" ||
		in.DataCoding != 0 || in.MessageID != "1" || in.Bind.SystemID != "alice" || len(in.TLVs) != 2 {
		t.Fatalf("submit %+v", in)
	}
	r, err := e.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id, _ := r.TLV(TagReceiptedMessageID)
	state, _ := r.TLV(TagMessageState)
	if r.ESMClass != 0x04 || r.From != "12345" || r.To != "4915112345678" || string(id) != "1\x00" || string(state) != "\x02" ||
		!strings.Contains(r.Text(), "id:1 sub:001 dlvrd:001 submit date:") || !strings.Contains(r.Text(), " stat:DELIVRD err:000 text:Grüße an @lle") {
		t.Fatalf("receipt %+v %q", r, r.Text())
	}
	if err := e.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.WaitBinds(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	st := s.Stats()
	if st.Submits != 1 || st.Accepted != 1 || st.Receipts != 1 || st.Unbinds != 1 || st.Delivers != 1 || st.DeliversAnswered[0] != 1 {
		t.Fatalf("stats %+v", st)
	}
}

func TestBindRefusals(t *testing.T) {
	s, err := NewSMSC(SMSCConfig{SystemID: "alice", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	bind := func(id, password string) error {
		e, err := NewESME(t.Context(), ESMEConfig{Addr: s.Addr(), SystemID: id, Password: password})
		if err == nil {
			e.Drop()
		}
		return err
	}
	for _, c := range []struct {
		id, password string
		refuse       Refusal
		want         uint32
	}{
		{"bob", "secret", RefuseNothing, StatusWrongSystemID},
		{"alice", "wrong", RefuseNothing, StatusWrongPassword},
		{"alice", "secret", RefusePassword, StatusWrongPassword},
		{"alice", "secret", RefuseSystemID, StatusWrongSystemID},
		{"alice", "secret", RefuseBind, StatusBindFailed},
	} {
		if err := s.Refuse(c.refuse); err != nil {
			t.Fatal(err)
		}
		var refused *BindError
		if err := bind(c.id, c.password); !errors.As(err, &refused) || refused.Status != c.want {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if err := s.Refuse(RefuseListen); err != nil {
		t.Fatal(err)
	}
	var connect *net.OpError
	if err := bind("alice", "secret"); !errors.As(err, &connect) {
		t.Errorf("nobody listens: %v", err)
	}
	if err := s.Refuse(RefuseSocket); err != nil {
		t.Fatal(err)
	}
	if err := bind("alice", "secret"); err == nil || errors.As(err, new(*BindError)) {
		t.Errorf("the socket closes: %v", err)
	}
	if err := s.Refuse(RefuseNothing); err != nil {
		t.Fatal(err)
	}
	if err := bind("alice", "secret"); err != nil {
		t.Errorf("listening again: %v", err)
	}
	if n := s.Stats().BindsRefused; n != 5 {
		t.Errorf("%d refused", n)
	}
}

func TestBindIsNeverAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := NewSMSC(SMSCConfig{Addr: "none"})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Refuse(RefuseAnswer); err != nil {
			t.Fatal(err)
		}
		ours, theirs := net.Pipe()
		s.Attach(ours)
		began := time.Now()
		_, err = NewESME(t.Context(), ESMEConfig{Conn: theirs, AnswerTimeout: 3 * time.Second})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestModes(t *testing.T) {
	s, tx := pair(t, SMSCConfig{}, ESMEConfig{SystemID: "a", Mode: "transmitter"})
	rx, err := NewESME(t.Context(), ESMEConfig{Addr: s.Addr(), SystemID: "a", Mode: "receiver"})
	if err != nil {
		t.Fatal(err)
	}
	defer rx.Drop()
	if a := submit(t, rx, Outgoing{From: "1", To: "2", Text: "x"}); a[0].Status != StatusWrongState {
		t.Errorf("a receiver submits: %+v", a)
	}
	submit(t, tx, Outgoing{From: "1", To: "2", Text: "x", RegisteredDelivery: 1})
	if in, err := rx.Next(t.Context()); err != nil || in.ESMClass != 4 {
		t.Errorf("receipt on the receiver: %+v, %v", in, err)
	}
	if n := tx.Stats().Delivers; n != 0 {
		t.Errorf("%d deliver_sm to a transmitter", n)
	}
}

func TestLatencyAndReceiptDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, e := pair(t, SMSCConfig{Addr: "none", Latency: 50 * time.Millisecond, ReceiptDelay: 2 * time.Second}, ESMEConfig{})
		began := time.Now()
		submit(t, e, Outgoing{From: "1", To: "2", Text: "x", RegisteredDelivery: 1})
		if d := time.Since(began); d != 50*time.Millisecond {
			t.Errorf("answered after %v", d)
		}
		if _, err := e.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d != 2050*time.Millisecond {
			t.Errorf("receipt after %v", d)
		}
	})
}

func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, e := pair(t, SMSCConfig{Addr: "none", ThrottleAbove: 3}, ESMEConfig{})
		for i := range 5 {
			want := StatusOK
			if i >= 3 {
				want = StatusThrottled
			}
			if a := submit(t, e, Outgoing{Text: "x"}); a[0].Status != want {
				t.Errorf("%d: %#x", i, a[0].Status)
			}
		}
		time.Sleep(time.Second)
		if a := submit(t, e, Outgoing{Text: "x"}); a[0].Status != 0 {
			t.Errorf("a second later: %#x", a[0].Status)
		}
		if n := s.Stats().Throttled; n != 2 {
			t.Errorf("%d throttled", n)
		}
	})
}

func TestErrorRateAndReceiptStates(t *testing.T) {
	s, e := pair(t, SMSCConfig{ErrorRate: 0.25, ErrorStatus: 0x14, ReceiptStat: "DELIVRD=1,UNDELIV=1", Seed: 7}, ESMEConfig{Window: 100})
	done := make(chan Answer, 400)
	for range 400 {
		if err := e.Send(t.Context(), Outgoing{Text: "x", RegisteredDelivery: 2}, func(a Answer) { done <- a }); err != nil {
			t.Fatal(err)
		}
	}
	refused := 0
	for range 400 {
		if a := <-done; a.Status == 0x14 {
			refused++
		}
	}
	if refused < 60 || refused > 140 {
		t.Errorf("%d of 400 refused", refused)
	}
	if got := s.Stats().Refused[0x14]; got != uint64(refused) {
		t.Errorf("counted %d, %d were refused", got, refused)
	}
	if err := e.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range e.Delivers() {
		if !strings.Contains(r.Text(), "stat:UNDELIV err:001") {
			t.Errorf("registered_delivery 2 got %q", r.Text())
		}
	}
}

func TestIntermediateNotification(t *testing.T) {
	_, e := pair(t, SMSCConfig{}, ESMEConfig{})
	submit(t, e, Outgoing{Text: "x", RegisteredDelivery: 0x11})
	got, err := e.Take(t.Context(), 2)
	if err != nil || got[0].ESMClass != 0x20 || !strings.Contains(got[0].Text(), "stat:ENROUTE") ||
		got[1].ESMClass != 0x04 || !strings.Contains(got[1].Text(), "stat:DELIVRD") {
		t.Errorf("%v, %v", got, err)
	}
}

// A submit_sm whose body does not parse is refused under its own sequence number, and the bind lives.
func TestMalformedSubmit(t *testing.T) {
	s, e := pair(t, SMSCConfig{}, ESMEConfig{})
	e.Write(finishPDU(append(appendHeader(nil, cmdSubmitSM, 0, 77), "no NUL"...), 0))
	submit(t, e, Outgoing{Text: "x"})
	if st := s.Stats(); st.Refused[StatusInvalidLength] != 1 || st.Accepted != 1 {
		t.Errorf("%+v", st)
	}
	if n := e.Stats().Unexpected; n != 1 {
		t.Errorf("%d answers that nobody waited for", n)
	}
}

func TestInboxForgetsTheOldest(t *testing.T) {
	b := newInbox(4)
	for i := range 10 {
		b.add(Incoming{Sequence: uint32(i)})
	}
	if all := b.all(); len(all) > 4 || all[len(all)-1].Sequence != 9 {
		t.Errorf("kept %+v", all)
	}
	got, err := b.take(t.Context(), 1)
	if err != nil || got[0].Sequence < 6 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestIDFormats(t *testing.T) {
	_, e := pair(t, SMSCConfig{
		MessageID: func(n uint64) string { return fmt.Sprintf("%X", n+0xABCDEF) },
		ReceiptID: func(id string) string {
			n, _ := strconv.ParseUint(id, 16, 64)
			return strconv.FormatUint(n, 10)
		},
		ReceiptNoTLVs: true,
	}, ESMEConfig{})
	if a := submit(t, e, Outgoing{Text: "x", RegisteredDelivery: 1}); a[0].MessageID != "ABCDF0" {
		t.Errorf("%+v", a)
	}
	r, err := e.Next(t.Context())
	if err != nil || !strings.HasPrefix(r.Text(), "id:11259376 ") || len(r.TLVs) != 0 {
		t.Errorf("%q %v %v", r.Text(), r.TLVs, err)
	}
}

func TestScript(t *testing.T) {
	const closes = 1 << 31
	for name, c := range map[string]struct {
		action     Action
		status     uint32 // closes: no answer, the socket closes
		unexpected uint64
	}{
		"status":      {Action{Status: 0x14}, 0x14, 0},
		"id":          {Action{MessageID: "other"}, 0, 0},
		"close":       {Action{Close: true}, closes, 0},
		"cut":         {Action{Cut: true}, closes, 0},
		"close after": {Action{CloseAfter: true}, 0, 0},
		"twice":       {Action{Twice: true}, 0, 1},
		"split":       {Action{Split: true}, 0, 0},
		"nack":        {Action{Nack: true}, StatusInvalidID, 0},
		"raw":         {Action{Raw: []byte{0, 0, 0, 4}}, closes, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, e := pair(t, SMSCConfig{Addr: "none", OnSubmit: func(s Submit) Action { return c.action }}, ESMEConfig{})
				a, err := e.Submit(t.Context(), Outgoing{From: "1", To: "2", Text: "x"})
				if c.status == closes {
					if err == nil {
						t.Errorf("answered %+v", a)
					}
					return
				}
				if err != nil || a[0].Status != c.status {
					t.Errorf("%+v, %v", a, err)
				}
				if c.action.MessageID != "" && a[0].MessageID != c.action.MessageID {
					t.Errorf("%+v", a)
				}
				synctest.Wait()
				if n := e.Stats().Unexpected; n != c.unexpected {
					t.Errorf("%d unexpected answers, want %d", n, c.unexpected)
				}
			})
		})
	}
	t.Run("drop", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, e := pair(t, SMSCConfig{Addr: "none", OnSubmit: func(Submit) Action { return Action{Drop: true} }},
				ESMEConfig{AnswerTimeout: 5 * time.Second})
			began := time.Now()
			if _, err := e.Submit(t.Context(), Outgoing{Text: "x"}); !errors.Is(err, errTimeout) || time.Since(began) != 5*time.Second {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		})
	})
	t.Run("receipt first and twice", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, e := pair(t, SMSCConfig{Addr: "none", Latency: time.Second,
				OnSubmit: func(Submit) Action { return Action{ReceiptFirst: true, ReceiptTwice: true, ReceiptStat: "EXPIRED"} }}, ESMEConfig{})
			answered := make(chan Answer, 1)
			if err := e.Send(t.Context(), Outgoing{Text: "x", RegisteredDelivery: 1}, func(a Answer) { answered <- a }); err != nil {
				t.Fatal(err)
			}
			got, err := e.Take(t.Context(), 2)
			if err != nil || !strings.Contains(got[1].Text(), "stat:EXPIRED") || len(answered) != 0 {
				t.Errorf("%v, %v, %d answers", got, err, len(answered))
			}
			<-answered
		})
	})
}

func TestDeliver(t *testing.T) {
	long := strings.Repeat("0123456789", 30) + "€^😀"
	for name, form := range map[string]LongForm{"udh16": UDH16, "udh8": UDH8, "sar": SAR, "payload": Payload} {
		t.Run(name, func(t *testing.T) {
			s, e := pair(t, SMSCConfig{}, ESMEConfig{SystemID: "a"})
			status, err := s.Deliver(t.Context(), Deliver{From: "+491", To: "100", Text: long, Long: form})
			if err != nil || status != 0 {
				t.Fatal(status, err)
			}
			got := e.Delivers()
			if text := JoinText(got...); text != long {
				t.Errorf("%d segments of %q", len(got), text)
			}
			_, total, _ := got[0].Part()
			if want := map[LongForm]int{UDH16: 5, UDH8: 5, SAR: 5, Payload: 1}[form]; len(got) != want || int(total) != want {
				t.Errorf("%d segments, total %d, want %d", len(got), total, want)
			}
		})
	}
}

func TestDeliverWaitsForABind(t *testing.T) {
	s, err := NewSMSC(SMSCConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Deliver(canceled, Deliver{Text: "nobody wants this"}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	done := make(chan uint32, 1)
	if err := s.Send(Deliver{Text: "x"}, func(status uint32, err error) { done <- status }); err != nil {
		t.Fatal(err)
	}
	e, err := NewESME(t.Context(), ESMEConfig{Addr: s.Addr(), OnDeliver: func(Incoming) Action { return Action{Status: 0x64} }})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Drop()
	if status := <-done; status != 0x64 {
		t.Errorf("%#x", status)
	}
	if got := e.Delivers(); len(got) != 1 {
		t.Errorf("%d deliver_sm: what nobody waits for must not leave", len(got))
	}
}

func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, e := pair(t, SMSCConfig{Addr: "none", Window: 3}, ESMEConfig{OnDeliver: func(Incoming) Action { return Action{Delay: time.Second} }})
		done := make(chan error, 7)
		for range 7 {
			if err := s.Send(Deliver{Text: "x"}, func(_ uint32, err error) { done <- err }); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []uint64{3, 6, 7} {
			synctest.Wait()
			if n := e.Stats().Delivers; n != want {
				t.Errorf("%d deliver_sm, want %d", n, want)
			}
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if len(done) != 7 {
			t.Errorf("%d answered", len(done))
		}
	})
}

func TestDeliverIsNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := pair(t, SMSCConfig{Addr: "none", AnswerTimeout: 4 * time.Second}, ESMEConfig{OnDeliver: func(Incoming) Action { return Action{Drop: true} }})
		began := time.Now()
		if _, err := s.Deliver(t.Context(), Deliver{Text: "x"}); !errors.Is(err, errTimeout) || time.Since(began) != 4*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestReceiptsSurviveAReconnect(t *testing.T) {
	s, e := pair(t, SMSCConfig{}, ESMEConfig{SystemID: "a", OnDeliver: func(Incoming) Action { return Action{Close: true} }})
	submit(t, e, Outgoing{Text: "x", RegisteredDelivery: 1})
	<-e.Done()
	again, err := NewESME(t.Context(), ESMEConfig{Addr: s.Addr(), SystemID: "a"})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Drop()
	if in, err := again.Next(t.Context()); err != nil || in.ESMClass != 4 {
		t.Errorf("%+v, %v", in, err)
	}
}

func TestEnquireLinkBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, e := pair(t, SMSCConfig{Addr: "none", EnquireLink: 10 * time.Second}, ESMEConfig{EnquireLink: 20 * time.Second})
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if st := s.Stats(); st.EnquireLinks != 3 || st.EnquireLinkAnswers != 6 {
			t.Errorf("%+v", st)
		}
		if st := e.Stats(); st.EnquireLinks != 6 || st.EnquireLinkAnswers != 3 {
			t.Errorf("%+v", st)
		}
	})
}

func TestDropAndUnbind(t *testing.T) {
	s, e := pair(t, SMSCConfig{}, ESMEConfig{})
	s.DropConnections()
	<-e.Done()
	if err := s.WaitBinds(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	e, err := NewESME(t.Context(), ESMEConfig{Addr: s.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Drop()
	s.Unbind()
	<-e.Done()
	if err := s.WaitBinds(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if n := s.Stats().UnbindAnswers; n != 1 || !errors.Is(e.Ended(), ErrUnbound) {
		t.Errorf("%d answers to unbind, the end was %v", n, e.Ended())
	}
}

// What is no PDU, or none that the SMSC knows, is answered as SMPP says, and what is no frame ends the socket.
func TestStrangePDUs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := NewSMSC(SMSCConfig{Addr: "none"})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		conn, ours := net.Pipe()
		s.Attach(ours)
		exchange := func(command uint32, body string) header {
			b := finishPDU(append(appendHeader(nil, command, 0, 9), body...), 0)
			if _, err := conn.Write(b); err != nil {
				t.Fatal(err)
			}
			answer := make([]byte, headerLength)
			if _, err := io.ReadFull(conn, answer); err != nil {
				t.Fatal(err)
			}
			return parseHeader(answer)
		}
		for _, c := range []struct {
			command         uint32
			body            string
			answer, refusal uint32
		}{
			{0x999, "", cmdGenericNack, StatusInvalidID},
			{cmdSubmitSM, "", cmdSubmitSM | cmdResponse, StatusWrongState},
			{cmdBindTransceiver, "no NUL", cmdBindTransceiver | cmdResponse, StatusInvalidLength},
			{cmdQuerySM, "\x00\x00\x00\x00\x01\x02\x00\x01\x00", cmdQuerySM | cmdResponse, StatusQueryFailed},
		} {
			if h := exchange(c.command, c.body); h.command != c.answer || h.status != c.refusal || h.sequence != 9 {
				t.Errorf("%#x: %+v", c.command, h)
			}
		}
		if _, err := conn.Write([]byte{0x7F, 0, 0, 0}); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("after a command_length of 2 GB: %v", err)
		}
	})
}

func TestConfigurationFaults(t *testing.T) {
	for _, cfg := range []SMSCConfig{
		{ReceiptStat: "DELIVRD=many"}, {ReceiptStat: "=1"}, {ReceiptStat: "DELIVRD=0"}, {ReceiptStat: "DELIVRD=NaN"}, {ErrorRate: 1.5}, {Addr: "nonsense"},
	} {
		if s, err := NewSMSC(cfg); err == nil {
			s.Close()
			t.Errorf("%+v is accepted", cfg)
		}
	}
	if _, err := NewESME(t.Context(), ESMEConfig{Mode: "both"}); err == nil {
		t.Error("mode `both` is accepted")
	}
}

func TestEnquire(t *testing.T) {
	s, err := NewSMSC(SMSCConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	e, err := NewESME(t.Context(), ESMEConfig{Addr: s.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Drop()
	s.Enquire()
	if _, err := e.Submit(t.Context(), Outgoing{Text: "x"}); err != nil { // its answer comes after
		t.Fatal(err)
	}
	if n := e.Stats().EnquireLinks; n != 1 {
		t.Errorf("%d enquire_link came", n)
	}
}
