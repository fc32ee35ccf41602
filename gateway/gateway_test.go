package gateway_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sipsmpp/events"
	"sipsmpp/gateway"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// texts are those that gateways are known to break, and the segments that they need with a 16-bit reference.
var texts = []struct {
	name, text string
	segments   int
}{
	{"ASCII", "Hello, world", 1},
	{"e acute", "é", 1},
	{"euro", "€", 1},
	{"at sign at both ends", "@ home @", 1},
	{"Cyrillic", "Привет", 1},
	{"Chinese", "汉字", 1},
	{"emoji", "👋🏽", 1},
	{"160 septets", strings.Repeat("a", 158) + "€", 1},
	{"161 septets", strings.Repeat("a", 159) + "€", 2},
	{"an escape at the boundary", strings.Repeat("a", 151) + "€" + strings.Repeat("b", 100), 2},
	{"70 UCS-2 units", strings.Repeat("я", 68) + "👋", 1},
	{"71 UCS-2 units", strings.Repeat("я", 69) + "👋", 2},
	{"a surrogate pair at the boundary", strings.Repeat("я", 65) + "👋" + strings.Repeat("ю", 60), 2},
	{"1,000 septets", strings.Repeat("The quick brown fox. ", 50)[:1000], 7},
	{"1,000 UCS-2 units", strings.Repeat("ё", 1000), 16},
}

func TestSIPToSMPP(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	for _, c := range texts {
		t.Run(c.name, func(t *testing.T) {
			if code := r.send(c.text); code != 202 {
				t.Fatalf("the gateway answered %d", code)
			}
			if text, segments := r.received(); text != c.text || segments != c.segments {
				t.Errorf("%q in %d segments, want %q in %d", text, segments, c.text, c.segments)
			}
			in := r.event("E_MESSAGE_RECEIVED").(events.MessageReceived)
			if in.Ingress != "sip" || in.From != "100" || in.To != "+4915112345678" || in.Text != c.text {
				t.Errorf("%+v", in)
			}
			out := r.event("E_MESSAGE_SENT").(events.MessageSent)
			if out.ID != in.ID || out.Egress != "smpp:smsc" || out.Connection != "smsc" || out.Segments != c.segments ||
				len(out.SMSCIDs) != c.segments || out.Attempt != 1 {
				t.Errorf("%+v", out)
			}
		})
	}
}

func TestSMPPToSIP(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	for name, long := range map[string]gatewaytest.LongForm{
		"udh16": gatewaytest.UDH16, "udh8": gatewaytest.UDH8, "sar": gatewaytest.SAR, "payload": gatewaytest.Payload,
	} {
		for _, c := range texts {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				status, err := r.smsc.Deliver(r.ctx, gatewaytest.Deliver{From: "+4915112345678", To: "100", Text: c.text, Long: long})
				if err != nil || status != 0 {
					t.Fatalf("status %#x, %v", status, err)
				}
				m := r.message()
				if m.Text != c.text || !strings.HasPrefix(m.From, "sip:+4915112345678@") || !strings.HasPrefix(m.To, "sip:100@") {
					t.Errorf("%+v", m)
				}
				in := r.event("E_MESSAGE_RECEIVED").(events.MessageReceived)
				if in.Ingress != "smpp:smsc" || in.Text != c.text {
					t.Errorf("%+v", in)
				}
				if out := r.event("E_MESSAGE_SENT").(events.MessageSent); out.ID != in.ID || out.Egress != "sip" {
					t.Errorf("%+v", out)
				}
			})
		}
	}
}

func TestRefusals(t *testing.T) {
	statuses := make(chan uint32, 1)
	r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: func(gatewaytest.Submit) gatewaytest.Action {
		return gatewaytest.Action{Status: <-statuses}
	}}, nil, refuses)
	for _, c := range []struct {
		status uint32
		code   int
	}{{0x0B, 404}, {0x0A, 403}, {0x01, 413}, {0x08, 500}, {0x64, 480}, {0x58, 480}} {
		statuses <- c.status
		if code := r.send("refused"); code != c.code {
			t.Errorf("status %#x: the gateway answered %d, want %d", c.status, code, c.code)
		}
		if e := r.event("E_MESSAGE_FAILED").(events.MessageFailed); e.Protocol != "smpp" || uint32(e.Code) != c.status {
			t.Errorf("%+v", e)
		}
	}
	if e := r.event("E_SMPP_THROTTLED").(events.Throttled); e.Connection != "smsc" || uint32(e.CommandStatus) != 0x58 {
		t.Errorf("%+v", e)
	}
	for code, want := range map[int]uint32{404: 0x0B, 480: 0x64, 603: 0x66, 415: 0x65} {
		r.phone.Answer(code)
		status, err := r.smsc.Deliver(r.ctx, gatewaytest.Deliver{From: "+4915112345678", To: "100", Text: "refused"})
		if err != nil || status != want {
			t.Errorf("SIP %d: deliver_sm_resp has status %#x, %v, want %#x", code, status, err, want)
		}
		<-r.phone.Received()
	}
}

func TestNobodyThere(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil, refuses)

	t.Run("unknown connection", func(t *testing.T) {
		if o := r.accept(&sms.Message{Text: "x", Connection: "nobody"}); o.Cause != sms.CauseNoRoute {
			t.Errorf("%+v", o)
		}
	})
	t.Run("expired", func(t *testing.T) {
		if o := r.accept(&sms.Message{Text: "x", Expires: time.Now().Add(-time.Second)}); o.Cause != sms.CauseExpired {
			t.Errorf("%+v", o)
		}
	})
	t.Run("SMSC down", func(t *testing.T) {
		if err := r.smsc.Refuse(gatewaytest.RefuseListen); err != nil {
			t.Fatal(err)
		}
		r.smsc.DropConnections()
		if e := r.event("E_SMPP_BIND_DOWN").(events.BindDown); e.Connection != "smsc" || e.Reason == "" {
			t.Errorf("%+v", e)
		}
		if code := r.send("nobody there"); code != 503 {
			t.Errorf("the gateway answered %d, want 503", code)
		}
		if c := r.gw.Connections()[0]; c.State != "down" || c.Binds[0].LastError == "" {
			t.Errorf("%+v", c)
		}
	})
	t.Run("SMSC back", func(t *testing.T) {
		if err := r.smsc.Refuse(gatewaytest.RefuseNothing); err != nil {
			t.Fatal(err)
		}
		if err := r.gw.Rebind("smsc"); err != nil {
			t.Fatal(err)
		}
		r.event("E_SMPP_BIND_UP")
		if code := r.send("somebody there"); code != 202 {
			t.Errorf("the gateway answered %d, want 202", code)
		}
	})
}

func TestDiesInFlight(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: func(gatewaytest.Submit) gatewaytest.Action {
		return gatewaytest.Action{Close: true}
	}}, nil, refuses)
	if code := r.send("lost"); code != 504 {
		t.Errorf("the gateway answered %d, want 504", code)
	}
	if e := r.event("E_SMPP_BIND_DOWN").(events.BindDown); e.InFlight != 1 {
		t.Errorf("%+v, want 1 in flight", e)
	}
}

func TestDisableAndEnable(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil, refuses)
	if err := r.gw.Disable("smsc"); err != nil {
		t.Fatal(err)
	}
	r.event("E_SMPP_BIND_DOWN")
	if c := r.gw.Connections()[0]; c.State != "disabled" {
		t.Errorf("%+v", c)
	}
	if code := r.send("disabled"); code != 503 {
		t.Errorf("the gateway answered %d, want 503", code)
	}
	if err := r.gw.Enable("smsc"); err != nil {
		t.Fatal(err)
	}
	r.event("E_SMPP_BIND_UP")
	for _, f := range []func(string) error{r.gw.Enable, r.gw.Disable, r.gw.Rebind} {
		if err := f("nobody"); !errors.Is(err, gateway.ErrUnknownConnection) {
			t.Errorf("%v, want ErrUnknownConnection", err)
		}
	}
}

// A peer that sends its parts one at a time gets each answered; the message goes on when the last is there, also if the gateway was
// restarted in between.
func TestPartsSurviveARestart(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{Window: 1}, nil)
	part := func(seq byte, text string) gatewaytest.Deliver {
		return gatewaytest.Deliver{
			From: "+4915112345678", To: "100", ESMClass: 0x40,
			ShortMessage: append([]byte{5, 0, 3, 77, 3, seq}, text...),
		}
	}
	deliver := func(d gatewaytest.Deliver) {
		t.Helper()
		if status, err := r.smsc.Deliver(r.ctx, d); err != nil || status != 0 {
			t.Fatalf("status %#x, %v", status, err)
		}
	}
	deliver(part(3, "three."))
	deliver(part(1, "one, "))
	deliver(part(1, "one, ")) // sent again
	r.restart()
	deliver(part(2, "two, "))
	if m := r.message(); m.Text != "one, two, three." {
		t.Errorf("%q", m.Text)
	}
	r.restart()
	if n := statistic(r, "core", "parts_waiting"); n != 0 {
		t.Errorf("%d messages still wait for parts", n)
	}
}

func statistic(r *rig, group, name string) uint64 {
	for _, s := range r.gw.Statistics() {
		if s.Group == group && s.Name == name {
			return s.Value
		}
	}
	r.t.Fatalf("no statistic %s:%s", group, name)
	return 0
}

// The last part is answered as the message is; the SMSC that is told to try again sends it, and only it, again.
func TestLastPartIsRetried(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil, refuses)
	parts := []gatewaytest.Deliver{}
	for seq := byte(1); seq <= 2; seq++ {
		parts = append(parts, gatewaytest.Deliver{From: "+49151", To: "100", ESMClass: 0x40,
			ShortMessage: append([]byte{5, 0, 3, 9, 2, seq}, "half"...)})
	}
	r.phone.Answer(480)
	for i, want := range []uint32{0, 0x64} {
		if status, err := r.smsc.Deliver(r.ctx, parts[i]); err != nil || status != want {
			t.Fatalf("part %d: status %#x, %v, want %#x", i+1, status, err, want)
		}
	}
	r.message()
	r.phone.Answer(200)
	if status, err := r.smsc.Deliver(r.ctx, parts[1]); err != nil || status != 0 {
		t.Fatalf("the last part again: status %#x, %v", status, err)
	}
	if m := r.message(); m.Text != "halfhalf" {
		t.Errorf("%q", m.Text)
	}
}

func TestReload(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	other, err := gatewaytest.NewSMSC(gatewaytest.SMSCConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()

	if c, err := r.gw.Reload(r.ctx); err != nil || c.Unchanged != 1 || len(c.Added)+len(c.Changed)+len(c.Removed) > 0 {
		t.Fatalf("nothing changed: %+v, %v", c, err)
	}
	r.put(r.row("other", other.Addr()))
	if c, err := r.gw.Reload(r.ctx); err != nil || c.Unchanged != 1 || !slices.Equal(c.Added, []string{"other"}) {
		t.Fatalf("a row more: %+v, %v", c, err)
	}
	if e := r.event("E_SMPP_RELOADED").(events.Reloaded); !slices.Equal(e.Added, []string{"other"}) {
		t.Errorf("%+v", e)
	}
	r.event("E_SMPP_BIND_UP")
	// With two connections there is no default, but each can be asked for.
	if code := r.send("to whom?"); code != 404 {
		t.Errorf("the gateway answered %d, want 404", code)
	}
	if o := r.accept(&sms.Message{Text: "to the other", Connection: "other"}); o.Fate != sms.Accepted || o.Egress != sms.Connection("other") {
		t.Errorf("%+v", o)
	}
	if n := len(r.smsc.Binds()); n != 1 {
		t.Errorf("the untouched connection has %d binds", n)
	}
	r.none("E_SMPP_BIND_DOWN")
}

func TestReloadRefusesBadRows(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.put(r.row("bad", "127.0.0.1:2775"), r.row("fine", "127.0.0.1:2775"))
	r.sql("UPDATE smpp SET port = 70000 WHERE name = 'bad'")
	_, err := r.gw.Reload(r.ctx)
	var faulty *gateway.FaultsError
	if !errors.As(err, &faulty) || len(faulty.Faults) != 1 || faulty.Faults[0].Path != "smpp[name=bad].port" {
		t.Fatalf("%v", err)
	}
	if n := len(r.gw.Connections()); n != 1 {
		t.Errorf("%d connections after a reload that was refused", n)
	}
	// At start there is nothing to keep: the good ones run, the bad one is shown.
	r.restart()
	states := make(map[string]string)
	for _, c := range r.gw.Connections() {
		states[c.Name] = string(c.State)
	}
	if states["bad"] != "invalid" || states["smsc"] != "bound" || states["fine"] == "" {
		t.Errorf("%v", states)
	}
}

// One row added, one removed, one changed among 500, while messages flow: the others are not disturbed, and nothing is lost or
// doubled.
func TestReloadOfMany(t *testing.T) {
	const many, messages = 500, 2000
	r := newRig(t, gatewaytest.SMSCConfig{Keep: messages + 10}, nil)
	rows := make([]sms.ConnectionConfig, many)
	for i := range rows {
		rows[i] = r.row(fmt.Sprintf("c%03d", i), r.smsc.Addr())
	}
	r.put(rows...)
	if c, err := r.gw.Reload(r.ctx); err != nil || len(c.Added) != many {
		t.Fatalf("%+v, %v", c, err)
	}
	for range many {
		r.event("E_SMPP_BIND_UP")
	}
	before := make(map[string]string)
	for _, c := range r.gw.Connections() {
		before[c.Name] = c.Binds[0].Local
	}

	outcomes := make(chan sms.Outcome, messages)
	sent := make(chan struct{})
	reloadAt := make(chan struct{})
	go func() {
		defer close(sent)
		for i := range messages {
			if i == messages/4 {
				close(reloadAt)
			}
			m := &sms.Message{
				Ingress: sms.MI, Received: time.Now(), Text: fmt.Sprint("message ", i), Connection: fmt.Sprintf("c%03d", 1+i%(many-1)),
				From: sms.ParseAddress("100"), To: sms.ParseAddress("+4915112345678"),
			}
			if i%3 == 0 {
				m.Connection = "c007" // the one that changes
			}
			r.gw.Accept(m, func(o sms.Outcome) { outcomes <- o })
		}
	}()
	<-reloadAt
	changed := rows[7]
	changed.Window = 33
	db, err := store.Open(r.ctx, r.config.DB)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, err := range []error{
		db.DeleteConnection(r.ctx, "c000"),
		db.PutConnection(r.ctx, changed),
		db.PutConnection(r.ctx, r.row("new", r.smsc.Addr())),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	c, err := r.gw.Reload(r.ctx)
	if err != nil || !slices.Equal(c.Added, []string{"new"}) || !slices.Equal(c.Changed, []string{"c007"}) ||
		!slices.Equal(c.Removed, []string{"c000"}) || c.Unchanged != many-1 {
		t.Errorf("%+v, %v", c, err)
	}
	<-sent
	for range messages {
		select {
		case o := <-outcomes:
			if o.Fate != sms.Accepted {
				t.Fatalf("%+v", o)
			}
		case <-r.ctx.Done():
			t.Fatal("messages have no outcome")
		}
	}
	got := make(map[string]int)
	for _, s := range r.smsc.Submits() {
		got[s.Text()]++
	}
	for i := range messages {
		if n := got[fmt.Sprint("message ", i)]; n != 1 {
			t.Errorf("message %d arrived %d times", i, n)
		}
	}
	for _, c := range r.gw.Connections() {
		if b := before[c.Name]; b != "" && c.Name != "c007" && c.Binds[0].Local != b {
			t.Errorf("connection %s was disturbed: %s, before %s", c.Name, c.Binds[0].Local, b)
		}
	}
}
