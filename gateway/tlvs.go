package gateway

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

// Optional parameters have names in events and in the MI: the connection's own (options.tlvs), else the specification's, else the
// number of the tag.

// TLVs gives optional parameters their names: those that the leg has for them. One that is there twice has #2 behind its name.
// nil where there are none.
func (g *Gateway) TLVs(leg sms.Leg, tlvs []sms.TLV) map[string][]byte {
	if len(tlvs) == 0 {
		return nil
	}
	names := g.tlvNames(leg)
	named := make(map[string][]byte, len(tlvs))
	for _, t := range tlvs {
		name := names.Name(t.Tag)
		if own := wire.TagName(t.Tag); own != "" && strings.HasPrefix(name, "0x") {
			name = own
		}
		key := name
		for n := 2; ; n++ {
			if _, taken := named[key]; !taken {
				break
			}
			key = name + "#" + strconv.Itoa(n)
		}
		named[key] = t.Value
	}
	return named
}

func (g *Gateway) tlvNames(leg sms.Leg) sms.TLVNames {
	t := g.table.Load()
	if t == nil || leg.Kind != sms.LegConnection {
		return ""
	}
	return t.rows[leg.Name].TLVNames
}

// Bounds of the optional parameters that one message may be given.
const (
	maxTLVs      = 32
	maxTLVOctets = 4096
)

// ParseTLVs reads optional parameters for a message that goes by a connection, or by any where the name is empty. A key is a name
// or a tag such as 0x1400. A value is hexadecimal digits; what is none is a text, whose octets are taken as they are, and so is
// everything behind `text:`.
func (g *Gateway) ParseTLVs(connection string, values map[string]string) ([]sms.TLV, error) {
	if len(values) > maxTLVs {
		return nil, fmt.Errorf("%d are too many: the most is %d", len(values), maxTLVs)
	}
	var tlvs []sms.TLV
	octets := 0
	for _, name := range slices.Sorted(maps.Keys(values)) {
		tag, err := g.tlvTag(connection, name)
		if err != nil {
			return nil, err
		}
		value, err := tlvValue(values[name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if slices.ContainsFunc(tlvs, func(t sms.TLV) bool { return t.Tag == tag }) {
			return nil, fmt.Errorf("%s is given twice", sms.FormatTag(tag))
		}
		if octets += len(value); octets > maxTLVOctets {
			return nil, fmt.Errorf("they have more than %d octets", maxTLVOctets)
		}
		tlvs = append(tlvs, sms.TLV{Tag: tag, Value: value})
	}
	return tlvs, nil
}

func (g *Gateway) tlvTag(connection, name string) (tag uint16, err error) {
	found := false
	if t := g.table.Load(); t != nil {
		for _, row := range t.rows {
			if connection != "" && row.Name != connection {
				continue
			}
			its, known := row.TLVNames.Tag(name)
			if known && found && its != tag {
				return 0, fmt.Errorf("%s means one thing to one connection and another to another: say which connection, or give its tag", name)
			}
			if known {
				tag, found = its, true
			}
		}
	}
	if !found {
		tag, found = sms.TLVNames("").Tag(name)
	}
	if !found {
		tag, found = wire.TagOf(name)
	}
	switch tag {
	case wire.TagMessagePayload, wire.TagSARMsgRefNum, wire.TagSARTotalSegments, wire.TagSARSegmentSeqnum:
		return 0, fmt.Errorf("%s is for the gateway to set", name)
	}
	if !found {
		return 0, fmt.Errorf("%s is no optional parameter that is known: give its tag, as 0x1400, or name it in options.tlvs of the connection", name)
	}
	return tag, nil
}

var errOddDigits = errors.New(`an odd number of hexadecimal digits: write two for each octet, or text: before what is a text`)

func tlvValue(s string) ([]byte, error) {
	if text, ok := strings.CutPrefix(s, "text:"); ok {
		return []byte(text), nil
	}
	octets, err := hex.DecodeString(s)
	switch {
	case err == nil:
		return octets, nil
	case errors.Is(err, hex.ErrLength):
		return nil, errOddDigits
	}
	return []byte(s), nil
}
