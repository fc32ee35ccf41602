package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// value is JSON whose members keep their order.
type value struct {
	kind    kind
	text    string // of a scalar, as people read it
	names   []string
	members []value // of an object, in the order of names; of a list
}

type kind int

const (
	scalar kind = iota
	number
	object
	list
)

// parseValue reads JSON.
func parseValue(raw json.RawMessage) (value, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return readValue(d)
}

func readValue(d *json.Decoder) (value, error) {
	token, err := d.Token()
	if err != nil {
		return value{}, err
	}
	switch t := token.(type) {
	case json.Delim:
		v := value{kind: object}
		if t == '[' {
			v.kind = list
		}
		for d.More() {
			if v.kind == object {
				name, err := d.Token()
				if err != nil {
					return v, err
				}
				v.names = append(v.names, name.(string))
			}
			member, err := readValue(d)
			if err != nil {
				return v, err
			}
			v.members = append(v.members, member)
		}
		_, err := d.Token()
		return v, err
	case json.Number:
		return value{kind: number, text: t.String()}, nil
	case string:
		return value{text: localTime(t)}, nil
	case nil:
		return value{}, nil
	}
	return value{text: fmt.Sprint(token)}, nil
}

// localTime is a time of the gateway's as people read it here; any other text is itself.
func localTime(text string) string {
	if len(text) != len("2006-01-02T15:04:05.000Z") || text[10] != 'T' {
		return text
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return text
	}
	return clock(t)
}

// clock is a time in the zone of who looks, the day only where it is another.
func clock(t time.Time) string {
	t = t.Local()
	if now := time.Now(); t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04:05")
	}
	return t.Format("2006-01-02 15:04:05")
}

// isRows says that the value is a list of objects.
func (v value) isRows() bool {
	return v.kind == list && len(v.members) > 0 && !slices.ContainsFunc(v.members, func(m value) bool { return m.kind != object })
}

// inline is a value within one line.
func (v value) inline() string {
	switch v.kind {
	case list:
		texts := make([]string, len(v.members))
		for i, m := range v.members {
			texts[i] = m.inline()
		}
		return strings.Join(texts, ", ")
	case object:
		texts := make([]string, len(v.members))
		for i, m := range v.members {
			texts[i] = v.names[i] + "=" + m.inline()
		}
		return strings.Join(texts, " ")
	}
	return v.text
}

// show writes a value as people read it: an object's members one below the other, lists of objects as tables.
func (v value) show(s *screen, title string) {
	switch {
	case v.isRows():
		tableOf(v, title).show(s)
	case v.kind == list && len(v.members) > 0 && v.members[0].kind == list:
		for _, m := range v.members {
			s.printf("%s\n", strings.TrimSpace(title+" "+printable(m.inline())))
		}
	case v.kind == list:
		v.showNames(s)
	case v.kind == object:
		v.showMembers(s, title)
	default:
		s.printf("%s\n", s.paint(hues[v.text], printable(v.text)))
	}
}

// showNames writes a list of words in as many columns as there is room for.
func (v value) showNames(s *screen) {
	widest := 0
	for _, m := range v.members {
		widest = max(widest, columnsOf(m.inline())+len(gap))
	}
	columns, _ := s.size()
	if !s.isTerminal() || widest == 0 {
		columns = 0 // one a line
	}
	perLine := max(1, columns/max(1, widest))
	lines := (len(v.members) + perLine - 1) / perLine
	for i := range lines {
		var b strings.Builder
		for j := i; j < len(v.members); j += lines {
			b.WriteString(padded(printable(v.members[j].inline()), widest, false))
		}
		s.printf("%s\n", strings.TrimRight(b.String(), " "))
	}
}

func (v value) showMembers(s *screen, title string) {
	if title == "" && !slices.ContainsFunc(v.members, func(m value) bool { return m.inline() != "" }) {
		s.printf("nothing\n")
		return
	}
	if title != "" {
		s.printf("%s\n", s.paint(bold, title))
	}
	widest := 0
	for i, m := range v.members {
		if !m.isRows() && !m.nested() {
			widest = max(widest, columnsOf(v.names[i]))
		}
	}
	began := false
	for i, m := range v.members {
		if !m.isRows() && !m.nested() && m.inline() != "" {
			began = true
			text := printable(m.inline())
			s.printf("%s%s%s\n", s.paint(dim, padded(printable(v.names[i]), widest, false)), gap, s.paint(hues[text], text))
		}
	}
	for i, m := range v.members {
		if m.isRows() || m.nested() {
			if began || title != "" {
				s.printf("\n")
			}
			began = true
			m.show(s, printable(v.names[i]))
		}
	}
}

// nested says that a member is shown below the others.
func (v value) nested() bool { return v.kind == object && len(v.members) > 0 }

// tableOf makes a list of objects a table: a column for each name, in the order in which they first come. A list within a row that is
// itself of objects is told by its number of them.
func tableOf(v value, title string) *table {
	t := &table{title: title}
	column := make(map[string]int)
	for _, row := range v.members {
		for _, name := range row.names {
			if _, known := column[name]; !known {
				column[name] = len(t.headings)
				t.headings = append(t.headings, strings.ReplaceAll(name, "_", " "))
			}
		}
	}
	for _, row := range v.members {
		cells := make([]cell, len(t.headings))
		for i, m := range row.members {
			c := cell{text: m.inline(), number: m.kind == number}
			if m.isRows() {
				c = cell{text: fmt.Sprint(len(m.members)), number: true}
			}
			if row.names[i] == "state" || row.names[i] == "severity" {
				c.hue = hues[c.text]
			}
			cells[column[row.names[i]]] = c
		}
		t.rows = append(t.rows, cells)
	}
	return t
}
