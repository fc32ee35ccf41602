package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sipsmpp/gateway/sms"
)

// NewConnection is a connection with the defaults of every column but those that have none.
func NewConnection(name, host string, port int) sms.ConnectionConfig {
	return sms.ConnectionConfig{
		Name: name, Host: host, Port: port,
		SessionType: sms.Transceiver, Enabled: true, Binds: 1, Window: 10,
		EnquireLink: 30 * time.Second, ResponseTimeout: 10 * time.Second,
		Alphabet: sms.AlphabetGSM7, LongMessage: sms.LongUDH16, SMSCIDFormat: "auto", InterfaceVersion: 0x34,
	}
}

// Connections reads table smpp: the good rows by name, and what is wrong with the others, each value on its own. Columns that the
// table lacks, as OpenSIPS' own does, have their defaults.
func (db *DB) Connections(ctx context.Context) (good []sms.ConnectionConfig, faults []sms.Fault, err error) {
	rows, err := db.connectionRows(ctx)
	if err != nil {
		return nil, nil, err
	}
	var read []*connectionRow
	for _, values := range rows {
		r := &connectionRow{values: values}
		r.parse()
		read = append(read, r)
	}
	slices.SortStableFunc(read, func(a, b *connectionRow) int { return cmp.Compare(a.config.Name, b.config.Name) })
	for i, r := range read {
		if i > 0 && r.config.Name != "" && r.config.Name == read[i-1].config.Name {
			r.fault("name", "there is another row with this name: give each connection its own")
		}
		faults = append(faults, r.faults...)
	}
	for i, r := range read {
		twice := i+1 < len(read) && r.config.Name == read[i+1].config.Name // the other one has the fault
		if len(r.faults) == 0 && !twice {
			good = append(good, r.config)
		}
	}
	return good, faults, nil
}

// connectionRows reads table smpp as it stands: the columns of each row that are not NULL, as text.
func (db *DB) connectionRows(ctx context.Context) ([]map[string]string, error) {
	rows, err := db.read.QueryxContext(ctx, "SELECT * FROM smpp")
	if err != nil {
		return nil, fmt.Errorf("db: table smpp: %w", err)
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, fmt.Errorf("db: table smpp: %w", err)
	}
	var read []map[string]string
	for rows.Next() {
		values, err := rows.SliceScan()
		if err != nil {
			return nil, fmt.Errorf("db: table smpp: %w", err)
		}
		row := map[string]string{}
		for i, v := range values {
			if v == nil {
				continue // as good as a column that is not there
			}
			s := columnText(v)
			if types[i].DatabaseTypeName() == "BPCHAR" {
				s = strings.TrimRight(s, " ") // PostgreSQL fills up CHAR(n) with blanks
			}
			row[strings.ToLower(types[i].Name())] = s
		}
		read = append(read, row)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("db: table smpp: %w", err)
	}
	return read, nil
}

// columnText makes text of what a driver gives for a column of any type.
func columnText(v any) string {
	switch v := v.(type) {
	case []byte:
		return string(v)
	case bool:
		if v {
			return "1"
		}
		return "0"
	}
	return fmt.Sprint(v)
}

// connectionRow is one row of table smpp while it is read.
type connectionRow struct {
	values map[string]string // of the columns that there are, and are not NULL
	config sms.ConnectionConfig
	faults []sms.Fault
}

func (r *connectionRow) fault(column, format string, args ...any) {
	row := "name=" + r.config.Name
	if r.config.Name == "" {
		row = "id=" + r.values["id"]
	}
	r.faults = append(r.faults, sms.Fault{Path: "smpp[" + row + "]." + column, Reason: fmt.Sprintf(format, args...)})
}

// The limits of what is sane. SMPP sets that of TON (3.4, 5.2.5) and NPI (5.2.6).
const (
	maxTON, maxNPI  = 6, 18
	maxBinds        = 100
	maxWindow       = 10_000
	maxThroughput   = 1_000_000
	maxEnquireLink  = 86_400
	maxResponseTime = 3_600
)

var (
	connectionAlphabets = []string{"gsm7", "gsm7-packed", "latin1", "ascii"}
	longMessages        = []string{string(sms.LongUDH16), string(sms.LongUDH8), string(sms.LongSAR), string(sms.LongPayload)}
	smscIDFormats       = []string{"auto", "hex", "decimal", "text"}
)

// parse reads the row into config, over the defaults.
func (r *connectionRow) parse() {
	c := &r.config
	*c = NewConnection(r.values["name"], strings.TrimSpace(r.values["ip"]), 0)
	switch {
	case strings.TrimSpace(c.Name) == "":
		c.Name = ""
		r.fault("name", "it is empty: give the connection a name of its own")
	case c.Name != strings.TrimSpace(c.Name):
		r.fault("name", "it begins or ends with a blank")
	case strings.ContainsFunc(c.Name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		r.fault("name", "it has a control character")
	}
	if c.Host == "" {
		r.fault("ip", "it is empty: want an address or a host name")
	} else if strings.ContainsAny(c.Host, " /@\t\r\n") || strings.Count(c.Host, ":") == 1 {
		r.fault("ip", "%q is no address and no host name (the port has a column of its own)", c.Host)
	}
	c.Port = r.number("port", 0, 1, 65535, "a port")
	for _, t := range []struct {
		column string
		value  *string
	}{{"system_id", &c.SystemID}, {"password", &c.Password}, {"system_type", &c.SystemType}} {
		if *t.value = r.values[t.column]; strings.ContainsRune(*t.value, 0) {
			r.fault(t.column, "it has a NUL, which ends a text in SMPP")
		}
	}
	for _, n := range []struct {
		column string
		value  *uint8
		most   int
		what   string
	}{
		{"src_ton", &c.SourceTON, maxTON, "a TON"}, {"src_npi", &c.SourceNPI, maxNPI, "an NPI"},
		{"dst_ton", &c.DestTON, maxTON, "a TON"}, {"dst_npi", &c.DestNPI, maxNPI, "an NPI"},
	} {
		*n.value = uint8(r.number(n.column, 0, 0, n.most, n.what))
	}
	c.SessionType = sms.SessionType(r.number("session_type", int(c.SessionType), 1, 4,
		"a session_type: 1 transceiver, 2 transmitter, 3 receiver, 4 outbind"))
	c.Enabled = r.flag("enabled", c.Enabled)
	c.TLS = r.flag("tls", c.TLS)
	c.Binds = r.number("binds", c.Binds, 1, maxBinds, "a number of binds")
	c.Window = r.number("window", c.Window, 1, maxWindow, "a window")
	c.Throughput = r.number("throughput", c.Throughput, 0, maxThroughput, "a throughput in segments per second")
	c.EnquireLink = r.seconds("enquire_link", c.EnquireLink, 0, maxEnquireLink)
	c.ResponseTimeout = r.seconds("response_timeout", c.ResponseTimeout, 1, maxResponseTime)
	c.Alphabet, _ = sms.ParseAlphabet(r.choice("alphabet", c.Alphabet.String(), connectionAlphabets))
	c.LongMessage = sms.LongMessage(r.choice("long_message", string(c.LongMessage), longMessages))
	c.SMSCIDFormat = r.choice("smsc_id_format", c.SMSCIDFormat, smscIDFormats)
	r.parseOptions(r.values["options"])
}

// number reads a column that is from least to most. A fault yields otherwise.
func (r *connectionRow) number(column string, otherwise, least, most int, what string) int {
	s, there := r.values[column]
	if !there {
		if otherwise < least {
			r.fault(column, "it is empty: want %d to %d", least, most)
		}
		return otherwise
	}
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil || n < least || n > most {
		r.fault(column, "%s is not %s: want %d to %d", printable(s), what, least, most)
		return otherwise
	}
	return n
}

func (r *connectionRow) seconds(column string, otherwise time.Duration, least, most int) time.Duration {
	return time.Duration(r.number(column, int(otherwise/time.Second), least, most, "a time in seconds")) * time.Second
}

func (r *connectionRow) flag(column string, otherwise bool) bool {
	switch s, there := r.values[column]; strings.ToLower(strings.TrimSpace(s)) {
	case "1", "true":
		return true
	case "0", "false":
		return false
	default:
		if there {
			r.fault(column, "%s is neither 0 nor 1", printable(s))
		}
		return otherwise
	}
}

func (r *connectionRow) choice(column, otherwise string, known []string) string {
	s, there := r.values[column]
	if s = strings.ToLower(strings.TrimSpace(s)); !there {
		return otherwise
	}
	if !slices.Contains(known, s) {
		r.fault(column, "%s is not known: want %s", printable(s), oneOf(known))
		return otherwise
	}
	return s
}

// oneOf is `a, b or c`.
func oneOf(s []string) string {
	return strings.Join(s[:len(s)-1], ", ") + " or " + s[len(s)-1]
}

// printable is a value in a fault: a number as it is, what is no number in quotes.
func printable(s string) string {
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return s
	}
	if len(s) > 40 {
		s = s[:40] + "..."
	}
	return strconv.Quote(s)
}
