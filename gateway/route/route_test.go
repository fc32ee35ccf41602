package route

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sipsmpp/gateway/sms"
)

// table compiles rules that must be good.
func table(t testing.TB, o Options, rules ...Rule) *Table {
	t.Helper()
	for i := range rules {
		if rules[i].ID == 0 {
			rules[i].ID = int64(i + 1)
		}
		rules[i].Enabled = true
	}
	compiled, faults := Compile(rules, o)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return New(compiled, "acme", []string{"acme", "other"})
}

func message(ingress, from, to string) *sms.Message {
	leg, _ := sms.ParseLeg(ingress)
	return &sms.Message{Ingress: leg, From: sms.ParseAddress(from), To: sms.ParseAddress(to)}
}

func targetsOf(d Decision) string {
	var names []string
	for _, t := range d.Targets {
		names = append(names, t.String())
	}
	return strings.Join(names, ", ")
}

func TestDefaults(t *testing.T) {
	with := New(nil, "acme", []string{"acme", "other"})
	for _, c := range []struct {
		name  string
		table *Table
		m     sms.Message
		want  string
	}{
		{"SIP to the default connection", with, sms.Message{Ingress: sms.SIP}, "smpp:acme"},
		{"MI to the default connection", with, sms.Message{Ingress: sms.MI}, "smpp:acme"},
		{"the connection asked for", with, sms.Message{Ingress: sms.MI, Connection: "other"}, "smpp:other"},
		{"a connection that is not there", with, sms.Message{Ingress: sms.MI, Connection: "nobody"}, ""},
		{"SMPP to SIP", with, sms.Message{Ingress: sms.Connection("acme")}, "sip"},
		{"no default connection", New(nil, "", []string{"acme"}), sms.Message{Ingress: sms.SIP}, ""},
		{"rules that do not match", table(t, Options{}, Rule{To: "+1*", Targets: "sip"}), sms.Message{Ingress: sms.SIP}, "smpp:acme"},
	} {
		if got := targetsOf(c.table.Decide(&c.m)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestOrder(t *testing.T) {
	with := table(t, Options{Now: func() time.Time { return time.Date(2026, 3, 1, 7, 30, 0, 0, time.UTC) }}, // a Sunday
		Rule{Name: "all", Targets: "smpp:all"},
		Rule{Name: "germany", To: "+49*", Targets: "smpp:germany"},
		Rule{Name: "mobile", To: "+4915*, +4916*", Targets: "smpp:mobile"},
		Rule{Name: "one", To: "+4915112345678", Targets: "smpp:one"},
		Rule{Name: "bank to germany", From: "MyBank", To: "+49*", Targets: "smpp:bank"},
		Rule{Name: "from kannel", Ingress: "account:kannel", Targets: "smpp:wholesale"},
		Rule{Name: "any account", Ingress: "account:*, smpp:*", Targets: "smpp:accounts"},
		Rule{Name: "short codes", Priority: 10, To: `/^\d{3,5}$/`, Targets: "app"},
		Rule{Name: "stop", Priority: 20, When: `text matches "(?i)^stop\\b" and ingress != "mi"`, Targets: "reject 403"},
		Rule{Name: "sunday", Priority: 5, To: "+43*", When: `weekday == "sunday" && hour < 8`, Targets: "smpp:sunday"},
		Rule{Name: "monday", Priority: 6, To: "+43*", When: `weekday == "monday"`, Targets: "smpp:monday"},
		Rule{Name: "service", To: "*100#", Targets: "smpp:ussd"},
		Rule{Name: "alice", Ingress: "sip:alice", To: "+49*", Targets: "smpp:alice"},
	)
	for _, c := range []struct{ ingress, from, to, text, want string }{
		{"sip", "100", "+12025550100", "", "all"},
		{"sip", "100", "+4930123456", "", "germany"},
		{"sip", "100", "+49", "", "germany"},
		{"sip", "100", "+4916012345678", "", "mobile"},
		{"sip", "100", "+49 151 12345678", "", "one"},
		{"sip", "100", "+491511234567899", "", "mobile"},
		{"sip", "MyBank", "+4930123456", "", "bank to germany"},
		{"sip", "MyBank2", "+4930123456", "", "germany"},
		{"sip:alice", "100", "+4930123456", "", "alice"},
		{"sip:bob", "100", "+4930123456", "", "germany"},
		{"account:kannel", "100", "+12025550100", "", "from kannel"},
		{"account:other", "100", "+12025550100", "", "any account"},
		{"smpp:acme", "100", "+12025550100", "", "any account"},
		{"account:kannel", "100", "+4930123456", "", "germany"},
		{"sip", "100", "4711", "", "short codes"},
		{"sip", "100", "*100#", "", "service"},
		{"sip", "100", "+4930123456", "STOP it", "stop"},
		{"mi", "100", "+4930123456", "STOP it", "germany"},
		{"sip", "100", "+4930123456", "stopped", "germany"},
		{"sip", "100", "+431234567", "", "sunday"},
		{"sip", "", "+431234567", "", "sunday"},
	} {
		m := message(c.ingress, c.from, c.to)
		m.Text = c.text
		if got := with.Decide(m); got.Rule != c.want {
			t.Errorf("%s, %s -> %s %q: rule %q, want %q", c.ingress, c.from, c.to, c.text, got.Rule, c.want)
		}
		if e := with.Explain(m); e.Rule != c.want || e.Asked != 12 {
			t.Errorf("%s, %s -> %s %q: explained as %q of %d others", c.ingress, c.from, c.to, c.text, e.Rule, e.Asked)
		}
	}
}

func TestExplain(t *testing.T) {
	with := table(t, Options{Segments: func(m *sms.Message) int { return len(m.Text) }},
		Rule{Name: "all", Targets: "smpp:all"},
		Rule{Name: "long", Priority: 1, To: "+49*", When: "segments > 3", Targets: "sip"},
		Rule{Name: "accounts", Priority: 2, Ingress: "account:*", Targets: "sip"},
		Rule{Name: "us", Priority: 3, To: "+1*", Targets: "sip"},
		Rule{Name: "low", Priority: -1, Targets: "sip"},
	)
	m := message("mi", "100", "+49151")
	m.Text = "abc"
	e := with.Explain(m)
	got := fmt.Sprint(e.Rule, e.Others)
	want := "all[{5 low matches, but comes after all: a lower priority (-1), or says less of the numbers}" +
		" {2 long when: segments > 3 does not hold}" +
		" {3 accounts ingress: mi is not account:*} {4 us to_match: +49151 is not like +1*}]"
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	m.Connection = "other"
	if e := with.Explain(m); e.Rule != "asked for" || e.Others[0].Why != "the sender asks for connection other" {
		t.Errorf("asked for: %+v", e)
	}
}

func TestStrategies(t *testing.T) {
	busy := map[string]int{"a": 3, "b": 1, "c": 2}
	o := Options{Load: func(l sms.Leg) int { return busy[l.Name] }}
	for strategy, want := range map[string][]string{
		"":             {"abc", "abc"},
		"failover":     {"abc", "abc"},
		"round_robin":  {"abc", "bca", "cab", "abc"},
		"least_loaded": {"bca", "bca"},
		"weighted":     {"abc", "abc", "bca", "abc", "cab", "abc", "abc"},
	} {
		targets := "smpp:a, smpp:b, smpp:c"
		if strategy == "weighted" {
			targets = "smpp:a weight=40, smpp:b weight=10, smpp:c weight=10"
		}
		with := table(t, o, Rule{Targets: targets, Strategy: strategy})
		var got []string
		for range want {
			names := ""
			for _, target := range with.Decide(message("mi", "1", "2")).Targets {
				names += target.Leg.Name
			}
			got = append(got, names)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", strategy, got, want)
		}
	}
}

func TestLoop(t *testing.T) {
	with := table(t, Options{},
		Rule{To: "1", Targets: "smpp:a"},
		Rule{To: "2", Targets: "smpp:a, smpp:b"},
		Rule{To: "3", Targets: "smpp:a", Options: `{"loop":true}`},
		Rule{To: "4", Targets: "sip"},
		Rule{To: "5", Targets: "sip:{to}@example.org"},
	)
	for _, c := range []struct {
		ingress, to, want string
		loop              bool
	}{
		{"smpp:a", "1", "", true},
		{"smpp:b", "1", "smpp:a", false},
		{"smpp:a", "2", "smpp:b", false},
		{"smpp:a", "3", "smpp:a", false},
		{"sip:alice", "4", "", true},
		{"sip", "5", "sip:{to}@example.org", false},
	} {
		d := with.Decide(message(c.ingress, "100", c.to))
		if targetsOf(d) != c.want || d.Loop != c.loop {
			t.Errorf("%s to %s: %q, loop %v; want %q, %v", c.ingress, c.to, targetsOf(d), d.Loop, c.want, c.loop)
		}
	}
}

func TestRewrite(t *testing.T) {
	received := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name, from, to, options string
		check                   func(m *sms.Message) string
		want                    string
	}{
		{"national to E.164", "0151 1234567", "030 123456", `{"from_e164":"49","to_e164":"49"}`, numbers, "+491511234567 1/1 +4930123456 1/1"},
		{"international to E.164", "0043660123456", "110", `{"from_e164":"49","to_e164":"+49"}`, numbers, "+43660123456 1/1 110 0/0"},
		{"a name and what is E.164", "MyBank", "+43660123456", `{"from_e164":"49","to_e164":"49"}`, numbers, "MyBank 5/0 +43660123456 1/1"},
		{"a country without trunk prefix", "100", "612345678", `{"to_e164":{"country":"34","national":""}}`, numbers, "100 0/0 +34612345678 1/1"},
		{"by pattern", "100", "+4915112345678", `{"to_rewrite":{"match":"/^\\+49(.*)$/","replace":"0${1}"}}`, numbers, "100 0/0 015112345678 0/0"},
		{"the first pattern", "100", "100", `{"to_rewrite":[{"match":"^2","replace":"a"},{"match":"^1","replace":"+491"},{"match":"0","replace":"b"}]}`,
			numbers, "100 0/0 +49100 1/1"},
		{"fixed", "100", "200", `{"from":"MyBrand","to":"+4930123456"}`, numbers, "MyBrand 5/0 +4930123456 1/1"},
		{"TON and NPI", "100", "200", `{"src_ton":3,"src_npi":9,"dst_ton":2,"dst_npi":1}`, numbers, "100 3/9 200 2/1"},
		{"text", "1", "2", `{"coding":"ucs2","receipt":"failure","validity":"1h","service_type":"CMT","priority":2}`,
			func(m *sms.Message) string {
				return fmt.Sprint(m.Alphabet, m.HasDataCoding, m.Receipt, m.Expires.Sub(received), m.ServiceType, m.Priority)
			}, "ucs2 false failure 1h0m0sCMT2"},
		{"data_coding", "1", "2", `{"data_coding":245,"receipt":true,"validity":60}`,
			func(m *sms.Message) string {
				return fmt.Sprint(m.Alphabet, m.DataCoding, m.Receipt, m.Expires.Sub(received))
			}, "auto 245 true 1m0s"},
		{"TLVs", "1", "2", `{"tlvs":[{"tag":"0x1400","value":"3132"},{"tag":5121,"value":""}]}`,
			func(m *sms.Message) string { return fmt.Sprint(m.TLVs) }, "[{5 [9]} {5120 [49 50]} {5121 []}]"},
		{"no TLVs of those that came", "1", "2", `{"pass_tlvs":false,"tlvs":[{"tag":6,"value":"00"}]}`,
			func(m *sms.Message) string { return fmt.Sprint(m.TLVs) }, "[{6 [0]}]"},
		{"all TLVs that came", "1", "2", `{"pass_tlvs":true}`,
			func(m *sms.Message) string { return fmt.Sprint(m.TLVs) }, "[{5 [9]} {5120 [1]}]"},
		{"some TLVs of those that came", "1", "2", `{"pass_tlvs":["0x1400",7]}`,
			func(m *sms.Message) string { return fmt.Sprint(m.TLVs) }, "[{5120 [1]}]"},
	} {
		with := table(t, Options{}, Rule{Targets: "smpp:a", Options: c.options})
		m := message("sip", c.from, c.to)
		m.Received, m.Alphabet, m.HasDataCoding, m.DataCoding = received, sms.AlphabetGSM7, true, 1
		m.TLVs = []sms.TLV{{Tag: 5, Value: []byte{9}}, {Tag: 0x1400, Value: []byte{1}}}
		before := fmt.Sprintf("%+v", *m)
		if got := c.check(with.Decide(m).Rewrite(m)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if after := fmt.Sprintf("%+v", *m); after != before {
			t.Errorf("%s changed the message itself: %s", c.name, after)
		}
	}
	m := message("sip", "1", "2")
	if d := table(t, Options{}, Rule{Targets: "smpp:a", Options: `{"on_unknown":"fail"}`}).Decide(m); d.Rewrite(m) != m || !d.Targets[0].FailUnknown {
		t.Error("a rule that rewrites nothing made a copy")
	}
}

func numbers(m *sms.Message) string {
	return fmt.Sprintf("%s %d/%d %s %d/%d", m.From, m.From.TON, m.From.NPI, m.To, m.To.TON, m.To.NPI)
}

func TestTargets(t *testing.T) {
	for text, want := range map[string]string{
		"smpp:acme": "smpp:acme", "account:shop": "account:shop", "sip": "sip", "app": "app", "app?": "app?",
		"reject": "reject 403", "reject 480": "reject 480", "reject 0xb": "reject 0x0000000B",
		"sip:{to}@example.org;transport=tcp": "sip:{to}@example.org;transport=tcp",
		"sip:example.org:5070":               "sip:example.org:5070",
	} {
		if got, err := ParseTarget(text); err != nil || got.String() != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	uri, _ := ParseTarget("sip:x{to}.{from}@example.org")
	if got := uri.Recipient(message("mi", "100", "+49151")); got.String() != "x+49151.100" || uri.URI != "sip:example.org" {
		t.Errorf("%v by %s", got, uri.URI)
	}
	busy, _ := ParseTarget("reject 486")
	if o := busy.Outcome(); o.Severity != sms.Temporary || o.Fate != sms.Refused || o.Status != 486 {
		t.Errorf("%+v", o)
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		rule   Rule
		column string
		reason string
	}{
		{Rule{Targets: "smpp:a", Ingress: "http"}, "ingress", "no way in"},
		{Rule{Targets: "smpp:a", Ingress: "app"}, "ingress", "no way in"},
		{Rule{Targets: "smpp:a", To: "/(/"}, "to_match", "missing closing"},
		{Rule{Targets: "smpp:a", To: "/x"}, "to_match", "between slashes"},
		{Rule{Targets: "smpp:a", To: "+49*, /x/"}, "to_match", "stands alone"},
		{Rule{Targets: "smpp:a", From: "My*Bank*"}, "from_match", "not at its end"},
		{Rule{Targets: "smpp:a", From: strings.Repeat("1", 256)}, "from_match", "longer than any address"},
		{Rule{Targets: "smpp:a", When: "hour <"}, "when", "unexpected token"},
		{Rule{Targets: "smpp:a", When: "price > 3"}, "when", "unknown name price"},
		{Rule{Targets: "smpp:a", When: "hour"}, "when", "expected bool"},
		{Rule{Targets: ""}, "targets", "empty"},
		{Rule{Targets: "smpp:"}, "targets", "no target"},
		{Rule{Targets: "reject 200"}, "targets", "no code"},
		{Rule{Targets: "reject 0xzz"}, "targets", "no command_status"},
		{Rule{Targets: "reject 403, smpp:a"}, "targets", "nothing comes to smpp:a"},
		{Rule{Targets: "sip:{who}@x"}, "targets", "user part"},
		{Rule{Targets: "sip:x@"}, "targets", "no SIP URI"},
		{Rule{Targets: "sip:bad.example"}, "targets", "the test says so"},
		{Rule{Targets: "smpp:a weight=0"}, "targets", "weight"},
		{Rule{Targets: "smpp:a weight=2"}, "strategy", "want weighted"},
		{Rule{Targets: "smpp:a", Strategy: "best"}, "strategy", "not known"},
		{Rule{Targets: "smpp:a, reject 403", Strategy: "round_robin"}, "strategy", "nothing to share"},
		{Rule{Targets: strings.Repeat("smpp:a,", 40) + "sip"}, "targets", "the most is"},
		{Rule{Targets: "sip", Options: "[]"}, "options", "JSON object"},
		{Rule{Targets: "sip", Options: `{"colour":1}`}, "options", "unknown field"},
		{Rule{Targets: "sip", Options: `{} {}`}, "options", "more behind"},
		{Rule{Targets: "sip", Options: `{"coding":"latin9"}`}, "options", "want auto"},
		{Rule{Targets: "sip", Options: `{"receipt":"maybe"}`}, "options", "receipt is"},
		{Rule{Targets: "sip", Options: `{"validity":"soon"}`}, "options", "validity is"},
		{Rule{Targets: "sip", Options: `{"src_ton":9}`}, "options", "no TON"},
		{Rule{Targets: "sip", Options: `{"to_e164":"Germany"}`}, "options", "numbering"},
		{Rule{Targets: "sip", Options: `{"to_rewrite":{"match":"("}}`}, "options", "missing closing"},
		{Rule{Targets: "sip", Options: `{"tlvs":[{"tag":"x","value":""}]}`}, "options", "tag"},
		{Rule{Targets: "sip", Options: `{"pass_tlvs":["vendor"]}`}, "options", "tag"},
		{Rule{Targets: "sip", Options: `{"pass_tlvs":"none"}`}, "options", "want true, false, or the tags"},
		{Rule{Targets: "sip", Options: `{"on_unknown":"hope"}`}, "options", "retry, hold or fail"},
		{Rule{Targets: "app?", Options: `{"wait":9999}`}, "options", "wait"},
		{Rule{Targets: "sip", Name: strings.Repeat("x", 300)}, "name", "longer"},
	} {
		c.rule.ID = 7 // a disabled rule is checked too
		compiled, faults := Compile([]Rule{c.rule, {ID: 8, Enabled: true, Targets: "sip"}}, Options{
			CheckURI: func(uri string) error {
				if uri == "sip:bad.example" {
					return errors.New("the test says so")
				}
				return nil
			},
		})
		if len(faults) != 1 || faults[0].Path != "route[id=7]."+c.column || !strings.Contains(faults[0].Reason, c.reason) {
			t.Errorf("%+v: %v, want one of %s with %q", c.rule, faults, c.column, c.reason)
		}
		if compiled.Len() != 1 {
			t.Errorf("%+v: %d rules are used", c.rule, compiled.Len())
		}
	}
	if _, faults := Compile([]Rule{{Targets: "nowhere"}}, Options{}); faults[0].Path != "route[new].targets" {
		t.Errorf("of a new rule: %v", faults)
	}
}

// A condition that cannot be evaluated does not hold, and is told of once.
func TestConditionFails(t *testing.T) {
	failed := 0
	with := table(t, Options{Failed: func(string, error) { failed++ }}, Rule{When: "text matches to", Targets: "sip"})
	m := message("mi", "1", "(")
	for range 3 {
		if d := with.Decide(m); d.Rule != "default" {
			t.Fatalf("rule %q", d.Rule)
		}
	}
	if failed != 1 {
		t.Errorf("told %d times", failed)
	}
	if e := with.Explain(m); !strings.Contains(e.Others[0].Why, "when: ") {
		t.Errorf("explained as %q", e.Others[0].Why)
	}
}

// The index finds what asking every rule in turn finds.
func TestIndexAgainstAll(t *testing.T) {
	var rules []Rule
	pick := func(n int, of ...string) string { return of[n%len(of)] }
	for i := range 400 {
		rules = append(rules, Rule{
			ID: int64(i + 1), Enabled: true, Priority: i * 7 % 3,
			Ingress: pick(i, "*", "sip", "smpp:a", "account:*", "mi, sip:alice"),
			From:    pick(i/3, "", "+4*", "MyBank", "/9$/", "100, 200"),
			To:      pick(i/7, "+49*", "+491*", "+4915", "/5$/", "", "+4*, +1*"),
			When:    pick(i/11, "", "", "len(text) > 1"), Targets: "smpp:x", Options: `{"loop":true}`,
		})
	}
	compiled, faults := Compile(rules, Options{})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	for _, ingress := range []string{"sip", "sip:alice", "smpp:a", "account:x", "mi"} {
		for _, from := range []string{"", "100", "+499", "MyBank", "+1"} {
			for _, to := range []string{"", "+49", "+4915", "+49155", "+1", "+7"} {
				for _, text := range []string{"", "hello"} {
					m := message(ingress, from, to)
					m.Text = text
					s := &scratch{vm: compiled.scratch.Get().(*scratch).vm}
					s.begin(compiled, m)
					var want *compiledRule
					for _, e := range compiled.entries {
						if why, _ := e.whyNot(s, m); why == "" {
							want = e.compiled
							break
						}
					}
					if got := compiled.find(m); got != want {
						t.Fatalf("%s %s->%s %q: %+v, want %+v", ingress, from, to, text, got, want)
					}
				}
			}
		}
	}
}

type compiledRule = compiled

func FuzzCompile(f *testing.F) {
	f.Add("sip, account:*", "MyBank", "+49*", `hour < 8 and text matches "x"`, "smpp:a weight=3, sip:{to}@x", "weighted", `{"to_e164":"49"}`, "+49151")
	f.Add("", "/^1/", "/(a*)*$/", "", "app?", "", `{"to_rewrite":[{"match":"(.)","replace":"$1"}],"tlvs":[{"tag":1,"value":"00"}]}`, "x")
	f.Fuzz(func(t *testing.T, ingress, from, to, when, targets, strategy, options, number string) {
		if len(when) > 200 {
			return
		}
		compiled, faults := Compile([]Rule{{
			ID: 1, Enabled: true, Ingress: ingress, From: from, To: to, When: when, Targets: targets, Strategy: strategy, Options: options,
		}}, Options{})
		if len(faults) == 0 != (compiled.Len() == 1) {
			t.Fatalf("%d rules, %v", compiled.Len(), faults)
		}
		with := New(compiled, "d", nil)
		m := message("sip", number, number)
		d := with.Decide(m)
		d.Rewrite(m)
		for _, target := range d.Targets {
			target.Recipient(m)
		}
		with.Explain(m)
	})
}

// many are n rules with a prefix each, as a rate sheet has them.
func many(n int) []Rule {
	rules := make([]Rule, n)
	for i := range rules {
		rules[i] = Rule{
			ID: int64(i + 1), Enabled: true, To: fmt.Sprintf("+%d*", 100+i*9), Targets: fmt.Sprintf("smpp:c%d, smpp:backup", i%50), Strategy: "failover",
		}
	}
	return rules
}

func BenchmarkCompile100000(b *testing.B) {
	b.ReportAllocs()
	rules := many(100_000)
	for b.Loop() {
		if _, faults := Compile(rules, Options{}); len(faults) > 0 {
			b.Fatal(faults)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	for _, c := range []struct {
		name  string
		rules []Rule
	}{
		{"default", nil},
		{"100000 rules", many(100_000)},
		{"100000 rules, pattern", append(many(100_000), Rule{ID: 1 << 40, Enabled: true, Priority: 1, To: `/^\+88.*1$/`, Targets: "sip"})},
		{"100000 rules, condition", append(many(100_000), Rule{
			ID: 1 << 40, Enabled: true, Priority: 1, When: `text contains "STOP" and hour < 8`, Targets: "reject 403"})},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			compiled, _ := Compile(c.rules, Options{})
			with := New(compiled, "acme", nil)
			m := message("sip", "100", "+81234567890")
			m.Text = "hello"
			for b.Loop() {
				if len(with.Decide(m).Targets) == 0 {
					b.Fatal("no route")
				}
			}
		})
	}
}
