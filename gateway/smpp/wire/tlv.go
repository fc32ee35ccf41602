package wire

import (
	"encoding/binary"

	"sipsmpp/gateway/sms"
)

// The tags of optional parameters (SMPP 3.4, 5.3.2) that the gateway reads or writes. Any other passes as it is.
const (
	TagPayloadType              uint16 = 0x0019
	TagAdditionalStatusInfoText uint16 = 0x001D
	TagReceiptedMessageID       uint16 = 0x001E
	TagUserMessageReference     uint16 = 0x0204
	TagSourcePort               uint16 = 0x020A
	TagDestinationPort          uint16 = 0x020B
	TagSARMsgRefNum             uint16 = 0x020C
	TagLanguageIndicator        uint16 = 0x020D
	TagSARTotalSegments         uint16 = 0x020E
	TagSARSegmentSeqnum         uint16 = 0x020F
	TagSCInterfaceVersion       uint16 = 0x0210
	TagCallbackNum              uint16 = 0x0381
	TagDPFResult                uint16 = 0x0420
	TagMSAvailabilityStatus     uint16 = 0x0422
	TagNetworkErrorCode         uint16 = 0x0423
	TagMessagePayload           uint16 = 0x0424
	TagDeliveryFailureReason    uint16 = 0x0425
	TagMoreMessagesToSend       uint16 = 0x0426
	TagMessageState             uint16 = 0x0427
	TagCongestionState          uint16 = 0x0428 // SMPP 5.0, 4.8.4.18
	TagUSSDServiceOp            uint16 = 0x0501
)

// TLVs are optional parameters in the order that they came, doubled and empty ones too.
type TLVs []sms.TLV

// Get gives the value of the first parameter with that tag.
func (t TLVs) Get(tag uint16) ([]byte, bool) {
	for i := range t {
		if t[i].Tag == tag {
			return t[i].Value, true
		}
	}
	return nil, false
}

// Uint gives the first parameter with that tag as an integer of one, two or four octets; false where there is none or its
// length is another.
func (t TLVs) Uint(tag uint16) (uint32, bool) {
	v, _ := t.Get(tag)
	switch len(v) {
	case 1:
		return uint32(v[0]), true
	case 2:
		return uint32(binary.BigEndian.Uint16(v)), true
	case 4:
		return binary.BigEndian.Uint32(v), true
	}
	return 0, false
}

// AppendTLV appends one optional parameter. A value of more than 65,535 octets is the caller's fault: see AppendTLVs.
func AppendTLV(dst []byte, tag uint16, value ...byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, tag)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(value)))
	return append(dst, value...)
}

func appendTLVs(dst []byte, tlvs TLVs) ([]byte, error) {
	for i := range tlvs {
		if len(tlvs[i].Value) > 0xFFFF {
			return dst, &BodyError{Field: "tlv", Status: StatusInvalidTLVLength, Err: ErrTooLong}
		}
		dst = AppendTLV(dst, tlvs[i].Tag, tlvs[i].Value...)
	}
	return dst, nil
}
