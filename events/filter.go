package events

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Filter chooses events by name and by their parameters. The zero value takes all.
type Filter struct {
	patterns   []string
	conditions []condition
	within     *bounds
}

// condition is what one parameter of an event must be: one of the patterns takes it.
type condition struct {
	parameter string
	patterns  []string
}

// bounds are what a subscriber may get at most.
type bounds struct{ names, connections, numbers []string }

// Limits on a filter: more is a mistake or an attack.
const (
	maxFilter   = 2048 // octets
	maxPatterns = 64
)

// ErrFilter is what ParseFilter's errors are.
var ErrFilter = errors.New("bad filter")

// ParseFilter reads shell patterns on event names and on parameters, separated by commas: `E_MESSAGE_*,E_SMPP_*` takes events of
// either name, `E_MESSAGE_*,connection=acme,to=+49*` those of them with that connection to such a number. Patterns on the same
// parameter are alternatives. Nothing takes all. E_EVENTS_LOST passes every filter.
func ParseFilter(s string) (Filter, error) {
	var f Filter
	if strings.TrimSpace(s) == "" {
		return f, nil
	}
	if len(s) > maxFilter {
		return f, fmt.Errorf("%w: it has %d octets, the most is %d", ErrFilter, len(s), maxFilter)
	}
	n := 0
	for element := range strings.SplitSeq(s, ",") {
		element = strings.TrimSpace(element)
		if element == "" {
			return Filter{}, fmt.Errorf("%w %q: nothing between two commas", ErrFilter, s)
		}
		if n++; n > maxPatterns {
			return Filter{}, fmt.Errorf("%w: it has more than %d patterns", ErrFilter, maxPatterns)
		}
		parameter, pattern, isCondition := strings.Cut(element, "=")
		if !isCondition {
			if _, err := path.Match(element, ""); err != nil {
				return Filter{}, fmt.Errorf("%w: %q is no shell pattern", ErrFilter, element)
			}
			f.patterns = append(f.patterns, element)
			continue
		}
		var err error
		if f, err = f.Where(parameter, pattern); err != nil {
			return Filter{}, err
		}
	}
	return f, nil
}

// Where gives a filter that also wants a parameter to be what a shell pattern takes, or another pattern on the same one.
func (f Filter) Where(parameter, pattern string) (Filter, error) {
	if parameter == "" || strings.ContainsAny(parameter, `*?[]\ `) {
		return f, fmt.Errorf("%w: %q is no name of a parameter", ErrFilter, parameter)
	}
	// A plus sign that a URL carried as it is comes as a blank.
	if rest, ok := strings.CutPrefix(pattern, " "); ok {
		pattern = "+" + rest
	}
	if _, err := path.Match(pattern, ""); err != nil {
		return f, fmt.Errorf("%w: %s=%q is no shell pattern", ErrFilter, parameter, pattern)
	}
	conditions := slices.Clone(f.conditions)
	i := slices.IndexFunc(conditions, func(c condition) bool { return c.parameter == parameter })
	if i < 0 {
		i = len(conditions)
		conditions = append(conditions, condition{parameter: parameter})
	}
	conditions[i].patterns = append(slices.Clone(conditions[i].patterns), pattern)
	f.conditions = conditions
	return f, nil
}

// Within gives a filter that takes no more than what somebody may get: events of those names; of those connections, where any are
// given; and of those that tell numbers only the ones from or to a number of theirs. All are shell patterns.
func (f Filter) Within(names, connections, numbers []string) Filter {
	f.within = &bounds{names, connections, numbers}
	return f
}

// Match says whether the filter takes events of that name, as far as the name can tell.
func (f Filter) Match(name string) bool {
	if f.within != nil && !takes(f.within.names, name) {
		return false
	}
	return f.patterns == nil || takes(f.patterns, name)
}

// Takes says whether the filter takes an event.
func (f Filter) Takes(e Event) bool { return f.Match(e.Name()) && f.takesParams(e) }

// takesParams says whether the filter takes an event by its parameters.
func (f Filter) takesParams(e Event) bool {
	if f.conditions == nil && f.within == nil {
		return true
	}
	params := newParameters(e)
	for _, c := range f.conditions {
		if !slices.ContainsFunc(params.get(c.parameter), func(v string) bool { return takes(c.patterns, v) }) {
			return false
		}
	}
	return f.within == nil || f.within.take(params)
}

func (b *bounds) take(params parameters) bool {
	if len(b.connections) > 0 {
		about := params.get("connection")
		for _, leg := range slices.Concat(params.get("ingress"), params.get("egress")) {
			if name, ok := strings.CutPrefix(leg, "smpp:"); ok {
				about = append(about, name)
			}
		}
		for _, name := range about {
			if name != "" && !takes(b.connections, name) {
				return false
			}
		}
	}
	numbers := slices.Concat(params.get("from"), params.get("to"))
	return len(numbers) == 0 || slices.ContainsFunc(numbers, func(n string) bool { return takes(b.numbers, n) })
}

// takes says that one of some shell patterns takes a value. Their syntax was checked. A slash is a character as any other.
func takes(patterns []string, value string) bool {
	for _, p := range patterns {
		if p == "*" || p == value {
			return true
		}
		if ok, _ := path.Match(strings.ReplaceAll(p, "/", "\x00"), strings.ReplaceAll(value, "/", "\x00")); ok {
			return true
		}
	}
	return false
}

// String is the filter as ParseFilter reads it.
func (f Filter) String() string {
	elements := slices.Clone(f.patterns)
	for _, c := range f.conditions {
		for _, p := range c.patterns {
			elements = append(elements, c.parameter+"="+p)
		}
	}
	return strings.Join(elements, ",")
}
