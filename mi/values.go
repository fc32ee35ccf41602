package mi

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"
)

// Time is a time in UTC with milliseconds in JSON (RFC 3339). Its zero is left out of a result.
type Time time.Time

// IsZero says that there is no time.
func (t Time) IsZero() bool { return time.Time(t).IsZero() }

// MarshalJSON writes RFC 3339 with milliseconds.
func (t Time) MarshalJSON() ([]byte, error) {
	return time.Time(t).UTC().AppendFormat(nil, `"2006-01-02T15:04:05.000Z07:00"`), nil
}

// UnmarshalJSON reads RFC 3339.
func (t *Time) UnmarshalJSON(b []byte) error {
	if (*time.Time)(t).UnmarshalJSON(b) != nil {
		return errors.New("want a time as RFC 3339 writes it: 2026-03-01T12:00:00Z")
	}
	return nil
}

// Hex are octets that are hexadecimal digits in JSON.
type Hex []byte

// MarshalText writes two lower-case digits for each octet.
func (h Hex) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText reads digits in either case.
func (h *Hex) UnmarshalText(b []byte) error {
	octets, err := hex.AppendDecode(make([]byte, 0, len(b)/2), b) // not nil: no octets are data too
	if err != nil {
		return errors.New("want hexadecimal digits, two for each octet")
	}
	*h = octets
	return nil
}

// Receipt says which reports the sender of a message wants; the zero value is ReceiptNone.
type Receipt string

// The values of `receipt`.
const (
	ReceiptNone    Receipt = "false"   // in JSON also the boolean
	ReceiptFinal   Receipt = "true"    // the final state; in JSON also the boolean
	ReceiptFailure Receipt = "failure" // the final state where it is a failure
	ReceiptAll     Receipt = "all"     // intermediate states too
)

// MarshalJSON writes the booleans as such.
func (r Receipt) MarshalJSON() ([]byte, error) {
	switch r {
	case "", ReceiptNone:
		return []byte("false"), nil
	case ReceiptFinal:
		return []byte("true"), nil
	}
	return json.Marshal(string(r))
}

// UnmarshalJSON reads what MarshalJSON writes, the booleans also as strings or as 0 and 1.
func (r *Receipt) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `false`, `"false"`, `0`, `"0"`:
		*r = ReceiptNone
	case `true`, `"true"`, `1`, `"1"`:
		*r = ReceiptFinal
	case `"failure"`:
		*r = ReceiptFailure
	case `"all"`:
		*r = ReceiptAll
	default:
		return errors.New(`want false, true, "failure" or "all"`)
	}
	return nil
}

// TLVs are values of optional parameters by name or tag.
type TLVs map[string]string

// UnmarshalJSON reads an object of strings, or a string that holds one, as it comes from a command line.
func (t *TLVs) UnmarshalJSON(b []byte) error {
	var quoted string
	if json.Unmarshal(b, &quoted) == nil {
		b = []byte(quoted)
	}
	var values map[string]string
	if err := json.Unmarshal(b, &values); err != nil || values == nil {
		return errors.New(`want an object of names or tags and values: {"0x1400": "0102"}`)
	}
	*t = values
	return nil
}

// List is a list of strings that is [] in JSON, never null. A []string can be assigned to it.
type List []string

// MarshalJSON writes an array.
func (l List) MarshalJSON() ([]byte, error) {
	if l == nil {
		return []byte("[]"), nil
	}
	return json.Marshal([]string(l))
}

// WhichResult is the result of `which`: names of all methods, or, of one method, the lists of parameters that it takes.
type WhichResult struct {
	Names  []string
	Params [][]string
}

// MarshalJSON writes whichever is set.
func (w WhichResult) MarshalJSON() ([]byte, error) {
	if w.Params != nil {
		return json.Marshal(w.Params)
	}
	return json.Marshal(List(w.Names))
}

// UnmarshalJSON reads what MarshalJSON writes.
func (w *WhichResult) UnmarshalJSON(b []byte) error {
	*w = WhichResult{}
	if err := json.Unmarshal(b, &w.Names); err == nil {
		return nil
	}
	w.Names = nil
	return json.Unmarshal(b, &w.Params)
}

// HelpResult is the result of `help`: a sentence, or what is known of one method.
type HelpResult struct {
	Usage      string // where no method was named
	Help       string
	ExportedBy string
}

type helpObject struct {
	Help       string `json:"Help"`
	ExportedBy string `json:"Exported by"`
}

// MarshalJSON writes whichever is set.
func (h HelpResult) MarshalJSON() ([]byte, error) {
	if h.Usage != "" {
		return json.Marshal(h.Usage)
	}
	return json.Marshal(helpObject{h.Help, h.ExportedBy})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (h *HelpResult) UnmarshalJSON(b []byte) error {
	*h = HelpResult{}
	if err := json.Unmarshal(b, &h.Usage); err == nil {
		return nil
	}
	var o helpObject
	err := json.Unmarshal(b, &o)
	h.Help, h.ExportedBy = o.Help, o.ExportedBy
	return err
}
