package sip

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"strconv"
	"strings"
	"testing"
)

func compressed(t testing.TB, make func(io.Writer) io.WriteCloser, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := make(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var (
	asGzip    = func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }
	asZlib    = func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }
	asDeflate = func(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 9); return f }
)

// TestCompressed: linphone sends its notifications so.
func TestCompressed(t *testing.T) {
	for _, test := range []struct {
		encoding, body string
		answer, text   string
	}{
		{"gzip", compressed(t, asGzip, "grüß dich"), "202 Accepted", "grüß dich"},
		{"deflate", compressed(t, asZlib, "grüß dich"), "202 Accepted", "grüß dich"},
		{"Deflate", compressed(t, asDeflate, "grüß dich"), "202 Accepted", "grüß dich"},
		{"identity", "grüß dich", "202 Accepted", "grüß dich"},
		{"gzip", "grüß dich", "400 Bad Content-Encoding", ""},
		{"deflate", compressed(t, asZlib, "grüß dich")[:8], "400 Bad Content-Encoding", ""},
		{"br", "x", "415 Unsupported Media Type", ""},
		{"gzip, gzip", compressed(t, asGzip, compressed(t, asGzip, "x")), "415 Unsupported Media Type", ""},
		{"gzip", compressed(t, asGzip, strings.Repeat("x", 1000)), "202 Accepted", strings.Repeat("x", 1000)},
		{"gzip", compressed(t, asGzip, strings.Repeat("x", 1001)), "413 Request Entity Too Large", ""},
		{"deflate", compressed(t, asZlib, strings.Repeat("x", 1<<20)), "413 Request Entity Too Large", ""},
	} {
		b := newBench(Config{MaxBody: 1000})
		if len(test.body) > 1000 { // a bomb whose wrapping is small enough
			b = newBench(Config{MaxBody: len(test.body)})
		}
		b.hear(aMessage("hello", test.body, "Content-Length: 5", "Content-Encoding: "+test.encoding+"\r\nContent-Length: "+strconv.Itoa(len(test.body))))
		answer := b.last(t)
		if !strings.HasPrefix(answer, "SIP/2.0 "+test.answer) || strings.HasPrefix(test.answer, "415") && !strings.Contains(answer, acceptEncoding) {
			t.Errorf("%s: %s, want %s", test.encoding, answer, test.answer)
		}
		if len(b.got) > 0 && b.got[0].Text != test.text || len(b.got) == 0 && test.text != "" {
			t.Errorf("%s: %+v", test.encoding, b.got)
		}
	}
}

// FuzzCompressed: whatever is in it, what comes out is bounded.
func FuzzCompressed(f *testing.F) {
	f.Add(uint8(0), []byte(compressed(f, asGzip, strings.Repeat("x", 5000))))
	f.Add(uint8(1), []byte(compressed(f, asZlib, "hello")))
	f.Add(uint8(1), []byte(compressed(f, asDeflate, "hello")))
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		out, r := uncompress([]string{"gzip", "deflate"}[kind%2], b, 100)
		if len(out) > 100 || r.code != 0 && out != nil {
			t.Fatalf("%d octets, %d", len(out), r.code)
		}
	})
}
