package events

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// Filter chooses events by name. The zero value takes all.
type Filter struct {
	patterns []string
}

// Limits on a filter: more is a mistake or an attack.
const (
	maxFilter   = 2048 // octets
	maxPatterns = 64
)

// ErrFilter is what ParseFilter's errors are.
var ErrFilter = errors.New("bad filter")

// ParseFilter reads shell patterns on event names, separated by commas: `E_MESSAGE_*,E_SMPP_*`. Nothing takes all. E_EVENTS_LOST
// passes every filter.
func ParseFilter(s string) (Filter, error) {
	var f Filter
	if strings.TrimSpace(s) == "" {
		return f, nil
	}
	if len(s) > maxFilter {
		return f, fmt.Errorf("%w: it has %d octets, the most is %d", ErrFilter, len(s), maxFilter)
	}
	for pattern := range strings.SplitSeq(s, ",") {
		pattern = strings.TrimSpace(pattern)
		if pattern == "" {
			return Filter{}, fmt.Errorf("%w %q: nothing between two commas", ErrFilter, s)
		}
		if _, err := path.Match(pattern, ""); err != nil {
			return Filter{}, fmt.Errorf("%w: %q is no shell pattern", ErrFilter, pattern)
		}
		f.patterns = append(f.patterns, pattern)
	}
	if len(f.patterns) > maxPatterns {
		return Filter{}, fmt.Errorf("%w: it has %d patterns, the most is %d", ErrFilter, len(f.patterns), maxPatterns)
	}
	return f, nil
}

// Match says whether the filter takes events of that name.
func (f Filter) Match(name string) bool {
	if f.patterns == nil {
		return true
	}
	for _, pattern := range f.patterns {
		if ok, _ := path.Match(pattern, name); ok { // its syntax was checked
			return true
		}
	}
	return false
}

// String is the filter as ParseFilter reads it.
func (f Filter) String() string { return strings.Join(f.patterns, ",") }
