package sip

import (
	"bytes"
	"strconv"

	"github.com/emiago/sipgo/sip"
)

// plainURI reads a URI of the commonest form, sip:USER@HOST or sip:USER@HOST:PORT of letters, digits and a few marks, as the parser
// would, in a tenth of its time. It is false for any other, which is the parser's.
func plainURI(b []byte, uri *sip.Uri) bool {
	rest, ok := bytes.CutPrefix(b, []byte("sip:"))
	if !ok {
		return false
	}
	user := plainLength(rest, "+._-")
	if user == 0 || user == len(rest) || rest[user] != '@' {
		return false
	}
	rest = rest[user+1:]
	host, port := plainLength(rest, ".-"), 0
	if host == 0 {
		return false
	}
	if host < len(rest) {
		digits := rest[host+1:]
		if rest[host] != ':' || len(digits) == 0 || len(digits) > 5 {
			return false
		}
		for _, c := range digits {
			if c < '0' || c > '9' {
				return false
			}
			port = 10*port + int(c-'0')
		}
		if port > 65535 || strconv.Itoa(port) != string(digits) {
			return false
		}
	}
	text := string(b[len("sip:") : len("sip:")+user+1+host])
	*uri = sip.Uri{Scheme: "sip", User: text[:user], Host: text[user+1:], Port: port}
	return true
}

// plainAddress is the same for the value of a From: such a URI in angle brackets, and a tag.
func plainAddress(b []byte, uri *sip.Uri) bool {
	end := bytes.IndexByte(b, '>')
	if end < 1 || b[0] != '<' {
		return false
	}
	if rest := b[end+1:]; len(rest) > 0 {
		tag, ok := bytes.CutPrefix(rest, []byte(";tag="))
		if !ok || len(tag) == 0 || plainLength(tag, "+._-") != len(tag) {
			return false
		}
	}
	return plainURI(b[1:end], uri)
}

// plainLength is how many letters, digits and marks b begins with.
func plainLength(b []byte, marks string) int {
	for i, c := range b {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && !containsByte(marks, c) {
			return i
		}
	}
	return len(b)
}

func containsByte(s string, c byte) bool {
	for i := range len(s) {
		if s[i] == c {
			return true
		}
	}
	return false
}
