package gateway

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"sipsmpp/gateway/route"
	"sipsmpp/gateway/smpp"
	"sipsmpp/gateway/sms"
)

// TableChanges is what was read again of a table, or would be. Where there are faults the gateway goes on with what it had.
type TableChanges struct {
	Table string // smpp, smpp_account, route, sip_user
	Key   string // the column that names a row: name, system_id, id, username
	smpp.Changes
	Faults []sms.Fault
}

// table is one that can be read again while the gateway runs.
type table struct {
	name, key string
	diff      func(context.Context) (smpp.Changes, []sms.Fault, error)
	reload    func(context.Context) error
}

func (g *Gateway) tables() []table {
	return []table{
		{"smpp", "name", g.diffConnections, func(ctx context.Context) error { _, err := g.Reload(ctx); return err }},
		{"smpp_account", "system_id", g.diffAccounts, func(ctx context.Context) error { _, err := g.ReloadAccounts(ctx); return err }},
		{"route", "id", g.diffRoutes, func(ctx context.Context) error { _, err := g.ReloadRoutes(ctx); return err }},
		{"sip_user", "username", g.diffSIPUsers, func(ctx context.Context) error { _, err := g.ReloadSIPUsers(ctx); return err }},
	}
}

// DiffTables says what ReloadTables would change now, and changes nothing.
func (g *Gateway) DiffTables(ctx context.Context) []TableChanges {
	var list []TableChanges
	for _, t := range g.tables() {
		changes, faults, err := t.diff(ctx)
		if err != nil {
			faults = append(faults, sms.Fault{Path: t.name, Reason: err.Error()})
		}
		list = append(list, TableChanges{t.name, t.key, changes, faults})
	}
	return list
}

// ReloadTables reads the tables of connections, accounts, rules and SIP users again, each for itself: one with a bad row stays as
// it is, and hinders no other.
func (g *Gateway) ReloadTables(ctx context.Context) []TableChanges {
	list := g.DiffTables(ctx)
	for i, t := range g.tables() {
		if len(list[i].Faults) > 0 {
			continue
		}
		var faulty *FaultsError
		switch err := t.reload(ctx); {
		case errors.As(err, &faulty): // the table changed in between
			list[i].Faults = faulty.Faults
		case err != nil:
			list[i].Faults = []sms.Fault{{Path: t.name, Reason: err.Error()}}
		}
	}
	return list
}

// SetDefaultConnection is `smpp.default_connection` from now on; empty: the only connection that can send.
func (g *Gateway) SetDefaultConnection(name string) {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	g.defaultName = name
	t := g.table.Load()
	g.apply(slices.Collect(maps.Values(t.rows)), t.faults)
}

func (g *Gateway) diffConnections(ctx context.Context) (smpp.Changes, []sms.Fault, error) {
	rows, faults, err := g.db.Connections(ctx)
	before := slices.Collect(maps.Values(g.table.Load().rows))
	return difference(before, rows, func(c sms.ConnectionConfig) string { return c.Name }), faults, err
}

func (g *Gateway) diffAccounts(ctx context.Context) (smpp.Changes, []sms.Fault, error) {
	rows, faults, err := g.db.Accounts(ctx)
	return difference(*g.accountRows.Load(), rows, func(c sms.AccountConfig) string { return c.SystemID }), faults, err
}

func (g *Gateway) diffRoutes(ctx context.Context) (smpp.Changes, []sms.Fault, error) {
	rules, err := g.db.Routes(ctx)
	if err != nil {
		return smpp.Changes{}, nil, err
	}
	_, faults := route.Compile(rules, g.routeOptions())
	return difference(g.stored.Load().rules, rules, func(r route.Rule) string { return strconv.FormatInt(r.ID, 10) }), faults, nil
}

func (g *Gateway) diffSIPUsers(ctx context.Context) (smpp.Changes, []sms.Fault, error) {
	users, faults, err := g.db.SIPUsers(ctx)
	faults = append(faults, g.foreignRealms(users)...)
	return difference(*g.sipUsers.Load(), users, func(u sms.SIPUser) string { return u.Name }), faults, err
}

// difference names the rows that were added, changed and removed, in order.
func difference[R any](before, now []R, name func(R) string) (c smpp.Changes) {
	old := make(map[string]R, len(before))
	for _, r := range before {
		old[name(r)] = r
	}
	for _, r := range now {
		switch was, known := old[name(r)]; {
		case !known:
			c.Added = append(c.Added, name(r))
		case reflect.DeepEqual(was, r):
			c.Unchanged++
		default:
			c.Changed = append(c.Changed, name(r))
		}
		delete(old, name(r))
	}
	c.Removed = slices.SortedFunc(maps.Keys(old), cmp.Compare[string])
	slices.Sort(c.Added)
	slices.Sort(c.Changed)
	return c
}
