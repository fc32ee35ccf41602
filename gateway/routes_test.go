package gateway_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sipsmpp/events"
	"sipsmpp/gateway"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/route"
	"sipsmpp/gateway/sms"
)

// rule adds a rule, which must be good.
func (r *rig) rule(rule route.Rule) int64 {
	r.t.Helper()
	rule.Enabled = true
	id, err := r.gw.AddRoute(r.ctx, rule)
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

func (r *rig) messageReceived() events.MessageReceived {
	r.t.Helper()
	return r.event("E_MESSAGE_RECEIVED").(events.MessageReceived)
}

// second gives the gateway another connection, to another SMSC.
func (r *rig) second(name string, config gatewaytest.SMSCConfig) *gatewaytest.SMSC {
	r.t.Helper()
	smsc, err := gatewaytest.NewSMSC(config)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(smsc.Close)
	r.put(r.row(name, smsc.Addr()))
	if _, err := r.gw.Reload(r.ctx); err != nil {
		r.t.Fatal(err)
	}
	r.event("E_SMPP_BIND_UP")
	return smsc
}

// A rule rewrites what goes out, and not what the events tell of what came in.
func TestRouteRewrites(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.rule(route.Rule{To: "0*", Targets: "smpp:smsc", Options: `{"to_e164":"49","from":"MyBrand","coding":"ucs2","service_type":"CMT"}`})
	o := r.accept(&sms.Message{From: sms.ParseAddress("100"), To: sms.ParseAddress("0151 12345678"), Text: "hi"})
	if o.Fate != sms.Accepted || o.Alphabet != sms.AlphabetUCS2 {
		t.Fatalf("%+v", o)
	}
	got, err := r.smsc.Next(r.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got.To != "4915112345678" || got.ToTON != 1 || got.From != "MyBrand" || got.FromTON != 5 || got.ServiceType != "CMT" {
		t.Errorf("submitted %+v", got)
	}
	if e := r.messageReceived(); e.To != "015112345678" || e.From != "100" {
		t.Errorf("%+v", e)
	}
}

// What one connection cannot take goes to the next, and a deliver_sm of one to another connection.
func TestRouteBetweenConnections(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	other := r.second("other", gatewaytest.SMSCConfig{})
	r.rule(route.Rule{Name: "onward", Ingress: "smpp:smsc", To: "+43*", Targets: "smpp:gone, smpp:smsc, smpp:other"})
	status, err := r.smsc.Deliver(r.ctx, gatewaytest.Deliver{From: "+4915112345678", To: "+43660123456", Text: "onward"})
	if err != nil || status != 0 {
		t.Fatalf("status %d, %v", status, err)
	}
	got, err := other.Next(r.ctx)
	if err != nil || gatewaytest.JoinText(got) != "onward" || got.To != "43660123456" {
		t.Fatalf("%+v, %v", got, err)
	}
	if e := r.event("E_MESSAGE_SENT").(events.MessageSent); e.Connection != "other" || e.Attempt != 2 {
		t.Errorf("%+v", e) // smpp:smsc, where it came from, was not tried
	}
}

// A rule that names only the leg that a message came by makes a loop, which an event tells.
func TestRouteLoop(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.rule(route.Rule{Name: "mirror", Targets: "smpp:smsc"})
	status, err := r.smsc.Deliver(r.ctx, gatewaytest.Deliver{From: "+4915112345678", To: "100", Text: "x"})
	if err != nil || status != 0x65 { // ESME_RX_P_APPN
		t.Errorf("status %#x, %v", status, err)
	}
	if e := r.event("E_MESSAGE_FAILED").(events.MessageFailed); !strings.HasPrefix(e.Reason, "loop: rule mirror") {
		t.Errorf("%+v", e)
	}
}

// A rule's own SIP URI is a next hop, its user part made of the message.
func TestRouteToSIPURI(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	phone, err := gatewaytest.NewUserAgent("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = phone.Close() })
	r.rule(route.Rule{To: "+49*", Targets: "sip:x{to}@" + phone.Addr()})
	if o := r.accept(&sms.Message{From: sms.ParseAddress("100"), To: sms.ParseAddress("+4915112345678"), Text: "hi"}); o.Fate != sms.Accepted {
		t.Fatalf("%+v", o)
	}
	select {
	case m := <-phone.Received():
		if !strings.Contains(m.To, "sip:x+4915112345678@"+phone.Addr()) || m.Text != "hi" {
			t.Errorf("%+v", m)
		}
	case <-r.ctx.Done():
		t.Fatal("no MESSAGE came")
	}
	_, err = r.gw.AddRoute(r.ctx, route.Rule{Targets: "sip:x@host;transport=carrier-pigeon"})
	if faults := new(gateway.FaultsError); !errors.As(err, &faults) || faults.Faults[0].Path != "route[new].targets" {
		t.Errorf("a transport that is none: %v", err)
	}
}

// app: the event is the delivery. reject: the sender gets the code.
func TestRouteToAppAndReject(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.rule(route.Rule{Name: "all", Targets: "app"})
	r.rule(route.Rule{Name: "spam", Priority: 1, When: `text contains "casino"`, Targets: "reject 603"})
	if code := r.send("hello"); code != 202 {
		t.Errorf("to the applications: %d", code)
	}
	if e := r.messageReceived(); e.Text != "hello" || e.Awaits != "" {
		t.Errorf("%+v", e)
	}
	if e := r.event("E_MESSAGE_SENT").(events.MessageSent); e.Egress != "app" {
		t.Errorf("%+v", e)
	}
	if code := r.send("the casino"); code != 603 {
		t.Errorf("rejected with %d", code)
	}
}

// app?: the message waits until an application says where it goes.
func TestApplicationDecides(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.rule(route.Rule{Name: "ask", Targets: "app?, smpp:smsc", Options: `{"wait":1}`})
	send := func(text string) <-chan sms.Outcome {
		done := make(chan sms.Outcome, 2)
		r.gw.Accept(&sms.Message{
			Ingress: sms.SIP, Received: time.Now(), From: sms.ParseAddress("100"), To: sms.ParseAddress("+4915112345678"), Text: text,
		}, func(o sms.Outcome) { done <- o })
		return done
	}
	decide := func(targets ...string) error {
		e := r.messageReceived()
		if e.Awaits != "decision" {
			t.Errorf("%+v", e)
		}
		id, err := sms.ParseID(e.ID)
		if err != nil {
			t.Fatal(err)
		}
		var list []route.Target
		for _, text := range targets {
			target, err := route.ParseTarget(text)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, target)
		}
		if len(list) == 0 {
			return nil
		}
		if err := r.gw.RouteMessage(id, list); err != nil {
			t.Errorf("%v: %v", targets, err)
		}
		return r.gw.RouteMessage(id, list)
	}

	done := send("one")
	if err := decide("smpp:gone", "smpp:smsc"); !errors.Is(err, gateway.ErrNotAwaiting) {
		t.Errorf("decided twice: %v", err)
	}
	if o := <-done; o.Fate != sms.Accepted || o.Egress != sms.Connection("smsc") {
		t.Errorf("%+v", o)
	}
	done = send("two")
	_ = decide("reject 486")
	if o := <-done; o.Fate != sms.Refused || o.Status != 486 {
		t.Errorf("%+v", o)
	}
	done = send("three") // nobody decides: the next target takes it
	_ = decide()
	if o := <-done; o.Fate != sms.Accepted || o.Egress != sms.Connection("smsc") {
		t.Errorf("%+v", o)
	}
	done = send("four")
	_ = decide()
	r.stop(r.gw)
	if o := <-done; o.Cause != sms.CauseShutdown {
		t.Errorf("%+v", o)
	}
}

// What no application decided waits behind what waits for its recipient already.
func TestUndecidedWaitsBehind(t *testing.T) {
	refused := false
	r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: func(gatewaytest.Submit) gatewaytest.Action {
		if !refused {
			refused = true
			return gatewaytest.Action{Status: 0x64}
		}
		return gatewaytest.Action{}
	}}, nil)
	r.rule(route.Rule{Name: "ask", Targets: "app?, smpp:smsc", Options: `{"wait":1}`})
	for i, text := range []string{"one", "two"} {
		if o := r.accept(&sms.Message{Text: text}); !o.Deferred {
			t.Errorf("%s: %+v", text, o)
		}
		if e := r.event("E_MESSAGE_DEFERRED").(events.MessageDeferred); e.Attempt != 1-i { // to ask an application is none
			t.Errorf("%s: %d attempts", text, e.Attempt)
		}
	}
}

// The table is checked whole and swapped at once, survives a restart, and one bad row of an operator's changes nothing.
func TestRouteReload(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	first := r.rule(route.Rule{Name: "all", Targets: "app"})
	r.sql(`INSERT INTO route (name, to_match, targets) VALUES ('germany', '+49*', 'smpp:smsc'), ('bad', '+43*', 'smpp:smsc')`)
	if o := r.accept(&sms.Message{Text: "x"}); o.Egress != sms.App {
		t.Errorf("before the reload: %+v", o)
	}
	r.sql(`UPDATE route SET "when" = 'hour <' WHERE name = 'bad'`)
	_, err := r.gw.ReloadRoutes(r.ctx)
	if faults := new(gateway.FaultsError); !errors.As(err, &faults) || !strings.HasSuffix(faults.Faults[0].Path, "].when") {
		t.Fatalf("a bad row: %v", err)
	}
	if o := r.accept(&sms.Message{Text: "x"}); o.Egress != sms.App {
		t.Errorf("after a reload that failed: %+v", o)
	}
	r.restart() // the bad row is left out, and hinders no other
	if o := r.accept(&sms.Message{Text: "x"}); o.Egress != sms.Connection("smsc") {
		t.Errorf("after a restart: %+v", o)
	}
	rules, faults := r.gw.Routes()
	if len(rules) != 3 || gateway.RouteFault(faults, rules[2].ID) == "" || gateway.RouteFault(faults, first) != "" {
		t.Errorf("%+v, %v", rules, faults)
	}
	if err := r.gw.SetRoute(r.ctx, rules[1].ID, func(r *route.Rule) { r.Enabled = false }); err != nil {
		t.Fatal(err)
	}
	if o := r.accept(&sms.Message{Text: "x"}); o.Egress != sms.App {
		t.Errorf("after germany was disabled: %+v", o)
	}
	if err := r.gw.SetRoute(r.ctx, first, func(r *route.Rule) { r.Targets = "nowhere" }); err == nil {
		t.Error("a bad change was taken")
	}
	if err := r.gw.DeleteRoute(r.ctx, rules[2].ID); err != nil {
		t.Fatal(err)
	}
	if err := r.gw.DeleteRoute(r.ctx, rules[2].ID); !errors.Is(err, gateway.ErrUnknownRoute) {
		t.Errorf("deleted twice: %v", err)
	}
	changes, err := r.gw.ReloadRoutes(r.ctx)
	if err != nil || changes != (gateway.RouteChanges{Rules: 2, Enabled: 1, Unchanged: 2}) {
		t.Errorf("%+v, %v", changes, err)
	}
	// Connections may be reloaded, and the rules stay.
	r.put(r.row("another", r.smsc.Addr()))
	if _, err := r.gw.Reload(r.ctx); err != nil {
		t.Fatal(err)
	}
	if o := r.accept(&sms.Message{Text: "x"}); o.Egress != sms.App {
		t.Errorf("after smpp_reload: %+v", o)
	}
}

// Of several connections the one with most room gets the message; one that is not bound gets none.
func TestRouteLeastLoaded(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.put(r.row("down", "127.0.0.1:1"))
	if _, err := r.gw.Reload(r.ctx); err != nil {
		t.Fatal(err)
	}
	r.rule(route.Rule{Targets: "smpp:gone, smpp:down, smpp:smsc", Strategy: "least_loaded"})
	if o := r.accept(&sms.Message{Text: "x"}); o.Egress != sms.Connection("smsc") {
		t.Errorf("%+v", o)
	}
	if e := r.event("E_MESSAGE_SENT").(events.MessageSent); e.Attempt != 1 {
		t.Errorf("%+v", e)
	}
}

// What no message goes by refuses one at once, with the reason, and keeps it from no other target.
func TestRouteToAReceiver(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	receiver, down := r.row("receiver", r.smsc.Addr()), r.row("down", "127.0.0.1:1")
	receiver.SessionType = sms.Receiver
	r.put(receiver)
	r.put(down)
	if _, err := r.gw.Reload(r.ctx); err != nil {
		t.Fatal(err)
	}
	id := r.rule(route.Rule{Targets: "smpp:receiver"})
	for targets, taken := range map[string]bool{
		"smpp:receiver": false, "smpp:receiver, smpp:smsc": true, "smpp:down, smpp:receiver": true, "smpp:receiver, smpp:down": true,
	} {
		if err := r.gw.SetRoute(r.ctx, id, func(r *route.Rule) { r.Targets = targets }); err != nil {
			t.Fatal(err)
		}
		m := &sms.Message{Text: "x", From: sms.ParseAddress("100"), To: sms.ParseAddress("+49" + strconv.Itoa(len(targets)))}
		if o := r.accept(m); o.Taken() != taken || !taken && o.Reason() != "no route: session_type 3 (receiver) cannot send" {
			t.Errorf("%s: %+v", targets, o)
		}
	}
	if err := r.gw.SetRoute(r.ctx, id, func(r *route.Rule) { r.Targets = "smpp:receiver, smpp:smsc" }); err != nil {
		t.Fatal(err)
	}
	if test := r.gw.TestRoute(&sms.Message{Text: "x"}); !slices.Equal(test.States, []string{"cannot send", "bound"}) {
		t.Errorf("%v", test.States)
	}
}

func TestRouteTest(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.rule(route.Rule{Name: "germany", To: "0049*", Targets: "smpp:smsc, smpp:gone, account:shop, sip, reject 480", Options: `{"to_e164":"49","coding":"ucs2"}`})
	r.rule(route.Rule{Name: "long", To: "0049*", Priority: 1, When: "segments > 1", Targets: "sip"})
	m := &sms.Message{Ingress: sms.SIP, From: sms.ParseAddress("100"), To: sms.ParseAddress("004915112345678"), Text: strings.Repeat("x", 100)}
	got := r.gw.TestRoute(m)
	if got.Rule != "germany" || got.Message.To.String() != "+4915112345678" || got.Plan.Alphabet != sms.AlphabetUCS2 || got.Plan.Segments != 2 ||
		strings.Join(got.States, " ") != "bound unknown unknown rejects" || got.Others[0].Rule != "long" {
		t.Errorf("%+v", got)
	}
	m.Text = strings.Repeat("x", 200)
	if got := r.gw.TestRoute(m); got.Rule != "long" {
		t.Errorf("%+v", got)
	}
	r.none("E_MESSAGE_RECEIVED")
}

// records.text: false leaves what a message says out of the database, and nothing else.
func TestRecordWithoutText(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.stop(r.gw)
	r.config.Records.Text = new(bool)
	r.start()
	r.event("E_SMPP_BIND_UP")
	m := &sms.Message{Text: "secret", Receipt: sms.ReceiptFinal}
	if o := r.accept(m); o.Fate != sms.Accepted {
		t.Fatalf("%+v", o)
	}
	if text, _ := r.received(); text != "secret" {
		t.Errorf("sent %q", text)
	}
	record, err := r.gw.Message(r.ctx, m.ID)
	if err != nil || record.Message.Text != "" || record.Message.To != m.To || len(record.Segments) != 1 {
		t.Errorf("%+v, %v", record, err)
	}
}
