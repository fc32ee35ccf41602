package sip

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"strings"
)

// acceptEncoding is what bodies may be compressed with.
const acceptEncoding = "Accept-Encoding: identity, deflate, gzip\r\n"

// uncompress undoes a Content-Encoding (RFC 3261, 20.12). What it makes has limit octets at the most: more is refused with 413, whatever it
// came in. Deflate is zlib's format, and often what is within it alone (RFC 9110, 8.4.1.2).
func uncompress(contentEncoding string, body []byte, limit int) ([]byte, refusal) {
	encodings := strings.FieldsFunc(strings.ToLower(contentEncoding), func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
	if len(encodings) > 1 {
		return nil, refusal{code: 415, header: acceptEncoding} // one in another is nothing but a bomb
	}
	var r io.Reader
	var err error
	switch strings.Join(encodings, "") {
	case "", "identity":
		return body, refusal{}
	case "gzip", "x-gzip":
		r, err = gzip.NewReader(bytes.NewReader(body))
	case "deflate":
		if r, err = zlib.NewReader(bytes.NewReader(body)); err != nil {
			r, err = flate.NewReader(bytes.NewReader(body)), nil
		}
	default:
		return nil, refusal{code: 415, header: acceptEncoding}
	}
	var out []byte
	if err == nil {
		out, err = io.ReadAll(io.LimitReader(r, int64(limit)+1))
	}
	switch {
	case err != nil:
		return nil, refusal{code: 400, reason: "Bad Content-Encoding"}
	case len(out) > limit:
		return nil, refusal{code: 413}
	}
	return out, refusal{}
}
