package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"sipsmpp/gateway/sms"
)

// option is a key of column `options` of table smpp.
type option struct {
	read  func(*sms.ConnectionConfig, json.RawMessage) error
	write func(sms.ConnectionConfig) any // nil: as the default is
}

var options = map[string]option{
	"receipt": {
		read: func(c *sms.ConnectionConfig, raw json.RawMessage) error {
			r, ok := sms.ParseReceiptRequest(strings.Trim(string(raw), `"`))
			if !ok {
				return errors.New(`want false, true, "failure" or "all"`)
			}
			c.Receipt = r
			return nil
		},
		write: func(c sms.ConnectionConfig) any {
			switch c.Receipt {
			case sms.ReceiptNone:
				return nil
			case sms.ReceiptFinal:
				return true
			}
			return c.Receipt.String()
		},
	},
	"validity":      durationOption(func(c *sms.ConnectionConfig) *time.Duration { return &c.ValidityDefault }),
	"queue_timeout": durationOption(func(c *sms.ConnectionConfig) *time.Duration { return &c.QueueTimeout }),
	"interface_version": {
		read: func(c *sms.ConnectionConfig, raw json.RawMessage) error {
			switch strings.Trim(string(raw), `"`) {
			case "3.3", "0x33", "51":
				c.InterfaceVersion = 0x33
			case "3.4", "0x34", "52":
				c.InterfaceVersion = 0x34
			case "5.0", "0x50", "80":
				c.InterfaceVersion = 0x50
			default:
				return errors.New(`want "3.3", "3.4" or "5.0"`)
			}
			return nil
		},
		write: func(c sms.ConnectionConfig) any {
			switch c.InterfaceVersion {
			case 0, 0x34:
				return nil
			}
			return fmt.Sprintf("%d.%d", c.InterfaceVersion>>4, c.InterfaceVersion&15)
		},
	},
	"account":  textOption(func(c *sms.ConnectionConfig) *string { return &c.Account }),
	"outbind":  flagOption(func(c *sms.ConnectionConfig) *bool { return &c.ByOutbind }),
	"statuses": statusesOption,
	"tlvs":     tlvsOption,
	"hops_tlv": {
		read: func(c *sms.ConnectionConfig, raw json.RawMessage) (err error) {
			c.HopsTLV, err = readTag(strings.Trim(string(raw), `"`))
			return err
		},
		write: func(c sms.ConnectionConfig) any {
			if c.HopsTLV == 0 {
				return nil
			}
			return sms.FormatTag(c.HopsTLV)
		},
	},
	"shift":           shiftOption,
	"transliterate":   flagOption(func(c *sms.ConnectionConfig) *bool { return &c.Transliterate }),
	"tls_ca":          textOption(func(c *sms.ConnectionConfig) *string { return &c.TLSFiles.CA }),
	"tls_cert":        textOption(func(c *sms.ConnectionConfig) *string { return &c.TLSFiles.Cert }),
	"tls_key":         textOption(func(c *sms.ConnectionConfig) *string { return &c.TLSFiles.Key }),
	"tls_server_name": textOption(func(c *sms.ConnectionConfig) *string { return &c.TLSServerName }),
	"tls_insecure":    flagOption(func(c *sms.ConnectionConfig) *bool { return &c.TLSInsecure }),
}

// readTag reads the tag of an optional parameter that a vendor may define (SMPP 3.4, 5.3.1).
func readTag(s string) (uint16, error) {
	tag, ok := sms.ParseTag(s)
	if !ok || tag < 0x1400 || tag > 0x3FFF {
		return 0, errors.New(`want a tag from 0x1400 to 0x3FFF, as "0x1500"`)
	}
	return tag, nil
}

// maxDuration bounds the times in options: a year.
const maxDuration = 366 * 24 * time.Hour

// durationOption is a time: a number of seconds, or a text such as "90s", "12h".
func durationOption(field func(*sms.ConnectionConfig) *time.Duration) option {
	return option{
		read: func(c *sms.ConnectionConfig, raw json.RawMessage) error {
			var text string
			d, err := time.Duration(0), json.Unmarshal(raw, &text)
			if err != nil {
				text = string(raw)
			}
			if seconds, notNumber := strconv.ParseFloat(text, 64); notNumber == nil && seconds <= maxDuration.Seconds() {
				d, err = time.Duration(seconds*float64(time.Second)), nil
			} else {
				d, err = time.ParseDuration(text)
			}
			if err != nil || d < 0 || d > maxDuration {
				return errors.New(`want seconds, or a time such as "90s" or "12h", of a year at most`)
			}
			*field(c) = d
			return nil
		},
		write: func(c sms.ConnectionConfig) any {
			switch d := *field(&c); {
			case d == 0:
				return nil
			case d%time.Second == 0:
				return int64(d / time.Second)
			default:
				return d.String()
			}
		},
	}
}

// parseOptions reads column `options`. config.Options keeps what no field holds, in a form that is the same whenever the row
// means the same; so far every key has its field.
func (r *connectionRow) parseOptions(text string) {
	if strings.TrimSpace(text) == "" {
		return
	}
	var object map[string]json.RawMessage
	d := json.NewDecoder(strings.NewReader(text))
	err := d.Decode(&object)
	if err == nil && object != nil {
		_, err = d.Token()
	}
	if object == nil || err != io.EOF {
		r.fault("options", `it is no JSON object: want {} or, for example, {"receipt": true}`)
		return
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		o, known := options[key]
		if !known {
			r.fault("options", "unknown key %q: want %s", key, oneOf(slices.Sorted(maps.Keys(options))))
			continue
		}
		if err := o.read(&r.config, object[key]); err != nil {
			r.fault("options."+key, "%s is not valid: %v", printable(string(object[key])), err)
		}
	}
	r.checkOptions()
}

// optionsOf is the column's text for a connection; empty where all is as the default is.
func optionsOf(c sms.ConnectionConfig) (string, error) {
	object := map[string]any{}
	if c.Options != "" {
		if err := json.Unmarshal([]byte(c.Options), &object); err != nil {
			return "", fmt.Errorf("options: %w", err)
		}
	}
	for key, o := range options {
		if v := o.write(c); v != nil {
			object[key] = v
		}
	}
	if len(object) == 0 {
		return "", nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(object)
	return strings.TrimSpace(b.String()), err
}
