package route

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"sipsmpp/gateway/sms"
)

// options is column `options` of table route: a JSON object. What is left out stays as it is with the message.
type options struct {
	From        *string       `json:"from,omitempty"` // another sender
	To          *string       `json:"to,omitempty"`
	FromE164    *numbering    `json:"from_e164,omitempty"` // as people dial it there -> +49...
	ToE164      *numbering    `json:"to_e164,omitempty"`
	FromRewrite substitutions `json:"from_rewrite,omitempty"`
	ToRewrite   substitutions `json:"to_rewrite,omitempty"`
	SrcTON      *uint8        `json:"src_ton,omitempty"`
	SrcNPI      *uint8        `json:"src_npi,omitempty"`
	DstTON      *uint8        `json:"dst_ton,omitempty"`
	DstNPI      *uint8        `json:"dst_npi,omitempty"`
	Coding      string        `json:"coding,omitempty"` // auto, gsm7, latin1, ascii, ucs2
	DataCoding  *uint8        `json:"data_coding,omitempty"`
	Receipt     *receipt      `json:"receipt,omitempty"`
	Validity    *validity     `json:"validity,omitempty"` // seconds, or "48h", since the message came
	ServiceType *string       `json:"service_type,omitempty"`
	Priority    *uint8        `json:"priority,omitempty"`
	TLVs        []tlv         `json:"tlvs,omitempty"`
	PassTLVs    *passed       `json:"pass_tlvs,omitempty"` // of those that came
	Loop        bool          `json:"loop,omitempty"`      // a message may go back by the leg that it came from
	Wait        int           `json:"wait,omitempty"`      // seconds that the applications have for app?
	// Unknown is what follows an attempt without an answer: retry (the next target, and a later attempt), hold (until message_retry),
	// fail.
	Unknown string `json:"on_unknown,omitempty"`
	Defer   *bool  `json:"defer,omitempty"` // false: what no target takes is refused, and not kept for a later attempt
}

// numbering is how numbers are dialled in a country: the country's code, and the prefixes that a national and an international
// number have. In JSON the country's code alone stands for the prefixes 0 and 00.
//
// The libraries that know the plan of every country (nyaruka/phonenumbers) take 50 microseconds for a number and seven megabytes;
// whoever needs that detail rewrites by pattern, or lets an application decide.
type numbering struct {
	Country       string `json:"country"`
	National      string `json:"national"`
	International string `json:"international"`
}

func (n *numbering) UnmarshalJSON(b []byte) error {
	*n = numbering{National: "0", International: "00"}
	if b[0] != '{' {
		n.Country = strings.Trim(string(b), `"`)
	} else {
		type plain numbering
		if err := strictly(b, (*plain)(n)); err != nil {
			return err
		}
	}
	if n.Country = strings.TrimPrefix(n.Country, "+"); n.Country == "" || len(n.Country) > 3 || !digits(n.Country) {
		return errors.New(`the numbering of a country is its code, as "49", or {"country":"49","national":"0","international":"00"}`)
	}
	if !digits(n.National) || !digits(n.International) {
		return errors.New("the prefixes of a numbering are digits")
	}
	return nil
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// shortest is the fewest digits of what is no short code.
const shortest = 7

// apply makes a number international, if it is one: a name, a short code and what is international already stay as they are.
func (n *numbering) apply(a sms.Address) sms.Address {
	if a.TON == sms.TONInternational || a.TON == sms.TONAlphanumeric || !digits(a.Value) {
		return a
	}
	international := func(number string) sms.Address {
		return sms.Address{Value: number, TON: sms.TONInternational, NPI: sms.NPIISDN}
	}
	if a.TON == sms.TONNational {
		return international(n.Country + a.Value)
	}
	if rest, ok := strings.CutPrefix(a.Value, n.International); ok && n.International != "" && len(rest) >= shortest {
		return international(rest)
	}
	if rest, ok := strings.CutPrefix(a.Value, n.National); ok && len(a.Value) >= shortest {
		return international(n.Country + rest)
	}
	return a
}

// substitution replaces what a pattern matches of an address.
type substitution struct {
	Match   string `json:"match"` // /^0(.*)$/
	Replace string `json:"replace"`
	pattern *regexp.Regexp
}

// substitutions are tried in order; the first that matches is made, and no other. In JSON it may be one, or a list.
type substitutions []substitution

func (l *substitutions) UnmarshalJSON(b []byte) error {
	if b[0] == '{' {
		b = append(append([]byte{'['}, b...), ']')
	}
	if err := strictly(b, (*[]substitution)(l)); err != nil {
		return err
	}
	for i := range *l {
		s := &(*l)[i]
		text := strings.TrimSuffix(strings.TrimPrefix(s.Match, "/"), "/")
		if text == "" {
			return errors.New(`a rewriting has a match: {"match":"/^0(.*)$/","replace":"+49${1}"}`)
		}
		var err error
		if s.pattern, err = regexp.Compile(text); err != nil {
			return err
		}
	}
	return nil
}

func (l substitutions) apply(a sms.Address) sms.Address {
	before := a.String()
	for _, s := range l {
		if s.pattern.MatchString(before) {
			if after := s.pattern.ReplaceAllString(before, s.Replace); after != before {
				return sms.ParseAddress(after)
			}
			return a
		}
	}
	return a
}

type receipt sms.ReceiptRequest

func (r *receipt) UnmarshalJSON(b []byte) error {
	v, ok := sms.ParseReceiptRequest(strings.Trim(string(b), `"`))
	if !ok {
		return errors.New(`receipt is false, true, "failure" or "all"`)
	}
	*r = receipt(v)
	return nil
}

type validity time.Duration

func (v *validity) UnmarshalJSON(b []byte) error {
	text := strings.Trim(string(b), `"`)
	d, err := time.ParseDuration(text)
	if seconds, serr := strconv.ParseUint(text, 10, 31); serr == nil {
		d, err = time.Duration(seconds)*time.Second, nil
	}
	if err != nil || d < time.Second {
		return errors.New(`validity is seconds, or a time as "48h"`)
	}
	*v = validity(d)
	return nil
}

// passed says which of the optional parameters that came with a message go on with it; nil: all.
type passed struct {
	every bool
	tags  []uint16
}

func (p *passed) UnmarshalJSON(b []byte) error {
	var tags []json.RawMessage
	switch string(b) {
	case "true":
		p.every = true
		return nil
	case "false":
		return nil
	}
	if err := json.Unmarshal(b, &tags); err != nil {
		return errors.New(`want true, false, or the tags that pass, as ["0x0204", 5120]`)
	}
	for _, raw := range tags {
		tag, err := parseTag(raw)
		if err != nil {
			return err
		}
		p.tags = append(p.tags, tag)
	}
	return nil
}

func (p *passed) all() bool { return p == nil || p.every }

func (p *passed) passes(tag uint16) bool { return p.all() || slices.Contains(p.tags, tag) }

func parseTag(raw json.RawMessage) (uint16, error) {
	tag, err := strconv.ParseUint(strings.Trim(string(raw), `"`), 0, 16)
	if err != nil || tag == 0 {
		return 0, errors.New(`the tag of a TLV is a number, as 5120 or "0x1400"`)
	}
	return uint16(tag), nil
}

type tlv sms.TLV

func (t *tlv) UnmarshalJSON(b []byte) error {
	var raw struct {
		Tag   json.RawMessage `json:"tag"`
		Value string          `json:"value"`
	}
	if err := strictly(b, &raw); err != nil {
		return err
	}
	tag, err := parseTag(raw.Tag)
	if err != nil {
		return err
	}
	value, err := hex.DecodeString(raw.Value)
	if err != nil {
		return fmt.Errorf("the value of TLV 0x%04X is hexadecimal digits, two for each octet", tag)
	}
	*t = tlv{Tag: tag, Value: value}
	return nil
}

// strictly decodes JSON and takes no key that is unknown.
func strictly(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there is more behind the object")
	}
	return nil
}

// maxOptions bounds the column.
const maxOptions = 64 << 10

// maxWait bounds how long the applications may take.
const maxWait = 300

func parseOptions(s string) (options, error) {
	var o options
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return o, nil
	case len(s) > maxOptions:
		return o, fmt.Errorf("longer than %d octets", maxOptions)
	case s[0] != '{':
		return o, errors.New("want a JSON object")
	}
	if err := strictly([]byte(s), &o); err != nil {
		return o, errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if o.Coding != "" {
		a, ok := sms.ParseAlphabet(o.Coding)
		if !ok || a == sms.AlphabetBinary || a == sms.AlphabetOther {
			return o, fmt.Errorf("coding %q: want auto, gsm7, latin1, ascii or ucs2", o.Coding)
		}
	}
	for _, ton := range []*uint8{o.SrcTON, o.DstTON} {
		if ton != nil && *ton > 6 {
			return o, fmt.Errorf("%d is no TON: want 0 to 6 (SMPP 3.4, 5.2.5)", *ton)
		}
	}
	switch {
	case o.Unknown != "" && o.Unknown != "retry" && o.Unknown != "hold" && o.Unknown != "fail":
		return o, fmt.Errorf("on_unknown %q: want retry, hold or fail", o.Unknown)
	case o.Unknown == "hold" && o.Defer != nil && !*o.Defer:
		return o, errors.New("on_unknown hold keeps a message, and defer false does not: want one of them")
	case o.Wait < 0 || o.Wait > maxWait:
		return o, fmt.Errorf("wait %d: want 1 to %d seconds", o.Wait, maxWait)
	}
	return o, nil
}

// rewrite is what a rule changes of a message.
type rewrite struct{ options }

// rewrite is nil where nothing is changed.
func (o options) rewrite() *rewrite {
	if o.From == nil && o.To == nil && o.FromE164 == nil && o.ToE164 == nil && len(o.FromRewrite) == 0 && len(o.ToRewrite) == 0 &&
		o.SrcTON == nil && o.SrcNPI == nil && o.DstTON == nil && o.DstNPI == nil && o.Coding == "" && o.DataCoding == nil &&
		o.Receipt == nil && o.Validity == nil && o.ServiceType == nil && o.Priority == nil && len(o.TLVs) == 0 &&
		o.PassTLVs.all() {
		return nil
	}
	return &rewrite{o}
}

// Rewrite gives the message as the rule wants it: m itself where nothing is rewritten, else a copy.
func (d Decision) Rewrite(m *sms.Message) *sms.Message {
	if d.rewrite == nil {
		return m
	}
	o, n := &d.rewrite.options, *m
	n.From = address(n.From, o.From, o.FromE164, o.FromRewrite, o.SrcTON, o.SrcNPI)
	n.To = address(n.To, o.To, o.ToE164, o.ToRewrite, o.DstTON, o.DstNPI)
	if o.Coding != "" && !n.IsBinary() {
		n.Alphabet, _ = sms.ParseAlphabet(o.Coding)
		n.HasDataCoding, n.DataCoding = false, 0
	}
	if o.DataCoding != nil {
		if !n.IsBinary() {
			n.Alphabet = sms.AlphabetAuto
		}
		n.HasDataCoding, n.DataCoding = true, *o.DataCoding
	}
	if o.Receipt != nil {
		n.Receipt = sms.ReceiptRequest(*o.Receipt)
	}
	if o.Validity != nil {
		n.Expires = n.Received.Add(time.Duration(*o.Validity))
	}
	if o.ServiceType != nil {
		n.ServiceType = *o.ServiceType
	}
	if o.Priority != nil {
		n.Priority = *o.Priority
	}
	if len(o.TLVs) > 0 || !o.PassTLVs.all() {
		n.TLVs = nil
		for _, t := range m.TLVs {
			if !o.sets(t.Tag) && o.PassTLVs.passes(t.Tag) {
				n.TLVs = append(n.TLVs, t)
			}
		}
		for _, t := range o.TLVs {
			n.TLVs = append(n.TLVs, sms.TLV(t))
		}
	}
	return &n
}

func (o *options) sets(tag uint16) bool {
	for _, t := range o.TLVs {
		if t.Tag == tag {
			return true
		}
	}
	return false
}

// address rewrites one: first to E.164, then by pattern, unless it is replaced whole; TON and NPI last.
func address(a sms.Address, fixed *string, n *numbering, patterns substitutions, ton, npi *uint8) sms.Address {
	if fixed != nil {
		a = sms.ParseAddress(*fixed)
	} else {
		if n != nil {
			a = n.apply(a)
		}
		if len(patterns) > 0 {
			a = patterns.apply(a)
		}
	}
	if ton != nil {
		a.TON = sms.TON(*ton)
	}
	if npi != nil {
		a.NPI = sms.NPI(*npi)
	}
	return a
}
