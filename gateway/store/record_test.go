package store

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"sipsmpp/gateway/sms"
)

// texts are what must come back as it went in.
var texts = map[string]string{
	"empty":         "",
	"GSM":           "@£$¥èéùìòÇ\n ^{}[~]|€ 100",
	"Cyrillic":      "Привет",
	"Chinese":       "汉字",
	"emoji":         "👩‍👩‍👧‍👦 🏳️‍🌈",
	"quotes":        `it's "quoted" \ and %s ? $1 :x`,
	"blanks":        "  around  \r\n\t",
	"NUL":           "a\x00b\x00",
	"substitute":    "\x1a\x1a41 \x1a0",
	"no UTF-8":      "a\xff\xc3(\xed\xa0\x80",
	"controls":      "\x01\x1b\x7f\u0085\u2028\ufeff\ufffd",
	"long":          strings.Repeat("汉字🙂é€ ", 100_000/6),
	"long and NULs": strings.Repeat("\x00汉", 50_000),
}

func TestTextsSurvive(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		for name, text := range texts {
			m := message(text)
			m.Ref = text[:min(len(text), 1000)]
			insert(t, db, &Record{Message: m, State: RecordDone})
			r, err := db.Message(t.Context(), m.ID)
			if err != nil || r.Message.Text != text || r.Message.Ref != m.Ref {
				t.Errorf("%s: %.40q, %v", name, r.Message.Text, err)
			}
			part := message(text)
			part.Part = sms.Part{Ref: 1, Total: 2, Seq: 1}
			if err := wait(func(done func(error)) { db.PutPart(part, done) }); err != nil {
				t.Fatal(err)
			}
			err = db.Parts(t.Context(), func(got *sms.Message) error {
				if got.Text != text {
					t.Errorf("part of %s: %.40q", name, got.Text)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := wait(func(done func(error)) { db.DeleteParts([]sms.ID{part.ID}, done) }); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestRecordRoundTrip(t *testing.T) {
	now := received()
	full := &Record{
		Message: &sms.Message{
			ID: ids.Next(), Ref: "ref", Ingress: sms.Account("customer:1"), Peer: "[::1]:2775",
			From: sms.Address{Value: "Größe\xff", TON: sms.TONAlphanumeric}, To: sms.Address{Value: "4915112345678", TON: 1, NPI: 1},
			Text: "text", Data: []byte{0, 1, 0xff}, UDH: []byte{5, 4, 0x0b, 0x84, 0, 0}, Alphabet: sms.AlphabetBinary,
			DataCoding: 0xf5, HasDataCoding: true, Class: sms.Class1, ServiceType: "CM\xffT", ProtocolID: 0x7f, Priority: 3,
			ReplaceIfPresent: true, ReplyPath: true, TLVs: []sms.TLV{{Tag: 0x1400, Value: []byte{0, 0xff}}, {Tag: 5, Value: []byte{}}},
			Part: sms.Part{Ref: 0xffff, Wide: true, Total: 3, Seq: 2}, Segments: 3, Incomplete: true, Receipt: sms.ReceiptAll,
			Notify:   &sms.Notify{URI: "sip:100@example.com", MessageID: "m1", From: "<im:100@example.com>", To: "<im:1@x>", DateTime: "then", Positive: true},
			Received: now, Expires: now.Add(time.Hour), Connection: "asked", IdempotencyKey: "key", Hops: 9,
		},
		Node: "other", State: RecordDeferred, Egress: sms.Connection("acme"), Rule: "r1", Attempts: 2,
		NextAttempt: now.Add(time.Minute), Report: sms.StateExpired, ReportError: "003", DoneTime: now, Updated: now,
		Segments: []Segment{
			{Part: 1, SMSCID: "00Ab\x00", Key: "ab", State: sms.StateDelivered, Error: "000", DoneTime: now},
			{Part: 2},
		},
	}
	flash := message("flash")
	flash.Class, flash.HasDataCoding, flash.DataCoding = sms.Class0, true, 0
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url, WithNode("here"))
		insert(t, db, full)
		insert(t, db, &Record{Message: flash, State: RecordDone, Updated: now})
		if r, err := db.Message(t.Context(), full.Message.ID); err != nil || !reflect.DeepEqual(r, full) {
			t.Errorf("%v\n%+v %+v\n%+v %+v", err, r, r.Message, full, full.Message)
		}
		want := &Record{Message: flash, Node: "here", State: RecordDone, Updated: now}
		if r, err := db.Message(t.Context(), flash.ID); err != nil || !reflect.DeepEqual(r, want) {
			t.Errorf("%v\n%+v %+v\n%+v %+v", err, r, r.Message, want, want.Message)
		}
		if r, err := db.Message(t.Context(), ids.Next()); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v, %v", r, err)
		}
		part := full.Message
		if err := wait(func(done func(error)) { db.PutPart(part, done) }); err != nil {
			t.Fatal(err)
		}
		n := 0
		err := db.Parts(t.Context(), func(m *sms.Message) error {
			if n++; !reflect.DeepEqual(m, part) {
				t.Errorf("%+v\n%+v", m, part)
			}
			return nil
		})
		if err != nil || n != 1 {
			t.Error(n, err)
		}
	})
}

func FuzzEscape(f *testing.F) {
	for _, s := range texts {
		f.Add(s[:min(len(s), 100)])
	}
	f.Fuzz(func(t *testing.T, s string) {
		e := escape(s)
		if strings.ContainsRune(e, 0) || strings.ToValidUTF8(e, "") != e {
			t.Errorf("%q: no database takes %q", s, e)
		}
		if u := unescape(e); u != s {
			t.Errorf("%q became %q", s, u)
		}
		unescape(s) // whatever stands in a table
		if c := clip(s); len(c) > maxShort || strings.ToValidUTF8(c, "") != c {
			t.Errorf("%q was clipped to %q", s, c)
		}
	})
}
