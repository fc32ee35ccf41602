package store

import (
	"cmp"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"sipsmpp/gateway/sms"
)

// RecordState is where the life of a recorded message stands: column `state` of table message.
type RecordState string

// The states of a record.
const (
	RecordDeferred RecordState = "deferred" // waits for NextAttempt
	RecordSent     RecordState = "sent"     // a next hop has it, and its report is awaited
	RecordReported RecordState = "reported" // the last of its segments was reported
	RecordDone     RecordState = "done"     // a next hop has it, and nobody waits for a report
	RecordFailed   RecordState = "failed"   // no next hop took it
)

// Record is a row of table message with its segments. The store does not change one that it was given, and neither may the
// caller before done was called.
type Record struct {
	Message     *sms.Message
	Node        string // the gateway that recorded it; empty on insert: this one
	State       RecordState
	Egress      sms.Leg
	Rule        string
	Attempts    int
	NextAttempt time.Time // of one that is sent: when its report is given up
	Segments    []Segment // by part
	Report      sms.State // the worst of the segments' once all are final; until then none
	ReportError string
	DoneTime    time.Time
	Updated     time.Time       // zero on insert: now
	Deferral    *Deferral       // how it waits, where State is RecordDeferred
	Failed      []FailedAttempt // oldest first; only Message reads them
	Targets     []string        // that an application decided on, as route.ParseTarget reads them; none: the rules decide
}

// Segment is a row of table message_segment: what went out as one short message by the record's egress.
type Segment struct {
	Part     int    // from 1
	SMSCID   string // as the peer gave it; empty: it gave none
	Key      string // the normal form of SMSCID, which FindSegments looks for
	State    sms.State
	Error    string
	DoneTime time.Time
}

// Texts are stored as they are, whatever the alphabet, with one exception: octets that are no UTF-8, and NUL, which PostgreSQL
// refuses in a text. Each becomes SUBSTITUTE (0x1A) and two hexadecimal digits, as does SUBSTITUTE itself, so that no message is
// lost or altered for them.
const substitute = '\x1a'

func escape(s string) string {
	if !strings.ContainsAny(s, "\x00\x1a") && utf8.ValidString(s) {
		return s
	}
	b := make([]byte, 0, len(s)+8)
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == 0 || r == substitute || r == utf8.RuneError && n == 1 {
			b = append(b, substitute)
			b = hex.AppendEncode(b, []byte{s[i]})
		} else {
			b = append(b, s[i:i+n]...)
		}
		i += n
	}
	return string(b)
}

func unescape(s string) string {
	if strings.IndexByte(s, substitute) < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == substitute && i+2 < len(s) {
			if c, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				b = append(b, c[0])
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

// errRow marks a row that no database would take.
var errRow = errors.New("cannot be stored")

// maxShort is the most characters that a column holds for an address, a key or an error.
const maxShort = 255

// short escapes what goes into a column of n characters.
func short(column, s string, n int) (string, error) {
	if s = escape(s); len(s) > n && utf8.RuneCountInString(s) > n {
		return "", fmt.Errorf("db: %s %w: it is longer than %d characters", column, errRow, n)
	}
	return s, nil
}

// clip escapes what may lose its end: an id or an error that is longer than any that a standard allows.
func clip(s string) string {
	s = escape(s)
	if len(s) <= maxShort {
		return s
	}
	end := maxShort
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// millis is how a time is stored: none is 0.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// messageColumns are the columns of table message in the order of messageRow and scanRecord.
var messageColumns = []string{
	"id", "node", "state", "ref", "idempotency_key", "ingress", "peer",
	"from_address", "from_ton", "from_npi", "to_address", "to_ton", "to_npi",
	"text", "data", "udh", "coding", "data_coding", "class", "priority", "options", "segments", "receipt",
	"received", "expires", "connection", "egress", "rule", "attempts", "next_attempt",
	"report_state", "report_error", "done_time", "updated",
}

var segmentColumns = []string{"message_id", "part", "leg", "smsc_id", "smsc_key", "state", "error", "done_time"}

// rare is column `options` of table message: what few messages have.
type rare struct {
	ServiceType      string              `json:"service_type,omitempty"`
	ProtocolID       uint8               `json:"protocol_id,omitempty"`
	ReplaceIfPresent bool                `json:"replace_if_present,omitempty"`
	ReplyPath        bool                `json:"reply_path,omitempty"`
	Incomplete       bool                `json:"incomplete,omitempty"`
	Part             *sms.Part           `json:"part,omitempty"`
	TLVs             []rareTLV           `json:"tlvs,omitempty"`
	Notify           *sms.Notify         `json:"notify,omitempty"`
	Wanted           []sms.WantedReceipt `json:"wanted,omitempty"`
	Hops             int16               `json:"hops,omitempty"`
	Targets          []string            `json:"targets,omitempty"`
}

type rareTLV struct {
	Tag   uint16 `json:"tag"`
	Value string `json:"value"` // hexadecimal
}

// rareOf gives the column's value: nil where there is nothing rare.
func rareOf(rec *Record) (any, error) {
	m := rec.Message
	if m.ServiceType == "" && m.ProtocolID == 0 && !m.ReplaceIfPresent && !m.ReplyPath && !m.Incomplete && !m.Part.IsSet() &&
		len(m.TLVs) == 0 && m.Notify == nil && len(m.Wanted) == 0 && m.Hops == 0 && len(rec.Targets) == 0 {
		return nil, nil
	}
	r := rare{
		ServiceType: escape(m.ServiceType), ProtocolID: m.ProtocolID, ReplaceIfPresent: m.ReplaceIfPresent,
		ReplyPath: m.ReplyPath, Incomplete: m.Incomplete, Notify: m.Notify,
		Wanted: m.Wanted, Hops: m.Hops, Targets: rec.Targets,
	}
	if m.Part.IsSet() {
		r.Part = &m.Part
	}
	for _, t := range m.TLVs {
		r.TLVs = append(r.TLVs, rareTLV{t.Tag, hex.EncodeToString(t.Value)})
	}
	b, err := json.Marshal(r)
	return string(b), err
}

func (r *rare) to(m *sms.Message) error {
	m.ServiceType, m.ProtocolID, m.ReplaceIfPresent = unescape(r.ServiceType), r.ProtocolID, r.ReplaceIfPresent
	m.ReplyPath, m.Incomplete, m.Notify, m.Wanted = r.ReplyPath, r.Incomplete, r.Notify, r.Wanted
	m.Hops = r.Hops
	if r.Part != nil {
		m.Part = *r.Part
	}
	for _, t := range r.TLVs {
		value, err := hex.DecodeString(t.Value)
		if err != nil {
			return err
		}
		m.TLVs = append(m.TLVs, sms.TLV{Tag: t.Tag, Value: value})
	}
	return nil
}

// messageRow appends the values of a row of table message.
func (db *DB) messageRow(args []any, r *Record) ([]any, error) {
	m := r.Message
	var errs [6]error
	var from, to, ingress, egress, rule string
	from, errs[0] = short("from", m.From.Value, maxShort)
	to, errs[1] = short("to", m.To.Value, maxShort)
	ingress, errs[2] = short("ingress", m.Ingress.String(), 300)
	egress, errs[3] = short("egress", r.Egress.String(), 300)
	rule, errs[4] = short("rule", r.Rule, maxShort)
	var key, dataCoding, class, data, udh any
	if m.IdempotencyKey != "" {
		key, errs[5] = short("idempotency_key", m.IdempotencyKey, maxShort)
	}
	for _, err := range errs {
		if err != nil {
			return args, err
		}
	}
	options, err := rareOf(r)
	if err != nil {
		return args, err
	}
	if m.HasDataCoding {
		dataCoding = int64(m.DataCoding)
	}
	if m.Class != sms.ClassNone {
		class = int64(m.Class - sms.Class0)
	}
	if m.Data != nil {
		data = m.Data
	}
	if m.UDH != nil {
		udh = m.UDH
	}
	updated := r.Updated
	if updated.IsZero() {
		updated = time.Now()
	}
	return append(args,
		m.ID.String(), clip(cmp.Or(r.Node, db.node)), string(r.State), escape(m.Ref), key, ingress, escape(m.Peer),
		from, int64(m.From.TON), int64(m.From.NPI), to, int64(m.To.TON), int64(m.To.NPI),
		escape(m.Text), data, udh, m.Alphabet.String(), dataCoding, class, int64(m.Priority), options, int64(m.Segments),
		m.Receipt.String(), millis(m.Received), millis(m.Expires), clip(m.Connection), egress, rule, int64(r.Attempts),
		millis(r.NextAttempt), r.Report.String(), clip(r.ReportError), millis(r.DoneTime), updated.UnixMilli(),
	), nil
}

// segmentRow appends the values of a row of table message_segment.
func segmentRow(args []any, id, leg string, s *Segment) []any {
	return append(args, id, int64(s.Part), leg, clip(s.SMSCID), clip(s.Key), s.State.String(), clip(s.Error), millis(s.DoneTime))
}

// scanRecord reads a row of messageColumns.
func scanRecord(rows *sql.Rows) (*Record, error) {
	m := &sms.Message{}
	r := &Record{Message: m}
	var (
		id, ingress, egress, coding, receipt, report string
		key, options                                 sql.NullString
		dataCoding, class                            sql.NullInt16
		received, expires, next, done, updated       int64
	)
	err := rows.Scan(&id, &r.Node, &r.State, &m.Ref, &key, &ingress, &m.Peer,
		&m.From.Value, &m.From.TON, &m.From.NPI, &m.To.Value, &m.To.TON, &m.To.NPI,
		&m.Text, &m.Data, &m.UDH, &coding, &dataCoding, &class, &m.Priority, &options, &m.Segments, &receipt,
		&received, &expires, &m.Connection, &egress, &r.Rule, &r.Attempts, &next,
		&report, &r.ReportError, &done, &updated)
	if err != nil {
		return nil, err
	}
	if m.ID, err = sms.ParseID(id); err != nil {
		return nil, fmt.Errorf("message %q: %w", id, err)
	}
	for _, s := range []*string{&r.Node, &m.Ref, &m.Peer, &m.From.Value, &m.To.Value, &m.Text, &m.Connection, &r.Rule,
		&r.ReportError, &key.String} {
		*s = unescape(*s)
	}
	m.IdempotencyKey = key.String
	m.Alphabet, _ = sms.ParseAlphabet(coding) // a name that a newer version wrote reads as auto
	m.HasDataCoding, m.DataCoding = dataCoding.Valid, uint8(dataCoding.Int16)
	if class.Valid {
		m.Class = sms.Class0 + sms.Class(class.Int16)
	}
	m.Receipt, _ = sms.ParseReceiptRequest(receipt)
	r.Report, _ = sms.ParseState(report)
	m.Received, m.Expires, r.NextAttempt = fromMillis(received), fromMillis(expires), fromMillis(next)
	r.DoneTime, r.Updated = fromMillis(done), fromMillis(updated)
	if err := errors.Join(readLeg(&m.Ingress, ingress), readLeg(&r.Egress, egress)); err != nil {
		return nil, fmt.Errorf("message %s: %w", id, err)
	}
	if options.Valid {
		var o rare
		if err := json.Unmarshal([]byte(options.String), &o); err != nil {
			return nil, fmt.Errorf("message %s: options: %w", id, err)
		}
		r.Targets = o.Targets
		if err := o.to(m); err != nil {
			return nil, fmt.Errorf("message %s: options: %w", id, err)
		}
	}
	return r, nil
}

func readLeg(l *sms.Leg, s string) error { return l.UnmarshalText([]byte(unescape(s))) }

// segmentScan holds the columns of a segment that are not stored as they are used.
type segmentScan struct {
	Segment
	state string
	done  int64
}

func (s *segmentScan) segment() Segment {
	s.State, _ = sms.ParseState(s.state)
	s.SMSCID, s.Key, s.Error, s.DoneTime = unescape(s.SMSCID), unescape(s.Key), unescape(s.Error), fromMillis(s.done)
	return s.Segment
}
