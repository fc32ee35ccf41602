package smpp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/text"
)

// submission is a message on its way through one connection, and what became of its segments. The connection's lock guards what
// changes.
type submission struct {
	m    *sms.Message
	done func(sms.Outcome)

	encoded            text.Encoded
	source, dest       sms.Address
	esmClass           uint8
	receipt            sms.ReceiptRequest // what the sender or the connection wants
	registeredDelivery uint8
	validity           time.Duration // where the message names no end of it; 0: none

	deadline time.Time // to leave the queue
	next     int       // the segment to send next
	open     int       // segments that were sent and not answered
	begun    time.Time // when the first segment was sent
	stopped  bool      // no more of it is sent: a segment was not accepted, or its bind died

	accepted int
	ids      []string
	refused  bool
	status   wire.Status // of the worst refusal
	severity sms.Severity
	unknown  int
	reason   error        // why a segment has no answer, or was not sent
	failed   *sms.Outcome // it ended before anything was sent
}

// append appends the submit_sm or deliver_sm of one segment.
func (s *submission) append(dst []byte, command wire.CommandID, segment int, sequence uint32, now time.Time, noTLVs bool) ([]byte, error) {
	m, part := s.m, s.encoded.Parts[segment]
	sm := wire.SM{
		ServiceType: m.ServiceType, Source: s.source, Dest: s.dest, ESMClass: s.esmClass, ProtocolID: m.ProtocolID,
		PriorityFlag: m.Priority, RegisteredDelivery: s.registeredDelivery, DataCoding: s.encoded.DataCoding,
	}
	if m.ReplaceIfPresent && command == wire.CmdSubmitSM {
		sm.ReplaceIfPresent = 1
	}
	switch {
	case command == wire.CmdDeliverSM: // its time fields are empty (SMPP 3.4, 4.6.1)
	case !m.Expires.IsZero():
		sm.ValidityPeriod = wire.FormatValidity(m.Expires.Sub(now), now)
	case s.validity > 0:
		sm.ValidityPeriod = wire.FormatValidity(s.validity, now)
	}
	if !noTLVs {
		sm.TLVs = s.extras()
	}
	start := len(dst)
	dst = wire.AppendHeader(dst, wire.Header{Command: command, Sequence: sequence})
	if !s.encoded.Payload {
		sm.ShortMessage = part
	}
	dst, err := sm.AppendBody(dst)
	if err != nil {
		return dst[:start], err
	}
	if s.encoded.Payload {
		dst = wire.AppendTLV(dst, wire.TagMessagePayload, part...)
	}
	if s.encoded.SAR {
		var ref [2]byte
		binary.BigEndian.PutUint16(ref[:], s.encoded.Ref)
		dst = wire.AppendTLV(dst, wire.TagSARMsgRefNum, ref[:]...)
		dst = wire.AppendTLV(dst, wire.TagSARTotalSegments, byte(len(s.encoded.Parts)))
		dst = wire.AppendTLV(dst, wire.TagSARSegmentSeqnum, byte(segment+1))
	}
	return wire.Finish(dst, start), nil
}

// extras are the message's own optional parameters, but for those that say how it is parted: that is ours to say.
func (s *submission) extras() wire.TLVs {
	for _, t := range s.m.TLVs {
		if partsTag(t.Tag) {
			var kept wire.TLVs
			for _, t := range s.m.TLVs {
				if !partsTag(t.Tag) {
					kept = append(kept, t)
				}
			}
			return kept
		}
	}
	return s.m.TLVs
}

// partsTag says that an optional parameter tells how a message is parted, or is the message.
func partsTag(tag uint16) bool {
	switch tag {
	case wire.TagMessagePayload, wire.TagSARMsgRefNum, wire.TagSARTotalSegments, wire.TagSARSegmentSeqnum:
		return true
	}
	return false
}

// fail ends a message before anything of it was sent.
func (s *submission) fail(o sms.Outcome) { s.failed = &o }

// expired says that the validity of a message that was not begun is over.
func (s *submission) expired(now time.Time) bool {
	return !s.m.Expires.IsZero() && !now.Before(s.m.Expires)
}

// record takes what became of one segment. After one that was not accepted no more of the message is sent: what is missing a
// segment is never shown to its recipient.
func (s *submission) record(a *answer) {
	s.open--
	switch a.fate {
	case sms.Accepted:
		s.accepted++
		if a.named {
			if s.ids == nil {
				s.ids = make([]string, len(s.encoded.Parts))
			}
			s.ids[a.segment] = a.id
		}
		return
	case sms.Refused:
		if class := a.severity; !s.refused || worse(class, s.severity) {
			s.refused, s.status, s.severity = true, a.status, class
		}
	case sms.Unknown:
		s.unknown++
		s.reason = a.reason
	case sms.NotSent:
		if s.unknown == 0 {
			s.reason = a.reason
		}
	}
	s.stopped = true
}

// over says that nothing more will become of it.
func (s *submission) over() bool {
	return s.open == 0 && (s.stopped || s.next == len(s.encoded.Parts))
}

// outcome is what became of the message, once it is over. Its worst segment decides:
//
//   - refused if one was, with that status; of several refusals the one that is hardest to mend (see worse), the first of equals
//   - else unknown if one has no answer, or if some were accepted and the rest never left: the peer has a part of it
//   - else not sent if none left
//   - else accepted
func (s *submission) outcome(leg sms.Leg) sms.Outcome {
	if s.failed != nil {
		o := *s.failed
		o.Egress = leg
		return o
	}
	o := sms.Outcome{
		Egress: leg, SMSCIDs: s.ids, Segments: len(s.encoded.Parts), Alphabet: s.encoded.Alphabet,
		Receipt: s.receipt, Begun: s.begun,
	}
	switch {
	case s.refused:
		o.Fate, o.Cause, o.Severity = sms.Refused, sms.CauseRefused, s.severity
		o.Protocol, o.Status = sms.ProtocolSMPP, uint32(s.status)
		o.Detail = fmt.Sprintf("%s, %v", s.status.Text(), s.status)
	case s.accepted == len(s.encoded.Parts):
		o.Fate = sms.Accepted
	case s.unknown > 0 || s.accepted > 0:
		o.Fate, o.Cause, o.Severity, o.Detail = sms.Unknown, sms.CauseNoAnswer, sms.Temporary, s.why()
	default:
		o.Fate, o.Cause, o.Severity, o.Detail = sms.NotSent, sms.CauseNotReady, sms.Temporary, s.why()
	}
	return o
}

func (s *submission) why() string {
	if s.reason == nil {
		return ""
	}
	return s.reason.Error()
}

// prepare makes a submission of a message, or the outcome that it has instead.
func (c *connection) prepare(m *sms.Message, done func(sms.Outcome), now time.Time) *submission {
	s := &submission{m: m, done: done, validity: c.cfg.ValidityDefault}
	if s.expired(now) {
		s.fail(expired(m))
		return s
	}
	if err := s.encode(&c.cfg, c.ref()); err != nil {
		s.fail(sms.Failed(sms.Permanent, sms.CauseUnencodable, err.Error()))
	}
	return s
}

func expired(m *sms.Message) sms.Outcome {
	return sms.Failed(sms.Permanent, sms.CauseExpired, "it was valid until "+m.Expires.UTC().Format(time.RFC3339))
}

// encode sets what depends on the connection. ref is what its parts share.
func (s *submission) encode(cfg *sms.ConnectionConfig, ref uint16) (err error) {
	m := s.m
	if s.source, err = sourceAddress(m.From, cfg.SourceTON, cfg.SourceNPI); err != nil {
		return err
	}
	if s.dest, err = destAddress(m.To, cfg.DestTON, cfg.DestNPI); err != nil {
		return err
	}
	long := cfg.LongMessage
	if cfg.InterfaceVersion < 0x34 && (long == sms.LongSAR || long == sms.LongPayload) {
		long = sms.LongUDH16 // SMPP 3.4, 3.4: the peer knows no optional parameters
	}
	s.encoded, err = text.Encode(m, text.Carrier{
		Default: cfg.Alphabet, Long: long, Shift: cfg.Shift, Transliterate: cfg.Transliterate,
	}, ref)
	if err != nil {
		return err
	}
	if s.encoded.UDHI {
		s.esmClass |= wire.ESMClassUDHI
	}
	if m.ReplyPath {
		s.esmClass |= wire.ESMClassReplyPath
	}
	if cfg.SessionType == sms.Outbind {
		return nil // who has answered deliver_sm has the message, and is asked for no receipt (SMPP 3.4, 5.2.17)
	}
	s.receipt = m.Receipt.With(cfg.Receipt)
	s.registeredDelivery = registeredDelivery(m.Receipt, cfg.Receipt)
	return nil
}

// registeredDelivery asks for the receipts that the sender or the connection wants, whoever wants more (SMPP 3.4, 5.2.17).
func registeredDelivery(a, b sms.ReceiptRequest) uint8 {
	asked := func(r sms.ReceiptRequest) bool { return a == r || b == r }
	switch {
	case asked(sms.ReceiptAll):
		return wire.RegisteredFinal | wire.RegisteredIntermediate
	case asked(sms.ReceiptFinal):
		return wire.RegisteredFinal
	case asked(sms.ReceiptFailure):
		return wire.RegisteredFailure
	}
	return 0
}

// The limits of addresses.
const (
	maxAddress      = 20 // SMPP 3.4, 4.4.1: 21 with the NUL
	maxAlphanumeric = 11 // 3GPP TS 23.040, 9.1.2.5: ten octets of packed septets
)

// Why an address cannot go out.
var (
	errNoDest        = errors.New("the message has no recipient")
	errAddressLength = fmt.Errorf("an address has at most %d characters", maxAddress)
)

// sourceAddress is the sender as the connection wants it. An alphanumeric one keeps its TON 5 and NPI 0: the columns are for
// numbers.
func sourceAddress(a sms.Address, ton, npi uint8) (sms.Address, error) {
	if a.TON == sms.TONAlphanumeric {
		a.NPI = sms.NPIUnknown
		return a, checkAlphanumeric(a.Value)
	}
	return numberAddress(a, ton, npi)
}

// destAddress is the recipient as the connection wants it.
func destAddress(a sms.Address, ton, npi uint8) (sms.Address, error) {
	if a.IsZero() {
		return a, errNoDest
	}
	return numberAddress(a, ton, npi)
}

func numberAddress(a sms.Address, ton, npi uint8) (sms.Address, error) {
	if len(a.Value) > maxAddress {
		return a, fmt.Errorf("%w: %q has %d", errAddressLength, a.Value, len(a.Value))
	}
	for i := range len(a.Value) {
		if c := a.Value[i]; c < ' ' || c > '~' {
			return a, fmt.Errorf("the address %q has a character that is not ASCII (SMPP 3.4, 3.1)", a.Value)
		}
	}
	if a.IsZero() {
		return sms.Address{}, nil // no sender: the SMSC puts its own (SMPP 3.4, 4.4.1)
	}
	if ton != 0 {
		a.TON = sms.TON(ton)
	}
	if npi != 0 {
		a.NPI = sms.NPI(npi)
	}
	return a, nil
}

// checkAlphanumeric says whether a name can be a sender: ASCII, as a C-octet string is (SMPP 3.4, 3.1), of characters that GSM
// has, at most eleven of them, those of the extension table counting two.
func checkAlphanumeric(s string) error {
	septets := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c > '~' || c == '`':
			return fmt.Errorf("the sender %q has a character that a name on SMPP cannot have: use ASCII without `", s)
		case c == '^' || c == '{' || c == '}' || c == '\\' || c == '[' || c == '~' || c == ']' || c == '|':
			septets += 2
		default:
			septets++
		}
	}
	if septets > maxAlphanumeric {
		return fmt.Errorf("the sender %q is longer than the %d GSM characters that a name may have", s, maxAlphanumeric)
	}
	return nil
}
