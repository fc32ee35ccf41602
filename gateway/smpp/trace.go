package smpp

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/text"
)

// TracedPDU is one that crossed a session of a connection or an account.
type TracedPDU struct {
	Time   time.Time
	Peer   string // host:port
	Sent   bool   // by us
	Header wire.Header
	Body   []byte // a copy
}

// traceSent shows a PDU that is about to be sent. It may still be lost with the session.
func (s *session) traceSent(pdu []byte) {
	if s.counters.taps.Watched() {
		h, body, err := wire.NewReader(bytes.NewReader(pdu), 0).Next()
		if err == nil {
			s.trace(true, h, body)
		}
	}
}

// traceReceived shows a PDU that came.
func (s *session) traceReceived(h wire.Header, body []byte) {
	if s.counters.taps.Watched() {
		s.trace(false, h, body)
	}
}

func (s *session) trace(sent bool, h wire.Header, body []byte) {
	s.counters.taps.Show(TracedPDU{Time: time.Now(), Peer: s.conn.RemoteAddr().String(), Sent: sent, Header: h, Body: bytes.Clone(body)})
}

// Trace calls sink for every PDU that crosses the sessions of a connection, reloads or not, until stop is called. The sink is
// called with locks held, by any goroutine: it must not block, nor call back. ErrUnknownConnection if there is none.
func (c *Connections) Trace(name string, sink func(TracedPDU)) (stop func(), err error) {
	connection, ok := (*c.table.Load())[name]
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrUnknownConnection, name)
	}
	return connection.counters.taps.Watch(sink), nil
}

// Trace does the same for the binds of an account; false if there is none.
func (a *Accounts) Trace(systemID string, sink func(TracedPDU)) (stop func(), ok bool) {
	account, ok := (*a.table.Load())[systemID]
	if !ok {
		return nil, false
	}
	return account.counters.taps.Watch(sink), true
}

// Field is one field of a PDU, for people.
type Field struct{ Name, Value string }

// Dissector makes PDUs readable.
type Dissector struct {
	Alphabet sms.Alphabet // what data_coding 0 means
	TLVNames sms.TLVNames
	Text     bool // shows what messages say; else only how long they are
}

// redacted stands for what is not shown.
const redacted = "(not shown)"

// Fields are the fields of a PDU in the order that they stand in, those that are 0 or empty left out. Passwords are never shown.
func (d Dissector) Fields(p TracedPDU) []Field {
	body := wire.NewBody(p.Header.Command)
	if body == nil || len(p.Body) == 0 {
		return d.octets(nil, "body", p.Body)
	}
	if err := body.DecodeBody(p.Body); err != nil {
		switch body.(type) {
		case *wire.Bind, *wire.Outbind: // the password is somewhere in it
			d.Text = false
		}
		return d.octets([]Field{{"error", err.Error()}}, "body", p.Body)
	}
	var fields []Field
	v := reflect.ValueOf(body).Elem()
	for i := range v.NumField() {
		name := fieldName(v.Type().Field(i).Name)
		switch value := v.Field(i).Interface().(type) {
		case string:
			if name == "password" {
				value = redacted
			}
			if value != "" {
				fields = append(fields, Field{name, value})
			}
		case uint8:
			if value != 0 {
				fields = append(fields, Field{name, fmt.Sprintf("0x%02X", value)})
			}
		case sms.Address:
			fields = append(fields, Field{name, fmt.Sprintf("%s (TON %d, NPI %d)", value.Value, value.TON, value.NPI)})
		case []byte:
			fields = append(fields, d.message(body, name, value)...)
		case wire.TLVs:
			for _, t := range value {
				fields = append(fields, d.tlv(body, t)...)
			}
		default:
			if f := v.Field(i); f.Kind() != reflect.Slice || f.Len() > 0 {
				fields = append(fields, Field{name, fmt.Sprintf("%v", value)})
			}
		}
	}
	return fields
}

func (d Dissector) tlv(body wire.Body, t sms.TLV) []Field {
	name := d.TLVNames.Name(t.Tag)
	if own := wire.TagName(t.Tag); own != "" && strings.HasPrefix(name, "0x") {
		name = own
	}
	if t.Tag == wire.TagMessagePayload {
		return d.message(body, name, t.Value)
	}
	value := hex.EncodeToString(t.Value)
	if text := bytes.TrimSuffix(t.Value, []byte{0}); len(text) > 2 && isPrintable(text) {
		value += " " + strconv.Quote(string(text))
	}
	return []Field{{name, value}}
}

func isPrintable(octets []byte) bool {
	return !slices.ContainsFunc(octets, func(c byte) bool { return c < ' ' || c > '~' })
}

// octets shows octets that nobody reads.
func (d Dissector) octets(fields []Field, name string, octets []byte) []Field {
	switch {
	case len(octets) == 0:
		return fields
	case d.Text:
		return append(fields, Field{name, hex.EncodeToString(octets)})
	}
	return append(fields, Field{name, fmt.Sprintf("%d octets %s", len(octets), redacted)})
}

// message shows a short_message or message_payload, and what it says.
func (d Dissector) message(body wire.Body, name string, octets []byte) []Field {
	fields := d.octets(nil, name, octets)
	if !d.Text || len(octets) == 0 {
		return fields
	}
	var esmClass, dataCoding uint8
	switch sm := body.(type) {
	case *wire.SM:
		esmClass, dataCoding = sm.ESMClass, sm.DataCoding
	case *wire.DataSM:
		esmClass, dataCoding = sm.ESMClass, sm.DataCoding
	case *wire.SubmitMulti:
		esmClass, dataCoding = sm.ESMClass, sm.DataCoding
	default:
		return fields
	}
	said, _ := text.Decode(octets, esmClass&wire.ESMClassUDHI != 0, dataCoding, d.Alphabet)
	if said.Part.IsSet() { // read alone: a character that is divided between parts shows as U+FFFD
		fields = append(fields, Field{"part", fmt.Sprintf("%d of %d, reference %d", said.Part.Seq, said.Part.Total, said.Part.Ref)})
		header := int(octets[0]) + 1
		if said.Alphabet != sms.AlphabetGSM7Packed {
			said, _ = text.Decode(octets[header:], false, dataCoding, d.Alphabet)
		}
	}
	if said.Text != "" {
		fields = append(fields, Field{"text", said.Text})
	}
	return fields
}

// fieldName is the specification's name of a field that has another here.
func fieldName(name string) string {
	switch name {
	case "Source":
		return "source_addr"
	case "Dest":
		return "destination_addr"
	case "Dests":
		return "dest_address"
	case "PriorityFlag":
		return "priority_flag"
	case "ReplaceIfPresent":
		return "replace_if_present_flag"
	case "SMDefaultMsgID":
		return "sm_default_msg_id"
	}
	var b strings.Builder
	for i := range len(name) {
		upper := name[i] >= 'A' && name[i] <= 'Z'
		ends := i > 0 && (name[i-1] < 'A' || name[i-1] > 'Z')                             // a word: systemI
		last := i > 0 && i+1 < len(name) && (name[i+1] < 'A' || name[i+1] > 'Z') && !ends // of capitals: ESMCl
		if upper && (ends || last) {
			b.WriteByte('_')
		}
		b.WriteByte(name[i] | 0x20)
	}
	return b.String()
}
