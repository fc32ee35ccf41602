package text

import (
	"slices"

	"sipsmpp/gateway/sms"
)

// Decoded is what one short message's octets said. Its fields are those of sms.Message with the same names.
type Decoded struct {
	Text     string
	Data     []byte
	Alphabet sms.Alphabet
	Class    sms.Class
	UDH      []byte
	Part     sms.Part
}

// Decode reads the octets of a short_message or message_payload. udhi is bit 0x40 of esm_class, deflt what data_coding 0 means.
//
// Text, where it is text, has U+FFFD for each octet that cannot be read; Data has the octets where it is not. UDH has the
// header's elements but for concatenation, which is Part, and the national language shifts, which are in Text already.
//
// A part of a longer message (Part set) is not read yet, since peers divide characters between parts: Text is empty and Data has
// the octets after the header, in gsm7-packed already one septet an octet; UDH keeps the shifts. A Reassembler takes it from there.
//
// The only error is ErrUDH. The caller gets everything nevertheless: octets that are shorter than their header were none, and are
// read as text from the first; a header whose elements do not fit is left out, and the text after it is read.
//
// Nothing in the result shares memory with octets.
func Decode(octets []byte, udhi bool, dataCoding uint8, deflt sms.Alphabet) (Decoded, error) {
	return decode(octets, udhi, dataCoding, deflt, false)
}

// DecodePart is Decode for what is known to be a part by other means than its header, that is by sar_* TLVs. The caller sets Part.
func DecodePart(octets []byte, udhi bool, dataCoding uint8, deflt sms.Alphabet) (Decoded, error) {
	return decode(octets, udhi, dataCoding, deflt, true)
}

func decode(octets []byte, udhi bool, dataCoding uint8, deflt sms.Alphabet, part bool) (Decoded, error) {
	var d Decoded
	var h header
	var err error
	d.Alphabet, d.Class = AlphabetOf(dataCoding, deflt)
	if udhi {
		h, err = readHeader(octets)
		d.Part = h.part
		part = part || h.part.IsSet()
	}
	binary := d.Alphabet == sms.AlphabetBinary
	if len(h.fields) > 0 {
		d.UDH = others(h.fields, part || binary)
	}
	octets = octets[h.size:]
	switch {
	case d.Alphabet == sms.AlphabetGSM7Packed:
		var stack [256]byte
		septets := appendUnpacked(stack[:0], octets, fillBits(h.size))
		if part {
			d.Data = slices.Clone(septets)
		} else {
			d.Text = decodeGSM(septets, h.shifts)
		}
	case part || binary:
		d.Data = slices.Clone(octets)
	default:
		d.Text = decodeIn(octets, d.Alphabet, dataCoding, h.shifts)
	}
	return d, err
}
