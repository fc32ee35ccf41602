package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sipsmpp/clients"
	"sipsmpp/cmd/internal/version"
	"sipsmpp/events"
	"sipsmpp/gateway"
	"sipsmpp/gateway/sms"
	"sipsmpp/mi"
	"sipsmpp/mi/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeCore takes every message, and knows the connection acme.
type fakeCore struct {
	server.Core
	hub  *events.Hub
	sent []*sms.Message

	mu           sync.Mutex
	sentSegments uint64
}

func (c *fakeCore) Events() *events.Hub { return c.hub }

func (c *fakeCore) Durables() *events.Durables { return nil }

func (c *fakeCore) Accept(m *sms.Message, done func(sms.Outcome)) {
	m.ID = sms.ID{1}
	c.sent = append(c.sent, m)
	done(sms.Outcome{Fate: sms.Accepted, Segments: 1, SMSCIDs: []string{"17"}, Alphabet: sms.AlphabetGSM7, Egress: sms.Connection("acme")})
}

func (c *fakeCore) Enable(name string) error {
	if name != "acme" {
		return gateway.ErrUnknownConnection
	}
	return nil
}
func (c *fakeCore) Disable(string) error { return nil }
func (c *fakeCore) Rebind(string) error  { return nil }

func serve(t *testing.T) (*fakeCore, string) {
	t.Helper()
	core := &fakeCore{hub: events.NewHub("gw", 10)}
	s := server.New(core, server.Options{Version: "1"})
	web := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
		web.Close()
	})
	return core, web.URL + "/mi"
}

// cli runs the command and gives what it printed.
func cli(ctx context.Context, in string, args ...string) (code int, out, errout string) {
	var o, e bytes.Buffer
	code = run(ctx, args, strings.NewReader(in), &o, &e)
	return code, o.String(), e.String()
}

func TestExecute(t *testing.T) {
	core, url := serve(t)
	unknown := "sipsmpp-cli: smpp_enable: " + gateway.ErrUnknownConnection.Error() + " (404)\n"
	for _, tt := range []struct {
		args   string
		code   int
		out    string // all of it, or with "..." a part
		errout string
	}{
		{"-x mi version", 0, "{\n    \"Server\": \"sipsmpp 1\"\n}\n", ""},
		{"-x mi smpp_enable name=acme", 0, "\"OK\"\n", ""},
		{"-x mi smpp_enable acme", 0, "\"OK\"\n", ""},
		{"--execute mi smpp_enable acme", 0, "\"OK\"\n", ""},
		{"-x mi smpp_enable nobody", 1, "", unknown},
		{"-x mi smpp_enable", 1, "", "...missing; the usage is: smpp_enable name..."},
		{"-x mi smpp_enables", 1, "", "...Method not found (-32601)..."},
		{"-x mi which command=smpp_enable", 0, "[\n    [\n        \"name\"\n    ]\n]\n", ""},
		{"-x mi message_send 100 +4915112345678 hi", 0, "...\"smsc_ids\": [\n        \"17\"\n    ]...", ""},
		{"-x mi", 0, "...smpp_list [name]\n    lists the SMPP connections...", ""},
		{"--version", 0, "sipsmpp-cli version " + version.Number + "\n", ""},
		{"--help", 0, "...-x mi METHOD [name=value ...]...", ""},
		{"-x mi smpp_enable name=acme other", 2, "", "...\"other\" has no name, others have...--help tells..."},
		{"-x", 2, "", "...-x wants a command..."},
		{"-x smpp_list", 2, "", "...smpp_list is a method: -x mi smpp_list..."},
		{"-x smpp_lists", 2, "", "...no command: want mi, events, trace, top, diagnose, token..."},
		{"smpp_list", 2, "", "...commands want -x..."},
		{"-x events a b", 2, "", "...one pattern..."},
		{"-x events durable=a durable=b", 2, "", "...one durable=NAME..."},
		{"-x events durable=a", 1, "", "...keeps no durable subscriptions..."},
		{"-x events [", 1, "", "...no shell pattern..."},
		{"--nonsense", 2, "", "...unknown flag: --nonsense..."},
		{"-x mi version -u ftp://x", 2, "", "...want http://..."},
		{"-x events -u http://127.0.0.1:1", 1, "", "...connection refused\nIs sipsmppd running there?..."},
		{"-x mi version -u http://127.0.0.1:1", 1, "", "...connection refused\nIs sipsmppd running there?..."},
	} {
		args := strings.Fields(tt.args)
		if !strings.Contains(tt.args, "-u ") {
			args = append([]string{"-u", url}, args...)
		}
		code, out, errout := cli(t.Context(), "", args...)
		if code != tt.code || !matches(out, tt.out) || !matches(errout, tt.errout) {
			t.Errorf("%s: exit code %d\n%s\n%s\nwant %d\n%s\n%s", tt.args, code, out, errout, tt.code, tt.out, tt.errout)
		}
	}
	if m := core.sent[0]; m.To.String() != "+4915112345678" || m.Text != "hi" {
		t.Errorf("sent %+v", m)
	}
}

// matches says that got is want, or, with "..." around them, has its parts.
func matches(got, want string) bool {
	if !strings.HasPrefix(want, "...") {
		return got == want
	}
	for part := range strings.SplitSeq(want, "...") {
		if !strings.Contains(got, part) {
			return false
		}
	}
	return true
}

func TestEvents(t *testing.T) {
	core, url := serve(t)
	core.hub.Publish(events.Reloaded{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	out := &untilLine{cancel: cancel}
	// Whoever follows begins with the next event, so one comes every now and then.
	go func() {
		for ctx.Err() == nil {
			core.hub.Publish(events.Reloaded{})
			core.hub.Publish(events.BindUp{Connection: "acme", Bind: "acme#1", Mode: "transceiver", Peer: "10.0.0.1:2775"})
			select {
			case <-ctx.Done():
			case <-time.After(time.Millisecond):
			}
		}
	}()
	var errout bytes.Buffer
	code := run(ctx, []string{"-u", url, "-x", "events", "E_SMPP_BIND_*"}, strings.NewReader(""), out, &errout)
	n, err := events.Parse([]byte(out.line))
	if code != 0 || errout.Len() > 0 || err != nil || n.Event.Name() != "E_SMPP_BIND_UP" {
		t.Errorf("exit code %d, %s, %s: %v", code, errout.String(), out.line, err)
	}
}

// The events of a durable subscription wait while nobody prints them, and come no more once they were printed.
func TestDurableEvents(t *testing.T) {
	g, err := gateway.New(t.Context(), gateway.Config{
		Node: "gw", DB: "sqlite:" + filepath.Join(t.TempDir(), "test.db"),
		SIP: gateway.SIPConfig{Listen: []string{"udp:127.0.0.1:0"}}, SMPP: gateway.SMPPConfig{Listen: []string{"127.0.0.1:0"}},
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := server.New(g, server.Options{Log: slog.New(slog.DiscardHandler)})
	web := httptest.NewServer(s.Handler())
	defer func() {
		if err := errors.Join(g.Close(context.Background()), s.Close(context.Background())); err != nil {
			t.Error(err)
		}
		web.Close()
	}()
	filter, err := events.ParseFilter("E_SMPP_BIND_UP")
	if err != nil {
		t.Fatal(err)
	}
	d, err := g.Durables().Put(t.Context(), events.Spec{Name: "archive", Filter: filter})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"first", "second"} {
		g.Events().Publish(events.BindUp{Connection: want})
		ctx, cancel := context.WithCancel(t.Context())
		out := &lines{wrote: make(chan struct{}, 100)}
		code := make(chan int)
		var errout bytes.Buffer
		go func() {
			code <- run(ctx, []string{"-u", web.URL + "/mi", "-x", "events", filter.String(), "durable=archive"}, strings.NewReader(""), out, &errout)
		}()
		<-out.wrote
		for waiting, _ := d.Standing(); waiting > 0; waiting, _ = d.Standing() { // until the gateway has its acknowledgement
			time.Sleep(time.Millisecond)
		}
		cancel()
		if c := <-code; c != 0 || errout.Len() > 0 || strings.Count(out.text.String(), "\n") != 1 || !strings.Contains(out.text.String(), want) {
			t.Errorf("%s: exit code %d, %s, printed %s", want, c, errout.String(), out.text.String())
		}
	}
}

// lines says when something is written.
type lines struct {
	text  bytes.Buffer
	wrote chan struct{}
}

func (l *lines) Write(b []byte) (int, error) {
	defer func() { l.wrote <- struct{}{} }()
	return l.text.Write(b)
}

// Who waits for an event that cannot come is told so.
func TestEventsOfNoName(t *testing.T) {
	_, url := serve(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	errout := &untilLine{cancel: cancel}
	code := run(ctx, []string{"-u", url, "-x", "events", "E_MESAGE_*"}, strings.NewReader(""), io.Discard, errout)
	if code != 0 || !strings.Contains(errout.line, "none of the gateway's own events") {
		t.Errorf("exit code %d, %s", code, errout.line)
	}
}

// untilLine interrupts the command once it has written something.
type untilLine struct {
	line   string
	cancel context.CancelFunc
}

func (w *untilLine) Write(b []byte) (int, error) {
	w.line = string(b)
	w.cancel()
	return len(b), nil
}

func TestCommandsFromStandardInput(t *testing.T) {
	core, url := serve(t)
	code, out, errout := cli(t.Context(), `
# a comment
mi version
message_send from=100 to=200 text="hi there"
smpp_enable 'no body'
help
smpp_enable "acme
exit
version
`, "-u", url)
	if code != 1 || strings.Count(out, "Server") != 1 || !strings.Contains(out, "help METHOD tells of one") || len(core.sent) != 1 || core.sent[0].Text != "hi there" {
		t.Errorf("exit code %d\n%s\n%v", code, out, core.sent)
	}
	if !matches(errout, "...(404)...not closed...the last command that failed was: smpp_enable \"acme...") {
		t.Errorf("errors:\n%s", errout)
	}
	if code, _, errout := cli(t.Context(), "version\n", "-u", url); code != 0 || errout != "" {
		t.Errorf("exit code %d, %s", code, errout)
	}
}

func TestComplete(t *testing.T) {
	_, url := serve(t)
	for _, tt := range []struct{ typed, completed, candidates string }{
		{"ver", "version ", "[version]"},
		{"mi ver", "mi version ", "[version]"},
		{"smpp_re", "smpp_re", "[smpp_reload smpp_rebind]"},
		{"message_s", "message_s", "[message_send message_show]"},
		{"events E_X d", "events E_X durable=", "[durable=]"},
		{"ev", "event", "[events events_list event_subscribe]"},
		{"smpp_list ", "smpp_list ", "[acme shop]"},
		{"smpp_list a", "smpp_list acme ", "[acme]"},
		{"smpp_enable name=", "smpp_enable name=acme ", "[name=acme]"},
		{"smpp_set name=ac", "smpp_set name=acme ", "[name=acme]"},
		{"smpp_set name=acme tl", "smpp_set name=acme tls=", "[tls=]"},
		{"smpp_set name=acme tls=t", "smpp_set name=acme tls=true ", "[tls=true]"},
		{"message_send 1 2 t", "message_send 1 2 t", "[]"},
		{"message_send from=1 connection=", "message_send from=1 connection=acme ", "[connection=acme]"},
		{"message_show ", "message_show " + sms.ID{1}.String() + " ", "[" + sms.ID{1}.String() + "]"},
		{"account_delete ", "account_delete shop ", "[shop]"},
		{"get_statistics db", "get_statistics db:", "[db: db:up]"},
		{"event_subscribe E_SMPP_RE", "event_subscribe E_SMPP_RELOADED ", "[E_SMPP_RELOADED]"},
		{"trace a", "trace acme ", "[acme]"},
		{"trace acme s", "trace acme seconds=", "[seconds=]"},
		{"set ", "set output=", "[output=json output=table]"},
		{"dia", "diagnose ", "[diagnose]"},
		{"message_send from=1 to=2 te", "message_send from=1 to=2 text=", "[text=]"},
		{"message_show id=7 x", "message_show id=7 x", "[]"},
		{"which smpp_l", "which smpp_list ", "[smpp_list]"},
		{"nonsense x", "nonsense x", "[]"},
		{"zz", "zz", "[]"},
	} {
		s := newSession(t, url)
		completed, candidates := s.complete(t.Context(), tt.typed)
		if completed != tt.completed || fmt.Sprint(candidates) != tt.candidates {
			t.Errorf("%q: %q %v, want %q %s", tt.typed, completed, candidates, tt.completed, tt.candidates)
		}
	}
	s := newSession(t, "http://127.0.0.1:1")
	if completed, _ := s.complete(t.Context(), "ver"); completed != "ver" {
		t.Errorf("with nobody to ask: %q", completed)
	}
}

func TestSplit(t *testing.T) {
	for line, want := range map[string][]string{
		``:                                 nil,
		`  a  b	c `:                        {"a", "b", "c"},
		`text="hi there"`:                  {"text=hi there"},
		`text='hi "there"'`:                {`text=hi "there"`},
		`"a \"b\" 'c'" d`:                  {`a "b" 'c'`, "d"},
		`'a\b' a\ b`:                       {`a\b`, "a b"},
		`""`:                               {""},
		`a"b"'c'`:                          {"abc"},
		`raise_event E_X params='{"a":1}'`: {"raise_event", "E_X", `params={"a":1}`},
		`ü="ä ö"`:                          {"ü=ä ö"},
	} {
		if got, err := split(line); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q, %v", line, got, err)
		}
	}
	for _, line := range []string{`"`, `a 'b`, `a\`} {
		if got, err := split(line); err == nil {
			t.Errorf("%q: %q", line, got)
		}
	}
}

func TestParameters(t *testing.T) {
	for _, tt := range []struct {
		words []string
		want  any
	}{
		{nil, map[string]any{}},
		{[]string{"a", "7", "x y=z"}, []string{"a", "7", "x y=z"}},
		{[]string{"from=1", "text=a=b", "receipt="}, map[string]any{"from": "1", "text": "a=b", "receipt": ""}},
		{[]string{"statistics=a", "statistics=b", "statistics=c"}, map[string]any{"statistics": []string{"a", "b", "c"}}},
	} {
		if got, err := parameters(tt.words); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q: %#v, %v", tt.words, got, err)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add(`a "b c" 'd'`)
	f.Add(`\`)
	f.Fuzz(func(t *testing.T, line string) {
		words, err := split(line)
		if err != nil {
			return
		}
		var again []string
		for _, w := range words {
			again = append(again, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
		}
		if got, err := split(strings.Join(again, " ")); err != nil || !reflect.DeepEqual(got, words) && strings.ToValidUTF8(line, "") == line {
			t.Errorf("%q: %q, quoted %q, %v", line, words, got, err)
		}
	})
}

func newSession(t *testing.T, url string) *session {
	t.Helper()
	c, err := clients.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &session{client: c, out: newScreen(t.Output())}
}

func TestReadablePDU(t *testing.T) {
	got := string(readable(mi.TracedPDU{
		Time: mi.Time(time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)), Peer: "10.0.0.1:2775", Direction: "sent", Command: "submit_sm_resp",
		Sequence: 7, Status: "ESME_ROK (0x00)", Fields: mi.Members{{Name: "message_id", Value: "17\x1b[31m"}},
	}))
	want := "12:00:00.000 -> 10.0.0.1:2775 submit_sm_resp seq=7 ESME_ROK (0x00)\n    message_id               17\uFFFD[31m\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReadableSIP(t *testing.T) {
	at := mi.Time(time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local))
	for _, test := range []struct {
		m    mi.TracedSIP
		want string
	}{
		{mi.TracedSIP{Time: at, Peer: "udp:10.0.0.1:5060", Direction: "received", StartLine: "MESSAGE sip:1 SIP/2.0", Header: mi.List{"To: \x1b[31m"}, Octets: 2},
			"12:00:00.000 <- udp:10.0.0.1:5060, 2 octets of body not shown\n    MESSAGE sip:1 SIP/2.0\n    To: \uFFFD[31m\n"},
		{mi.TracedSIP{Time: at, Peer: "ws:10.0.0.1:5060", Direction: "sent", StartLine: "SIP/2.0 200 OK", Octets: 4, Body: "a\r\nb"},
			"12:00:00.000 -> ws:10.0.0.1:5060\n    SIP/2.0 200 OK\n\n    a\n    b\n"},
		{mi.TracedSIP{Time: at, Peer: "udp:10.0.0.1:5060", Direction: "received", Octets: 2},
			"12:00:00.000 <- udp:10.0.0.1:5060 no SIP, 2 octets of body not shown\n"},
	} {
		if got := string(readableSIP(test.m)); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestTraceUsage(t *testing.T) {
	_, url := serve(t)
	for args, want := range map[string]string{"trace": `"parameter":"name"`, "trace acme nonsense=1": `"parameter":"nonsense"`, "trace sip name=acme": `"parameter":"name"`} {
		code, _, errout := cli(t.Context(), "", append([]string{"-u", url, "-x"}, strings.Fields(args)...)...)
		if code != exitUsage || !strings.Contains(errout, want) {
			t.Errorf("%s: exit code %d, %s", args, code, errout)
		}
	}
}

// A token is made without a gateway, and its hash is what mi.tokens wants.
func TestToken(t *testing.T) {
	var out, errout bytes.Buffer
	if code := run(t.Context(), []string{"token"}, nil, &out, &errout); code != exitGood || errout.Len() > 0 {
		t.Fatalf("exit code %d, %s", code, &errout)
	}
	var token, hash string
	if _, err := fmt.Sscanf(out.String(), "token: %s\nhash:  %s\n", &token, &hash); err != nil || mi.HashToken(token) != hash {
		t.Errorf("%v: %s", err, &out)
	}
}
