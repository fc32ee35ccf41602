package sip

import (
	"reflect"
	"testing"

	"github.com/emiago/sipgo/sip"
)

// What is read without the parser is what the parser reads.
func FuzzPlain(f *testing.F) {
	for _, s := range []string{
		"sip:+4915112345678@127.0.0.1:5060", "sip:alice@example.com", "sip:a@b:0", "sip:a@b:65536", "sip:a@b:007", "sip:a@b:", "sip:@b", "sip:a@",
		"sip:b", "sips:a@b", "sip:a:pw@b", "sip:a@b;transport=tcp", "sip:a%20b@c", "sip:a@[::1]:5060", "SIP:a@b", "sip:a@b?x=y", "tel:+49", "",
		"<sip:a@b>", "<sip:a@b>;tag=1", "<sip:a@b>;tag=", "<sip:a@b>;x=1", "Al <sip:a@b>;tag=1", "<sip:a@b>;tag=1;x", "<>", "<sip:a@b>;tag=a b",
		"sip:a@b.-", "sip:a@-b", "sip:a@b..c", "sip:.@.",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var plain, parsed sip.Uri
		if plainURI(b, &plain) {
			if err := sip.ParseUri(string(b), &parsed); err != nil {
				t.Fatalf("%q: %v", b, err)
			}
			same(t, b, plain, parsed)
		}
		if plainAddress(b, &plain) {
			parsed = sip.Uri{}
			if _, err := sip.ParseAddressValue(string(b), &parsed, nil); err != nil {
				t.Fatalf("%q: %v", b, err)
			}
			same(t, b, plain, parsed)
		}
	})
}

func same(t *testing.T, b []byte, plain, parsed sip.Uri) {
	t.Helper()
	if len(parsed.UriParams)+len(parsed.Headers) > 0 {
		t.Fatalf("%q has parameters: %+v", b, parsed)
	}
	parsed.UriParams, parsed.Headers = nil, nil
	if !reflect.DeepEqual(plain, parsed) {
		t.Fatalf("%q: %+v, the parser has %+v", b, plain, parsed)
	}
}
