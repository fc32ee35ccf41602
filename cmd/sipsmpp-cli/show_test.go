package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"sipsmpp/events"
	"sipsmpp/mi"
)

// shown is what stands on a screen of some columns without colours.
func shown(t *testing.T, columns int, show func(s *screen)) string {
	t.Helper()
	var b strings.Builder
	show(&screen{Writer: &b, columns: columns})
	return b.String()
}

func TestShowValue(t *testing.T) {
	today := time.Now().UTC().Truncate(24 * time.Hour).Add(12 * time.Hour)
	for _, tt := range []struct{ json, want string }{
		{`"OK"`, "OK\n"},
		{`{"Server":"sipsmpp 1"}`, "Server  sipsmpp 1\n"},
		{`{"a":1,"long_name":"x\u001b[31m","empty":"","list":["b","c"]}`, "a          1\nlong_name  x\uFFFD[31m\nlist       b, c\n"},
		{`[["name"],["name","to"]]`, "name\nname, to\n"},
		{`["b","a"]`, "b\na\n"},
		{`{"total":2,"routes":[{"id":1,"name":"","targets":"sip"},{"id":22,"name":"","targets":"smpp:a","enabled":true}]}`,
			"total  2\n\nroutes\nID  TARGETS  ENABLED\n 1  sip\n22  smpp:a   true\n"},
		{`{"config":{"key":"x"},"n":3}`, "n  3\n\nconfig\nkey  x\n"},
		{`{"t":"` + today.Format("2006-01-02T15:04:05.000Z") + `"}`, "t  " + clock(today) + "\n"},
		{`[]`, ""}, {`{"Events":[]}`, "nothing\n"}, {`null`, "\n"},
	} {
		v, err := parseValue(json.RawMessage(tt.json))
		if err != nil {
			t.Fatalf("%s: %v", tt.json, err)
		}
		if got := shown(t, 80, func(s *screen) { v.show(s, "") }); got != tt.want {
			t.Errorf("%s\ngot  %q\nwant %q", tt.json, got, tt.want)
		}
	}
	for _, bad := range []string{``, `{`, `[1`, `{"a"`} {
		if _, err := parseValue(json.RawMessage(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// A table is as wide as the screen: the widest texts are cut, then columns are left out, and it says so. Wide characters count two.
func TestTableFits(t *testing.T) {
	table := func(s *screen) {
		t := table{headings: []string{"id", "from", "text", "note"}}
		t.add(count(7), cell{text: "100"}, cell{text: "汉字汉字汉字 and a long text that goes on"}, cell{text: "the note"})
		t.add(count(1234), cell{text: "+4915112345678"}, cell{text: "hi"}, cell{})
		t.show(s)
	}
	for columns, want := range map[int]string{
		100: "  ID  FROM            TEXT                                       NOTE\n" +
			"   7  100             汉字汉字汉字 and a long text that goes on  the note\n" +
			"1234  +4915112345678  hi\n",
		40: "  ID  FROM        TEXT        NOTE\n" +
			"   7  100         汉字汉字汉… the note\n",
		24: "and 1 more columns: a wider terminal, or set output=json, shows them\n",
	} {
		got := shown(t, columns, table)
		if columns == 100 && got != want || columns == 24 && !strings.HasSuffix(got, want) {
			t.Errorf("%d columns\ngot\n%s\nwant\n%s", columns, got, want)
		}
		for line := range strings.Lines(got) {
			if n := columnsOf(strings.TrimSuffix(line, "\n")); n > columns && !strings.HasPrefix(line, "and ") {
				t.Errorf("%d columns: a line takes %d: %s", columns, n, line)
			}
		}
	}
}

func TestShowConnections(t *testing.T) {
	list := mi.SMPPListResult{
		Connections: []mi.Connection{
			{Name: "acme", Peer: "10.0.0.1:2775", SessionType: "transceiver", Enabled: true, State: "partly", Queued: 3, Binds: []mi.Bind{
				{ID: "acme#1", State: "bound", Window: 10, InFlight: 4}, {ID: "acme#2", State: "waiting", LastError: "connection refused", RetryAt: mi.Time(time.Now())},
			}, Counters: mi.Counters{Sent: 12}},
			{Name: "bad", State: "invalid", Fault: "smpp[name=bad].port: 0 is not a port"},
		},
		Accounts: []mi.Account{{SystemID: "shop", Binds: []mi.Bind{{State: "bound", Remote: "10.0.0.9:1", Window: 5}}}},
	}
	raw, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	got := shown(t, 120, func(s *screen) { err = showConnections(s, raw) })
	for _, want := range []string{
		"acme        partly     1/2  10.0.0.1:2775  transceiver    4/10       3    12",
		"acme#2: waiting, connection refused; next try at ", "bad: smpp[name=bad].port: 0 is not a port\n", "shop         1  10.0.0.9:1     0/5",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if got := shown(t, 80, func(s *screen) { err = showConnections(s, json.RawMessage(`{"connections":[],"accounts":[]}`)) }); err != nil || !strings.HasPrefix(got, "no connections") {
		t.Errorf("%q, %v", got, err)
	}
}

// Each subscriber is a row, with what it is behind.
func TestShowSubscribers(t *testing.T) {
	raw, err := json.Marshal(mi.SubscribersListResult{Events: []mi.Subscribed{{Name: "E_MESSAGE_*", Subscribers: []mi.Subscriber{
		{Socket: "udp:127.0.0.1:9", Expire: "60"},
		{Socket: "webhook:http://a/", Expire: "never", Durable: "crm", Lag: 12, LagSeconds: 3.25, LastError: "refused"},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	got := shown(t, 160, func(s *screen) { err = showSubscribers(s, raw) })
	want := "EVENTS       SOCKET             DURABLE  LAG  LAG SECONDS  EXPIRE  LAST ERROR\n" +
		"E_MESSAGE_*  udp:127.0.0.1:9               0                   60\n" +
		"E_MESSAGE_*  webhook:http://a/  crm       12          3.2   never  refused\n"
	if got != want || err != nil {
		t.Errorf("got\n%s\nwant\n%s %v", got, want, err)
	}
	if got := shown(t, 80, func(s *screen) { err = showSubscribers(s, json.RawMessage(`{"Events":[]}`)) }); err != nil || !strings.HasPrefix(got, "no subscribers") {
		t.Errorf("%q, %v", got, err)
	}
}

func TestReadableEvent(t *testing.T) {
	n, err := events.Parse([]byte(`{"jsonrpc":"2.0","method":"E_SMPP_BIND_DOWN","params":{"seq":3,"time":"2026-03-01T12:00:00.000Z","node":"gw","connection":"acme","bind":"acme#1","mode":"","peer":"10.0.0.1:1","reason":"no answer\u001b[2J","in_flight":2}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := n.Time.Local().Format("15:04:05.000") + " E_SMPP_BIND_DOWN     connection=acme bind=acme#1 peer=10.0.0.1:1 reason=\"no answer\uFFFD[2J\" in_flight=2"
	if got := readableEvent(&screen{}, n); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := readableEvent(&screen{colour: true}, n); !strings.Contains(got, "\x1b[31mE_SMPP_BIND_DOWN") {
		t.Errorf("got %q", got)
	}
}

// The frame of top tells what happened between two looks, each second.
func TestTopFrame(t *testing.T) {
	at := time.Now()
	before := look{at: at, statistics: mi.Statistics{"core:messages_received": 100, "event:published": 900}, list: mi.SMPPListResult{
		Connections: []mi.Connection{{Name: "slow", Counters: mi.Counters{Sent: 10}}, {Name: "fast", Counters: mi.Counters{Sent: 1000, Received: 50}}},
	}}
	now := look{at: at.Add(2 * time.Second), version: "sipsmpp 1", up: "1 min", statistics: mi.Statistics{"core:messages_received": 700, "event:published": 900, "receipt:awaited": 9, "deferred:waiting": 4}, list: mi.SMPPListResult{
		Connections: []mi.Connection{
			{Name: "slow", State: "down", Counters: mi.Counters{Sent: 13, Refused: 2}, Binds: []mi.Bind{{State: "waiting", LastError: "connection refused"}}},
			{Name: "fast", State: "bound", Counters: mi.Counters{Sent: 2000, Received: 150}, Binds: []mi.Bind{{State: "bound", Window: 10, InFlight: 10}}, Queued: 4},
			{Name: "new", State: "bound", Counters: mi.Counters{Sent: 99}, Binds: []mi.Bind{{State: "bound", Window: 10, InFlight: 1}}},
		},
		Accounts: []mi.Account{{SystemID: "shop"}},
	}}
	f := newFrame(before, now, nil)
	got := shown(t, 120, f.show)
	for _, want := range []string{
		"sipsmpp 1  up 1 min", "messages a second: 300 in, 0 out, 0 failed; 9 reports awaited, 4 messages deferred; events 0 a second",
		"fast          bound      1/1    500          0       0    50   10/10  ██████████       4",
		"slow          down       0/1    1.5        1.0       0     0     0/0                   0  connection refused",
		"new           bound      1/1      0          0       0     0    1/10  █░░░░░░░░░       0",
		"account shop  unbound    0/0",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Index(got, "fast") > strings.Index(got, "slow") {
		t.Error("the busiest does not come first")
	}
	if got := perSecond(100, 40, 2); got != 20 {
		t.Errorf("after a reset: %v", got)
	}
}

func TestTop(t *testing.T) {
	core, url := serve(t)
	code, out, errout := cli(t.Context(), "", "-u", url, "-x", "top", "acme", "seconds=0.1", "count=2")
	if code != exitGood || strings.Count(out, "NAME") != 2 || !strings.Contains(out, "2/10") || strings.Contains(out, "\x1b") {
		t.Errorf("exit code %d\n%s\n%s", code, out, errout)
	}
	_ = core
	code, out, errout = cli(t.Context(), "", "-u", url, "--json", "-x", "top", "acme", "seconds=0.1", "count=1")
	var f frame
	if err := json.Unmarshal([]byte(out), &f); code != exitGood || err != nil || len(f.Lines) != 1 || f.Lines[0].Name != "acme" || f.Lines[0].Window != 10 {
		t.Errorf("exit code %d, %v\n%s\n%s", code, err, out, errout)
	}
	for _, args := range []string{"top a b", "top seconds=0", "top seconds=x", "top count=0", "diagnose acme"} {
		if code, _, _ := cli(t.Context(), "", append([]string{"-u", url, "-x"}, strings.Fields(args)...)...); code != exitUsage {
			t.Errorf("%s: exit code %d", args, code)
		}
	}
	if code, _, errout := cli(t.Context(), "", "-u", url, "-x", "top", "nobody"); code != exitFailed || !strings.Contains(errout, "404") {
		t.Errorf("exit code %d, %s", code, errout)
	}
}

func TestShowReload(t *testing.T) {
	raw := json.RawMessage(`{"config":[{"key":"sip.listen","running":"a","file":"b","restart":true},{"key":"log.level","running":"","file":"debug","restart":false}],
		"certificates":["mi.tls_cert"],"connections":{"added":["new"],"changed":["acme"],"removed":["old"]},"faults":[{"path":"route[id=7].targets","reason":"nowhere"}]}`)
	want := "~ sip.listen: a -> b (after a restart)\n~ log.level: (none) -> debug\n~ mi.tls_cert: another file\n+ smpp[name=new]\n~ smpp[name=acme]\n- smpp[name=old]\n! route[id=7].targets: nowhere\n"
	var err error
	if got := shown(t, 80, func(s *screen) { err = showReload(s, raw) }); got != want || err != nil {
		t.Errorf("got\n%s%v", got, err)
	}
	if got := shown(t, 80, func(s *screen) { err = showReload(s, json.RawMessage(`{}`)) }); got != "nothing differs\n" {
		t.Errorf("got %s, %v", got, err)
	}
}

// Help shows an example of every method as it is typed; what is typed so is what the example says.
func TestShowHelp(t *testing.T) {
	_, url := serve(t)
	_, out, errout := cli(t.Context(), "", "--table", "-u", url, "-x", "mi", "help", "smpp_add")
	for _, want := range []string{"smpp_add name ip port [system_id]", "roles: admin, operator", "password", "may be left out",
		"\nsmpp_add name=acme ip=smsc.example.com port=2775 system_id=me password=secret enabled=false options='{\"receipt\":true}'\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s%s", want, out, errout)
		}
	}
	for _, e := range mi.Examples {
		line, err := typedLine(e)
		if err != nil {
			t.Errorf("%s: %v", e.Method, err)
			continue
		}
		words, err := split(line)
		if err != nil || words[0] != e.Method {
			t.Errorf("%s: %q, %v", line, words, err)
			continue
		}
		params, err := parameters(words[1:])
		d, _ := mi.Lookup(e.Method)
		raw, _ := json.Marshal(params)
		var typed, meant map[string]json.RawMessage
		_ = json.Unmarshal(d.Shown(raw), &typed)
		_ = json.Unmarshal(d.Shown(json.RawMessage(exampleIDs.Replace(e.Params))), &meant)
		if got, want := slices.Sorted(maps.Keys(typed)), slices.Sorted(maps.Keys(meant)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s gives %s, the example has %s, %v", line, got, want, err)
		}
	}
	if _, out, _ := cli(t.Context(), "", "--table", "-u", url, "-x", "mi", "help"); !strings.Contains(out, "Usage: help") {
		t.Errorf("got %s", out)
	}
}

func TestFormats(t *testing.T) {
	_, url := serve(t)
	for _, tt := range []struct{ args, want string }{
		{"-x mi version", "{\n    \"Server\": \"sipsmpp 1\"\n}\n"},
		{"--json -x mi version", "{\n    \"Server\": \"sipsmpp 1\"\n}\n"},
		{"--table -x mi version", "Server  sipsmpp 1\n"},
	} {
		if code, out, errout := cli(t.Context(), "", append([]string{"-u", url}, strings.Fields(tt.args)...)...); code != exitGood || out != tt.want {
			t.Errorf("%s: exit code %d\n%s%s", tt.args, code, out, errout)
		}
	}
	if code, _, _ := cli(t.Context(), "", "--json", "--table", "-u", url, "-x", "mi", "version"); code != exitUsage {
		t.Errorf("both: exit code %d", code)
	}
	// What a message says cannot steer the terminal.
	if _, out, _ := cli(t.Context(), "", "--table", "-u", url, "-x", "mi", "message_list"); !strings.Contains(out, "a \uFFFD[31mred text") {
		t.Errorf("%q", out)
	}
}
