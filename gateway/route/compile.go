package route

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/vm"

	"sipsmpp/gateway/sms"
)

// compiled is a rule that is ready to be used.
type compiled struct {
	rule    Rule
	label   string
	when    *condition // nil: always
	targets *targets
	rewrite *rewrite // nil: nothing is rewritten
	counts  *Counts  // nil: nobody counts
	noDefer bool     // what no target takes is not kept for a later attempt
	loop    bool     // a message may go back where it came from
}

// maxLabel is the room that a record has for the rule's name.
const maxLabel = 255

// Compile checks rules and makes an index of those that have no fault and are enabled. Each fault names the row and the column:
// `route[id=7].when`. Disabled rules are checked, too, so that enabling one is safe.
func Compile(rules []Rule, options Options) (*Rules, []sms.Fault) {
	c := compiler{options: options, programs: make(map[string]*condition)}
	r := &Rules{options: options, groups: make(map[sms.Leg]*group)}
	r.scratch.New = func() any { return &scratch{vm: new(vm.VM)} }
	for _, rule := range rules {
		before := len(c.faults)
		one, entries := c.compile(rule)
		if len(c.faults) > before || !rule.Enabled {
			continue
		}
		for i := range entries {
			entries[i].compiled = one
		}
		if options.Counts != nil {
			one.counts = options.Counts(one.label)
		}
		r.entries = append(r.entries, entries...)
		r.count++
	}
	slices.SortStableFunc(r.entries, before)
	for i, e := range r.entries {
		e.rank = i
		g := r.groups[e.ingress]
		if g == nil {
			g = &group{to: make(map[string]*bucket)}
			r.groups[e.ingress] = g
		}
		g.add(e)
	}
	for _, g := range r.groups {
		g.finish()
	}
	return r, c.faults
}

// before is the order in which rules are asked: see the package's comment.
func before(a, b *entry) int {
	return cmp.Or(
		cmp.Compare(b.compiled.rule.Priority, a.compiled.rule.Priority),
		cmp.Compare(b.to.weight(), a.to.weight()),
		cmp.Compare(b.from.weight(), a.from.weight()),
		cmp.Compare(ingressWeight(b.ingress), ingressWeight(a.ingress)),
		cmp.Compare(a.compiled.rule.ID, b.compiled.rule.ID),
	)
}

// compiler gathers the faults of rules, and shares what many of them say alike.
type compiler struct {
	options  Options
	programs map[string]*condition
	faults   []sms.Fault
}

func (c *compiler) fault(r Rule, column, format string, args ...any) {
	row := "id=" + strconv.FormatInt(r.ID, 10)
	if r.ID == 0 {
		row = "new"
	}
	c.faults = append(c.faults, sms.Fault{Path: "route[" + row + "]." + column, Reason: fmt.Sprintf(format, args...)})
}

// compile makes a rule and its entries: one for each way in that it names, times each sender, times each recipient.
func (c *compiler) compile(r Rule) (*compiled, []*entry) {
	one := &compiled{rule: r, label: r.Label()}
	if len(r.Name) > maxLabel {
		c.fault(r, "name", "longer than %d octets", maxLabel)
	}
	ingress, err := parseIngress(r.Ingress)
	if err != nil {
		c.fault(r, "ingress", "%v", err)
	}
	from, err := parseMatches(r.From)
	if err != nil {
		c.fault(r, "from_match", "%v", err)
	}
	to, err := parseMatches(r.To)
	if err != nil {
		c.fault(r, "to_match", "%v", err)
	}
	if when := strings.TrimSpace(r.When); when != "" {
		one.when = c.programs[when]
		if one.when == nil {
			if one.when, err = newCondition(when); err != nil {
				c.fault(r, "when", "%v", err)
			}
			c.programs[when] = one.when
		} else if one.when.err != nil {
			c.fault(r, "when", "%v", one.when.err)
		}
	}
	if one.targets, err = parseTargets(r.Targets, c.options.CheckURI); err != nil {
		c.fault(r, "targets", "%v", err)
	} else if err = one.targets.arrange(r.Strategy); err != nil {
		c.fault(r, "strategy", "%v", err)
	}
	o, err := parseOptions(r.Options)
	if err != nil {
		c.fault(r, "options", "%v", err)
	} else {
		one.rewrite, one.loop, one.noDefer = o.rewrite(), o.Loop, o.Defer != nil && !*o.Defer
		if one.targets != nil {
			one.targets.set(o)
		}
	}
	var entries []*entry
	for _, leg := range ingress {
		for _, f := range from {
			for _, t := range to {
				entries = append(entries, &entry{ingress: leg, from: f, to: t})
			}
		}
	}
	if len(entries) > maxAlternatives {
		c.fault(r, "to_match", "with ingress and from_match it makes %d combinations, the most is %d: use several rules", len(entries), maxAlternatives)
	}
	return one, entries
}

// maxAlternatives bounds what one rule makes of the index.
const maxAlternatives = 10_000

// parseIngress reads a list of legs. The zero leg is any; one without a name is any of its kind.
func parseIngress(s string) ([]sms.Leg, error) {
	var legs []sms.Leg
	for word := range strings.SplitSeq(s, ",") {
		word = strings.TrimSpace(word)
		switch word {
		case "", "*":
			legs = append(legs, sms.Leg{})
			continue
		case "smpp:*":
			legs = append(legs, sms.Leg{Kind: sms.LegConnection})
			continue
		case "account:*":
			legs = append(legs, sms.Leg{Kind: sms.LegAccount})
			continue
		}
		leg, ok := sms.ParseLeg(word)
		if !ok || leg.Kind == sms.LegApp {
			return nil, fmt.Errorf("%q is no way in: want *, sip, sip:USER, smpp:NAME, smpp:*, account:SYSTEM_ID, account:* or mi", word)
		}
		legs = append(legs, leg)
	}
	return legs, nil
}

// ingressWeight says how closely a leg is named.
func ingressWeight(l sms.Leg) int {
	switch {
	case l.Kind == sms.LegNone:
		return 0
	case l.Name == "":
		return 1
	}
	return 2
}
