package main

import (
	"fmt"
	"strings"
)

// table is rows of cells below their headings. What is in it may come from a peer: it is made printable.
type table struct {
	title    string
	headings []string
	rows     [][]cell
}

type cell struct {
	text   string
	number bool // stands at the right
	hue    hue
}

// add adds a row.
func (t *table) add(cells ...cell) { t.rows = append(t.rows, cells) }

// gap is between two columns.
const gap = "  "

// least is the fewest columns that a text is cut to.
const least = 8

// show writes the table as wide as the screen is: the widest texts are cut first. Columns that are empty throughout are left out.
func (t *table) show(s *screen) {
	shown := t.shown()
	if len(t.rows) == 0 || len(shown) == 0 {
		return
	}
	if t.title != "" {
		s.printf("%s\n", s.paint(bold, t.title))
	}
	widths := make([]int, len(t.headings))
	right := make([]bool, len(t.headings))
	for _, i := range shown {
		widths[i], right[i] = columnsOf(t.headings[i]), true
		for _, row := range t.rows {
			widths[i] = max(widths[i], columnsOf(printable(row[i].text)))
			right[i] = right[i] && (row[i].number || row[i].text == "")
		}
	}
	columns, _ := s.size()
	all := len(shown)
	shown = fit(widths, shown, columns)
	line := func(text func(column int) string, paint func(column int) hue) {
		var b strings.Builder
		for n, i := range shown {
			whole := cut(text(i), widths[i])
			if n > 0 {
				b.WriteString(gap)
			}
			if n < len(shown)-1 || right[i] {
				whole = padded(whole, widths[i], right[i])
			}
			b.WriteString(s.paint(paint(i), whole))
		}
		s.printf("%s\n", strings.TrimRight(b.String(), " "))
	}
	line(func(i int) string { return strings.ToUpper(t.headings[i]) }, func(int) hue { return dim })
	for _, row := range t.rows {
		line(func(i int) string { return printable(row[i].text) }, func(i int) hue { return row[i].hue })
	}
	if hidden := all - len(shown); hidden > 0 {
		s.printf("%s\n", s.paint(dim, fmt.Sprintf("and %d more columns: a wider terminal, or set output=json, shows them", hidden)))
	}
}

// shown are the columns in which something stands.
func (t *table) shown() []int {
	var shown []int
	for i := range t.headings {
		for _, row := range t.rows {
			if row[i].text != "" {
				shown = append(shown, i)
				break
			}
		}
	}
	return shown
}

// fit narrows the widest columns until a line fits; where none can be narrowed any more the last ones are left out.
func fit(widths []int, shown []int, columns int) []int {
	total := len(gap) * (len(shown) - 1)
	for _, i := range shown {
		total += widths[i]
	}
	for total > columns {
		widest := shown[0]
		for _, i := range shown {
			if widths[i] > widths[widest] {
				widest = i
			}
		}
		if widths[widest] > least {
			widths[widest]--
			total--
			continue
		}
		last := len(shown) - 1
		if last == 0 {
			break
		}
		total -= widths[shown[last]] + len(gap)
		shown = shown[:last]
	}
	return shown
}
