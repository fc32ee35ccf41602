package sms

import (
	"fmt"
	"net"
	"strconv"
	"time"
)

// SessionType is column session_type of table smpp.
type SessionType int

// The session types, with OpenSIPS' numbers.
const (
	Transceiver SessionType = iota + 1
	Transmitter
	Receiver
	Outbind
)

func (t SessionType) String() string {
	if t < Transceiver || t > Outbind {
		return fmt.Sprintf("session_type(%d)", int(t))
	}
	return [...]string{"transceiver", "transmitter", "receiver", "outbind"}[t-1]
}

// LongMessage is how a message that needs several segments leaves: column long_message of table smpp.
type LongMessage string

// The ways of a long message.
const (
	LongUDH16   LongMessage = "udh16"   // UDH with a 16-bit reference (3GPP TS 23.040, 9.2.3.24.8)
	LongUDH8    LongMessage = "udh8"    // UDH with an 8-bit reference (9.2.3.24.1)
	LongSAR     LongMessage = "sar"     // sar_* TLVs (SMPP 3.4, 5.3.2.22 to 24)
	LongPayload LongMessage = "payload" // message_payload (SMPP 3.4, 5.3.2.32)
)

// ConnectionConfig is one row of table smpp: an SMPP peer that we reach. It is comparable, so that a reload can tell what
// changed by ==. A password is in here: it must not be logged, so String says only the name.
type ConnectionConfig struct {
	Name             string
	Host             string // column ip: an address or a host name
	Port             int
	SystemID         string
	Password         string
	SystemType       string
	SourceTON        uint8
	SourceNPI        uint8
	DestTON          uint8
	DestNPI          uint8
	SessionType      SessionType
	Enabled          bool
	TLS              bool
	Binds            int           // how many sessions
	Window           int           // most unanswered requests on each
	Throughput       int           // segments per second, of all binds together; 0: unlimited
	EnquireLink      time.Duration // silence after which the link is asked; 0: never
	ResponseTimeout  time.Duration
	Alphabet         Alphabet // what data_coding 0 means
	LongMessage      LongMessage
	SMSCIDFormat     string         // auto, hex, decimal, text
	Receipt          ReceiptRequest // options.receipt: asked for whatever the sender wants
	ValidityDefault  time.Duration  // options.validity: where the sender gives none
	QueueTimeout     time.Duration  // options.queue_timeout: how long a message waits for a slot
	Account          string         // options.account, of an outbind connection: whom the peer binds as; empty: the row's own system_id
	ByOutbind        bool           // options.outbind: the peer opens the socket, by our listener, and says outbind
	InterfaceVersion uint8          // options.interface_version: 0x34 unless the peer needs another
	Statuses         StatusClasses  // options.statuses: what is no longer of the class that the gateway gives it
	TLVNames         TLVNames       // options.tlvs
	HopsTLV          uint16         // options.hops_tlv: the tag that carries sms.Message.Hops; 0: none does
	Shift            string         // options.shift: a language whose national tables the peer's phones read
	Transliterate    bool           // options.transliterate: what GSM has in the place of what it has not
	TLSFiles         TLSFiles       // options.tls_ca, tls_cert, tls_key
	TLSServerName    string         // options.tls_server_name: whom the certificate must name; empty: Host
	TLSInsecure      bool           // options.tls_insecure: any certificate will do
	Options          string         // the JSON as it stands in the row: what no field above holds
}

// TLSFiles are paths of PEM files, each of which may be empty. They are read anew for each session.
type TLSFiles struct {
	CA   string // who may vouch for the peer; none: whom the system trusts
	Cert string // our own certificate, and who vouches for it
	Key  string
}

// Peer is the address that we connect to.
func (c ConnectionConfig) Peer() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

func (c ConnectionConfig) String() string { return c.Name }

// Sends says that messages can go by it: not by a receiver, nor by one that calls an account, which is sent to as such.
func (c ConnectionConfig) Sends() bool { return c.SessionType != Receiver && c.Account == "" }

// GoString keeps the password out of %#v.
func (c ConnectionConfig) GoString() string { return "sms.ConnectionConfig(" + c.Name + ")" }

// Fault is one thing wrong with one value of the configuration or of a table. Path says where: `smpp.listen[1]`, or
// `smpp[name=acme].port` for a row.
type Fault struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

func (f Fault) Error() string { return f.Path + ": " + f.Reason }
