package sip

import (
	"strings"
	"testing"
	"unicode/utf8"

	"sipsmpp/gateway/sms"

	"github.com/emiago/sipgo/sip"
)

func TestAddressOf(t *testing.T) {
	international := func(s string) sms.Address { return sms.Address{Value: s, TON: sms.TONInternational, NPI: sms.NPIISDN} }
	name := func(s string) sms.Address { return sms.Address{Value: s, TON: sms.TONAlphanumeric} }
	plain := func(s string) sms.Address { return sms.Address{Value: s} }
	for uri, want := range map[string]sms.Address{
		"sip:+4915112345678@example.com":                                international("4915112345678"),
		"sip:+49-151-12345678@example.com;user=phone":                   international("4915112345678"),
		"sip:%2B4915112345678@example.com":                              international("4915112345678"),
		"sips:+49(151)1234.5678:secret@example.com:5061":                international("4915112345678"),
		"sip:+4915112345678;npdi;rn=+49123@example.com;user=phone":      international("4915112345678"),
		"sip:15112345678;phone-context=+49@example.com;user=phone":      international("4915112345678"),
		"sip:100;phone-context=example.com@example.com;user=phone":      plain("100"),
		"tel:+49-151-12345678":                                          international("4915112345678"),
		"tel:+4915112345678;ext=5":                                      international("4915112345678"),
		"TEL:151-1234;Phone-Context=%2B49":                              international("491511234"),
		"tel:112;phone-context=example.com":                             plain("112"),
		"sip:100@example.com":                                           plain("100"),
		"sip:*31%23@example.com":                                        plain("*31#"),
		"sip:alice@example.com":                                         name("alice"),
		"sip:ACME%20Bank@example.com":                                   name("ACME Bank"),
		"sip:S%C3%B6hne%20%26%20Co@example.com":                         name("Söhne & Co"),
		"sip:alice;x=y@example.com":                                     name("alice;x=y"),
		"sip:50%25@example.com":                                         name("50%"),
		"sip:odd%zz%4@example.com":                                      name("odd%zz%4"),
		"sip:evil%0D%0AX-Header:%20y%00@example.com":                    name("evilX-Header"),
		"sip:bad%FFutf8@example.com":                                    name("badutf8"),
		"sip:example.com":                                               {},
		"sip:example.com;transport=tcp":                                 {},
		"sip:%00@example.com":                                           {},
		"sip:+4915112345678@[2001:db8::1]:5060;user=phone?subject=x%20": international("4915112345678"),
	} {
		var u sip.Uri
		if err := sip.ParseUri(uri, &u); err != nil {
			t.Errorf("%s: %v", uri, err)
			continue
		}
		if got := addressOf(&u); got != want {
			t.Errorf("%s: %+v, want %+v", uri, got, want)
		}
	}
}

func TestAppendFrom(t *testing.T) {
	for _, test := range []struct {
		address sms.Address
		want    string
	}{
		{sms.ParseAddress("+4915112345678"), "<sip:+4915112345678@example.com>"},
		{sms.ParseAddress("100"), "<sip:100@example.com>"},
		{sms.ParseAddress("*31#"), "<sip:*31%23@example.com>"},
		{sms.ParseAddress("ACME"), `"ACME" <sip:ACME@example.com>`},
		{sms.ParseAddress("ACME Bank"), `"ACME Bank" <sip:ACME%20Bank@example.com>`},
		{sms.ParseAddress("Söhne & Co"), `"Söhne & Co" <sip:S%C3%B6hne%20%26%20Co@example.com>`},
		{sms.ParseAddress(`a"b\c`), `"a\"b\\c" <sip:a%22b%5Cc@example.com>`},
		{sms.ParseAddress("<sip:x@y>;tag=1"), `"<sip:x@y>;tag=1" <sip:%3Csip%3Ax%40y%3E%3Btag%3D1@example.com>`},
		{sms.Address{Value: "x\r\nVia: y\x00", TON: sms.TONAlphanumeric}, `"xVia: y" <sip:xVia%3A%20y@example.com>`},
		{sms.Address{Value: "1\r\n2"}, "<sip:12@example.com>"},
		{sms.Address{}, "<sip:anonymous@anonymous.invalid>"},
	} {
		got := string(appendFrom(nil, test.address, "example.com"))
		if got != test.want {
			t.Errorf("%+v: %s, want %s", test.address, got, test.want)
		}
	}
}

// FuzzURI: whatever a URI is of is text without control characters, and what we make of it parses and says the same.
func FuzzURI(f *testing.F) {
	for _, s := range []string{
		"sip:+49-151;phone-context=+49@example.com", "tel:+49151;ext=1", "sip:a%0d%0a%00%ff@b", "sips:x:y@[::1]:5?z", "sip:%",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var u sip.Uri
		if sip.ParseUri(s, &u) != nil {
			return
		}
		a := addressOf(&u)
		if !utf8.ValidString(a.Value) || strings.ContainsFunc(a.Value, func(r rune) bool { return r < ' ' }) {
			t.Fatalf("%q is of %q", s, a.Value)
		}
		var back sip.Uri
		from := string(appendFrom(nil, a, "example.com"))
		if _, err := sip.ParseAddressValue(from, &back, nil); err != nil {
			t.Fatalf("%q: %s does not parse: %v", s, from, err)
		}
		if got := addressOf(&back); !a.IsZero() && got.String() != a.String() {
			t.Fatalf("%q is of %+v; sent and read again it is %+v", s, a, got)
		}
	})
}
