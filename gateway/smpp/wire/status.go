package wire

import "fmt"

// Status is a command_status (SMPP 3.4, 5.1.3, table 5-2; SMPP 5.0, 4.7.6 from 0x100 on).
type Status uint32

// The statuses.
const (
	StatusOK                               Status = 0x00000000
	StatusInvalidMessageLength             Status = 0x00000001
	StatusInvalidCommandLength             Status = 0x00000002
	StatusInvalidCommandID                 Status = 0x00000003
	StatusInvalidBindStatus                Status = 0x00000004
	StatusAlreadyBound                     Status = 0x00000005
	StatusInvalidPriorityFlag              Status = 0x00000006
	StatusInvalidRegisteredDelivery        Status = 0x00000007
	StatusSystemError                      Status = 0x00000008
	StatusInvalidSource                    Status = 0x0000000A
	StatusInvalidDestination               Status = 0x0000000B
	StatusInvalidMessageID                 Status = 0x0000000C
	StatusBindFailed                       Status = 0x0000000D
	StatusInvalidPassword                  Status = 0x0000000E
	StatusInvalidSystemID                  Status = 0x0000000F
	StatusCancelFailed                     Status = 0x00000011
	StatusReplaceFailed                    Status = 0x00000013
	StatusQueueFull                        Status = 0x00000014
	StatusInvalidServiceType               Status = 0x00000015
	StatusInvalidNumberOfDests             Status = 0x00000033
	StatusInvalidDLName                    Status = 0x00000034
	StatusInvalidDestFlag                  Status = 0x00000040
	StatusInvalidSubmitWithReplace         Status = 0x00000042
	StatusInvalidESMClass                  Status = 0x00000043
	StatusCannotSubmitToDL                 Status = 0x00000044
	StatusSubmitFailed                     Status = 0x00000045
	StatusInvalidSourceTON                 Status = 0x00000048
	StatusInvalidSourceNPI                 Status = 0x00000049
	StatusInvalidDestinationTON            Status = 0x00000050
	StatusInvalidDestinationNPI            Status = 0x00000051
	StatusInvalidSystemType                Status = 0x00000053
	StatusInvalidReplaceFlag               Status = 0x00000054
	StatusInvalidNumberOfMessages          Status = 0x00000055
	StatusThrottled                        Status = 0x00000058
	StatusInvalidSchedule                  Status = 0x00000061
	StatusInvalidValidity                  Status = 0x00000062
	StatusInvalidDefaultMessageID          Status = 0x00000063
	StatusTemporaryAppError                Status = 0x00000064
	StatusPermanentAppError                Status = 0x00000065
	StatusRejectedAppError                 Status = 0x00000066
	StatusQueryFailed                      Status = 0x00000067
	StatusInvalidTLVStream                 Status = 0x000000C0
	StatusTLVNotAllowed                    Status = 0x000000C1
	StatusInvalidTLVLength                 Status = 0x000000C2
	StatusMissingTLV                       Status = 0x000000C3
	StatusInvalidTLVValue                  Status = 0x000000C4
	StatusDeliveryFailure                  Status = 0x000000FE
	StatusUnknownError                     Status = 0x000000FF
	StatusServiceTypeUnauthorised          Status = 0x00000100
	StatusProhibited                       Status = 0x00000101
	StatusServiceTypeUnavailable           Status = 0x00000102
	StatusServiceTypeDenied                Status = 0x00000103
	StatusInvalidDataCoding                Status = 0x00000104
	StatusInvalidSourceSubunit             Status = 0x00000105
	StatusInvalidDestinationSubunit        Status = 0x00000106
	StatusInvalidBroadcastFrequency        Status = 0x00000107
	StatusInvalidBroadcastAlias            Status = 0x00000108
	StatusInvalidBroadcastAreaFormat       Status = 0x00000109
	StatusInvalidNumberOfBroadcastAreas    Status = 0x0000010A
	StatusInvalidBroadcastContentType      Status = 0x0000010B
	StatusInvalidBroadcastMessageClass     Status = 0x0000010C
	StatusBroadcastFailed                  Status = 0x0000010D
	StatusBroadcastQueryFailed             Status = 0x0000010E
	StatusBroadcastCancelFailed            Status = 0x0000010F
	StatusInvalidBroadcastRepetition       Status = 0x00000110
	StatusInvalidBroadcastServiceGroup     Status = 0x00000111
	StatusInvalidBroadcastChannelIndicator Status = 0x00000112
)

type statusText struct{ name, text string }

var statusTexts = map[Status]statusText{
	StatusOK:                               {"ESME_ROK", "no error"},
	StatusInvalidMessageLength:             {"ESME_RINVMSGLEN", "message length is invalid"},
	StatusInvalidCommandLength:             {"ESME_RINVCMDLEN", "command length is invalid"},
	StatusInvalidCommandID:                 {"ESME_RINVCMDID", "invalid command id"},
	StatusInvalidBindStatus:                {"ESME_RINVBNDSTS", "incorrect bind state for the command"},
	StatusAlreadyBound:                     {"ESME_RALYBND", "already bound"},
	StatusInvalidPriorityFlag:              {"ESME_RINVPRTFLG", "invalid priority_flag"},
	StatusInvalidRegisteredDelivery:        {"ESME_RINVREGDLVFLG", "invalid registered_delivery"},
	StatusSystemError:                      {"ESME_RSYSERR", "system error"},
	StatusInvalidSource:                    {"ESME_RINVSRCADR", "invalid source address"},
	StatusInvalidDestination:               {"ESME_RINVDSTADR", "invalid destination address"},
	StatusInvalidMessageID:                 {"ESME_RINVMSGID", "invalid message_id"},
	StatusBindFailed:                       {"ESME_RBINDFAIL", "bind failed"},
	StatusInvalidPassword:                  {"ESME_RINVPASWD", "invalid password"},
	StatusInvalidSystemID:                  {"ESME_RINVSYSID", "invalid system_id"},
	StatusCancelFailed:                     {"ESME_RCANCELFAIL", "cancel_sm failed"},
	StatusReplaceFailed:                    {"ESME_RREPLACEFAIL", "replace_sm failed"},
	StatusQueueFull:                        {"ESME_RMSGQFUL", "message queue full"},
	StatusInvalidServiceType:               {"ESME_RINVSERTYP", "invalid service_type"},
	StatusInvalidNumberOfDests:             {"ESME_RINVNUMDESTS", "invalid number of destinations"},
	StatusInvalidDLName:                    {"ESME_RINVDLNAME", "invalid distribution list name"},
	StatusInvalidDestFlag:                  {"ESME_RINVDESTFLAG", "invalid destination flag"},
	StatusInvalidSubmitWithReplace:         {"ESME_RINVSUBREP", "invalid submit with replace"},
	StatusInvalidESMClass:                  {"ESME_RINVESMCLASS", "invalid esm_class"},
	StatusCannotSubmitToDL:                 {"ESME_RCNTSUBDL", "cannot submit to the distribution list"},
	StatusSubmitFailed:                     {"ESME_RSUBMITFAIL", "submit_sm or submit_multi failed"},
	StatusInvalidSourceTON:                 {"ESME_RINVSRCTON", "invalid source TON"},
	StatusInvalidSourceNPI:                 {"ESME_RINVSRCNPI", "invalid source NPI"},
	StatusInvalidDestinationTON:            {"ESME_RINVDSTTON", "invalid destination TON"},
	StatusInvalidDestinationNPI:            {"ESME_RINVDSTNPI", "invalid destination NPI"},
	StatusInvalidSystemType:                {"ESME_RINVSYSTYP", "invalid system_type"},
	StatusInvalidReplaceFlag:               {"ESME_RINVREPFLAG", "invalid replace_if_present_flag"},
	StatusInvalidNumberOfMessages:          {"ESME_RINVNUMMSGS", "invalid number of messages"},
	StatusThrottled:                        {"ESME_RTHROTTLED", "throttled: message limit exceeded"},
	StatusInvalidSchedule:                  {"ESME_RINVSCHED", "invalid schedule_delivery_time"},
	StatusInvalidValidity:                  {"ESME_RINVEXPIRY", "invalid validity_period"},
	StatusInvalidDefaultMessageID:          {"ESME_RINVDFTMSGID", "predefined message invalid or not found"},
	StatusTemporaryAppError:                {"ESME_RX_T_APPN", "temporary error of the receiving ESME"},
	StatusPermanentAppError:                {"ESME_RX_P_APPN", "permanent error of the receiving ESME"},
	StatusRejectedAppError:                 {"ESME_RX_R_APPN", "message rejected by the receiving ESME"},
	StatusQueryFailed:                      {"ESME_RQUERYFAIL", "query_sm failed"},
	StatusInvalidTLVStream:                 {"ESME_RINVOPTPARSTREAM", "error in the optional part of the body"},
	StatusTLVNotAllowed:                    {"ESME_ROPTPARNOTALLWD", "optional parameter not allowed"},
	StatusInvalidTLVLength:                 {"ESME_RINVPARLEN", "invalid parameter length"},
	StatusMissingTLV:                       {"ESME_RMISSINGOPTPARAM", "expected optional parameter missing"},
	StatusInvalidTLVValue:                  {"ESME_RINVOPTPARAMVAL", "invalid optional parameter value"},
	StatusDeliveryFailure:                  {"ESME_RDELIVERYFAILURE", "delivery failure"},
	StatusUnknownError:                     {"ESME_RUNKNOWNERR", "unknown error"},
	StatusServiceTypeUnauthorised:          {"ESME_RSERTYPUNAUTH", "not authorised to use the service_type"},
	StatusProhibited:                       {"ESME_RPROHIBITED", "operation prohibited"},
	StatusServiceTypeUnavailable:           {"ESME_RSERTYPUNAVAIL", "service_type unavailable"},
	StatusServiceTypeDenied:                {"ESME_RSERTYPDENIED", "service_type denied"},
	StatusInvalidDataCoding:                {"ESME_RINVDCS", "invalid data_coding"},
	StatusInvalidSourceSubunit:             {"ESME_RINVSRCADDRSUBUNIT", "invalid source_addr_subunit"},
	StatusInvalidDestinationSubunit:        {"ESME_RINVDSTADDRSUBUNIT", "invalid dest_addr_subunit"},
	StatusInvalidBroadcastFrequency:        {"ESME_RINVBCASTFREQINT", "invalid broadcast_frequency_interval"},
	StatusInvalidBroadcastAlias:            {"ESME_RINVBCASTALIAS_NAME", "invalid broadcast_alias_name"},
	StatusInvalidBroadcastAreaFormat:       {"ESME_RINVBCASTAREAFMT", "invalid broadcast area format"},
	StatusInvalidNumberOfBroadcastAreas:    {"ESME_RINVNUMBCAST_AREAS", "invalid number of broadcast areas"},
	StatusInvalidBroadcastContentType:      {"ESME_RINVBCASTCNTTYPE", "invalid broadcast_content_type"},
	StatusInvalidBroadcastMessageClass:     {"ESME_RINVBCASTMSGCLASS", "invalid broadcast_message_class"},
	StatusBroadcastFailed:                  {"ESME_RBCASTFAIL", "broadcast_sm failed"},
	StatusBroadcastQueryFailed:             {"ESME_RBCASTQUERYFAIL", "query_broadcast_sm failed"},
	StatusBroadcastCancelFailed:            {"ESME_RBCASTCANCELFAIL", "cancel_broadcast_sm failed"},
	StatusInvalidBroadcastRepetition:       {"ESME_RINVBCAST_REP", "invalid number of repeated broadcasts"},
	StatusInvalidBroadcastServiceGroup:     {"ESME_RINVBCASTSRVGRP", "invalid broadcast service group"},
	StatusInvalidBroadcastChannelIndicator: {"ESME_RINVBCASTCHANIND", "invalid broadcast channel indicator"},
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
