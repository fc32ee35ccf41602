package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"sipsmpp/gateway"
	"sipsmpp/gateway/sms"
	"sipsmpp/mi"
)

func TestDispatch(t *testing.T) {
	s := start(t, newFakeCore(), Options{Version: "1.2"})
	long := strings.Repeat("7", maxID)
	for _, tt := range []struct{ name, body, want string }{
		// The id comes back as it came.
		{"number", `{"jsonrpc":"2.0","id":1,"method":"version"}`, `{"jsonrpc":"2.0","result":{"Server":"sipsmpp 1.2"},"id":1}`},
		{"string", `{"jsonrpc":"2.0","id":"a\u00e4\"","method":"version"}`, `{"jsonrpc":"2.0","result":{"Server":"sipsmpp 1.2"},"id":"a\u00e4\""}`},
		{"null", `{"jsonrpc":"2.0","id":null,"method":"version"}`, `{"jsonrpc":"2.0","result":{"Server":"sipsmpp 1.2"},"id":null}`},
		{"negative", `{"jsonrpc":"2.0","id":-1,"method":"version"}`, `{"jsonrpc":"2.0","result":{"Server":"sipsmpp 1.2"},"id":-1}`},
		{"big", `{"jsonrpc":"2.0","id":18446744073709551616,"method":"version"}`, `{"jsonrpc":"2.0","result":{"Server":"sipsmpp 1.2"},"id":18446744073709551616}`},
		{"fraction", `{"jsonrpc":"2.0","id":1.50e3,"method":"version"}`, `{"jsonrpc":"2.0","result":{"Server":"sipsmpp 1.2"},"id":1.50e3}`},
		{"longest", `{"jsonrpc":"2.0","id":` + long + `,"method":"version"}`, `{"jsonrpc":"2.0","result":{"Server":"sipsmpp 1.2"},"id":` + long + `}`},
		{"too long", `{"jsonrpc":"2.0","id":7` + long + `,"method":"version"}`, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request","data":"id: want a string, a number or null, 256 octets at most"},"id":null}`},
		{"object", `{"jsonrpc":"2.0","id":{},"method":"version"}`, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request","data":"id: want a string, a number or null, 256 octets at most"},"id":null}`},
		{"boolean", `{"jsonrpc":"2.0","id":true,"method":"version"}`, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request","data":"id: want a string, a number or null, 256 octets at most"},"id":null}`},

		// Requests that are none.
		{"no JSON", `{"jsonrpc":`, `{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error","data":"the request is no JSON in UTF-8"},"id":null}`},
		{"nothing", ` `, `{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error","data":"the request is no JSON in UTF-8"},"id":null}`},
		{"no UTF-8", "{\"jsonrpc\":\"2.0\",\"id\":\"\xff\",\"method\":\"version\"}", `{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error","data":"the request is no JSON in UTF-8"},"id":null}`},
		{"two", `{} {}`, `{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error","data":"the request is no JSON in UTF-8"},"id":null}`},
		{"no object", `7`, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request","data":"want an object"},"id":null}`},
		{"no version", `{"id":1,"method":"version"}`, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request","data":"jsonrpc: want \"2.0\""},"id":1}`},
		{"no method", `{"jsonrpc":"2.0","id":1}`, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request","data":"method: want a string"},"id":1}`},
		{"null method", `{"jsonrpc":"2.0","id":1,"method":null}`, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request","data":"method: want a string"},"id":1}`},
		{"bad params", `{"jsonrpc":"2.0","id":1,"method":"version","params":7}`, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request","data":"params: want an object or an array"},"id":1}`},
		{"names in other letters", `{"jsonrpc":"2.0","ID":1,"method":"version"}`, ``},
		{"too deep", `{"jsonrpc":"2.0","id":1,"method":"version","params":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request","data":"nested deeper than 32"},"id":null}`},
		{"brackets in a string", `{"jsonrpc":"2.0","id":"` + strings.Repeat(`\"[`, 40) + `","method":"kil"}`, `{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found","data":"which lists the methods"},"id":"` + strings.Repeat(`\"[`, 40) + `"}`},

		// Methods and parameters.
		{"no such method", `{"jsonrpc":"2.0","id":1,"method":"versions"}`, `{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found","data":"which lists the methods"},"id":1}`},
		{"by name", `{"jsonrpc":"2.0","id":1,"method":"smpp_enable","params":{"name":"acme"}}`, `{"jsonrpc":"2.0","result":"OK","id":1}`},
		{"by position", `{"jsonrpc":"2.0","id":1,"method":"smpp_enable","params":["acme"]}`, `{"jsonrpc":"2.0","result":"OK","id":1}`},
		{"none", `{"jsonrpc":"2.0","id":1,"method":"version","params":{}}`, `{"jsonrpc":"2.0","result":{"Server":"sipsmpp 1.2"},"id":1}`},
		{"none, by position", `{"jsonrpc":"2.0","id":1,"method":"version","params":[]}`, `{"jsonrpc":"2.0","result":{"Server":"sipsmpp 1.2"},"id":1}`},
		{"null params", `{"jsonrpc":"2.0","id":1,"method":"version","params":null}`, `{"jsonrpc":"2.0","result":{"Server":"sipsmpp 1.2"},"id":1}`},
		{"missing", `{"jsonrpc":"2.0","id":1,"method":"smpp_enable"}`, `{"jsonrpc":"2.0","error":{"code":-32602,"message":"Invalid params","data":{"parameter":"name","reason":"missing; the usage is: smpp_enable name"}},"id":1}`},
		{"unknown", `{"jsonrpc":"2.0","id":1,"method":"version","params":{"x":1}}`, `{"jsonrpc":"2.0","error":{"code":-32602,"message":"Invalid params","data":{"parameter":"x","reason":"unknown; the usage is: version"}},"id":1}`},
		{"application's error", `{"jsonrpc":"2.0","id":1,"method":"smpp_enable","params":["x"]}`, `{"jsonrpc":"2.0","error":{"code":404,"message":"` + gateway.ErrUnknownConnection.Error() + `"},"id":1}`},
		{"panic", `{"jsonrpc":"2.0","id":1,"method":"smpp_rebind","params":["panic"]}`, `{"jsonrpc":"2.0","error":{"code":-32603,"message":"Internal error"},"id":1}`},

		// Notifications.
		{"notification", `{"jsonrpc":"2.0","method":"version"}`, ``},
		{"notification of nothing", `{"jsonrpc":"2.0","method":"versions"}`, ``},
		{"notification with bad parameters", `{"jsonrpc":"2.0","method":"smpp_enable"}`, ``},
		{"notification that is no request", `{"jsonrpc":"1.0","method":"version"}`, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request","data":"jsonrpc: want \"2.0\""},"id":null}`},

		// Batches.
		{"batch", `[{"jsonrpc":"2.0","id":1,"method":"smpp_enable","params":["acme"]},{"jsonrpc":"2.0","method":"version"},7,{"jsonrpc":"2.0","id":-1,"method":"x"}]`,
			`[{"jsonrpc":"2.0","result":"OK","id":1},{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request","data":"want an object"},"id":null},{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found","data":"which lists the methods"},"id":-1}]`},
		{"batch of notifications", `[{"jsonrpc":"2.0","method":"version"},{"jsonrpc":"2.0","method":"version"}]`, ``},
		{"batch of one", `[{"jsonrpc":"2.0","id":1,"method":"smpp_enable","params":["acme"]}]`, `[{"jsonrpc":"2.0","result":"OK","id":1}]`},
		{"batch in a batch", `[[]]`, `[{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request","data":"want an object"},"id":null}]`},
		{"empty batch", `[]`, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request","data":"an empty batch"},"id":null}`},
		{"long batch", `[` + strings.Repeat(`1,`, 100) + `1]`, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request","data":"a batch may have 100 requests, this one has 101"},"id":null}`},
	} {
		if got := s.call(t, tt.body); got != tt.want {
			t.Errorf("%s: %.200s\ngot  %s\nwant %s", tt.name, tt.body, got, tt.want)
		}
	}
}

func TestPanicIsLogged(t *testing.T) {
	var log bytes.Buffer
	s := start(t, newFakeCore(), Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	s.call(t, `{"jsonrpc":"2.0","id":1,"method":"smpp_rebind","params":["panic"]}`)
	if !strings.Contains(log.String(), "the test wants it") || !strings.Contains(log.String(), "core_test.go") {
		t.Errorf("logged: %s", log.String())
	}
}

// A method that panics after it replied is answered once, and one that panics at once is answered too.
func TestPanicInTheMethod(t *testing.T) {
	d := &dispatcher{log: discard, methods: map[string]handler{
		"late":  func(_ context.Context, _ json.RawMessage, reply func(any, error)) { reply("done", nil); panic("late") },
		"early": func(context.Context, json.RawMessage, func(any, error)) { panic("early") },
		"plain": func(_ context.Context, _ json.RawMessage, reply func(any, error)) { reply(nil, errors.New("why")) },
		"null":  func(_ context.Context, _ json.RawMessage, reply func(any, error)) { reply(nil, nil) },
		"bad":   func(_ context.Context, _ json.RawMessage, reply func(any, error)) { reply(func() {}, nil) },
		"given up": func(ctx context.Context, _ json.RawMessage, reply func(any, error)) {
			reply(nil, context.Cause(ctx))
		},
	}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for method, want := range map[string]string{
		"late":     `{"jsonrpc":"2.0","result":"done","id":1}`,
		"early":    `{"jsonrpc":"2.0","error":{"code":-32603,"message":"Internal error"},"id":1}`,
		"plain":    `{"jsonrpc":"2.0","error":{"code":500,"message":"why"},"id":1}`,
		"null":     `{"jsonrpc":"2.0","result":"OK","id":1}`,
		"bad":      `{"jsonrpc":"2.0","error":{"code":-32603,"message":"Internal error","data":"json: unsupported type: func()"},"id":1}`,
		"given up": `{"jsonrpc":"2.0","error":{"code":480,"message":"it took too long, or was given up: try again"},"id":1}`,
	} {
		var got []string
		d.dispatch(ctx, []byte(`{"jsonrpc":"2.0","id":1,"method":"`+method+`"}`), func(a answer) { got = append(got, string(a.encode(nil))) })
		if len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %s, want %s", method, got, want)
		}
	}
}

// The messages of a batch are on their way together, in their order.
func TestBatchIsPipelined(t *testing.T) {
	core := newFakeCore()
	var waiting []func(sms.Outcome)
	core.accept = func(m *sms.Message, done func(sms.Outcome)) {
		if waiting = append(waiting, done); len(waiting) == 3 {
			for i := range waiting { // answered the wrong way round
				waiting[2-i](sms.Outcome{Fate: sms.Accepted, SMSCIDs: []string{string(rune('a' + 2 - i))}})
			}
		}
	}
	s := start(t, core, Options{})
	one := `{"jsonrpc":"2.0","id":1,"method":"message_send","params":["1","2","hi"]}`
	var answers []struct{ Result mi.MessageSendResult }
	if err := json.Unmarshal([]byte(s.call(t, "["+one+","+one+","+one+"]")), &answers); err != nil {
		t.Fatal(err)
	}
	for i, a := range answers {
		if len(a.Result.SMSCIDs) != 1 || a.Result.SMSCIDs[0] != string(rune('a'+i)) || a.Result.ID != core.accepted[i].ID.String() {
			t.Errorf("answer %d: %+v", i, a)
		}
	}
}

func TestEveryMethodIsServed(t *testing.T) {
	s := start(t, newFakeCore(), Options{})
	for _, d := range mi.Methods() {
		if s.dispatcher.methods[d.Name] == nil {
			t.Errorf("%s is declared and not served", d.Name)
		}
	}
	if len(s.dispatcher.methods) != len(mi.Methods()) {
		t.Errorf("%d methods are served, %d are declared", len(s.dispatcher.methods), len(mi.Methods()))
	}
}

func FuzzDispatch(f *testing.F) {
	for _, s := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"which","params":["help"]}`,
		`[{"jsonrpc":"2.0","id":"x","method":"message_send","params":{"from":"1","to":"2","text":"x"}},{}]`,
		`{"jsonrpc":"2.0","method":"version"}`, `[[[[`, `{"id":{}}`, `{"jsonrpc":"2.0","id":-0.0e-1,"method":"raise_event","params":["E_X",{"a":[]}]}`,
	} {
		f.Add([]byte(s))
	}
	s := start(f, newFakeCore(), Options{})
	f.Fuzz(func(t *testing.T, body []byte) {
		answers := make(chan answer, 2)
		s.dispatcher.dispatch(t.Context(), body, func(a answer) { answers <- a })
		a := <-answers
		encoded := a.encode(nil)
		if a.silent != (len(encoded) == 0) {
			t.Fatalf("%q: silent %v, %s", body, a.silent, encoded)
		}
		if a.silent {
			return
		}
		var one struct {
			JSONRPC string
			Result  json.RawMessage
			Error   *mi.Error
		}
		if a.batch == nil {
			if err := json.Unmarshal(encoded, &one); err != nil || one.JSONRPC != "2.0" || (one.Result == nil) == (one.Error == nil) {
				t.Errorf("%q: %s, %v", body, encoded, err)
			}
		} else if !json.Valid(encoded) {
			t.Errorf("%q: %s", body, encoded)
		}
	})
}

func BenchmarkDispatch(b *testing.B) {
	for name, body := range map[string]string{
		"message_send": `{"jsonrpc":"2.0","id":1,"method":"message_send","params":{"from":"100","to":"+4915112345678","text":"hello"}}`,
		"version":      `{"jsonrpc":"2.0","id":1,"method":"version"}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			core := newFakeCore()
			core.accept = func(m *sms.Message, done func(sms.Outcome)) {
				core.accepted = core.accepted[:0]
				done(sms.Outcome{Fate: sms.Accepted, SMSCIDs: []string{"17"}, Segments: 1})
			}
			s := New(core, Options{})
			defer func() { _ = s.Close(b.Context()) }()
			request := []byte(body)
			var buffer []byte
			for b.Loop() {
				s.dispatcher.dispatch(b.Context(), request, func(a answer) { buffer = a.encode(buffer[:0]) })
			}
			if !bytes.Contains(buffer, []byte("result")) {
				b.Fatalf("%s", buffer)
			}
		})
	}
}
