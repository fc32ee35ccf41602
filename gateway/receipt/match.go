package receipt

import (
	"math/big"
	"strconv"
	"strings"
	"sync"
)

// The values of smsc_id_format. Each says what the id in a receipt is to the one in the submit_sm_resp.
const (
	FormatAuto    = "auto"    // any of those below; a Learner finds out
	FormatText    = "text"    // the same text, but for case and leading zeros
	FormatHex     = "hex"     // hexadecimal, of the number that the submit_sm_resp had in decimal
	FormatDecimal = "decimal" // decimal, of the number that the submit_sm_resp had in hexadecimal; the common one
)

// mostDigits bounds what is converted; a message_id has at most 65 octets (SMPP 3.4, 4.4.2), 64 without its NUL.
const mostDigits = 64

// Key is the form that a submit_sm_resp's id is stored and looked up in: as text, in lower case, without leading zeros and the white
// space around it. An id of zeros alone is "0".
func Key(id string) string {
	id = strings.ToLower(strings.Trim(id, " \t\r\n\x00"))
	if id == "" {
		return ""
	}
	if trimmed := strings.TrimLeft(id, "0"); trimmed != "" {
		return trimmed
	}
	return "0"
}

// Candidates gives the keys that the segment of a receipt with this id may be stored under, likeliest first, none twice. With
// format text, hex or decimal there is one: where id is no number in that notation, its text. With any other format, auto, they
// are its text, what it is as decimal, and what it is as hexadecimal.
//
//	Candidates("0255", "auto")    "255", "ff", "597"
//	Candidates("0255", "decimal") "ff"
//	Candidates("FF", "hex")       "255"
//
// An empty id has none.
func Candidates(id, format string) []string {
	return candidates(id, format, FormatText)
}

// orders are the formats of auto in the order to try them, by the likeliest.
var orders = map[string][]string{
	FormatText:    {FormatText, FormatDecimal, FormatHex},
	FormatDecimal: {FormatDecimal, FormatText, FormatHex},
	FormatHex:     {FormatHex, FormatText, FormatDecimal},
}

func candidates(id, format, likeliest string) []string {
	key := Key(id)
	if key == "" {
		return nil
	}
	switch format {
	case FormatText:
		return []string{key}
	case FormatHex, FormatDecimal:
		if other := convert(key, format); other != "" {
			return []string{other}
		}
		return []string{key}
	}
	keys := make([]string, 0, 3)
next:
	for _, f := range orders[likeliest] {
		k := convert(key, f)
		if k == "" {
			continue
		}
		for _, have := range keys {
			if have == k {
				continue next
			}
		}
		keys = append(keys, k)
	}
	return keys
}

// convert gives the key that a receipt's id, given as key, has under one format; empty where it is no number in that notation.
func convert(key, format string) string {
	from, to := 10, 16
	switch format {
	case FormatText:
		return key
	case FormatHex:
		from, to = 16, 10
	}
	if len(key) > mostDigits {
		return ""
	}
	for i := range len(key) {
		if c := key[i]; (c < '0' || c > '9') && (from == 10 || c < 'a' || c > 'f') {
			return ""
		}
	}
	if n, err := strconv.ParseUint(key, from, 64); err == nil {
		return strconv.FormatUint(n, to)
	}
	n, ok := new(big.Int).SetString(key, from)
	if !ok {
		return ""
	}
	return n.Text(to)
}

// Learner finds out, for one connection, what its receipts' ids are to those of its submit_sm_resps, where smsc_id_format is auto.
// With another format it has nothing to learn. It is safe for concurrent use.
type Learner struct {
	format string

	mu      sync.Mutex
	matches map[string]int // of each format, those that no other explains
	leader  string
}

// NewLearner makes one for a connection's smsc_id_format.
func NewLearner(format string) *Learner {
	return &Learner{format: format, matches: make(map[string]int)}
}

// Candidates is as the function of that name, what was learned first.
func (l *Learner) Candidates(id string) []string {
	l.mu.Lock()
	likeliest := l.leader
	l.mu.Unlock()
	if likeliest == "" {
		likeliest = FormatText
	}
	return candidates(id, l.format, likeliest)
}

// certain is how many matches by one format, more than by all others, make it known how a connection writes its ids.
const certain = 5

// Certain says that what was learned is beyond doubt: a match by another format is an accident. With a format that is not auto there
// never is another.
func (l *Learner) Certain() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	others := 0
	for format, n := range l.matches {
		if format != l.leader {
			others += n
		}
	}
	return l.leader != "" && l.matches[l.leader] >= others+certain
}

// Matched tells that the receipt with this id was found by this key, one of its Candidates. It returns a format when that is news:
// the first time that one is learned, and whenever another has more matches than the one learned before; else "". A match
// that two formats explain, such as 7, teaches nothing.
func (l *Learner) Matched(id, key string) (learned string) {
	switch l.format {
	case FormatText, FormatHex, FormatDecimal:
		return ""
	}
	text, match := Key(id), ""
	for _, f := range orders[FormatText] {
		if convert(text, f) == key {
			if match != "" {
				return ""
			}
			match = f
		}
	}
	if match == "" {
		return ""
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.matches[match]++
	if match == l.leader || l.leader != "" && l.matches[match] <= l.matches[l.leader] {
		return ""
	}
	l.leader = match
	return match
}
