package sms

import (
	"fmt"
	"strconv"
	"strings"
)

// TLVNames are the names that a connection gives to optional parameters, those of its vendor above all: options.tlvs. It is a
// string so that it can be compared: `0x1400=operator_id,0x1401=tariff`, in the order of the tags.
type TLVNames string

// Name gives a tag its name here, or its number: 0x1400.
func (n TLVNames) Name(tag uint16) string {
	number := FormatTag(tag)
	if _, rest, found := strings.Cut(","+string(n), ","+number+"="); found {
		name, _, _ := strings.Cut(rest, ",")
		return name
	}
	return number
}

// Tag gives the tag of a name, or of a number as ParseTag reads it.
func (n TLVNames) Tag(name string) (uint16, bool) {
	for pair := range strings.SplitSeq(string(n), ",") {
		if number, known, _ := strings.Cut(pair, "="); known == name && name != "" {
			return ParseTag(number)
		}
	}
	return ParseTag(name)
}

// FormatTag writes a tag as the specification does: 0x020C.
func FormatTag(tag uint16) string { return fmt.Sprintf("0x%04X", tag) }

// ParseTag reads a tag: 0x1400, or 5120.
func ParseTag(s string) (uint16, bool) {
	tag, err := strconv.ParseUint(s, 0, 16)
	return uint16(tag), err == nil && s != "" && s[0] >= '0' && s[0] <= '9' && !strings.Contains(s, "_")
}

// StatusClasses move a command_status of a connection's peer to another class: options.statuses. It is a string so that it can
// be compared: `0x45=permanent,0x400=throttled`, in the order of the numbers.
type StatusClasses string

// Map gives the severity of each status that is moved; nil where none is.
func (c StatusClasses) Map() map[uint32]Severity {
	if c == "" {
		return nil
	}
	classes := make(map[uint32]Severity)
	for pair := range strings.SplitSeq(string(c), ",") {
		number, name, _ := strings.Cut(pair, "=")
		status, err := strconv.ParseUint(number, 0, 32)
		if severity, ok := ParseSeverity(name); ok && err == nil {
			classes[uint32(status)] = severity
		}
	}
	return classes
}
