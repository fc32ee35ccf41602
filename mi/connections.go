package mi

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
)

// SMPPAddParams are a row of table smpp. What is left out has its default.
type SMPPAddParams struct {
	Name            Value  `json:"name"`
	IP              Value  `json:"ip"` // an address or a host name
	Port            Value  `json:"port"`
	SystemID        *Value `json:"system_id,omitempty"`
	Password        *Value `json:"password,omitempty"`
	SystemType      *Value `json:"system_type,omitempty"`
	SrcTON          *Value `json:"src_ton,omitempty"`
	SrcNPI          *Value `json:"src_npi,omitempty"`
	DstTON          *Value `json:"dst_ton,omitempty"`
	DstNPI          *Value `json:"dst_npi,omitempty"`
	SessionType     *Value `json:"session_type,omitempty"` // 1 transceiver, 2 transmitter, 3 receiver, 4 outbind
	Enabled         *Value `json:"enabled,omitempty"`
	TLS             *Value `json:"tls,omitempty"`
	Binds           *Value `json:"binds,omitempty"`
	Window          *Value `json:"window,omitempty"`
	Throughput      *Value `json:"throughput,omitempty"`
	EnquireLink     *Value `json:"enquire_link,omitempty"`
	ResponseTimeout *Value `json:"response_timeout,omitempty"`
	Alphabet        *Value `json:"alphabet,omitempty"`
	LongMessage     *Value `json:"long_message,omitempty"`
	SMSCIDFormat    *Value `json:"smsc_id_format,omitempty"`
	Options         *Value `json:"options,omitempty"` // an object
}

// columnWants say what the columns of table smpp may hold: their values are read by the table's own rules.
var columnWants = map[string]string{
	"name":             "the name of the connection",
	"ip":               "an address or a host name",
	"port":             "1 to 65535",
	"system_id":        "what the SMSC knows us by",
	"password":         "as the SMSC has it",
	"system_type":      "what the SMSC wants, mostly nothing",
	"src_ton":          "TON of senders; 0: by the number",
	"src_npi":          "NPI of senders; 0: by the number",
	"dst_ton":          "TON of recipients; 0: by the number",
	"dst_npi":          "NPI of recipients; 0: by the number",
	"session_type":     "1 transceiver, 2 transmitter, 3 receiver, 4 outbind",
	"enabled":          "true or false",
	"tls":              "true or false",
	"binds":            "how many sessions",
	"window":           "most unanswered requests on each",
	"throughput":       "segments a second, 0: no limit",
	"enquire_link":     "seconds of silence after which the link is asked",
	"response_timeout": "seconds that an answer may take",
	"alphabet":         "what data_coding 0 is: gsm7, gsm7-packed, latin1, ascii",
	"long_message":     "how long messages go out: udh16, udh8, sar, payload",
	"smsc_id_format":   "how receipts name what a response named: auto, text, decimal, hex",
	"options":          "an object of what is rare: docs/tables.md",
}

// Columns gives the parameters that are there, by column.
func (p SMPPAddParams) Columns() map[string]string { return columns(p) }

// SMPPSetParams name a row of table smpp and what is to change in it.
type SMPPSetParams struct {
	Name            Value  `json:"name"`
	IP              *Value `json:"ip,omitempty"`
	Port            *Value `json:"port,omitempty"`
	SystemID        *Value `json:"system_id,omitempty"`
	Password        *Value `json:"password,omitempty"`
	SystemType      *Value `json:"system_type,omitempty"`
	SrcTON          *Value `json:"src_ton,omitempty"`
	SrcNPI          *Value `json:"src_npi,omitempty"`
	DstTON          *Value `json:"dst_ton,omitempty"`
	DstNPI          *Value `json:"dst_npi,omitempty"`
	SessionType     *Value `json:"session_type,omitempty"`
	Enabled         *Value `json:"enabled,omitempty"`
	TLS             *Value `json:"tls,omitempty"`
	Binds           *Value `json:"binds,omitempty"`
	Window          *Value `json:"window,omitempty"`
	Throughput      *Value `json:"throughput,omitempty"`
	EnquireLink     *Value `json:"enquire_link,omitempty"`
	ResponseTimeout *Value `json:"response_timeout,omitempty"`
	Alphabet        *Value `json:"alphabet,omitempty"`
	LongMessage     *Value `json:"long_message,omitempty"`
	SMSCIDFormat    *Value `json:"smsc_id_format,omitempty"`
	Options         *Value `json:"options,omitempty"`
}

// Columns gives the parameters that are there, by column.
func (p SMPPSetParams) Columns() map[string]string { return columns(p) }

func columns(params any) map[string]string {
	given := make(map[string]string)
	v := reflect.ValueOf(params)
	for i := range v.NumField() {
		column, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		switch value := v.Field(i).Interface().(type) {
		case Value:
			given[column] = string(value)
		case *Value:
			if value != nil {
				given[column] = string(*value)
			}
		}
	}
	return given
}

// Value is what a column of a table may hold, as text: a string as it is, anything else as JSON writes it.
type Value string

// UnmarshalJSON reads any value but null.
func (v *Value) UnmarshalJSON(b []byte) error {
	var text string
	if len(b) > 0 && b[0] == '"' {
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
		*v = Value(text)
		return nil
	}
	if string(b) == "null" {
		return errors.New("want a value")
	}
	*v = Value(b)
	return nil
}
