package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"

	"sipsmpp/gateway/sms"
)

// What can be wrong with a body. A *BodyError wraps one of them.
var (
	ErrCut      = errors.New("the body ends within the field")
	ErrNoNUL    = errors.New("no NUL ends the string")
	ErrNUL      = errors.New("a NUL stands within the string")
	ErrTooLong  = errors.New("longer than the specification allows")
	ErrSMLength = errors.New("sm_length goes beyond the body")
	ErrTLV      = errors.New("an optional parameter goes beyond the body")
	ErrDestFlag = errors.New("dest_flag is neither 1 nor 2")
)

// BodyError says which field of a body does not parse or cannot be written. The PDU is lost, the stream is not: answer with
// Status and the PDU's sequence number.
type BodyError struct {
	Field  string // the specification's name
	Status Status // what a response says of it
	Err    error
}

func (e *BodyError) Error() string { return "smpp: " + e.Field + ": " + e.Err.Error() }

func (e *BodyError) Unwrap() error { return e.Err }

// StatusOf is the status to answer with where a body did not parse.
func StatusOf(err error) Status {
	var b *BodyError
	if errors.As(err, &b) {
		return b.Status
	}
	return StatusSystemError
}

// field is a C-octet string of some PDU: its name, its greatest length with the NUL (SMPP 3.4, 4) and what a response says
// where it is wrong.
type field struct {
	name   string
	max    int
	status Status
}

// The C-octet strings. The credentials may be longer than the specification says, since providers give out longer ones; so
// may message_id, which nobody shortens.
var (
	fServiceType  = field{"service_type", 6, StatusInvalidServiceType}
	fSource       = field{"source_addr", 21, StatusInvalidSource}
	fDest         = field{"destination_addr", 21, StatusInvalidDestination}
	fDataSource   = field{"source_addr", 65, StatusInvalidSource}
	fDataDest     = field{"destination_addr", 65, StatusInvalidDestination}
	fESMEAddr     = field{"esme_addr", 65, StatusInvalidDestination}
	fSchedule     = field{"schedule_delivery_time", 17, StatusInvalidSchedule}
	fValidity     = field{"validity_period", 17, StatusInvalidValidity}
	fFinalDate    = field{"final_date", 17, StatusInvalidMessageLength}
	fMessageID    = field{"message_id", 256, StatusInvalidMessageID}
	fSystemID     = field{"system_id", 256, StatusInvalidSystemID}
	fPassword     = field{"password", 256, StatusInvalidPassword}
	fSystemType   = field{"system_type", 256, StatusInvalidSystemType}
	fAddressRange = field{"address_range", 41, StatusBindFailed}
	fDLName       = field{"dl_name", 21, StatusInvalidDLName}
)

// cursor reads fields one after another. The first error stays; what is read after it is zero.
type cursor struct {
	b   []byte
	err *BodyError
}

// error gives the first error as an error: a nil *BodyError in an interface would not be nil.
func (c *cursor) error() error {
	if c.err != nil {
		return c.err
	}
	return nil
}

func (c *cursor) fail(name string, status Status, err error) {
	if c.err == nil {
		c.err = &BodyError{Field: name, Status: status, Err: err}
	}
	c.b = nil
}

func (c *cursor) uint8(name string) uint8 {
	if len(c.b) == 0 {
		c.fail(name, StatusInvalidCommandLength, ErrCut)
		return 0
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

func (c *cursor) uint32(name string) uint32 {
	if len(c.b) < 4 {
		c.fail(name, StatusInvalidCommandLength, ErrCut)
		return 0
	}
	v := binary.BigEndian.Uint32(c.b)
	c.b = c.b[4:]
	return v
}

func (c *cursor) string(f *field) string {
	if c.err != nil {
		return ""
	}
	switch n := bytes.IndexByte(c.b[:min(len(c.b), f.max)], 0); {
	case n == 0:
		c.b = c.b[1:]
		return ""
	case n > 0:
		s := string(c.b[:n])
		c.b = c.b[n+1:]
		return s
	case len(c.b) == 0:
		c.fail(f.name, StatusInvalidCommandLength, ErrCut)
	case len(c.b) >= f.max:
		c.fail(f.name, f.status, ErrTooLong)
	default:
		c.fail(f.name, f.status, ErrNoNUL)
	}
	return ""
}

// address reads TON, NPI and the address; in SMPP they always stand together.
func (c *cursor) address(f *field) sms.Address {
	ton, npi := c.uint8(f.name), c.uint8(f.name)
	return sms.Address{TON: sms.TON(ton), NPI: sms.NPI(npi), Value: c.string(f)}
}

// shortMessage reads sm_length and short_message.
func (c *cursor) shortMessage() []byte {
	n := int(c.uint8("sm_length"))
	if n > len(c.b) {
		c.fail("short_message", StatusInvalidMessageLength, ErrSMLength)
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

// tlvs reads optional parameters to the end of the body, into the room that into has.
func (c *cursor) tlvs(into TLVs) TLVs {
	into = into[:0]
	for len(c.b) > 0 {
		if len(c.b) < 4 {
			c.fail("tlv", StatusInvalidTLVStream, ErrTLV)
			break
		}
		n := 4 + int(binary.BigEndian.Uint16(c.b[2:]))
		if n > len(c.b) {
			c.fail("tlv", StatusInvalidTLVStream, ErrTLV)
			break
		}
		into = append(into, sms.TLV{Tag: binary.BigEndian.Uint16(c.b), Value: c.b[4:n:n]})
		c.b = c.b[n:]
	}
	return into
}

// writer appends fields one after another. The first error stays.
type writer struct {
	b   []byte
	err error
}

func (w *writer) done() ([]byte, error) { return w.b, w.err }

func (w *writer) fail(name string, status Status, err error) {
	if w.err == nil {
		w.err = &BodyError{Field: name, Status: status, Err: err}
	}
}

func (w *writer) uint8(v ...uint8) { w.b = append(w.b, v...) }

func (w *writer) string(f *field, s string) {
	if len(s) >= f.max {
		w.fail(f.name, f.status, ErrTooLong)
		return
	}
	if strings.IndexByte(s, 0) >= 0 {
		w.fail(f.name, f.status, ErrNUL)
		return
	}
	w.b = append(w.b, s...)
	w.b = append(w.b, 0)
}

func (w *writer) address(f *field, a sms.Address) {
	w.b = append(w.b, byte(a.TON), byte(a.NPI))
	w.string(f, a.Value)
}

func (w *writer) shortMessage(sm []byte) {
	if len(sm) > 255 {
		w.fail("short_message", StatusInvalidMessageLength, ErrTooLong)
		return
	}
	w.b = append(w.b, byte(len(sm)))
	w.b = append(w.b, sm...)
}

func (w *writer) tlvs(t TLVs) {
	b, err := appendTLVs(w.b, t)
	w.b = b
	if w.err == nil {
		w.err = err
	}
}
