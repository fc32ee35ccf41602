package sms

import "time"

// BindModes are the kinds of bind that an account may make: a set of the bits below.
type BindModes uint8

// The kinds of bind.
const (
	BindTransmitter BindModes = 1 << iota
	BindReceiver
	BindTransceiver
)

// AccountConfig is one row of table smpp_account: an ESME that may bind to our listener. It is comparable, so that a reload can
// tell what changed by ==. The hash of a password is in here: it must not be logged, so String says only the name.
type AccountConfig struct {
	SystemID          string
	PasswordHash      string // bcrypt, or argon2id as ParseArgon2id reads it
	AllowedIPs        string // networks as netip.Prefix writes them, separated by blanks; empty: from everywhere
	BindModes         BindModes
	MaxBinds          int // most binds at a time
	Window            int // most unanswered requests on each, of the ESME's and of ours
	Throughput        int // segments per second that it may submit, by all binds together; 0: unlimited
	Enabled           bool
	EnquireLink       time.Duration // options.enquire_link: silence after which the link is asked; 0: never
	ResponseTimeout   time.Duration // options.response_timeout
	InactivityTimeout time.Duration // options.inactivity_timeout: without a message for so long, a bind is ended; 0: never
	Alphabet          Alphabet      // options.alphabet: what data_coding 0 means
	LongMessage       LongMessage   // options.long_message: how a long message reaches the ESME
	QueueTimeout      time.Duration // options.queue_timeout: how long a message to the ESME waits for a slot
	HopsTLV           uint16        // options.hops_tlv: as with connections
	DuplicateWindow   time.Duration // options.duplicate_window: how long the same submit is taken for a repetition; 0: never
}

func (c AccountConfig) String() string { return c.SystemID }

// GoString keeps the hash out of %#v.
func (c AccountConfig) GoString() string { return "sms.AccountConfig(" + c.SystemID + ")" }

// WantedReceipt is a receipt that an account asked for: our id that it knows the message, or one of its parts, by.
type WantedReceipt struct {
	ID      ID             `json:"id"`
	Receipt ReceiptRequest `json:"receipt"`
}
