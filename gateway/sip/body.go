package sip

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
)

// maxParts is how many parts of a multipart body are looked at for text.
const maxParts = 16

// content is what a body has for us: a text, or a notification.
type content struct {
	text         string
	cpim         *cpim // the header that it came with, where it came in CPIM
	notification *Notification
}

// decodeBody makes text of a body, whatever charset and wrapping it is in; octets that are none of that charset become U+FFFD.
// It is false for a type that we do not take: 415.
func decodeBody(contentType string, body []byte) (content, bool) {
	if strings.EqualFold(contentType, "text/plain") || strings.EqualFold(contentType, "text/plain;charset=utf-8") {
		text, ok := decodeCharset("utf-8", body)
		return content{text: text}, ok
	}
	return decodeNested(contentType, body, 0)
}

func decodeNested(contentType string, body []byte, depth int) (content, bool) {
	kind, parameters, err := mime.ParseMediaType(contentType)
	if err != nil || depth == maxNesting {
		return content{}, false
	}
	switch kind {
	case "text/plain":
		text, ok := decodeCharset(parameters["charset"], body)
		return content{text: text}, ok
	case "multipart/mixed":
		return decodeParts(parameters["boundary"], body, depth)
	case "message/cpim":
		header, kind, transfer, inner, ok := parseCPIM(body)
		if !ok {
			return content{}, false
		}
		if inner, ok = decodeTransfer(transfer, inner); !ok {
			return content{}, false
		}
		c, ok := decodeNested(kind, inner, depth+1)
		if c.cpim == nil { // else the one within is that of the text
			c.cpim = header
		}
		return c, ok
	case "message/imdn+xml":
		n, ok := parseIMDN(body)
		return content{notification: n}, ok
	}
	return content{}, false
}

// decodeParts is the first part that we take (RFC 2046, 5.1).
func decodeParts(boundary string, body []byte, depth int) (content, bool) {
	if boundary == "" {
		return content{}, false
	}
	r := multipart.NewReader(bytes.NewReader(body), boundary)
	for range maxParts {
		part, err := r.NextPart() // and so with quoted-printable resolved
		if err != nil {
			return content{}, false
		}
		kind := part.Header.Get("Content-Type")
		if kind == "" {
			kind = "text/plain"
		}
		octets, err := io.ReadAll(part)
		if err != nil {
			return content{}, false
		}
		octets, ok := decodeTransfer(part.Header.Get("Content-Transfer-Encoding"), octets)
		if !ok {
			continue
		}
		if c, ok := decodeNested(kind, octets, depth+1); ok {
			return c, true
		}
	}
	return content{}, false
}

// decodeTransfer undoes a Content-Transfer-Encoding (RFC 2045, 6). It is false for one that is none.
func decodeTransfer(encoding string, b []byte) ([]byte, bool) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "binary", "8bit", "7bit":
		return b, true
	case "base64":
		out, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(b))) // line ends are passed over
		return out, err == nil
	case "quoted-printable":
		out, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(b)))
		return out, err == nil
	}
	return nil, false
}

func decodeCharset(charset string, b []byte) (string, bool) {
	var enc encoding.Encoding
	switch strings.ToLower(charset) {
	case "", "utf-8", "utf8", "us-ascii": // RFC 3428, 10: UTF-8 where nothing is said
		if utf8.Valid(b) {
			return string(b), true
		}
		return strings.ToValidUTF8(string(b), "\uFFFD"), true
	case "utf-16": // RFC 2781, 4.3; WHATWG's index would take it for little endian
		enc = unicode.UTF16(unicode.BigEndian, unicode.UseBOM)
	case "utf-16be":
		enc = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	default:
		var err error
		if enc, err = htmlindex.Get(charset); err != nil || enc == encoding.Replacement {
			return "", false
		}
	}
	text, err := enc.NewDecoder().Bytes(b)
	if err != nil {
		return "", false
	}
	return string(text), true
}
