package gateway_test

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"

	"sipsmpp/events"
	"sipsmpp/gateway"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/route"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// caller sends single requests to the listener and reads their responses.
type caller struct {
	t    *testing.T
	conn net.Conn
}

func (r *rig) caller(t *testing.T) *caller {
	t.Helper()
	conn, err := net.Dial("tcp", r.gw.SMPPAddrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &caller{t, conn}
	bind := pdu.NewBindRequest(pdu.Transmitter)
	bind.SystemID, bind.Password, bind.InterfaceVersion = "shop", "secret", 0x34
	if resp := c.ask(bind); !resp.IsOk() {
		t.Fatalf("%+v", resp)
	}
	return c
}

func (c *caller) ask(p pdu.PDU) pdu.PDU {
	c.t.Helper()
	buf := pdu.NewBuffer(nil)
	p.Marshal(buf)
	_ = c.conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.conn.Write(buf.Bytes()); err != nil {
		c.t.Fatal(err)
	}
	resp, err := pdu.Parse(c.conn)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp
}

// An account asks for what waits, changes it, and takes it back.
func TestAccountsOwnWhatWaits(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.account(nil)
	e := r.esme(nil)
	r.event("E_SMPP_BIND_UP")
	r.down()
	ids := r.submit(e, gatewaytest.Outgoing{Text: "first"})
	ids = append(ids, r.submit(e, gatewaytest.Outgoing{Text: "second", RegisteredDelivery: 1})...)
	parts := r.submit(e, gatewaytest.Outgoing{Text: string(make([]byte, 200)), Long: gatewaytest.UDH16})
	c := r.caller(t)

	query := pdu.NewQuerySM().(*pdu.QuerySM)
	query.MessageID = ids[0]
	if resp := c.ask(query).(*pdu.QuerySMResp); !resp.IsOk() || resp.MessageState != 1 {
		t.Errorf("query_sm_resp %+v, want ENROUTE", resp)
	}
	replace := func(id, source, text string) int32 {
		t.Helper()
		p := pdu.NewReplaceSM().(*pdu.ReplaceSM)
		p.MessageID, p.RegisteredDelivery = id, 1
		_ = p.SourceAddr.SetAddress(source)
		if err := p.Message.SetMessageDataWithEncoding([]byte(text), data.GSM7BIT); err != nil {
			t.Fatal(err)
		}
		return int32(c.ask(p).GetHeader().CommandStatus)
	}
	for _, c := range []struct {
		id, source string
		want       int32
	}{
		{ids[0], "999", 0x13}, {parts[len(parts)-1], "100", 0x13}, {"01m84g7jqn0001c8201vp91gzt", "100", 0x13}, {"x", "100", 0x0C}, {ids[0], "100", 0},
	} {
		if status := replace(c.id, c.source, "changed"); status != c.want {
			t.Errorf("replace_sm of %s from %s: %#x, want %#x", c.id, c.source, status, c.want)
		}
	}
	if m := r.state(ids[0], store.RecordDeferred).Message; m.Text != "changed" || m.Receipt != sms.ReceiptFinal || len(m.Wanted) != 1 {
		t.Errorf("%+v", m)
	}

	cancel := func(id string) int32 {
		p := pdu.NewCancelSM().(*pdu.CancelSM)
		p.MessageID = id
		_ = p.SourceAddr.SetAddress("100")
		return int32(c.ask(p).GetHeader().CommandStatus)
	}
	if status := cancel(ids[1]); status != 0 {
		t.Errorf("cancel_sm: %#x", status)
	}
	r.receiptFor(e, ids[1:], "DELETED", 4)
	if record := r.state(ids[1], store.RecordFailed); record.Report != sms.StateDeleted {
		t.Errorf("%+v", record)
	}
	if status := cancel(ids[1]); status != 0x11 {
		t.Errorf("cancel_sm again: %#x", status)
	}
	r.back()
	if text, _ := r.received(); text != "changed" {
		t.Errorf("%q", text)
	}
	r.receiptFor(e, ids[:1], "DELIVRD", 2)
	r.received() // the one in parts
	r.emptied()
	if status := cancel(ids[0]); status != 0x11 {
		t.Errorf("cancel_sm of what was sent: %#x", status)
	}
}

// What a rule holds after an attempt of unknown fate waits for message_retry, and does not keep up what comes behind it.
func TestHeldUntilSomebodySays(t *testing.T) {
	dies := make(chan bool, 1)
	r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: func(s gatewaytest.Submit) gatewaytest.Action {
		return gatewaytest.Action{Close: <-dies}
	}}, nil, soon)
	r.rule(route.Rule{Name: "once", To: "+491*", Targets: "smpp:smsc, smpp:smsc", Options: `{"on_unknown":"hold"}`})
	send := func(text string) (sms.ID, sms.Outcome) {
		m := &sms.Message{From: sms.ParseAddress("100"), To: sms.ParseAddress("+4915"), Text: text}
		o := r.accept(m)
		return m.ID, o
	}
	dies <- true
	held, o := send("held")
	if !o.Deferred || o.Fate != sms.Unknown {
		t.Fatalf("%+v", o)
	}
	if e := r.event("E_MESSAGE_DEFERRED").(events.MessageDeferred); e.Attempt != 1 || !time.Time(e.NextAttempt).IsZero() {
		t.Errorf("%+v", e)
	}
	if err := r.gw.RetryMessage(r.ctx, held); err != nil && !errors.Is(err, gateway.ErrTargetDown) {
		t.Fatal(err)
	}
	if err := r.gw.Rebind("smsc"); err != nil {
		t.Fatal(err)
	}
	dies <- false
	r.event("E_SMPP_BIND_UP")
	if e := r.event("E_MESSAGE_SENT").(events.MessageSent); e.ID != held.String() {
		t.Errorf("%+v", e)
	}
	r.emptied()

	dies <- true
	held, _ = send("held again")
	r.event("E_SMPP_BIND_DOWN")
	if err := r.gw.Rebind("smsc"); err != nil {
		t.Fatal(err)
	}
	r.event("E_SMPP_BIND_UP")
	dies <- false
	if _, o := send("passes"); o.Fate != sms.Accepted {
		t.Errorf("%+v", o)
	}
	if d := r.state(held.String(), store.RecordDeferred).Deferral; d.Waiting != store.WaitingOperator || d.Unknown != 1 {
		t.Errorf("%+v", d)
	}
	r.restart() // it still does
	if d := r.state(held.String(), store.RecordDeferred).Deferral; d.Waiting != store.WaitingOperator {
		t.Errorf("%+v", d)
	}
	dies <- false
	if err := r.gw.RetryMessage(r.ctx, held); err != nil {
		t.Error(err)
	}
	if record := r.state(held.String(), store.RecordDone); record.Attempts != 2 {
		t.Errorf("%+v", record)
	}
	r.emptied()
	for _, f := range []error{r.gw.RetryMessage(r.ctx, held), r.gw.CancelMessage(r.ctx, held)} {
		if !errors.Is(f, gateway.ErrNotDeferred) {
			t.Errorf("%v, want ErrNotDeferred", f)
		}
	}
	if err := r.gw.CancelMessage(r.ctx, sms.ID{1}); !errors.Is(err, gateway.ErrUnknownMessage) {
		t.Errorf("%v, want ErrUnknownMessage", err)
	}
}

// message_cancel lets the next message to the recipient have its turn; message_retry of one that waits behind it tries the first.
func TestByHand(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.down()
	var ids []sms.ID
	for _, text := range []string{"first", "second", "third"} {
		m := &sms.Message{Text: text}
		if o := r.accept(m); !o.Deferred {
			t.Fatalf("%+v", o)
		}
		ids = append(ids, m.ID)
	}
	if n := r.gw.DeferredFor(sms.Connection("smsc")); n != 3 {
		t.Errorf("%d wait for the connection", n)
	}
	if err := r.gw.RetryMessage(r.ctx, ids[1]); !errors.Is(err, gateway.ErrTargetDown) {
		t.Errorf("%v, want ErrTargetDown", err)
	}
	if err := r.gw.CancelMessage(r.ctx, ids[0]); err != nil {
		t.Error(err)
	}
	if e := r.event("E_MESSAGE_FAILED").(events.MessageFailed); e.ID != ids[0].String() || e.Reason != "cancelled" {
		t.Errorf("%+v", e)
	}
	if d := r.state(ids[1].String(), store.RecordDeferred).Deferral; d.Waiting != store.WaitingTime {
		t.Errorf("%+v", d)
	}
	r.back()
	for _, want := range []string{"second", "third"} {
		if text, _ := r.received(); text != want {
			t.Errorf("%q, want %q", text, want)
		}
	}
	r.emptied()
}

// A second message with the key of one that waits is answered as that one was; when that one was given up the key is free.
func TestIdempotencyKeyOfWhatWaits(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.down()
	once := func() gateway.Once {
		t.Helper()
		done := make(chan gateway.Once, 1)
		r.gw.AcceptOnce(&sms.Message{
			Ingress: sms.MI, From: sms.ParseAddress("100"), To: sms.ParseAddress("+4915"), Text: "once", IdempotencyKey: "k", Received: time.Now(),
		}, func(o gateway.Once) { done <- o })
		return <-done
	}
	first := once()
	if !first.Outcome.Deferred {
		t.Fatalf("%+v", first)
	}
	r.stop(r.gw)
	r.start()
	if again := once(); again.ID != first.ID || again.Record == nil || again.Record.State != store.RecordDeferred {
		t.Errorf("%+v", again)
	}
	if err := r.gw.CancelMessage(r.ctx, first.ID); err != nil {
		t.Fatal(err)
	}
	if next := once(); next.ID == first.ID || !next.Outcome.Deferred {
		t.Errorf("%+v", next)
	}
	r.back()
	r.texts(1)
	r.emptied()
}
