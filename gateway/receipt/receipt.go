// Package receipt reads and writes SMSC delivery receipts, and finds the segment that one is for.
//
// Its promises: whatever a receipt's octets are, reading ends in a receipt or in ErrNoID and takes time in proportion to its length;
// an id is matched in every way that SMSCs are known to change it between submit_sm_resp and receipt. It holds no messages and
// opens nothing; only a Learner has a memory, of a few words for each connection.
package receipt

import (
	"errors"

	"sipsmpp/gateway/sms"
)

// The bits of esm_class that make a deliver_sm a receipt (SMPP 3.4, 5.2.12).
const (
	ESMClassReceipt      = 0x04
	ESMClassIntermediate = 0x20
)

// The TLVs of a receipt (SMPP 3.4, 5.3.2).
const (
	TagReceiptedMessageID = 0x001e
	TagNetworkErrorCode   = 0x0423
	TagMessageState       = 0x0427
)

// ErrNoID is for a receipt that says nowhere which message it is for.
var ErrNoID = errors.New("the receipt names no message: neither receipted_message_id nor `id:` in its text")

// Is says that a deliver_sm or data_sm with this esm_class is a receipt, final or intermediate. An acknowledgement by the recipient
// (0x08, 0x10) is none.
func Is(esmClass uint8) bool { return esmClass&(ESMClassReceipt|ESMClassIntermediate) != 0 }

// messageStates are the values of message_state (SMPP 3.4, 5.2.28; 0 and 9 from SMPP 5.0, 4.7.15). A skipped message will not be
// tried again, so it is undeliverable.
var messageStates = [...]sms.State{
	0: sms.StateEnroute, // scheduled
	1: sms.StateEnroute,
	2: sms.StateDelivered,
	3: sms.StateExpired,
	4: sms.StateDeleted,
	5: sms.StateUndeliverable,
	6: sms.StateAccepted,
	7: sms.StateUnknown,
	8: sms.StateRejected,
	9: sms.StateUndeliverable, // skipped
}

// stateWords are the words of `stat:` (SMPP 3.4, Appendix B), upper case, and those that peers write in their place.
var stateWords = map[string]sms.State{
	"DELIVRD": sms.StateDelivered, "DELIVERED": sms.StateDelivered,
	"EXPIRED": sms.StateExpired,
	"DELETED": sms.StateDeleted,
	"UNDELIV": sms.StateUndeliverable, "UNDELIVERABLE": sms.StateUndeliverable, "UNDELIVERED": sms.StateUndeliverable,
	"FAILED": sms.StateUndeliverable, "SKIPPED": sms.StateUndeliverable,
	"ACCEPTD": sms.StateAccepted, "ACCEPTED": sms.StateAccepted,
	"UNKNOWN": sms.StateUnknown,
	"REJECTD": sms.StateRejected, "REJECTED": sms.StateRejected,
	"ENROUTE": sms.StateEnroute, "BUFFRED": sms.StateEnroute, "BUFFERED": sms.StateEnroute,
	"SCHEDULED": sms.StateEnroute,
}
