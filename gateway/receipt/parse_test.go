package receipt

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"sipsmpp/gateway/sms"
)

func at(year, month, day, hour, minute, second int) time.Time {
	return time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
}

func TestIs(t *testing.T) {
	for esmClass, want := range map[uint8]bool{
		0x00: false, 0x03: false, 0x40: false, 0xc3: false, // modes, UDHI, reply path
		0x04: true, 0x44: true, 0x84: true, 0x07: true,
		0x08: false, 0x10: false, 0x18: false, // acknowledgements, conversation abort
		0x20: true, 0x60: true, 0x24: true,
	} {
		if Is(esmClass) != want {
			t.Errorf("Is(%#x) is %v", esmClass, !want)
		}
	}
}

func TestParse(t *testing.T) {
	standard := "id:0123456789 sub:001 dlvrd:001 submit date:2511231427 done date:2511231428 stat:DELIVRD err:000 text:Hello"
	read := sms.Receipt{SMSCID: "0123456789", State: sms.StateDelivered, Error: "000", Text: "Hello",
		SubmitTime: at(2025, 11, 23, 14, 27, 0), DoneTime: at(2025, 11, 23, 14, 28, 0)}
	with := func(change func(r *sms.Receipt)) sms.Receipt { r := read; change(&r); return r }
	tlv := func(tag uint16, value string) sms.TLV { return sms.TLV{Tag: tag, Value: []byte(value)} }
	for _, tt := range []struct {
		name string
		tlvs []sms.TLV
		text string
		want sms.Receipt
	}{
		{"as in Appendix B", nil, standard, read},
		{"upper case", nil, strings.ToUpper(standard), with(func(r *sms.Receipt) { r.Text = "HELLO" })},
		{"lower case", nil, strings.ToLower(standard), with(func(r *sms.Receipt) { r.Text = "hello" })},
		{"any order", nil, "stat:DELIVRD done date:2511231428 err:000 submit date:2511231427 dlvrd:001 sub:001 id:0123456789 text:Hello", read},
		{"text first", nil, "text:Hello stat:DELIVRD err:000 id:0123456789 submit date:2511231427 done date:2511231428", read},
		{"commas", nil, "id:0123456789, sub:001, dlvrd:001, submit date:2511231427, done date:2511231428, stat:DELIVRD, err:000, text:Hello", read},
		{"spaces around the colons", nil, "id : 0123456789 submit date : 2511231427 done date: 2511231428 stat : DELIVRD err : 000 text : Hello", read},
		{"lines", nil, "id:0123456789\nsub:001\nsubmit date:2511231427\ndone date:2511231428\nstat:DELIVRD\nerr:000\ntext:Hello\n", read},
		{"names in one word", nil, "id:0123456789 submitdate:2511231427 done_date:2511231428 stat:DELIVRD err:000 text:Hello\x00", read},

		{"names in one word, the other", nil, "id:1 submit_date:2511231427 donedate:2511231428 stat:EXPIRED",
			sms.Receipt{SMSCID: "1", State: sms.StateExpired, SubmitTime: read.SubmitTime, DoneTime: read.DoneTime}},

		{"id and state alone", nil, "id:a1 stat:EXPIRED", sms.Receipt{SMSCID: "a1", State: sms.StateExpired}},
		{"id alone", nil, "id:a1", sms.Receipt{SMSCID: "a1", State: sms.StateUnknown}},
		{"empty fields", nil, "id:a1 sub: dlvrd: submit date: done date: stat: err: text:", sms.Receipt{SMSCID: "a1", State: sms.StateUnknown}},
		{"the first id counts", nil, "id:a1 id:a2 stat:DELIVRD stat:FAILED", sms.Receipt{SMSCID: "a1", State: sms.StateDelivered}},
		{"ids with odd characters", nil, "id:{A-1}/b:c=d_e.f+9 stat:DELIVRD", sms.Receipt{SMSCID: "{A-1}/b:c=d_e.f+9", State: sms.StateDelivered}},
		{"no id before a field", nil, "paid:7 id:a1 substat:x stat:DELIVRD", sms.Receipt{SMSCID: "a1", State: sms.StateDelivered}},

		{"12 digits", nil, "id:1 submit date:251123142733 done date:251123142859 stat:DELIVRD",
			sms.Receipt{SMSCID: "1", State: sms.StateDelivered, SubmitTime: at(2025, 11, 23, 14, 27, 33), DoneTime: at(2025, 11, 23, 14, 28, 59)}},
		{"12 digits with the century", nil, "id:1 done date:202511231427 stat:DELIVRD",
			sms.Receipt{SMSCID: "1", State: sms.StateDelivered, DoneTime: at(2025, 11, 23, 14, 27, 0)}},
		{"14 digits", nil, "id:1 done date:20251123142733 stat:DELIVRD",
			sms.Receipt{SMSCID: "1", State: sms.StateDelivered, DoneTime: at(2025, 11, 23, 14, 27, 33)}},
		{"14 digits with signs", nil, "id:1 done date:2025-11-23 14:27:33 stat:DELIVRD",
			sms.Receipt{SMSCID: "1", State: sms.StateDelivered, DoneTime: at(2025, 11, 23, 14, 27, 33)}},
		{"no dates", nil, "id:1 submit date:2502301200 done date:soon stat:DELIVRD", sms.Receipt{SMSCID: "1", State: sms.StateDelivered}},
		{"too many digits", nil, "id:1 done date:202511231427331 stat:DELIVRD", sms.Receipt{SMSCID: "1", State: sms.StateDelivered}},

		{"text with colons", nil, "id:1 stat:DELIVRD err:000 text:see id:2 stat:FAILED err:9 at 12:30",
			sms.Receipt{SMSCID: "1", State: sms.StateDelivered, Error: "000", Text: "see id:2 stat:FAILED err:9 at 12:30"}},
		{"text in the middle", nil, "id:1 text:my id:5 at 12:30 stat:DELIVRD err:1",
			sms.Receipt{SMSCID: "1", State: sms.StateDelivered, Error: "1", Text: "my id:5 at 12:30"}},
		{"err of letters", nil, "id:1 stat:UNDELIV err:E-07", sms.Receipt{SMSCID: "1", State: sms.StateUndeliverable, Error: "E-07"}},

		{"TLVs alone", []sms.TLV{tlv(0x1e, "abc\x00"), tlv(0x427, "\x02"), tlv(0x423, "\x03\x00\x15")}, "",
			sms.Receipt{SMSCID: "abc", State: sms.StateDelivered, Error: "21"}},
		{"TLVs first", []sms.TLV{tlv(0x427, "\x05"), tlv(0x1e, "abc"), tlv(0x423, "\x03\x01\x00")}, standard,
			with(func(r *sms.Receipt) { r.SMSCID, r.State, r.Error = "abc", sms.StateUndeliverable, "256" })},
		{"no network error, but an err", []sms.TLV{tlv(0x423, "\x03\x00\x00")}, "id:1 stat:UNDELIV err:034", sms.Receipt{SMSCID: "1", State: sms.StateUndeliverable, Error: "034"}},
		{"no network error", []sms.TLV{tlv(0x423, "\x03\x00\x00")}, "id:1 stat:DELIVRD", sms.Receipt{SMSCID: "1", State: sms.StateDelivered, Error: "0"}},
		{"TLVs of wrong lengths", []sms.TLV{tlv(0x1e, "\x00"), tlv(0x427, ""), tlv(0x423, "12"), tlv(0x427, "ab")}, standard, read},
		{"TLVs, and a text that is the message's own", []sms.TLV{tlv(0x1e, "abc"), tlv(0x427, "\x02")}, "text:id:7", sms.Receipt{SMSCID: "abc", State: sms.StateDelivered, Text: "id:7"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse(0x04, tt.tlvs, tt.text)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("%v\ngot  %+v\nwant %+v", err, got, tt.want)
			}
		})
	}
}

func TestParseStates(t *testing.T) {
	for word, want := range map[string]sms.State{
		"DELIVRD": sms.StateDelivered, "delivrd": sms.StateDelivered, "EXPIRED": sms.StateExpired, "DELETED": sms.StateDeleted,
		"UNDELIV": sms.StateUndeliverable, "ACCEPTD": sms.StateAccepted, "UNKNOWN": sms.StateUnknown, "REJECTD": sms.StateRejected,
		"ENROUTE": sms.StateEnroute, "BUFFRED": sms.StateEnroute, "FAILED": sms.StateUndeliverable, "SKIPPED": sms.StateUndeliverable,
		"Wonderful": sms.StateUnknown, "AWordThatIsLongerThanAnyState": sms.StateUnknown, "": sms.StateUnknown,
	} {
		if r, err := Parse(0x04, nil, "id:1 stat:"+word+" err:000"); r.State != want || err != nil {
			t.Errorf("stat:%s is %v, %v; want %v", word, r.State, err, want)
		}
	}
	for value, want := range []sms.State{sms.StateEnroute, sms.StateEnroute, sms.StateDelivered, sms.StateExpired, sms.StateDeleted,
		sms.StateUndeliverable, sms.StateAccepted, sms.StateUnknown, sms.StateRejected, sms.StateUndeliverable, sms.StateUnknown} {
		r, err := Parse(0x04, []sms.TLV{{Tag: TagMessageState, Value: []byte{byte(value)}}}, "id:1")
		if r.State != want || err != nil {
			t.Errorf("message_state %d is %v, %v; want %v", value, r.State, err, want)
		}
	}
}

func TestParseIntermediate(t *testing.T) {
	for esmClass, want := range map[uint8]bool{0x04: false, 0x20: true, 0x24: true} {
		if r, _ := Parse(esmClass, nil, "id:1 stat:ENROUTE"); r.Intermediate != want {
			t.Errorf("esm_class %#x: Intermediate %v", esmClass, r.Intermediate)
		}
	}
}

func TestParseWithoutID(t *testing.T) {
	for _, text := range []string{"", "Hello", "stat:DELIVRD err:000", "id: stat:DELIVRD"} {
		r, err := Parse(0x04, nil, text)
		if !errors.Is(err, ErrNoID) {
			t.Errorf("%q: %v", text, err)
		}
		if strings.Contains(text, "stat") && r.State != sms.StateDelivered {
			t.Errorf("%q: the rest was not read: %+v", text, r)
		}
	}
}

func TestFormat(t *testing.T) {
	r := sms.Receipt{SMSCID: "01jdab", State: sms.StateUndeliverable, Error: "7", Text: "Привет, как дела? Это длинный текст",
		SubmitTime: at(2025, 1, 2, 3, 4, 5), DoneTime: time.Date(2025, 1, 2, 3, 4, 0, 0, time.FixedZone("", 3600))}
	want := "id:01jdab sub:002 dlvrd:000 submit date:2501020304 done date:2501020204 stat:UNDELIV err:007 Text:Привет, как дела? Эт"
	if got := Format(r, 2, 0); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	want = "id: sub:999 dlvrd:000 submit date:0000000000 done date:0000000000 stat:UNKNOWN err:000 Text:"
	if got := Format(sms.Receipt{}, 1000, -1); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestFormatParse reads what Format and TLVs write.
func TestFormatParse(t *testing.T) {
	for s := sms.StateEnroute; s <= sms.StateUndeliverable; s++ {
		r := sms.Receipt{SMSCID: "01jd-" + s.String(), State: s, Error: "042", Text: "Hi id:5", SubmitTime: at(2025, 1, 2, 3, 4, 0), DoneTime: at(2025, 1, 2, 3, 5, 0)}
		if got, err := Parse(0x04, nil, Format(r, 1, 1)); err != nil || got != r {
			t.Errorf("text: %v\ngot  %+v\nwant %+v", err, got, r)
		}
		want := sms.Receipt{SMSCID: r.SMSCID, State: s}
		if got, err := Parse(0x04, TLVs(r), ""); err != nil || got != want {
			t.Errorf("TLVs: %v\ngot  %+v\nwant %+v", err, got, want)
		}
	}
	if TLVs(sms.Receipt{State: 200})[1].Value[0] != 7 {
		t.Error("a state that there is not has no message_state UNKNOWN")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(uint8(4), []byte("abc\x00"), []byte{2}, []byte{3, 0, 1}, "id:0123456789 sub:001 dlvrd:001 submit date:2511231427 done date:2511231428 stat:DELIVRD err:000 text:Hello")
	f.Add(uint8(0x20), []byte{}, []byte{}, []byte{}, "text:x id : 1 date: submit date :: stat:")
	f.Add(uint8(4), []byte{0}, []byte{255}, []byte{1}, "err:id:stat:text:done date:")
	f.Fuzz(func(t *testing.T, esmClass uint8, id, state, networkError []byte, text string) {
		r, err := Parse(esmClass, []sms.TLV{{Tag: TagReceiptedMessageID, Value: id}, {Tag: TagMessageState, Value: state}, {Tag: TagNetworkErrorCode, Value: networkError}}, text)
		if (err == nil) != (r.SMSCID != "") {
			t.Fatalf("%+v with %v", r, err)
		}
		if r.State == sms.StateNone {
			t.Fatalf("no state: %+v", r)
		}
		if len(r.Text) > len(text) || strings.ContainsAny(r.Error, " \n") {
			t.Fatalf("%+v", r)
		}
		Format(r, 1, 1)
		for _, key := range Candidates(r.SMSCID, FormatAuto) {
			if key == "" {
				t.Fatalf("%q has an empty key", r.SMSCID)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	text := "id:0123456789 sub:001 dlvrd:001 submit date:2511231427 done date:2511231428 stat:DELIVRD err:000 text:Your code is 1234"
	tlvs := []sms.TLV{{Tag: TagReceiptedMessageID, Value: []byte("0123456789\x00")}, {Tag: TagMessageState, Value: []byte{2}}, {Tag: TagNetworkErrorCode, Value: []byte{3, 0, 1}}}
	for name, tlvs := range map[string][]sms.TLV{"text": nil, "TLVs and text": tlvs} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(4, tlvs, text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkFormat(b *testing.B) {
	b.ReportAllocs()
	r := sms.Receipt{SMSCID: "01jdabcdefghjkmnpqrstvwxyz", State: sms.StateDelivered, SubmitTime: at(2025, 1, 2, 3, 4, 0), DoneTime: at(2025, 1, 2, 3, 5, 0), Text: "Your code is 1234"}
	for b.Loop() {
		Format(r, 1, 1)
	}
}
