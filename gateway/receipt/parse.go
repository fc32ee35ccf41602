package receipt

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"sipsmpp/gateway/sms"
)

// Parse reads a receipt: the TLVs first, and from the text what they do not say. text is the short_message or message_payload,
// decoded. From and To are left to the caller.
//
// What is missing is left zero, but State is then StateUnknown, as it is for a word or value that is not known. Times are taken for
// UTC, since receipts name no zone. Error is the decimal code of network_error_code, or what `err:` says where there is none or it
// is 0.
//
// The only error is ErrNoID; the receipt has all the rest then.
func Parse(esmClass uint8, tlvs []sms.TLV, text string) (sms.Receipt, error) {
	r := sms.Receipt{Intermediate: esmClass&ESMClassIntermediate != 0}
	networkError := -1
	for _, tlv := range tlvs {
		switch tlv.Tag {
		case TagReceiptedMessageID:
			id, _, _ := bytes.Cut(tlv.Value, []byte{0}) // a C-Octet String
			r.SMSCID = strings.TrimSpace(string(id))
		case TagMessageState:
			if len(tlv.Value) == 1 {
				r.State = stateOf(tlv.Value[0])
			}
		case TagNetworkErrorCode: // one octet of network type, two of error (SMPP 3.4, 5.3.2.31)
			if len(tlv.Value) == 3 {
				networkError = int(binary.BigEndian.Uint16(tlv.Value[1:]))
			}
		}
	}
	parseText(&r, text)
	if networkError > 0 || networkError == 0 && r.Error == "" {
		r.Error = strconv.Itoa(networkError)
	}
	if r.State == sms.StateNone {
		r.State = sms.StateUnknown
	}
	if r.SMSCID == "" {
		return r, ErrNoID
	}
	return r, nil
}

func stateOf(messageState uint8) sms.State {
	if int(messageState) < len(messageStates) {
		return messageStates[messageState]
	}
	return sms.StateUnknown
}

// field is one of the fields of a receipt's text (SMPP 3.4, Appendix B).
type field uint8

const (
	fieldNone field = iota
	fieldID
	fieldSub
	fieldDlvrd
	fieldSubmitDate
	fieldDoneDate
	fieldStat
	fieldErr
	fieldText
)

// parseText fills in what r does not have yet. Fields come in any order. `text:` takes the rest, whatever it looks like, once id and
// state are known; before that it ends where a field begins that did not come yet.
func parseText(r *sms.Receipt, text string) {
	var seen [fieldText + 1]bool
	field, value := fieldNone, 0 // the field that is open, and where its value begins
	for at := 0; ; {
		if field == fieldText && (r.SMSCID != "" || seen[fieldID]) && (r.State != sms.StateNone || seen[fieldStat]) {
			break
		}
		next, start, end := nextField(text, at)
		if next == fieldNone {
			break
		}
		at = end
		if seen[next] {
			continue // the first counts
		}
		set(r, field, text[value:start])
		seen[next] = true
		field, value = next, end
	}
	set(r, field, text[value:])
}

// nextField finds the next name of a field with its colon in text[at:]. start is where the name begins, end is after the colon.
func nextField(text string, at int) (f field, start, end int) {
	for from := at; ; {
		colon := strings.IndexByte(text[at:], ':')
		if colon < 0 {
			return fieldNone, 0, 0
		}
		colon += at
		at = colon + 1
		head := strings.TrimRight(text[from:colon], " ")
		word := lastWord(head)
		switch len(word) {
		case 2:
			f = named(word, "id", fieldID)
		case 3:
			if f = named(word, "sub", fieldSub); f == fieldNone {
				f = named(word, "err", fieldErr)
			}
		case 4:
			if f = named(word, "stat", fieldStat); f == fieldNone {
				f = named(word, "text", fieldText)
			}
			if f == fieldNone && strings.EqualFold(word, "date") {
				head = strings.TrimRight(head[:len(head)-len(word)], " _-")
				word = lastWord(head)
				if f = named(word, "submit", fieldSubmitDate); f == fieldNone {
					f = named(word, "done", fieldDoneDate)
				}
			}
		case 5:
			f = named(word, "dlvrd", fieldDlvrd)
		case 8:
			f = named(word, "donedate", fieldDoneDate)
		case 10:
			f = named(word, "submitdate", fieldSubmitDate)
		}
		if f != fieldNone {
			return f, from + len(head) - len(word), at
		}
	}
}

func named(word, name string, f field) field {
	if strings.EqualFold(word, name) {
		return f
	}
	return fieldNone
}

// lastWord is what s ends with, of letters and digits, as far as a field's name may reach; longer ones come longer than any name.
func lastWord(s string) string {
	i := len(s)
	for i > 0 && len(s)-i < 11 {
		c := s[i-1]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c < 0x80 {
			break
		}
		i--
	}
	return s[i:]
}

// set takes a field's value into r, unless r has it.
func set(r *sms.Receipt, f field, value string) {
	switch f {
	case fieldID:
		if r.SMSCID == "" {
			r.SMSCID = firstWord(value)
		}
	case fieldStat:
		if r.State == sms.StateNone {
			r.State = stateNamed(firstWord(value))
		}
	case fieldErr:
		r.Error = firstWord(value)
	case fieldSubmitDate:
		r.SubmitTime = parseTime(value)
	case fieldDoneDate:
		r.DoneTime = parseTime(value)
	case fieldText:
		r.Text = strings.Trim(value, " \r\n\x00")
	}
}

// firstWord is value up to the first white space, without what some peers put between fields.
func firstWord(value string) string {
	value = strings.TrimLeft(value, " \t\r\n")
	if i := strings.IndexAny(value, " \t\r\n\x00"); i >= 0 {
		value = value[:i]
	}
	return strings.TrimRight(value, ",;")
}

func stateNamed(word string) sms.State {
	var upper [16]byte
	if word == "" || len(word) > len(upper) {
		return sms.StateUnknown
	}
	for i := range len(word) {
		c := word[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		upper[i] = c
	}
	if s, ok := stateWords[string(upper[:len(word)])]; ok {
		return s
	}
	return sms.StateUnknown
}

// parseTime reads YYMMDDhhmm, YYMMDDhhmmss and YYYYMMDDhhmmss, also with signs between the digits. What is no time is the zero one.
func parseTime(value string) time.Time {
	var digits [14]byte
	n := 0
scan:
	for i := range len(value) {
		switch c := value[i]; c {
		case ' ', '-', '/', ':', '.', 'T':
		case '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			if n == len(digits) {
				return time.Time{}
			}
			digits[n] = c - '0'
			n++
		default:
			break scan
		}
	}
	two := func(i int) int { return int(digits[i])*10 + int(digits[i+1]) }
	switch n {
	case 10:
		return date(2000+two(0), two(2), two(4), two(6), two(8), 0)
	case 12:
		if t := date(2000+two(0), two(2), two(4), two(6), two(8), two(10)); !t.IsZero() {
			return t
		}
		return date(two(0)*100+two(2), two(4), two(6), two(8), two(10), 0) // YYYYMMDDhhmm
	case 14:
		return date(two(0)*100+two(2), two(4), two(6), two(8), two(10), two(12))
	}
	return time.Time{}
}

func date(year, month, day, hour, minute, second int) time.Time {
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	if int(t.Month()) != month || t.Day() != day || t.Hour() != hour || t.Minute() != minute || t.Second() != second {
		return time.Time{} // 31 February, 25 o'clock
	}
	return t
}
