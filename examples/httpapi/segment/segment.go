// Package segment counts the segments that a text is charged for, as its sender expects it: GSM 7-bit where it holds every
// character, else UCS-2 (3GPP TS 23.038 and 23.040).
package segment

import (
	"strings"
	"unicode/utf16"
)

const (
	basic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	extension = "\f^{}\\[~]|€" // an escape and a character: two
)

// Coding is the alphabet that a text needs.
type Coding string

// The alphabets.
const (
	GSM7 Coding = "gsm7"
	UCS2 Coding = "ucs2"
)

// Count gives the segments of a text and the alphabet that it needs. An empty text is one segment.
func Count(text string) (int, Coding) {
	if costs, ok := septets(text); ok {
		return pack(costs, 160, 153), GSM7
	}
	return CountUCS2(text), UCS2
}

// CountUCS2 is Count of a text that goes out in UCS-2 whatever it needs.
func CountUCS2(text string) int {
	var costs []int
	for _, r := range text {
		costs = append(costs, max(1, utf16.RuneLen(r)))
	}
	return pack(costs, 70, 67)
}

// CountOctets gives the segments of binary data with so many octets of information elements in its user data header.
func CountOctets(data, header int) int {
	alone, part := 140, 140-6-header // the length octet, and five to say which part it is
	if header > 0 {
		alone -= 1 + header
	}
	if data <= alone || part <= 0 {
		return 1
	}
	return (data + part - 1) / part
}

func septets(text string) (costs []int, ok bool) {
	for _, r := range text {
		switch {
		case strings.ContainsRune(basic, r):
			costs = append(costs, 1)
		case strings.ContainsRune(extension, r):
			costs = append(costs, 2)
		default:
			return nil, false
		}
	}
	return costs, true
}

// pack counts the segments of characters that cost one or two units each and are never parted.
func pack(costs []int, alone, part int) int {
	total := 0
	for _, c := range costs {
		total += c
	}
	if total <= alone {
		return 1
	}
	segments, used := 1, 0
	for _, c := range costs {
		if used+c > part {
			segments++
			used = 0
		}
		used += c
	}
	return segments
}
