package text

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/warthog618/sms/encoding/gsm7"

	"sipsmpp/gateway/sms"
)

func TestAlphabetOf(t *testing.T) {
	const (
		gsm, packed, latin1, ascii = sms.AlphabetGSM7, sms.AlphabetGSM7Packed, sms.AlphabetLatin1, sms.AlphabetASCII
		ucs2, binary, other        = sms.AlphabetUCS2, sms.AlphabetBinary, sms.AlphabetOther
	)
	for _, tt := range []struct {
		first, last uint8
		deflt       sms.Alphabet
		alphabet    sms.Alphabet
		class       sms.Class // of the first; the others go round
	}{
		{0x00, 0x00, gsm, gsm, 0}, {0x00, 0x00, packed, packed, 0}, {0x00, 0x00, latin1, latin1, 0}, {0x00, 0x00, ascii, ascii, 0},
		{0x00, 0x00, sms.AlphabetAuto, gsm, 0}, {0x00, 0x00, binary, gsm, 0},
		{0x01, 0x01, gsm, ascii, 0}, {0x02, 0x02, gsm, binary, 0}, {0x03, 0x03, gsm, latin1, 0}, {0x04, 0x04, gsm, binary, 0},
		{0x05, 0x07, gsm, other, 0}, {0x08, 0x08, gsm, ucs2, 0}, {0x09, 0x09, latin1, latin1, 0}, {0x0a, 0x0a, gsm, other, 0},
		{0x0b, 0x0c, packed, packed, 0}, {0x0d, 0x0e, gsm, other, 0}, {0x0f, 0x0f, gsm, gsm, 0},
		{0x10, 0x13, latin1, gsm, sms.Class0}, {0x14, 0x17, gsm, binary, sms.Class0}, {0x18, 0x1b, gsm, ucs2, sms.Class0}, {0x1c, 0x1f, packed, packed, sms.Class0},
		{0x20, 0x3f, gsm, binary, 0},
		{0x40, 0x43, latin1, gsm, 0}, {0x44, 0x47, gsm, binary, 0}, {0x48, 0x4b, gsm, ucs2, 0},
		{0x50, 0x53, gsm, gsm, sms.Class0}, {0x54, 0x57, gsm, binary, sms.Class0}, {0x58, 0x5b, gsm, ucs2, sms.Class0},
		{0x60, 0x7f, gsm, binary, 0}, {0x80, 0xbf, latin1, latin1, 0},
		{0xc0, 0xdf, latin1, gsm, 0}, {0xe0, 0xef, gsm, ucs2, 0},
		{0xf0, 0xf3, latin1, gsm, sms.Class0}, {0xf0, 0xf3, packed, packed, sms.Class0}, {0xf4, 0xf7, gsm, binary, sms.Class0},
		{0xf8, 0xfb, gsm, gsm, sms.Class0}, {0xfc, 0xff, gsm, binary, sms.Class0},
	} {
		for dc := int(tt.first); dc <= int(tt.last); dc++ {
			class := tt.class
			if class != sms.ClassNone {
				class += sms.Class(dc - int(tt.first))
			}
			if a, c := AlphabetOf(uint8(dc), tt.deflt); a != tt.alphabet || c != class {
				t.Errorf("data_coding %#02x where 0 is %v: %v, class %d; want %v, class %d", dc, tt.deflt, a, c, tt.alphabet, class)
			}
		}
	}
}

func TestDecode(t *testing.T) {
	const gsm, packed, latin1, ucs2, binary = sms.AlphabetGSM7, sms.AlphabetGSM7Packed, sms.AlphabetLatin1, sms.AlphabetUCS2, sms.AlphabetBinary
	for _, tt := range []struct {
		name       string
		octets     string
		udhi       bool
		dataCoding uint8
		deflt      sms.Alphabet
		want       Decoded
		err        error
	}{
		{"empty", "", false, 0, gsm, Decoded{Alphabet: gsm}, nil},
		{"plain", "4869", false, 0, gsm, Decoded{Text: "Hi", Alphabet: gsm}, nil},
		{"@ at the end", "4100", false, 0, gsm, Decoded{Text: "A@", Alphabet: gsm}, nil},
		{"extension", "1b65 1b28", false, 0, gsm, Decoded{Text: "€{", Alphabet: gsm}, nil},
		{"escape to what is not there shows the main table's", "1b41 1b00", false, 0, gsm, Decoded{Text: "A@", Alphabet: gsm}, nil},
		{"escape to a further table", "1b1b 41", false, 0, gsm, Decoded{Text: " A", Alphabet: gsm}, nil},
		{"escape at the end", "41 1b", false, 0, gsm, Decoded{Text: "A\ufffd", Alphabet: gsm}, nil},
		{"octets that are no septets", "41 80 1b ff", false, 0, gsm, Decoded{Text: "A\ufffd\ufffd\ufffd", Alphabet: gsm}, nil},
		{"flash", "00", false, 0xf0, latin1, Decoded{Text: "@", Alphabet: gsm, Class: sms.Class0}, nil},

		{"packed", "e8329bfd4697d9ec37", false, 0, packed, Decoded{Text: "hellohello", Alphabet: packed}, nil},
		{"packed, CR fills", "31d98c56b3dd1a", false, 0, packed, Decoded{Text: "1234567", Alphabet: packed}, nil},
		{"packed, @ at the end", "31d98c56b3dd00", false, 0, packed, Decoded{Text: "1234567@", Alphabet: packed}, nil},
		{"packed, @ in the middle", "414010", false, 0, packed, Decoded{Text: "A@A", Alphabet: packed}, nil},
		{"packed after 3 fill bits", "03700100 0802", true, 0, packed, Decoded{Text: "A", Alphabet: packed, UDH: []byte{0x70, 1, 0}}, nil},
		{"packed with nothing after the fill bits", "03700100", true, 0, packed, Decoded{Alphabet: packed, UDH: []byte{0x70, 1, 0}}, nil},

		{"ascii", "417f80", false, 1, gsm, Decoded{Text: "A\x7f\ufffd", Alphabet: sms.AlphabetASCII}, nil},
		{"latin1", "41e9", false, 3, gsm, Decoded{Text: "Aé", Alphabet: latin1}, nil},
		{"latin1 by default", "41e9", false, 0, latin1, Decoded{Text: "Aé", Alphabet: latin1}, nil},
		{"ucs2", "042f 6c49", false, 8, gsm, Decoded{Text: "Я汉", Alphabet: ucs2}, nil},
		{"surrogates", "d83d de00", false, 8, gsm, Decoded{Text: "😀", Alphabet: ucs2}, nil},
		{"odd octet", "042f 04", false, 8, gsm, Decoded{Text: "Я\ufffd", Alphabet: ucs2}, nil},
		{"lone surrogates", "d83d 0041 de00 d83d", false, 8, gsm, Decoded{Text: "\ufffdA\ufffd\ufffd", Alphabet: ucs2}, nil},
		{"ucs2 with class", "042f", false, 0x18, gsm, Decoded{Text: "Я", Alphabet: ucs2, Class: sms.Class0}, nil},
		{"binary", "00ff", false, 4, gsm, Decoded{Data: []byte{0, 255}, Alphabet: binary}, nil},
		{"binary with class", "00ff", false, 0xf5, gsm, Decoded{Data: []byte{0, 255}, Alphabet: binary, Class: sms.Class1}, nil},

		{"Shift-JIS", "82a0 41", false, 5, gsm, Decoded{Text: "あA", Alphabet: sms.AlphabetOther}, nil},
		{"Cyrillic", "cf", false, 6, gsm, Decoded{Text: "Я", Alphabet: sms.AlphabetOther}, nil},
		{"Hebrew", "e0", false, 7, gsm, Decoded{Text: "א", Alphabet: sms.AlphabetOther}, nil},
		{"ISO-2022-JP", "1b2442 2422 1b2842 41", false, 10, gsm, Decoded{Text: "あA", Alphabet: sms.AlphabetOther}, nil},
		{"EUC-JP", "a4a2", false, 13, gsm, Decoded{Text: "あ", Alphabet: sms.AlphabetOther}, nil},
		{"EUC-KR", "b0a1 ff", false, 14, gsm, Decoded{Text: "가\ufffd", Alphabet: sms.AlphabetOther}, nil},

		{"part, 8 bits", "05 00 03 cd 02 01 41 1b", true, 0, gsm, Decoded{Data: []byte{0x41, 0x1b}, Alphabet: gsm, Part: sms.Part{Ref: 0xcd, Total: 2, Seq: 1}}, nil},
		{"part, 16 bits", "06 08 04 ab cd 02 02 65", true, 0, gsm, Decoded{Data: []byte{0x65}, Alphabet: gsm, Part: sms.Part{Ref: 0xabcd, Wide: true, Total: 2, Seq: 2}}, nil},
		{"packed part", "05 00 03 cd 02 01 82 1a", true, 0, packed, Decoded{Data: []byte{0x41, 0x1a}, Alphabet: packed, Part: sms.Part{Ref: 0xcd, Total: 2, Seq: 1}}, nil},
		{"ucs2 part", "05 00 03 cd 02 01 d83d", true, 8, gsm, Decoded{Data: []byte{0xd8, 0x3d}, Alphabet: ucs2, Part: sms.Part{Ref: 0xcd, Total: 2, Seq: 1}}, nil},
		{"part with ports and a shift table", "0e 00 03 cd 02 01 05 04 0b84 23f0 24 01 01 47", true, 0, gsm,
			Decoded{Data: []byte{0x47}, Alphabet: gsm, UDH: unhex(t, "05 04 0b84 23f0 24 01 01"), Part: sms.Part{Ref: 0xcd, Total: 2, Seq: 1}}, nil},
		{"the last of two concatenations counts", "0b 00 03 cd 02 01 08 04 ab cd 03 02", true, 0, gsm, Decoded{Alphabet: gsm, Data: nil, Part: sms.Part{Ref: 0xabcd, Wide: true, Total: 3, Seq: 2}}, nil},
		{"total 0", "05 00 03 cd 00 01 41", true, 0, gsm, Decoded{Text: "A", Alphabet: gsm}, nil},
		{"number 0", "05 00 03 cd 02 00 41", true, 0, gsm, Decoded{Text: "A", Alphabet: gsm}, nil},
		{"number beyond the total", "05 00 03 cd 02 03 41", true, 0, gsm, Decoded{Text: "A", Alphabet: gsm}, nil},
		{"one of one", "05 00 03 cd 01 01 41", true, 0, gsm, Decoded{Text: "A", Alphabet: gsm}, nil},
		{"concatenation of a wrong length", "04 00 02 cd 02 41", true, 0, gsm, Decoded{Text: "A", Alphabet: gsm}, nil},

		{"other elements", "06 05 04 0b84 23f0 41", true, 0, gsm, Decoded{Text: "A", Alphabet: gsm, UDH: unhex(t, "05 04 0b84 23f0")}, nil},
		{"empty header", "00 41", true, 0, gsm, Decoded{Text: "A", Alphabet: gsm}, nil},
		{"header alone", "03 70 01 09", true, 0, gsm, Decoded{Alphabet: gsm, UDH: []byte{0x70, 1, 9}}, nil},
		{"Turkish single shift", "03 24 01 01 1b67 67", true, 0, gsm, Decoded{Text: "ğg", Alphabet: gsm}, nil},
		{"Turkish locking shift", "03 25 01 01 0b 1b65", true, 0, gsm, Decoded{Text: "Ğ€", Alphabet: gsm}, nil},
		{"Spanish single shift", "03 24 01 02 1b61", true, 0, gsm, Decoded{Text: "á", Alphabet: gsm}, nil},
		{"Portuguese both", "06 25 01 03 24 01 03 04 1b65", true, 0, gsm, Decoded{Text: "ê€", Alphabet: gsm}, nil},
		{"Hindi locking shift", "03 25 01 06 00", true, 0, gsm, Decoded{Text: "\u0901", Alphabet: gsm}, nil},
		{"a language that there is not", "06 25 01 ff 24 01 0e 00 1b65", true, 0, gsm, Decoded{Text: "@€", Alphabet: gsm}, nil},
		{"shifts do not touch UCS-2", "03 24 01 01 0067", true, 8, gsm, Decoded{Text: "g", Alphabet: ucs2}, nil},
		{"binary keeps all elements", "03 24 01 01 00", true, 4, gsm, Decoded{Data: []byte{0}, Alphabet: binary, UDH: []byte{0x24, 1, 1}}, nil},

		{"UDHI without octets", "", true, 0, gsm, Decoded{Alphabet: gsm}, ErrUDH},
		{"UDHI on a text without header", "48 65 6c 6c 6f", true, 0, gsm, Decoded{Text: "Hello", Alphabet: gsm}, ErrUDH},
		{"element beyond its header", "04 00 03 cd 02 41", true, 0, gsm, Decoded{Text: "A", Alphabet: gsm}, ErrUDH},
		{"half an element", "06 00 03 cd 02 01 70 41", true, 0, gsm, Decoded{Text: "A", Alphabet: gsm}, ErrUDH},
	} {
		t.Run(tt.name, func(t *testing.T) {
			octets := unhex(t, tt.octets)
			got, err := Decode(octets, tt.udhi, tt.dataCoding, tt.deflt)
			if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			if len(got.Data) == 0 {
				got.Data = nil
			}
			for i := range octets { // nothing of it may be shared
				octets[i] = 0xaa
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestDecodePart(t *testing.T) {
	d, err := DecodePart([]byte{0xd8, 0x3d}, false, 8, sms.AlphabetGSM7)
	if err != nil || d.Text != "" || !bytes.Equal(d.Data, []byte{0xd8, 0x3d}) || d.Alphabet != sms.AlphabetUCS2 || d.Part.IsSet() {
		t.Errorf("%+v, %v", d, err)
	}
}

// TestUnpacked160 is a deliver_sm of 160 characters in unpacked GSM: 160 octets, and fine.
func TestUnpacked160(t *testing.T) {
	if d, err := Decode(bytes.Repeat([]byte{'a'}, 160), false, 0, sms.AlphabetGSM7); err != nil || d.Text != strings.Repeat("a", 160) {
		t.Errorf("%q, %v", d.Text, err)
	}
}

// TestGSMTables compares the tables with the library's.
func TestGSMTables(t *testing.T) {
	for c := range byte(0x80) {
		for _, septets := range [][]byte{{c}, {esc, c}} {
			if c == esc || len(septets) == 2 && gsmExtRune[c] == 0 {
				continue // where the library has no character, it says nothing about the standard
			}
			want, err := gsm7.Decode(septets)
			if got := decodeGSM(septets, shifts{}); err != nil || got != string(want) {
				t.Errorf("%x is %q, the library's %q, %v", septets, got, want, err)
			}
			back, err := gsm7.Encode(want)
			if got := appendGSM(nil, string(want)); err != nil || !bytes.Equal(got, back) || !bytes.Equal(got, septets) {
				t.Errorf("%q is %x, the library's %x, %v", want, got, back, err)
			}
		}
	}
}

// TestPackedAgainstLibrary compares packing with the library's, which does not fill up with <CR>, so not for 7 of 8 septets.
func TestPackedAgainstLibrary(t *testing.T) {
	septets := make([]byte, 160)
	for i := range septets {
		septets[i] = byte(i*37) & 0x7f
		if septets[i] == cr {
			septets[i] = 0
		}
	}
	for n := range septets {
		for head := range 12 {
			fill := fillBits(head)
			got := appendPacked(nil, septets[:n], fill, 140)
			if back := appendUnpacked(nil, got, fill); !bytes.Equal(back, septets[:n]) {
				t.Fatalf("%d septets after %d bits come back as %x", n, fill, back)
			}
			if n > 0 && (n*7+fill)%8 != 1 {
				if want := gsm7.Pack7Bit(septets[:n], fill); !bytes.Equal(got, want) {
					t.Fatalf("%d septets after %d bits: %x, the library's %x", n, fill, got, want)
				}
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("Hello"), false, uint8(0), uint8(1))
	f.Add([]byte("\x05\x00\x03\xcd\x02\x01Hello"), true, uint8(0), uint8(2))
	f.Add([]byte("\x06\x24\x01\x0d\x25\x01\x0dHello\x1b"), true, uint8(0xf0), uint8(2))
	f.Add([]byte("\x1b$B$\"\x1b(B"), false, uint8(10), uint8(1))
	f.Add([]byte("\xd8\x3d\xde\x00\xd8"), false, uint8(8), uint8(1))
	f.Fuzz(func(t *testing.T, octets []byte, udhi bool, dataCoding, deflt uint8) {
		d, err := Decode(octets, udhi, dataCoding, sms.Alphabet(deflt))
		if err != nil && !(udhi && errors.Is(err, ErrUDH)) {
			t.Fatal(err)
		}
		if !utf8.ValidString(d.Text) {
			t.Fatalf("no UTF-8: %q", d.Text)
		}
		if d.Text != "" && (d.Part.IsSet() || d.Alphabet == sms.AlphabetBinary) {
			t.Fatalf("text where there should be data: %+v", d)
		}
		if _, ok := wellFormed(d.UDH); !ok {
			t.Fatalf("UDH %x", d.UDH)
		}
		// What came in goes out again and comes back the same.
		m := &sms.Message{Text: d.Text, Data: d.Data, Alphabet: d.Alphabet, Class: d.Class, UDH: d.UDH, Part: d.Part, DataCoding: dataCoding, HasDataCoding: true}
		if d.Part.IsSet() {
			r := NewReassembler(Limits{})
			if _, _, err := r.Add(m); err != nil {
				t.Fatal(err)
			}
			for _, m = range r.Expired(m.Received.AddDate(9999, 0, 0)) {
				if !m.Incomplete || !utf8.ValidString(m.Text) {
					t.Fatalf("%+v", m)
				}
			}
		}
		c := Carrier{Default: sms.Alphabet(deflt), Long: sms.LongPayload}
		if strings.HasSuffix(m.Text, "\r") {
			return // packed, it may come back as none or two
		}
		e, err := Encode(m, c, 1)
		if err != nil {
			if len(m.UDH) > 100 || errors.Is(err, ErrTooLong) {
				return
			}
			t.Fatalf("%+v: %v", m, err)
		}
		back, err := Decode(e.Parts[0], e.UDHI, e.DataCoding, c.Default)
		if err != nil || back.Text != m.Text || !bytes.Equal(back.Data, m.Data) || !bytes.Equal(back.UDH, m.UDH) {
			t.Fatalf("%v\nsent %+v\nas   %+v\ngot  %+v", err, m, e, back)
		}
	})
}

func FuzzEncode(f *testing.F) {
	f.Add("Hello", uint8(1), uint8(0), uint8(0), uint8(0))
	f.Add(strings.Repeat("a", 159)+"€", uint8(2), uint8(0), uint8(0), uint8(1))
	f.Add(strings.Repeat("Я", 69)+"😀", uint8(3), uint8(1), uint8(0), uint8(2))
	f.Add(strings.Repeat("あ", 100), uint8(3), uint8(1), uint8(10), uint8(2))
	f.Fuzz(func(t *testing.T, s string, deflt, class, dataCoding, long uint8) {
		if len(s) > 5000 || !utf8.ValidString(s) || strings.HasSuffix(s, "\r") {
			return
		}
		m := &sms.Message{Text: s, Class: sms.Class(class % 5), DataCoding: dataCoding, HasDataCoding: dataCoding != 0}
		if charsetOf(dataCoding) != nil {
			return // some characters come back as others that they were unified with
		}
		c := carriers()[int(deflt)%4*4+int(long)%4]
		checkRoundTrip(t, newRand(), m, c)
	})
}

func BenchmarkDecode(b *testing.B) {
	for _, bb := range []struct {
		name       string
		octets     []byte
		udhi       bool
		dataCoding uint8
		deflt      sms.Alphabet
	}{
		{"short GSM", []byte("Your code is 123456. It is valid for ten minutes."), false, 0, sms.AlphabetGSM7},
		{"short GSM with @", []byte("Your code is 123456. It is valid for ten \x00 minutes."), false, 0, sms.AlphabetGSM7},
		{"packed", appendPacked(nil, []byte("Your code is 123456. It is valid for ten minutes."), 0, 140), false, 0, sms.AlphabetGSM7Packed},
		{"UCS2", bytes.Repeat([]byte{4, 0x2f}, 45), false, 8, sms.AlphabetGSM7},
		{"part", append([]byte{5, 0, 3, 1, 2, 1}, bytes.Repeat([]byte{'a'}, 153)...), true, 0, sms.AlphabetGSM7},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decode(bb.octets, bb.udhi, bb.dataCoding, bb.deflt); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
