package server

import (
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"sipsmpp/events"
	"sipsmpp/gateway"
	"sipsmpp/gateway/smpp"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
	"sipsmpp/mi"
)

// result calls a method and gives its result, or its error, as JSON.
func (s *Server) result(t *testing.T, method, params string) string {
	t.Helper()
	var a struct{ Result, Error json.RawMessage }
	answer := s.call(t, `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+params+`}`)
	if err := json.Unmarshal([]byte(answer), &a); err != nil {
		t.Fatal(answer, err)
	}
	if a.Error != nil {
		return string(a.Error)
	}
	return string(a.Result)
}

// The results as the contract and OpenSIPS have them.
func TestResults(t *testing.T) {
	pid := strconv.Itoa(os.Getpid())
	s := start(t, newFakeCore(), Options{Version: "1.2"})
	for _, tt := range []struct{ method, params, want string }{
		{"smpp_list", `[]`, `{"connections":[{"name":"acme","peer":"10.0.0.1:2775","session_type":"transceiver","enabled":true,"state":"bound",` +
			`"binds":[{"id":"acme#1","mode":"transceiver","state":"bound","since":"2026-03-01T12:00:00.000Z","remote":"10.0.0.1:2775","local":"10.0.0.2:40000","window":10,"in_flight":2,"last_error":""}],` +
			`"queued":0,"deferred":4,"sent":5,"refused":0,"unanswered":0,"received":0,"receipts":0,"throttled":0,"unexpected":0,"malformed":0,"limited":0,"bound":0}],` +
			`"accounts":[{"system_id":"shop","enabled":true,"binds":[{"id":"shop#1","mode":"transceiver","state":"bound","remote":"","local":"","window":0,"in_flight":0,"last_error":""}],` +
			`"queued":0,"deferred":4,"sent":0,"refused":0,"unanswered":0,"received":7,"receipts":0,"throttled":0,"unexpected":0,"malformed":0,"limited":0,"bound":0}]}`},
		{"smpp_list", `["nobody"]`, `{"code":404,"message":"` + gateway.ErrUnknownConnection.Error() + `"}`},
		{"smpp_reload", `[]`, `{"added":["acme"],"changed":[],"removed":[],"unchanged":2}`},
		{"smpp_disable", `["acme"]`, `"OK"`},
		{"smpp_rebind", `["acme"]`, `"OK"`},
		{"which", `["smpp_list"]`, `[[],["name"]]`},
		{"which", `["smpp_lists"]`, `{"code":404,"message":"unknown MI command smpp_lists: which lists them"}`},
		{"help", `[]`, `"Usage: help mi_cmd - returns information about 'mi_cmd'"`},
		{"help", `["sip_list"]`, `{"Help":"sip_list - lists the SIP listeners, the next hops and how they are doing; roles: admin, operator, read","Exported by":"sip"}`},
		{"help", `["smpp_enable"]`, `{"Help":"smpp_enable name - lets a connection bind that was disabled; name: a string; roles: admin, operator","Exported by":"smpp"}`},
		{"help", `["x"]`, `{"code":404,"message":"unknown MI command x: which lists them"}`},
		{"version", `[]`, `{"Server":"sipsmpp 1.2"}`},
		{"ps", `[]`, `{"Processes":[{"ID":0,"PID":` + pid + `,"Type":"gateway"}]}`},
		{"log_level", `[]`, `{"Processes":[{"PID":` + pid + `,"Log level":3,"Type":"gateway"}]}`},
		{"log_level", `["4"]`, `{"New global log level":4}`},
		{"log_level", `[]`, `{"Processes":[{"PID":` + pid + `,"Log level":4,"Type":"gateway"}]}`},
		{"log_level", `["Warning"]`, `{"New global log level":1}`},
		{"log_level", `[]`, `{"Processes":[{"PID":` + pid + `,"Log level":1,"Type":"gateway"}]}`},
		{"log_level", `["-1"]`, `{"New global log level":-1}`},
		{"log_level", `[]`, `{"Processes":[{"PID":` + pid + `,"Log level":-1,"Type":"gateway"}]}`},
		{"log_level", `["loud"]`, `{"code":400,"message":"Bad value: level: want error, warning, info or debug, or one of OpenSIPS' numbers -1, 1, 3 and 4","data":{"parameter":"level","reason":"want error, warning, info or debug, or one of OpenSIPS' numbers -1, 1, 3 and 4"}}`},
		{"get_statistics", `["core:","smpp:"]`, `{"core:uptime":7,"smpp:segments_sent":5}`},
		{"get_statistics", `["smpp:"]`, `{"smpp:segments_sent":5}`},
		{"get_statistics", `["uptime","smpp:segments_sent"]`, `{"core:uptime":7,"smpp:segments_sent":5}`},
		{"get_statistics", `["nothing"]`, `{"code":404,"message":"Statistics Not Found: list_statistics lists them"}`},
		{"list_statistics", `[]`, `{"core:uptime":"non-incremental","mi:calls":"incremental","mi:connections":"non-incremental","mi:connections_evicted":"incremental",` +
			`"mi:connections_turned_away":"incremental","mi:unauthorized":"incremental","mi:websockets":"non-incremental","smpp:segments_sent":"incremental"}`},
		{"list_statistics", `["core:"]`, `{"core:uptime":"non-incremental"}`},
		{"list_statistics", `["x"]`, `{"code":404,"message":"Statistics Not Found: list_statistics lists them"}`},
		{"reset_statistics", `["all"]`, `"OK"`},
		{"subscribers_list", `[]`, `{"Events":[]}`},
		{"event_subscribe", `["E_*"]`, `{"code":400,"message":"Bad value: socket: want udp:host:port, tcp:host:port or webhook:URL; only a WebSocket or the Unix socket can get events itself","data":{"parameter":"socket","reason":"want udp:host:port, tcp:host:port or webhook:URL; only a WebSocket or the Unix socket can get events itself"}}`},
		{"event_subscribe", `["E_*","udp:127.0.0.1:9","0"]`, `"OK"`},
		{"raise_event", `["E_MINE"]`, `"OK"`},
		{"smpp_trace", `["acme",1,3,true]`, `{"pdus":[` +
			`{"time":"2026-03-01T12:00:00.000Z","connection":"acme","peer":"10.0.0.1:2775","direction":"sent","command":"submit_sm","sequence":7,` +
			`"fields":{"source_addr":"1 (TON 0, NPI 0)","destination_addr":"2 (TON 1, NPI 1)","short_message":"6869","text":"hi"}},` +
			`{"time":"2026-03-01T12:00:00.000Z","connection":"acme","peer":"10.0.0.1:2775","direction":"received","command":"submit_sm_resp","sequence":7,` +
			`"status":"ESME_RTHROTTLED (0x58)","fields":{}},` +
			`{"time":"2026-03-01T12:00:00.000Z","connection":"acme","peer":"10.0.0.1:2775","direction":"received","command":"enquire_link","sequence":8,"fields":{}}]}`},
		{"smpp_trace", `["nobody"]`, `{"code":404,"message":"no connection and no account is called nobody"}`},
		{"smpp_trace", `{"name":"acme","live":1}`, `{"code":400,"message":"Bad value: live: only a WebSocket or the Unix socket can be sent what comes: leave it out, and the result has it","data":{"parameter":"live","reason":"only a WebSocket or the Unix socket can be sent what comes: leave it out, and the result has it"}}`},
		{"smpp_trace", `["acme",31]`, `{"code":400,"message":"Bad value: seconds: want 1 to 30, or with live to 3600","data":{"parameter":"seconds","reason":"want 1 to 30, or with live to 3600"}}`},
		{"smpp_trace", `["acme",1,1001]`, `{"code":400,"message":"Bad value: count: want 1 to 1000, or with live to 10000","data":{"parameter":"count","reason":"want 1 to 1000, or with live to 10000"}}`},
		{"smpp_add", `["new","10.0.0.9",2775]`, `{"added":["new"],"changed":[],"removed":[],"unchanged":1}`},
		{"smpp_add", `["acme","10.0.0.9",2775]`, `{"code":409,"message":"` + gateway.ErrConnectionExists.Error() + `"}`},
		{"smpp_set", `{"name":"acme","window":"5"}`, `{"added":[],"changed":["acme"],"removed":[],"unchanged":0}`},
		{"smpp_set", `{"name":"other","window":5}`, `{"code":404,"message":"no such connection"}`},
		{"smpp_set", `["acme"]`, `{"code":400,"message":"Bad value: name: nothing is to be changed: ` + mi.SMPPSet.Usage() +
			`","data":{"parameter":"name","reason":"nothing is to be changed: ` + mi.SMPPSet.Usage() + `"}}`},
		{"smpp_delete", `["acme"]`, `{"added":[],"changed":[],"removed":["acme"],"unchanged":0}`},
		{"smpp_delete", `["other"]`, `{"code":404,"message":"no such connection"}`},
		{"smpp_list", `["nobody"]`, `{"code":404,"message":"` + gateway.ErrUnknownConnection.Error() + `"}`},
		{"account_add", `["new","secret"]`, `"OK"`},
		{"account_add", `["shop","secret"]`, `{"code":409,"message":"` + gateway.ErrAccountExists.Error() + `"}`},
		{"account_add", `["new"]`, `{"code":-32602,"message":"Invalid params","data":{"parameter":"password","reason":"missing; the usage is: ` + mi.AccountAdd.Usage() + `"}}`},
		{"account_set", `{"system_id":"shop","window":"5","enabled":"false","options":{"alphabet":"latin1"}}`, `"OK"`},
		{"account_set", `{"system_id":"shop","window":0}`, `{"code":400,"message":"Bad value: smpp_account[system_id=shop].window: 0 is not a window",` +
			`"data":[{"path":"smpp_account[system_id=shop].window","reason":"0 is not a window"}]}`},
		{"account_set", `["nobody"]`, `{"code":404,"message":"` + gateway.ErrUnknownAccount.Error() + `"}`},
		{"account_delete", `["nobody"]`, `{"code":404,"message":"` + gateway.ErrUnknownAccount.Error() + `"}`},
		{"account_delete", `["shop"]`, `"OK"`},
		{"account_list", `[]`, `{"accounts":[{"system_id":"shop","allowed_ips":["192.0.2.0/24","2001:db8::1/128"],"bind_modes":["transceiver","transmitter","receiver"],` +
			`"max_binds":10,"window":100,"throughput":0,"enabled":true,"options":{"long_message":"payload"},"binds":1}]}`},
		{"account_list", `["nobody"]`, `{"code":404,"message":"` + gateway.ErrUnknownAccount.Error() + `: nobody"}`},
		{"account_reload", `[]`, `{"added":[],"changed":["shop"],"removed":[],"unchanged":0}`},
		{"message_list", `[]`, `{"messages":[],"next":""}`},
		{"message_send", `{"from":"1","to":"2","text":"x","connection":"acme","tlvs":{"operator":""}}`,
			`{"code":400,"message":"Bad value: tlvs: acme has no operator","data":{"parameter":"tlvs","reason":"acme has no operator"}}`},
		{"message_show", `["` + sms.ID{1}.String() + `"]`, `{"code":404,"message":"` + gateway.ErrUnknownMessage.Error() + `"}`},
		{"message_cancel", `["` + sms.ID{1}.String() + `"]`, `{"code":404,"message":"` + gateway.ErrUnknownMessage.Error() + `"}`},
	} {
		if got := s.result(t, tt.method, tt.params); got != tt.want {
			t.Errorf("%s %s:\ngot  %s\nwant %s", tt.method, tt.params, got, tt.want)
		}
	}
	var names []string
	if err := json.Unmarshal([]byte(s.result(t, "which", `{}`)), &names); err != nil || len(names) != 2*len(mi.Methods())-1 || names[0] != "smpp_list" {
		t.Errorf("which: %v, %v", names, err)
	}
	var up mi.UptimeResult
	if err := json.Unmarshal([]byte(s.result(t, "uptime", `[]`)), &up); err != nil || up.UpTime != "7 [sec]" {
		t.Errorf("uptime: %+v, %v", up, err)
	}
	if _, err := time.Parse(time.ANSIC, up.UpSince); err != nil {
		t.Error(err)
	}
	var list mi.EventsListResult
	if err := json.Unmarshal([]byte(s.result(t, "events_list", `[]`)), &list); err != nil || len(list.Events) != len(events.All()) {
		t.Errorf("events_list: %+v, %v", list, err)
	}
	for i, e := range list.Events {
		if e.Name != events.All()[i].Name || e.ID != i || !reflect.DeepEqual([]string(e.Params), events.All()[i].Params) {
			t.Errorf("events_list: %+v", e)
		}
	}
}

// Values that are read, and are no good, are named.
func TestBadValues(t *testing.T) {
	core := newFakeCore()
	s := start(t, core, Options{})
	for _, tt := range []struct{ method, params, parameter string }{
		{"message_send", `{"from":"1","to":"","text":"x"}`, "to"},
		{"message_send", `{"from":"1","to":"2"}`, "text"},
		{"message_send", `{"from":"1","to":"2","text":"x","data":"00"}`, "data"},
		{"message_send", `{"from":"1","to":"2","text":"x","class":4}`, "class"},
		{"message_send", `{"from":"1","to":"2","text":"x","coding":"utf8"}`, "coding"},
		{"message_send", `{"from":"1","to":"2","text":"x","coding":"binary"}`, "coding"},
		{"message_send", `{"from":"1","to":"2","text":"x","udh":"` + strings.Repeat("00", 256) + `"}`, "udh"},
		{"message_show", `["x"]`, "id"},
		{"message_retry", `["x"]`, "id"},
		{"message_list", `{"state":"x"}`, "state"},
		{"message_list", `{"limit":1001}`, "limit"},
		{"message_list", `{"limit":-1}`, "limit"},
		{"message_list", `{"before":"x"}`, "before"},
		{"event_subscribe", `["[","udp:127.0.0.1:9"]`, "event"},
		{"event_subscribe", `["E_*","sctp:127.0.0.1:9"]`, "socket"},
		{"event_subscribe", `["E_*","udp:127.0.0.1"]`, "socket"},
		{"event_subscribe", `["E_*","udp:127.0.0.1:9",60,5]`, "after"},
		{"raise_event", `["E_SMPP_BIND_UP"]`, "event"},
		{"raise_event", `["mine"]`, "event"},
		{"raise_event", `["E_MINE","text"]`, "params"},
		{"raise_event", `["E_MINE",{"seq":1}]`, "params"},
		{"reset_statistics", `["smpp:"]`, "statistics"},
	} {
		var e struct {
			Code int
			Data mi.ParamFault
		}
		got := s.result(t, tt.method, tt.params)
		if err := json.Unmarshal([]byte(got), &e); err != nil || e.Code != mi.CodeBadValue || e.Data.Parameter != tt.parameter || e.Data.Reason == "" {
			t.Errorf("%s %.80s: %s, want a fault of %s", tt.method, tt.params, got, tt.parameter)
		}
	}
	if len(core.accepted) > 0 || core.resets > 0 {
		t.Errorf("%d messages were accepted, %d resets", len(core.accepted), core.resets)
	}
}

func TestReloadFaults(t *testing.T) {
	core := newFakeCore()
	core.reload = func() (smpp.Changes, error) {
		return smpp.Changes{}, &gateway.FaultsError{Faults: []sms.Fault{{Path: "smpp[name=a].port", Reason: "0"}, {Path: "smpp[name=b].ip", Reason: "empty"}}}
	}
	s := start(t, core, Options{})
	want := `{"code":400,"message":"table smpp has bad rows, and nothing was changed","data":[{"path":"smpp[name=a].port","reason":"0"},{"path":"smpp[name=b].ip","reason":"empty"}]}`
	if got := s.result(t, "smpp_reload", `[]`); got != want {
		t.Errorf("got %s", got)
	}
	core.reload = func() (smpp.Changes, error) { return smpp.Changes{}, errors.New("the database is away") }
	if got := s.result(t, "smpp_reload", `[]`); got != `{"code":500,"message":"the database is away"}` {
		t.Errorf("got %s", got)
	}
}

func TestMessageSend(t *testing.T) {
	core := newFakeCore()
	s := start(t, core, Options{})
	before := time.Now()
	got := s.result(t, "message_send", `{"from":"ACME","to":"+49 151-123","text":"hi <&>","receipt":"all","validity":"60","ref":"r","coding":"UCS2","class":"0","connection":"acme","service_type":"CMT","protocol_id":1,"priority":2,"data_coding":8,"udh":"050101","tlvs":"{\"0x1400\": \"0102\"}"}`)
	m := core.accepted[0]
	want := `{"id":"` + m.ID.String() + `","state":"sent","segments":1,"coding":"gsm7","connection":"acme","smsc_ids":["17"]}`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	validity := m.Expires.Sub(m.Received)
	if m.Received.Before(before) || validity != time.Minute {
		t.Errorf("received %v, valid %v", m.Received, validity)
	}
	m.Received, m.Expires = time.Time{}, time.Time{}
	wantMessage := &sms.Message{
		ID: m.ID, Ref: "r", Ingress: sms.MI, From: sms.ParseAddress("ACME"), To: sms.ParseAddress("+49151123"), Text: "hi <&>", UDH: []byte{5, 1, 1},
		Alphabet: sms.AlphabetUCS2, DataCoding: 8, HasDataCoding: true, Class: sms.Class0, ServiceType: "CMT", ProtocolID: 1, Priority: 2,
		Receipt: sms.ReceiptAll, Connection: "acme", TLVs: []sms.TLV{{Tag: 0x1400, Value: []byte("0102")}},
	}
	if !reflect.DeepEqual(m, wantMessage) {
		t.Errorf("got %+v\nwant %+v", m, wantMessage)
	}
	s.result(t, "message_send", `{"from":"1","to":"2","data":"00ff","data_coding":0}`)
	if m := core.accepted[1]; !m.IsBinary() || string(m.Data) != "\x00\xff" || !m.HasDataCoding || m.DataCoding != 0 || !m.Expires.IsZero() || m.Receipt != sms.ReceiptNone || m.Class != sms.ClassNone {
		t.Errorf("got %+v", m)
	}
	s.result(t, "message_send", `{"from":"1","to":"2","data":""}`)
	if m := core.accepted[2]; !m.IsBinary() || len(m.Data) != 0 {
		t.Errorf("got %+v", m)
	}
}

// The code of a failure says whether to try again, and its data what the peer said.
func TestSendCodes(t *testing.T) {
	core := newFakeCore()
	var outcome sms.Outcome
	core.accept = func(_ *sms.Message, done func(sms.Outcome)) { done(outcome) }
	s := start(t, core, Options{})
	refused := func(severity sms.Severity) sms.Outcome {
		return sms.Outcome{Fate: sms.Refused, Severity: severity, Cause: sms.CauseRefused, Protocol: sms.ProtocolSMPP, Status: 0x58}
	}
	for _, tt := range []struct {
		outcome sms.Outcome
		code    int
	}{
		{sms.Failed(sms.Permanent, sms.CauseNoRoute, "why"), 404},
		{sms.Failed(sms.Temporary, sms.CauseNotReady, ""), 480},
		{sms.Failed(sms.Temporary, sms.CauseQueueFull, ""), 480},
		{sms.Failed(sms.Temporary, sms.CauseStore, ""), 480},
		{sms.Outcome{Fate: sms.Unknown, Severity: sms.Temporary, Cause: sms.CauseNoAnswer}, 480},
		{sms.Failed(sms.Permanent, sms.CauseUnencodable, ""), 400},
		{sms.Failed(sms.Permanent, sms.CauseExpired, ""), 400},
		{sms.Failed(sms.Temporary, sms.CauseShutdown, ""), 503},
		{sms.Failed(sms.Permanent, sms.CauseLoop, ""), 409},
		{sms.Failed(sms.Temporary, sms.CauseInternal, ""), 500},
		{refused(sms.Throttled), 429},
		{refused(sms.Temporary), 480},
		{refused(sms.Permanent), 403},
		{refused(sms.Configuration), 500},
	} {
		outcome = tt.outcome
		var e struct {
			Code    int
			Message string
			Data    mi.SendFailure
		}
		got := s.result(t, "message_send", `["1","2","hi"]`)
		err := json.Unmarshal([]byte(got), &e)
		want := mi.SendFailure{
			ID: core.accepted[len(core.accepted)-1].ID.String(), Fate: outcome.Fate.String(), Reason: outcome.Reason(),
			Protocol: outcome.Protocol.String(), Status: outcome.Status,
		}
		if err != nil || e.Code != tt.code || e.Data != want || !strings.HasSuffix(e.Message, outcome.Reason()) {
			t.Errorf("%v: %s, want code %d, data %+v", tt.outcome, got, tt.code, want)
		}
	}
}

func TestRecords(t *testing.T) {
	core := newFakeCore()
	id := sms.ID{1, 2}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	core.records = []*store.Record{{
		Message: &sms.Message{
			ID: id, Ref: "r", Ingress: sms.SIP, From: sms.ParseAddress("+1"), To: sms.ParseAddress("2"), Text: "hi", Alphabet: sms.AlphabetGSM7,
			Received: at, Receipt: sms.ReceiptFinal,
		},
		Node: "gw", State: store.RecordReported, Egress: sms.Connection("acme"), Rule: "default", Attempts: 1, Updated: at,
		Segments: []store.Segment{{Part: 1, SMSCID: "17", State: sms.StateDelivered, DoneTime: at}}, Report: sms.StateDelivered, DoneTime: at,
	}, {
		Message: &sms.Message{ID: sms.ID{1}, Ingress: sms.MI, Data: []byte{0, 255}, Alphabet: sms.AlphabetBinary},
		State:   store.RecordDeferred, NextAttempt: at, Attempts: 1,
		Failed: []store.FailedAttempt{{Attempt: 1, Ended: at, Egress: "smpp:acme", Reason: "no bind is up"}},
	}}
	s := start(t, core, Options{})
	first := `{"id":"` + id.String() + `","ref":"r","state":"reported","ingress":"sip","egress":"smpp:acme","connection":"acme","from":"+1","to":"2","text":"hi","coding":"gsm7","received":"2026-03-01T12:00:00.000Z","receipt":true,"node":"gw","rule":"default","attempts":1,"updated":"2026-03-01T12:00:00.000Z","segments":[{"segment":1,"smsc_id":"17","state":"delivered","done_time":"2026-03-01T12:00:00.000Z"}],"report":{"state":"delivered","done_time":"2026-03-01T12:00:00.000Z"}}`
	second := `{"id":"` + sms.ID{1}.String() + `","state":"deferred","ingress":"mi","from":"","to":"","data":"00ff","coding":"binary","receipt":false,"node":"","attempts":1,"failed_attempts":[{"attempt":1,"time":"2026-03-01T12:00:00.000Z","egress":"smpp:acme","reason":"no bind is up"}],"next_attempt":"2026-03-01T12:00:00.000Z","segments":[]}`
	if got := s.result(t, "message_show", `["`+strings.ToUpper(id.String())+`"]`); got != first {
		t.Errorf("got  %s\nwant %s", got, first)
	}
	want := `{"messages":[` + first + `,` + second + `],"next":"` + sms.ID{1}.String() + `"}`
	got := s.result(t, "message_list", `{"state":"sent","connection":"acme","from":"1","to":"2","since":"2026-03-01T12:00:00Z","limit":"7","before":"`+id.String()+`"}`)
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if f := (store.Filter{State: store.RecordSent, Connection: "acme", From: "1", To: "2", Since: at, Limit: 7, Before: id}); core.filter != f {
		t.Errorf("filter %+v, want %+v", core.filter, f)
	}
}

func TestSideEffects(t *testing.T) {
	core := newFakeCore()
	level := new(slog.LevelVar)
	stopped := make(chan struct{})
	s := start(t, core, Options{Level: level, Stop: func() { close(stopped) }})
	s.result(t, "log_level", `["debug"]`)
	if level.Level() != slog.LevelDebug {
		t.Errorf("level %v", level)
	}
	for _, what := range []string{"enable", "disable", "rebind"} {
		s.result(t, "smpp_"+what, `["acme"]`)
	}
	if want := []string{"enable acme", "disable acme", "rebind acme"}; !reflect.DeepEqual(core.called, want) {
		t.Errorf("called %v", core.called)
	}
	s.result(t, "reset_statistics", `["all"]`)
	if core.resets != 1 {
		t.Errorf("%d resets", core.resets)
	}
	if got := s.result(t, "kill", `[]`); got != `"OK"` {
		t.Errorf("kill: %s", got)
	}
	<-stopped
}

func TestSubscribeByDatagram(t *testing.T) {
	core := newFakeCore()
	s := start(t, core, Options{})
	l, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket := "udp:" + l.LocalAddr().String()
	if got := s.result(t, "event_subscribe", `["E_SMPP_*","`+socket+`","60"]`); got != `"OK"` {
		t.Fatal(got)
	}
	for params, want := range map[string]bool{`[]`: true, `["E_SMPP_RELOADED"]`: true, `["E_SMPP_*","` + socket + `"]`: true, `["E_MESSAGE_SENT"]`: false, `{"socket":"udp:x:1"}`: false} {
		got := regexp.MustCompile(`,"lag":1(,"lag_seconds":[0-9.]+)?`).ReplaceAllString(s.result(t, "subscribers_list", params), "") // of E_MI_CHANGED, for a moment
		if one := `{"Events":[{"name":"E_SMPP_*","Subscribers":[{"socket":"` + socket + `","expire":"60"}]}]}`; (got == one) != want {
			t.Errorf("subscribers_list %s: %s", params, got)
		}
	}
	core.hub.Publish(events.MessageFailed{})
	core.hub.Publish(events.Reloaded{})
	b := make([]byte, 2048)
	n, err := l.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := events.Parse(b[:n]); err != nil || e.Seq != 3 { // event_subscribe itself is the first
		t.Errorf("got %s, %v", b[:n], err)
	}
}

// The values of a row come as their columns want them, however they were written.
func TestSMPPAddValues(t *testing.T) {
	core := newFakeCore()
	s := start(t, core, Options{})
	s.result(t, "smpp_add", `{"name":"new","ip":"host","port":"2775","password":"0123","tls":true,"window":5,"system_type":"","options":{"receipt": true}}`)
	want := map[string]string{
		"name": "new", "ip": "host", "port": "2775", "password": "0123", "tls": "true", "window": "5", "system_type": "",
		"options": `{"receipt": true}`,
	}
	if !maps.Equal(core.values, want) {
		t.Errorf("got %q, want %q", core.values, want)
	}
}

// message_show tells how a message waits, and what is done to it by hand is passed on.
func TestDeferredMessage(t *testing.T) {
	core := newFakeCore()
	id, sent := core.ids.Next(), core.ids.Next()
	next := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	core.records = []*store.Record{
		{Message: &sms.Message{ID: id, Ingress: sms.MI}, State: store.RecordDeferred, NextAttempt: next, Deferral: &store.Deferral{
			ID: id, Target: "smpp:acme", Reason: "no bind is up", GiveUp: next.Add(time.Hour), Unknown: 1, Next: next,
		}},
		{Message: &sms.Message{ID: sent, Ingress: sms.MI}, State: store.RecordSent},
	}
	s := start(t, core, Options{})
	want := `"deferral":{"target":"smpp:acme","waiting":"time","reason":"no bind is up","give_up":"2026-03-01T13:00:00.000Z","unknown_fates":1}`
	if got := s.result(t, "message_show", `["`+id.String()+`"]`); !strings.Contains(got, want) || !strings.Contains(got, `"next_attempt":"2026-03-01T12:00:00.000Z"`) {
		t.Error(got)
	}
	for call, want := range map[string]string{
		`"message_retry","params":["` + id.String() + `"]`:    `"result":"OK"`,
		`"message_retry","params":["` + sent.String() + `"]`:  `"code":409`,
		`"message_cancel","params":["` + sent.String() + `"]`: `"code":409`,
	} {
		if got := s.call(t, `{"jsonrpc":"2.0","id":1,"method":`+call+`}`); !strings.Contains(got, want) {
			t.Errorf("%s: %s", call, got)
		}
	}
}

// A message that was kept is answered with success, and with why.
func TestMessageSendDeferred(t *testing.T) {
	core := newFakeCore()
	core.accept = func(m *sms.Message, done func(sms.Outcome)) {
		o := sms.Failed(sms.Temporary, sms.CauseNotReady, "it is not bound yet")
		o.Deferred = !m.NoDefer
		done(o)
	}
	s := start(t, core, Options{})
	got := s.call(t, `{"jsonrpc":"2.0","method":"message_send","params":{"from":"100","to":"+49","text":"x"},"id":1}`)
	if !strings.Contains(got, `"state":"deferred","reason":"no bind is up: it is not bound yet"`) {
		t.Error(got)
	}
	got = s.call(t, `{"jsonrpc":"2.0","method":"message_send","params":{"from":"100","to":"+49","text":"x","defer":false},"id":1}`)
	if !strings.Contains(got, `"code":480`) {
		t.Error(got)
	}
}
