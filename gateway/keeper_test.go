package gateway_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sipsmpp/events"
	"sipsmpp/gateway"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/route"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// soon tries again within the time that a test has.
func soon(c *gateway.Config) {
	c.Defer.FirstDelay, c.Defer.MaxDelay = gateway.Duration(50*time.Millisecond), gateway.Duration(200*time.Millisecond)
}

// down takes the SMSC away, and sees that the gateway noticed.
func (r *rig) down() {
	r.t.Helper()
	if err := r.smsc.Refuse(gatewaytest.RefuseListen); err != nil {
		r.t.Fatal(err)
	}
	r.smsc.DropConnections()
	r.event("E_SMPP_BIND_DOWN")
}

// back brings it back, and lets the gateway bind at once.
func (r *rig) back() {
	r.t.Helper()
	if err := r.smsc.Refuse(gatewaytest.RefuseNothing); err != nil {
		r.t.Fatal(err)
	}
	if err := r.gw.Rebind("smsc"); err != nil {
		r.t.Fatal(err)
	}
}

// texts gives what the SMSC gets next, n messages, by recipient.
func (r *rig) texts(n int) map[string][]string {
	r.t.Helper()
	list, err := r.smsc.Take(r.ctx, n)
	if err != nil {
		r.t.Fatalf("%d of %d messages came: %v", len(list), n, err)
	}
	texts := make(map[string][]string)
	for _, s := range list {
		texts[s.To] = append(texts[s.To], s.Text())
	}
	return texts
}

// state waits until the record of a message has a state, and gives it.
func (r *rig) state(id string, want store.RecordState) *store.Record {
	r.t.Helper()
	key, err := sms.ParseID(id)
	if err != nil {
		r.t.Fatal(err)
	}
	for {
		record, err := r.gw.Message(r.ctx, key)
		if err == nil && record.State == want {
			return record
		}
		select {
		case <-r.ctx.Done():
			r.t.Fatalf("message %s is %+v, %v; want it %s", id, record, err, want)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// What comes while the SMSC is away is taken, survives a restart, and goes out when the SMSC is back: each message once, and those to
// one recipient in their order.
func TestKeptWhileTheSMSCIsAway(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.down()
	const recipients, each = 5, 12
	var last string
	for i := range recipients * each {
		if i == recipients*each/2 {
			r.stop(r.gw)
			r.start()
		}
		m := &sms.Message{From: sms.ParseAddress("100"), To: sms.ParseAddress(fmt.Sprintf("+4915%d", i%recipients)), Text: fmt.Sprint(i / recipients)}
		o := r.accept(m)
		if !o.Deferred || o.Fate != sms.NotSent {
			t.Fatalf("%+v", o)
		}
		last = m.ID.String()
	}
	e := r.event("E_MESSAGE_DEFERRED").(events.MessageDeferred)
	if e.Reason == "" {
		t.Errorf("%+v", e)
	}
	if n := statistic(r, "deferred", "waiting"); n != recipients*each {
		t.Errorf("%d wait, want %d", n, recipients*each)
	}
	if code := r.send("by SIP"); code != 202 {
		t.Errorf("the gateway answered %d, want 202", code)
	}
	r.back()
	for to, texts := range r.texts(recipients*each + 1) {
		if to == "4915112345678" {
			continue
		}
		want := []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"}
		if !slices.Equal(texts, want) {
			t.Errorf("%s got %q, want %q", to, texts, want)
		}
	}
	record := r.state(last, store.RecordDone)
	if record.Attempts < 1 || record.Egress != sms.Connection("smsc") || len(record.Segments) != 1 {
		t.Errorf("%+v", record)
	}
	r.emptied()
	if n := statistic(r, "smpp", "segments_sent"); n != recipients*each+1 {
		t.Errorf("%d segments were sent, want %d", n, recipients*each+1)
	}
}

// emptied waits until nothing is deferred any more.
func (r *rig) emptied() {
	r.t.Helper()
	for statistic(r, "deferred", "waiting")+statistic(r, "deferred", "in_flight")+statistic(r, "deferred", "unsaved") > 0 {
		select {
		case <-r.ctx.Done():
			r.t.Fatalf("%d messages still wait", statistic(r, "deferred", "waiting"))
		case <-time.After(5 * time.Millisecond):
		}
	}
	if n := statistic(r, "deferred", "octets"); n != 0 {
		r.t.Errorf("%d octets are left", n)
	}
}

// A temporary refusal is tried again; what comes for the same recipient waits behind, and what comes for others does not.
func TestOrderOfARecipient(t *testing.T) {
	var mu sync.Mutex
	refusing := true
	r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: func(s gatewaytest.Submit) gatewaytest.Action {
		mu.Lock()
		defer mu.Unlock()
		if refusing && s.To == "491" {
			return gatewaytest.Action{Status: 0x64}
		}
		return gatewaytest.Action{}
	}}, nil, soon)
	send := func(to, text string) sms.Outcome {
		return r.accept(&sms.Message{From: sms.ParseAddress("100"), To: sms.ParseAddress(to), Text: text})
	}
	if o := send("+491", "first"); !o.Deferred || o.Fate != sms.Refused || o.Status != 0x64 {
		t.Fatalf("%+v", o)
	}
	first := r.event("E_MESSAGE_DEFERRED").(events.MessageDeferred)
	if first.Attempt != 1 || time.Time(first.NextAttempt).IsZero() || !strings.HasPrefix(first.Reason, "refused") {
		t.Errorf("%+v", first)
	}
	if o := send("+491", "second"); !o.Deferred || o.Cause != sms.CauseBehind {
		t.Fatalf("%+v", o)
	}
	if o := send("+492", "another"); o.Fate != sms.Accepted {
		t.Fatalf("%+v", o)
	}
	again := r.event("E_MESSAGE_DEFERRED").(events.MessageDeferred)
	for again.ID == first.ID { // it was tried again before the second came
		again = r.event("E_MESSAGE_DEFERRED").(events.MessageDeferred)
	}
	if again.Attempt != 0 || !time.Time(again.NextAttempt).IsZero() {
		t.Errorf("%+v", again)
	}
	second := r.state(again.ID, store.RecordDeferred)
	if second.Deferral == nil || second.Deferral.Waiting != store.WaitingBehind {
		t.Errorf("%+v", second.Deferral)
	}
	mu.Lock()
	refusing = false
	mu.Unlock()
	r.event("E_MESSAGE_SENT") // another
	for i, id := range []string{first.ID, again.ID} {
		if e := r.event("E_MESSAGE_SENT").(events.MessageSent); e.ID != id || i == 0 && e.Attempt < 2 || i == 1 && e.Attempt != 1 {
			t.Errorf("%+v, want %s", e, id)
		}
	}
	var got []string
	for _, s := range r.smsc.Submits() {
		if s.To == "491" && (len(got) == 0 || got[len(got)-1] != s.Text()) {
			got = append(got, s.Text())
		}
	}
	if !slices.Equal(got, []string{"first", "second"}) {
		t.Errorf("%q", got)
	}
	r.emptied()
}

// What is given up after it was answered with success is told to its sender, once.
func TestGivenUp(t *testing.T) {
	status := make(chan uint32, 1)
	r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: func(gatewaytest.Submit) gatewaytest.Action {
		return gatewaytest.Action{Status: <-status}
	}}, nil, soon)
	r.account(nil)
	e := r.esme(nil)
	status <- 0x64
	ids := r.submit(e, gatewaytest.Outgoing{Text: "refused in the end", RegisteredDelivery: 1})
	status <- 0x0B
	failed := r.event("E_MESSAGE_FAILED").(events.MessageFailed)
	if failed.ID != ids[0] || failed.Code != 0x0B || failed.Protocol != "smpp" {
		t.Errorf("%+v", failed)
	}
	r.receiptFor(e, ids, "UNDELIV", 5)
	if report := r.event("E_MESSAGE_REPORT").(events.MessageReport); report.ID != ids[0] || report.State != "undeliverable" {
		t.Errorf("%+v", report)
	}
	record := r.state(ids[0], store.RecordFailed)
	if record.Report != sms.StateUndeliverable || record.Attempts != 2 || record.Deferral != nil {
		t.Errorf("%+v", record)
	}
	r.emptied()
}

// What nobody took until its validity ended expires, the message behind it too, and also while the target is away.
func TestExpires(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil, func(c *gateway.Config) { c.Defer.Validity = gateway.Duration(time.Second) })
	r.account(nil)
	e := r.esme(nil)
	r.down()
	ids := r.submit(e, gatewaytest.Outgoing{Text: "one", RegisteredDelivery: 1})
	ids = append(ids, r.submit(e, gatewaytest.Outgoing{Text: "two", RegisteredDelivery: 1})...)
	r.receiptFor(e, ids, "EXPIRED", 3)
	r.receiptFor(e, ids, "EXPIRED", 3)
	for _, id := range ids {
		if record := r.state(id, store.RecordFailed); record.Report != sms.StateExpired {
			t.Errorf("%+v", record)
		}
	}
	if n := statistic(r, "deferred", "expired"); n != 2 {
		t.Errorf("%d expired", n)
	}
	r.emptied()
}

// Beyond the limit the sender is told to try later, and an event says so.
func TestDeferredFull(t *testing.T) {
	for name, limit := range map[string]func(*gateway.Config){
		"messages": func(c *gateway.Config) { c.Defer.MaxMessages = 2 },
		"octets":   func(c *gateway.Config) { c.Defer.MaxBytes = 7 },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, gatewaytest.SMSCConfig{}, nil, limit)
			r.down()
			for _, want := range []int{202, 202, 480} {
				if code := r.send("abc"); code != want {
					t.Errorf("the gateway answered %d, want %d", code, want)
				}
			}
			e := r.event("E_DEFERRED_FULL").(events.DeferredFull)
			if e.Target != "smpp:smsc" || e.Messages != 2 || e.Octets != 6 || e.Refused != 1 || !strings.Contains(e.Reason, "defer.max_") {
				t.Errorf("%+v", e)
			}
			if failed := r.event("E_MESSAGE_FAILED").(events.MessageFailed); !strings.HasPrefix(failed.Reason, "queue full") {
				t.Errorf("%+v", failed)
			}
			r.back()
			r.texts(2)
			r.emptied()
			if code := r.send("abc"); code != 202 {
				t.Errorf("the gateway answered %d, want 202", code)
			}
		})
	}
}

// A message waits for every leg of its route, and goes by the first that is up, or by another that its route names later.
func TestGoesAnotherWay(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	two := r.rule(route.Rule{Name: "two", To: "+491", Targets: "smpp:gone, account:shop"})
	r.rule(route.Rule{Name: "one", To: "+492", Targets: "smpp:gone"})
	r.account(nil)
	from := sms.ParseAddress("100")
	if o := r.accept(&sms.Message{From: from, To: sms.ParseAddress("+491"), Text: "by the account"}); !o.Deferred {
		t.Fatalf("%+v", o)
	}
	if o := r.accept(&sms.Message{From: from, To: sms.ParseAddress("+492"), Text: "by the SMSC"}); !o.Deferred {
		t.Fatalf("%+v", o)
	}
	e := r.esme(nil)
	if in, err := e.Next(r.ctx); err != nil || in.Text() != "by the account" {
		t.Fatalf("%+v, %v", in, err)
	}
	r.rule(route.Rule{Name: "later", Priority: 1, To: "+492", Targets: "smpp:smsc"})
	if texts := r.texts(1); !slices.Equal(texts["492"], []string{"by the SMSC"}) {
		t.Errorf("%q", texts)
	}
	r.emptied()
	if err := r.gw.DeleteRoute(r.ctx, two); err != nil {
		t.Fatal(err)
	}
}

// What the phone refuses for now comes later, in its order.
func TestKeptForSIP(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil, soon)
	r.phone.Answer(480)
	for _, text := range []string{"one", "two"} {
		if status, err := r.smsc.Deliver(r.ctx, gatewaytest.Deliver{From: "+49151", To: "100", Text: text}); err != nil || status != 0 {
			t.Fatalf("status %#x, %v", status, err)
		}
	}
	r.message()
	r.phone.Answer(200)
	got := []string{}
	for len(got) < 2 {
		if m := r.message(); len(got) == 0 || got[len(got)-1] != m.Text {
			got = append(got, m.Text)
		}
	}
	if !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("%q", got)
	}
	r.emptied()
}

// A SIP sender who asked for it hears by IMDN what became of a message that it was told we have.
func TestNotificationOfWhatIsGivenUp(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.down()
	r.sendCPIM("negative-delivery")
	id, err := sms.ParseID(r.event("E_MESSAGE_DEFERRED").(events.MessageDeferred).ID)
	if err != nil {
		t.Fatal(err)
	}
	r.stop(r.gw)
	r.start()
	if err := r.gw.CancelMessage(r.ctx, id); err != nil {
		t.Fatal(err)
	}
	if m := r.message(); !strings.Contains(m.Text, "<message-id>m-1</message-id>") || !strings.Contains(m.Text, "<failed/>") {
		t.Errorf("%+v", m)
	}
	if e := r.event("E_MESSAGE_REPORT").(events.MessageReport); e.State != "deleted" {
		t.Errorf("%+v", e)
	}
}
