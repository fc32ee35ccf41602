package text

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/warthog618/sms/encoding/gsm7/charset"
	"golang.org/x/text/unicode/norm"
)

// languages are the national language identifiers (3GPP TS 23.038, 6.2.1.2.4) by name.
var languages = map[string]uint8{
	"turkish": 1, "spanish": 2, "portuguese": 3, "bengali": 4, "gujarati": 5, "hindi": 6, "kannada": 7, "malayalam": 8, "oriya": 9,
	"punjabi": 10, "tamil": 11, "telugu": 12, "urdu": 13,
}

// Languages are the values of Carrier.Shift, sorted.
func Languages() []string { return slices.Sorted(maps.Keys(languages)) }

// nationalSeptets are the tables the other way round. A character that is in none is not in the map.
var nationalSeptets = sync.OnceValue(func() (t struct{ locking, single [charset.End]map[rune]uint8 }) {
	reverse := func(table *shiftTable) map[rune]uint8 {
		septets := make(map[rune]uint8)
		for code, r := range table {
			if r != 0 && code != esc {
				septets[r] = uint8(code)
			}
		}
		return septets
	}
	tables := nationalTables()
	for language := range charset.End {
		t.locking[language], t.single[language] = reverse(&gsmRunes), reverse(&gsmExtRune)
		if language >= charset.Start {
			t.single[language] = reverse(&tables.single[language])
			if language != charset.Spanish { // which has no locking table
				t.locking[language] = reverse(&tables.locking[language])
			}
		}
	}
	return t
})

// shifted gives the septet of a character by national tables, and how many septets it takes; 0: they have it not.
func shifted(r rune, h shifts) (code uint8, n int) {
	tables := nationalSeptets()
	if code, ok := tables.locking[h.locking][r]; ok {
		return code, 1
	}
	if code, ok := tables.single[h.single][r]; ok {
		return code, 2
	}
	return 0, 0
}

// septets counts those of one character that GSM holds.
func (l *layout) septets(r rune) int {
	if l.shifts != (shifts{}) {
		_, n := shifted(r, l.shifts)
		return n
	}
	if septet(r)&extension != 0 {
		return 2
	}
	return 1
}

// appendText appends the text in the alphabet that was chosen; GSM one septet an octet.
func (l *layout) appendText(dst []byte) []byte {
	if l.shifts == (shifts{}) {
		return appendIn(dst, l.text, l.alphabet)
	}
	for _, r := range l.text {
		code, n := shifted(r, l.shifts)
		if n == 2 {
			dst = append(dst, esc)
		}
		dst = append(dst, code)
	}
	return dst
}

// national chooses the tables of the carrier's language that make the text shortest, if there are any that hold it.
func (l *layout) national() bool {
	language := languages[l.Shift]
	if language == 0 || !utf8.ValidString(l.text) || shiftsOf(l.udh) != (shifts{}) {
		return false
	}
	best, given := -1, l.udh
	for _, h := range []shifts{{single: language}, {locking: language}, {locking: language, single: language}} {
		if h.locking != 0 && int(language) == charset.Spanish {
			continue
		}
		var elements []byte
		if h.locking != 0 {
			elements = append(elements, elementLocking, 1, h.locking)
		}
		if h.single != 0 {
			elements = append(elements, elementSingle, 1, h.single)
		}
		size := 0
		for _, r := range l.text {
			_, n := shifted(r, h)
			if n == 0 {
				size = -1
				break
			}
			size += n
		}
		if size < 0 || best >= 0 && size+2*len(elements) >= best {
			continue
		}
		best = size + 2*len(elements)
		l.alphabet, l.dataCoding, l.size, l.shifts = gsm(l.Default), codingDefault, size, h
		l.udh = slices.Concat(given, elements)
	}
	return best >= 0
}

// substitutes stand for characters that Unicode does not take apart.
var substitutes = map[rune]string{
	'‘': "'", '’': "'", '‚': "'", '‛': "'", '“': `"`, '”': `"`, '„': `"`, '‹': "<", '›': ">", '«': `"`, '»': `"`,
	'–': "-", '—': "-", '‐': "-", '‑': "-", '−': "-", '…': "...", '•': "*", '·': ".", '\u00a0': " ", '\u202f': " ", '\u2009': " ",
	'\u200b': "", '\ufeff': "", '\u00ad': "", '`': "'", '´': "'", '\t': " ", '×': "x", '÷': "/",
	'ł': "l", 'Ł': "L", 'đ': "d", 'Đ': "D", 'ı': "i", 'œ': "oe", 'Œ': "OE", 'þ': "th", 'Þ': "Th", 'ð': "d", 'Ð': "D", 'ħ': "h", 'Ħ': "H",
	'©': "(c)", '®': "(R)", '₺': "TL",
}

// transliterated puts what GSM has in the place of what it has not, if that makes the whole text GSM.
func (l *layout) transliterated() bool {
	if !l.Transliterate {
		return false
	}
	var b strings.Builder
	for _, r := range l.text {
		other, known := substitutes[r]
		switch {
		case septet(r) != noSeptet:
			b.WriteRune(r)
		case known:
			b.WriteString(other)
		default:
			for _, part := range norm.NFKD.String(string(r)) {
				if septet(part) != noSeptet {
					b.WriteRune(part)
				} else if !unicode.Is(unicode.Mn, part) {
					return false
				}
			}
		}
	}
	text := b.String()
	if text == "" && l.text != "" {
		return false
	}
	if _, ok := l.try(text, l.Default, codingDefault); !ok {
		return false
	}
	l.text = text
	return true
}
