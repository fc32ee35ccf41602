package sip

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
)

// maxParts is how many parts of a multipart body are looked at for text.
const maxParts = 16

// decodeText makes text of a body, whatever charset it is in; octets that are none of that charset become U+FFFD. It is false
// for a type that we do not take: 415.
func decodeText(contentType string, body []byte) (string, bool) {
	if strings.EqualFold(contentType, "text/plain") || strings.EqualFold(contentType, "text/plain;charset=utf-8") {
		return decodeCharset("utf-8", body)
	}
	kind, parameters, err := mime.ParseMediaType(contentType)
	if err != nil {
		return "", false
	}
	switch kind {
	case "text/plain":
		return decodeCharset(parameters["charset"], body)
	case "multipart/mixed":
		return decodeParts(parameters["boundary"], body)
	}
	return "", false
}

// decodeParts is the text of the first text part (RFC 2046, 5.1).
func decodeParts(boundary string, body []byte) (string, bool) {
	if boundary == "" {
		return "", false
	}
	r := multipart.NewReader(bytes.NewReader(body), boundary)
	for range maxParts {
		part, err := r.NextPart() // and so with quoted-printable resolved
		if err != nil {
			return "", false
		}
		kind, parameters, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if err != nil && part.Header.Get("Content-Type") != "" || err == nil && kind != "text/plain" {
			continue
		}
		if e := part.Header.Get("Content-Transfer-Encoding"); e != "" && !isPlainTransfer(e) {
			continue
		}
		text, err := io.ReadAll(part)
		if err != nil {
			return "", false
		}
		return decodeCharset(parameters["charset"], text)
	}
	return "", false
}

// isPlainTransfer says that an encoding leaves the octets as they are (RFC 2045, 6.2).
func isPlainTransfer(e string) bool {
	return strings.EqualFold(e, "binary") || strings.EqualFold(e, "8bit") || strings.EqualFold(e, "7bit")
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
