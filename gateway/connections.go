package gateway

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sipsmpp/events"
	"sipsmpp/gateway/route"
	"sipsmpp/gateway/smpp"
	"sipsmpp/gateway/sms"
)

// connectionTable is what was made of table smpp when it was last read, whole, so that a reader sees one state of it.
type connectionTable struct {
	rows     map[string]sms.ConnectionConfig
	siblings map[string][]sms.Leg // of the connections that share an SMSC: see Gateway.siblings
	outbinds map[string]bool      // of session_type 4; nil: none
	invalid  []smpp.ConnectionStatus
	faults   []sms.Fault // of the invalid ones
}

// Reload reads table smpp again and applies what changed; what did not keeps its sockets and its messages in flight. One bad row
// is a *FaultsError with the faults of all rows, and nothing changes.
func (g *Gateway) Reload(ctx context.Context) (smpp.Changes, error) {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	rows, faults, err := g.db.Connections(ctx)
	if err != nil {
		return smpp.Changes{}, fmt.Errorf("db: table smpp: %w", err)
	}
	if len(faults) > 0 {
		return smpp.Changes{}, &FaultsError{Faults: faults}
	}
	changes := g.apply(rows, nil)
	if len(changes.Added)+len(changes.Changed)+len(changes.Removed) > 0 {
		g.hub.Publish(events.Reloaded{Added: changes.Added, Changed: changes.Changed, Removed: changes.Removed})
	}
	return changes, nil
}

// apply makes the connections those of the rows.
func (g *Gateway) apply(rows []sms.ConnectionConfig, faults []sms.Fault) smpp.Changes {
	t := &connectionTable{
		rows:     make(map[string]sms.ConnectionConfig, len(rows)),
		siblings: make(map[string][]sms.Leg, len(rows)),
		faults:   faults,
	}
	names := make([]string, len(rows))
	shared := make(map[[2]string][]sms.Leg)
	for i, row := range rows {
		names[i] = row.Name
		t.rows[row.Name] = row
		if row.SessionType == sms.Outbind {
			if t.outbinds == nil {
				t.outbinds = make(map[string]bool)
			}
			t.outbinds[row.Name] = true
		}
		smsc := [2]string{row.Host, row.SystemID}
		shared[smsc] = append(shared[smsc], sms.Connection(row.Name))
	}
	for _, row := range rows {
		others := shared[[2]string{row.Host, row.SystemID}]
		if len(others) > 1 {
			// Itself first: that is where most receipts belong.
			self := sms.Connection(row.Name)
			others = append([]sms.Leg{self}, slices.DeleteFunc(slices.Clone(others), func(l sms.Leg) bool { return l == self })...)
		}
		t.siblings[row.Name] = others
	}
	for _, f := range faults {
		t.addInvalid(f)
	}
	g.table.Store(t)
	g.setHops()
	changes := g.connections.Apply(rows)
	g.routes.Store(route.New(g.rules.Load(), defaultConnection(g.defaultName, rows), names))
	g.keeper.rerouted()
	return changes
}

// addInvalid lists a connection whose row has a fault; one with several faults once.
func (t *connectionTable) addInvalid(f sms.Fault) {
	name := faultyName(f)
	i := slices.IndexFunc(t.invalid, func(c smpp.ConnectionStatus) bool { return c.Name == name })
	if i < 0 {
		t.invalid = append(t.invalid, smpp.ConnectionStatus{Name: name, State: smpp.ConnectionInvalid, Fault: f.Error()})
		return
	}
	t.invalid[i].Fault += "; " + f.Error()
}

// faultyName is the name of the connection whose row has a fault, or what else is known of the row.
func faultyName(f sms.Fault) string {
	if _, rest, ok := strings.Cut(f.Path, "[name="); ok {
		name, _, _ := strings.Cut(rest, "]")
		return name
	}
	return f.Path
}

// defaultConnection is where messages go when no rule matches: the configured one, else the only one that can send.
func defaultConnection(configured string, rows []sms.ConnectionConfig) string {
	if configured != "" {
		return configured
	}
	only := ""
	for _, row := range rows {
		if !row.Enabled || row.SessionType == sms.Receiver || row.SessionType == sms.Outbind {
			continue // whose peer is an ESME, and no way to others
		}
		if only != "" {
			return ""
		}
		only = row.Name
	}
	return only
}

// siblings gives the legs by which a message may have gone whose receipt comes by this one: the connection itself first, then
// those that bind to the same host as the same system_id, since an operator who has a row for the transmitter and one for the
// receiver gets the receipts of the one by the other.
func (g *Gateway) siblings(leg sms.Leg) []sms.Leg {
	if s := g.table.Load().siblings[leg.Name]; leg.Kind == sms.LegConnection && s != nil {
		return s
	}
	return []sms.Leg{leg}
}

// smscIDFormat is column smsc_id_format of a leg.
func (g *Gateway) smscIDFormat(leg sms.Leg) string { return g.table.Load().rows[leg.Name].SMSCIDFormat }

// Connections tells the state of every connection, those with a bad row too, in the order of their names.
func (g *Gateway) Connections() []smpp.ConnectionStatus {
	list := append(g.connections.Status(), g.table.Load().invalid...)
	slices.SortFunc(list, func(a, b smpp.ConnectionStatus) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Enable lets a connection bind again after Disable. What it does lasts until the next change of the row, or a restart; a row
// says in column `enabled` what holds from then on. ErrUnknownConnection if there is none.
func (g *Gateway) Enable(name string) error { return g.connections.Enable(name) }

// Disable unbinds a connection, after what is in flight was answered, until Enable.
func (g *Gateway) Disable(name string) error { return g.connections.Disable(name) }

// Rebind makes the binds of a connection anew, one that waits for its next try at once.
func (g *Gateway) Rebind(name string) error { return g.connections.Rebind(name) }
