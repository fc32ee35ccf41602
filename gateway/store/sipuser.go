package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"sipsmpp/gateway/sms"
)

// ErrExists says that a row with that name is there already.
var ErrExists = errors.New("db: there is one with that name")

var sipUserColumns = []string{"username", "realm", "ha1", "ha1_sha256", "from_numbers", "enabled"}

// SIPUsers reads table sip_user: the good rows by name, and what is wrong with the others, each value on its own.
func (db *DB) SIPUsers(ctx context.Context) (good []sms.SIPUser, faults []sms.Fault, err error) {
	return db.sipUsers(ctx, "ORDER BY username")
}

// SIPUser reads the row of that name: ErrNotFound if there is none, or none that is good.
func (db *DB) SIPUser(ctx context.Context, name string) (sms.SIPUser, error) {
	good, _, err := db.sipUsers(ctx, "WHERE username = ?", name)
	if err == nil && len(good) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return sms.SIPUser{}, err
	}
	return good[0], nil
}

func (db *DB) sipUsers(ctx context.Context, which string, args ...any) (good []sms.SIPUser, faults []sms.Fault, err error) {
	rows, err := db.read.QueryContext(ctx, db.dialect.rebind("SELECT "+strings.Join(sipUserColumns, ", ")+" FROM sip_user "+which), args...)
	if err != nil {
		return nil, nil, fmt.Errorf("db: table sip_user: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var u sms.SIPUser
		var numbers sql.NullString
		if err := rows.Scan(&u.Name, &u.Realm, &u.HA1, &u.HA1SHA256, &numbers, &u.Enabled); err != nil {
			return nil, nil, fmt.Errorf("db: table sip_user: %w", err)
		}
		u.HA1, u.HA1SHA256 = strings.ToLower(u.HA1), strings.ToLower(u.HA1SHA256)
		// None is nil, as in memory, so that config_diff finds no change.
		u.Numbers = append([]string(nil), strings.FieldsFunc(numbers.String, func(c rune) bool { return strings.ContainsRune(" ,;\t\r\n", c) })...)
		if wrong := checkSIPUser(u); len(wrong) > 0 {
			faults = append(faults, wrong...)
		} else {
			good = append(good, u)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, nil, fmt.Errorf("db: table sip_user: %w", err)
	}
	return good, faults, nil
}

func checkSIPUser(u sms.SIPUser) (faults []sms.Fault) {
	fault := func(column, reason string) {
		faults = append(faults, sms.Fault{Path: "sip_user[username=" + printable(u.Name) + "]." + column, Reason: reason})
	}
	// A name stands in a leg, in a URI and in credentials.
	if u.Name == "" || len(u.Name) > 64 || strings.ContainsFunc(u.Name, func(c rune) bool {
		return c <= ' ' || c > '~' || strings.ContainsRune(`"\@:;<>,?&=`, c)
	}) {
		fault("username", "want 1 to 64 ASCII characters without blanks and without \"\\@:;<>,?&=")
	}
	if u.HA1 == "" && u.HA1SHA256 == "" {
		fault("ha1", "there is neither ha1 nor ha1_sha256: sip_user_set with a password makes both")
	}
	for _, h := range []struct {
		column, value string
		size          int
	}{{"ha1", u.HA1, 32}, {"ha1_sha256", u.HA1SHA256, 64}} {
		if _, err := hex.DecodeString(h.value); err != nil || h.value != "" && len(h.value) != h.size {
			fault(h.column, fmt.Sprintf("want %d hexadecimal digits, or nothing", h.size))
		}
	}
	for _, n := range u.Numbers {
		if n != "*" && sms.ParseAddress(n).IsZero() {
			fault("from_numbers", printable(n)+" is no number")
		}
	}
	return faults
}

// PutSIPUser writes a row of table sip_user: a new one, where there must be none of that name (ErrExists), or another in place of
// the one of that name (ErrNotFound). The error of a bad value is its faults.
func (db *DB) PutSIPUser(ctx context.Context, u sms.SIPUser, isNew bool) error {
	if faults := checkSIPUser(u); len(faults) > 0 {
		errs := make([]error, len(faults))
		for i, f := range faults {
			errs[i] = f
		}
		return errors.Join(errs...)
	}
	enabled := 0
	if u.Enabled {
		enabled = 1
	}
	args := []any{u.Name, u.Realm, u.HA1, u.HA1SHA256, strings.Join(u.Numbers, " "), enabled}
	err := db.transact(ctx, func(tx *sql.Tx) error {
		var one int
		err := tx.QueryRowContext(ctx, db.dialect.rebind("SELECT 1 FROM sip_user WHERE username = ?"+db.dialect.forUpdate), u.Name).Scan(&one)
		switch {
		case err == nil && isNew:
			return ErrExists
		case errors.Is(err, sql.ErrNoRows) && !isNew:
			return ErrNotFound
		case err != nil && !errors.Is(err, sql.ErrNoRows):
			return err
		case isNew:
			_, err = tx.ExecContext(ctx, db.dialect.rebind(db.dialect.insert("sip_user", sipUserColumns, 1)), args...)
		default:
			_, err = tx.ExecContext(ctx, db.dialect.rebind("UPDATE sip_user SET "+strings.Join(sipUserColumns, " = ?, ")+" = ? WHERE username = ?"),
				append(args, u.Name)...)
		}
		return err
	})
	if err != nil && !errors.Is(err, ErrExists) && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("db: sip_user[username=%s]: %w", u.Name, err)
	}
	return err
}

// DeleteSIPUser drops the row of that name, or says ErrNotFound.
func (db *DB) DeleteSIPUser(ctx context.Context, name string) error {
	err := db.transact(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, db.dialect.rebind("DELETE FROM sip_user WHERE username = ?"), name)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n > 0 {
			return err
		}
		return ErrNotFound
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("db: sip_user[username=%s]: %w", name, err)
	}
	return err
}
