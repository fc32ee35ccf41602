// Package sms names the gateway's domain: messages, addresses, segments and outcomes.
//
// Every other package of the gateway speaks in these words, so they are plain values: nothing here opens a socket, starts a
// goroutine or imports more than the standard library. Text is Unicode in here, whatever alphabet it came in.
package sms

import (
	"fmt"
	"strings"
	"time"
)

// Message is what a sender handed over, once, whole. It is not changed after Gateway.Accept took it: an attempt that needs
// other numbers or another coding works on a copy.
type Message struct {
	ID      ID
	Ref     string // the sender's own reference, opaque to us: Call-ID, message_send's ref
	Ingress Leg    // the leg that it came in by
	Peer    string // who sent it on that leg: network address of the sender, for logs and events

	From, To Address

	// Text is the message where it is text. Data is what it is where it is not (Alphabet is Binary), octet by octet.
	Text string
	Data []byte
	// UDH is the user data header that came with the message or must go with it, its concatenation elements removed:
	// information elements only, without the length octet (3GPP TS 23.040, 9.2.3.24).
	UDH []byte

	// Alphabet is what the text came in. On the way out it is a wish: AlphabetAuto lets the egress choose the smallest.
	Alphabet Alphabet
	// DataCoding is the data_coding that came with the message, or that the sender demands (SMPP 3.4, 5.2.19).
	DataCoding    uint8
	HasDataCoding bool // false lets the egress derive it from the alphabet
	// Class is the message class: ClassNone, or 0 (flash) to 3 (3GPP TS 23.038, 4).
	Class Class

	ServiceType      string // SMPP 3.4, 5.2.11
	ProtocolID       uint8  // SMPP 3.4, 5.2.13
	Priority         uint8  // SMPP 3.4, 5.2.14
	ReplaceIfPresent bool   // SMPP 3.4, 5.2.18
	ReplyPath        bool   // bit 0x80 of esm_class
	TLVs             []TLV  // what no field above holds, in the order that it came

	Part       Part // set where this is one part of a longer message that is not yet assembled
	Segments   int  // how many segments it came in; 0 where the ingress knows none (SIP, MI)
	Incomplete bool // parts of it never came

	Receipt ReceiptRequest
	Notify  *Notify // where the report goes beside the event: to a sender on SIP
	// Wanted are the receipts that the account which submitted the message asked for: one, or one for each part that it sent.
	Wanted   []WantedReceipt
	Received time.Time // when the ingress had it
	Expires  time.Time // end of validity; zero: none

	NoDefer bool // its sender would rather hear that nobody takes it than have it kept

	Connection string // the connection that the sender asks for by name; empty lets the routes decide
	// IdempotencyKey is the sender's name for what it wants done once; empty: it gave none.
	IdempotencyKey string

	// Hops is how many more gateways and proxies may have it, as the leg said that it came by (Max-Forwards, options.hops_tlv); 0:
	// nobody said, negative: none may.
	Hops int16
}

// IsBinary says that Data, not Text, is the message.
func (m *Message) IsBinary() bool { return m.Alphabet == AlphabetBinary }

// Part places a segment in the message that it is part of. The zero value is a message that came whole.
type Part struct {
	Ref   uint16 // the concatenation reference, 8 or 16 bits
	Wide  bool   // the reference has 16 bits (UDH element 0x08, sar_msg_ref_num)
	Total uint8
	Seq   uint8 // from 1
}

// IsSet says that the message is a part.
func (p Part) IsSet() bool { return p.Total > 0 }

// TLV is an optional parameter (SMPP 3.4, 5.3), its octets as they came.
type TLV struct {
	Tag   uint16
	Value []byte
}

// Class is a message class (3GPP TS 23.038, 4).
type Class uint8

// The message classes. The zero value is none, so that a Message has none by default.
const (
	ClassNone Class = iota
	Class0          // flash: shown at once, not stored
	Class1          // ME specific
	Class2          // SIM specific
	Class3          // TE specific
)

// Alphabet is what octets of text mean.
type Alphabet uint8

// The alphabets. The names are those of column `alphabet` in table smpp and of `coding` in events.
const (
	AlphabetAuto       Alphabet = iota // outbound: the smallest that holds the text
	AlphabetGSM7                       // GSM 7-bit default alphabet, one septet an octet (3GPP TS 23.038, 6.2.1)
	AlphabetGSM7Packed                 // the same, packed: eight septets in seven octets
	AlphabetLatin1                     // ISO 8859-1
	AlphabetASCII                      // IA5
	AlphabetUCS2                       // UTF-16 big endian
	AlphabetBinary                     // no text at all
	AlphabetOther                      // text in what else a data_coding names: Shift-JIS, Cyrillic, ...
)

var alphabetNames = [...]string{"auto", "gsm7", "gsm7-packed", "latin1", "ascii", "ucs2", "binary", "other"}

func (a Alphabet) String() string {
	if int(a) < len(alphabetNames) {
		return alphabetNames[a]
	}
	return fmt.Sprintf("alphabet(%d)", a)
}

// ParseAlphabet reads what String writes.
func ParseAlphabet(s string) (Alphabet, bool) {
	for i, name := range alphabetNames {
		if strings.EqualFold(s, name) {
			return Alphabet(i), true
		}
	}
	return 0, false
}

// LegKind is a way into the gateway or out of it.
type LegKind uint8

// The kinds of leg.
const (
	LegNone       LegKind = iota
	LegSIP                // a SIP endpoint, by way of our SIP side
	LegConnection         // a connection of table smpp
	LegAccount            // an account of table smpp_account
	LegMI                 // message_send
	LegApp                // the applications, by an event
)

var legNames = [...]string{"", "sip", "smpp", "account", "mi", "app"}

// Leg is one way into the gateway or out of it: `sip`, `smpp:NAME`, `account:SYSTEM_ID`, `mi`, `app`.
type Leg struct {
	Kind LegKind
	Name string // the connection's or account's name; a SIP user, where one authenticated
}

// SIP, MI and App are the legs that need no name.
var (
	SIP = Leg{Kind: LegSIP}
	MI  = Leg{Kind: LegMI}
	App = Leg{Kind: LegApp}
)

// Connection is the leg of the connection with that name.
func Connection(name string) Leg { return Leg{Kind: LegConnection, Name: name} }

// Account is the leg of the account with that system_id.
func Account(systemID string) Leg { return Leg{Kind: LegAccount, Name: systemID} }

func (l Leg) String() string {
	if l.Name == "" {
		return legNames[l.Kind]
	}
	return legNames[l.Kind] + ":" + l.Name
}

// ParseLeg reads what Leg.String writes.
func ParseLeg(s string) (Leg, bool) {
	kind, name, _ := strings.Cut(s, ":")
	for i, k := range legNames {
		if i > 0 && k == kind {
			l := Leg{Kind: LegKind(i), Name: name}
			named := l.Kind == LegConnection || l.Kind == LegAccount
			return l, !named || name != ""
		}
	}
	return Leg{}, false
}

// MarshalText lets a leg stand in JSON as its string.
func (l Leg) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads what MarshalText writes. The empty text is no leg.
func (l *Leg) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*l = Leg{}
		return nil
	}
	leg, ok := ParseLeg(string(b))
	if !ok {
		return fmt.Errorf("%q is no leg: want sip, mi, app, smpp:NAME or account:SYSTEM_ID", b)
	}
	*l = leg
	return nil
}
