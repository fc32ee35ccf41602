package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sipsmpp/gateway/sms"
)

// someHash is of the password `secret`.
const someHash = "$2a$04$wlTcZBCKbx8XvlcjGHGw4uOuiRxTOZ9ccjGt/TSUdq1ZXIa3g5hWa"

func TestAccountRoundTrip(t *testing.T) {
	full := sms.AccountConfig{
		SystemID: strings.Repeat("s", 20), PasswordHash: someHash, AllowedIPs: "192.0.2.0/24 2001:db8::1/128",
		BindModes: sms.BindReceiver | sms.BindTransmitter, MaxBinds: 2, Window: 5, Throughput: 7, Enabled: false,
		EnquireLink: 0, ResponseTimeout: 1500 * time.Millisecond, InactivityTimeout: time.Hour, Alphabet: sms.AlphabetLatin1,
		LongMessage: sms.LongPayload, QueueTimeout: time.Minute,
	}
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		plain := NewAccount("acme", someHash)
		for _, a := range []sms.AccountConfig{full, plain, full} { // the last is written over the first
			if err := db.PutAccount(t.Context(), a); err != nil {
				t.Fatal(err)
			}
		}
		good, faults, err := db.Accounts(t.Context())
		if err != nil || len(faults) > 0 || !slices.Equal(good, []sms.AccountConfig{plain, full}) {
			t.Fatalf("%+v, %v, %v", good, faults, err)
		}
		if err := db.DeleteAccount(t.Context(), full.SystemID); err != nil {
			t.Error(err)
		}
		if err := db.DeleteAccount(t.Context(), full.SystemID); !errors.Is(err, ErrNotFound) {
			t.Errorf("deleted twice: %v", err)
		}
		bad := plain
		bad.Window, bad.PasswordHash = 0, "secret"
		if err := db.PutAccount(t.Context(), bad); err == nil ||
			!strings.Contains(err.Error(), "smpp_account[system_id=acme].window: 0 is not a window") ||
			!strings.Contains(err.Error(), "smpp_account[system_id=acme].password_hash: it is no hash of bcrypt or argon2id") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v", err)
		}
	})
}

func TestEveryBadAccountIsAFault(t *testing.T) {
	db := open(t, "sqlite::memory:")
	for column, cases := range map[string][][2]string{
		"system_id":                  {{"''", "it is empty"}, {"'a b'", "want ASCII without blanks"}},
		"password_hash":              {{"'x'", "no hash of bcrypt or argon2id"}, {"'$argon2id$v=19$m=1048576,t=1,p=1$c29tZXNhbHQ$c29tZXNhbHQ'", "would take too much"}, {"'$2a$31$" + strings.Repeat("a", 53) + "'", "its cost is 31"}},
		"allowed_ips":                {{"'10.0.0'", "no address and no network"}, {"'10.0.0.0/33'", "no address and no network"}},
		"bind_modes":                 {{"'sender'", "no kind of bind"}},
		"max_binds":                  {{"0", "not a number of binds"}},
		"window":                     {{"-1", "not a window"}},
		"throughput":                 {{"-1", "not a throughput"}},
		"enabled":                    {{"2", "neither 0 nor 1"}},
		"options":                    {{"'[]'", "no JSON object"}, {`'{"a":1}'`, `unknown key "a"`}},
		"options.alphabet":           {{`'{"alphabet":"ucs2"}'`, "want gsm7"}},
		"options.enquire_link":       {{`'{"enquire_link":-1}'`, "want seconds"}},
		"options.inactivity_timeout": {{`'{"inactivity_timeout":"soon"}'`, "want seconds"}},
	} {
		for _, c := range cases {
			if _, err := db.write.Exec("DELETE FROM smpp_account"); err != nil {
				t.Fatal(err)
			}
			if err := db.PutAccount(t.Context(), NewAccount("acme", someHash)); err != nil {
				t.Fatal(err)
			}
			name, _, _ := strings.Cut(column, ".")
			if _, err := db.write.Exec(fmt.Sprintf("UPDATE smpp_account SET %q = %s", name, c[0])); err != nil {
				t.Fatal(err)
			}
			good, faults, err := db.Accounts(t.Context())
			if err != nil || len(good) != 0 || len(faults) != 1 || !strings.HasSuffix(faults[0].Path, "]."+column) ||
				!strings.HasPrefix(faults[0].Path, "smpp_account[") || !strings.Contains(faults[0].Reason, c[1]) {
				t.Errorf("%s = %s: %v, %v, %v", column, c[0], good, faults, err)
			}
		}
	}
}

// A receipt is written with the report that makes it, delayed, and dropped.
func TestAccountReceipts(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		ids := sms.NewIDs()
		at := time.UnixMilli(1_700_000_000_123).UTC()
		m := &sms.Message{
			ID: ids.Next(), Ingress: sms.Account("shop"), From: sms.ParseAddress("Größe\x00"), To: sms.ParseAddress("+4915112345678"),
			Text: "hi", Received: at,
		}
		m.Wanted = []sms.WantedReceipt{{ID: m.ID, Receipt: sms.ReceiptFinal}, {ID: ids.Next(), Receipt: sms.ReceiptAll}}
		record := &Record{Message: m, State: RecordSent, Egress: sms.Connection("acme"), Segments: []Segment{{Part: 1, SMSCID: "7", Key: "7"}}}
		if err := wait(func(done func(error)) { db.Insert(record, done) }); err != nil {
			t.Fatal(err)
		}
		found := make(chan []Match, 1)
		db.FindSegments(sms.Connection("acme"), []string{"7"}, func(list []Match, err error) { found <- list })
		if list := <-found; len(list) != 1 || !slices.Equal(list[0].Wanted, m.Wanted) {
			t.Errorf("%+v", list)
		}
		if r, err := db.Message(t.Context(), m.ID); err != nil || !slices.Equal(r.Message.Wanted, m.Wanted) {
			t.Errorf("%+v, %v", r, err)
		}
		var want []AccountReceipt
		for _, w := range m.Wanted {
			want = append(want, AccountReceipt{
				ID: ids.Next(), Account: "shop", Message: w.ID, From: m.From, To: m.To, State: sms.StateExpired, Error: "011", DoneTime: at,
				Created: at, Next: at,
			})
		}
		told := make(chan MessageReport, 1)
		db.Report(SegmentReport{ID: m.ID, Part: 1, State: sms.StateExpired, Error: "011", DoneTime: at, Keep: func(r MessageReport) []AccountReceipt {
			if !r.Complete {
				t.Errorf("%+v", r)
			}
			return want
		}}, func(r MessageReport, err error) {
			if err != nil {
				t.Error(err)
			}
			told <- r
		})
		<-told
		due := func(account string, now time.Time) []AccountReceipt {
			t.Helper()
			list, err := db.DueReceipts(t.Context(), account, now, 10)
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
		if got := due("shop", at); !slices.Equal(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		if got := due("other", at); len(got) != 0 {
			t.Errorf("%+v", got)
		}
		want[0].Attempts, want[0].Next = 3, at.Add(time.Hour)
		if err := wait(func(done func(error)) { db.DelayReceipt(want[0], done) }); err != nil {
			t.Fatal(err)
		}
		if err := wait(func(done func(error)) { db.DropReceipt(want[1].ID, done) }); err != nil {
			t.Fatal(err)
		}
		if got := due("shop", at); len(got) != 0 {
			t.Errorf("%+v", got)
		}
		if got := due("shop", at.Add(time.Hour)); !slices.Equal(got, want[:1]) {
			t.Errorf("%+v", got)
		}
	})
}

// What no bind of its account took is dropped, oldest first, and never much at once.
func TestExpireReceipts(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db := open(t, url)
		m := message("m")
		insert(t, db, sent(m, "acme", "17"))
		var owed []AccountReceipt
		for range 5 {
			owed = append(owed, AccountReceipt{ID: ids.Next(), Account: "shop", Message: m.ID, State: sms.StateDelivered})
		}
		report(t, db, SegmentReport{ID: m.ID, Part: 1, State: sms.StateDelivered, Keep: func(MessageReport) []AccountReceipt { return owed }})

		soon := time.Now().Add(time.Hour)
		for _, e := range []struct {
			before time.Time
			want   int
		}{{soon.Add(-2 * time.Hour), 0}, {soon, 2}, {soon, 2}, {soon, 1}, {soon, 0}} {
			if n, err := db.ExpireReceipts(t.Context(), e.before, 2); n != e.want || err != nil {
				t.Errorf("%d, %v, want %d", n, err, e.want)
			}
			if left, err := db.DueReceipts(t.Context(), "shop", soon, 10); err != nil || len(left) > 0 && left[len(left)-1].ID != owed[4].ID {
				t.Errorf("%+v, %v: want the youngest to be left", left, err)
			}
		}
	})
}
