// Package route decides where a message goes.
//
// Compile checks the rules of table route, all of them, and makes an index of the good ones; Decide looks a message up in it. A
// lookup opens nothing, waits for nothing, costs about a microsecond however many rules there are, and allocates nothing unless a
// rule has a condition. Whether a target is ready is not its business; the caller tries the targets in order.
//
// Of the rules that match, the one with the greatest priority decides; among equals the one whose to_match is the longest, then the
// one whose from_match is, then the one that names the ingress most closely, then the one with the smallest id. Where none
// matches, the defaults hold.
package route

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"sipsmpp/gateway/sms"
)

// Rule is one row of table route, as it stands there.
type Rule struct {
	ID          int64
	Name        string // for people; events and records call the rule by it, or `#ID`
	Description string
	Priority    int // the greatest decides
	Enabled     bool
	Ingress     string // legs separated by commas: *, sip, sip:USER, smpp:NAME, smpp:*, account:ID, account:*, mi
	From        string // column from_match: prefixes (+49*), exact addresses, or one pattern (/regexp/); empty: every sender
	To          string // column to_match, likewise
	When        string // a condition in the language of expr-lang; empty: always
	Targets     string // separated by commas; see Target
	Strategy    string // failover, round_robin, weighted, least_loaded; empty: failover
	Options     string // a JSON object; see options
}

// Label is how events and records call the rule.
func (r Rule) Label() string {
	if r.Name != "" {
		return r.Name
	}
	return "#" + strconv.FormatInt(r.ID, 10)
}

// Options are what rules need of the gateway. The zero value works for rules that ask for nothing of it.
type Options struct {
	// Segments says in how many segments a message would go out: `segments` of a condition. Nil: 1.
	Segments func(*sms.Message) int
	// Load says how busy a leg is: what strategy least_loaded compares. Nil: all alike.
	Load func(sms.Leg) int
	// CheckURI says what is wrong with the next hop of a SIP URI. Nil: nothing.
	CheckURI func(uri string) error
	// Failed is told once for each condition that could not be evaluated, in which case its rule does not match. Nil: nobody.
	Failed func(rule string, err error)
	// Counts gives what counts for a rule from now on; it is asked when rules are compiled. Nil: nothing does.
	Counts func(rule string) *Counts
	// Now is the clock of conditions. Nil: time.Now.
	Now func() time.Time
}

// Decision is the route of one message. Its slice is shared: it must not be changed.
type Decision struct {
	Rule    string   // what decided, for people: a rule's name or #id, `default`, or `asked for`
	ID      int64    // of the rule; 0: none
	Targets []Target // to try in order; none: no route
	Decided bool     // an application named the targets, and not the rule
	NoDefer bool     // what no target takes is not kept for a later attempt
	Loop    bool     // the rule names only the leg that the message came from
	Counts  *Counts  // of the rule; nil: nobody counts
	rewrite *rewrite // nil: nothing is rewritten
}

// Counts are what became of the messages that a rule decided. The route package hands them on and leaves them alone.
type Counts struct{ Messages, Sent, Failed atomic.Uint64 }

// Rules are compiled rules. They do not change.
type Rules struct {
	options Options
	entries []*entry // in the order in which they are asked
	count   int      // of rules that are enabled
	groups  map[sms.Leg]*group
	scratch sync.Pool
}

// Table is the rules with the defaults beneath them: what came from SIP, the MI or an account goes to the default connection
// (an account's message to SIP where there is none), what came from a connection goes to SIP, and a sender that names a connection gets that one, whatever the rules say.
type Table struct {
	rules         *Rules
	toSMPP, toSIP Decision
	asked         map[string]Decision
}

// New makes a table. connection is the default one, "" for none; connections are the names that a sender may ask for; rules may
// be nil.
func New(rules *Rules, connection string, connections []string) *Table {
	t := &Table{
		rules: rules,
		toSIP: Decision{Rule: "default", Targets: []Target{{Leg: sms.SIP}}},
		asked: make(map[string]Decision, len(connections)),
	}
	if connection != "" {
		t.toSMPP = Decision{Rule: "default", Targets: []Target{{Leg: sms.Connection(connection)}}}
	}
	for _, name := range connections {
		t.asked[name] = Decision{Rule: "asked for", Targets: []Target{{Leg: sms.Connection(name)}}}
	}
	return t
}

// Decide gives the route of a message, without targets if there is none.
func (t *Table) Decide(m *sms.Message) Decision {
	if m.Connection != "" {
		return t.asked[m.Connection]
	}
	if t.rules != nil {
		if r := t.rules.find(m); r != nil {
			return r.decide(m, t.rules.options.Load)
		}
	}
	return t.otherwise(m)
}

// otherwise is the default for a message that no rule matches.
func (t *Table) otherwise(m *sms.Message) Decision {
	switch m.Ingress.Kind {
	case sms.LegSIP, sms.LegMI:
		return t.toSMPP
	case sms.LegAccount:
		if len(t.toSMPP.Targets) > 0 {
			return t.toSMPP
		}
		return t.toSIP
	case sms.LegConnection:
		return t.toSIP
	}
	return Decision{}
}

// Len says how many rules are enabled.
func (r *Rules) Len() int {
	if r == nil {
		return 0
	}
	return r.count
}

// decide makes the decision for a message that the rule matches. A message does not go back by the leg that it came from, unless
// the rule says so.
func (r *compiled) decide(m *sms.Message, load func(sms.Leg) int) Decision {
	d := Decision{
		Rule: r.label, ID: r.rule.ID, Counts: r.counts, Targets: r.targets.order(load), NoDefer: r.noDefer, rewrite: r.rewrite,
	}
	if r.loop {
		return d
	}
	for i, t := range d.Targets {
		if !t.returns(m.Ingress) {
			continue
		}
		onward := append([]Target(nil), d.Targets[:i]...)
		for _, t := range d.Targets[i+1:] {
			if !t.returns(m.Ingress) {
				onward = append(onward, t)
			}
		}
		d.Targets, d.Loop = onward, len(onward) == 0
		break
	}
	return d
}

// With is the table with other rules.
func (t *Table) With(rules *Rules) *Table {
	other := *t
	other.rules = rules
	return &other
}

// Awaits says that an application is to decide first.
func (d Decision) Awaits() bool { return len(d.Targets) > 0 && d.Targets[0].Waits }
