package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sipsmpp/gateway/sms"
)

// PutConnection writes a row of table smpp: a new one, or the one of that name anew. The same rules hold as for what is read, so
// that the error of a bad value is its faults. Only columns that the table has are written: a value that needs another one is an
// error, since OpenSIPS' own table is never altered.
func (db *DB) PutConnection(ctx context.Context, c sms.ConnectionConfig) error {
	values, err := connectionValues(c)
	if err != nil {
		return err
	}
	has, err := db.smppColumns(ctx)
	if err != nil {
		return err
	}
	defaults, err := connectionValues(NewConnection(c.Name, c.Host, c.Port))
	if err != nil {
		return err
	}
	var columns []string
	var args []any
	for i, v := range values {
		if slices.Contains(has, v.column) {
			columns, args = append(columns, db.dialect.column(v.column)), append(args, v.value)
		} else if v.value != defaults[i].value {
			return fmt.Errorf("db: %w", &MissingColumnError{c.Name, v.column})
		}
	}
	err = db.transact(ctx, func(tx *sql.Tx) error {
		update := "UPDATE smpp SET " + strings.Join(columns, " = ?, ") + " = ? WHERE name = ?"
		result, err := tx.ExecContext(ctx, db.dialect.rebind(update), append(slices.Clip(args), c.Name)...)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n > 0 {
			return err
		}
		_, err = tx.ExecContext(ctx, db.dialect.rebind(db.dialect.insert("smpp", columns, 1)), args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("db: smpp[name=%s]: %w", c.Name, err)
	}
	return nil
}

// DeleteConnection drops the row of that name, or says ErrNotFound.
func (db *DB) DeleteConnection(ctx context.Context, name string) error {
	err := db.transact(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, db.dialect.rebind("DELETE FROM smpp WHERE name = ?"), name)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n > 0 {
			return err
		}
		return ErrNotFound
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("db: smpp[name=%s]: %w", name, err)
	}
	return err
}

// smppColumns are the columns that table smpp has.
func (db *DB) smppColumns(ctx context.Context) ([]string, error) {
	rows, err := db.read.QueryContext(ctx, "SELECT * FROM smpp WHERE 1 = 0")
	if err != nil {
		return nil, fmt.Errorf("db: table smpp: %w", err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	for i, c := range columns {
		columns[i] = strings.ToLower(c)
	}
	return columns, errors.Join(err, rows.Err())
}

type columnValue struct {
	column string
	value  any
}

// connectionValues gives the columns of a connection but its id, once it is sure that they would be read back.
func connectionValues(c sms.ConnectionConfig) ([]columnValue, error) {
	opts, err := optionsOf(c)
	if err != nil {
		return nil, fmt.Errorf("db: smpp[name=%s].%w", c.Name, err)
	}
	flag := func(b bool) int64 {
		if b {
			return 1
		}
		return 0
	}
	seconds := func(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
	values := []columnValue{
		{"name", c.Name}, {"ip", c.Host}, {"port", int64(c.Port)},
		{"system_id", c.SystemID}, {"password", c.Password}, {"system_type", c.SystemType},
		{"src_ton", int64(c.SourceTON)}, {"src_npi", int64(c.SourceNPI)},
		{"dst_ton", int64(c.DestTON)}, {"dst_npi", int64(c.DestNPI)}, {"session_type", int64(c.SessionType)},
		{"enabled", flag(c.Enabled)}, {"tls", flag(c.TLS)}, {"binds", int64(c.Binds)}, {"window", int64(c.Window)},
		{"throughput", int64(c.Throughput)}, {"enquire_link", seconds(c.EnquireLink)},
		{"response_timeout", seconds(c.ResponseTimeout)}, {"alphabet", c.Alphabet.String()},
		{"long_message", string(c.LongMessage)}, {"smsc_id_format", c.SMSCIDFormat}, {"options", opts},
	}
	r := &connectionRow{values: map[string]string{}}
	for _, v := range values {
		r.values[v.column] = columnText(v.value)
	}
	r.parse()
	errs := make([]error, len(r.faults))
	for i, f := range r.faults {
		errs[i] = f
	}
	return values, errors.Join(errs...)
}
