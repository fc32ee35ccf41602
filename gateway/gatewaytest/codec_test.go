package gatewaytest

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"
)

// What this package writes gosmpp reads, and the other way, where gosmpp is sound.
func TestSameAsGosmpp(t *testing.T) {
	out := Outgoing{From: "491", FromTON: 1, FromNPI: 1, To: "100", ToTON: 2, ToNPI: 8, ShortMessage: []byte("hello"), DataCoding: 3,
		ServiceType: "CMT", ESMClass: 0x80, ProtocolID: 0x41, Priority: 2, ValidityPeriod: "000001000000000R",
		RegisteredDelivery: 1, ReplaceIfPresent: 1, TLVs: []TLV{{0x0204, []byte{0, 7}}}}
	ours := appendSM(nil, cmdSubmitSM, 77, &out)
	parsed, err := parseControl(ours)
	if err != nil {
		t.Fatal(err)
	}
	sm, ok := parsed.(*pdu.SubmitSM)
	if !ok {
		t.Fatalf("%T", parsed)
	}
	body, _ := sm.Message.GetMessageData()
	if sm.GetSequenceNumber() != 77 || sm.SourceAddr.Address() != "491" || sm.SourceAddr.Ton() != 1 || sm.DestAddr.Npi() != 8 ||
		sm.ServiceType != "CMT" || sm.EsmClass != 0x80 || sm.ProtocolID != 0x41 || sm.PriorityFlag != 2 ||
		sm.ValidityPeriod != "000001000000000R" || sm.RegisteredDelivery != 1 || sm.ReplaceIfPresentFlag != 1 ||
		sm.Message.Encoding().DataCoding() != 3 || string(body) != "hello" || !bytes.Equal(sm.OptionalParameters[0x0204].Data, []byte{0, 7}) {
		t.Errorf("gosmpp reads %+v", sm)
	}
	theirs := marshalControl(sm, 77)
	if !bytes.Equal(ours, theirs) {
		t.Errorf("ours\n%x\ntheirs\n%x", ours, theirs)
	}
	in := newIncoming(theirs, time.Time{})
	if in.From != "491" || in.ToTON != 2 || in.Text() != "hello" || in.ValidityPeriod != out.ValidityPeriod || len(in.TLVs) != 1 {
		t.Errorf("we read %+v", in)
	}
}

// What gosmpp loses is kept.
func TestDataCodingAndTLVsAreKept(t *testing.T) {
	out := Outgoing{ShortMessage: []byte{1}, DataCoding: 0xF5, TLVs: []TLV{{0x1400, nil}, {0x1400, []byte("b")}, {0x0424, make([]byte, 0x9000)}}}
	p := appendSM(nil, cmdDeliverSM, 1, &out)
	if _, err := parseSM(p[headerLength:]); err != nil {
		t.Fatal(err)
	}
	in := newIncoming(p, time.Time{})
	if in.DataCoding != 0xF5 || len(in.TLVs) != 3 || in.TLVs[1].Tag != 0x1400 || string(in.TLVs[1].Value) != "b" || len(in.TLVs[2].Value) != 0x9000 {
		t.Errorf("%+v", in)
	}
}

func TestText(t *testing.T) {
	gsm := "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà\f^{}\\[~]|€"
	for _, c := range []struct {
		text   string
		ask    uint8
		coding uint8
		octets int
	}{
		{gsm, 0, 0, 127 + 20}, {gsm, 0xF1, 0xF1, 127 + 20}, {"a`b", 0, 8, 6}, {"😀", 0, 8, 4}, {"ÀÿÖ", 3, 3, 3}, {"плюс", 6, 6, 4},
		{"x", 8, 8, 2}, {"x", 0x18, 0x18, 2}, {"plain", 1, 1, 5},
	} {
		coding, b, err := encodeText(c.text, c.ask)
		if err != nil || coding != c.coding || len(b) != c.octets {
			t.Errorf("%q: data_coding %#x, %d octets, %v", c.text, coding, len(b), err)
		}
		if got := decodeText(coding, b); got != c.text {
			t.Errorf("%q came back as %q", c.text, got)
		}
	}
	if _, _, err := encodeText("x", 4); err == nil {
		t.Error("text in binary")
	}
	if got := decodeText(4, []byte{0xCA, 0xFE}); got != "cafe" {
		t.Errorf("binary shows as %q", got)
	}
	for i := range 256 {
		if plainOctet[i] {
			if b, err := data.GSM7BIT.Encode(string(rune(i))); err != nil || len(b) != 1 || int(b[0]) != i {
				t.Errorf("%q is not plain: %x, %v", rune(i), b, err)
			}
		}
	}
}

func TestSegments(t *testing.T) {
	for _, c := range []struct {
		text  string
		long  LongForm
		sizes []int // of short_message
	}{
		{strings.Repeat("a", 160), UDH16, []int{160}},
		{strings.Repeat("a", 161), UDH16, []int{159, 16}},
		{strings.Repeat("a", 161), UDH8, []int{159, 14}},
		{strings.Repeat("a", 152) + "€" + strings.Repeat("b", 10), UDH8, []int{158, 18}}, // the escape goes with its character
		{strings.Repeat("ж", 70), UDH16, []int{140}},
		{strings.Repeat("ж", 71), UDH16, []int{139, 17}},
		{strings.Repeat("ж", 71), UDH8, []int{140, 14}},
		{strings.Repeat("ж", 66) + "😀" + strings.Repeat("ж", 10), UDH8, []int{138, 30}}, // surrogates stay together
		{strings.Repeat("a", 161), SAR, []int{153, 8}},
		{strings.Repeat("a", 500), Payload, []int{0}},
	} {
		segments, err := Outgoing{Text: c.text, Long: c.long}.segments(0x1234)
		if err != nil || len(segments) != len(c.sizes) {
			t.Errorf("%d characters by %d: %d segments, %v", utf8.RuneCountInString(c.text), c.long, len(segments), err)
			continue
		}
		var in []Incoming
		for i, s := range segments {
			if len(s.ShortMessage) != c.sizes[i] {
				t.Errorf("%q by %d: segment %d has %d octets, want %d", c.text, c.long, i, len(s.ShortMessage), c.sizes[i])
			}
			in = append(in, newIncoming(appendSM(nil, cmdSubmitSM, 1, &s), time.Time{}))
		}
		if got := JoinText(in...); got != c.text {
			t.Errorf("%q came back as %q", c.text, got)
		}
	}
	if _, err := (Outgoing{Text: strings.Repeat("a", 256*153)}).segments(1); err == nil {
		t.Error("256 segments")
	}
	if _, err := (Outgoing{Text: strings.Repeat("a", maxPayload+1), Long: Payload}).segments(1); err == nil {
		t.Error("more than fits message_payload")
	}
}

func FuzzParseSM(f *testing.F) {
	f.Add(appendSM(nil, cmdSubmitSM, 1, &Outgoing{From: "1", To: "2", Text: "x", ShortMessage: []byte{5, 0, 3, 1, 2, 1, 'x'}, ESMClass: 0x40,
		TLVs: []TLV{{1, []byte("v")}}}))
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) < headerLength {
			return
		}
		if _, err := parseControl(p); err != nil {
			_ = err.Error() // it must not panic
		}
		if _, err := parseSM(p[headerLength:]); err != nil {
			return
		}
		in := newIncoming(p, time.Time{})
		in.Text()
		in.Part()
		out := Outgoing{From: in.From, FromTON: in.FromTON, FromNPI: in.FromNPI, To: in.To, ToTON: in.ToTON, ToNPI: in.ToNPI,
			ServiceType: in.ServiceType, ESMClass: in.ESMClass, ProtocolID: in.ProtocolID, Priority: in.Priority,
			ScheduleTime: in.ScheduleTime, ValidityPeriod: in.ValidityPeriod, RegisteredDelivery: in.RegisteredDelivery,
			ReplaceIfPresent: in.ReplaceIfPresent, DataCoding: in.DataCoding, ShortMessage: in.ShortMessage, TLVs: in.TLVs}
		again := newIncoming(appendSM(nil, cmdSubmitSM, in.Sequence, &out), time.Time{})
		if again.From != in.From || again.To != in.To || again.DataCoding != in.DataCoding || !bytes.Equal(again.ShortMessage, in.ShortMessage) ||
			len(again.TLVs) != len(in.TLVs) {
			t.Errorf("%+v\nbecame\n%+v", in, again)
		}
	})
}

func FuzzSegments(f *testing.F) {
	f.Add("hello €", uint8(0))
	f.Add(strings.Repeat("😀", 200), uint8(1))
	f.Fuzz(func(t *testing.T, text string, long uint8) {
		segments, err := Outgoing{Text: text, Long: LongForm(long % 4)}.segments(1)
		if err != nil {
			return
		}
		var in []Incoming
		for _, s := range segments {
			if len(s.ShortMessage) > 160 {
				t.Errorf("%d octets", len(s.ShortMessage))
			}
			in = append(in, newIncoming(appendSM(nil, cmdSubmitSM, 1, &s), time.Time{}))
		}
		if got := JoinText(in...); utf8.ValidString(text) && got != text {
			t.Errorf("%q came back as %q", text, got)
		}
	})
}

// An SMSC that is bound reads whatever octets come and ends without a panic.
func FuzzSMSC(f *testing.F) {
	f.Add(appendSM(nil, cmdSubmitSM, 2, &Outgoing{ShortMessage: []byte("x"), RegisteredDelivery: 0x11}))
	f.Add(finishPDU(append(appendHeader(nil, cmdQuerySM, 0, 3), "\x00\x00\x00\x00\x01\x02\x00\x01\x00"...), 0))
	f.Fuzz(func(t *testing.T, octets []byte) {
		s, err := NewSMSC(SMSCConfig{Addr: "none"})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		ours, theirs := net.Pipe()
		s.Attach(ours)
		read := make(chan struct{})
		go func() {
			defer close(read)
			_, _ = io.Copy(io.Discard, theirs)
		}()
		bind := marshalControl(pdu.NewBindRequest(pdu.Transceiver), 1)
		_, _ = theirs.Write(append(bind, octets...)) // the SMSC may close first
		theirs.Close()
		<-read
	})
}

// The user data as it is read in place is that of the copy.
func TestOctetsInPlace(t *testing.T) {
	for name, o := range map[string]Outgoing{
		"short":   {ShortMessage: []byte("hello")},
		"header":  {ShortMessage: []byte{5, 0, 3, 1, 2, 1, 'x'}, ESMClass: 0x40},
		"payload": {TLVs: []TLV{{0x0204, []byte{1, 2}}, {TagMessagePayload, []byte("a long one")}}},
		"none":    {},
	} {
		p := appendSM(nil, cmdSubmitSM, 1, &o)
		v, err := parseSM(p[headerLength:])
		in := newIncoming(p, time.Time{})
		if err != nil || !bytes.Equal(v.octets(), in.Octets()) {
			t.Errorf("%s: %v, %q, want %q", name, err, v.octets(), in.Octets())
		}
	}
}
