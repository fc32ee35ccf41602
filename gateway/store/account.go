package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"sipsmpp/gateway/sms"
)

// NewAccount is an account with the defaults of every column but those that have none.
func NewAccount(systemID, passwordHash string) sms.AccountConfig {
	return sms.AccountConfig{
		SystemID: systemID, PasswordHash: passwordHash,
		BindModes: sms.BindTransmitter | sms.BindReceiver | sms.BindTransceiver, MaxBinds: 10, Window: 100, Enabled: true,
		EnquireLink: 30 * time.Second, ResponseTimeout: 10 * time.Second, Alphabet: sms.AlphabetGSM7, LongMessage: sms.LongUDH16,
	}
}

// maxCost is the greatest cost that a hash may have: at 15 a check takes seconds.
const maxCost = 15

// accountColumns are those of table smpp_account but the id, which the database gives.
var accountColumns = []string{
	"system_id", "password_hash", "allowed_ips", "bind_modes", "max_binds", "window", "throughput", "enabled", "options",
}

// Accounts reads table smpp_account: the good rows by name, and what is wrong with the others, each value on its own.
func (db *DB) Accounts(ctx context.Context) (good []sms.AccountConfig, faults []sms.Fault, err error) {
	var columns []string
	for _, c := range accountColumns {
		columns = append(columns, db.dialect.column(c))
	}
	rows, err := db.read.QueryContext(ctx, "SELECT id, "+strings.Join(columns, ", ")+" FROM smpp_account")
	if err != nil {
		return nil, nil, fmt.Errorf("db: table smpp_account: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		texts := make([]sql.NullString, 1+len(accountColumns))
		into := make([]any, len(texts))
		for i := range texts {
			into[i] = &texts[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, nil, fmt.Errorf("db: table smpp_account: %w", err)
		}
		values := map[string]string{"id": texts[0].String}
		for i, c := range accountColumns {
			if texts[i+1].Valid {
				values[c] = texts[i+1].String
			}
		}
		a, wrong := parseAccount(values)
		if len(wrong) == 0 {
			good = append(good, a)
		}
		faults = append(faults, wrong...)
	}
	if err := rows.Err(); err != nil {
		return nil, nil, fmt.Errorf("db: table smpp_account: %w", err)
	}
	slices.SortFunc(good, func(a, b sms.AccountConfig) int { return cmp.Compare(a.SystemID, b.SystemID) })
	slices.SortFunc(faults, func(a, b sms.Fault) int { return cmp.Compare(a.Path, b.Path) })
	return good, faults, nil
}

// parseAccount reads a row over the defaults.
func parseAccount(values map[string]string) (sms.AccountConfig, []sms.Fault) {
	r := &connectionRow{values: values}
	a := NewAccount(values["system_id"], values["password_hash"])
	r.config.Name = a.SystemID // that faults name it
	switch {
	case a.SystemID == "":
		r.fault("system_id", "it is empty: give the account a name of its own")
	case len(a.SystemID) > maxShort || strings.ContainsFunc(a.SystemID, func(c rune) bool { return c <= ' ' || c > '~' }):
		r.fault("system_id", "%s is not one that SMPP carries: want ASCII without blanks", printable(a.SystemID))
	}
	if strings.HasPrefix(a.PasswordHash, "$argon2") {
		if _, err := sms.ParseArgon2id(a.PasswordHash); err != nil {
			r.fault("password_hash", "%v", err)
		}
	} else if cost, err := bcrypt.Cost([]byte(a.PasswordHash)); err != nil {
		r.fault("password_hash", "it is no hash of bcrypt or argon2id: account_set makes one of a password")
	} else if cost > maxCost {
		r.fault("password_hash", "its cost is %d, and each bind would take seconds: %d is the most", cost, maxCost)
	}
	networks, err := ParseNetworks(values["allowed_ips"])
	if err != nil {
		r.fault("allowed_ips", "%v", err)
	}
	a.AllowedIPs = networks
	if s := strings.TrimSpace(values["bind_modes"]); s != "" {
		if a.BindModes, err = ParseBindModes(s); err != nil {
			r.fault("bind_modes", "%v", err)
		}
	}
	a.MaxBinds = r.number("max_binds", a.MaxBinds, 1, maxBinds, "a number of binds")
	a.Window = r.number("window", a.Window, 1, maxWindow, "a window")
	a.Throughput = r.number("throughput", a.Throughput, 0, maxThroughput, "a throughput in segments per second")
	a.Enabled = r.flag("enabled", a.Enabled)
	parseAccountOptions(r, &a, values["options"])
	for i, f := range r.faults {
		rest := strings.TrimPrefix(f.Path, "smpp[")
		r.faults[i].Path = "smpp_account[" + strings.Replace(rest, "name=", "system_id=", 1)
	}
	return a, r.faults
}

// ParseNetworks reads addresses and networks that are separated by blanks, commas or semicolons, and gives them as AccountConfig
// has them.
func ParseNetworks(s string) (string, error) {
	var list []string
	for _, f := range strings.FieldsFunc(s, func(c rune) bool { return strings.ContainsRune(" ,;\t\r\n", c) }) {
		p, err := netip.ParsePrefix(f)
		if a, aErr := netip.ParseAddr(f); aErr == nil {
			p, err = netip.PrefixFrom(a.Unmap().WithZone(""), a.Unmap().BitLen()), nil
		}
		if err != nil {
			return "", fmt.Errorf("%s is no address and no network: want 192.0.2.1 or 192.0.2.0/24", printable(f))
		}
		list = append(list, p.Masked().String())
	}
	return strings.Join(list, " "), nil
}

var bindModes = []struct {
	mode sms.BindModes
	name string
}{{sms.BindTransceiver, "transceiver"}, {sms.BindTransmitter, "transmitter"}, {sms.BindReceiver, "receiver"}}

// ParseBindModes reads a list of transceiver, transmitter and receiver.
func ParseBindModes(s string) (modes sms.BindModes, err error) {
next:
	for _, f := range strings.FieldsFunc(s, func(c rune) bool { return strings.ContainsRune(" ,;\t\r\n", c) }) {
		for _, m := range bindModes {
			if strings.EqualFold(f, m.name) {
				modes |= m.mode
				continue next
			}
		}
		return 0, fmt.Errorf("%s is no kind of bind: want transceiver, transmitter, receiver, or several with commas", printable(f))
	}
	return modes, nil
}

// FormatBindModes writes what ParseBindModes reads.
func FormatBindModes(modes sms.BindModes) string {
	var names []string
	for _, m := range bindModes {
		if modes&m.mode != 0 {
			names = append(names, m.name)
		}
	}
	return strings.Join(names, ",")
}

// accountOption is a key of column `options` of table smpp_account.
type accountOption struct {
	read  func(*sms.AccountConfig, string) error // of a text, or of a number as a text
	write func(sms.AccountConfig) string         // empty: as the default is
}

var accountOptions = map[string]accountOption{
	"enquire_link":       accountDuration(func(a *sms.AccountConfig) *time.Duration { return &a.EnquireLink }),
	"response_timeout":   accountDuration(func(a *sms.AccountConfig) *time.Duration { return &a.ResponseTimeout }),
	"inactivity_timeout": accountDuration(func(a *sms.AccountConfig) *time.Duration { return &a.InactivityTimeout }),
	"queue_timeout":      accountDuration(func(a *sms.AccountConfig) *time.Duration { return &a.QueueTimeout }),
	"duplicate_window":   accountDuration(func(a *sms.AccountConfig) *time.Duration { return &a.DuplicateWindow }),
	"hops_tlv": {
		read: func(a *sms.AccountConfig, s string) (err error) {
			a.HopsTLV, err = readTag(s)
			return err
		},
		write: func(a sms.AccountConfig) string {
			if a.HopsTLV == 0 {
				return ""
			}
			return sms.FormatTag(a.HopsTLV)
		},
	},
	"alphabet": {
		read: func(a *sms.AccountConfig, s string) error {
			alphabet, _ := sms.ParseAlphabet(s)
			if !slices.Contains(connectionAlphabets, alphabet.String()) {
				return fmt.Errorf("want %s", oneOf(connectionAlphabets))
			}
			a.Alphabet = alphabet
			return nil
		},
		write: func(a sms.AccountConfig) string { return a.Alphabet.String() },
	},
	"long_message": {
		read: func(a *sms.AccountConfig, s string) error {
			if !slices.Contains(longMessages, s) {
				return fmt.Errorf("want %s", oneOf(longMessages))
			}
			a.LongMessage = sms.LongMessage(s)
			return nil
		},
		write: func(a sms.AccountConfig) string { return string(a.LongMessage) },
	},
}

func accountDuration(field func(*sms.AccountConfig) *time.Duration) accountOption {
	return accountOption{
		read: func(a *sms.AccountConfig, s string) error {
			d, err := time.ParseDuration(s)
			if err != nil {
				d, err = time.ParseDuration(s + "s")
			}
			if err != nil || d < 0 || d > maxDuration {
				return errors.New(`want seconds, or a time such as "90s" or "12h", of a year at most`)
			}
			*field(a) = d
			return nil
		},
		write: func(a sms.AccountConfig) string { return field(&a).String() },
	}
}

func parseAccountOptions(r *connectionRow, a *sms.AccountConfig, text string) {
	if strings.TrimSpace(text) == "" {
		return
	}
	var object map[string]json.RawMessage
	d := json.NewDecoder(strings.NewReader(text))
	err := d.Decode(&object)
	if err == nil && object != nil {
		_, err = d.Token()
	}
	if object == nil || err != io.EOF {
		r.fault("options", `it is no JSON object: want {} or, for example, {"long_message": "payload"}`)
		return
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		o, known := accountOptions[key]
		if !known {
			r.fault("options", "unknown key %q: want %s", key, oneOf(slices.Sorted(maps.Keys(accountOptions))))
			continue
		}
		var s string
		if json.Unmarshal(object[key], &s) != nil {
			s = string(object[key])
		}
		if err := o.read(a, s); err != nil {
			r.fault("options."+key, "%s is not valid: %v", printable(s), err)
		}
	}
}

// AccountOptions is column `options` of an account: what is not as the defaults are, as a JSON object; empty where all is.
func AccountOptions(a sms.AccountConfig) string {
	object := map[string]string{}
	plain := NewAccount(a.SystemID, a.PasswordHash)
	for key, o := range accountOptions {
		if v := o.write(a); v != o.write(plain) {
			object[key] = v
		}
	}
	if len(object) == 0 {
		return ""
	}
	b, _ := json.Marshal(object) // strings always marshal
	return string(b)
}

// SetAccountOptions reads column `options` into an account. The error is its faults.
func SetAccountOptions(a *sms.AccountConfig, text string) error {
	r := &connectionRow{values: map[string]string{}}
	plain := NewAccount(a.SystemID, a.PasswordHash)
	a.EnquireLink, a.ResponseTimeout, a.InactivityTimeout = plain.EnquireLink, plain.ResponseTimeout, 0
	a.QueueTimeout, a.Alphabet, a.LongMessage = 0, plain.Alphabet, plain.LongMessage
	a.HopsTLV, a.DuplicateWindow = 0, 0
	parseAccountOptions(r, a, text)
	errs := make([]error, len(r.faults))
	for i, f := range r.faults {
		errs[i] = errors.New(f.Reason)
	}
	return errors.Join(errs...)
}

// accountValues are the values of accountColumns.
func accountValues(a sms.AccountConfig) []any {
	enabled := int64(0)
	if a.Enabled {
		enabled = 1
	}
	return []any{
		a.SystemID, a.PasswordHash, a.AllowedIPs, FormatBindModes(a.BindModes), int64(a.MaxBinds), int64(a.Window),
		int64(a.Throughput), enabled, AccountOptions(a),
	}
}

// CheckAccount says what is wrong with an account, as it would be said of its row.
func CheckAccount(a sms.AccountConfig) []sms.Fault {
	values := map[string]string{}
	for i, v := range accountValues(a) {
		values[accountColumns[i]] = columnText(v)
	}
	_, faults := parseAccount(values)
	return faults
}

// PutAccount writes a row of table smpp_account: a new one, or the one of that name anew. The same rules hold as for what is read,
// so that the error of a bad value is its faults.
func (db *DB) PutAccount(ctx context.Context, a sms.AccountConfig) error {
	if faults := CheckAccount(a); len(faults) > 0 {
		errs := make([]error, len(faults))
		for i, f := range faults {
			errs[i] = f
		}
		return errors.Join(errs...)
	}
	var columns []string
	for _, c := range accountColumns {
		columns = append(columns, db.dialect.column(c))
	}
	args := accountValues(a)
	query := db.dialect.insert("smpp_account", columns, 1) + db.dialect.orReplace(columns[:1], columns[1:])
	err := db.transact(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, db.dialect.rebind(query), args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("db: smpp_account[system_id=%s]: %w", a.SystemID, err)
	}
	return nil
}

// DeleteAccount drops the row of that name with the receipts that wait for it, or says ErrNotFound.
func (db *DB) DeleteAccount(ctx context.Context, systemID string) error {
	err := db.transact(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, db.dialect.rebind("DELETE FROM smpp_account WHERE system_id = ?"), systemID)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return ErrNotFound
		}
		_, err = tx.ExecContext(ctx, db.dialect.rebind("DELETE FROM account_receipt WHERE account = ?"), systemID)
		return err
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("db: smpp_account[system_id=%s]: %w", systemID, err)
	}
	return err
}
