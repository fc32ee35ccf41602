package sip

import (
	"bytes"
	"strings"
	"testing"
)

// feed gives octets to a framer, at most step at a time, and collects what it finds as text.
func feed(f *framer, stream []byte, step int) (found []string) {
	for len(stream) > 0 {
		n := copy(f.space(), stream[:min(step, len(stream))])
		f.filled(n)
		stream = stream[n:]
		for {
			fr, ok := f.next()
			if !ok {
				break
			}
			switch {
			case fr.ping:
				found = append(found, "ping")
			case fr.code != 0:
				found = append(found, fr.reason+"|"+string(fr.octets))
			case fr.octets != nil:
				found = append(found, string(fr.octets))
			}
			if fr.last {
				return append(found, "close")
			}
		}
	}
	return found
}

func TestFramer(t *testing.T) {
	one, two := aMessage(), aMessage("c1@", "c2@", "Content-Length: 5", "l: 11", "hello", "hello\r\n\r\nyo")
	empty := aMessage("Content-Length: 5", "Content-Length: 0", "hello", "")
	large := aMessage("Content-Length: 5", "Content-Length: 150", "hello", strings.Repeat("\r\n\r\n\r\n", 25))
	head := func(s string) string { return s[:strings.Index(s, "\r\n\r\n")+4] }
	tests := []struct {
		name, stream string
		want         []string
	}{
		{"one", one, []string{one}},
		{"pipelined", one + two + empty + one, []string{one, two, empty, one}},
		{"line ends between them", "\r\n" + one + "\r\n" + two, []string{one, two}},
		{"pings", "\r\n\r\n" + one + "\r\n\r\n\r\n\r\n" + two, []string{"ping", one, "ping", "ping", two}},
		{"too large, and the next one", large + two, []string{"|" + head(large), two}},
		{"much too large", aMessage("Content-Length: 5", "Content-Length: 2000000") + one,
			[]string{"|" + head(aMessage("Content-Length: 5", "Content-Length: 2000000")), "close"}},
		{"no Content-Length", aMessage("Content-Length: 5\r\n", "") + one,
			[]string{"Content-Length Is Needed Here|" + head(aMessage("Content-Length: 5\r\n", "")), "close"}},
		{"no SIP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", []string{"close"}},
		{"a head without end", one + "MESSAGE sip:x SIP/2.0\r\nX: " + strings.Repeat("x", maxHead), []string{one, "close"}},
		{"an unfinished one", one + two[:len(two)-1], []string{one}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, step := range []int{1, 2, 3, 7, 100, 1 << 20} {
				f := &framer{maxBody: 100}
				if got := feed(f, []byte(test.stream), step); strings.Join(got, "\n--\n") != strings.Join(test.want, "\n--\n") {
					t.Errorf("in steps of %d: %d: %.2000q\nwant %d: %.2000q", step, len(got), got, len(test.want), test.want)
				}
			}
		})
	}
}

func TestFramerStaysSmall(t *testing.T) {
	f := &framer{maxBody: 20_000}
	large := []byte(aMessage("Content-Length: 5", "Content-Length: 20000", "hello", strings.Repeat("x", 20_000)))
	for range 100 {
		if got := feed(f, large, 1000); len(got) != 1 {
			t.Fatalf("found %d", len(got))
		}
	}
	if len(f.buf) > 64<<10 {
		t.Errorf("the buffer has %d octets", len(f.buf))
	}
	if f.space(); len(f.buf) > 4096 {
		t.Errorf("after large messages an idle connection holds %d octets", len(f.buf))
	}
}

// FuzzFramer: the same messages are found however the stream is cut, and the buffer is bounded.
func FuzzFramer(f *testing.F) {
	f.Add([]byte(aMessage()+"\r\n\r\n"+aMessage()), uint8(3))
	f.Add([]byte(aMessage("Content-Length: 5", "Content-Length: 101", "hello", strings.Repeat("x", 101))+aMessage()), uint8(1))
	f.Add([]byte("\r\n\r"), uint8(1))
	f.Fuzz(func(t *testing.T, stream []byte, step uint8) {
		whole, cut := &framer{maxBody: 100}, &framer{maxBody: 100}
		want := feed(whole, bytes.Clone(stream), len(stream)+1)
		got := feed(cut, bytes.Clone(stream), int(step)+1)
		if strings.Join(got, "\n--\n") != strings.Join(want, "\n--\n") {
			t.Fatalf("in one piece: %q\nin steps of %d: %q", want, int(step)+1, got)
		}
		if limit := 2*(maxHead+100) + 8192; len(cut.buf) > limit {
			t.Fatalf("the buffer has %d octets", len(cut.buf))
		}
	})
}
