package text

import (
	"slices"
	"strings"
	"testing"

	"sipsmpp/gateway/sms"
)

// What a language's tables hold comes back as it was sent, in every length and on every carrier.
func TestNationalTables(t *testing.T) {
	rnd := newRand()
	tables := nationalTables()
	for _, language := range Languages() {
		number := languages[language]
		var letters []rune
		for _, table := range []*shiftTable{&gsmRunes, &tables.locking[number], &tables.single[number]} {
			for code, r := range table {
				if r != 0 && code != esc {
					letters = append(letters, r)
				}
			}
		}
		for _, c := range carriers() {
			c.Shift = language
			for range 10 {
				text := make([]rune, rnd.IntN(400))
				for i := range text {
					text[i] = letters[rnd.IntN(len(letters))]
				}
				checkRoundTrip(t, rnd, &sms.Message{Text: string(text)}, c)
				checkRoundTrip(t, rnd, &sms.Message{Text: string(text), UDH: []byte{0x70, 1, 9}}, c)
			}
		}
	}
}

func TestNationalTablesAreUsedWhereTheySaveSomething(t *testing.T) {
	turkish := "Şirin çocuk ığüş "
	for _, c := range []struct {
		what     string
		carrier  Carrier
		text     string
		alphabet sms.Alphabet
		udh      string
		segments int
	}{
		{"GSM as it is", Carrier{Shift: "turkish"}, "plain", sms.AlphabetGSM7, "", 1},
		{"nobody asks", Carrier{}, turkish, sms.AlphabetUCS2, "", 1},
		{"letters that the locking table has not", Carrier{Shift: "turkish"}, "Şæ", sms.AlphabetGSM7, "\x03\x24\x01\x01", 1},
		{"many letters", Carrier{Shift: "turkish"}, strings.Repeat("ışğ", 20), sms.AlphabetGSM7, "\x03\x25\x01\x01", 1},
		{"two segments", Carrier{Shift: "turkish"}, strings.Repeat("ış x", 40), sms.AlphabetGSM7, "\x09\x08\x04\x00\x07\x02\x01\x25\x01\x01", 2},
		{"Spanish has no locking table", Carrier{Shift: "spanish"}, "camión", sms.AlphabetGSM7, "\x03\x24\x01\x02", 1},
		{"what the tables have not", Carrier{Shift: "turkish"}, "Ş и", sms.AlphabetUCS2, "", 1},
		{"no GSM to shift from", Carrier{Default: sms.AlphabetLatin1, Shift: "turkish"}, "Ş", sms.AlphabetUCS2, "", 1},
	} {
		e := mustEncode(t, &sms.Message{Text: c.text}, c.carrier, 7)
		if e.Alphabet != c.alphabet || len(e.Parts) != c.segments || e.UDHI != (c.udh != "") || !strings.HasPrefix(string(e.Parts[0]), c.udh) {
			t.Errorf("%s: %v in %d, UDHI %v, %x", c.what, e.Alphabet, len(e.Parts), e.UDHI, e.Parts[0])
		}
	}
	// A header of its own that names tables already is left to its sender.
	e := mustEncode(t, &sms.Message{Text: "Ş", UDH: []byte{elementSingle, 1, 1}}, Carrier{Shift: "turkish"}, 7)
	if e.Alphabet != sms.AlphabetUCS2 {
		t.Errorf("%v", e.Alphabet)
	}
}

func TestTransliteration(t *testing.T) {
	for text, want := range map[string]string{
		"“Zdravím”, řekl…":      `"Zdravim", rekl...`,
		"Łódź – ćma":            "Lodz - cma",
		"ﬁnal №５":               "final No5",
		"è é ñ ü @ € stay":      "è é ñ ü @ € stay",
		"naïve\u00a0co\u00adop": "naive coop",
		"Привет":                "Привет", // nothing in GSM stands for it
		"ok 👍":                  "ok 👍",
		"\u200b":                "\u200b", // and nothing is no text
	} {
		c := Carrier{Transliterate: true}
		e := mustEncode(t, &sms.Message{Text: text}, c, 1)
		got := receive(t, e, c, []int{0}).Text
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		if gsm := got != text || text == "è é ñ ü @ € stay"; gsm != (e.Alphabet == sms.AlphabetGSM7) {
			t.Errorf("%q in %v", text, e.Alphabet)
		}
		if e := mustEncode(t, &sms.Message{Text: text}, Carrier{}, 1); receive(t, e, Carrier{}, []int{0}).Text != text {
			t.Errorf("%q was changed though nobody asked", text)
		}
	}
	if !slices.Contains(Languages(), "turkish") || len(Languages()) != 13 {
		t.Errorf("%q", Languages())
	}
}
