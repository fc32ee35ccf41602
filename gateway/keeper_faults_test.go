package gateway_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
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

// An attempt that a crash ended has an unknown fate: it is made again, and counted.
func TestRestartWithAnAttemptUnderWay(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil, soon)
	r.down()
	o := r.accept(&sms.Message{Text: "once more"})
	if !o.Deferred {
		t.Fatalf("%+v", o)
	}
	id := r.event("E_MESSAGE_DEFERRED").(events.MessageDeferred).ID
	r.stop(r.gw)
	r.sql("UPDATE deferred SET trying = 1, next_attempt = next_attempt + 900000") // what kill -9 leaves
	r.start()
	if n := statistic(r, "deferred", "unknown_fates"); n != 1 {
		t.Errorf("%d attempts of unknown fate, want 1", n)
	}
	if d := r.state(id, store.RecordDeferred).Deferral; d == nil || d.Unknown != 1 || d.Attempts < 2 || d.Trying {
		t.Errorf("%+v", d)
	}
	r.back()
	r.texts(1)
	// the third, or a later one if the time for one came before the SMSC did
	if e := r.event("E_MESSAGE_SENT").(events.MessageSent); e.ID != id || e.Attempt < 3 {
		t.Errorf("%+v", e)
	}
}

// An attempt without an answer is made again, unless the rule says otherwise; the sender is told nothing of it.
func TestUnknownFate(t *testing.T) {
	dies := make(chan bool, 1)
	r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: func(s gatewaytest.Submit) gatewaytest.Action {
		return gatewaytest.Action{Close: <-dies}
	}}, nil, soon)
	r.rule(route.Rule{Name: "fail", To: "+492", Targets: "smpp:smsc", Options: `{"on_unknown":"fail"}`})
	r.rule(route.Rule{Name: "no", To: "+493", Targets: "smpp:gone", Options: `{"defer":false}`})
	from := sms.ParseAddress("100")
	for _, c := range []struct {
		name  string
		m     sms.Message
		keeps bool
	}{
		{"retry", sms.Message{To: sms.ParseAddress("+491")}, true},
		{"fail", sms.Message{To: sms.ParseAddress("+492")}, false},
		{"the sender does not want it", sms.Message{To: sms.ParseAddress("+494"), NoDefer: true}, false},
	} {
		c.m.From, c.m.Text = from, c.name
		dies <- true
		if o := r.accept(&c.m); o.Deferred != c.keeps || o.Fate != sms.Unknown {
			t.Errorf("%s: %+v", c.name, o)
		}
		r.event("E_SMPP_BIND_DOWN")
		if c.keeps {
			dies <- false
		}
		if err := r.gw.Rebind("smsc"); err != nil {
			t.Fatal(err)
		}
		r.event("E_SMPP_BIND_UP")
		if c.keeps {
			if e := r.event("E_MESSAGE_SENT").(events.MessageSent); e.ID != c.m.ID.String() || e.Attempt < 2 {
				t.Errorf("%s: %+v", c.name, e)
			}
		}
	}
	if o := r.accept(&sms.Message{From: from, To: sms.ParseAddress("+493"), Text: "x"}); o.Deferred || o.Cause != sms.CauseNotReady {
		t.Errorf("%+v", o)
	}
	if n := statistic(r, "deferred", "unknown_fates"); n != 1 {
		t.Errorf("%d attempts of unknown fate that were made again, want 1", n)
	}
}

// An SMSC that comes and goes and refuses by chance gets every message in the end, each recipient's in their order, and none twice.
func TestNothingIsLostOrDoubled(t *testing.T) {
	var mu sync.Mutex
	taken := make(map[string][]string)
	r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: func(s gatewaytest.Submit) gatewaytest.Action {
		mu.Lock()
		defer mu.Unlock()
		if rand.IntN(3) == 0 {
			return gatewaytest.Action{Status: []uint32{0x64, 0x08}[rand.IntN(2)]}
		}
		taken[s.To] = append(taken[s.To], s.Text())
		return gatewaytest.Action{}
	}}, nil, func(c *gateway.Config) {
		c.Defer.FirstDelay, c.Defer.MaxDelay = gateway.Duration(5*time.Millisecond), gateway.Duration(20*time.Millisecond)
	})
	const recipients, each = 20, 15
	for i := range recipients * each {
		m := &sms.Message{From: sms.ParseAddress("100"), To: sms.ParseAddress(fmt.Sprintf("+4916%02d", i%recipients)), Text: fmt.Sprint(i / recipients)}
		if o := r.accept(m); !o.Taken() {
			t.Fatalf("%+v", o)
		}
		if i%100 == 50 {
			if err := r.gw.Rebind("smsc"); err != nil { // graceful, so that no fate is unknown
				t.Fatal(err)
			}
		}
	}
	r.emptied()
	mu.Lock()
	defer mu.Unlock()
	if len(taken) != recipients {
		t.Errorf("%d recipients got any", len(taken))
	}
	for to, texts := range taken {
		for i, text := range texts {
			if text != fmt.Sprint(i) {
				t.Errorf("%s got %q", to, texts)
				break
			}
		}
		if len(texts) != each {
			t.Errorf("%s got %d", to, len(texts))
		}
	}
}

// What was kept leaves room for what comes: new messages are taken while much of it still waits.
func TestDrainLeavesRoom(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{Latency: 10 * time.Millisecond, Keep: -1}, nil)
	r.down()
	const n = 1500
	for i := range n {
		if o := r.accept(&sms.Message{From: sms.ParseAddress("100"), To: sms.ParseAddress(fmt.Sprintf("+4915%d", i)), Text: "kept"}); !o.Deferred {
			t.Fatalf("%+v", o)
		}
	}
	r.back()
	r.event("E_SMPP_BIND_UP")
	for range 20 {
		if o := r.accept(&sms.Message{From: sms.ParseAddress("100"), To: sms.ParseAddress("+4916"), Text: "new"}); o.Fate != sms.Accepted {
			t.Fatalf("%+v", o)
		}
	}
	if left := statistic(r, "deferred", "waiting"); left == 0 {
		t.Error("new messages had to wait for all that was kept")
	}
	r.emptied()
	if sent := statistic(r, "deferred", "sent"); sent != n {
		t.Errorf("%d of %d that were kept were sent", sent, n)
	}
}

// Where records are of what is pending alone, what was kept leaves none.
func TestKeptWithoutRecords(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil, func(c *gateway.Config) { c.Records.Messages = "pending" })
	r.down()
	sent, cancelled := &sms.Message{Text: "sent"}, &sms.Message{Text: "cancelled"}
	for _, m := range []*sms.Message{sent, cancelled} {
		if o := r.accept(m); !o.Deferred {
			t.Fatalf("%+v", o)
		}
	}
	if err := r.gw.CancelMessage(r.ctx, cancelled.ID); err != nil {
		t.Error(err)
	}
	r.back()
	r.texts(1)
	r.emptied()
	for {
		list, _, err := r.gw.Messages(r.ctx, store.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		<-time.After(5 * time.Millisecond) // until the last end is written
	}
}

// The record of a message tells of each attempt that was refused; one that found nobody there is only counted.
func TestFailedAttemptsAreTold(t *testing.T) {
	refuse := 2
	r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: func(gatewaytest.Submit) gatewaytest.Action {
		if refuse--; refuse >= 0 {
			return gatewaytest.Action{Status: 0x64}
		}
		return gatewaytest.Action{}
	}}, nil, soon)
	r.rule(route.Rule{Name: "two", To: "+49*", Targets: "smpp:gone, smpp:smsc"})
	m := &sms.Message{Text: "x"}
	if o := r.accept(m); !o.Deferred {
		t.Fatalf("%+v", o)
	}
	record := r.state(m.ID.String(), store.RecordDone)
	var got []string
	for _, f := range record.Failed {
		got = append(got, fmt.Sprintf("%d %s %.7s", f.Attempt, f.Egress, f.Reason))
	}
	want := []string{"2 smpp:smsc refused", "4 smpp:smsc refused"}
	if !slices.Equal(got, want) || record.Attempts != 6 {
		t.Errorf("%q of %d attempts, want %q of 6", got, record.Attempts, want)
	}
}

// Without its database the gateway keeps nothing, tries nothing and says so; when it is back, everything goes on, and nothing that was
// sent meanwhile is sent again.
func TestDatabaseGone(t *testing.T) {
	came, answer := make(chan struct{}, 1), make(chan struct{})
	r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: func(s gatewaytest.Submit) gatewaytest.Action {
		if s.Text() == "slow" {
			came <- struct{}{}
			<-answer
		}
		return gatewaytest.Action{}
	}}, nil, soon)
	r.down()
	if code := r.send("slow"); code != 202 {
		t.Fatalf("the gateway answered %d", code)
	}
	r.sql("ALTER TABLE deferred RENAME TO deferred_gone")
	if code := r.send("not kept"); code != 480 {
		t.Errorf("the gateway answered %d, want 480", code)
	}
	if e := r.event("E_MESSAGE_FAILED").(events.MessageFailed); e.Reason != "database unavailable" {
		t.Errorf("%+v", e)
	}
	if n := statistic(r, "deferred", "waiting"); n != 1 {
		t.Errorf("%d wait, want 1", n)
	}
	r.back()
	r.event("E_SMPP_BIND_UP")
	if o := r.accept(&sms.Message{From: sms.ParseAddress("100"), To: sms.ParseAddress("+492"), Text: "passes"}); o.Fate != sms.Accepted {
		t.Errorf("%+v", o)
	}
	if text, _ := r.received(); text != "passes" {
		t.Errorf("%q, want what needs no deferral: no attempt is made that is not written down", text)
	}
	r.sql("ALTER TABLE deferred_gone RENAME TO deferred")
	<-came
	r.sql("ALTER TABLE deferred RENAME TO deferred_gone")
	close(answer)
	if e := r.event("E_MESSAGE_SENT").(events.MessageSent); e.Attempt > 1 {
		t.Errorf("%+v", e)
	}
	for statistic(r, "deferred", "unsaved") == 0 {
		select {
		case <-r.ctx.Done():
			t.Fatal("the end of the message was not to be written again")
		case <-time.After(5 * time.Millisecond):
		}
	}
	r.sql("ALTER TABLE deferred_gone RENAME TO deferred")
	r.emptied()
	if n := r.smsc.Stats().Submits; n != 2 {
		t.Errorf("the SMSC got %d messages, want 2", n)
	}
	if n := statistic(r, "deferred", "unknown_fates"); n != 0 {
		t.Errorf("%d attempts of unknown fate", n)
	}
}

// A message whose report is awaited is answered once its record is written, and its receipt finds it, also when the database was away.
func TestRecordsWaitForTheDatabase(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.sql("ALTER TABLE message RENAME TO message_gone")
	done := make(chan sms.Outcome, 1)
	m := &sms.Message{
		Ingress: sms.MI, From: sms.ParseAddress("100"), To: sms.ParseAddress("+491"), Text: "wanted", Receipt: sms.ReceiptFinal, Received: time.Now(),
	}
	r.gw.Accept(m, func(o sms.Outcome) { done <- o })
	r.event("E_MESSAGE_SENT")
	for statistic(r, "deferred", "unsaved") == 0 {
		select {
		case <-r.ctx.Done():
			t.Fatal("the record was not to be written again")
		case <-time.After(5 * time.Millisecond):
		}
	}
	select {
	case o := <-done:
		t.Errorf("it was answered without a record: %+v", o)
	default:
	}
	r.sql("ALTER TABLE message_gone RENAME TO message")
	if o := <-done; o.Fate != sms.Accepted {
		t.Errorf("%+v", o)
	}
	r.state(m.ID.String(), store.RecordSent)
	// The SMSC was told to send its receipt again, which the simulated one does not: another stands for it.
	if _, err := r.smsc.Deliver(r.ctx, gatewaytest.Deliver{
		From: "491", To: "100", ESMClass: 0x04, ShortMessage: []byte("id:" + r.smsc.Submits()[0].MessageID + " stat:DELIVRD err:000"),
	}); err != nil {
		t.Fatal(err)
	}
	if e := r.event("E_MESSAGE_REPORT").(events.MessageReport); e.ID != m.ID.String() || e.State != "delivered" {
		t.Errorf("%+v", e)
	}
}
