package store

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/text"
)

// The limits of the options that are objects.
const (
	maxStatuses = 1000
	maxTLVs     = 1000
	maxTLVName  = 64
)

// statusesOption is `{"0x45": "permanent", "0x400": "throttled"}`.
var statusesOption = option{
	read: func(c *sms.ConnectionConfig, raw json.RawMessage) error {
		text, err := pairs(raw, maxStatuses, func(key, value string) (uint64, string, error) {
			status, err := strconv.ParseUint(key, 0, 32)
			if err != nil || status == 0 {
				return 0, "", fmt.Errorf("%q is no command_status that refuses: want a number such as 0x45", key)
			}
			if _, ok := sms.ParseSeverity(value); !ok {
				return 0, "", fmt.Errorf("%q is no class: want permanent, temporary, throttled or configuration", value)
			}
			return status, fmt.Sprintf("0x%02X=%s", status, value), nil
		})
		c.Statuses = sms.StatusClasses(text)
		return err
	},
	write: func(c sms.ConnectionConfig) any { return unpairs(string(c.Statuses)) },
}

// tlvsOption is `{"0x1400": "operator_id"}`.
var tlvsOption = option{
	read: func(c *sms.ConnectionConfig, raw json.RawMessage) error {
		names := map[string]bool{}
		text, err := pairs(raw, maxTLVs, func(key, value string) (uint64, string, error) {
			tag, ok := sms.ParseTag(key)
			if !ok {
				return 0, "", fmt.Errorf("%q is no tag: want a number such as 0x1400", key)
			}
			if names[value] {
				return 0, "", fmt.Errorf("the name %q is given twice", value)
			}
			if !isTLVName(value) {
				return 0, "", fmt.Errorf("%q is no name: want letters, digits, '_', '-' or '.', the first of them a letter, %d at most", value, maxTLVName)
			}
			names[value] = true
			return uint64(tag), sms.FormatTag(tag) + "=" + value, nil
		})
		c.TLVNames = sms.TLVNames(text)
		return err
	},
	write: func(c sms.ConnectionConfig) any { return unpairs(string(c.TLVNames)) },
}

func isTLVName(s string) bool {
	for i, c := range s {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		other := c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.'
		if !letter && (i == 0 || !other) {
			return false
		}
	}
	return s != "" && len(s) <= maxTLVName
}

// pairs makes one canonical text of an object of strings: what read gives for each of its keys, in the order of its numbers.
func pairs(raw json.RawMessage, most int, read func(key, value string) (uint64, string, error)) (string, error) {
	var object map[string]string
	if err := json.Unmarshal(raw, &object); err != nil || object == nil {
		return "", errors.New(`want an object such as {"0x1400": "..."}`)
	}
	if len(object) > most {
		return "", fmt.Errorf("it has more than %d keys", most)
	}
	type pair struct {
		number uint64
		text   string
	}
	var list []pair
	for _, key := range slices.Sorted(maps.Keys(object)) {
		number, text, err := read(key, object[key])
		if err != nil {
			return "", err
		}
		list = append(list, pair{number, text})
	}
	slices.SortFunc(list, func(a, b pair) int { return cmp.Compare(a.number, b.number) })
	texts := make([]string, len(list))
	for i, p := range list {
		if i > 0 && p.number == list[i-1].number {
			return "", fmt.Errorf("0x%02X is given twice", p.number)
		}
		texts[i] = p.text
	}
	return strings.Join(texts, ","), nil
}

// unpairs undoes pairs; nil where there is none.
func unpairs(text string) any {
	if text == "" {
		return nil
	}
	object := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(pair, "=")
		object[key] = value
	}
	return object
}

// shiftOption is a language of 3GPP TS 23.038, 6.2.1.2.4.
var shiftOption = option{
	read: func(c *sms.ConnectionConfig, raw json.RawMessage) error {
		var language string
		if err := json.Unmarshal(raw, &language); err != nil || language != "" && !slices.Contains(text.Languages(), language) {
			return fmt.Errorf("want %s", oneOf(text.Languages()))
		}
		c.Shift = language
		return nil
	},
	write: func(c sms.ConnectionConfig) any {
		if c.Shift == "" {
			return nil
		}
		return c.Shift
	},
}

// textOption is a string, such as a path.
func textOption(field func(*sms.ConnectionConfig) *string) option {
	return option{
		read: func(c *sms.ConnectionConfig, raw json.RawMessage) error {
			var text string
			if err := json.Unmarshal(raw, &text); err != nil || strings.ContainsRune(text, 0) {
				return errors.New("want a string")
			}
			*field(c) = text
			return nil
		},
		write: func(c sms.ConnectionConfig) any {
			if text := *field(&c); text != "" {
				return text
			}
			return nil
		},
	}
}

// flagOption is true or false.
func flagOption(field func(*sms.ConnectionConfig) *bool) option {
	return option{
		read: func(c *sms.ConnectionConfig, raw json.RawMessage) error {
			switch strings.Trim(string(raw), `"`) {
			case "true", "1":
				*field(c) = true
			case "false", "0":
				*field(c) = false
			default:
				return errors.New("want true or false")
			}
			return nil
		},
		write: func(c sms.ConnectionConfig) any {
			if *field(&c) {
				return true
			}
			return nil
		},
	}
}

// checkOptions says what is wrong with options that are each fine and do not go together.
func (r *connectionRow) checkOptions() {
	c := &r.config
	if c.Account != "" && c.SessionType != sms.Outbind {
		r.fault("options.account", "it says as whom the peer binds after our outbind: set session_type to 4, or leave account out")
	}
	if c.ByOutbind && c.SessionType != sms.Receiver {
		r.fault("options.outbind", "the peer opens the socket and we bind as receiver: set session_type to 3, or leave outbind out")
	}
	switch {
	case (c.TLSFiles.Cert == "") != (c.TLSFiles.Key == ""):
		r.fault("options.tls_cert", "a certificate needs its key: want tls_cert and tls_key, or neither")
	case !c.TLS && (c.TLSFiles != sms.TLSFiles{} || c.TLSServerName != "" || c.TLSInsecure):
		r.fault("options", "it says how to speak TLS, and column tls says not to: set tls to 1, or leave the tls_ keys out")
	case c.TLSInsecure && (c.TLSFiles.CA != "" || c.TLSServerName != ""):
		r.fault("options.tls_insecure", "nothing is verified with it: leave it out, or leave out tls_ca and tls_server_name")
	}
}
