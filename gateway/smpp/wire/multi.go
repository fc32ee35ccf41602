package wire

import (
	"encoding/binary"

	"sipsmpp/gateway/sms"
)

// SubmitMulti is the body of submit_multi (SMPP 3.4, 4.5.1).
type SubmitMulti struct {
	ServiceType          string
	Source               sms.Address
	Dests                []MultiDest // at most 254
	ESMClass             uint8
	ProtocolID           uint8
	PriorityFlag         uint8
	ScheduleDeliveryTime string
	ValidityPeriod       string
	RegisteredDelivery   uint8
	ReplaceIfPresent     uint8
	DataCoding           uint8
	SMDefaultMsgID       uint8
	ShortMessage         []byte
	TLVs                 TLVs
}

// MultiDest is one dest_address: an SME or, where Value is empty and List is not, a distribution list at the SMSC.
type MultiDest struct {
	sms.Address
	List string
}

// The values of dest_flag (SMPP 3.4, 5.2.25).
const (
	destSME  = 1
	destList = 2
)

// AppendBody appends the octets.
func (p *SubmitMulti) AppendBody(dst []byte) ([]byte, error) {
	w := writer{b: dst}
	w.string(&fServiceType, p.ServiceType)
	w.address(&fSource, p.Source)
	if len(p.Dests) > 255 {
		w.fail("number_of_dests", StatusInvalidNumberOfDests, ErrTooLong)
	}
	w.uint8(uint8(len(p.Dests)))
	for i := range p.Dests {
		if d := &p.Dests[i]; d.List != "" {
			w.uint8(destList)
			w.string(&fDLName, d.List)
		} else {
			w.uint8(destSME)
			w.address(&fDest, d.Address)
		}
	}
	w.uint8(p.ESMClass, p.ProtocolID, p.PriorityFlag)
	w.string(&fSchedule, p.ScheduleDeliveryTime)
	w.string(&fValidity, p.ValidityPeriod)
	w.uint8(p.RegisteredDelivery, p.ReplaceIfPresent, p.DataCoding, p.SMDefaultMsgID)
	w.shortMessage(p.ShortMessage)
	w.tlvs(p.TLVs)
	return w.done()
}

// DecodeBody reads the octets.
func (p *SubmitMulti) DecodeBody(b []byte) error {
	c := cursor{b: b}
	p.ServiceType = c.string(&fServiceType)
	p.Source = c.address(&fSource)
	p.Dests = p.Dests[:0]
	for n := c.uint8("number_of_dests"); n > 0 && c.err == nil; n-- {
		switch c.uint8("dest_flag") {
		case destSME:
			p.Dests = append(p.Dests, MultiDest{Address: c.address(&fDest)})
		case destList:
			p.Dests = append(p.Dests, MultiDest{List: c.string(&fDLName)})
		default:
			c.fail("dest_flag", StatusInvalidDestFlag, ErrDestFlag)
		}
	}
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

// SubmitMultiResp is the body of submit_multi_resp (SMPP 3.4, 4.5.2). An error response may have none.
type SubmitMultiResp struct {
	MessageID string
	Failed    []MultiFailure
	TLVs      TLVs
}

// MultiFailure is one unsuccess_sme: a destination that was refused, and why.
type MultiFailure struct {
	Dest   sms.Address
	Status Status
}

// AppendBody appends the octets.
func (p *SubmitMultiResp) AppendBody(dst []byte) ([]byte, error) {
	w := writer{b: dst}
	w.string(&fMessageID, p.MessageID)
	if len(p.Failed) > 255 {
		w.fail("no_unsuccess", StatusInvalidNumberOfDests, ErrTooLong)
	}
	w.uint8(uint8(len(p.Failed)))
	for i := range p.Failed {
		w.address(&fDest, p.Failed[i].Dest)
		w.b = binary.BigEndian.AppendUint32(w.b, uint32(p.Failed[i].Status))
	}
	w.tlvs(p.TLVs)
	return w.done()
}

// DecodeBody reads the octets.
func (p *SubmitMultiResp) DecodeBody(b []byte) error {
	if len(b) == 0 {
		*p = SubmitMultiResp{}
		return nil
	}
	c := cursor{b: b}
	p.MessageID = c.string(&fMessageID)
	p.Failed = p.Failed[:0]
	for n := c.uint8("no_unsuccess"); n > 0 && c.err == nil; n-- {
		p.Failed = append(p.Failed, MultiFailure{Dest: c.address(&fDest), Status: Status(c.uint32("error_status_code"))})
	}
	p.TLVs = c.tlvs(p.TLVs)
	return c.error()
}
