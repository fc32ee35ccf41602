package sip

import (
	"strconv"
	"strings"

	"sipsmpp/gateway/sms"

	"github.com/emiago/sipgo/sip"
)

// addressOf is the number or name that a URI is of: the number of a tel: URI, the user part of a sip: or sips: one. Parameters
// of a telephone-subscriber go, but a global phone-context completes a local number (RFC 3966, 5.1.5). The zero Address is a URI
// that is of nobody.
func addressOf(uri *sip.Uri) sms.Address {
	user := uri.User
	if uri.Scheme == "tel" {
		user = uri.Raw()
	}
	number, parameters, _ := strings.Cut(user, ";")
	if a := sms.ParseAddress(unescape(number)); a.TON != sms.TONAlphanumeric {
		if a.TON == sms.TONUnknown {
			if context := phoneContext(parameters); context != "" {
				return sms.ParseAddress(context + a.Value)
			}
		}
		return a
	}
	if uri.Scheme == "tel" {
		user = number
	}
	// A name: here a ';' is the user's own.
	name := unescape(user)
	if name == "" {
		return sms.Address{}
	}
	return sms.ParseAddress(name)
}

// replyURI is a sender's URI as what a request to it is sent to: nothing but user, host and port. Empty where it is none of SIP:
// then its number goes to the next hop.
func replyURI(sender *sip.Uri) string {
	if sender.Scheme != "sip" && sender.Scheme != "sips" || sender.User == "" || sender.Host == "" ||
		strings.ContainsFunc(sender.Host, func(r rune) bool { return !isHostRune(r) }) ||
		len(sender.User)+len(sender.Host) > maxCPIMValue {
		return ""
	}
	for i := range len(sender.User) {
		if c := sender.User[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"<>@`, c) >= 0 {
			return ""
		}
	}
	uri := "sip:" + sender.User + "@" + sender.Host
	if sender.Port > 0 {
		uri += ":" + strconv.Itoa(sender.Port)
	}
	return uri
}

// phoneContext is the global prefix that a phone-context names, with its '+'. A context that is a domain names none.
func phoneContext(parameters string) string {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(p, "=")
		if value = unescape(value); strings.EqualFold(name, "phone-context") && strings.HasPrefix(value, "+") {
			return value
		}
	}
	return ""
}

// unescape resolves %XX (RFC 3261, 19.1.2), leaves one that is none as it stands, and drops what no address may have:
// control characters, and octets that are no UTF-8.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return printable(s)
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi < 16 && lo < 16 {
				b = append(b, hi<<4|lo)
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return printable(string(b))
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

// printable is s without control characters and without what is no UTF-8.
func printable(s string) string {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return strings.Map(func(r rune) rune {
				if r < ' ' || r >= 0x7f && r < 0xa0 {
					return -1
				}
				return r
			}, strings.ToValidUTF8(s, ""))
		}
	}
	return s
}

// appendUser appends an address as the user part of a SIP URI. What is neither letter, digit nor one of a few marks is escaped,
// also where RFC 3261, 19.1.1 would let it stand: it parses everywhere.
func appendUser(b []byte, a sms.Address) []byte {
	for i, s := 0, a.String(); i < len(s); i++ {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '+', c == '-', c == '_', c == '.', c == '*':
			b = append(b, c)
		case c < ' ' || c == 0x7f:
		default:
			b = append(b, '%', "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&15])
		}
	}
	return b
}

// appendFrom appends the value of From without its tag. A number is the user part alone; a name is the display name too, so
// that a telephone shows it unescaped. Nobody is anonymous (RFC 3323, 4.1.1.3).
func appendFrom(b []byte, a sms.Address, domain string) []byte {
	if a.TON == sms.TONAlphanumeric {
		b = append(b, '"')
		for _, r := range printable(a.Value) {
			if r == '"' || r == '\\' {
				b = append(b, '\\')
			}
			b = append(b, string(r)...)
		}
		b = append(b, '"', ' ')
	}
	b = append(b, "<sip:"...)
	user := len(b)
	if b = appendUser(b, a); len(b) == user {
		return append(b, "anonymous@anonymous.invalid>"...)
	}
	b = append(b, '@')
	b = append(b, domain...)
	return append(b, '>')
}
