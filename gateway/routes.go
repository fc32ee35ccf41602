package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sipsmpp/gateway/route"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
	"sipsmpp/gateway/text"
)

// ErrUnknownRoute says that no rule has that id.
var ErrUnknownRoute = errors.New("no rule of table route has this id: route_list lists them")

// routeTable is table route as it was last read or changed, by id.
type routeTable struct {
	rules  []route.Rule
	faults []sms.Fault // of rows that are not used; only after a start
}

// RouteChanges counts what a reload of table route brought.
type RouteChanges struct {
	Rules, Enabled                     int // in all
	Added, Changed, Removed, Unchanged int
}

// loadRoutes reads table route at the start. Rules with a fault are not used until they are corrected; the others are.
func (g *Gateway) loadRoutes(ctx context.Context) error {
	rules, err := g.db.Routes(ctx)
	if err != nil {
		return err
	}
	compiled, faults := route.Compile(rules, g.routeOptions())
	for _, f := range faults {
		g.log.Error("a rule is not used until its row is corrected and route_reload run", "fault", f.Error())
	}
	g.rules.Store(compiled)
	g.stored.Store(&routeTable{rules: rules, faults: faults})
	return nil
}

// routeOptions are what rules need of the gateway.
func (g *Gateway) routeOptions() route.Options {
	return route.Options{
		Segments: func(m *sms.Message) int {
			plan, err := text.Measure(m, text.Carrier{})
			if err != nil {
				return 0
			}
			return plan.Segments
		},
		Load: func(l sms.Leg) int {
			if l.Kind == sms.LegConnection {
				return g.connections.Load(l.Name)
			}
			return 0
		},
		CheckURI: g.sip.CheckURI,
		Counts:   g.measures.rules.get,
		Failed: func(rule string, err error) {
			g.log.Warn("the condition of a rule cannot be evaluated, so the rule does not match", "rule", rule, "error", err)
		},
	}
}

// swapRoutes checks rules as a whole, writes what changed, and makes them those that decide. Where one has a fault nothing changes,
// but for faults that are known since the start: such a rule is not used, and hinders no other. The caller has the lock.
func (g *Gateway) swapRoutes(rules []route.Rule, known []sms.Fault, write func() error) error {
	compiled, faults := route.Compile(rules, g.routeOptions())
	for _, f := range faults {
		if !slices.Contains(known, f) {
			return &FaultsError{Faults: faults}
		}
	}
	if write != nil {
		if err := write(); err != nil {
			return err
		}
	}
	g.rules.Store(compiled)
	g.stored.Store(&routeTable{rules: rules, faults: faults})
	g.routes.Store(g.routes.Load().With(compiled))
	g.measures.rules.keep(rules)
	g.keeper.rerouted()
	return nil
}

// ReloadRoutes reads table route again. It is checked whole, then it decides at once; one bad row is a *FaultsError with the faults
// of all rows, and nothing changes.
func (g *Gateway) ReloadRoutes(ctx context.Context) (RouteChanges, error) {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	rules, err := g.db.Routes(ctx)
	if err != nil {
		return RouteChanges{}, err
	}
	old := g.stored.Load().rules
	if err := g.swapRoutes(rules, nil, nil); err != nil {
		return RouteChanges{}, err
	}
	changes := RouteChanges{Rules: len(rules), Enabled: g.rules.Load().Len()}
	known := make(map[int64]route.Rule, len(old))
	for _, r := range old {
		known[r.ID] = r
	}
	for _, r := range rules {
		switch before, was := known[r.ID]; {
		case !was:
			changes.Added++
		case before == r:
			changes.Unchanged++
		default:
			changes.Changed++
		}
		delete(known, r.ID)
	}
	changes.Removed = len(known)
	return changes, nil
}

// Routes gives the rules by id, and the faults of those that are not used.
func (g *Gateway) Routes() ([]route.Rule, []sms.Fault) {
	t := g.stored.Load()
	return t.rules, t.faults
}

// AddRoute writes a new rule and lets it decide at once; a bad one is a *FaultsError.
func (g *Gateway) AddRoute(ctx context.Context, r route.Rule) (id int64, err error) {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	r.ID = 0
	if _, faults := route.Compile([]route.Rule{r}, g.routeOptions()); len(faults) > 0 {
		return 0, &FaultsError{Faults: faults}
	}
	if r.ID, err = g.db.PutRoute(ctx, r); err != nil {
		return 0, err
	}
	t := g.stored.Load()
	return r.ID, g.swapRoutes(append(slices.Clone(t.rules), r), t.faults, nil)
}

// SetRoute changes a rule in table and memory at once. ErrUnknownRoute if there is none, a *FaultsError if it would be bad.
func (g *Gateway) SetRoute(ctx context.Context, id int64, change func(*route.Rule)) error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	t := g.stored.Load()
	rules := slices.Clone(t.rules)
	i, ok := routeIndex(rules, id)
	if !ok {
		return ErrUnknownRoute
	}
	change(&rules[i])
	rules[i].ID = id
	return g.swapRoutes(rules, t.faults, func() error {
		_, err := g.db.PutRoute(ctx, rules[i])
		return unknownRoute(err)
	})
}

// DeleteRoute drops a rule from table and memory at once. ErrUnknownRoute if there is none.
func (g *Gateway) DeleteRoute(ctx context.Context, id int64) error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	t := g.stored.Load()
	rules := slices.Clone(t.rules)
	i, ok := routeIndex(rules, id)
	if !ok {
		return ErrUnknownRoute
	}
	return g.swapRoutes(slices.Delete(rules, i, i+1), t.faults, func() error { return unknownRoute(g.db.DeleteRoute(ctx, id)) })
}

// unknownRoute says of a row that is in memory and no longer in the table what helps.
func unknownRoute(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%w (its row was deleted since the table was read: route_reload)", ErrUnknownRoute)
	}
	return err
}

func routeIndex(rules []route.Rule, id int64) (int, bool) {
	return slices.BinarySearchFunc(rules, id, func(r route.Rule, id int64) int { return cmp.Compare(r.ID, id) })
}

// RouteTest is what would become of a message.
type RouteTest struct {
	route.Explanation
	Message *sms.Message // as it would go out
	Plan    text.Plan    // how its text would go to the first target
	Fault   string       // why it cannot go there: the text, mostly
	States  []string     // of the targets, in their order
	// Contacts are where the recipient is registered, where a target is `sip`.
	Contacts []sms.Contact
}

// TestRoute decides a message as Accept would, and sends nothing.
func (g *Gateway) TestRoute(m *sms.Message) RouteTest {
	table := g.routes.Load()
	if table == nil {
		return RouteTest{Message: m, Fault: "the gateway is starting"}
	}
	t := RouteTest{Explanation: table.Explain(m)}
	t.Message = t.Rewrite(m)
	states := make(map[string]string)
	for _, c := range g.Connections() {
		states[c.Name] = string(c.State)
	}
	var carrier text.Carrier
	chosen := false
	for _, target := range t.Targets {
		state := "ready"
		switch {
		case target.Reject:
			state = "rejects"
		case target.Leg.Kind == sms.LegConnection:
			state = cmp.Or(states[target.Leg.Name], "unknown")
			row, ok := g.table.Load().rows[target.Leg.Name]
			if ok && !row.Sends() {
				state = "cannot send"
			} else if ok && !chosen {
				carrier, chosen = text.Carrier{
					Default: row.Alphabet, Long: row.LongMessage, Shift: row.Shift, Transliterate: row.Transliterate,
				}, true
			}
		case target.Leg.Kind == sms.LegAccount:
			state = g.accountState(target.Leg.Name)
		case target.Leg.Kind == sms.LegSIP && target.URI == "":
			state, t.Contacts = g.sipState(t.Message.To)
		}
		t.States = append(t.States, state)
	}
	var err error
	if t.Plan, err = text.Measure(t.Message, carrier); err != nil {
		t.Fault = err.Error()
	}
	return t
}

// RouteFault is the fault of a rule, "" if it has none.
func RouteFault(faults []sms.Fault, id int64) string {
	var list []string
	for _, f := range faults {
		if strings.HasPrefix(f.Path, fmt.Sprintf("route[id=%d].", id)) {
			list = append(list, f.Error())
		}
	}
	return strings.Join(list, "; ")
}
