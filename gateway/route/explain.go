package route

import (
	"cmp"
	"fmt"
	"slices"

	"sipsmpp/gateway/sms"
)

// Explanation tells how a message is routed, and why no other way.
type Explanation struct {
	Decision
	// Others are rules that did not decide, those first that came closest; Asked is how many there are.
	Others []Other
	Asked  int
}

// Other is a rule that did not decide.
type Other struct {
	ID   int64
	Rule string
	Why  string
}

// maxOthers bounds what is told of rules that did not decide.
const maxOthers = 20

// Explain decides as Decide does, and says why. It asks every rule, so it is not for each message.
func (t *Table) Explain(m *sms.Message) Explanation {
	e := Explanation{Decision: t.Decide(m)}
	if t.rules == nil {
		return e
	}
	r := t.rules
	s := r.scratch.Get().(*scratch)
	defer r.scratch.Put(s)
	s.begin(r, m)
	defer s.end()
	type near struct {
		Other
		distance int
	}
	best := map[int64]near{}
	decided := false
	for _, entry := range r.entries {
		if entry.rule.ID == e.ID && m.Connection == "" {
			decided = true
			continue
		}
		n := near{Other: Other{ID: entry.rule.ID, Rule: entry.label}}
		n.Why, n.distance = entry.whyNot(s, m)
		if n.Why == "" && m.Connection != "" {
			n.Why = "the sender asks for connection " + m.Connection
		} else if n.Why == "" && decided {
			n.Why = fmt.Sprintf("matches, but comes after %s: a lower priority (%d), or says less of the numbers", e.Rule, entry.rule.Priority)
		}
		if known, ok := best[n.ID]; !ok || n.distance < known.distance {
			best[n.ID] = n
		}
	}
	list := make([]near, 0, len(best))
	for _, n := range best {
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b near) int { return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.ID, b.ID)) })
	e.Asked = len(list)
	for _, n := range list[:min(len(list), maxOthers)] {
		e.Others = append(e.Others, n.Other)
	}
	return e
}

// whyNot says what does not match, and how far that is from a match: "" and 0 if all does.
func (e *entry) whyNot(s *scratch, m *sms.Message) (why string, distance int) {
	switch {
	case !e.to.matches(s.to):
		return fmt.Sprintf("to_match: %s is not like %s", s.to, e.compiled.rule.To), 3
	case !e.from.matches(s.from):
		return fmt.Sprintf("from_match: %s is not like %s", s.from, e.compiled.rule.From), 2
	case !covers(e.ingress, m.Ingress):
		return fmt.Sprintf("ingress: %s is not %s", m.Ingress, e.compiled.rule.Ingress), 2
	case e.when == nil:
		return "", 0
	}
	ok, err := s.evaluate(e.when)
	switch {
	case err != nil:
		return "when: " + err.Error(), 1
	case !ok:
		return "when: " + e.compiled.rule.When + " does not hold", 1
	}
	return "", 0
}

func covers(wanted, l sms.Leg) bool {
	return wanted.Kind == sms.LegNone || wanted.Kind == l.Kind && (wanted.Name == "" || wanted.Name == l.Name)
}
