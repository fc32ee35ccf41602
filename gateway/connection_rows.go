package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"sipsmpp/events"
	"sipsmpp/gateway/smpp"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// ErrConnectionExists says that a connection of that name is there already.
var ErrConnectionExists = store.ErrConnectionExists

// AddConnection writes a row into table smpp, its values by column as text, and applies it, as if the other rows were what they
// were at the last reload. Bad values, and those that need a column which OpenSIPS' own table lacks, are a *FaultsError; then
// nothing is changed. ErrConnectionExists if there is a row of that name.
func (g *Gateway) AddConnection(ctx context.Context, values map[string]string) (smpp.Changes, error) {
	return g.changeRow(values["name"], func() (*sms.ConnectionConfig, error) {
		row, err := g.db.AddConnection(ctx, values)
		return &row, err
	})
}

// SetConnection changes values of a row, by column as text, and applies it as AddConnection does. ErrUnknownConnection if there is
// no row of that name.
func (g *Gateway) SetConnection(ctx context.Context, name string, values map[string]string) (smpp.Changes, error) {
	return g.changeRow(name, func() (*sms.ConnectionConfig, error) {
		row, err := g.db.SetConnection(ctx, name, values)
		return &row, err
	})
}

// DeleteConnection drops a row and the connection with it: it gets no new work, what is in flight is answered, then it unbinds.
// ErrUnknownConnection if there is no row of that name.
func (g *Gateway) DeleteConnection(ctx context.Context, name string) (smpp.Changes, error) {
	return g.changeRow(name, func() (*sms.ConnectionConfig, error) { return nil, g.db.DeleteConnection(ctx, name) })
}

// changeRow writes a row and applies what it is then; nil: it is gone.
func (g *Gateway) changeRow(name string, write func() (*sms.ConnectionConfig, error)) (smpp.Changes, error) {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	row, err := write()
	var faults *store.ConnectionFaultsError
	var column *store.MissingColumnError
	switch {
	case errors.As(err, &faults):
		return smpp.Changes{}, &FaultsError{Faults: faults.Faults}
	case errors.As(err, &column):
		return smpp.Changes{}, &FaultsError{Faults: []sms.Fault{{
			Path:   fmt.Sprintf("smpp[name=%s].%s", column.Name, column.Column),
			Reason: "table smpp, which is OpenSIPS' own, has no such column, and the gateway never alters it: add the column, or leave the value out",
		}}}
	case errors.Is(err, store.ErrNotFound):
		return smpp.Changes{}, fmt.Errorf("%w: %s", ErrUnknownConnection, name)
	case err != nil:
		return smpp.Changes{}, err
	}
	now := g.table.Load()
	rows := maps.Clone(now.rows)
	delete(rows, name)
	if row != nil {
		rows[name] = *row
	}
	others := slices.DeleteFunc(slices.Clone(now.faults), func(f sms.Fault) bool { return faultyName(f) == name })
	changes := g.apply(slices.Collect(maps.Values(rows)), others)
	if len(changes.Added)+len(changes.Changed)+len(changes.Removed) == 0 {
		return changes, nil
	}
	g.hub.Publish(events.Reloaded{Added: changes.Added, Changed: changes.Changed, Removed: changes.Removed})
	return changes, nil
}
