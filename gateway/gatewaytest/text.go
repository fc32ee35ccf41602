package gatewaytest

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/linxGnu/gosmpp/data"
)

// decodeText reads octets as data_coding says, with 0 the GSM alphabet, one septet an octet. What is no text, or is not what
// data_coding says, is hexadecimal.
func decodeText(coding uint8, b []byte) string {
	switch {
	case coding == 0x00 || coding == 0xF0 || coding == 0xF1 || coding == 0xF2 || coding == 0xF3:
		if plainGSM(b) {
			return string(b)
		}
		if s, err := data.GSM7BIT.Decode(b); err == nil {
			return s
		}
	case coding == 0x08 || coding == 0x18:
		if len(b)%2 == 0 {
			units := make([]uint16, len(b)/2)
			for i := range units {
				units[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
			}
			return string(utf16.Decode(units))
		}
	case coding == 0x01:
		return string(b)
	case coding == 0x03 || coding == 0x06 || coding == 0x07:
		if s, err := data.FromDataCoding(coding).Decode(b); err == nil {
			return s
		}
	}
	return hex.EncodeToString(b)
}

// encodeText writes text as data_coding says; for 0 it takes the GSM alphabet or else UCS-2, and says which.
func encodeText(text string, coding uint8) (uint8, []byte, error) {
	switch coding {
	case 0x00:
		if plainGSM(text) {
			return 0, []byte(text), nil
		}
		if b, err := data.GSM7BIT.Encode(text); err == nil {
			return 0, b, nil
		}
		coding = 0x08
		fallthrough
	case 0x08, 0x18:
		units := utf16.Encode([]rune(text))
		b := make([]byte, 0, 2*len(units))
		for _, u := range units {
			b = append(b, byte(u>>8), byte(u))
		}
		return coding, b, nil
	case 0xF0, 0xF1, 0xF2, 0xF3:
		b, err := data.GSM7BIT.Encode(text)
		return coding, b, err
	case 0x01, 0x03, 0x06, 0x07:
		b, err := data.FromDataCoding(coding).Encode(text)
		return coding, b, err
	}
	return coding, nil, fmt.Errorf("no alphabet for data_coding %#02x: give ShortMessage the octets", coding)
}

// plainGSM says that the octets mean the same in ASCII and in the GSM alphabet, as those of nearly every load do.
func plainGSM[T string | []byte](s T) bool {
	for i := range len(s) {
		if !plainOctet[s[i]] {
			return false
		}
	}
	return true
}

var plainOctet = func() (t [256]bool) {
	t['\n'], t['\r'] = true, true
	for c := ' '; c < 0x7F; c++ {
		t[c] = !strings.ContainsRune("@$_[\\]^`{|}~", c)
	}
	return t
}()

// maxPayload is what fits a TLV, in a PDU that a peer reads.
const maxPayload = 60_000

// splitText encodes a text and cuts it into user data that fits one segment each, beside what joins them.
func splitText(text string, coding uint8, long LongForm) (uint8, [][]byte, error) {
	coding, b, err := encodeText(text, coding)
	if long == Payload && len(b) > maxPayload {
		err = fmt.Errorf("%d octets: message_payload takes %d", len(b), maxPayload)
	}
	if err != nil || long == Payload {
		return coding, [][]byte{b}, err
	}
	wide := coding == 0x08 || coding == 0x18
	alone, each := 160, 153 // one octet a septet (3GPP TS 23.040, 9.2.3.24.1)
	switch {
	case wide:
		alone, each = 140, 134
	case coding != 0 && coding < 0xF0:
		alone, each = 140, 134
	}
	if len(b) <= alone {
		return coding, [][]byte{b}, nil
	}
	if long == UDH16 {
		each-- // of 8 bits, or a part of 7
		if wide {
			each--
		}
	}
	var parts [][]byte
	for len(b) > each {
		n := each
		switch {
		case wide:
			if b[n-2]&0xFC == 0xD8 { // a high surrogate stays with its low one
				n -= 2
			}
		case b[n-1] == 0x1B && (coding == 0 || coding >= 0xF0): // an escape stays with what it escapes
			n--
		}
		parts = append(parts, b[:n:n])
		b = b[n:]
	}
	parts = append(parts, b)
	if len(parts) > 255 {
		return coding, nil, fmt.Errorf("%d characters need %d segments: 255 are the most", utf8.RuneCountInString(text), len(parts))
	}
	return coding, parts, nil
}
