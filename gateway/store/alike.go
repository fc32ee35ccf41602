package store

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"
)

// Most values of a row are those of its neighbours: the node, the state, the leg. In SQLite, where to bind a value costs more than
// to store it, the rows of one INSERT that agree on all of these share them, as numbered parameters.

// alike makes such statements of one template. It is for one goroutine.
type alike struct {
	table   string
	columns []string
	own     []int // the columns that each row has a value of its own in
	shared  []int

	args []any
	rows []int
	done [64]bool // rows that are inserted
}

func newAlike(table string, columns []string, own ...string) *alike {
	a := &alike{table: table, columns: columns}
	for i, c := range columns {
		if slices.Contains(own, c) {
			a.own = append(a.own, i)
		} else {
			a.shared = append(a.shared, i)
		}
	}
	return a
}

// alikes are those that SQLite has. The rest of a column's values are the same for most messages of a moment.
func (d *dialect) alikes() map[template]*alike {
	if d != sqliteDialect {
		return nil
	}
	return map[template]*alike{
		insertMessage: newAlike("message", append(slices.Clone(messageColumns), "period"), "id", "ref", "idempotency_key", "peer",
			"from_address", "to_address", "text", "data", "udh", "options", "received", "expires", "next_attempt", "updated"),
		insertSegment: newAlike("message_segment", segmentColumns, "message_id", "smsc_id", "smsc_key"),
	}
}

// text is the statement for n rows: first come the shared values, then those of each row. OR FAIL, since a row that is bad ends the
// transaction: SQLite need not keep, for each page, what it would take to undo the statement alone.
func (a *alike) text(n int) string {
	var columns, values []string
	for i, c := range a.shared {
		columns, values = append(columns, a.columns[c]), append(values, "?"+strconv.Itoa(i+1))
	}
	for _, c := range a.own {
		columns, values = append(columns, a.columns[c]), append(values, "?")
	}
	row := "(" + strings.Join(values, ", ") + ")"
	return "INSERT OR FAIL INTO " + a.table + " (" + strings.Join(columns, ", ") + ") VALUES " + row + strings.Repeat(", "+row, n-1)
}

// exec inserts n rows, those that are alike together.
func (a *alike) exec(ctx context.Context, tx *sql.Tx, s *statements, st statement, values []any) error {
	defer func() { clear(a.args[:cap(a.args)]) }() // lets go of the texts
	done := a.done[:st.n]
	clear(done)
	for i := range done {
		if done[i] {
			continue
		}
		a.rows = a.rows[:0]
		for j := i; j < st.n; j++ {
			if !done[j] && a.like(values, i, j) {
				done[j] = true
				a.rows = append(a.rows, j)
			}
		}
		for rest := a.rows; len(rest) > 0; {
			n := chunkFor(len(rest))
			a.args = a.args[:0]
			for _, c := range a.shared {
				a.args = append(a.args, a.row(values, i)[c])
			}
			for _, j := range rest[:n] {
				for _, c := range a.own {
					a.args = append(a.args, a.row(values, j)[c])
				}
			}
			if _, err := s.run(ctx, tx, statement{st.template, n}, a.args); err != nil {
				return err
			}
			rest = rest[n:]
		}
	}
	return nil
}

func (a *alike) row(values []any, i int) []any {
	return values[i*len(a.columns) : (i+1)*len(a.columns)]
}

// like says that two rows agree on what can be shared.
func (a *alike) like(values []any, i, j int) bool {
	one, other := a.row(values, i), a.row(values, j)
	for _, c := range a.shared {
		if one[c] != other[c] {
			return false
		}
	}
	return true
}
