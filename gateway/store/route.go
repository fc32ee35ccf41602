package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"sipsmpp/gateway/route"
)

// routeColumns are the columns of table route but its id, in the order of routeRow.
var routeColumns = []string{
	"name", "description", "priority", "enabled", "ingress", "from_match", "to_match", "when", "targets", "strategy", "options",
}

// quotedRouteColumns has them as a query wants them: `when` is a reserved word.
func (d *dialect) quotedRouteColumns() []string {
	quoted := make([]string, len(routeColumns))
	for i, c := range routeColumns {
		quoted[i] = d.column(c)
	}
	return quoted
}

func routeRow(r route.Rule) []any {
	enabled := int64(0)
	if r.Enabled {
		enabled = 1
	}
	return []any{
		r.Name, escape(r.Description), int64(r.Priority), enabled, r.Ingress, r.From, r.To, r.When, r.Targets, r.Strategy, r.Options,
	}
}

// Routes reads table route, as it is: what is wrong with a rule is route.Compile's to say.
func (db *DB) Routes(ctx context.Context) ([]route.Rule, error) {
	rows, err := db.read.QueryContext(ctx, "SELECT id, "+strings.Join(db.dialect.quotedRouteColumns(), ", ")+" FROM route ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("db: table route: %w", err)
	}
	defer rows.Close()
	var rules []route.Rule
	for rows.Next() {
		var r route.Rule
		var description, ingress, from, to, when, options sql.NullString
		var enabled int
		err := rows.Scan(&r.ID, &r.Name, &description, &r.Priority, &enabled, &ingress, &from, &to, &when, &r.Targets, &r.Strategy, &options)
		if err != nil {
			return nil, fmt.Errorf("db: table route: %w", err)
		}
		r.Enabled = enabled != 0
		r.Description, r.Ingress, r.From, r.To = unescape(description.String), ingress.String, from.String, to.String
		r.When, r.Options = when.String, options.String
		rules = append(rules, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("db: table route: %w", err)
	}
	return rules, nil
}

// PutRoute writes a rule: one without an id as a new row, whose id it gives; else the row of that id anew, or ErrNotFound.
func (db *DB) PutRoute(ctx context.Context, r route.Rule) (id int64, err error) {
	columns, row := db.dialect.quotedRouteColumns(), routeRow(r)
	err = db.transact(ctx, func(tx *sql.Tx) error {
		if r.ID != 0 {
			id = r.ID
			update := "UPDATE route SET " + strings.Join(columns, " = ?, ") + " = ? WHERE id = ?"
			return affected(tx.ExecContext(ctx, db.dialect.rebind(update), append(row, r.ID)...))
		}
		insert := db.dialect.insert("route", columns, 1)
		if db.dialect == postgresDialect {
			return tx.QueryRowContext(ctx, db.dialect.rebind(insert)+" RETURNING id", row...).Scan(&id)
		}
		result, err := tx.ExecContext(ctx, insert, row...)
		if err == nil {
			id, err = result.LastInsertId()
		}
		return err
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("db: table route: %w", err)
	}
	return id, err
}

// DeleteRoute drops the rule with that id, or says ErrNotFound.
func (db *DB) DeleteRoute(ctx context.Context, id int64) error {
	err := db.transact(ctx, func(tx *sql.Tx) error {
		return affected(tx.ExecContext(ctx, db.dialect.rebind("DELETE FROM route WHERE id = ?"), id))
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("db: table route: %w", err)
	}
	return err
}

// affected says ErrNotFound where a statement found no row.
func affected(result sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return ErrNotFound
}
