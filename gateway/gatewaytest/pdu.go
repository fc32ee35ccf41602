package gatewaytest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/linxGnu/gosmpp/pdu"
)

// The command_ids that the peers know (SMPP 3.4, 5.1.2.1). A response has bit 31 set.
const (
	cmdBindReceiver    uint32 = 0x00000001
	cmdBindTransmitter uint32 = 0x00000002
	cmdQuerySM         uint32 = 0x00000003
	cmdSubmitSM        uint32 = 0x00000004
	cmdDeliverSM       uint32 = 0x00000005
	cmdUnbind          uint32 = 0x00000006
	cmdReplaceSM       uint32 = 0x00000007
	cmdCancelSM        uint32 = 0x00000008
	cmdBindTransceiver uint32 = 0x00000009
	cmdOutbind         uint32 = 0x0000000B
	cmdEnquireLink     uint32 = 0x00000015
	cmdSubmitMulti     uint32 = 0x00000021
	cmdDataSM          uint32 = 0x00000103
	cmdResponse        uint32 = 0x80000000
	cmdGenericNack            = cmdResponse
)

// The command_statuses that the peers give by themselves (SMPP 3.4, 5.1.3).
const (
	StatusOK            uint32 = 0x00
	StatusInvalidLength uint32 = 0x02
	StatusInvalidID     uint32 = 0x03
	StatusWrongState    uint32 = 0x04
	StatusAlreadyBound  uint32 = 0x05
	StatusSystemError   uint32 = 0x08
	StatusBindFailed    uint32 = 0x0D
	StatusWrongPassword uint32 = 0x0E
	StatusWrongSystemID uint32 = 0x0F
	StatusCancelFailed  uint32 = 0x11
	StatusReplaceFailed uint32 = 0x13
	StatusSubmitFailed  uint32 = 0x45
	StatusThrottled     uint32 = 0x58
	StatusQueryFailed   uint32 = 0x67
)

// The optional parameters that the peers read or write by themselves (SMPP 3.4, 5.3.2).
const (
	TagReceiptedMessageID uint16 = 0x001E
	TagSARReference       uint16 = 0x020C
	TagSARTotal           uint16 = 0x020E
	TagSARSequence        uint16 = 0x020F
	TagInterfaceVersion   uint16 = 0x0210
	TagMessagePayload     uint16 = 0x0424
	TagMessageState       uint16 = 0x0427
)

const (
	headerLength = 16
	maxPDU       = 64 << 10 // the most octets of one PDU that a peer reads
)

// ErrMalformed is what is said of octets that are no PDU.
var ErrMalformed = errors.New("not a PDU")

type header struct {
	length, command, status, sequence uint32
}

func parseHeader(b []byte) header {
	return header{
		binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]),
		binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:]),
	}
}

// appendHeader starts a PDU; finishPDU sets its command_length.
func appendHeader(b []byte, command, status, sequence uint32) []byte {
	b = append(b, 0, 0, 0, headerLength)
	b = binary.BigEndian.AppendUint32(b, command)
	b = binary.BigEndian.AppendUint32(b, status)
	return binary.BigEndian.AppendUint32(b, sequence)
}

func finishPDU(b []byte, start int) []byte {
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start))
	return b
}

// appendResponse writes a submit_sm_resp or deliver_sm_resp. A refusal has no body (SMPP 3.4, 4.4.2).
func appendResponse(b []byte, command, status, sequence uint32, id []byte) []byte {
	start := len(b)
	b = appendHeader(b, command, status, sequence)
	if status != StatusOK {
		return b
	}
	b = append(b, id...)
	return finishPDU(append(b, 0), start)
}

// TLV is an optional parameter (SMPP 3.4, 5.3), its octets as they stand on the wire.
type TLV struct {
	Tag   uint16
	Value []byte
}

func appendTLV(b []byte, t TLV) []byte {
	b = binary.BigEndian.AppendUint16(b, t.Tag)
	b = binary.BigEndian.AppendUint16(b, uint16(len(t.Value)))
	return append(b, t.Value...)
}

// appendSM writes a submit_sm or deliver_sm (SMPP 3.4, 4.4.1 and 4.6.1) of what o has: its octets, not its Text. What fits no
// PDU is cut: a test may ask for what a peer must refuse, but not for what has no octets.
func appendSM(b []byte, command, sequence uint32, o *Outgoing) []byte {
	start := len(b)
	b = appendHeader(b, command, 0, sequence)
	b = append(append(b, o.ServiceType...), 0)
	b = append(b, o.FromTON, o.FromNPI)
	b = append(append(b, o.From...), 0)
	b = append(b, o.ToTON, o.ToNPI)
	b = append(append(b, o.To...), 0)
	b = append(b, o.ESMClass, o.ProtocolID, o.Priority)
	b = append(append(b, o.ScheduleTime...), 0)
	b = append(append(b, o.ValidityPeriod...), 0)
	short := o.ShortMessage[:min(len(o.ShortMessage), 255)]
	b = append(b, o.RegisteredDelivery, o.ReplaceIfPresent, o.DataCoding, 0, byte(len(short)))
	b = append(b, short...)
	for _, t := range o.TLVs {
		b = appendTLV(b, t)
	}
	return finishPDU(b, start)
}

// smView is the body of a submit_sm or deliver_sm, its octets where they were read.
type smView struct {
	serviceType, from, to, schedule, validity    []byte
	fromTON, fromNPI, toTON, toNPI               byte
	esmClass, protocol, priority                 byte
	registered, replace, dataCoding, defaultText byte
	short, tlvs                                  []byte
}

// parseSM reads a body without its header.
func parseSM(b []byte) (v smView, err error) {
	c := cursor{b: b}
	v.serviceType = c.cstring()
	v.fromTON, v.fromNPI, v.from = c.octet(), c.octet(), c.cstring()
	v.toTON, v.toNPI, v.to = c.octet(), c.octet(), c.cstring()
	v.esmClass, v.protocol, v.priority = c.octet(), c.octet(), c.octet()
	v.schedule, v.validity = c.cstring(), c.cstring()
	v.registered, v.replace, v.dataCoding, v.defaultText = c.octet(), c.octet(), c.octet(), c.octet()
	v.short = c.take(int(c.octet()))
	v.tlvs = c.b
	if c.bad {
		return smView{}, fmt.Errorf("%w: the body of a message ends early", ErrMalformed)
	}
	for rest := v.tlvs; len(rest) > 0; {
		if _, rest, err = nextTLV(rest); err != nil {
			return smView{}, err
		}
	}
	return v, nil
}

// octets is the user data without its header, where it was read.
func (v *smView) octets() []byte {
	in := Incoming{ESMClass: v.esmClass, ShortMessage: v.short}
	for rest := v.tlvs; len(v.short) == 0 && len(rest) > 0; {
		var t TLV
		t, rest, _ = nextTLV(rest) // parseSM read it before
		if t.Tag == TagMessagePayload {
			in.ShortMessage = t.Value
			break
		}
	}
	return in.Octets()
}

func nextTLV(b []byte) (t TLV, rest []byte, err error) {
	if len(b) < 4 {
		return t, nil, fmt.Errorf("%w: %d octets where a TLV begins", ErrMalformed, len(b))
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if len(b) < 4+n {
		return t, nil, fmt.Errorf("%w: a TLV of %d octets has %d", ErrMalformed, n, len(b)-4)
	}
	return TLV{binary.BigEndian.Uint16(b), b[4 : 4+n]}, b[4+n:], nil
}

// cursor takes fields off the front of b; when one is missing it is bad, and gives zeros from then on.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) octet() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) take(n int) []byte {
	if c.bad || len(c.b) < n {
		c.bad = true
		return nil
	}
	field := c.b[:n:n]
	c.b = c.b[n:]
	return field
}

func (c *cursor) cstring() []byte {
	i := bytes.IndexByte(c.b, 0)
	if i < 0 {
		c.bad = true
		return nil
	}
	field := c.take(i + 1)
	return field[:max(0, len(field)-1)]
}

// parseControl reads a PDU of session control with gosmpp, which panics on some octets.
func parseControl(b []byte) (p pdu.PDU, err error) {
	defer func() {
		if r := recover(); r != nil {
			p, err = nil, fmt.Errorf("%w: %v", ErrMalformed, r)
		}
	}()
	return pdu.Parse(bytes.NewReader(b))
}

// marshalControl writes a PDU of session control with gosmpp, under our own sequence number.
func marshalControl(p pdu.PDU, sequence uint32) []byte {
	p.SetSequenceNumber(int32(sequence))
	buf := pdu.NewBuffer(nil)
	p.Marshal(buf)
	return buf.Bytes()
}
