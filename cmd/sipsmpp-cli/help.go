package main

import (
	"encoding/json"
	"slices"
	"strings"

	"sipsmpp/mi"
)

// showHelp is help: what the declaration says of a method, and an example as it is typed here.
func showHelp(s *screen, result json.RawMessage) error {
	var h mi.HelpResult
	if err := json.Unmarshal(result, &h); err != nil {
		return err
	}
	d, ok := mi.Lookup(helped(h.Help))
	if !ok {
		s.printf("%s\n", printable(h.Usage+h.Help))
		return nil
	}
	s.printf("%s\n%s; roles: %s\n\n", s.paint(bold, d.Usage()), d.Summary, d.RolesText())
	t := table{headings: []string{"parameter", "", ""}}
	for _, p := range d.Params {
		optional := ""
		if p.Optional {
			optional = "may be left out"
		}
		t.add(cell{text: p.Name, hue: cyan}, cell{text: p.Want}, cell{text: optional, hue: dim})
	}
	t.show(s)
	for _, e := range mi.Examples {
		if e.Method != d.Name {
			continue
		}
		if typed, err := typedLine(e); err == nil {
			s.printf("\n%s\n", typed)
		}
	}
	return nil
}

// helped is the method that a help text is about: its first word.
func helped(help string) string {
	method, _, _ := strings.Cut(help, " ")
	return method
}

// typedLine is an example as somebody types it at the prompt.
func typedLine(e mi.Example) (string, error) {
	params := []byte(exampleIDs.Replace(e.Params))
	v, err := parseValue(params)
	var members map[string]json.RawMessage
	if err == nil {
		err = json.Unmarshal(params, &members)
	}
	if err != nil {
		return "", err
	}
	line := e.Method
	for i, m := range v.members {
		text := m.text
		if m.kind == object || m.kind == list {
			text = string(members[v.names[i]])
			if m.kind == list && !slices.ContainsFunc(m.members, func(one value) bool { return one.kind != scalar }) {
				for _, one := range m.members {
					line += " " + v.names[i] + "=" + quotedWord(one.text)
				}
				continue
			}
		}
		line += " " + v.names[i] + "=" + quotedWord(text)
	}
	return line, nil
}

// exampleIDs stand for what the story of the examples brings.
var exampleIDs = strings.NewReplacer("$rule", "7", "$message", "01m84g7jqn0001c8201vp91gzt", "$awaiting", "01m84g7jqn0001c8201vp91gzt")

// quotedWord is a word that split reads as it is.
func quotedWord(s string) string {
	if s != "" && !strings.ContainsAny(s, " \t\"'\\#*") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
