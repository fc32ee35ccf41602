package text

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"sipsmpp/gateway/sms"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustEncode(t testing.TB, m *sms.Message, c Carrier, ref uint16) Encoded {
	t.Helper()
	e, err := Encode(m, c, ref)
	if err != nil {
		t.Fatalf("Encode: %v", err)
	}
	return e
}

func TestEncodeOctets(t *testing.T) {
	packed := Carrier{Default: sms.AlphabetGSM7Packed}
	latin1 := Carrier{Default: sms.AlphabetLatin1}
	ascii := Carrier{Default: sms.AlphabetASCII}
	for _, tt := range []struct {
		name       string
		m          sms.Message
		c          Carrier
		alphabet   sms.Alphabet
		dataCoding uint8
		octets     string
	}{
		{"empty", sms.Message{}, Carrier{}, sms.AlphabetGSM7, 0, ""},
		{"plain", sms.Message{Text: "Hi"}, Carrier{}, sms.AlphabetGSM7, 0, "4869"},
		{"basic table", sms.Message{Text: "@é_$\n"}, Carrier{}, sms.AlphabetGSM7, 0, "00 05 11 02 0a"},
		{"extension", sms.Message{Text: "{€}"}, Carrier{}, sms.AlphabetGSM7, 0, "1b28 1b65 1b29"},
		{"ucs2", sms.Message{Text: "Я汉"}, Carrier{}, sms.AlphabetUCS2, 8, "042f 6c49"},
		{"surrogates", sms.Message{Text: "😀"}, Carrier{}, sms.AlphabetUCS2, 8, "d83d de00"},
		{"small c cedilla is not in GSM", sms.Message{Text: "ç"}, Carrier{}, sms.AlphabetUCS2, 8, "00e7"},
		{"escape character is not in GSM", sms.Message{Text: "\x1b"}, Carrier{}, sms.AlphabetUCS2, 8, "001b"},
		{"not UTF-8", sms.Message{Text: "a\xff"}, Carrier{}, sms.AlphabetUCS2, 8, "0061 fffd"},

		{"packed", sms.Message{Text: "hellohello"}, packed, sms.AlphabetGSM7Packed, 0, "e8329bfd4697d9ec37"},
		{"packed, 7 septets: CR fills", sms.Message{Text: "1234567"}, packed, sms.AlphabetGSM7Packed, 0, "31d98c56b3dd1a"},
		{"packed, 8 septets, @ at the end", sms.Message{Text: "1234567@"}, packed, sms.AlphabetGSM7Packed, 0, "31d98c56b3dd00"},
		{"packed, 7 septets, @ at the end", sms.Message{Text: "123456@"}, packed, sms.AlphabetGSM7Packed, 0, "31d98c56b3011a"},
		{"packed, CR on the boundary is doubled", sms.Message{Text: "1234567\r"}, packed, sms.AlphabetGSM7Packed, 0, "31d98c56b3dd1a0d"},
		{"packed after a UDH of 4: 3 fill bits", sms.Message{Text: "A", UDH: []byte{0x70, 1, 0}}, packed, sms.AlphabetGSM7Packed, 0, "03700100 0802"},

		{"latin1 default", sms.Message{Text: "ê"}, latin1, sms.AlphabetLatin1, 0, "ea"},
		{"latin1 default holds no euro", sms.Message{Text: "€"}, latin1, sms.AlphabetUCS2, 8, "20ac"},
		{"ascii default", sms.Message{Text: "{"}, ascii, sms.AlphabetASCII, 0, "7b"},
		{"ascii default holds no umlaut", sms.Message{Text: "ä"}, ascii, sms.AlphabetUCS2, 8, "00e4"},

		{"wish latin1", sms.Message{Text: "é", Alphabet: sms.AlphabetLatin1}, Carrier{}, sms.AlphabetLatin1, 3, "e9"},
		{"wish latin1 where that is the default", sms.Message{Text: "é", Alphabet: sms.AlphabetLatin1}, latin1, sms.AlphabetLatin1, 0, "e9"},
		{"wish ascii", sms.Message{Text: "@", Alphabet: sms.AlphabetASCII}, Carrier{}, sms.AlphabetASCII, 1, "40"},
		{"wish ucs2", sms.Message{Text: "A", Alphabet: sms.AlphabetUCS2}, Carrier{}, sms.AlphabetUCS2, 8, "0041"},
		{"wish gsm", sms.Message{Text: "@", Alphabet: sms.AlphabetGSM7Packed}, Carrier{}, sms.AlphabetGSM7, 0, "00"},
		{"wish gsm without a name for it", sms.Message{Text: "@", Alphabet: sms.AlphabetGSM7}, latin1, sms.AlphabetLatin1, 0, "40"},
		{"a wish that does not hold the text", sms.Message{Text: "Я", Alphabet: sms.AlphabetLatin1}, Carrier{}, sms.AlphabetUCS2, 8, "042f"},
		{"a wish that does not hold the text, but the default does", sms.Message{Text: "Δ", Alphabet: sms.AlphabetLatin1}, Carrier{}, sms.AlphabetGSM7, 0, "10"},
		{"alphabet other without its data_coding", sms.Message{Text: "Я", Alphabet: sms.AlphabetOther}, Carrier{}, sms.AlphabetUCS2, 8, "042f"},

		{"demand 3", sms.Message{Text: "é", HasDataCoding: true, DataCoding: 3}, Carrier{}, sms.AlphabetLatin1, 3, "e9"},
		{"demand 8", sms.Message{Text: "A", HasDataCoding: true, DataCoding: 8}, Carrier{}, sms.AlphabetUCS2, 8, "0041"},
		{"demand 5, Shift-JIS", sms.Message{Text: "あ", HasDataCoding: true, DataCoding: 5}, Carrier{}, sms.AlphabetOther, 5, "82a0"},
		{"demand 6, Cyrillic", sms.Message{Text: "Я", HasDataCoding: true, DataCoding: 6}, Carrier{}, sms.AlphabetOther, 6, "cf"},
		{"demand 0xf1", sms.Message{Text: "@", HasDataCoding: true, DataCoding: 0xf1}, latin1, sms.AlphabetGSM7, 0xf1, "00"},
		{"came by 0 from where it is latin1", sms.Message{Text: "ê", HasDataCoding: true, Alphabet: sms.AlphabetLatin1}, Carrier{}, sms.AlphabetLatin1, 3, "ea"},
		{"came by 0 with a shift table", sms.Message{Text: "ğ", HasDataCoding: true, Alphabet: sms.AlphabetGSM7}, Carrier{}, sms.AlphabetUCS2, 8, "011f"},
		{"came by 0 packed", sms.Message{Text: "@", HasDataCoding: true, Alphabet: sms.AlphabetGSM7Packed}, Carrier{}, sms.AlphabetGSM7, 0, "00"},
		{"came by 0x11", sms.Message{Text: "@", HasDataCoding: true, DataCoding: 0x11, Alphabet: sms.AlphabetGSM7}, Carrier{}, sms.AlphabetGSM7, 0x11, "00"},

		{"flash", sms.Message{Text: "@", Class: sms.Class0}, Carrier{}, sms.AlphabetGSM7, 0xf0, "00"},
		{"class 3 where the default is latin1", sms.Message{Text: "@", Class: sms.Class3}, latin1, sms.AlphabetGSM7, 0xf3, "00"},
		{"flash in ucs2", sms.Message{Text: "Я", Class: sms.Class0}, Carrier{}, sms.AlphabetUCS2, 0x18, "042f"},
		{"class 2 and the wish ucs2", sms.Message{Text: "A", Class: sms.Class2, Alphabet: sms.AlphabetUCS2}, Carrier{}, sms.AlphabetUCS2, 0x1a, "0041"},

		{"binary", sms.Message{Data: []byte{0, 255}, Alphabet: sms.AlphabetBinary}, Carrier{}, sms.AlphabetBinary, 4, "00ff"},
		{"binary with a class", sms.Message{Data: []byte{1}, Alphabet: sms.AlphabetBinary, Class: sms.Class1}, Carrier{}, sms.AlphabetBinary, 0xf5, "01"},
		{"binary, demanded", sms.Message{Data: []byte{1}, Alphabet: sms.AlphabetBinary, HasDataCoding: true, DataCoding: 2}, Carrier{}, sms.AlphabetBinary, 2, "01"},
		{"binary to a port", sms.Message{Data: []byte{1}, Alphabet: sms.AlphabetBinary, UDH: unhex(t, "0504 0b84 23f0")}, Carrier{}, sms.AlphabetBinary, 4, "06 0504 0b84 23f0 01"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := mustEncode(t, &tt.m, tt.c, 7)
			want := Encoded{Alphabet: tt.alphabet, DataCoding: tt.dataCoding, UDHI: len(tt.m.UDH) > 0, Parts: [][]byte{unhex(t, tt.octets)}}
			if len(e.Parts) != 1 || !bytes.Equal(e.Parts[0], want.Parts[0]) {
				t.Fatalf("parts %x, want %x", e.Parts, want.Parts)
			}
			e.Parts, want.Parts = nil, nil
			if !reflect.DeepEqual(e, want) {
				t.Fatalf("got %+v\nwant %+v", e, want)
			}
		})
	}
}

func TestEncodeLengths(t *testing.T) {
	port := []byte{5, 4, 0x0b, 0x84, 0x23, 0xf0}
	text := func(s string) sms.Message { return sms.Message{Text: s} }
	data := func(n int) sms.Message { return sms.Message{Data: make([]byte, n), Alphabet: sms.AlphabetBinary} }
	with := func(m sms.Message, udh []byte) sms.Message { m.UDH = udh; return m }
	a, ya := func(n int) string { return strings.Repeat("a", n) }, func(n int) string { return strings.Repeat("Я", n) }
	packed8, packed16 := Carrier{Default: sms.AlphabetGSM7Packed, Long: sms.LongUDH8}, Carrier{Default: sms.AlphabetGSM7Packed, Long: sms.LongUDH16}
	udh8, udh16, sar, payload := Carrier{Long: sms.LongUDH8}, Carrier{Long: sms.LongUDH16}, Carrier{Long: sms.LongSAR}, Carrier{Long: sms.LongPayload}
	for _, tt := range []struct {
		name string
		m    sms.Message
		c    Carrier
		want []int // octets of each part
	}{
		{"gsm 160", text(a(160)), udh16, []int{160}},
		{"gsm 161", text(a(161)), udh16, []int{7 + 152, 7 + 9}},
		{"gsm 161, 8 bits", text(a(161)), udh8, []int{6 + 153, 6 + 8}},
		{"gsm 304", text(a(304)), udh16, []int{159, 159}},
		{"gsm 305", text(a(305)), udh16, []int{159, 159, 8}},
		{"gsm 306, 8 bits", text(a(306)), udh8, []int{159, 159}},
		{"gsm 307, 8 bits", text(a(307)), udh8, []int{159, 159, 7}},
		{"gsm 161, sar", text(a(161)), sar, []int{160, 1}},
		{"gsm 161, payload", text(a(161)), payload, []int{161}},
		{"euro as 159 and 160", text(a(158) + "€"), udh16, []int{160}},
		{"euro as 160 and 161", text(a(159) + "€"), udh16, []int{159, 7 + 7 + 2}},
		{"euro at 152 and 153 is not parted", text(a(151) + "€" + a(20)), udh16, []int{7 + 151, 7 + 22}},
		{"euro at 153 and 154 is not parted, 8 bits", text(a(152) + "€" + a(20)), udh8, []int{6 + 152, 6 + 22}},
		{"euro at 160 and 161 is not parted, sar", text(a(159) + "€"), sar, []int{159, 2}},

		{"packed 160", text(a(160)), packed16, []int{140}},
		{"packed 161", text(a(161)), packed16, []int{140, 7 + 8}},
		{"packed 161, 8 bits", text(a(161)), packed8, []int{140, 6 + 8}}, // 1 fill bit and 8 septets: 57 bits
		{"packed 306, 8 bits", text(a(306)), packed8, []int{140, 140}},

		{"ucs2 70", text(ya(70)), udh16, []int{140}},
		{"ucs2 71", text(ya(71)), udh16, []int{7 + 132, 7 + 10}},
		{"ucs2 71, 8 bits", text(ya(71)), udh8, []int{6 + 134, 6 + 8}},
		{"ucs2 71, sar", text(ya(71)), sar, []int{140, 2}},
		{"emoji as 69 and 70", text(ya(68) + "😀"), udh16, []int{140}},
		{"emoji as 70 and 71", text(ya(69) + "😀"), udh16, []int{7 + 132, 7 + 10}},
		{"emoji at 66 and 67 is not parted", text(ya(65) + "😀" + ya(10)), udh16, []int{7 + 130, 7 + 24}},
		{"emoji at 67 and 68 is not parted, 8 bits", text(ya(66) + "😀" + ya(10)), udh8, []int{6 + 132, 6 + 24}},
		{"emoji at 70 and 71 is not parted, sar", text(ya(69) + "😀"), sar, []int{138, 4}},

		{"binary 140", data(140), udh16, []int{140}},
		{"binary 141", data(141), udh16, []int{140, 7 + 8}},
		{"binary 141, 8 bits", data(141), udh8, []int{140, 6 + 7}},
		{"binary 267, 8 bits", data(267), udh8, []int{140, 139}},
		{"binary 141, sar", data(141), sar, []int{140, 1}},
		{"binary 60000, payload", data(60000), payload, []int{60000}},

		{"ports, binary 133", with(data(133), port), udh16, []int{140}},
		{"ports, binary 134", with(data(134), port), udh16, []int{140, 13 + 7}},
		{"ports, gsm 152", with(text(a(152)), port), udh16, []int{159}},
		{"ports, gsm 153: 13 octets leave 145 septets", with(text(a(153)), port), udh16, []int{13 + 145, 13 + 8}},
		{"ports, sar", with(text(a(153)), port), sar, []int{7 + 152, 7 + 1}},
		{"ports, payload", with(text(a(153)), port), payload, []int{7 + 153}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := mustEncode(t, &tt.m, tt.c, 0x1234)
			var got []int
			for _, p := range e.Parts {
				got = append(got, len(p))
			}
			if !slices.Equal(got, tt.want) {
				t.Fatalf("parts of %v octets, want %v", got, tt.want)
			}
			several := len(tt.want) > 1
			if e.SAR != (several && tt.c.Long == sms.LongSAR) {
				t.Errorf("SAR %v", e.SAR)
			}
			if want := len(tt.m.UDH) > 0 || several && tt.c.Long != sms.LongSAR; e.UDHI != want {
				t.Errorf("UDHI %v, want %v", e.UDHI, want)
			}
			if want := tt.c.Long == sms.LongPayload && tt.want[0]-len(tt.m.UDH) > 140; e.Payload != want {
				t.Errorf("Payload %v, want %v", e.Payload, want)
			}
			wantRef := uint16(0)
			switch {
			case several && tt.c.Long == sms.LongUDH8:
				wantRef = 0x34
			case several:
				wantRef = 0x1234
			}
			if e.Ref != wantRef {
				t.Errorf("Ref %#x, want %#x", e.Ref, wantRef)
			}
			checkMeasure(t, &tt.m, tt.c, e)
		})
	}
}

func checkMeasure(t testing.TB, m *sms.Message, c Carrier, e Encoded) {
	t.Helper()
	got, err := Measure(m, c)
	want := Plan{Alphabet: e.Alphabet, DataCoding: e.DataCoding, Segments: len(e.Parts)}
	if err != nil || got != want {
		t.Fatalf("Measure: %+v, %v; Encode made %+v", got, err, want)
	}
}

func TestEncodeHeaders(t *testing.T) {
	m := sms.Message{Text: strings.Repeat("a", 200), UDH: []byte{0x70, 1, 9}}
	for long, want := range map[sms.LongMessage][2]string{
		sms.LongUDH8:  {"08 00 03 cd 02 01 70 01 09", "08 00 03 cd 02 02 70 01 09"},
		sms.LongUDH16: {"09 08 04 ab cd 02 01 70 01 09", "09 08 04 ab cd 02 02 70 01 09"},
		sms.LongSAR:   {"03 70 01 09", "03 70 01 09"},
	} {
		e := mustEncode(t, &m, Carrier{Long: long}, 0xabcd)
		for i, p := range e.Parts {
			if w := unhex(t, want[i]); !bytes.HasPrefix(p, w) || p[len(w)] != 'a' {
				t.Errorf("%s: part %d is %x, want it to begin with %x", long, i+1, p, w)
			}
		}
		if len(e.Parts) != 2 {
			t.Errorf("%s: %d parts", long, len(e.Parts))
		}
	}
}

func TestEncodeErrors(t *testing.T) {
	long := strings.Repeat("a", 152*255+1)
	demand := func(dc uint8, text string) sms.Message {
		return sms.Message{Text: text, HasDataCoding: true, DataCoding: dc}
	}
	for _, tt := range []struct {
		name string
		m    sms.Message
		c    Carrier
		want error
	}{
		{"gsm demanded", demand(0, "aЯ"), Carrier{}, &UnencodableError{'Я', sms.AlphabetGSM7, 0}},
		{"latin1 demanded", demand(3, "a€"), Carrier{}, &UnencodableError{'€', sms.AlphabetLatin1, 3}},
		{"ascii demanded", demand(1, "é"), Carrier{}, &UnencodableError{'é', sms.AlphabetASCII, 1}},
		{"cyrillic demanded", demand(6, "Я汉"), Carrier{}, &UnencodableError{'汉', sms.AlphabetOther, 6}},
		{"cyrillic demanded, not UTF-8", demand(6, "Я\xff"), Carrier{}, &UnencodableError{utf8.RuneError, sms.AlphabetOther, 6}},
		{"data demanded for text", demand(4, "abc"), Carrier{}, &UnencodableError{'a', sms.AlphabetBinary, 4}},
		{"256 parts", sms.Message{Text: long}, Carrier{}, ErrTooLong},
		{"256 parts by characters that cannot be parted", sms.Message{Text: strings.Repeat("😀", 33*255+1)}, Carrier{Long: sms.LongUDH8}, ErrTooLong},
		{"256 parts of data", sms.Message{Data: make([]byte, 133*255+1), Alphabet: sms.AlphabetBinary}, Carrier{}, ErrTooLong},
		{"payload", sms.Message{Text: strings.Repeat("a", 65536)}, Carrier{Long: sms.LongPayload}, ErrTooLong},
		{"UDH that is none", sms.Message{Text: "a", UDH: []byte{5, 4, 1}}, Carrier{}, ErrUDH},
		{"UDH without room", sms.Message{Text: "aaa", UDH: append([]byte{0x70, 136}, make([]byte, 136)...)}, Carrier{}, ErrUDH},
		{"UDH longer than a segment", sms.Message{UDH: append([]byte{0x70, 138}, make([]byte, 138)...)}, Carrier{}, ErrUDH},
		{"UDH with its own concatenation", sms.Message{Text: long[:161], UDH: []byte{0, 3, 1, 2, 1}}, Carrier{}, ErrUDH},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Encode(&tt.m, tt.c, 1)
			if !reflect.DeepEqual(err, tt.want) {
				t.Errorf("Encode: %v, want %v", err, tt.want)
			}
			if _, err := Measure(&tt.m, tt.c); !reflect.DeepEqual(err, tt.want) {
				t.Errorf("Measure: %v, want %v", err, tt.want)
			}
		})
	}
	if m := (sms.Message{Text: long[:152*255]}); len(mustEncode(t, &m, Carrier{}, 1).Parts) != 255 {
		t.Error("255 parts are not 255")
	}
	if m := (sms.Message{Text: strings.Repeat("a", 65535)}); len(mustEncode(t, &m, Carrier{Long: sms.LongPayload}, 1).Parts[0]) != 65535 {
		t.Error("a payload of 65535 octets does not go out")
	}
	var u *UnencodableError
	if _, err := Encode(&sms.Message{Text: "Я", HasDataCoding: true}, Carrier{}, 1); !errors.As(err, &u) || !strings.Contains(err.Error(), "U+042F") {
		t.Errorf("error says %v", err)
	}
}

// newRand makes the same numbers each time.
func newRand() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// carriers are all that a connection may be.
func carriers() (all []Carrier) {
	for _, a := range []sms.Alphabet{sms.AlphabetGSM7, sms.AlphabetGSM7Packed, sms.AlphabetLatin1, sms.AlphabetASCII} {
		for _, l := range []sms.LongMessage{sms.LongUDH16, sms.LongUDH8, sms.LongSAR, sms.LongPayload} {
			all = append(all, Carrier{Default: a, Long: l})
		}
	}
	return all
}

// receive decodes what Encode made as a peer does, and puts it together.
func receive(t testing.TB, e Encoded, c Carrier, order []int) *sms.Message {
	t.Helper()
	r := NewReassembler(Limits{})
	for n, i := range order {
		var d Decoded
		var err error
		if e.SAR {
			d, err = DecodePart(e.Parts[i], e.UDHI, e.DataCoding, c.Default)
			d.Part = sms.Part{Ref: e.Ref, Wide: true, Total: uint8(len(e.Parts)), Seq: uint8(i + 1)}
		} else {
			d, err = Decode(e.Parts[i], e.UDHI, e.DataCoding, c.Default)
		}
		if err != nil {
			t.Fatalf("Decode: %v", err)
		}
		m := &sms.Message{Text: d.Text, Data: d.Data, Alphabet: d.Alphabet, Class: d.Class, UDH: d.UDH, Part: d.Part, DataCoding: e.DataCoding, HasDataCoding: true}
		if !d.Part.IsSet() {
			return m
		}
		if d.Text != "" {
			t.Fatalf("a part has text: %q", d.Text)
		}
		whole, held, err := r.Add(m)
		if held != m || err != nil || (whole != nil) != (n == len(order)-1) {
			t.Fatalf("part %d of %d: %v, %v, %v", n+1, len(order), whole, held, err)
		}
		if whole != nil {
			return whole
		}
	}
	t.Fatal("no message")
	return nil
}

// checkRoundTrip sends m over c, its parts in any order, and wants the same back.
func checkRoundTrip(t testing.TB, rnd *rand.Rand, m *sms.Message, c Carrier) {
	t.Helper()
	e, err := Encode(m, c, uint16(rnd.Uint32()))
	if err != nil {
		var u *UnencodableError
		if !m.HasDataCoding || !errors.As(err, &u) {
			t.Fatalf("Encode %q over %v: %v", m.Text, c, err)
		}
		return
	}
	checkMeasure(t, m, c, e)
	for i, p := range e.Parts {
		most := 140
		if e.Alphabet == sms.AlphabetGSM7 {
			most = 160
		}
		if !e.Payload && len(p) > most {
			t.Fatalf("part %d has %d octets", i+1, len(p))
		}
	}
	got := receive(t, e, c, rnd.Perm(len(e.Parts)))
	if got.Text != m.Text || !bytes.Equal(got.Data, m.Data) || !bytes.Equal(got.UDH, m.UDH) || got.Alphabet != e.Alphabet {
		t.Fatalf("over %v\nsent %q %x %x %v\ngot  %q %x %x %v", c, m.Text, m.Data, m.UDH, e.Alphabet, got.Text, got.Data, got.UDH, got.Alphabet)
	}
	if got.Incomplete || len(e.Parts) > 1 && got.Segments != len(e.Parts) {
		t.Fatalf("incomplete %v, segments %d of %d", got.Incomplete, got.Segments, len(e.Parts))
	}
}

func TestRoundTrip(t *testing.T) {
	rnd := newRand()
	a, ya := strings.Repeat("a", 200), strings.Repeat("Я", 100)
	texts := []string{
		"", "@", "@@@@@@@", "@@@@@@@@", "Привет 汉字 é €", "Привет", "汉字", "é", "€", "a\r\nb", "שלום", "こんにちは", "안녕하세요",
		a[:158] + "€", a[:159] + "€", a[:160] + "€", a[:151] + "€€", a[:152] + "€€", a[:159] + "@", a[:160] + "@",
		ya[:2*68] + "😀", ya[:2*69] + "😀", ya[:2*70] + "😀", ya[:2*65] + "😀😀", ya[:2*66] + "😀😀",
		strings.Repeat("0123456789", 100), strings.Repeat("Привет, мир!", 84)[:1000], strings.Repeat("[€]", 300), strings.Repeat("😀", 500),
		a[:151] + "\r" + a[:20], a[:152] + "\r" + a[:20], a[:159] + "\r" + a[:20],
	}
	alphabets := [][]rune{[]rune(gsmBasic[:len("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ")]), []rune("a[]{}€|^~\\\f"), []rune("aé\u00ff"), []rune("aЯ汉😀"), []rune("abc")}
	for range 100 {
		set, runes := alphabets[rnd.IntN(len(alphabets))], make([]rune, rnd.IntN(500))
		for i := range runes {
			runes[i] = set[rnd.IntN(len(set))]
		}
		texts = append(texts, string(runes))
	}
	for _, c := range carriers() {
		for _, s := range texts {
			if c.Default == sms.AlphabetGSM7Packed {
				s = strings.TrimRight(s, "\r") // one at the end may come back as none or two, as 3GPP TS 23.038, 6.1.2.3.1 has it
			}
			m := &sms.Message{Text: s}
			checkRoundTrip(t, rnd, m, c)
			m.UDH = []byte{5, 4, 0x0b, 0x84, 0x23, 0xf0, 0x70, 1, 7}[:rnd.IntN(2)*9]
			m.Class = sms.Class(rnd.IntN(5))
			m.Alphabet = []sms.Alphabet{sms.AlphabetAuto, sms.AlphabetGSM7, sms.AlphabetLatin1, sms.AlphabetASCII, sms.AlphabetUCS2}[rnd.IntN(5)]
			checkRoundTrip(t, rnd, m, c)
			m.Alphabet, m.HasDataCoding = sms.AlphabetAuto, true
			for _, m.DataCoding = range []uint8{1, 3, 5, 6, 7, 8, 10, 13, 14} {
				checkRoundTrip(t, rnd, m, c)
			}
			data := []byte(s[:min(len(s), 2000)])
			checkRoundTrip(t, rnd, &sms.Message{Data: data, Alphabet: sms.AlphabetBinary, UDH: m.UDH}, c)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, bb := range []struct {
		name string
		c    Carrier
		text string
	}{
		{"short GSM", Carrier{}, "Your code is 123456. It is valid for ten minutes."},
		{"160 GSM", Carrier{}, strings.Repeat("0123456789", 16)},
		{"160 packed", Carrier{Default: sms.AlphabetGSM7Packed}, strings.Repeat("0123456789", 16)},
		{"short UCS2", Carrier{}, "Ваш код 123456, он действителен десять минут."},
		{"1000 GSM", Carrier{}, strings.Repeat("0123456789", 100)},
		{"1000 UCS2", Carrier{}, strings.Repeat("Приветмир!", 100)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			m := &sms.Message{Text: bb.text}
			for b.Loop() {
				if _, err := Encode(m, bb.c, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("measure 1000 GSM", func(b *testing.B) {
		b.ReportAllocs()
		m := &sms.Message{Text: strings.Repeat("0123456789", 100)}
		for b.Loop() {
			if _, err := Measure(m, Carrier{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
