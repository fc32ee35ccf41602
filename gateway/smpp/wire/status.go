package wire

import "fmt"

// Status is a command_status (SMPP 3.4, 5.1.3, table 5-2; SMPP 5.0, 4.7.6 from 0x100 on).
type Status uint32

// The statuses.
const (
	StatusOK                Status = 0x00000000
	StatusInvMsgLen         Status = 0x00000001
	StatusInvCmdLen         Status = 0x00000002
	StatusInvCmdID          Status = 0x00000003
	StatusInvBndSts         Status = 0x00000004
	StatusAlyBnd            Status = 0x00000005
	StatusInvPrtFlg         Status = 0x00000006
	StatusInvRegDlvFlg      Status = 0x00000007
	StatusSysErr            Status = 0x00000008
	StatusInvSrcAdr         Status = 0x0000000A
	StatusInvDstAdr         Status = 0x0000000B
	StatusInvMsgID          Status = 0x0000000C
	StatusBindFail          Status = 0x0000000D
	StatusInvPaswd          Status = 0x0000000E
	StatusInvSysID          Status = 0x0000000F
	StatusCancelFail        Status = 0x00000011
	StatusReplaceFail       Status = 0x00000013
	StatusMsgQFul           Status = 0x00000014
	StatusInvSerTyp         Status = 0x00000015
	StatusInvNumDests       Status = 0x00000033
	StatusInvDLName         Status = 0x00000034
	StatusInvDestFlag       Status = 0x00000040
	StatusInvSubRep         Status = 0x00000042
	StatusInvEsmClass       Status = 0x00000043
	StatusCntSubDL          Status = 0x00000044
	StatusSubmitFail        Status = 0x00000045
	StatusInvSrcTON         Status = 0x00000048
	StatusInvSrcNPI         Status = 0x00000049
	StatusInvDstTON         Status = 0x00000050
	StatusInvDstNPI         Status = 0x00000051
	StatusInvSysTyp         Status = 0x00000053
	StatusInvRepFlag        Status = 0x00000054
	StatusInvNumMsgs        Status = 0x00000055
	StatusThrottled         Status = 0x00000058
	StatusInvSched          Status = 0x00000061
	StatusInvExpiry         Status = 0x00000062
	StatusInvDftMsgID       Status = 0x00000063
	StatusXTAppn            Status = 0x00000064
	StatusXPAppn            Status = 0x00000065
	StatusXRAppn            Status = 0x00000066
	StatusQueryFail         Status = 0x00000067
	StatusInvTLVStream      Status = 0x000000C0
	StatusTLVNotAllwd       Status = 0x000000C1
	StatusInvTLVLen         Status = 0x000000C2
	StatusMissingTLV        Status = 0x000000C3
	StatusInvTLVVal         Status = 0x000000C4
	StatusDeliveryFailure   Status = 0x000000FE
	StatusUnknownErr        Status = 0x000000FF
	StatusSerTypUnauth      Status = 0x00000100
	StatusProhibited        Status = 0x00000101
	StatusSerTypUnavail     Status = 0x00000102
	StatusSerTypDenied      Status = 0x00000103
	StatusInvDCS            Status = 0x00000104
	StatusInvSrcAddrSubunit Status = 0x00000105
	StatusInvDstAddrSubunit Status = 0x00000106
	StatusInvBcastFreqInt   Status = 0x00000107
	StatusInvBcastAliasName Status = 0x00000108
	StatusInvBcastAreaFmt   Status = 0x00000109
	StatusInvNumBcastAreas  Status = 0x0000010A
	StatusInvBcastCntType   Status = 0x0000010B
	StatusInvBcastMsgClass  Status = 0x0000010C
	StatusBcastFail         Status = 0x0000010D
	StatusBcastQueryFail    Status = 0x0000010E
	StatusBcastCancelFail   Status = 0x0000010F
	StatusInvBcastRep       Status = 0x00000110
	StatusInvBcastSrvGrp    Status = 0x00000111
	StatusInvBcastChanInd   Status = 0x00000112
)

type statusText struct{ name, text string }

var statusTexts = map[Status]statusText{
	StatusOK:                {"ESME_ROK", "no error"},
	StatusInvMsgLen:         {"ESME_RINVMSGLEN", "message length is invalid"},
	StatusInvCmdLen:         {"ESME_RINVCMDLEN", "command length is invalid"},
	StatusInvCmdID:          {"ESME_RINVCMDID", "invalid command id"},
	StatusInvBndSts:         {"ESME_RINVBNDSTS", "incorrect bind state for the command"},
	StatusAlyBnd:            {"ESME_RALYBND", "already bound"},
	StatusInvPrtFlg:         {"ESME_RINVPRTFLG", "invalid priority_flag"},
	StatusInvRegDlvFlg:      {"ESME_RINVREGDLVFLG", "invalid registered_delivery"},
	StatusSysErr:            {"ESME_RSYSERR", "system error"},
	StatusInvSrcAdr:         {"ESME_RINVSRCADR", "invalid source address"},
	StatusInvDstAdr:         {"ESME_RINVDSTADR", "invalid destination address"},
	StatusInvMsgID:          {"ESME_RINVMSGID", "invalid message_id"},
	StatusBindFail:          {"ESME_RBINDFAIL", "bind failed"},
	StatusInvPaswd:          {"ESME_RINVPASWD", "invalid password"},
	StatusInvSysID:          {"ESME_RINVSYSID", "invalid system_id"},
	StatusCancelFail:        {"ESME_RCANCELFAIL", "cancel_sm failed"},
	StatusReplaceFail:       {"ESME_RREPLACEFAIL", "replace_sm failed"},
	StatusMsgQFul:           {"ESME_RMSGQFUL", "message queue full"},
	StatusInvSerTyp:         {"ESME_RINVSERTYP", "invalid service_type"},
	StatusInvNumDests:       {"ESME_RINVNUMDESTS", "invalid number of destinations"},
	StatusInvDLName:         {"ESME_RINVDLNAME", "invalid distribution list name"},
	StatusInvDestFlag:       {"ESME_RINVDESTFLAG", "invalid destination flag"},
	StatusInvSubRep:         {"ESME_RINVSUBREP", "invalid submit with replace"},
	StatusInvEsmClass:       {"ESME_RINVESMCLASS", "invalid esm_class"},
	StatusCntSubDL:          {"ESME_RCNTSUBDL", "cannot submit to the distribution list"},
	StatusSubmitFail:        {"ESME_RSUBMITFAIL", "submit_sm or submit_multi failed"},
	StatusInvSrcTON:         {"ESME_RINVSRCTON", "invalid source TON"},
	StatusInvSrcNPI:         {"ESME_RINVSRCNPI", "invalid source NPI"},
	StatusInvDstTON:         {"ESME_RINVDSTTON", "invalid destination TON"},
	StatusInvDstNPI:         {"ESME_RINVDSTNPI", "invalid destination NPI"},
	StatusInvSysTyp:         {"ESME_RINVSYSTYP", "invalid system_type"},
	StatusInvRepFlag:        {"ESME_RINVREPFLAG", "invalid replace_if_present_flag"},
	StatusInvNumMsgs:        {"ESME_RINVNUMMSGS", "invalid number of messages"},
	StatusThrottled:         {"ESME_RTHROTTLED", "throttled: message limit exceeded"},
	StatusInvSched:          {"ESME_RINVSCHED", "invalid schedule_delivery_time"},
	StatusInvExpiry:         {"ESME_RINVEXPIRY", "invalid validity_period"},
	StatusInvDftMsgID:       {"ESME_RINVDFTMSGID", "predefined message invalid or not found"},
	StatusXTAppn:            {"ESME_RX_T_APPN", "temporary error of the receiving ESME"},
	StatusXPAppn:            {"ESME_RX_P_APPN", "permanent error of the receiving ESME"},
	StatusXRAppn:            {"ESME_RX_R_APPN", "message rejected by the receiving ESME"},
	StatusQueryFail:         {"ESME_RQUERYFAIL", "query_sm failed"},
	StatusInvTLVStream:      {"ESME_RINVOPTPARSTREAM", "error in the optional part of the body"},
	StatusTLVNotAllwd:       {"ESME_ROPTPARNOTALLWD", "optional parameter not allowed"},
	StatusInvTLVLen:         {"ESME_RINVPARLEN", "invalid parameter length"},
	StatusMissingTLV:        {"ESME_RMISSINGOPTPARAM", "expected optional parameter missing"},
	StatusInvTLVVal:         {"ESME_RINVOPTPARAMVAL", "invalid optional parameter value"},
	StatusDeliveryFailure:   {"ESME_RDELIVERYFAILURE", "delivery failure"},
	StatusUnknownErr:        {"ESME_RUNKNOWNERR", "unknown error"},
	StatusSerTypUnauth:      {"ESME_RSERTYPUNAUTH", "not authorised to use the service_type"},
	StatusProhibited:        {"ESME_RPROHIBITED", "operation prohibited"},
	StatusSerTypUnavail:     {"ESME_RSERTYPUNAVAIL", "service_type unavailable"},
	StatusSerTypDenied:      {"ESME_RSERTYPDENIED", "service_type denied"},
	StatusInvDCS:            {"ESME_RINVDCS", "invalid data_coding"},
	StatusInvSrcAddrSubunit: {"ESME_RINVSRCADDRSUBUNIT", "invalid source_addr_subunit"},
	StatusInvDstAddrSubunit: {"ESME_RINVDSTADDRSUBUNIT", "invalid dest_addr_subunit"},
	StatusInvBcastFreqInt:   {"ESME_RINVBCASTFREQINT", "invalid broadcast_frequency_interval"},
	StatusInvBcastAliasName: {"ESME_RINVBCASTALIAS_NAME", "invalid broadcast_alias_name"},
	StatusInvBcastAreaFmt:   {"ESME_RINVBCASTAREAFMT", "invalid broadcast area format"},
	StatusInvNumBcastAreas:  {"ESME_RINVNUMBCAST_AREAS", "invalid number of broadcast areas"},
	StatusInvBcastCntType:   {"ESME_RINVBCASTCNTTYPE", "invalid broadcast_content_type"},
	StatusInvBcastMsgClass:  {"ESME_RINVBCASTMSGCLASS", "invalid broadcast_message_class"},
	StatusBcastFail:         {"ESME_RBCASTFAIL", "broadcast_sm failed"},
	StatusBcastQueryFail:    {"ESME_RBCASTQUERYFAIL", "query_broadcast_sm failed"},
	StatusBcastCancelFail:   {"ESME_RBCASTCANCELFAIL", "cancel_broadcast_sm failed"},
	StatusInvBcastRep:       {"ESME_RINVBCAST_REP", "invalid number of repeated broadcasts"},
	StatusInvBcastSrvGrp:    {"ESME_RINVBCASTSRVGRP", "invalid broadcast service group"},
	StatusInvBcastChanInd:   {"ESME_RINVBCASTCHANIND", "invalid broadcast channel indicator"},
}

// String is the specification's name and the number: `ESME_RTHROTTLED (0x58)`.
func (s Status) String() string {
	if t, ok := statusTexts[s]; ok {
		return fmt.Sprintf("%s (0x%02X)", t.name, uint32(s))
	}
	return fmt.Sprintf("command_status 0x%02X", uint32(s))
}

// Text says in a few words what the status means; the number where the specification has no meaning for it.
func (s Status) Text() string {
	if t, ok := statusTexts[s]; ok {
		return t.text
	}
	return fmt.Sprintf("the peer's own status 0x%X", uint32(s))
}
