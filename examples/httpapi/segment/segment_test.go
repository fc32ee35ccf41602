package segment

import (
	"strings"
	"testing"
)

func TestCount(t *testing.T) {
	for _, tt := range []struct {
		text   string
		want   int
		coding Coding
	}{
		{"", 1, GSM7},
		{"hello @ €", 1, GSM7},
		{strings.Repeat("a", 160), 1, GSM7},
		{strings.Repeat("a", 161), 2, GSM7},
		{strings.Repeat("a", 306), 2, GSM7},
		{strings.Repeat("a", 307), 3, GSM7},
		{strings.Repeat("€", 80), 1, GSM7},
		{strings.Repeat("€", 81), 2, GSM7},
		{strings.Repeat("€", 153), 3, GSM7}, // 76 in each: an escape is not parted from its character
		{"Привет", 1, UCS2},
		{strings.Repeat("ж", 70), 1, UCS2},
		{strings.Repeat("ж", 71), 2, UCS2},
		{strings.Repeat("👋", 35), 1, UCS2},
		{strings.Repeat("👋", 67), 3, UCS2}, // 33 in each: surrogates stay together
		{"`", 1, UCS2},
	} {
		if n, coding := Count(tt.text); n != tt.want || coding != tt.coding {
			t.Errorf("%.10q (%d octets): %d %s, want %d %s", tt.text, len(tt.text), n, coding, tt.want, tt.coding)
		}
	}
	for _, tt := range []struct{ data, header, want int }{{140, 0, 1}, {141, 0, 2}, {133, 6, 1}, {134, 6, 2}, {0, 0, 1}} {
		if n := CountOctets(tt.data, tt.header); n != tt.want {
			t.Errorf("%d octets and %d of header: %d, want %d", tt.data, tt.header, n, tt.want)
		}
	}
}
