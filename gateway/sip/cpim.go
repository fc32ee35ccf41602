package sip

import (
	"bytes"
	"strings"
)

// The bounds of what is in a body.
const (
	maxNesting    = 3   // bodies in bodies
	maxCPIMFields = 64  // header fields of one level of a CPIM message
	maxCPIMValue  = 512 // octets of a value that is kept, to be quoted in a report
)

const imdnNamespace = "urn:ietf:params:imdn"

// cpim is the header of a CPIM message (RFC 3862), as far as it is of use here.
type cpim struct {
	from, to, dateTime string
	messageID          string // imdn.Message-ID
	positive, negative bool   // what imdn.Disposition-Notification asks for (RFC 5438, 6.2)
}

// parseCPIM takes a CPIM message apart: its own header, that of its content, and the content (RFC 3862, 3). Lines may end with LF
// alone. It is false for what is none.
func parseCPIM(b []byte) (c *cpim, contentType, transfer string, content []byte, ok bool) {
	c = &cpim{}
	// A field's prefix names its namespace: `NS: imdn <urn:ietf:params:imdn>` comes before it is used (RFC 3862, 4.6).
	imdn := ""
	b, ok = cpimFields(b, func(name, value string) {
		switch {
		case strings.EqualFold(name, "From"):
			keep(&c.from, value)
		case strings.EqualFold(name, "To"):
			keep(&c.to, value)
		case strings.EqualFold(name, "DateTime"):
			keep(&c.dateTime, value)
		case strings.EqualFold(name, "NS"):
			prefix, uri, _ := strings.Cut(value, "<")
			if uri, _, _ = strings.Cut(uri, ">"); strings.TrimSpace(uri) == imdnNamespace {
				imdn = strings.TrimSpace(prefix) + "."
			}
		case imdn == "":
		case strings.EqualFold(name, imdn+"Message-ID"), imdn == "." && strings.EqualFold(name, "Message-ID"):
			keep(&c.messageID, value)
		case strings.EqualFold(name, imdn+"Disposition-Notification"), imdn == "." && strings.EqualFold(name, "Disposition-Notification"):
			for wish := range strings.SplitSeq(value, ",") {
				wish, _, _ = strings.Cut(wish, ";")
				switch strings.ToLower(strings.TrimSpace(wish)) {
				case "positive-delivery":
					c.positive = true
				case "negative-delivery":
					c.negative = true
				}
			}
		}
	})
	if !ok || c.from == "" && c.to == "" && c.messageID == "" && c.dateTime == "" {
		return nil, "", "", nil, false // some header it must have, or it is no CPIM at all
	}
	contentType = "text/plain" // RFC 2045, 5.2
	content, ok = cpimFields(b, func(name, value string) {
		switch {
		case strings.EqualFold(name, "Content-Type"):
			contentType = value
		case strings.EqualFold(name, "Content-Transfer-Encoding"):
			transfer = value
		}
	})
	return c, contentType, transfer, content, ok
}

// keep keeps the first value of a field, without what would break the lines of a report that quotes it.
func keep(field *string, value string) {
	if value = printable(value); *field == "" && len(value) <= maxCPIMValue {
		*field = value
	}
}

// cpimFields reads header fields up to the empty line, and gives what comes after it. A line that begins with a blank goes on
// from the last.
func cpimFields(b []byte, field func(name, value string)) (rest []byte, ok bool) {
	for range maxCPIMFields {
		line, after, found := bytes.Cut(b, []byte("\n"))
		if !found {
			return nil, false
		}
		b = after
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 {
			return b, true
		}
		text := string(line)
		for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
			if line, after, found = bytes.Cut(b, []byte("\n")); !found {
				return nil, false
			}
			b = after
			text += " " + string(bytes.TrimSpace(line))
		}
		name, value, colon := strings.Cut(text, ":")
		if !colon {
			return nil, false
		}
		field(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return nil, false
}
