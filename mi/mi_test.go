package mi

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Names, parameters and their positions are what programs rely on: this is the contract's table.
func TestMethods(t *testing.T) {
	want := []string{
		"smpp_list [name]", "smpp_reload", "smpp_enable name", "smpp_disable name", "smpp_add name ip port [system_id] [password] [system_type] [src_ton] [src_npi] [dst_ton] [dst_npi] [session_type] [enabled] [tls] [binds] [window] [throughput] [enquire_link] [response_timeout] [alphabet] [long_message] [smsc_id_format] [options]", "smpp_set name [ip] [port] [system_id] [password] [system_type] [src_ton] [src_npi] [dst_ton] [dst_npi] [session_type] [enabled] [tls] [binds] [window] [throughput] [enquire_link] [response_timeout] [alphabet] [long_message] [smsc_id_format] [options]",
		"smpp_delete name", "smpp_rebind name",
		"account_add system_id password [allowed_ips] [bind_modes] [max_binds] [window] [throughput] [enabled] [options]",
		"account_set system_id [password] [allowed_ips] [bind_modes] [max_binds] [window] [throughput] [enabled] [options]",
		"account_delete system_id", "account_list [system_id]", "account_reload",
		"smpp_trace name [seconds] [count] [text] [live]",
		"message_send from to [text] [data] [data_coding] [connection] [receipt] [validity] [ref] [idempotency_key] [coding] [class] [service_type] [protocol_id] [priority] [udh] [tlvs] [defer]",
		"message_show id", "message_list [state] [connection] [from] [to] [since] [limit] [before]", "message_retry id", "message_cancel id",
		"which [command]", "help [mi_cmd]", "version", "uptime", "ps", "kill", "log_level [level]",
		"get_statistics statistics", "list_statistics [statistics]", "reset_statistics statistics",
		"events_list", "event_subscribe event [socket] [expire] [after] [durable] [secret] [window]", "ack seq [durable]",
		"subscribers_list [event] [socket]", "subscriber_delete name", "raise_event event [params]",
		"rpc.discover",
		"reload", "config_diff",
		"route_list [id] [after] [limit]",
		"route_add targets [to_match] [from_match] [ingress] [when] [priority] [strategy] [options] [name] [description] [enabled]",
		"route_set id [targets] [to_match] [from_match] [ingress] [when] [priority] [strategy] [options] [name] [description] [enabled]",
		"route_delete id", "route_reload",
		"route_test from to [text] [data] [data_coding] [connection] [receipt] [validity] [ref] [idempotency_key] [coding] [class] [service_type] [protocol_id] [priority] [udh] [tlvs] [defer] [ingress]",
		"message_route id target", "message_reject id [code]",
		"sip_list", "sip_user_add username password [numbers] [enabled]", "sip_user_set username [password] [numbers] [enabled]",
		"sip_user_delete username", "sip_user_list", "sip_user_reload", "sip_contacts [username]", "sip_contact_delete username [contact]", "sip_trace [peer] [user] [seconds] [count] [text] [live]",
	}
	var got []string
	for _, d := range Methods() {
		got = append(got, d.Usage())
		if found, ok := Lookup(d.Name); !ok || found != d || d.Summary == "" {
			t.Errorf("%s: found %v, summary %q", d.Name, found, d.Summary)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if _, ok := Lookup("smpp.list"); ok {
		t.Error("smpp.list is a method")
	}
}

func TestRecipes(t *testing.T) {
	for _, tt := range []struct {
		d    *Declaration
		want string
	}{
		{Version.Declaration, "[[]]"},
		{SMPPList.Declaration, "[[] [name]]"},
		{SMPPEnable.Declaration, "[[name]]"},
		{EventSubscribe.Declaration, "[[event] [event socket expire after durable secret window]]"},
	} {
		if got := fmt.Sprint(tt.d.Recipes()); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.d.Name, got, tt.want)
		}
	}
}

func TestDecode(t *testing.T) {
	u8 := func(n uint8) *uint8 { return &n }
	u32 := func(n uint32) *uint32 { return &n }
	for _, tt := range []struct {
		decode func(json.RawMessage) (any, *Error)
		params string
		want   any // a struct, or a string that the error's data is
	}{
		{with(SMPPList), ``, SMPPListParams{}},
		{with(SMPPList), `null`, SMPPListParams{}},
		{with(SMPPList), `{}`, SMPPListParams{}},
		{with(SMPPList), ` [ ] `, SMPPListParams{}},
		{with(SMPPList), `["acme"]`, SMPPListParams{"acme"}},
		{with(SMPPList), `{"name":"acme"}`, SMPPListParams{"acme"}},
		{with(SMPPList), `{"name":null}`, SMPPListParams{}},
		{with(SMPPList), `{"name":7}`, SMPPListParams{"7"}},
		{with(SMPPList), `{"name":-7}`, SMPPListParams{"-7"}},
		{with(SMPPList), `{"name":1.5}`, `{"parameter":"name","reason":"want a string"}`},
		{with(SMPPList), `{"name":true}`, `{"parameter":"name","reason":"want a string"}`},
		{with(SMPPList), `{"name":["a"]}`, `{"parameter":"name","reason":"want a string"}`},
		{with(SMPPList), `{"Name":"acme"}`, `{"parameter":"Name","reason":"unknown; the usage is: smpp_list [name]"}`},
		{with(SMPPList), `{"b":1,"name":"acme","a":2}`, `{"parameter":"a","reason":"unknown; the usage is: smpp_list [name]"}`},
		{with(SMPPList), `["acme",2]`, `{"parameter":"#2","reason":"too many; the usage is: smpp_list [name]"}`},
		{with(SMPPList), `"acme"`, `{"parameter":"params","reason":"want an object or an array"}`},
		{with(SMPPList), `7`, `{"parameter":"params","reason":"want an object or an array"}`},
		{with(SMPPEnable), `{}`, `{"parameter":"name","reason":"missing; the usage is: smpp_enable name"}`},
		{with(SMPPEnable), `[null]`, `{"parameter":"name","reason":"missing; the usage is: smpp_enable name"}`},
		{with(Version), `[1]`, `{"parameter":"#1","reason":"too many; the usage is: version"}`},
		{with(Version), `[]`, None{}},

		{with(MessageSend), `{"from":100,"to":"+4915112345678","text":"hi"}`, MessageSendParams{From: "100", To: "+4915112345678", Text: "hi"}},
		{with(MessageSend), `["100","200","hi",null,"4"]`, MessageSendParams{From: "100", To: "200", Text: "hi", DataCoding: u8(4)}},
		{with(MessageSend), `{"from":"1","to":"2","data":"00fF","data_coding":0}`, MessageSendParams{From: "1", To: "2", Data: Hex{0, 255}, DataCoding: u8(0)}},
		{with(MessageSend), `{"from":"1","to":"2","data":1234}`, MessageSendParams{From: "1", To: "2", Data: Hex{0x12, 0x34}}},
		{with(MessageSend), `{"from":"1","to":"2","validity":" 60 "}`, MessageSendParams{From: "1", To: "2", Validity: 60}},
		{with(MessageSend), `{"from":"1","to":"2","receipt":true}`, MessageSendParams{From: "1", To: "2", Receipt: ReceiptFinal}},
		{with(MessageSend), `{"from":"1","to":"2","receipt":"true"}`, MessageSendParams{From: "1", To: "2", Receipt: ReceiptFinal}},
		{with(MessageSend), `{"from":"1","to":"2","receipt":"1"}`, MessageSendParams{From: "1", To: "2", Receipt: ReceiptFinal}},
		{with(MessageSend), `{"from":"1","to":"2","receipt":false}`, MessageSendParams{From: "1", To: "2", Receipt: ReceiptNone}},
		{with(MessageSend), `{"from":"1","to":"2","receipt":"failure"}`, MessageSendParams{From: "1", To: "2", Receipt: ReceiptFailure}},
		{with(MessageSend), `{"from":"1","to":"2","receipt":"all"}`, MessageSendParams{From: "1", To: "2", Receipt: ReceiptAll}},
		{with(MessageSend), `{"from":"1","to":"2","receipt":"some"}`, `{"parameter":"receipt","reason":"want false, true, \"failure\" or \"all\""}`},
		{with(MessageSend), `{"from":"1","to":"2","data":"abc"}`, `{"parameter":"data","reason":"want hexadecimal digits, two for each octet"}`},
		{with(MessageSend), `{"from":"1","to":"2","data_coding":256}`, `{"parameter":"data_coding","reason":"want a whole number from 0 to 255"}`},
		{with(MessageSend), `{"from":"1","to":"2","data_coding":"null"}`, `{"parameter":"data_coding","reason":"want a whole number from 0 to 255"}`},
		{with(MessageSend), `{"from":"1","to":"2","data_coding":""}`, `{"parameter":"data_coding","reason":"want a whole number from 0 to 255"}`},
		{with(MessageSend), `{"from":"1","to":"2","validity":-1}`, `{"parameter":"validity","reason":"want a whole number that is not negative"}`},
		{with(MessageSend), `{"from":"1","to":"2","validity":"1x"}`, `{"parameter":"validity","reason":"want a whole number that is not negative"}`},
		{with(MessageList), `{"since":"2026-03-01T12:00:00Z"}`, MessageListParams{Since: Time(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}},
		{with(MessageList), `{"since":"today"}`, `{"parameter":"since","reason":"want a time as RFC 3339 writes it: 2026-03-01T12:00:00Z"}`},
		{with(MessageList), `{"limit":1.5}`, `{"parameter":"limit","reason":"want a whole number"}`},

		{with(GetStatistics), `{"statistics":["all"]}`, StatisticsParams{[]string{"all"}}},
		{with(GetStatistics), `{"statistics":"all"}`, StatisticsParams{[]string{"all"}}},
		{with(GetStatistics), `[["smpp:","sip:"]]`, StatisticsParams{[]string{"smpp:", "sip:"}}},
		{with(GetStatistics), `["smpp:","sip:"]`, StatisticsParams{[]string{"smpp:", "sip:"}}},
		{with(GetStatistics), `[]`, `{"parameter":"statistics","reason":"missing; the usage is: get_statistics statistics"}`},
		{with(GetStatistics), `[[["a"]]]`, `{"parameter":"statistics","reason":"want a list of strings"}`},
		{with(EventSubscribe), `["E_*","udp:a:1","0"]`, EventSubscribeParams{Event: "E_*", Socket: "udp:a:1", Expire: u32(0)}},
		{with(RaiseEvent), `{"event":"E_X","params":{"a":1}}`, RaiseEventParams{"E_X", json.RawMessage(`{"a":1}`)}},
		{with(RaiseEvent), `["E_X"," {\"a\":1} "]`, RaiseEventParams{"E_X", json.RawMessage(`{"a":1}`)}},
		{with(RaiseEvent), `["E_X",[1]]`, RaiseEventParams{"E_X", json.RawMessage(`[1]`)}},
	} {
		got, err := tt.decode(json.RawMessage(tt.params))
		if wrong, ok := tt.want.(string); ok {
			if err == nil || err.Code != CodeInvalidParams || string(err.Data) != wrong {
				t.Errorf("%s: %+v, error %v, want %s", tt.params, got, err, wrong)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, error %v, want %+v", tt.params, got, err, tt.want)
		}
	}
}

func with[P, R any](m Method[P, R]) func(json.RawMessage) (any, *Error) {
	return func(raw json.RawMessage) (any, *Error) { return m.Decode(raw) }
}

// A boolean parameter is lenient too, though no method has a plain one yet.
func TestDecodeBoolean(t *testing.T) {
	type params struct {
		On bool `json:"on"`
	}
	before := declarations
	t.Cleanup(func() { declarations = before })
	m := declare[params, string]("test", "")
	for value, want := range map[string]any{
		`true`: true, `"true"`: true, `1`: true, `"1"`: true, `false`: false, `"false"`: false, `0`: false,
		`2`: nil, `""`: nil, `"yes"`: nil, `[]`: nil,
	} {
		got, err := m.Decode(json.RawMessage(`[` + value + `]`))
		if (err != nil) != (want == nil) || want != nil && got.On != want {
			t.Errorf("%s: %v, %v", value, got, err)
		}
	}
}

// What the client marshals, the server decodes as the same.
func TestParamsRoundTrip(t *testing.T) {
	class := uint8(0)
	in := MessageSendParams{From: "1", To: "2", Data: Hex{1}, Class: &class, Receipt: ReceiptFinal, Validity: 7, UDH: Hex{}}
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"from":"1","to":"2","data":"01","receipt":true,"validity":7,"class":0}`; string(raw) != want {
		t.Errorf("got %s, want %s", raw, want)
	}
	out, fault := MessageSend.Decode(raw)
	in.UDH = nil
	if fault != nil || !reflect.DeepEqual(in, out) {
		t.Errorf("got %+v, %v", out, fault)
	}
}

func TestUnions(t *testing.T) {
	for _, tt := range []struct {
		value any
		want  string
	}{
		{&WhichResult{Names: []string{"which"}}, `["which"]`},
		{&WhichResult{Params: [][]string{{}, {"command"}}}, `[[],["command"]]`},
		{&HelpResult{Usage: "u"}, `"u"`},
		{&HelpResult{Help: "h", ExportedBy: "e"}, `{"Help":"h","Exported by":"e"}`},
	} {
		b, err := json.Marshal(tt.value)
		if err != nil || string(b) != tt.want {
			t.Errorf("%+v is %s, %v", tt.value, b, err)
		}
		again := reflect.New(reflect.TypeOf(tt.value).Elem()).Interface()
		if err := json.Unmarshal(b, again); err != nil || !reflect.DeepEqual(again, tt.value) {
			t.Errorf("%s reads as %+v, %v", b, again, err)
		}
	}
	if b, _ := json.Marshal(WhichResult{}); string(b) != "[]" {
		t.Errorf("no names are %s", b)
	}
	if b, _ := json.Marshal(SMPPReloadResult{Added: List{"a"}}); string(b) != `{"added":["a"],"changed":[],"removed":[],"unchanged":0}` {
		t.Errorf("got %s", b)
	}
	when := time.Date(2026, 3, 1, 13, 0, 0, 5e6, time.FixedZone("CET", 3600))
	if b, _ := json.Marshal(Report{State: "delivered", DoneTime: Time(when)}); string(b) != `{"state":"delivered","done_time":"2026-03-01T12:00:00.005Z"}` {
		t.Errorf("got %s", b)
	}
}

func TestError(t *testing.T) {
	var err error = fmt.Errorf("call: %w", NewError(CodeNotFound, "no connection acme", nil))
	var e *Error
	if !errors.As(err, &e) || e.Error() != "no connection acme (404)" {
		t.Errorf("got %v", e)
	}
	e = NewError(CodeBadValue, "bad rows", []Fault{{"smpp[name=a].port", "0"}})
	if e.Error() != `bad rows (400): [{"path":"smpp[name=a].port","reason":"0"}]` {
		t.Errorf("got %v", e)
	}
	if e = NewError(1, "m", func() {}); !json.Valid(e.Data) {
		t.Errorf("got %s", e.Data)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{``, `[]`, `{"from":"1","to":2,"receipt":"1","data":"00"}`, `[1,2,"x",null,"7"]`, `{"statistics":[[]]}`, `["a",{"b":1}]`, `[[],"\""]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) { // the dispatcher sees to it
			return
		}
		for _, decode := range []func(json.RawMessage) (any, *Error){with(MessageSend), with(GetStatistics), with(RaiseEvent), with(EventSubscribe)} {
			params, fault := decode(raw)
			if fault != nil {
				if fault.Code != CodeInvalidParams || !json.Valid(fault.Data) {
					t.Errorf("%s: %v", raw, fault)
				}
				continue
			}
			again, err := json.Marshal(params)
			if err != nil {
				t.Fatalf("%s: %v", raw, err)
			}
			if params2, fault := decode(again); fault != nil && !strings.Contains(string(again), "null") {
				t.Errorf("%s reads as %+v, which does not read: %v", raw, params2, fault)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	b.ReportAllocs()
	raw := json.RawMessage(`{"from":"100","to":"+4915112345678","text":"hello","receipt":true,"validity":"3600"}`)
	for b.Loop() {
		if _, err := MessageSend.Decode(raw); err != nil {
			b.Fatal(err)
		}
	}
}
