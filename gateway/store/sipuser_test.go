package store

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"sipsmpp/gateway/sms"
)

func TestSIPUsers(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		al := sms.SIPUser{Name: "al", Realm: "example.com", HA1: strings.Repeat("0a", 16), HA1SHA256: strings.Repeat("0b", 32),
			Numbers: []string{"+4915112345678", "100"}, Enabled: true}
		bo := sms.SIPUser{Name: "bo", Realm: "example.com", HA1: strings.Repeat("0c", 16), Numbers: []string{"*"}}
		for _, step := range []struct {
			name  string
			err   error
			want  error
			users []sms.SIPUser
		}{
			{"set of nobody", db.PutSIPUser(t.Context(), al, false), ErrNotFound, nil},
			{"add", db.PutSIPUser(t.Context(), bo, true), nil, nil},
			{"add another", db.PutSIPUser(t.Context(), al, true), nil, nil},
			{"add again", db.PutSIPUser(t.Context(), al, true), ErrExists, nil},
			{"delete of nobody", db.DeleteSIPUser(t.Context(), "cy"), ErrNotFound, nil},
		} {
			if !errors.Is(step.err, step.want) {
				t.Errorf("%s: %v", step.name, step.err)
			}
		}
		check := func(want ...sms.SIPUser) {
			t.Helper()
			got, faults, err := db.SIPUsers(t.Context())
			if err != nil || len(faults) > 0 || !reflect.DeepEqual(got, want) {
				t.Errorf("%#v, %v, %v", got, faults, err)
			}
		}
		check(al, bo)
		bo.Enabled = true
		if err := db.PutSIPUser(t.Context(), bo, false); err != nil {
			t.Fatal(err)
		}
		check(al, bo)
		if err := db.DeleteSIPUser(t.Context(), "al"); err != nil {
			t.Fatal(err)
		}
		check(bo)
		if _, err := raw(t, url).Exec("UPDATE sip_user SET ha1 = 'x'"); err != nil {
			t.Fatal(err)
		}
		good, faults, err := db.SIPUsers(t.Context())
		if err != nil || len(good) > 0 || len(faults) != 1 || !strings.HasPrefix(faults[0].Path, "sip_user[username=") {
			t.Errorf("%v, %v, %v", good, faults, err)
		}
	})
}

func TestBadSIPUsers(t *testing.T) {
	db := open(t, "sqlite::memory:")
	for column, u := range map[string]sms.SIPUser{
		"username":     {Name: "a b", HA1: strings.Repeat("0a", 16)},
		"ha1":          {Name: "al"},
		"ha1_sha256":   {Name: "al", HA1SHA256: "xyz"},
		"from_numbers": {Name: "al", HA1: strings.Repeat("0a", 16), Numbers: []string{" "}},
	} {
		if err := db.PutSIPUser(t.Context(), u, true); err == nil || !strings.Contains(err.Error(), "]."+column+": ") {
			t.Errorf("%s: %v", column, err)
		}
	}
}
