package store

import (
	"reflect"
	"testing"
	"time"

	"sipsmpp/gateway/sms"
)

func TestContacts(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		db, other := open(t, url, WithNode("here")), open(t, url, WithNode("there"))
		ids, now := sms.NewIDs(), time.UnixMilli(1_790_000_000_123).UTC()
		contact := func(user string, at time.Duration) sms.Contact {
			return sms.Contact{
				ID: ids.Next(), User: user, URI: "sip:" + user + "@192.0.2.7:5062;transport=tcp", Received: "tcp:192.0.2.7:40123",
				Local: "tcp:198.51.100.1:5060", Path: "<sip:proxy.example.com;lr>", Instance: "<urn:uuid:1>", RegID: 1, Q: 700, CallID: "c1",
				CSeq: 1<<31 - 1, UserAgent: "Söft 1", Since: now.Add(at), Updated: now.Add(at), Expires: now.Add(time.Hour),
			}
		}
		keep := func(db *DB, list []sms.Contact, drop ...sms.ID) {
			t.Helper()
			if err := wait(func(done func(error)) { db.KeepContacts(list, drop, done) }); err != nil {
				t.Fatal(err)
			}
		}
		al, bo, cy := contact("al", 0), contact("bo", time.Second), contact("cy", 2*time.Second)
		keep(db, []sms.Contact{cy, al, bo})
		keep(other, []sms.Contact{contact("di", 0)})
		// Refreshed, dropped, and both in one batch: what came last holds.
		al.Updated, al.CSeq, al.UserAgent = now.Add(time.Minute), 7, ""
		var waits [4]chan error
		for i, change := range [4]struct {
			keep []sms.Contact
			drop []sms.ID
		}{{nil, []sms.ID{al.ID, cy.ID}}, {[]sms.Contact{al}, []sms.ID{bo.ID}}, {[]sms.Contact{bo}, nil}, {nil, []sms.ID{bo.ID, ids.Next()}}} {
			waits[i] = make(chan error, 1)
			db.KeepContacts(change.keep, change.drop, func(err error) { waits[i] <- err })
		}
		for _, w := range waits {
			if err := <-w; err != nil {
				t.Fatal(err)
			}
		}
		got, err := db.Contacts(t.Context())
		if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], al) {
			t.Errorf("%v\n%+v\nwant %+v", err, got, al)
		}
	})
}
