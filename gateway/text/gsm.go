package text

import (
	"sync"
	"unicode/utf8"

	"github.com/warthog618/sms/encoding/gsm7/charset"
)

const (
	esc = 0x1b // to the extension table (3GPP TS 23.038, 6.2.1)
	cr  = 0x0d

	extension = 0x80 // flag in gsmSeptets: the septet is one of the extension table
	noSeptet  = 0xff
)

// gsmBasic is the GSM 7-bit default alphabet in the order of its codes (3GPP TS 23.038, 6.2.1). U+001B holds the place of the
// escape and is no character of it.
const gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
	"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"

// shiftTable is a table of 128 characters; 0 where it has none.
type shiftTable [128]rune

var (
	gsmRunes   = tableOf([]rune(gsmBasic))
	gsmExtRune = shiftTable{
		0x0a: '\f', 0x14: '^', 0x28: '{', 0x29: '}', 0x2f: '\\', 0x3c: '[', 0x3d: '~', 0x3e: ']', 0x40: '|', 0x65: '€',
	}
	// gsmSeptets has the septet of each character up to Ω, the last but one of the alphabet in Unicode's order; the last is €.
	gsmSeptets = func() (t ['Ω' + 1]uint8) {
		for i := range t {
			t[i] = noSeptet
		}
		for code, r := range gsmRunes {
			if code != esc {
				t[r] = uint8(code)
			}
		}
		for code, r := range gsmExtRune {
			if r != 0 && r != '€' {
				t[r] = uint8(code) | extension
			}
		}
		return t
	}()
)

func tableOf(runes []rune) (t shiftTable) {
	copy(t[:], runes)
	return t
}

// septet gives a character's code, with the flag extension where an escape goes before it, or noSeptet.
func septet(r rune) uint8 {
	if uint32(r) < uint32(len(gsmSeptets)) {
		return gsmSeptets[r]
	}
	if r == '€' {
		return 0x65 | extension
	}
	return noSeptet
}

// plainRun finds the end of the characters from s[i] on that are the same in GSM as in UTF-8, most of most texts.
func plainRun(s string, i int) int {
	for i < len(s) && gsmPlain[s[i]] {
		i++
	}
	return i
}

// gsmSize counts the septets of s. Where s has a character that GSM has not, bad is the first and ok is false.
func gsmSize(s string) (n int, bad rune, ok bool) {
	for i := 0; i < len(s); {
		if end := plainRun(s, i); end > i {
			n += end - i
			i = end
			continue
		}
		r, width := utf8.DecodeRuneInString(s[i:])
		i += width
		switch c := septet(r); {
		case c == noSeptet:
			return 0, r, false
		case c&extension != 0:
			n += 2
		default:
			n++
		}
	}
	return n, 0, true
}

// appendGSM appends s, which gsmSize found good, one septet an octet.
func appendGSM(dst []byte, s string) []byte {
	for i := 0; i < len(s); {
		if end := plainRun(s, i); end > i {
			dst = append(dst, s[i:end]...)
			i = end
			continue
		}
		r, width := utf8.DecodeRuneInString(s[i:])
		i += width
		c := septet(r)
		if c&extension != 0 {
			dst = append(dst, esc)
		}
		dst = append(dst, c&^extension)
	}
	return dst
}

// fillBits is how many bits stand between a user data header of n octets and packed text, so that the text begins on a septet
// boundary (3GPP TS 23.040, 9.2.3.24).
func fillBits(n int) int { return (7 - n*8%7) % 7 }

// appendPacked appends septets, eight in seven octets, after fill bits (3GPP TS 23.038, 6.1.2.1).
//
// SMPP counts octets, so seven bits left over at the end would read as '@'. They are a <CR> instead, and a real <CR> that ends
// on the boundary is doubled, as USSD, which counts octets too, has it (6.1.2.3.1). The latter not beyond most octets.
func appendPacked(dst, septets []byte, fill, most int) []byte {
	if len(septets) == 0 {
		return dst
	}
	start, acc, bits := len(dst), uint(0), fill
	for _, s := range septets {
		acc |= uint(s) << bits
		bits += 7
		if bits >= 8 {
			dst = append(dst, byte(acc))
			acc >>= 8
			bits -= 8
		}
	}
	switch {
	case bits == 1:
		return append(dst, byte(acc)|cr<<1)
	case bits > 0:
		return append(dst, byte(acc))
	case septets[len(septets)-1] == cr && len(dst)-start < most:
		return append(dst, cr)
	}
	return dst
}

// appendUnpacked undoes appendPacked.
func appendUnpacked(dst, octets []byte, fill int) []byte {
	total := len(octets)*8 - fill
	for bit := fill; total >= 7; total -= 7 {
		i, shift := bit/8, bit%8
		v := uint(octets[i]) >> shift
		if shift > 1 {
			v |= uint(octets[i+1]) << (8 - shift)
		}
		dst = append(dst, byte(v&0x7f))
		bit += 7
	}
	if total == 0 && len(dst) > 0 && dst[len(dst)-1] == cr {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// decodeGSM reads septets, one an octet, by the national tables that the UDH named, if any (3GPP TS 23.038, 6.2.1.2). An escape to
// nothing known shows the character of the main table, as 6.2.1.1 asks.
func decodeGSM(septets []byte, h shifts) string {
	if h == (shifts{}) && plain(septets) {
		return string(septets)
	}
	main, ext := &gsmRunes, &gsmExtRune
	if 0 < h.locking && int(h.locking) < charset.End {
		main = &nationalTables().locking[h.locking]
	}
	if 0 < h.single && int(h.single) < charset.End {
		ext = &nationalTables().single[h.single]
	}
	var stack [512]byte
	text := stack[:0]
	for i := 0; i < len(septets); i++ {
		c := septets[i]
		switch {
		case c == esc && i+1 < len(septets) && septets[i+1] < 0x80:
			i++
			c = septets[i]
			switch {
			case c == esc: // to a further table, which nobody has defined: a space (6.2.1.1)
				text = append(text, ' ')
			case ext[c] != 0:
				text = utf8.AppendRune(text, ext[c])
			case main[c] == 0:
				text = utf8.AppendRune(text, utf8.RuneError)
			default:
				text = utf8.AppendRune(text, main[c])
			}
		case c >= 0x80 || c == esc || main[c] == 0:
			text = utf8.AppendRune(text, utf8.RuneError)
		default:
			text = utf8.AppendRune(text, main[c])
		}
	}
	return string(text)
}

// plain says that septets are the same in GSM as in UTF-8.
func plain(septets []byte) bool {
	for _, c := range septets {
		if !gsmPlain[c] {
			return false
		}
	}
	return true
}

var gsmPlain = func() (t [256]bool) {
	for c, r := range gsmRunes {
		t[c] = int(r) == c && c != esc
	}
	return t
}()

// shifts are the national language tables that a UDH names (3GPP TS 23.040, 9.2.3.24.15 and 16); 0: the default ones.
type shifts struct{ locking, single uint8 }

type nationals struct{ locking, single [charset.End]shiftTable }

// nationalTables are made once, since the library's own are made on demand without a lock.
var nationalTables = sync.OnceValue(func() *nationals {
	var n nationals
	for language := charset.Start; language < charset.End; language++ {
		n.locking[language] = tableOfDecoder(charset.NewDecoder(language))
		n.single[language] = tableOfDecoder(charset.NewExtDecoder(language))
	}
	// The library has the Bengali signs (U+0981 to 0983) where Devanagari's belong (3GPP TS 23.038, A.3.6).
	copy(n.locking[charset.Hindi][:], []rune{0x0901, 0x0902, 0x0903})
	return &n
})

func tableOfDecoder(d charset.Decoder) (t shiftTable) {
	for code, r := range d {
		if code < 0x80 {
			t[code] = r
		}
	}
	return t
}
