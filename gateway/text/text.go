// Package text turns messages into the octets of segments and back: alphabets, user data headers, segmentation, reassembly.
//
// Its promises: a text is carried whole or refused with an error that says why, never with a silent '?'; no character is parted
// between two segments; what comes in is read whatever it is, and what cannot be read becomes U+FFFD; memory is bounded by the
// limits that the caller sets. Nothing in here blocks or writes to disk, and only a Reassembler keeps what it was given.
package text

import (
	"errors"
	"fmt"

	"sipsmpp/gateway/sms"
)

// Carrier is what an egress can carry. The zero value is a GSM carrier with 16-bit references.
type Carrier struct {
	// Default is what data_coding 0 means there: gsm7, gsm7-packed, latin1 or ascii. Anything else is taken for gsm7.
	//
	// GSM 7-bit has no data_coding of its own in SMPP but 0, and those that give a class besides. So with latin1 or ascii here
	// a text without class goes out in that alphabet, or in UCS-2, and never in GSM.
	Default sms.Alphabet
	// Shift is the language whose national tables may be used where the default alphabet does not hold a text: see Languages. Empty:
	// none.
	Shift string
	// Transliterate puts letters that GSM has in the place of those that it has not, if that makes the whole text GSM: e for ê,
	// " for typographic quotes. The text that arrives is another then.
	Transliterate bool
	// Long is how more than one segment is told to the peer: udh16, udh8, sar or payload. Anything else is taken for udh16.
	Long sms.LongMessage
}

func (c Carrier) normal() Carrier {
	switch c.Default {
	case sms.AlphabetGSM7Packed, sms.AlphabetLatin1, sms.AlphabetASCII:
	default:
		c.Default = sms.AlphabetGSM7
	}
	switch c.Long {
	case sms.LongUDH8, sms.LongSAR, sms.LongPayload:
	default:
		c.Long = sms.LongUDH16
	}
	return c
}

// gsm says what GSM 7-bit looks like on this carrier: packed where its default is, else one septet an octet.
func gsm(deflt sms.Alphabet) sms.Alphabet {
	if deflt == sms.AlphabetGSM7Packed {
		return deflt
	}
	return sms.AlphabetGSM7
}

// Encoded is a message as its segments' octets.
type Encoded struct {
	Alphabet   sms.Alphabet
	DataCoding uint8
	UDHI       bool     // every part begins with a user data header: bit 0x40 of esm_class
	SAR        bool     // there is more than one part, and the caller tells them by sar_* TLVs
	Payload    bool     // the only part goes in message_payload
	Ref        uint16   // the concatenation reference, 8 bits of it with udh8; 0 where there is one part
	Parts      [][]byte // user data of each segment, its UDH included: what stands in short_message
}

// Plan says what Encode would make of a message, without making it.
type Plan struct {
	Alphabet   sms.Alphabet
	DataCoding uint8
	Segments   int
}

// ErrTooLong is for a message that needs more segments than a concatenation can count (255; 3GPP TS 23.040, 9.2.3.24.1), or more
// octets than message_payload holds (65,535).
var ErrTooLong = errors.New("message too long: it needs more than 255 segments or 65535 octets; send it in several messages")

// ErrUDH is for a user data header that is none: longer than the octets that it stands in, its elements not ending where it
// does, or so long that no text fits beside it.
var ErrUDH = errors.New("bad user data header: its elements do not fit their lengths, or leave no room for the message")

// UnencodableError is for a text with a character that the demanded data_coding cannot carry.
type UnencodableError struct {
	Rune       rune
	Alphabet   sms.Alphabet
	DataCoding uint8
}

func (e *UnencodableError) Error() string {
	if e.Alphabet == sms.AlphabetBinary {
		return fmt.Sprintf("data_coding %d is for data, not for text: send data, or leave data_coding out", e.DataCoding)
	}
	return fmt.Sprintf("character %q (%U) is not in %s, which data_coding %d asks for: leave data_coding out, or ask for 8 (UCS-2)",
		e.Rune, e.Rune, e.Alphabet, e.DataCoding)
}
