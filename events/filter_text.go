package events

import (
	"encoding/json"
	"fmt"
)

// filterText is a filter as it is stored, with what its subscriber may get at most.
type filterText struct {
	Names  []string        `json:"names,omitempty"`
	Where  []conditionText `json:"where,omitempty"`
	Within *boundsText     `json:"within,omitempty"`
}

type conditionText struct {
	Parameter string   `json:"parameter"`
	Patterns  []string `json:"patterns"`
}

type boundsText struct {
	Names       []string `json:"names"`
	Connections []string `json:"connections"`
	Numbers     []string `json:"numbers"`
}

// MarshalText writes the whole of the filter, unlike String.
func (f Filter) MarshalText() ([]byte, error) {
	t := filterText{Names: f.patterns}
	for _, c := range f.conditions {
		t.Where = append(t.Where, conditionText{c.parameter, c.patterns})
	}
	if f.within != nil {
		t.Within = &boundsText{f.within.names, f.within.connections, f.within.numbers}
	}
	return json.Marshal(t)
}

// UnmarshalText reads what MarshalText wrote.
func (f *Filter) UnmarshalText(b []byte) error {
	var t filterText
	if err := json.Unmarshal(b, &t); err != nil {
		return fmt.Errorf("%w: %w", ErrFilter, err)
	}
	read := Filter{patterns: t.Names}
	for _, c := range t.Where {
		for _, p := range c.Patterns {
			var err error
			if read, err = read.Where(c.Parameter, p); err != nil {
				return err
			}
		}
	}
	if w := t.Within; w != nil {
		read = read.Within(w.Names, w.Connections, w.Numbers)
	}
	*f = read
	return nil
}
