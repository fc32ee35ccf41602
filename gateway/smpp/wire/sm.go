package wire

import "sipsmpp/gateway/sms"

// SM is the body of submit_sm and of deliver_sm, which have the same fields (SMPP 3.4, 4.4.1 and 4.6.1).
type SM struct {
	ServiceType          string
	Source               sms.Address
	Dest                 sms.Address
	ESMClass             uint8
	ProtocolID           uint8
	PriorityFlag         uint8
	ScheduleDeliveryTime string // see ParseTime
	ValidityPeriod       string // see ParseTime
	RegisteredDelivery   uint8
	ReplaceIfPresent     uint8
	DataCoding           uint8
	SMDefaultMsgID       uint8
	ShortMessage         []byte // at most 254 octets by the specification; 255 pass, since sm_length can say so
	TLVs                 TLVs
}

// The bits of esm_class (SMPP 3.4, 5.2.12).
const (
	ESMClassTypeMask     uint8 = 0x3C
	ESMClassReceipt      uint8 = 0x04
	ESMClassDeliveryAck  uint8 = 0x08
	ESMClassManualAck    uint8 = 0x10
	ESMClassIntermediate uint8 = 0x20
	ESMClassUDHI         uint8 = 0x40
	ESMClassReplyPath    uint8 = 0x80
)

// The values of registered_delivery that ask an SMSC for receipts (SMPP 3.4, 5.2.17).
const (
	RegisteredFinal        uint8 = 0x01
	RegisteredFailure      uint8 = 0x02
	RegisteredIntermediate uint8 = 0x10
)

// AppendBody appends the octets.
func (p *SM) AppendBody(dst []byte) ([]byte, error) {
	w := writer{b: dst}
	w.string(&fServiceType, p.ServiceType)
	w.address(&fSource, p.Source)
	w.address(&fDest, p.Dest)
	w.uint8(p.ESMClass, p.ProtocolID, p.PriorityFlag)
	w.string(&fSchedule, p.ScheduleDeliveryTime)
	w.string(&fValidity, p.ValidityPeriod)
	w.uint8(p.RegisteredDelivery, p.ReplaceIfPresent, p.DataCoding, p.SMDefaultMsgID)
	w.shortMessage(p.ShortMessage)
	w.tlvs(p.TLVs)
	return w.done()
}

// DecodeBody reads the octets.
func (p *SM) DecodeBody(b []byte) error {
	c := cursor{b: b}
	p.ServiceType = c.string(&fServiceType)
	p.Source = c.address(&fSource)
	p.Dest = c.address(&fDest)
	p.ESMClass = c.uint8("esm_class")
	p.ProtocolID = c.uint8("protocol_id")
	p.PriorityFlag = c.uint8("priority_flag")
	p.ScheduleDeliveryTime = c.string(&fSchedule)
	p.ValidityPeriod = c.string(&fValidity)
	p.RegisteredDelivery = c.uint8("registered_delivery")
	p.ReplaceIfPresent = c.uint8("replace_if_present_flag")
	p.DataCoding = c.uint8("data_coding")
	p.SMDefaultMsgID = c.uint8("sm_default_msg_id")
	p.ShortMessage = c.shortMessage()
	p.TLVs = c.tlvs(p.TLVs)
	return c.error()
}

// DataSM is the body of data_sm (SMPP 3.4, 4.7.1). What it carries is in TLV message_payload.
type DataSM struct {
	ServiceType        string
	Source             sms.Address
	Dest               sms.Address
	ESMClass           uint8
	RegisteredDelivery uint8
	DataCoding         uint8
	TLVs               TLVs
}

// AppendBody appends the octets.
func (p *DataSM) AppendBody(dst []byte) ([]byte, error) {
	w := writer{b: dst}
	w.string(&fServiceType, p.ServiceType)
	w.address(&fDataSource, p.Source)
	w.address(&fDataDest, p.Dest)
	w.uint8(p.ESMClass, p.RegisteredDelivery, p.DataCoding)
	w.tlvs(p.TLVs)
	return w.done()
}

// DecodeBody reads the octets.
func (p *DataSM) DecodeBody(b []byte) error {
	c := cursor{b: b}
	p.ServiceType = c.string(&fServiceType)
	p.Source = c.address(&fDataSource)
	p.Dest = c.address(&fDataDest)
	p.ESMClass = c.uint8("esm_class")
	p.RegisteredDelivery = c.uint8("registered_delivery")
	p.DataCoding = c.uint8("data_coding")
	p.TLVs = c.tlvs(p.TLVs)
	return c.error()
}

// SMResp is the body of submit_sm_resp, deliver_sm_resp and data_sm_resp. An error response may have none (SMPP 3.4, 4.4.2):
// an empty body decodes to the zero value, and a nil Body writes one.
type SMResp struct {
	MessageID string
	TLVs      TLVs
}

// AppendBody appends the octets.
func (p *SMResp) AppendBody(dst []byte) ([]byte, error) {
	w := writer{b: dst}
	w.string(&fMessageID, p.MessageID)
	w.tlvs(p.TLVs)
	return w.done()
}

// DecodeBody reads the octets. A response that was meant to say yes says so whatever its body is, so where no NUL ends the
// message_id it is taken to the end of the body, and set beside the error.
func (p *SMResp) DecodeBody(b []byte) error {
	if len(b) == 0 {
		p.MessageID, p.TLVs = "", p.TLVs[:0]
		return nil
	}
	c := cursor{b: b}
	p.MessageID = c.string(&fMessageID)
	p.TLVs = c.tlvs(p.TLVs)
	if c.err != nil && c.err.Err == ErrNoNUL {
		p.MessageID = string(b)
	}
	return c.error()
}
