package route

import (
	"slices"

	"sipsmpp/gateway/sms"
)

// entry is one way to match a rule.
type entry struct {
	*compiled
	rank     int // its place in the order in which rules are asked
	ingress  sms.Leg
	from, to match
}

// group holds the entries of one ingress, by the beginning of the recipient, and beneath that by the beginning of the sender.
type group struct {
	to      map[string]*bucket
	lengths []int // that keys of to have, longest first
}

type bucket struct {
	any     []*entry // for every sender, or a pattern of senders
	from    map[string][]*entry
	lengths []int
}

// add takes entries in the order of their rank.
func (g *group) add(e *entry) {
	b := g.to[e.to.text]
	if b == nil {
		b = &bucket{}
		g.to[e.to.text] = b
	}
	if e.from.text == "" {
		b.any = append(b.any, e)
		return
	}
	if b.from == nil {
		b.from = make(map[string][]*entry)
	}
	b.from[e.from.text] = append(b.from[e.from.text], e)
}

func (g *group) finish() {
	g.lengths = lengthsOf(g.to)
	for _, b := range g.to {
		b.lengths = lengthsOf(b.from)
	}
}

func lengthsOf[V any](m map[string]V) []int {
	var seen [maxMatch + 1]bool
	var lengths []int
	for k := range m {
		if !seen[len(k)] {
			seen[len(k)] = true
			lengths = append(lengths, len(k))
		}
	}
	slices.Sort(lengths)
	slices.Reverse(lengths)
	return lengths
}

// find is the first rule, in their order, that matches; nil: none does.
func (r *Rules) find(m *sms.Message) *compiled {
	if len(r.entries) == 0 {
		return nil
	}
	s := r.scratch.Get().(*scratch)
	s.begin(r, m)
	var best *entry
	best = r.groups[sms.Leg{}].find(s, best)
	if m.Ingress.Kind != sms.LegNone {
		best = r.groups[sms.Leg{Kind: m.Ingress.Kind}].find(s, best)
	}
	if m.Ingress.Name != "" {
		best = r.groups[m.Ingress].find(s, best)
	}
	s.end()
	r.scratch.Put(s)
	if best == nil {
		return nil
	}
	return best.compiled
}

// find looks for an entry that comes before best.
func (g *group) find(s *scratch, best *entry) *entry {
	if g == nil {
		return best
	}
	for _, n := range g.lengths {
		if n > len(s.to) {
			continue
		}
		b := g.to[string(s.to[:n])]
		if b == nil {
			continue
		}
		best = first(b.any, s, best)
		for _, n := range b.lengths {
			if n <= len(s.from) {
				best = first(b.from[string(s.from[:n])], s, best)
			}
		}
	}
	return best
}

// first is the first of list that matches, if it comes before best. What the index has shown is not asked again.
func first(list []*entry, s *scratch, best *entry) *entry {
	for _, e := range list {
		if best != nil && e.rank > best.rank {
			break
		}
		if e.to.rest(s.to) && e.from.rest(s.from) && (e.when == nil || s.holds(e.compiled)) {
			return e
		}
	}
	return best
}
