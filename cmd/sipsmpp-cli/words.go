package main

import "strings"

// split splits a line into words as a shell does: by blanks, but not within '...' or "..."; a backslash takes the next character
// as it is, within '...' excepted.
func split(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	began := false
	var quote rune
	escaped := false
	for _, c := range line {
		switch {
		case escaped:
			word.WriteRune(c)
			escaped = false
		case c == '\\' && quote != '\'':
			began, escaped = true, true
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '"' || c == '\'':
			began, quote = true, c
		case c == ' ' || c == '\t':
			if began {
				words = append(words, word.String())
				word.Reset()
				began = false
			}
		default:
			began = true
			word.WriteRune(c)
		}
	}
	if quote != 0 || escaped {
		return nil, usage("a quotation is not closed")
	}
	if began {
		words = append(words, word.String())
	}
	return words, nil
}
