package smpp

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

// secretHash is of the password `secret`, of the least cost.
var secretHash = func() string {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		panic(err)
	}
	return string(hash)
}()

// accountRecorder is an AccountHandler that keeps what it was told, and takes every message unless told otherwise.
type accountRecorder struct {
	mu       sync.Mutex
	messages []*sms.Message
	status   func(*sms.Message) wire.Status // nil: ESME_ROK
	hold     bool
	held     []func(wire.Status, sms.ID)
	ups      []BindStatus
	downs    []string
	refused  []BindRefusal
}

func (r *accountRecorder) Submit(m *sms.Message, answer func(wire.Status, sms.ID)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, m)
	if r.hold {
		r.held = append(r.held, answer)
		return
	}
	status := wire.StatusOK
	if r.status != nil {
		status = r.status(m)
	}
	answer(status, m.ID)
}

func (r *accountRecorder) Query(_ string, q MessageQuery, answer func(QueryAnswer)) {
	if q.ID != "known" || q.Source.Value != "100" {
		answer(QueryAnswer{Status: wire.StatusQueryFailed})
		return
	}
	answer(QueryAnswer{State: sms.StateUndeliverable, DoneTime: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Error: "011"})
}

func (r *accountRecorder) Cancel(_ string, _ MessageQuery, answer func(wire.Status)) {
	answer(wire.StatusCancelFailed)
}

func (r *accountRecorder) Replace(account string, q MessageQuery, p Replacement, answer func(wire.Status)) {
	text, _ := p.Decode(0)
	if account != "shop" || q.ID != "known" || text != "@ne" || p.Receipt != sms.ReceiptFailure || p.Expires.IsZero() {
		answer(wire.StatusReplaceFailed)
		return
	}
	answer(wire.StatusOK)
}

func (r *accountRecorder) BindUp(b BindStatus) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ups = append(r.ups, b)
}

func (r *accountRecorder) BindDown(_ BindStatus, reason string, _ int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.downs = append(r.downs, reason)
}

func (r *accountRecorder) BindRefused(refusal BindRefusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused = append(r.refused, refusal)
}

// smscWorld is a listener whose sockets are pipes, with the account `shop`.
type smscWorld struct {
	t        testing.TB
	handler  *accountRecorder
	accounts *Accounts
	out      map[int]sms.Outcome
	mu       sync.Mutex
	sent     int
}

func newSMSCWorld(t testing.TB, change func(*sms.AccountConfig)) *smscWorld {
	w := &smscWorld{t: t, handler: &accountRecorder{}, out: make(map[int]sms.Outcome)}
	w.accounts = NewAccounts(w.handler, slog.New(slog.DiscardHandler), AccountsConfig{SystemID: "gateway", NextID: sms.NewIDs().Next})
	row := sms.AccountConfig{
		SystemID: "shop", PasswordHash: secretHash, BindModes: sms.BindTransmitter | sms.BindReceiver | sms.BindTransceiver,
		MaxBinds: 2, Window: 2, Enabled: true, EnquireLink: 30 * time.Second, ResponseTimeout: 10 * time.Second,
		Alphabet: sms.AlphabetGSM7, LongMessage: sms.LongUDH16,
	}
	if change != nil {
		change(&row)
	}
	w.accounts.Apply([]sms.AccountConfig{row})
	return w
}

func (w *smscWorld) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w.accounts.Close(ctx)
}

// connect is a socket that nobody has bound on.
func (w *smscWorld) connect(t *testing.T) *peer {
	ours, theirs := net.Pipe()
	w.accounts.accept(ours, false)
	return &peer{t: t, conn: theirs, r: wire.NewReader(theirs, 0)}
}

// bind binds as shop.
func (w *smscWorld) bind(t *testing.T, command wire.CommandID) *peer {
	t.Helper()
	p := w.connect(t)
	p.send(command, 0, 1, &wire.Bind{SystemID: "shop", Password: "secret", InterfaceVersion: 0x34})
	p.want(command.Resp(), 1, wire.StatusOK)
	synctest.Wait()
	return p
}

// deliver hands the account a text, and gives its number.
func (w *smscWorld) deliver(text string) int {
	w.sent++
	i := w.sent
	m := &sms.Message{From: sms.ParseAddress("+4915112345678"), To: sms.ParseAddress("100"), Text: text, Receipt: sms.ReceiptFinal, Priority: 1,
		Expires: time.Now().Add(time.Hour)}
	w.accounts.Submit("shop", m, func(o sms.Outcome) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if _, twice := w.out[i]; twice {
			w.t.Errorf("message %d ends twice", i)
		}
		w.out[i] = o
	})
	return i
}

func (w *smscWorld) outcome(i int) sms.Outcome {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	o, ended := w.out[i]
	if !ended {
		w.t.Fatalf("message %d has not ended", i)
	}
	return o
}

func shopSM(text string) *wire.SM {
	return &wire.SM{Source: sms.Address{Value: "100"}, Dest: sms.Address{Value: "4915112345678", TON: 1, NPI: 1}, ShortMessage: []byte(text)}
}

func TestBindOfAnESME(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSMSCWorld(t, nil)
		defer w.close()
		p := w.connect(t)
		p.send(wire.CmdSubmitSM, 0, 1, shopSM("too early"))
		p.want(wire.CmdSubmitSMResp, 1, wire.StatusInvalidBindStatus)
		p.send(wire.CmdEnquireLink, 0, 2, nil)
		p.want(wire.CmdEnquireLinkResp, 2, wire.StatusOK)
		p.send(wire.CmdBindReceiver, 0, 3, &wire.Bind{SystemID: "shop", Password: "secret", InterfaceVersion: 0x34})
		_, body := p.read(wire.CmdBindReceiverResp)
		resp := body.(*wire.BindResp)
		if v, told := resp.TLVs.Uint(wire.TagSCInterfaceVersion); resp.SystemID != "gateway" || !told || v != 0x34 {
			t.Errorf("%+v", resp)
		}
		synctest.Wait()
		if up := w.handler.ups; len(up) != 1 || up[0].ID != "shop#1" || up[0].Mode != "receiver" || up[0].Owner != sms.Account("shop") {
			t.Errorf("%+v", up)
		}
		p.send(wire.CmdSubmitSM, 0, 4, shopSM("by a receiver"))
		p.want(wire.CmdSubmitSMResp, 4, wire.StatusInvalidBindStatus)
		p.send(wire.CmdBindTransmitter, 0, 5, &wire.Bind{SystemID: "shop", Password: "secret"})
		p.want(wire.CmdBindTransmitterResp, 5, wire.StatusAlreadyBound)
		p.write([]byte{0, 0, 0, 16, 0, 0, 0x77, 0x77, 0, 0, 0, 0, 0, 0, 0, 6})
		p.want(wire.CmdGenericNack, 6, wire.StatusInvalidCommandID)
		p.send(wire.CmdUnbind, 0, 7, nil)
		p.want(wire.CmdUnbindResp, 7, wire.StatusOK)
		p.closed()
		synctest.Wait()
		if len(w.handler.downs) != 1 || w.handler.downs[0] != errPeerUnbound.Error() {
			t.Errorf("%v", w.handler.downs)
		}
		if s := w.accounts.Status(); len(s) != 1 || len(s[0].Binds) != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// Who speaks a version before 3.4 is sent no optional parameter.
func TestBindOfAnOldESME(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSMSCWorld(t, nil)
		defer w.close()
		p := w.connect(t)
		p.send(wire.CmdBindReceiver, 0, 1, &wire.Bind{SystemID: "shop", Password: "secret", InterfaceVersion: 0x33})
		_, body := p.read(wire.CmdBindReceiverResp)
		if resp := body.(*wire.BindResp); len(resp.TLVs) != 0 {
			t.Errorf("%+v", resp)
		}
		synctest.Wait()
		m := &sms.Message{From: sms.ParseAddress("+1"), To: sms.ParseAddress("2"), Text: "id:x", TLVs: []sms.TLV{{Tag: 0x001e, Value: []byte("x\x00")}}}
		w.accounts.Receipt("shop", m, false, func(sms.Outcome) {})
		_, body = p.read(wire.CmdDeliverSM)
		if sm := body.(*wire.SM); len(sm.TLVs) != 0 || sm.ESMClass != wire.ESMClassReceipt {
			t.Errorf("%+v", sm)
		}
		p.conn.Close()
	})
}

func TestWhoDoesNotBindIsDisconnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSMSCWorld(t, nil)
		defer w.close()
		start := time.Now()
		p := w.connect(t)
		p.send(wire.CmdEnquireLink, 0, 1, nil)
		p.want(wire.CmdEnquireLinkResp, 1, wire.StatusOK)
		p.closed()
		if waited := time.Since(start); waited != 10*time.Second {
			t.Errorf("after %v", waited)
		}
	})
}

func TestSilentESMEIsAskedAndDisconnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSMSCWorld(t, nil)
		defer w.close()
		start := time.Now()
		p := w.bind(t, wire.CmdBindTransceiver)
		h, _ := p.read(wire.CmdEnquireLink)
		p.send(wire.CmdEnquireLinkResp, 0, h.Sequence, nil)
		p.read(wire.CmdEnquireLink)
		p.closed()
		if waited := time.Since(start); waited != 70*time.Second {
			t.Errorf("after %v", waited)
		}
	})
}

func TestInactiveESMEIsUnbound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSMSCWorld(t, func(row *sms.AccountConfig) { row.InactivityTimeout, row.EnquireLink = time.Minute, 0 })
		defer w.close()
		start := time.Now()
		p := w.bind(t, wire.CmdBindTransceiver)
		time.Sleep(50 * time.Second)
		p.send(wire.CmdSubmitSM, 0, 2, shopSM("still here"))
		p.want(wire.CmdSubmitSMResp, 2, wire.StatusOK)
		p.unbinds()
		synctest.Wait()
		if waited := time.Since(start); waited != 110*time.Second || len(w.handler.downs) != 1 || w.handler.downs[0] != errInactive.Error() {
			t.Errorf("after %v: %v", waited, w.handler.downs)
		}
	})
}

func TestWhatAnESMESubmits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSMSCWorld(t, nil)
		defer w.close()
		p := w.bind(t, wire.CmdBindTransmitter)
		sm := &wire.SM{
			ServiceType: "CMT", Source: sms.Address{Value: "ACME", TON: 5}, Dest: sms.Address{Value: "4915112345678", TON: 1, NPI: 1},
			ESMClass: wire.ESMClassReplyPath, ProtocolID: 0x41, PriorityFlag: 2, ValidityPeriod: "000000010000000R", RegisteredDelivery: 0x11,
			ReplaceIfPresent: 1, DataCoding: 0xF0, ShortMessage: []byte("@\x00"), TLVs: wire.TLVs{{Tag: 0x1400, Value: []byte{1, 2}}},
		}
		p.send(wire.CmdSubmitSM, 0, 2, sm)
		_, body := p.read(wire.CmdSubmitSMResp)
		m := w.handler.messages[0]
		if id := body.(*wire.SMResp).MessageID; id != m.ID.String() {
			t.Errorf("message_id %q, want %s", id, m.ID)
		}
		want := sms.Message{
			ID: m.ID, Ingress: sms.Account("shop"), Peer: m.Peer, From: sm.Source, To: sm.Dest, Text: "¡@", Alphabet: sms.AlphabetGSM7,
			DataCoding: 0xF0, HasDataCoding: true, Class: sms.Class0, ServiceType: "CMT", ProtocolID: 0x41, Priority: 2, ReplaceIfPresent: true,
			ReplyPath: true, TLVs: []sms.TLV{{Tag: 0x1400, Value: []byte{1, 2}}}, Segments: 1, Receipt: sms.ReceiptAll,
			Wanted: []sms.WantedReceipt{{ID: m.ID, Receipt: sms.ReceiptAll}}, Received: m.Received, Expires: m.Received.Add(time.Hour),
		}
		if !reflect.DeepEqual(*m, want) {
			t.Errorf("got  %+v\nwant %+v", *m, want)
		}
		p.send(wire.CmdDataSM, 0, 3, &wire.DataSM{
			Source: sms.Address{Value: "100"}, Dest: sm.Dest, DataCoding: 8, RegisteredDelivery: 2,
			TLVs: wire.TLVs{{Tag: wire.TagMessagePayload, Value: []byte{0x04, 0x16}}},
		})
		_, body = p.read(wire.CmdDataSMResp)
		if m = w.handler.messages[1]; m.Text != "Ж" || m.Receipt != sms.ReceiptFailure || body.(*wire.SMResp).MessageID != m.ID.String() {
			t.Errorf("%+v", m)
		}
		for i, c := range []struct {
			change func(*wire.SM)
			status wire.Status
		}{
			{func(sm *wire.SM) { sm.Dest = sms.Address{} }, wire.StatusInvalidDestination},
			{func(sm *wire.SM) { sm.ScheduleDeliveryTime = "000000010000000R" }, wire.StatusInvalidSchedule},
			{func(sm *wire.SM) { sm.ValidityPeriod = "tomorrow" }, wire.StatusInvalidValidity},
		} {
			bad := shopSM("x")
			c.change(bad)
			p.send(wire.CmdSubmitSM, 0, uint32(10+i), bad)
			p.want(wire.CmdSubmitSMResp, uint32(10+i), c.status)
		}
		if n := len(w.handler.messages); n != 2 {
			t.Errorf("%d messages", n)
		}
		// A body that does not parse costs nothing but itself.
		octets, _ := wire.Append(nil, wire.Header{Command: wire.CmdSubmitSM, Sequence: 20}, shopSM("x"))
		octets[3] -= 1
		p.write(octets[:len(octets)-1])
		p.want(wire.CmdSubmitSMResp, 20, wire.StatusInvalidMessageLength)
		p.conn.Close()
	})
}

func TestSubmitMulti(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSMSCWorld(t, nil)
		defer w.close()
		p := w.bind(t, wire.CmdBindTransmitter)
		w.handler.status = func(m *sms.Message) wire.Status {
			if m.To.Value == "2" {
				return wire.StatusInvalidDestination
			}
			return wire.StatusOK
		}
		to := func(numbers ...string) (list []wire.MultiDest) {
			for _, n := range numbers {
				list = append(list, wire.MultiDest{Address: sms.Address{Value: n}})
			}
			return list
		}
		p.send(wire.CmdSubmitMulti, 0, 2, &wire.SubmitMulti{
			Source: sms.Address{Value: "100"}, Dests: append(to("1", "2", "3"), wire.MultiDest{List: "friends"}), ShortMessage: []byte("hi"),
			RegisteredDelivery: 1,
		})
		_, body := p.read(wire.CmdSubmitMultiResp)
		resp := body.(*wire.SubmitMultiResp)
		failed := map[string]wire.Status{}
		for _, f := range resp.Failed {
			failed[f.Dest.Value] = f.Status
		}
		if len(failed) != 2 || failed["2"] != wire.StatusInvalidDestination || failed["friends"] != wire.StatusCannotSubmitToDL {
			t.Errorf("%+v", resp)
		}
		ids := map[sms.ID]bool{}
		for _, m := range w.handler.messages {
			ids[m.ID] = true
			if m.Text != "hi" || len(m.Wanted) != 1 || m.Wanted[0].ID.String() != resp.MessageID {
				t.Errorf("%+v", m)
			}
		}
		if len(ids) != 3 {
			t.Errorf("%d messages with ids of their own", len(ids))
		}
		p.send(wire.CmdSubmitMulti, 0, 3, &wire.SubmitMulti{Dests: to("2"), ShortMessage: []byte("hi")})
		p.want(wire.CmdSubmitMultiResp, 3, wire.StatusInvalidDestination)
		p.send(wire.CmdSubmitMulti, 0, 4, &wire.SubmitMulti{ShortMessage: []byte("hi")})
		p.want(wire.CmdSubmitMultiResp, 4, wire.StatusInvalidNumberOfDests)
		p.conn.Close()
	})
}

func TestQueryCancelReplace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSMSCWorld(t, nil)
		defer w.close()
		p := w.bind(t, wire.CmdBindTransmitter)
		p.send(wire.CmdQuerySM, 0, 2, &wire.QuerySM{MessageID: "known", Source: sms.Address{Value: "100"}})
		_, body := p.read(wire.CmdQuerySMResp)
		if q := body.(*wire.QuerySMResp); q.MessageID != "known" || q.MessageState != 5 || q.ErrorCode != 11 || q.FinalDate != "260301120000000+" {
			t.Errorf("%+v", q)
		}
		p.send(wire.CmdQuerySM, 0, 3, &wire.QuerySM{MessageID: "unknown"})
		p.want(wire.CmdQuerySMResp, 3, wire.StatusQueryFailed)
		p.send(wire.CmdCancelSM, 0, 4, &wire.CancelSM{MessageID: "known"})
		p.want(wire.CmdCancelSMResp, 4, wire.StatusCancelFailed)
		p.send(wire.CmdReplaceSM, 0, 5, &wire.ReplaceSM{MessageID: "unknown"})
		p.want(wire.CmdReplaceSMResp, 5, wire.StatusReplaceFailed)
		p.send(wire.CmdReplaceSM, 0, 6, &wire.ReplaceSM{
			MessageID: "known", ShortMessage: []byte("\x00ne"), RegisteredDelivery: 2, ValidityPeriod: "000000010000000R",
		})
		p.want(wire.CmdReplaceSMResp, 6, wire.StatusOK)
		p.send(wire.CmdReplaceSM, 0, 7, &wire.ReplaceSM{MessageID: "known", ValidityPeriod: "tomorrow"})
		p.want(wire.CmdReplaceSMResp, 7, wire.StatusInvalidValidity)
		p.send(wire.CmdReplaceSM, 0, 8, &wire.ReplaceSM{MessageID: "known", ScheduleDeliveryTime: "000000010000000R"})
		p.want(wire.CmdReplaceSMResp, 8, wire.StatusInvalidSchedule)
		p.conn.Close()
	})
}

// A message to an account goes by a bind that can receive; what became of it has the fates of connections.
func TestDeliverToAnESME(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSMSCWorld(t, nil)
		defer w.close()
		if o := w.outcome(w.deliver("nobody is there")); o.Fate != sms.NotSent || o.Cause != sms.CauseNotReady {
			t.Errorf("%+v", o)
		}
		tx := w.bind(t, wire.CmdBindTransmitter)
		if o := w.outcome(w.deliver("only a transmitter is")); o.Fate != sms.NotSent || o.Cause != sms.CauseNotReady {
			t.Errorf("%+v", o)
		}
		rx := w.bind(t, wire.CmdBindReceiver)
		i := w.deliver("hello")
		h, body := rx.read(wire.CmdDeliverSM)
		sm := body.(*wire.SM)
		if string(sm.ShortMessage) != "hello" || sm.Source.Value != "4915112345678" || sm.Source.TON != 1 || sm.Dest.Value != "100" || sm.PriorityFlag != 1 ||
			sm.ValidityPeriod != "" || sm.RegisteredDelivery != 0 || sm.ESMClass != 0 {
			t.Errorf("%+v", sm)
		}
		rx.send(wire.CmdDeliverSMResp, 0, h.Sequence, &wire.SMResp{MessageID: "unused"})
		if o := w.outcome(i); o.Fate != sms.Accepted || o.Egress != sms.Account("shop") || o.SMSCIDs != nil || o.Receipt != sms.ReceiptNone {
			t.Errorf("%+v", o)
		}
		i = w.deliver("no, thank you")
		h, _ = rx.read(wire.CmdDeliverSM)
		rx.send(wire.CmdDeliverSMResp, wire.StatusRejectedAppError, h.Sequence, nil)
		if o := w.outcome(i); o.Fate != sms.Refused || o.Status != uint32(wire.StatusRejectedAppError) || o.Severity != sms.Permanent {
			t.Errorf("%+v", o)
		}
		// The window is two; the third waits for a slot, and a slow ESME is paused for.
		list := []int{w.deliver("1"), w.deliver("2"), w.deliver("3")}
		first, _ := rx.read(wire.CmdDeliverSM)
		second, _ := rx.read(wire.CmdDeliverSM)
		if !rx.quiet() {
			t.Error("more than the window")
		}
		rx.send(wire.CmdDeliverSMResp, wire.StatusThrottled, first.Sequence, nil)
		rx.send(wire.CmdDeliverSMResp, 0, second.Sequence, &wire.SMResp{})
		start := time.Now()
		third, _ := rx.read(wire.CmdDeliverSM)
		if waited := time.Since(start); waited != firstPause {
			t.Errorf("after %v", waited)
		}
		if o := w.outcome(list[0]); o.Severity != sms.Throttled {
			t.Errorf("%+v", o)
		}
		// The socket dies with one unanswered.
		rx.conn.Close()
		if o := w.outcome(list[2]); o.Fate != sms.Unknown || third.Sequence == 0 {
			t.Errorf("%+v", o)
		}
		tx.conn.Close()
	})
}

// All segments of a long message go by one bind, in order.
func TestLongMessageToAnESME(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSMSCWorld(t, func(row *sms.AccountConfig) { row.LongMessage = sms.LongSAR })
		defer w.close()
		p, q := w.bind(t, wire.CmdBindTransceiver), w.bind(t, wire.CmdBindTransceiver)
		i := w.deliver(strings.Repeat("long ", 100))
		if q.quiet() == p.quiet() {
			t.Error("both binds, or none, have a segment")
		}
		if p.quiet() {
			p, q = q, p
		}
		for seq := range 4 {
			h, body := p.read(wire.CmdDeliverSM)
			if n, _ := body.(*wire.SM).TLVs.Uint(wire.TagSARSegmentSeqnum); n != uint32(seq+1) {
				t.Errorf("segment %d comes as %d", n, seq+1)
			}
			p.send(wire.CmdDeliverSMResp, 0, h.Sequence, &wire.SMResp{})
		}
		if o := w.outcome(i); o.Fate != sms.Accepted || o.Segments != 4 {
			t.Errorf("%+v", o)
		}
		p.conn.Close()
		q.conn.Close()
	})
}

// Close lets the ESME have its answer, refuses what comes meanwhile, and unbinds.
func TestCloseLetsAnswersOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSMSCWorld(t, nil)
		p := w.bind(t, wire.CmdBindTransceiver)
		unbound := w.connect(t)
		w.handler.hold = true
		p.send(wire.CmdSubmitSM, 0, 2, shopSM("in flight"))
		synctest.Wait()
		closed := make(chan struct{})
		go func() { w.close(); close(closed) }()
		unbound.closed()
		synctest.Wait()
		p.send(wire.CmdSubmitSM, 0, 3, shopSM("too late"))
		p.want(wire.CmdSubmitSMResp, 3, wire.StatusSystemError)
		if !p.quiet() {
			t.Error("it unbinds with a message in flight")
		}
		w.handler.held[0](wire.StatusOK, w.handler.messages[0].ID)
		p.want(wire.CmdSubmitSMResp, 2, wire.StatusOK)
		p.unbinds()
		<-closed
	})
}

// A bind that waits for its password is not doubled, and a password is checked slowly once.
func TestPasswords(t *testing.T) {
	p := newPasswords()
	defer p.close()
	check := func(password string) bool {
		right := make(chan bool)
		if !p.check(passwordJob{systemID: "shop", hash: secretHash, password: password, answer: func(ok bool) { right <- ok }}) {
			t.Fatal("the queue is full")
		}
		return <-right
	}
	if p.known("shop", secretHash, "secret") || check("wrong") || !check("secret") {
		t.Error("a password is taken, or refused, wrongly")
	}
	if !p.known("shop", secretHash, "secret") || p.known("shop", secretHash, "wrong") || p.known("shop", "another hash", "secret") ||
		p.known("other", secretHash, "secret") {
		t.Error("what is remembered is wrong")
	}
}

// Many sockets that do not bind do not keep others out, whose addresses differ.
func TestUnboundSocketsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSMSCWorld(t, nil)
		defer w.close()
		var open []*peer
		for range maxUnboundFrom {
			open = append(open, w.connect(t))
		}
		w.connect(t).closed()
		open[0].conn.Close()
		synctest.Wait()
		p := w.bind(t, wire.CmdBindTransceiver)
		w.connect(t).conn.Close()
		for _, o := range append(open, p) {
			o.conn.Close()
		}
	})
}

// Whatever a peer sends, bound or not, its session ends with its socket and nothing else does.
func FuzzAccountSession(f *testing.F) {
	bind, _ := wire.Append(nil, wire.Header{Command: wire.CmdBindTransceiver, Sequence: 1}, &wire.Bind{SystemID: "shop", Password: "secret"})
	submit, _ := wire.Append(nil, wire.Header{Command: wire.CmdSubmitSM, Sequence: 2}, shopSM("x"))
	several, _ := wire.Append(nil, wire.Header{Command: wire.CmdSubmitMulti, Sequence: 3}, &wire.SubmitMulti{Dests: []wire.MultiDest{{List: "l"}}})
	f.Add([]byte{}, true)
	f.Add(submit, true)
	f.Add(append(submit, several...), true)
	f.Add(bind, false)
	f.Fuzz(func(t *testing.T, octets []byte, bound bool) {
		w := newSMSCWorld(t, nil)
		ours, theirs := net.Pipe()
		w.accounts.accept(ours, false)
		read := make(chan struct{})
		go func() {
			defer close(read)
			for buf := make([]byte, 4096); ; {
				if _, err := theirs.Read(buf); err != nil {
					return
				}
			}
		}()
		if bound {
			_, _ = theirs.Write(bind)
			for len(w.accounts.Status()[0].Binds) == 0 && w.accounts.guard.Blocked(netip.Addr{}, "shop", time.Now()) == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		if _, err := theirs.Write(octets); err != nil && !errors.Is(err, net.ErrClosed) && err.Error() != "io: read/write on closed pipe" {
			t.Error(err)
		}
		theirs.Close()
		<-read
		w.close()
		if n := len(w.accounts.open); n != 0 {
			t.Errorf("%d sockets are open", n)
		}
	})
}

// BenchmarkAccountSubmit is a submit_sm from the socket to its answer.
func BenchmarkAccountSubmit(b *testing.B) {
	w := newSMSCWorld(b, func(row *sms.AccountConfig) { row.Window = 1000 })
	w.handler.hold = false
	account := (*w.accounts.table.Load())["shop"]
	ours, theirs := net.Pipe()
	bind := newAccountBind(w.accounts, ours)
	bind.init = time.NewTimer(time.Hour)
	w.accounts.handler = discardSubmits{w.handler}
	go func() {
		for buf := make([]byte, 65536); ; {
			if _, err := theirs.Read(buf); err != nil {
				return
			}
		}
	}()
	ended := make(chan struct{})
	go func() { bind.session.write(); close(ended) }()
	bind.admit(account, wire.Header{Command: wire.CmdBindTransceiver, Sequence: 1}, &wire.Bind{SystemID: "shop", InterfaceVersion: 0x34})
	octets, _ := wire.Append(nil, wire.Header{Command: wire.CmdSubmitSM, Sequence: 2}, shopSM("hello, world"))
	b.ReportAllocs()
	for b.Loop() {
		bind.session.handle(wire.Header{Command: wire.CmdSubmitSM, Sequence: 2}, octets[wire.HeaderLen:])
	}
	bind.session.close(errStopped)
	<-ended
	theirs.Close()
	account.leave(bind, nil, errStopped)
	w.close()
}

type discardSubmits struct{ *accountRecorder }

func (discardSubmits) Submit(m *sms.Message, answer func(wire.Status, sms.ID)) {
	answer(wire.StatusOK, m.ID)
}
