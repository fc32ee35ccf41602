package gatewaytest

import (
	"encoding/binary"
	"strings"
	"time"
)

// Incoming is a submit_sm or deliver_sm that a scripted peer received: one segment, its octets as they came.
type Incoming struct {
	Bind     BindInfo // of whom it came; at an ESME its own
	Sequence uint32
	At       time.Time

	ServiceType        string
	From, To           string // as they stand on the wire
	FromTON, FromNPI   uint8
	ToTON, ToNPI       uint8
	ESMClass           uint8
	ProtocolID         uint8
	Priority           uint8
	ScheduleTime       string
	ValidityPeriod     string
	RegisteredDelivery uint8
	ReplaceIfPresent   uint8
	DataCoding         uint8
	ShortMessage       []byte
	TLVs               []TLV

	MessageID string // what the SMSC gives it; empty at an ESME
	Status    uint32 // the command_status that it is answered with
	Raw       []byte // the whole PDU
}

// Submit is a submit_sm that an SMSC received.
type Submit = Incoming

// newIncoming copies a PDU that parseSM took.
func newIncoming(p []byte, at time.Time) Incoming {
	raw := append([]byte(nil), p...)
	v, _ := parseSM(raw[headerLength:]) // the same octets were read before
	in := Incoming{
		Sequence: parseHeader(raw).sequence, At: at, Raw: raw,
		ServiceType: string(v.serviceType), From: string(v.from), To: string(v.to),
		FromTON: v.fromTON, FromNPI: v.fromNPI, ToTON: v.toTON, ToNPI: v.toNPI,
		ESMClass: v.esmClass, ProtocolID: v.protocol, Priority: v.priority,
		ScheduleTime: string(v.schedule), ValidityPeriod: string(v.validity),
		RegisteredDelivery: v.registered, ReplaceIfPresent: v.replace, DataCoding: v.dataCoding,
		ShortMessage: v.short,
	}
	for rest := v.tlvs; len(rest) > 0; {
		var t TLV
		t, rest, _ = nextTLV(rest)
		in.TLVs = append(in.TLVs, t)
	}
	return in
}

// TLV gives the first optional parameter with that tag.
func (in *Incoming) TLV(tag uint16) ([]byte, bool) {
	for _, t := range in.TLVs {
		if t.Tag == tag {
			return t.Value, true
		}
	}
	return nil, false
}

// UDH is the user data header without its length octet; nil where esm_class announces none.
func (in *Incoming) UDH() []byte {
	udh, _ := in.userData()
	return udh
}

// Octets is the user data: short_message or message_payload, without the user data header.
func (in *Incoming) Octets() []byte {
	_, body := in.userData()
	return body
}

func (in *Incoming) userData() (udh, body []byte) {
	body = in.ShortMessage
	if payload, ok := in.TLV(TagMessagePayload); ok && len(body) == 0 {
		body = payload
	}
	if in.ESMClass&0x40 != 0 && len(body) > 0 && int(body[0]) < len(body) {
		n := 1 + int(body[0])
		return body[1:n], body[n:]
	}
	return nil, body
}

// Text is the text of this segment as data_coding says; what is no text is hexadecimal.
func (in *Incoming) Text() string { return decodeText(in.DataCoding, in.Octets()) }

// Part says which part of which message this segment is, by its UDH or its sar_ TLVs. A message that is alone is part 1 of 1.
func (in *Incoming) Part() (reference uint16, total, sequence uint8) {
	for udh := in.UDH(); len(udh) >= 2 && len(udh) >= 2+int(udh[1]); udh = udh[2+int(udh[1]):] {
		switch {
		case udh[0] == 0x00 && udh[1] == 3: // 3GPP TS 23.040, 9.2.3.24.1
			return uint16(udh[2]), udh[3], udh[4]
		case udh[0] == 0x08 && udh[1] == 4: // 9.2.3.24.8
			return binary.BigEndian.Uint16(udh[2:]), udh[4], udh[5]
		}
	}
	ref, _ := in.TLV(TagSARReference)
	n, _ := in.TLV(TagSARTotal)
	seq, _ := in.TLV(TagSARSequence)
	if len(ref) == 2 && len(n) == 1 && len(seq) == 1 {
		return binary.BigEndian.Uint16(ref), n[0], seq[0]
	}
	return 0, 1, 1
}

// JoinText is the text of the segments of one message, in the order of their parts, whatever order they came in.
func JoinText(segments ...Incoming) string {
	texts := make([]string, 256)
	for i := range segments {
		_, _, seq := segments[i].Part()
		texts[seq] = segments[i].Text()
	}
	return strings.Join(texts, "")
}

// LongForm is how a text that needs several segments leaves.
type LongForm uint8

// The ways of a long text.
const (
	UDH16   LongForm = iota // UDH with a 16-bit reference
	UDH8                    // UDH with an 8-bit reference
	SAR                     // sar_ TLVs
	Payload                 // one PDU with message_payload
)

// Outgoing is a message that a scripted peer sends: by SMSC.Deliver as deliver_sm, by ESME.Submit as submit_sm.
type Outgoing struct {
	SystemID string // at an SMSC: to which ESME; empty is any that can receive

	// From and To with a '+' are TON 1, NPI 1 and lose it; what is no number is TON 5, NPI 0; unless a TON or NPI is given.
	From, To         string
	FromTON, FromNPI uint8
	ToTON, ToNPI     uint8

	// Text is encoded as DataCoding says; with DataCoding 0 in the GSM alphabet, one septet an octet, or else as UCS-2. One that
	// is too long leaves as Long says.
	Text string
	Long LongForm
	// ShortMessage goes as it is, in place of Text.
	ShortMessage []byte

	ServiceType        string
	ESMClass           uint8
	ProtocolID         uint8
	Priority           uint8
	ScheduleTime       string
	ValidityPeriod     string
	RegisteredDelivery uint8
	ReplaceIfPresent   uint8
	DataCoding         uint8
	TLVs               []TLV
}

// Deliver is a deliver_sm that an SMSC sends.
type Deliver = Outgoing

// segments gives the PDUs of o: with addresses and octets as they go on the wire. The reference joins the parts of one message.
func (o Outgoing) segments(reference uint16) ([]Outgoing, error) {
	o.From, o.FromTON, o.FromNPI = wireAddress(o.From, o.FromTON, o.FromNPI)
	o.To, o.ToTON, o.ToNPI = wireAddress(o.To, o.ToTON, o.ToNPI)
	if o.ShortMessage != nil || o.Text == "" {
		return []Outgoing{o}, nil
	}
	coding, parts, err := splitText(o.Text, o.DataCoding, o.Long)
	if err != nil {
		return nil, err
	}
	o.Text, o.DataCoding = "", coding
	if len(parts) == 1 {
		if o.Long == Payload && len(parts[0]) > 140 {
			o.TLVs = append(o.TLVs[:len(o.TLVs):len(o.TLVs)], TLV{TagMessagePayload, parts[0]})
		} else {
			o.ShortMessage = parts[0]
		}
		return []Outgoing{o}, nil
	}
	segments := make([]Outgoing, len(parts))
	for i, part := range parts {
		s := o
		total, seq := byte(len(parts)), byte(i+1)
		switch o.Long {
		case SAR:
			s.ShortMessage = part
			s.TLVs = append(s.TLVs[:len(s.TLVs):len(s.TLVs)],
				TLV{TagSARReference, binary.BigEndian.AppendUint16(nil, reference)},
				TLV{TagSARTotal, []byte{total}}, TLV{TagSARSequence, []byte{seq}})
		case UDH8:
			s.ESMClass |= 0x40
			s.ShortMessage = append([]byte{5, 0, 3, byte(reference), total, seq}, part...)
		default:
			s.ESMClass |= 0x40
			s.ShortMessage = append([]byte{6, 8, 4, byte(reference >> 8), byte(reference), total, seq}, part...)
		}
		segments[i] = s
	}
	return segments, nil
}

// wireAddress gives a number its TON and NPI where o has none.
func wireAddress(a string, ton, npi uint8) (string, uint8, uint8) {
	if ton != 0 || npi != 0 {
		return a, ton, npi
	}
	if rest, plus := strings.CutPrefix(a, "+"); plus {
		return rest, 1, 1
	}
	if strings.Trim(a, "0123456789*#") != "" {
		return a, 5, 0
	}
	return a, 0, 0
}
