package gateway_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"

	"sipsmpp/events"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/route"
	"sipsmpp/gateway/sms"
)

func octets(t *testing.T, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What a message goes out as, by what the connection's data_coding 0 means, and by what its sender asks for.
func TestAlphabetsThatGoOut(t *testing.T) {
	text := func(s string) sms.Message { return sms.Message{Text: s} }
	demand := func(dataCoding uint8, s string) sms.Message {
		return sms.Message{Text: s, HasDataCoding: true, DataCoding: dataCoding}
	}
	flash := func(class sms.Class, s string) sms.Message { return sms.Message{Text: s, Class: class} }
	binary := func(b ...byte) sms.Message { return sms.Message{Data: b, Alphabet: sms.AlphabetBinary} }
	type out struct {
		m          sms.Message
		dataCoding uint8
		octets     string // of the user data; empty: it is refused
		refusal    string
	}
	for alphabet, list := range map[sms.Alphabet][]out{
		sms.AlphabetGSM7: {
			{text("@é€{ on"), 0, "00 05 1b65 1b28 20 6f6e", ""},
			{text("Привет"), 8, "041f 0440 0438 0432 0435 0442", ""},
			{text("👋🏽"), 8, "d83d dc4b d83c dffd", ""}, // surrogates stay together
			{flash(sms.Class0, "@"), 0xF0, "00", ""},
			{flash(sms.Class1, "@"), 0xF1, "00", ""},
			{flash(sms.Class2, "@"), 0xF2, "00", ""},
			{flash(sms.Class3, "@"), 0xF3, "00", ""},
			{flash(sms.Class0, "Я"), 0x18, "042f", ""},
			{flash(sms.Class3, "Я"), 0x1B, "042f", ""},
			{demand(1, "@[ASCII"), 1, "40 5b 4153434949", ""},
			{demand(3, "é"), 3, "e9", ""},
			{demand(5, "あ"), 5, "82a0", ""},                 // Shift JIS
			{demand(6, "Я"), 6, "cf", ""},                   // ISO 8859-5
			{demand(7, "א"), 7, "e0", ""},                   // ISO 8859-8
			{demand(10, "あ"), 10, "1b2442 2422 1b2842", ""}, // ISO 2022-JP
			{demand(13, "亜"), 13, "b0a1", ""},               // JIS X 0212 with 0208: EUC-JP
			{demand(14, "가"), 14, "b0a1", ""},               // KS C 5601: EUC-KR
			{binary(0, 255), 4, "00ff", ""},
			{sms.Message{Data: []byte{1}, Alphabet: sms.AlphabetBinary, HasDataCoding: true, DataCoding: 2}, 2, "01", ""},
			{sms.Message{Data: []byte{1}, Alphabet: sms.AlphabetBinary, Class: sms.Class1}, 0xF5, "01", ""},
			{demand(0, "Я"), 0, "", "Я"},
			{demand(3, "€"), 0, "", "€"},
			{demand(6, "漢"), 0, "", "漢"},
			{demand(4, "text"), 0, "", "t"},
		},
		sms.AlphabetGSM7Packed: {
			{text("hellohello"), 0, "e8329bfd4697d9ec37", ""},
			{text("@ in @"), 0, "00 50 da 0d 02 00", ""},
			{text("1234567@"), 0, "31d98c56b3dd00", ""}, // not cut at the @
			{text("Я"), 8, "042f", ""},
		},
		sms.AlphabetLatin1: {
			{text("@ê~"), 0, "40 ea 7e", ""},
			{text("€"), 8, "20ac", ""},
			{flash(sms.Class0, "@"), 0xF0, "00", ""}, // which is GSM whatever 0 is
		},
		sms.AlphabetASCII: {
			{text("@~"), 0, "40 7e", ""},
			{text("é"), 8, "00e9", ""},
		},
	} {
		r := newRig(t, gatewaytest.SMSCConfig{}, func(c *sms.ConnectionConfig) { c.Alphabet = alphabet })
		for _, c := range list {
			m := c.m
			o := r.accept(&m)
			if c.octets == "" {
				if o.Cause != sms.CauseUnencodable || o.Severity != sms.Permanent || !strings.Contains(o.Detail, c.refusal) {
					t.Errorf("%v, %q: %+v", alphabet, c.m.Text, o)
				}
				if e := r.event("E_MESSAGE_FAILED").(events.MessageFailed); !strings.Contains(e.Reason, c.refusal) {
					t.Errorf("%v, %q: %+v", alphabet, c.m.Text, e)
				}
				continue
			}
			if o.Fate != sms.Accepted {
				t.Errorf("%v, %q: %+v", alphabet, c.m.Text, o)
				continue
			}
			got, err := r.smsc.Next(r.ctx)
			if err != nil {
				t.Fatal(err)
			}
			if got.DataCoding != c.dataCoding || !bytes.Equal(got.ShortMessage, octets(t, c.octets)) {
				t.Errorf("%v, %q, data_coding %d: went out as %#x, % x; want %#x, %s", alphabet, c.m.Text, c.m.DataCoding, got.DataCoding,
					got.ShortMessage, c.dataCoding, c.octets)
			}
		}
	}
}

// A connection may ask for national tables, and for what looks like the text; nobody else gets either.
func TestShiftAndTransliterationWhereAConnectionAsks(t *testing.T) {
	for name, c := range map[string]struct {
		change     func(*sms.ConnectionConfig)
		text       string
		dataCoding uint8
		octets     string
		udh        string
	}{
		"Turkish":                {func(c *sms.ConnectionConfig) { c.Shift = "turkish" }, "ğüşiöç İstanbul", 0, "", "25 01 01"},
		"Turkish without asking": {nil, "ğ", 8, "011f", ""},
		"transliterated":         {func(c *sms.ConnectionConfig) { c.Transliterate = true }, "„łódź“", 0, "22 6c 6f 64 7a 22", ""},
		"not transliterated":     {nil, "ł", 8, "0142", ""},
	} {
		r := newRig(t, gatewaytest.SMSCConfig{}, c.change)
		if o := r.accept(&sms.Message{Text: c.text}); o.Fate != sms.Accepted {
			t.Fatalf("%s: %+v", name, o)
		}
		got, err := r.smsc.Next(r.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if got.DataCoding != c.dataCoding || c.octets != "" && !bytes.Equal(got.ShortMessage, octets(t, c.octets)) ||
			c.udh != "" && !bytes.Contains(got.UDH(), octets(t, c.udh)) {
			t.Errorf("%s: %#x, % x", name, got.DataCoding, got.ShortMessage)
		}
	}
}

// What a deliver_sm is read as. What is not of its alphabet is U+FFFD, and the message goes on.
func TestAlphabetsThatComeIn(t *testing.T) {
	type in struct {
		dataCoding uint8
		esmClass   uint8
		octets     string
		text       string
		data       string
		coding     string
	}
	for alphabet, list := range map[sms.Alphabet][]in{
		sms.AlphabetGSM7: {
			{0, 0, "00 05 1b65 1b28", "@é€{", "", "gsm7"},
			{0, 0, strings.Repeat("61", 160), strings.Repeat("a", 160), "", "gsm7"}, // 160 octets are fine
			{0, 0, "41 ff 42", "A\uFFFDB", "", "gsm7"},
			{1, 0, "40 5b", "@[", "", "ascii"},
			{1, 0, "41 e9", "A\uFFFD", "", "ascii"},
			{3, 0, "e9 40", "é@", "", "latin1"},
			{5, 0, "82a0", "あ", "", ""},
			{6, 0, "cf", "Я", "", ""},
			{7, 0, "e0", "א", "", ""},
			{8, 0, "041f d83d dc4b", "П👋", "", "ucs2"},
			{8, 0, "041f d83d 0041", "П\uFFFDA", "", "ucs2"}, // half a surrogate pair
			{8, 0, "041f 00", "П\uFFFD", "", "ucs2"},         // half a unit
			{10, 0, "1b2442 2422 1b2842", "あ", "", ""},
			{13, 0, "b0a1", "亜", "", ""},
			{14, 0, "b0a1", "가", "", ""},
			{0x10, 0, "00", "@", "", "gsm7"},
			{0x18, 0, "042f", "Я", "", "ucs2"},
			{0xF0, 0, "00", "@", "", "gsm7"}, {0xF1, 0, "00", "@", "", "gsm7"}, {0xF2, 0, "00", "@", "", "gsm7"}, {0xF3, 0, "00", "@", "", "gsm7"},
			{2, 0, "00ff", "", "00ff", "binary"}, {4, 0, "00ff", "", "00ff", "binary"},
			{0xF4, 0, "00ff", "", "00ff", "binary"}, {0xF7, 0, "00ff", "", "00ff", "binary"},
			{0, 0x40, "06 05 04 0b84 23f0 41", "A", "", "gsm7"},     // ports: the header is no text
			{8, 0x40, "03 70 01 00 0410", "А", "", "ucs2"},          // an element that nobody knows
			{0, 0x40, "06 24 01 01 25 01 01 1b63", "ç", "", "gsm7"}, // Turkish tables
		},
		sms.AlphabetGSM7Packed: {{0, 0, "e8329bfd4697d9ec37", "hellohello", "", ""}, {0, 0, "00 50 da 0d 02 00", "@ in @", "", ""}},
		sms.AlphabetLatin1:     {{0, 0, "40 e9", "@é", "", "latin1"}, {0xF0, 0, "00", "@", "", "gsm7"}},
		sms.AlphabetASCII:      {{0, 0, "40 7e", "@~", "", "ascii"}},
	} {
		r := newRig(t, gatewaytest.SMSCConfig{}, func(c *sms.ConnectionConfig) { c.Alphabet = alphabet })
		r.rule(route.Rule{Name: "all", Ingress: "smpp:smsc", Targets: "app"})
		for _, c := range list {
			status, err := r.smsc.Deliver(r.ctx, gatewaytest.Deliver{
				From: "+4915112345678", To: "100", DataCoding: c.dataCoding, ESMClass: c.esmClass, ShortMessage: octets(t, c.octets),
			})
			if err != nil || status != 0 {
				t.Fatalf("%v, data_coding %#x: status %#x, %v", alphabet, c.dataCoding, status, err)
			}
			e := r.messageReceived()
			if e.Text != c.text || hex.EncodeToString(e.Data) != c.data || c.coding != "" && e.Coding != c.coding {
				t.Errorf("%v, data_coding %#x, %s: %q, %x, %s; want %q, %s, %s", alphabet, c.dataCoding, c.octets, e.Text, e.Data, e.Coding,
					c.text, c.data, c.coding)
			}
		}
	}
}

// A long message leaves as the connection's long_message says, in segments of the sizes that there are.
func TestLongMessagesThatGoOut(t *testing.T) {
	type size struct{ units, segments int }
	sizes := map[string]map[sms.LongMessage][]size{
		"a": {
			sms.LongUDH16: {{160, 1}, {161, 2}, {304, 2}, {305, 3}}, sms.LongUDH8: {{160, 1}, {161, 2}, {306, 2}, {307, 3}},
			sms.LongSAR: {{160, 1}, {161, 2}, {320, 2}, {321, 3}}, sms.LongPayload: {{160, 1}, {161, 1}, {5000, 1}},
		},
		"я": {
			sms.LongUDH16: {{70, 1}, {71, 2}, {132, 2}, {133, 3}}, sms.LongUDH8: {{70, 1}, {71, 2}, {134, 2}, {135, 3}},
			sms.LongSAR: {{70, 1}, {71, 2}, {140, 2}, {141, 3}}, sms.LongPayload: {{70, 1}, {71, 1}, {2000, 1}},
		},
		"": { // binary
			sms.LongUDH16: {{140, 1}, {141, 2}, {266, 2}, {267, 3}}, sms.LongUDH8: {{140, 1}, {141, 2}, {268, 2}, {269, 3}},
			sms.LongSAR: {{140, 1}, {141, 2}, {280, 2}, {281, 3}}, sms.LongPayload: {{140, 1}, {141, 1}, {5000, 1}},
		},
	}
	for _, long := range []sms.LongMessage{sms.LongUDH16, sms.LongUDH8, sms.LongSAR, sms.LongPayload} {
		r := newRig(t, gatewaytest.SMSCConfig{}, func(c *sms.ConnectionConfig) { c.LongMessage = long })
		for unit, byStyle := range sizes {
			for _, c := range byStyle[long] {
				m := &sms.Message{Text: strings.Repeat(unit, c.units)}
				if unit == "" {
					m.Data, m.Alphabet = bytes.Repeat([]byte{0xA5}, c.units), sms.AlphabetBinary
				}
				o := r.accept(m)
				if o.Fate != sms.Accepted || o.Segments != c.segments {
					t.Fatalf("%s, %d of %q: %+v", long, c.units, unit, o)
				}
				got, err := r.smsc.Take(r.ctx, c.segments)
				if err != nil {
					t.Fatal(err)
				}
				var data []byte
				for i, s := range got {
					_, total, seq := s.Part()
					if int(total) != c.segments || int(seq) != i+1 || s.Bind.ID != got[0].Bind.ID || len(s.ShortMessage) > 160 {
						t.Errorf("%s, %d of %q: part %d of %d, %d octets", long, c.units, unit, seq, total, len(s.ShortMessage))
					}
					data = append(data, s.Octets()...)
				}
				if unit == "" && !bytes.Equal(data, m.Data) || unit != "" && gatewaytest.JoinText(got...) != m.Text {
					t.Errorf("%s, %d of %q: it is another message now", long, c.units, unit)
				}
			}
		}
	}
}

// Parts come in any order, by either of two binds, twice, and with those of another message between them.
func TestPartsAsTheyComeByTwoBinds(t *testing.T) {
	var mu sync.Mutex
	binds := map[int]int{} // parts by each
	r := newRig(t, gatewaytest.SMSCConfig{OnEvent: func(e gatewaytest.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Kind == gatewaytest.EventDeliver {
			binds[e.Bind.ID]++
		}
	}}, func(c *sms.ConnectionConfig) { c.Binds = 2 })
	r.event("E_SMPP_BIND_UP") // the second
	if err := r.smsc.WaitBinds(r.ctx, 2); err != nil {
		t.Fatal(err)
	}
	part := func(ref, total, seq byte, text string) {
		t.Helper()
		status, err := r.smsc.Deliver(r.ctx, gatewaytest.Deliver{
			From: "+4915112345678", To: "100", ESMClass: 0x40, ShortMessage: append([]byte{5, 0, 3, ref, total, seq}, text...),
		})
		if err != nil || status != 0 {
			t.Fatalf("part %d of %d: %#x, %v", seq, ref, status, err)
		}
	}
	for ref := range byte(8) {
		one, other := 2*ref, 2*ref+1
		part(one, 3, 3, "end")
		part(other, 2, 2, "two")
		part(one, 3, 1, "beginning, ")
		part(one, 3, 1, "beginning, ")
		part(one, 3, 2, "middle, ")
		if m := r.message(); m.Text != "beginning, middle, end" {
			t.Errorf("%q", m.Text)
		}
		part(other, 2, 1, "one, ")
		if m := r.message(); m.Text != "one, two" {
			t.Errorf("%q", m.Text)
		}
	}
	mu.Lock()
	if len(binds) != 2 {
		t.Errorf("all parts came by one bind: %v", binds)
	}
	mu.Unlock()
	received := map[string]bool{}
	for range 16 {
		e := r.messageReceived()
		received[e.ID] = true
		if e.Incomplete || e.Segments < 2 {
			t.Errorf("%+v", e)
		}
	}
	if len(received) != 16 {
		t.Errorf("%d messages", len(received))
	}
	r.none("E_MESSAGE_RECEIVED")
}

// Optional parameters that came go on to an SMPP peer, as the rule allows.
func TestTLVsThatPass(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	other := r.second("other", gatewaytest.SMSCConfig{})
	for options, want := range map[string]string{
		"": "1400:01 1401: 0204:0007", `{"pass_tlvs":false}`: "", `{"pass_tlvs":["0x1400"]}`: "1400:01",
	} {
		id := r.rule(route.Rule{Name: "onward", Ingress: "smpp:smsc", Targets: "smpp:other", Options: options})
		status, err := r.smsc.Deliver(r.ctx, gatewaytest.Deliver{From: "+4915112345678", To: "+43660123456", Text: "onward", TLVs: []gatewaytest.TLV{
			{Tag: 0x1400, Value: []byte{1}}, {Tag: 0x1401}, {Tag: 0x0204, Value: []byte{0, 7}},
		}})
		if err != nil || status != 0 {
			t.Fatalf("%#x, %v", status, err)
		}
		got, err := other.Next(r.ctx)
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, tlv := range got.TLVs {
			list = append(list, fmt.Sprintf("%04x:%x", tlv.Tag, tlv.Value))
		}
		if strings.Join(list, " ") != want {
			t.Errorf("%s: %s, want %s", options, list, want)
		}
		if err := r.gw.DeleteRoute(r.ctx, id); err != nil {
			t.Fatal(err)
		}
	}
}
