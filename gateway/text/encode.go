package text

import (
	"unicode/utf8"

	"golang.org/x/text/encoding"

	"sipsmpp/gateway/sms"
)

const (
	segmentOctets = 140 // of user data (3GPP TS 23.040, 9.2.3.24); 160 septets
	mostParts     = 255
	mostPayload   = 65535
)

// layout is how a message will leave: what Encode and Measure both go by.
type layout struct {
	Carrier
	alphabet   sms.Alphabet
	dataCoding uint8
	size       int // of all of it, in septets in GSM, else in octets
	lone, part int // room beside the header of a segment that is alone, and of one of several; the same unit
	payload    bool
	text       string // what goes out: the message's, or what stands for it
	udh        []byte // the message's, and the elements that name national tables
	shifts     shifts
}

// whole says that one segment does.
func (l *layout) whole() bool { return l.payload || l.size <= l.lone }

// choose finds alphabet, data_coding and size of a message, in the order that Encode promises.
func (l *layout) choose(m *sms.Message) error {
	if m.IsBinary() {
		l.alphabet, l.dataCoding, l.size = sms.AlphabetBinary, codingBinary, len(m.Data)
		if m.HasDataCoding {
			l.dataCoding = m.DataCoding
		} else if m.Class != sms.ClassNone {
			l.dataCoding = codingBinaryClass | uint8(m.Class-sms.Class0)&3
		}
		return nil
	}
	if m.HasDataCoding {
		alphabet, _ := AlphabetOf(m.DataCoding, l.Default)
		demanded := m.Alphabet == sms.AlphabetAuto
		if demanded || alphabet == m.Alphabet || alphabet == gsm(l.Default) && isGSM(m.Alphabet) {
			bad, ok := l.try(l.text, alphabet, m.DataCoding)
			if ok {
				return nil
			}
			if demanded {
				return &UnencodableError{Rune: bad, Alphabet: alphabet, DataCoding: m.DataCoding}
			}
		}
	}
	if m.Class != sms.ClassNone {
		class := uint8(m.Class-sms.Class0) & 3
		if m.Alphabet != sms.AlphabetUCS2 {
			if _, ok := l.try(l.text, gsm(l.Default), codingGSMClass|class); ok {
				return nil
			}
		}
		l.try(l.text, sms.AlphabetUCS2, codingUCS2Class|class)
		return nil
	}
	wish, dataCoding := m.Alphabet, uint8(codingDefault)
	switch wish {
	case sms.AlphabetUCS2:
		dataCoding = codingUCS2
	case sms.AlphabetLatin1:
		dataCoding = codingLatin1
	case sms.AlphabetASCII:
		dataCoding = codingIA5
	default: // GSM where it is the default, what we choose anyway; other alphabets were told by their data_coding above
		wish = l.Default
	}
	if wish == l.Default {
		dataCoding = codingDefault
	}
	if _, ok := l.try(l.text, wish, dataCoding); ok {
		return nil
	}
	if wish != l.Default {
		if _, ok := l.try(l.text, l.Default, codingDefault); ok {
			return nil
		}
	}
	if isGSM(l.Default) && (m.Alphabet == sms.AlphabetAuto || isGSM(m.Alphabet)) && (l.national() || l.transliterated()) {
		return nil
	}
	l.try(l.text, sms.AlphabetUCS2, codingUCS2)
	return nil
}

func isGSM(a sms.Alphabet) bool { return a == sms.AlphabetGSM7 || a == sms.AlphabetGSM7Packed }

func (l *layout) try(s string, alphabet sms.Alphabet, dataCoding uint8) (bad rune, ok bool) {
	n, bad, ok := sizeIn(s, alphabet, dataCoding)
	if ok {
		l.alphabet, l.dataCoding, l.size = alphabet, dataCoding, n
	}
	return bad, ok
}

// room is what stands beside a header of n octets in one segment, and the least that takes any character.
func (l *layout) room(n int) (room, least int) {
	room = segmentOctets - n
	switch l.alphabet {
	case sms.AlphabetGSM7, sms.AlphabetGSM7Packed:
		return room * 8 / 7, 2
	case sms.AlphabetUCS2:
		return room &^ 1, 4
	case sms.AlphabetOther:
		return room, 8 // ISO-2022-JP: an escape sequence, two octets, an escape sequence
	}
	return room, 1
}

// plan makes the layout of m on c.
func plan(m *sms.Message, c Carrier) (layout, error) {
	l := layout{Carrier: c.normal(), text: m.Text, udh: m.UDH}
	if err := l.choose(m); err != nil {
		return l, err
	}
	concat := false
	if len(l.udh) > 0 {
		var ok bool
		if concat, ok = wellFormed(l.udh); !ok {
			return l, ErrUDH
		}
	}
	var least int
	l.lone, least = l.room(headerSize(l.Long, false, l.udh))
	if l.size <= l.lone {
		return l, nil
	}
	if l.Long == sms.LongPayload {
		n := l.size
		if l.alphabet == sms.AlphabetGSM7Packed {
			n = n*7/8 + 1
		}
		if n+headerSize(l.Long, false, l.udh) > mostPayload {
			return l, ErrTooLong
		}
		l.payload = true
		return l, nil
	}
	l.part, _ = l.room(headerSize(l.Long, true, l.udh))
	if l.part < least || concat && l.Long != sms.LongSAR {
		return l, ErrUDH
	}
	if l.size > l.part*mostParts {
		return l, ErrTooLong
	}
	return l, nil
}

// Measure says what Encode would make of a message on a carrier, and fails where Encode fails.
func Measure(m *sms.Message, c Carrier) (Plan, error) {
	l, err := plan(m, c)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{Alphabet: l.alphabet, DataCoding: l.dataCoding, Segments: 1}
	if !l.whole() {
		if p.Segments = l.count(m); p.Segments > mostParts {
			return Plan{}, ErrTooLong
		}
	}
	return p, nil
}

// count counts the parts that cut will make.
func (l *layout) count(m *sms.Message) int {
	switch l.alphabet {
	case sms.AlphabetGSM7, sms.AlphabetGSM7Packed, sms.AlphabetUCS2:
	case sms.AlphabetOther:
		return len(cutOther(l.text, charsetOf(l.dataCoding), l.part))
	default:
		return (l.size + l.part - 1) / l.part
	}
	parts, used, left := 1, 0, l.size
	for _, r := range l.text {
		n := 1
		if l.alphabet == sms.AlphabetUCS2 {
			if n = 2; r >= 0x10000 {
				n = 4
			}
		} else {
			n = l.septets(r)
		}
		// A packed part does not end with a real <CR> on the boundary: see cut.
		if used+n > l.part || l.alphabet == sms.AlphabetGSM7Packed && r == cr && used+1 == l.part && left > 1 {
			parts++
			used = 0
		}
		used += n
		left -= n
	}
	return parts
}

// cut says how much of units, which are septets in GSM and else octets, goes in the next part.
func (l *layout) cut(units []byte) int {
	if len(units) <= l.part {
		return len(units)
	}
	n := l.part
	switch l.alphabet {
	case sms.AlphabetGSM7Packed:
		// Who counts octets takes a <CR> that ends on the boundary for padding, so it begins the next part (see appendPacked).
		if units[n-1] == esc || units[n-1] == cr {
			n--
		}
	case sms.AlphabetGSM7:
		if units[n-1] == esc {
			n--
		}
	case sms.AlphabetUCS2:
		if units[n-2]&0xfc == 0xd8 {
			n -= 2
		}
	}
	return n
}

// Encode makes the segments of a message for a carrier, as few as hold it. The first of these that applies says how:
//
//   - Data keeps its data_coding; without one it gets 4, or 0xF4 to 0xF7 with a class.
//   - A data_coding without an Alphabet is the sender's demand: that or an *UnencodableError. With an Alphabet beside it, it is what
//     the message came with: it stays where it means that alphabet on this carrier too and holds the text.
//   - A class goes out as 0xF0 to 0xF3 in GSM, or as 0x18 to 0x1B in UCS-2.
//   - An Alphabet is a wish: it is kept if it holds the text and has a data_coding on this carrier.
//   - What data_coding 0 means, if that holds the text.
//   - Where data_coding 0 is GSM, a national table of c.Shift, if that holds the text, and what stands for the text in GSM, if c
//     asks for it.
//   - UCS-2, which holds everything.
//
// ref is the concatenation reference, of which udh8 takes the lower half. m.UDH goes in every part, beside the concatenation
// element, and takes from its room. No character is parted between segments, and no surrogate or escape from its other half.
//
// The errors are ErrTooLong, ErrUDH and *UnencodableError. The parts may share memory with one another, never with m.
func Encode(m *sms.Message, c Carrier, ref uint16) (Encoded, error) {
	l, err := plan(m, c)
	if err != nil {
		return Encoded{}, err
	}
	e := Encoded{Alphabet: l.alphabet, DataCoding: l.dataCoding, UDHI: len(l.udh) > 0, Payload: l.payload}
	if l.whole() {
		l.encodeWhole(&e, m)
		return e, nil
	}
	return e, l.encodeParts(&e, m, ref)
}

// encodeWhole makes the only part.
func (l *layout) encodeWhole(e *Encoded, m *sms.Message) {
	one := new(struct { // one allocation for the slice and what it holds
		parts  [1][]byte
		octets [160]byte
	})
	head := headerSize(l.Long, false, l.udh)
	octets := one.octets[:0]
	if head+l.size > len(one.octets) {
		octets = make([]byte, 0, head+l.size+1)
	}
	octets = appendHeader(octets, l.Long, sms.Part{}, l.udh)
	switch l.alphabet {
	case sms.AlphabetBinary:
		octets = append(octets, m.Data...)
	case sms.AlphabetGSM7Packed:
		var stack [160]byte
		most := segmentOctets - head
		if l.payload {
			most = mostPayload - head
		}
		octets = appendPacked(octets, l.appendText(stack[:0]), fillBits(head), most)
	case sms.AlphabetOther:
		text, _ := charsetOf(l.dataCoding).NewEncoder().String(l.text)
		octets = append(octets, text...)
	default:
		octets = l.appendText(octets)
	}
	one.parts[0] = octets
	e.Parts = one.parts[:]
}

// encodeParts makes several parts in one backing array.
func (l *layout) encodeParts(e *Encoded, m *sms.Message, ref uint16) error {
	var stack [2048]byte
	var pieces []string // of AlphabetOther, whose parts are encoded each by itself
	var units []byte    // of all others
	switch l.alphabet {
	case sms.AlphabetBinary:
		units = m.Data
	case sms.AlphabetOther:
		pieces = cutOther(l.text, charsetOf(l.dataCoding), l.part)
	default:
		units = l.appendText(stack[:0])
	}
	total := len(pieces)
	if pieces == nil {
		for rest := units; len(rest) > 0; total++ {
			rest = rest[l.cut(rest):]
		}
	}
	if total > mostParts {
		return ErrTooLong
	}
	if l.Long == sms.LongUDH8 {
		ref &= 0xff
	}
	e.Ref = ref
	e.SAR = l.Long == sms.LongSAR
	e.UDHI = e.UDHI || !e.SAR
	head := headerSize(l.Long, true, l.udh)
	e.Parts = make([][]byte, total)
	octets := make([]byte, 0, l.size+total*(head+1)+len(pieces)*8)
	p := sms.Part{Ref: ref, Wide: l.Long != sms.LongUDH8, Total: uint8(total)}
	for i := range e.Parts {
		p.Seq = uint8(i + 1)
		start := len(octets)
		octets = appendHeader(octets, l.Long, p, l.udh)
		switch {
		case pieces != nil:
			octets = append(octets, pieces[i]...)
		default:
			n := l.cut(units)
			if l.alphabet == sms.AlphabetGSM7Packed {
				octets = appendPacked(octets, units[:n], fillBits(head), segmentOctets-head)
			} else {
				octets = append(octets, units[:n]...)
			}
			units = units[n:]
		}
		e.Parts[i] = octets[start:len(octets):len(octets)]
	}
	return nil
}

// cutOther encodes s in pieces of at most room octets. Each is encoded by itself, since shift states do not reach from one segment
// into the next. s must be good in the character set.
func cutOther(s string, charset encoding.Encoding, room int) []string {
	encoder := charset.NewEncoder()
	var pieces []string
	for len(s) > 0 {
		// The longest prefix that fits lies in [good, bad): room takes any one character, and no character takes more octets of
		// UTF-8 than three for one of room.
		_, good := utf8.DecodeRuneInString(s)
		piece, _ := encoder.String(s[:good])
		bad := min(len(s), 3*room) + 1
		for {
			mid := boundary(s, good, bad)
			if mid == good {
				break
			}
			if octets, err := encoder.String(s[:mid]); err == nil && len(octets) <= room {
				good, piece = mid, octets
			} else {
				bad = mid
			}
		}
		pieces = append(pieces, piece)
		s = s[good:]
	}
	return pieces
}

// boundary finds the beginning of a character about half way between good and bad, both exclusive; good where there is none.
func boundary(s string, good, bad int) int {
	mid := good + (bad-good)/2
	for i := mid; i > good; i-- {
		if i == len(s) || utf8.RuneStart(s[i]) {
			return i
		}
	}
	for i := mid + 1; i < bad && i <= len(s); i++ {
		if i == len(s) || utf8.RuneStart(s[i]) {
			return i
		}
	}
	return good
}
