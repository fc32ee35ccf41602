package text

import (
	"encoding/binary"

	"sipsmpp/gateway/sms"
)

// The information elements that the gateway reads itself (3GPP TS 23.040, 9.2.3.24).
const (
	elementConcat8  = 0x00
	elementConcat16 = 0x08
	elementSingle   = 0x24 // national language single shift
	elementLocking  = 0x25 // national language locking shift
)

// header is a user data header, read.
type header struct {
	size   int    // with its length octet
	fields []byte // its elements, without the length octet
	part   sms.Part
	shifts shifts
}

// element cuts the first information element off fields; ok is false where it is longer than they are.
func element(fields []byte) (id uint8, value, rest []byte, ok bool) {
	if len(fields) < 2 || len(fields) < 2+int(fields[1]) {
		return 0, nil, nil, false
	}
	end := 2 + int(fields[1])
	return fields[0], fields[2:end], fields[end:], true
}

// wellFormed says that fields are elements, and whether concatenation is among them.
func wellFormed(fields []byte) (concat, ok bool) {
	for len(fields) > 0 {
		var id uint8
		if id, _, fields, ok = element(fields); !ok {
			return false, false
		}
		concat = concat || id == elementConcat8 || id == elementConcat16
	}
	return concat, true
}

// readHeader reads the header that octets begin with. A length that goes beyond them is no header at all, and then its size is 0.
// Elements that do not end where the header does make all of it void (9.2.3.24): its size is known then, and nothing else.
func readHeader(octets []byte) (header, error) {
	if len(octets) == 0 || len(octets) < 1+int(octets[0]) {
		return header{}, ErrUDH
	}
	h := header{size: 1 + int(octets[0])}
	fields := octets[1:h.size]
	for rest := fields; len(rest) > 0; {
		id, value, next, ok := element(rest)
		if !ok {
			return header{size: h.size}, ErrUDH
		}
		rest = next
		// Of elements that exclude each other or come twice the last counts (9.2.3.24).
		var p sms.Part
		switch {
		case id == elementConcat8 && len(value) == 3:
			p = sms.Part{Ref: uint16(value[0]), Total: value[1], Seq: value[2]}
		case id == elementConcat16 && len(value) == 4:
			p = sms.Part{Ref: binary.BigEndian.Uint16(value), Wide: true, Total: value[2], Seq: value[3]}
		case id == elementSingle && len(value) == 1:
			h.shifts.single = value[0]
		case id == elementLocking && len(value) == 1:
			h.shifts.locking = value[0]
		}
		// 9.2.3.24.1: a total of 0, a number of 0 or beyond the total: ignore the element. One of one is whole.
		if p.Total > 1 && p.Seq > 0 && p.Seq <= p.Total {
			h.part = p
		}
	}
	h.fields = fields
	return h, nil
}

// others copies the elements of fields that are not the gateway's own: without concatenation, and without the shift elements
// unless keepShifts.
func others(fields []byte, keepShifts bool) []byte {
	var kept []byte
	for len(fields) > 0 {
		id, value, rest, ok := element(fields)
		if !ok {
			break
		}
		own := id == elementConcat8 || id == elementConcat16 || !keepShifts && (id == elementSingle || id == elementLocking)
		if !own {
			kept = append(kept, fields[:2+len(value)]...)
		}
		fields = rest
	}
	return kept
}

// shiftsOf reads the national tables that fields name.
func shiftsOf(fields []byte) (s shifts) {
	for len(fields) > 0 {
		id, value, rest, ok := element(fields)
		if !ok {
			break
		}
		if len(value) == 1 {
			switch id {
			case elementSingle:
				s.single = value[0]
			case elementLocking:
				s.locking = value[0]
			}
		}
		fields = rest
	}
	return s
}

// appendHeader appends a header of the concatenation element that c and p ask for, if any, and of fields; nothing where there is
// neither.
func appendHeader(dst []byte, long sms.LongMessage, p sms.Part, fields []byte) []byte {
	n := headerSize(long, p.IsSet(), fields)
	if n == 0 {
		return dst
	}
	dst = append(dst, byte(n-1))
	if p.IsSet() {
		switch long {
		case sms.LongUDH8:
			dst = append(dst, elementConcat8, 3, byte(p.Ref), p.Total, p.Seq)
		case sms.LongUDH16:
			dst = append(dst, elementConcat16, 4, byte(p.Ref>>8), byte(p.Ref), p.Total, p.Seq)
		}
	}
	return append(dst, fields...)
}

// headerSize is how many octets appendHeader appends.
func headerSize(long sms.LongMessage, part bool, fields []byte) int {
	n := len(fields)
	if part {
		switch long {
		case sms.LongUDH8:
			n += 5
		case sms.LongUDH16:
			n += 6
		}
	}
	if n > 0 {
		n++ // the length octet
	}
	return n
}
