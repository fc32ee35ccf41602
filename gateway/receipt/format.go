package receipt

import (
	"time"

	"sipsmpp/gateway/sms"
)

// wireStates are message_state and the word of `stat:` for each state (SMPP 3.4, 5.2.28 and Appendix B).
var wireStates = [...]struct {
	messageState uint8
	word         string
}{
	sms.StateNone:          {7, "UNKNOWN"},
	sms.StateEnroute:       {1, "ENROUTE"},
	sms.StateAccepted:      {6, "ACCEPTD"},
	sms.StateUnknown:       {7, "UNKNOWN"},
	sms.StateDelivered:     {2, "DELIVRD"},
	sms.StateDeleted:       {4, "DELETED"},
	sms.StateExpired:       {3, "EXPIRED"},
	sms.StateRejected:      {8, "REJECTD"},
	sms.StateUndeliverable: {5, "UNDELIV"},
}

// Format writes a receipt as SMPP 3.4, Appendix B has it, times in UTC, and of Text the first 20 characters:
//
//	id:IIIIIIIIII sub:SSS dlvrd:DDD submit date:YYMMDDhhmm done date:YYMMDDhhmm stat:DDDDDDD err:EEE Text:...
//
// submitted and delivered are numbers of segments, at most 999.
func Format(r sms.Receipt, submitted, delivered int) string {
	b := make([]byte, 0, 160)
	b = append(b, "id:"...)
	b = append(b, r.SMSCID...)
	b = append(b, " sub:"...)
	b = appendThree(b, submitted)
	b = append(b, " dlvrd:"...)
	b = appendThree(b, delivered)
	b = append(b, " submit date:"...)
	b = appendTime(b, r.SubmitTime)
	b = append(b, " done date:"...)
	b = appendTime(b, r.DoneTime)
	b = append(b, " stat:"...)
	b = append(b, wireStates[known(r.State)].word...)
	b = append(b, " err:"...)
	for range 3 - len(r.Error) {
		b = append(b, '0')
	}
	b = append(b, r.Error...)
	b = append(b, " Text:"...)
	n := 0
	for i := range r.Text {
		if n == 20 {
			return string(append(b, r.Text[:i]...))
		}
		n++
	}
	return string(append(b, r.Text...))
}

// TLVs are the optional parameters that say the same as Format's text: receipted_message_id and message_state.
func TLVs(r sms.Receipt) []sms.TLV {
	return []sms.TLV{
		{Tag: TagReceiptedMessageID, Value: append([]byte(r.SMSCID), 0)},
		{Tag: TagMessageState, Value: []byte{wireStates[known(r.State)].messageState}},
	}
}

// MessageState is the value of message_state (SMPP 3.4, 5.2.28) for a state.
func MessageState(s sms.State) uint8 { return wireStates[known(s)].messageState }

func known(s sms.State) sms.State {
	if int(s) < len(wireStates) {
		return s
	}
	return sms.StateUnknown
}

func appendThree(b []byte, n int) []byte {
	n = max(0, min(n, 999))
	return append(b, '0'+byte(n/100), '0'+byte(n/10%10), '0'+byte(n%10))
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, "0000000000"...)
	}
	return t.UTC().AppendFormat(b, "0601021504")
}
