package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"sipsmpp/clients"
	"sipsmpp/events"
	"sipsmpp/gateway"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/route"
	"sipsmpp/gateway/smpp"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
	"sipsmpp/mi"
	"sipsmpp/mi/server"
)

//go:generate go test -run TestExamples -update

var update = flag.Bool("update", false, "write docs/methods.md")

const methodsFile = "../../docs/methods.md"

// story is a gateway between scripted peers, with the connection practice, and what the examples brought so far.
type story struct {
	t      *testing.T
	ctx    context.Context
	gw     *gateway.Gateway
	client *clients.Client
	smsc   *gatewaytest.SMSC
	phone  *gatewaytest.UserAgent
	events *events.Subscription
	values map[string]string // by $NAME
	traced chan struct{}     // closes when a connection is traced
}

// traceable is a gateway that says when it is traced.
type traceable struct {
	*gateway.Gateway
	traced chan struct{}
}

func (g traceable) Trace(name string, sink func(smpp.TracedPDU)) (sms.Leg, smpp.Dissector, func(), error) {
	leg, how, stop, err := g.Gateway.Trace(name, sink)
	close(g.traced)
	return leg, how, stop, err
}

func tell(t *testing.T) *story {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	s := &story{t: t, ctx: ctx, values: map[string]string{}, traced: make(chan struct{})}
	var err error
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s.smsc, err = gatewaytest.NewSMSC(gatewaytest.SMSCConfig{OnSubmit: func(m gatewaytest.Submit) gatewaytest.Action {
		if m.To == notNow {
			return gatewaytest.Action{Status: 0x64}
		}
		return gatewaytest.Action{}
	}})
	must(err)
	t.Cleanup(s.smsc.Close)
	s.phone, err = gatewaytest.NewUserAgent("127.0.0.1:0")
	must(err)
	t.Cleanup(func() { _ = s.phone.Close() })
	config := gateway.Config{
		Node: "gw1", DB: "sqlite:" + filepath.Join(t.TempDir(), "db"),
		SMPP: gateway.SMPPConfig{Listen: []string{"127.0.0.1:0"}},
		SIP:  gateway.SIPConfig{Registrar: true, Listen: []string{"udp:127.0.0.1:0"}, OutboundURI: gateway.List{"sip:" + s.phone.Addr()}},
	}
	db, err := store.Open(ctx, config.DB)
	must(err)
	host, portText, err := net.SplitHostPort(s.smsc.Addr())
	must(err)
	port, err := strconv.Atoi(portText)
	must(err)
	row := store.NewConnection("practice", host, port)
	row.SystemID, row.Password = "me", "secret"
	must(db.PutConnection(ctx, row))
	must(db.Close())
	s.gw, err = gateway.New(ctx, config, slog.New(slog.DiscardHandler))
	must(err)
	s.events = s.gw.Events().Subscribe(events.Filter{}, events.Now)
	mis := server.New(traceable{s.gw, s.traced}, server.Options{Version: "1.0.0"})
	must(s.gw.Start(ctx))
	l, err := mis.Listen("127.0.0.1:0")
	must(err)
	served := make(chan error, 1)
	go func() { served <- mis.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		for _, err := range []error{s.gw.Close(ctx), mis.Close(ctx), <-served} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	// By WebSocket, since one connection is given the events that it acknowledges.
	s.client, err = clients.Dial("ws://" + l.Addr().String() + "/mi")
	must(err)
	t.Cleanup(func() { _ = s.client.Close() })
	s.wait(func(e events.Event) bool { _, up := e.(events.BindUp); return up })
	return s
}

// wait reads events until one is what it waits for.
func (s *story) wait(is func(events.Event) bool) {
	s.t.Helper()
	for {
		entries, err := s.events.Next(s.ctx)
		if err != nil {
			s.t.Fatalf("an event did not come: %v", err)
		}
		for _, e := range entries {
			if is(e.Event) {
				return
			}
		}
	}
}

// awaits lets a message come in that an application is to decide.
func (s *story) awaits() {
	s.t.Helper()
	go func() {
		_, _ = s.phone.Send(s.ctx, "sip:200@"+strings.TrimPrefix(s.gw.SIPAddrs()[0], "udp:"), "100", "hi")
	}() // what it is answered is not told
	s.wait(func(e events.Event) bool {
		m, ok := e.(events.MessageReceived)
		s.values["$awaiting"] = m.ID
		return ok && m.Awaits != ""
	})
}

// notNow is a recipient that the SMSC takes nothing for.
const notNow = "4917000000000"

// before is what happens in the story before a call.
func (s *story) before(method string) {
	s.t.Helper()
	switch method {
	case mi.MessageRoute.Name:
		if _, err := s.gw.AddRoute(s.ctx, route.Rule{Name: "ask", Enabled: true, Priority: 99, Ingress: "sip", Targets: "app?", Options: `{"wait":30}`}); err != nil {
			s.t.Fatal(err)
		}
		s.awaits()
	case mi.SIPContacts.Name:
		if code, err := s.phone.Register(s.ctx, "sip:"+strings.TrimPrefix(s.gw.SIPAddrs()[0], "udp:"), "alice", "secret", 3600); err != nil || code != 200 {
			s.t.Fatalf("REGISTER: %d, %v", code, err)
		}
	case mi.MessageRetry.Name:
		sent, err := s.client.MessageSend(s.ctx, mi.MessageSendParams{From: "100", To: "+" + notNow, Text: "hi", Connection: "practice"})
		if err != nil || sent.State != "deferred" {
			s.t.Fatalf("%+v, %v", sent, err)
		}
		s.values["$deferred"] = sent.ID
	case mi.MessageReject.Name:
		s.awaits()
	case mi.MessageShow.Name:
		s.wait(func(e events.Event) bool { _, ok := e.(events.MessageReport); return ok })
	case mi.SMPPTrace.Name:
		go func() {
			<-s.traced
			_, _ = s.client.MessageSend(s.ctx, mi.MessageSendParams{From: "100", To: "+4315112345678", Text: "hi", Connection: "practice"}) // seen by the tracing, or not
		}()
	}
}

// after takes from a result what later calls need, and waits for what it set off.
func (s *story) after(method string, result json.RawMessage) {
	s.t.Helper()
	var r struct{ ID json.RawMessage }
	_ = json.Unmarshal(result, &r) // many have none
	switch method {
	case mi.RouteAdd.Name:
		s.values["$rule"] = string(r.ID)
	case mi.MessageSend.Name:
		s.values["$message"] = strings.Trim(string(r.ID), `"`)
	case mi.SMPPEnable.Name, mi.SMPPRebind.Name:
		s.wait(func(e events.Event) bool { _, up := e.(events.BindUp); return up })
	}
}

// steady makes what differs from run to run the same.
func (s *story) steady(text string) string {
	for address, name := range map[string]string{
		s.smsc.Addr(): "127.0.0.1:2776", s.phone.Addr(): "127.0.0.1:5080", strings.TrimPrefix(s.gw.SIPAddrs()[0], "udp:"): "127.0.0.1:5060",
	} {
		text = strings.ReplaceAll(text, address, name)
	}
	for _, r := range []struct{ pattern, with string }{
		{`\b[0-9a-hjkmnp-tv-z]{26}\b`, "01m84g7jqn0001c8201vp91gzt"},
		{`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`, "2026-03-01T12:00:00.000Z"},
		{`[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}`, "Sun Mar  1 12:00:00 2026"},
		{`"\d+ \[sec\]"`, `"17 [sec]"`},
		{`"PID": \d+`, `"PID": 4711`},
		{`"sequence": \d+`, `"sequence": 7`},
		{`"expire": "\d+"`, `"expire": "60"`},
		{`,\n *"lag(_seconds)?": [0-9.]+`, ""}, // for a moment
		{`127\.0\.0\.1:(3\d{4}|4\d{4}|5\d{4}|6\d{4}|1\d{4}|2\d{4})\b`, "127.0.0.1:40000"},
	} {
		text = regexp.MustCompile(r.pattern).ReplaceAllString(text, r.with)
	}
	return text
}

// mostLines is how much of a result is shown.
const mostLines = 48

// TestExamples makes every call of mi.Examples against a gateway, and compares docs/methods.md with what was answered.
func TestExamples(t *testing.T) {
	s := tell(t)
	sections := make(map[string]*bytes.Buffer)
	for _, e := range mi.Examples {
		d, ok := mi.Lookup(e.Method)
		if !ok {
			t.Fatalf("%s is no method", e.Method)
		}
		s.before(e.Method)
		params := e.Params
		for name, value := range s.values {
			params = strings.ReplaceAll(params, name, value)
		}
		if strings.Contains(params, "$") {
			t.Fatalf("%s %s: nothing brought what it needs", e.Method, params)
		}
		result, err := s.client.Invoke(s.ctx, e.Method, json.RawMessage(params))
		if err != nil {
			t.Errorf("%s %s: %v", e.Method, params, err)
			continue
		}
		s.after(e.Method, result)
		if sections[d.Name] == nil {
			sections[d.Name] = section(d)
		}
		var shown bytes.Buffer
		if err := json.Indent(&shown, result, "", "  "); err != nil {
			t.Errorf("%s: %v", e.Method, err)
		}
		lines := strings.Split(s.steady(shown.String()), "\n")
		if len(lines) > mostLines {
			lines = append(lines[:mostLines], "...")
		}
		fmt.Fprintf(sections[d.Name], "```json\n%s\n```\n\n```json\n%s\n```\n",
			s.steady(`{"jsonrpc":"2.0","id":1,"method":"`+e.Method+`","params":`+params+`}`), strings.Join(lines, "\n"))
	}
	if t.Failed() {
		return
	}
	document := compose(sections)
	if *update {
		if err := os.WriteFile(methodsFile, document, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	kept, err := os.ReadFile(methodsFile)
	if err != nil {
		t.Fatal(err)
	}
	was, is := strings.Split(string(kept), "\n"), strings.Split(string(document), "\n")
	for i := range min(len(was), len(is)) {
		if was[i] != is[i] {
			t.Fatalf("docs/methods.md, line %d: %q, and the gateway answers %q: if that is right, go generate ./mi/server", i+1, was[i], is[i])
		}
	}
	if len(was) != len(is) {
		t.Fatalf("docs/methods.md has %d lines, and the examples make %d: go generate ./mi/server", len(was), len(is))
	}
}

// section begins what is said of a method.
func section(d *mi.Declaration) *bytes.Buffer {
	var b bytes.Buffer
	fmt.Fprintf(&b, "\n### %s\n\n%s%s. Roles: %s.\n\n", d.Name, strings.ToUpper(d.Summary[:1]), d.Summary[1:], d.RolesText())
	if len(d.Params) > 0 {
		b.WriteString("| parameter | | |\n| --- | --- | --- |\n")
		for _, p := range d.Params {
			wanted := "wanted"
			if p.Optional {
				wanted = "may be left out"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", p.Name, p.Want, wanted)
		}
		b.WriteString("\n")
	}
	return &b
}

// chapters are the methods by the first part of their names.
var chapters = []struct{ title, prefixes string }{
	{"Connections", "smpp"}, {"Accounts", "account"}, {"Messages", "message"}, {"Routes", "route"}, {"SIP", "sip"}, {"Events", "event events subscribers subscriber raise ack"},
	{"Statistics", "get list reset"}, {"The gateway", ""},
}

// compose makes the document: each method at its place in the contract.
func compose(sections map[string]*bytes.Buffer) []byte {
	var b bytes.Buffer
	b.WriteString("# Every method, with an example\n\nWritten by `go generate ./mi/server` from the declarations and from what a gateway answers, which a test compares.\n" +
		"[mi.md](mi.md) tells how to call them and who may, and `sipsmpp-cli -x mi METHOD name=value ...` calls one.\n")
	done := make(map[string]bool)
	for _, c := range chapters {
		fmt.Fprintf(&b, "\n## %s\n", c.title)
		for _, d := range mi.Methods() {
			prefix, _, _ := strings.Cut(d.Name, "_")
			if sections[d.Name] == nil || done[d.Name] || c.prefixes != "" && !strings.Contains(" "+c.prefixes+" ", " "+prefix+" ") {
				continue
			}
			done[d.Name] = true
			b.Write(sections[d.Name].Bytes())
		}
	}
	return b.Bytes()
}
