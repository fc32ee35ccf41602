package wire

import "sipsmpp/gateway/sms"

// QuerySM is the body of query_sm (SMPP 3.4, 4.8.1).
type QuerySM struct {
	MessageID string
	Source    sms.Address
	TLVs      TLVs
}

// AppendBody appends the octets.
func (p *QuerySM) AppendBody(dst []byte) ([]byte, error) {
	w := writer{b: dst}
	w.string(&fMessageID, p.MessageID)
	w.address(&fSource, p.Source)
	w.tlvs(p.TLVs)
	return w.done()
}

// DecodeBody reads the octets.
func (p *QuerySM) DecodeBody(b []byte) error {
	c := cursor{b: b}
	p.MessageID = c.string(&fMessageID)
	p.Source = c.address(&fSource)
	p.TLVs = c.tlvs(p.TLVs)
	return c.error()
}

// QuerySMResp is the body of query_sm_resp (SMPP 3.4, 4.8.2). An error response may have none.
type QuerySMResp struct {
	MessageID    string
	FinalDate    string // see ParseTime
	MessageState uint8  // SMPP 3.4, 5.2.28
	ErrorCode    uint8
	TLVs         TLVs
}

// AppendBody appends the octets.
func (p *QuerySMResp) AppendBody(dst []byte) ([]byte, error) {
	w := writer{b: dst}
	w.string(&fMessageID, p.MessageID)
	w.string(&fFinalDate, p.FinalDate)
	w.uint8(p.MessageState, p.ErrorCode)
	w.tlvs(p.TLVs)
	return w.done()
}

// DecodeBody reads the octets.
func (p *QuerySMResp) DecodeBody(b []byte) error {
	if len(b) == 0 {
		*p = QuerySMResp{}
		return nil
	}
	c := cursor{b: b}
	p.MessageID = c.string(&fMessageID)
	p.FinalDate = c.string(&fFinalDate)
	p.MessageState = c.uint8("message_state")
	p.ErrorCode = c.uint8("error_code")
	p.TLVs = c.tlvs(p.TLVs)
	return c.error()
}

// CancelSM is the body of cancel_sm (SMPP 3.4, 4.9.1).
type CancelSM struct {
	ServiceType string
	MessageID   string
	Source      sms.Address
	Dest        sms.Address
	TLVs        TLVs
}

// AppendBody appends the octets.
func (p *CancelSM) AppendBody(dst []byte) ([]byte, error) {
	w := writer{b: dst}
	w.string(&fServiceType, p.ServiceType)
	w.string(&fMessageID, p.MessageID)
	w.address(&fSource, p.Source)
	w.address(&fDest, p.Dest)
	w.tlvs(p.TLVs)
	return w.done()
}

// DecodeBody reads the octets.
func (p *CancelSM) DecodeBody(b []byte) error {
	c := cursor{b: b}
	p.ServiceType = c.string(&fServiceType)
	p.MessageID = c.string(&fMessageID)
	p.Source = c.address(&fSource)
	p.Dest = c.address(&fDest)
	p.TLVs = c.tlvs(p.TLVs)
	return c.error()
}

// ReplaceSM is the body of replace_sm (SMPP 3.4, 4.10.1).
type ReplaceSM struct {
	MessageID            string
	Source               sms.Address
	ScheduleDeliveryTime string
	ValidityPeriod       string
	RegisteredDelivery   uint8
	SMDefaultMsgID       uint8
	ShortMessage         []byte
	TLVs                 TLVs
}

// AppendBody appends the octets.
func (p *ReplaceSM) AppendBody(dst []byte) ([]byte, error) {
	w := writer{b: dst}
	w.string(&fMessageID, p.MessageID)
	w.address(&fSource, p.Source)
	w.string(&fSchedule, p.ScheduleDeliveryTime)
	w.string(&fValidity, p.ValidityPeriod)
	w.uint8(p.RegisteredDelivery, p.SMDefaultMsgID)
	w.shortMessage(p.ShortMessage)
	w.tlvs(p.TLVs)
	return w.done()
}

// DecodeBody reads the octets.
func (p *ReplaceSM) DecodeBody(b []byte) error {
	c := cursor{b: b}
	p.MessageID = c.string(&fMessageID)
	p.Source = c.address(&fSource)
	p.ScheduleDeliveryTime = c.string(&fSchedule)
	p.ValidityPeriod = c.string(&fValidity)
	p.RegisteredDelivery = c.uint8("registered_delivery")
	p.SMDefaultMsgID = c.uint8("sm_default_msg_id")
	p.ShortMessage = c.shortMessage()
	p.TLVs = c.tlvs(p.TLVs)
	return c.error()
}

// AlertNotification is the body of alert_notification (SMPP 3.4, 4.12.1), which nobody answers.
type AlertNotification struct {
	Source sms.Address // the mobile that is there again
	ESME   sms.Address
	TLVs   TLVs // ms_availability_status
}

// AppendBody appends the octets.
func (p *AlertNotification) AppendBody(dst []byte) ([]byte, error) {
	w := writer{b: dst}
	w.address(&fDataSource, p.Source)
	w.address(&fESMEAddr, p.ESME)
	w.tlvs(p.TLVs)
	return w.done()
}

// DecodeBody reads the octets.
func (p *AlertNotification) DecodeBody(b []byte) error {
	c := cursor{b: b}
	p.Source = c.address(&fDataSource)
	p.ESME = c.address(&fESMEAddr)
	p.TLVs = c.tlvs(p.TLVs)
	return c.error()
}
