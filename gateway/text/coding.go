package text

import (
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"

	"sipsmpp/gateway/sms"
)

// The values of data_coding that have a name of their own (SMPP 3.4, 5.2.19), and the groups of 3GPP TS 23.038, 4, that lie beside
// them.
const (
	codingDefault = 0x00
	codingIA5     = 0x01
	codingOctets  = 0x02
	codingLatin1  = 0x03
	codingBinary  = 0x04
	codingUCS2    = 0x08

	codingUCS2Class   = 0x18 // general data coding, UCS-2, the class in bits 1 and 0
	codingGSMClass    = 0xf0 // data coding / message class, GSM 7-bit
	codingBinaryClass = 0xf4 // the same, 8-bit data
)

// AlphabetOf says what a data_coding means where 0 means deflt, and the class that it gives. What is reserved means what 0 does
// (3GPP TS 23.038, 4: GSM is to be assumed).
func AlphabetOf(dataCoding uint8, deflt sms.Alphabet) (sms.Alphabet, sms.Class) {
	deflt = Carrier{Default: deflt}.normal().Default
	switch dataCoding {
	case codingIA5:
		return sms.AlphabetASCII, sms.ClassNone
	case codingOctets, codingBinary:
		return sms.AlphabetBinary, sms.ClassNone
	case codingLatin1:
		return sms.AlphabetLatin1, sms.ClassNone
	case codingUCS2:
		return sms.AlphabetUCS2, sms.ClassNone
	}
	if charsetOf(dataCoding) != nil {
		return sms.AlphabetOther, sms.ClassNone
	}
	class := sms.Class0 + sms.Class(dataCoding&3)
	switch group := dataCoding >> 4; group {
	case 0x0: // SMPP's own
	case 0x2, 0x3, 0x6, 0x7: // compressed: nothing here reads it
		return sms.AlphabetBinary, sms.ClassNone
	case 0x1, 0x4, 0x5: // general, with a class; marked for deletion, without and with
		if group == 0x4 {
			class = sms.ClassNone
		}
		switch dataCoding >> 2 & 3 {
		case 1:
			return sms.AlphabetBinary, class
		case 2:
			return sms.AlphabetUCS2, class
		}
		return gsm(deflt), class
	case 0xc, 0xd: // message waiting
		return gsm(deflt), sms.ClassNone
	case 0xe:
		return sms.AlphabetUCS2, sms.ClassNone
	case 0xf:
		if dataCoding&codingBinaryClass&^codingGSMClass != 0 {
			return sms.AlphabetBinary, class
		}
		return gsm(deflt), class
	}
	return deflt, sms.ClassNone
}

// charsetOf gives the character sets of AlphabetOther, nil for any other data_coding.
func charsetOf(dataCoding uint8) encoding.Encoding {
	switch dataCoding {
	case 0x05: // JIS X 0208, in the field as Shift-JIS
		return japanese.ShiftJIS
	case 0x06:
		return charmap.ISO8859_5
	case 0x07:
		return charmap.ISO8859_8
	case 0x0a:
		return japanese.ISO2022JP
	case 0x0d: // JIS X 0212
		return japanese.EUCJP
	case 0x0e: // KS C 5601
		return korean.EUCKR
	}
	return nil
}

// sizeIn counts what s takes in an alphabet, in octets, in GSM in septets. Where s has a character that the alphabet has not, bad
// is the first and ok is false.
func sizeIn(s string, alphabet sms.Alphabet, dataCoding uint8) (n int, bad rune, ok bool) {
	last := rune(0x7f)
	switch alphabet {
	case sms.AlphabetGSM7, sms.AlphabetGSM7Packed:
		return gsmSize(s)
	case sms.AlphabetUCS2:
		for _, r := range s {
			n += 2
			if r >= 0x10000 {
				n += 2
			}
		}
		return n, 0, true
	case sms.AlphabetOther:
		octets, err := charsetOf(dataCoding).NewEncoder().String(s)
		if err == nil {
			return len(octets), 0, true
		}
		for _, r := range s {
			if _, err := charsetOf(dataCoding).NewEncoder().String(string(r)); err != nil {
				return 0, r, false
			}
		}
		return 0, utf8.RuneError, false // not UTF-8
	case sms.AlphabetBinary:
		for _, r := range s {
			return 0, r, false
		}
		return 0, 0, true
	case sms.AlphabetLatin1:
		last = 0xff
	}
	for _, r := range s {
		if r > last {
			return 0, r, false
		}
		n++
	}
	return n, 0, true
}

// appendIn appends s in an alphabet that sizeIn found good; GSM one septet an octet.
func appendIn(dst []byte, s string, alphabet sms.Alphabet) []byte {
	switch alphabet {
	case sms.AlphabetGSM7, sms.AlphabetGSM7Packed:
		return appendGSM(dst, s)
	case sms.AlphabetUCS2:
		for _, r := range s {
			if r >= 0x10000 {
				var low rune
				r, low = utf16.EncodeRune(r)
				dst = append(dst, byte(r>>8), byte(r))
				r = low
			}
			dst = append(dst, byte(r>>8), byte(r))
		}
	default:
		for _, r := range s {
			dst = append(dst, byte(r))
		}
	}
	return dst
}

// decodeIn reads octets in an alphabet, GSM one septet an octet.
func decodeIn(octets []byte, alphabet sms.Alphabet, dataCoding uint8, h shifts) string {
	last := byte(0x7f)
	switch alphabet {
	case sms.AlphabetGSM7, sms.AlphabetGSM7Packed:
		return decodeGSM(octets, h)
	case sms.AlphabetUCS2:
		return decodeUCS2(octets)
	case sms.AlphabetOther:
		if charset := charsetOf(dataCoding); charset != nil {
			text, err := charset.NewDecoder().Bytes(octets)
			if err != nil {
				text = utf8.AppendRune(text, utf8.RuneError)
			}
			return string(text)
		}
	case sms.AlphabetLatin1, sms.AlphabetBinary:
		last = 0xff
	}
	var stack [512]byte
	text := stack[:0]
	for _, c := range octets {
		if c > last {
			text = utf8.AppendRune(text, utf8.RuneError)
		} else {
			text = utf8.AppendRune(text, rune(c))
		}
	}
	return string(text)
}

func decodeUCS2(octets []byte) string {
	var stack [512]byte
	text := stack[:0]
	for i := 0; i < len(octets); i += 2 {
		r := utf8.RuneError
		if i+1 < len(octets) {
			r = rune(octets[i])<<8 | rune(octets[i+1])
		}
		if utf16.IsSurrogate(r) {
			var low rune
			if i+3 < len(octets) {
				low = rune(octets[i+2])<<8 | rune(octets[i+3])
			}
			if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
				i += 2
			}
		}
		text = utf8.AppendRune(text, r)
	}
	return string(text)
}
