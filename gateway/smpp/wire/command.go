package wire

import "fmt"

// CommandID is a command_id (SMPP 3.4, 5.1.2.1).
type CommandID uint32

// The commands.
const (
	CmdGenericNack         CommandID = 0x80000000
	CmdBindReceiver        CommandID = 0x00000001
	CmdBindReceiverResp    CommandID = 0x80000001
	CmdBindTransmitter     CommandID = 0x00000002
	CmdBindTransmitterResp CommandID = 0x80000002
	CmdQuerySM             CommandID = 0x00000003
	CmdQuerySMResp         CommandID = 0x80000003
	CmdSubmitSM            CommandID = 0x00000004
	CmdSubmitSMResp        CommandID = 0x80000004
	CmdDeliverSM           CommandID = 0x00000005
	CmdDeliverSMResp       CommandID = 0x80000005
	CmdUnbind              CommandID = 0x00000006
	CmdUnbindResp          CommandID = 0x80000006
	CmdReplaceSM           CommandID = 0x00000007
	CmdReplaceSMResp       CommandID = 0x80000007
	CmdCancelSM            CommandID = 0x00000008
	CmdCancelSMResp        CommandID = 0x80000008
	CmdBindTransceiver     CommandID = 0x00000009
	CmdBindTransceiverResp CommandID = 0x80000009
	CmdOutbind             CommandID = 0x0000000B
	CmdEnquireLink         CommandID = 0x00000015
	CmdEnquireLinkResp     CommandID = 0x80000015
	CmdSubmitMulti         CommandID = 0x00000021
	CmdSubmitMultiResp     CommandID = 0x80000021
	CmdAlertNotification   CommandID = 0x00000102
	CmdDataSM              CommandID = 0x00000103
	CmdDataSMResp          CommandID = 0x80000103
)

var commandNames = map[CommandID]string{
	CmdGenericNack: "generic_nack", CmdBindReceiver: "bind_receiver", CmdBindTransmitter: "bind_transmitter",
	CmdQuerySM: "query_sm", CmdSubmitSM: "submit_sm", CmdDeliverSM: "deliver_sm", CmdUnbind: "unbind",
	CmdReplaceSM: "replace_sm", CmdCancelSM: "cancel_sm", CmdBindTransceiver: "bind_transceiver", CmdOutbind: "outbind",
	CmdEnquireLink: "enquire_link", CmdSubmitMulti: "submit_multi", CmdAlertNotification: "alert_notification",
	CmdDataSM: "data_sm",
}

// String is the specification's name, or the number where it has none.
func (c CommandID) String() string {
	if name, ok := commandNames[c]; ok {
		return name
	}
	if name, ok := commandNames[c.Request()]; ok && c.IsResp() {
		return name + "_resp"
	}
	return fmt.Sprintf("command_id(0x%08X)", uint32(c))
}

// IsResp says that it is a response: bit 31 is set (SMPP 3.4, 5.1.2.1). A generic_nack is one.
func (c CommandID) IsResp() bool { return c&0x80000000 != 0 }

// Resp is the response to a request.
func (c CommandID) Resp() CommandID { return c | 0x80000000 }

// Request is the request that a response answers.
func (c CommandID) Request() CommandID { return c &^ 0x80000000 }

// HasResp says that the request is answered at all: outbind and alert_notification are not (SMPP 3.4, 4.1.7 and 4.12).
func (c CommandID) HasResp() bool {
	return !c.IsResp() && c != CmdOutbind && c != CmdAlertNotification
}

// Known says that this package has a body for the command.
func (c CommandID) Known() bool { return NewBody(c) != nil }

// NewBody makes the empty body that a PDU of that command has; nil where the command is unknown.
func NewBody(c CommandID) Body {
	switch c {
	case CmdBindReceiver, CmdBindTransmitter, CmdBindTransceiver:
		return new(Bind)
	case CmdBindReceiverResp, CmdBindTransmitterResp, CmdBindTransceiverResp:
		return new(BindResp)
	case CmdOutbind:
		return new(Outbind)
	case CmdSubmitSM, CmdDeliverSM:
		return new(SM)
	case CmdDataSM:
		return new(DataSM)
	case CmdSubmitSMResp, CmdDeliverSMResp, CmdDataSMResp:
		return new(SMResp)
	case CmdSubmitMulti:
		return new(SubmitMulti)
	case CmdSubmitMultiResp:
		return new(SubmitMultiResp)
	case CmdQuerySM:
		return new(QuerySM)
	case CmdQuerySMResp:
		return new(QuerySMResp)
	case CmdCancelSM:
		return new(CancelSM)
	case CmdReplaceSM:
		return new(ReplaceSM)
	case CmdAlertNotification:
		return new(AlertNotification)
	case CmdGenericNack, CmdUnbind, CmdUnbindResp, CmdEnquireLink, CmdEnquireLinkResp, CmdCancelSMResp, CmdReplaceSMResp:
		return new(Empty)
	}
	return nil
}
