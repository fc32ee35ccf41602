package sms

// SIPUser is one row of table sip_user: who may send by SIP with credentials, wherever from. It holds what a digest needs in place
// of a password; that must not be logged either, so String says only the name.
type SIPUser struct {
	Name      string
	Realm     string   // that the hashes were made for
	HA1       string   // MD5 of name:realm:password, in hexadecimal (RFC 7616, 3.4.2); empty: the user cannot use MD5
	HA1SHA256 string   // the same by SHA-256
	Numbers   []string // what the user may give as From, besides its own name; "*" is anything
	Enabled   bool
}

func (u SIPUser) String() string { return u.Name }

// GoString keeps the hashes out of %#v.
func (u SIPUser) GoString() string { return "sms.SIPUser(" + u.Name + ")" }

// Addresses are the names and numbers that are the user's own: where it is reached once it has registered.
func (u SIPUser) Addresses() []Address {
	list := []Address{ParseAddress(u.Name)}
	for _, n := range u.Numbers {
		if n != "*" {
			list = append(list, ParseAddress(n))
		}
	}
	return list
}

// MayUse says that the user may send with this From.
func (u SIPUser) MayUse(from Address) bool {
	text := from.String()
	if text == ParseAddress(u.Name).String() {
		return true
	}
	for _, n := range u.Numbers {
		if n == "*" || ParseAddress(n).String() == text {
			return true
		}
	}
	return false
}
