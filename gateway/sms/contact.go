package sms

import "time"

// Contact is where a registered user of SIP is reached: one row of table sip_contact.
type Contact struct {
	ID   ID
	User string // its name in table sip_user
	URI  string // as the user agent gave it: what a request to it has as Request-URI
	// Received is where its REGISTER came from and Local the listener that took it: tcp:192.0.2.7:40123, udp:198.51.100.1:5060.
	Received, Local string
	Path            string // Route of what goes there, as the proxies on the way gave it (RFC 3327); empty: there are none
	Instance        string // the device, by its +sip.instance (RFC 5626, 4.1); empty: it does not say
	RegID           uint32 // which of its flows; 0: it does not say
	Q               uint16 // in thousandths; the greater is tried first
	CallID          string // of its last REGISTER
	CSeq            uint32
	UserAgent       string
	Since           time.Time // when it registered first
	Updated         time.Time // when it registered last
	Expires         time.Time
}
