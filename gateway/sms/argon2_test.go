package sms

import (
	"strings"
	"testing"
)

const argon = "$argon2id$v=19$m=64,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA"

func TestParseArgon2id(t *testing.T) {
	a, err := ParseArgon2id(argon)
	if err != nil || a.Memory != 64 || a.Time != 2 || a.Threads != 1 || string(a.Salt) != "saltsalt" || string(a.Hash) != "hashhashhashhash" {
		t.Errorf("%+v, %v", a, err)
	}
	for change, reason := range map[[2]string]string{
		{"$argon2id", "$argon2i"}:                              "no argon2id hash",
		{"$argon2id", "$argon2d"}:                              "no argon2id hash",
		{"$argon2id", "x$argon2id"}:                            "no argon2id hash",
		{"$aGFzaGhhc2hoYXNoaGFzaA", ""}:                        "no argon2id hash",
		{"v=19", "v=16"}:                                       "want v=19",
		{"m=64,t=2,p=1", "t=2,m=64,p=1"}:                       "parameters",
		{"m=64,t=2,p=1", "m=64,t=2"}:                           "parameters",
		{"m=64", "m=-1"}:                                       "parameters",
		{"m=64", "m=99999999999"}:                              "parameters",
		{"t=2", "t=0"}:                                         "parameters",
		{"m=64", "m=65537"}:                                    "would take too much",
		{"m=64,t=2", "m=65536,t=5"}:                            "would take too much",
		{"m=64,t=2", "m=4294967295,t=4294967295"}:              "would take too much",
		{"p=1", "p=5"}:                                         "4 is the most",
		{"m=64,t=2,p=1", "m=16,t=2,p=4"}:                       "8 times p",
		{"$c2FsdHNhbHQ$", "$c2FsdA$"}:                          "its salt",
		{"$c2FsdHNhbHQ$", "$c2FsdHNhbHQ=$"}:                    "its salt",
		{"aGFzaGhhc2hoYXNoaGFzaA", "!!!!"}:                     "its hash",
		{"aGFzaGhhc2hoYXNoaGFzaA", strings.Repeat("aGFz", 30)}: "its hash",
	} {
		bad := strings.Replace(argon, change[0], change[1], 1)
		if a, err := ParseArgon2id(bad); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %+v, %v; want %q", bad, a, err, reason)
		}
	}
	if _, err := ParseArgon2id("$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA"); err != nil { // what many libraries make
		t.Error(err)
	}
}

func FuzzParseArgon2id(f *testing.F) {
	f.Add(argon)
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseArgon2id(s)
		if err == nil && (a.Memory > maxArgonMemory || uint64(a.Memory)*uint64(a.Time) > maxArgonWork || a.Threads > maxArgonThreads || a.Threads == 0 ||
			len(a.Salt) > 64 || len(a.Hash) > 64 || len(a.Hash) < 8) {
			t.Fatalf("%q: %+v", s, a)
		}
	})
}
