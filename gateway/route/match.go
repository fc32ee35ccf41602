package route

import (
	"fmt"
	"regexp"
	"strings"

	"sipsmpp/gateway/sms"
)

// match is what an address must be like: a prefix, an exact address, or a pattern. The zero value is any.
type match struct {
	text    string // the prefix or the address
	exact   bool
	pattern *regexp.Regexp // nil: none
}

// weight is greater the more the match says. A pattern says no more than that there is one, since nobody can tell its length.
func (m match) weight() int {
	w := 2 * len(m.text)
	if m.exact {
		w++
	}
	return w
}

// rest says whether an address whose beginning is known to be m.text matches.
func (m match) rest(address []byte) bool {
	switch {
	case m.pattern != nil:
		return m.pattern.Match(address)
	case m.exact:
		return len(address) == len(m.text)
	}
	return true
}

func (m match) matches(address []byte) bool {
	return len(address) >= len(m.text) && string(address[:len(m.text)]) == m.text && m.rest(address)
}

// maxMatch bounds a prefix or an address.
const maxMatch = 255

// parseMatches reads a column from_match or to_match: one pattern, or prefixes and addresses separated by commas. Visual separators
// within a number go, as they do in a message's own.
func parseMatches(s string) ([]match, error) {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "/") {
		if len(s) < 2 || !strings.HasSuffix(s, "/") {
			return nil, fmt.Errorf("%q: a pattern stands between slashes, as in /^\\+49(151|160)/", s)
		}
		p, err := regexp.Compile(s[1 : len(s)-1])
		if err != nil {
			return nil, err
		}
		return []match{{pattern: p}}, nil
	}
	var list []match
	for word := range strings.SplitSeq(s, ",") {
		word = strings.TrimSpace(word)
		if len(word) > maxMatch {
			return nil, fmt.Errorf("longer than any address: the most is %d octets", maxMatch)
		}
		if word == "" || word == "*" {
			list = append(list, match{})
			continue
		}
		text, prefix := strings.CutSuffix(word, "*")
		if strings.Contains(text, "*") && !onlyDigits(text) {
			return nil, fmt.Errorf("%q has a '*' that is not at its end: want a prefix as +49*, or a pattern as /49$/", word)
		}
		if strings.HasPrefix(text, "/") {
			return nil, fmt.Errorf("%q: a pattern stands alone, without others beside it", word)
		}
		if a := sms.ParseAddress(text); a.TON != sms.TONAlphanumeric {
			text = a.String()
		}
		list = append(list, match{text: text, exact: !prefix})
	}
	return list, nil
}

// onlyDigits says that s may be dialled as it is: a service code such as *100# has stars that are its own.
func onlyDigits(s string) bool {
	return strings.Trim(s, "0123456789*#+") == ""
}

// appendAddress appends what Address.String gives.
func appendAddress(b []byte, a sms.Address) []byte {
	if a.TON == sms.TONInternational && a.Value != "" && strings.Trim(a.Value, "0123456789*#") == "" {
		b = append(b, '+')
	}
	return append(b, a.Value...)
}
