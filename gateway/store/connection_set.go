package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sipsmpp/gateway/sms"
)

// ErrConnectionExists says that table smpp has a row of that name already.
var ErrConnectionExists = errors.New("there is a connection of this name already: smpp_set changes it")

// MissingColumnError says that table smpp, which may be OpenSIPS' own, lacks a column that is never added to it.
type MissingColumnError struct{ Name, Column string }

func (e *MissingColumnError) Error() string {
	return fmt.Sprintf("smpp[name=%s].%s: table smpp has no such column, so that only the default can be had: add the column, or leave the value out",
		e.Name, e.Column)
}

// ConnectionFaultsError is what is wrong with the values that a row was to get. Nothing was written.
type ConnectionFaultsError struct{ Faults []sms.Fault }

func (e *ConnectionFaultsError) Error() string {
	errs := make([]error, len(e.Faults))
	for i, f := range e.Faults {
		errs[i] = f
	}
	return errors.Join(errs...).Error()
}

// AddConnection writes a new row of table smpp, its values by column as text, and gives what is read of it. The errors are
// ErrConnectionExists, *ConnectionFaultsError, *MissingColumnError, and the database's.
func (db *DB) AddConnection(ctx context.Context, values map[string]string) (sms.ConnectionConfig, error) {
	return db.writeConnection(ctx, values["name"], values, false)
}

// SetConnection writes values, by column as text, into the row of that name, and gives what is read of it. The errors are
// ErrNotFound, *ConnectionFaultsError, *MissingColumnError, and the database's.
func (db *DB) SetConnection(ctx context.Context, name string, values map[string]string) (sms.ConnectionConfig, error) {
	return db.writeConnection(ctx, name, values, true)
}

func (db *DB) writeConnection(ctx context.Context, name string, values map[string]string, there bool) (sms.ConnectionConfig, error) {
	has, err := db.smppColumns(ctx)
	if err != nil {
		return sms.ConnectionConfig{}, err
	}
	rows, err := db.connectionRows(ctx)
	if err != nil {
		return sms.ConnectionConfig{}, err
	}
	r := &connectionRow{values: map[string]string{}}
	at := slices.IndexFunc(rows, func(row map[string]string) bool { return row["name"] == name })
	switch {
	case there && at < 0:
		return r.config, ErrNotFound
	case !there && at >= 0:
		return r.config, ErrConnectionExists
	case there:
		r.values = rows[at]
	}
	maps.Copy(r.values, values)
	r.parse()
	if there && r.config.Name != name {
		r.fault("name", "a connection keeps its name: add another one, and delete this")
	}
	if len(r.faults) > 0 {
		return r.config, &ConnectionFaultsError{r.faults}
	}
	for _, column := range slices.Sorted(maps.Keys(values)) {
		if !slices.Contains(has, column) {
			return r.config, &MissingColumnError{name, column}
		}
	}
	all, err := connectionValues(r.config)
	if err != nil {
		return r.config, err
	}
	var columns []string
	var args []any
	for _, v := range all {
		_, given := values[v.column]
		// A new row has every column: in OpenSIPS' own table some may not be left out.
		if given || !there && slices.Contains(has, v.column) {
			columns, args = append(columns, db.dialect.column(v.column)), append(args, v.value)
		}
	}
	statement := db.dialect.insert("smpp", columns, 1)
	if there {
		statement = "UPDATE smpp SET " + strings.Join(columns, " = ?, ") + " = ? WHERE name = ?"
		args = append(args, name)
	}
	err = db.transact(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, db.dialect.rebind(statement), args...)
		return err
	})
	if err != nil {
		return r.config, fmt.Errorf("db: smpp[name=%s]: %w", name, err)
	}
	return r.config, nil
}
