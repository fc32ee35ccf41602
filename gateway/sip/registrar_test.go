package sip

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sipsmpp/gateway/sms"

	"github.com/icholy/digest"
)

// aRegister is a good REGISTER of al, changed by pairs of what to replace and by what.
func aRegister(changes ...string) string {
	s := "REGISTER sip:example.com SIP/2.0\r\n" +
		"Via: SIP/2.0/UDP 127.0.0.1:40000;branch=z9hG4bKr1\r\n" +
		"Max-Forwards: 70\r\n" +
		"From: \"Al\" <sip:al@example.com>;tag=f1\r\n" +
		"To: <sip:al@example.com>\r\n" +
		"Call-ID: r1@example.com\r\n" +
		"CSeq: 1 REGISTER\r\n" +
		"Contact: <sip:al@127.0.0.1:40000>\r\n" +
		"User-Agent: Phone/1\r\n" +
		"Content-Length: 0\r\n" +
		"\r\n"
	return strings.NewReplacer(changes...).Replace(s)
}

// withCredentials answers the challenge that a request got, in a new transaction.
func withCredentials(t testing.TB, request, challenge, user string) string {
	t.Helper()
	c := challengesOf(t, challenge)
	if len(c) == 0 {
		t.Fatalf("no challenge:\n%s", challenge)
	}
	answer, err := digest.Digest(c[0], digest.Options{Method: "REGISTER", URI: "sip:example.com", Username: user, Password: "secret", Count: 1})
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("branch=z9hG4bK", "branch=z9hG4bKa", "Content-Length:", "Authorization: "+answer.String()+"\r\nContent-Length:").Replace(request)
}

// registers sends a REGISTER, with credentials as soon as it is asked for some, and gives the answer.
func (b *bench) registers(t testing.TB, request string) string {
	t.Helper()
	b.hear(request)
	answer := b.last(t)
	if strings.HasPrefix(answer, "SIP/2.0 401") {
		b.hear(withCredentials(t, request, answer, "al"))
		answer = b.last(t)
	}
	return answer
}

// contactsIn are the Contact fields of an answer.
func contactsIn(answer string) (list []string) {
	for line := range strings.SplitSeq(answer, "\r\n") {
		if value, ok := strings.CutPrefix(line, "Contact: "); ok {
			list = append(list, value)
		}
	}
	return list
}

func newRegistrarBench(change func(*Config)) *bench {
	cfg := Config{Domain: "example.com", Registrar: true, MaxContacts: 3}
	if change != nil {
		change(&cfg)
	}
	b := newBench(cfg)
	b.SetUsers([]sms.SIPUser{al("100", "+4930123")})
	return b
}

func TestRegisterAnswers(t *testing.T) {
	const contact = "Contact: <sip:al@127.0.0.1:40000>\r\n"
	for _, test := range []struct {
		name    string
		request string
		answer  string
		header  string // that the answer has
	}{
		{"one contact", aRegister(), "200 OK", "Contact: <sip:al@127.0.0.1:40000>;expires=3600\r\n"},
		{"by a number", aRegister("To: <sip:al@", "To: <sip:+4930123@"), "200 OK", ";expires=3600\r\n"},
		{"by a tel: number", aRegister("To: <sip:al@example.com>", "To: <tel:+49-30-123>"), "200 OK", ";expires=3600\r\n"},
		{"Expires", aRegister(contact, "Expires: 600\r\n"+contact), "200 OK", ";expires=600\r\n"},
		{"its own expires before Expires", aRegister(contact, "Expires: 600\r\nm: <sip:a@b>;expires=700;q=0.5\r\n"), "200 OK", "Contact: <sip:a@b>;expires=700;q=0.5\r\n"},
		{"too long", aRegister(contact, "Expires: 86400\r\n"+contact), "200 OK", ";expires=3600\r\n"},
		{"malformed Expires", aRegister(contact, "Expires: soon\r\n"+contact), "200 OK", ";expires=3600\r\n"},
		{"too short", aRegister(contact, "Expires: 59\r\n"+contact), "423 Interval Too Brief", "\r\nMin-Expires: 60\r\n"},
		{"not too short", aRegister(contact, "Expires: 60\r\n"+contact), "200 OK", ";expires=60\r\n"},
		{"removal of what is not there", aRegister(contact, "Expires: 0\r\n"+contact), "200 OK", "\r\nDate: "},
		{"a query", aRegister(contact, ""), "200 OK", "\r\nDate: "},
		{"without brackets", aRegister(contact, "Contact: sip:al@127.0.0.1;expires=90\r\n"), "200 OK", "Contact: <sip:al@127.0.0.1>;expires=90\r\n"},
		{"two in one field", aRegister(contact, "Contact: \"A, B\" <sip:a@b;x=\"1,2\">, <sip:c@d>\r\n"), "400 Bad Contact", ""},
		{"a host that is none", aRegister(contact, "Contact: <sip:a@b,c;x=1>, <sip:c@d>\r\n"), "400 Bad Contact", ""},
		{"a display name with a comma", aRegister(contact, "Contact: \"A, B\" <sip:a@b;x=1>, <sip:c@d>;q=0.1\r\n"), "200 OK", "Contact: <sip:c@d>;expires=3600;q=0.1\r\n"},
		{"everything, and Expires 0", aRegister(contact, "Contact: *\r\nExpires: 0\r\n"), "200 OK", "\r\nDate: "},
		{"everything, and no Expires", aRegister(contact, "Contact: *\r\n"), "400 Contact * Wants Expires 0 And No Other", ""},
		{"everything, and one more", aRegister(contact, "Contact: *\r\nExpires: 0\r\n"+contact), "400 Contact * Wants Expires 0 And No Other", ""},
		{"another's", aRegister("To: <sip:al@", "To: <sip:bo@"), "403 To Is Not Yours", ""},
		{"of nobody", aRegister("To: <sip:al@", "To: <sip:"), "403 To Is Not Yours", ""},
		{"a bad To", aRegister("To: <sip:al@example.com>", "To: <>"), "400 Bad To", ""},
		{"no SIP URI", aRegister(contact, "Contact: <mailto:al@example.com>\r\n"), "400 Contact Is No SIP URI", ""},
		{"a contact that is cut", aRegister(contact, "Contact: <sip:al@127.0.0.1:40000\r\n"), "400 Bad Contact", ""},
		{"a contact that is too long", aRegister(contact, "Contact: <sip:"+strings.Repeat("a", maxContactURI)+"@h>\r\n"), "400 Bad Contact", ""},
		{"a bad q", aRegister(contact, "Contact: <sip:a@b>;q=1.1\r\n"), "400 Bad Contact", ""},
		{"a bad reg-id", aRegister(contact, "Contact: <sip:a@b>;+sip.instance=\"<urn:uuid:1>\";reg-id=0\r\n"), "400 Bad Contact", ""},
		{"the same twice", aRegister(contact, contact+contact), "400 Contact Given Twice", ""},
		{"too many", aRegister(contact, "Contact: <sip:a@b>,<sip:b@b>,<sip:c@b>,<sip:d@b>\r\n"), "403 Too Many Contacts", ""},
		{"Require of what is known", aRegister(contact, contact+"Require: path, outbound\r\n"), "200 OK", ""},
		{"Require of what is not", aRegister(contact, contact+"Require: path, gruu\r\n"), "420 Bad Extension", "\r\nUnsupported: gruu\r\n"},
		{"Path", aRegister(contact, contact+"Path: <sip:e@p1;transport=tcp;lr>\r\nPath: <sip:p2;lr>\r\nSupported: path\r\n"), "200 OK", "\r\nPath: <sip:e@p1;transport=tcp;lr>, <sip:p2;lr>\r\n"},
		{"Path that is not asked back", aRegister(contact, contact+"Path: <sip:e@p1;transport=tcp;lr>\r\n"), "200 OK", ""},
		{"a bad Path", aRegister(contact, contact+"Path: <im:p1>\r\n"), "400 Bad Path", ""},
		{"a Path that names no transport that we know", aRegister(contact, contact+"Path: <sip:p1;transport=sctp;lr>\r\n"), "400 Bad Path", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newRegistrarBench(nil)
			answer := b.registers(t, test.request)
			if !strings.HasPrefix(answer, "SIP/2.0 "+test.answer+"\r\n") || !strings.Contains(answer, test.header) {
				t.Errorf("got\n%s\nwant %s with %q", answer, test.answer, test.header)
			}
			if !strings.HasPrefix(test.answer, "200") && len(b.Contacts("")) > 0 {
				t.Errorf("refused, and yet there are %v", b.Contacts(""))
			}
		})
	}
}

// TestRegisterWantsCredentials: who is trusted to send is not trusted to receive for others.
func TestRegisterWantsCredentials(t *testing.T) {
	b := newRegistrarBench(nil)
	for _, trusted := range []bool{true, false} {
		b.from.trusted = trusted
		b.hear(aRegister())
		challenge := b.last(t)
		if !strings.HasPrefix(challenge, "SIP/2.0 401") || len(challengesOf(t, challenge)) != 2 {
			t.Errorf("without credentials:\n%s", challenge)
		}
		b.hear(withCredentials(t, aRegister(), challenge, "bo"))
		if answer := b.last(t); !strings.HasPrefix(answer, "SIP/2.0 401") {
			t.Errorf("with a stranger's:\n%s", answer)
		}
	}
	if len(b.changes) > 0 || len(b.Contacts("")) > 0 {
		t.Errorf("%v", b.changes)
	}
	off := newBench(Config{Domain: "example.com"})
	off.SetUsers([]sms.SIPUser{al()})
	off.hear(aRegister())
	if answer := off.last(t); !strings.HasPrefix(answer, "SIP/2.0 405") || strings.Contains(answer, "REGISTER\r\nAllow") || off.Contacts("") != nil {
		t.Errorf("without a registrar:\n%s", answer)
	}
	b.from.trusted = true
	b.hear(method("INVITE"))
	if answer := b.last(t); !strings.Contains(answer, "\r\nAllow: REGISTER\r\n") {
		t.Errorf("Allow does not say REGISTER:\n%s", answer)
	}
	b.hear(method("OPTIONS", "Call-ID: c1", "Call-ID: c2"))
	if answer := b.last(t); !strings.Contains(answer, "\r\nSupported: path, outbound\r\n") {
		t.Errorf("OPTIONS does not say so:\n%s", answer)
	}
}

// TestTortureRegister: the REGISTERs of RFC 4475, once the user has proved to be one.
func TestTortureRegister(t *testing.T) {
	const contact = "Contact: <sip:al@127.0.0.1:40000>\r\n"
	for _, test := range []struct{ name, contact, answer, header, target string }{
		{"3.1.2.13 regbadct: a question mark outside of <>", "Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E\r\n", "400", "", ""},
		{"3.3.7 regaut01: a scheme of credentials that nobody knows", "Authorization: NoOneKnowsThisScheme opaque-data=here\r\n" + contact, "200",
			"Contact: <sip:al@127.0.0.1:40000>;expires=3600", "sip:al@127.0.0.1:40000"},
		{"3.3.12 cparam01: a parameter of Contact that nobody knows", "Contact: sip:+19725552222@gw1.example.net;unknownparam\r\n", "200",
			"Contact: <sip:+19725552222@gw1.example.net>;expires=3600", "sip:+19725552222@gw1.example.net"},
		{"3.3.13 cparam02: one of its URI", "Contact: <sip:+19725552222@gw1.example.net;unknownparam>\r\n", "200",
			"Contact: <sip:+19725552222@gw1.example.net;unknownparam>;expires=3600", "sip:+19725552222@gw1.example.net;unknownparam"},
		{"3.3.14 regescrt: a Route in its URI", "Contact: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>\r\n", "200",
			"Contact: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>;expires=3600", "sip:user@example.com"},
	} {
		b := newRegistrarBench(nil)
		answer := b.registers(t, aRegister(contact, test.contact))
		if !strings.HasPrefix(answer, "SIP/2.0 "+test.answer) || !strings.Contains(answer, test.header) {
			t.Errorf("%s: %s", test.name, answer)
		}
		if ways := b.registrar.ways([]string{"al"}, time.Now()); test.target != "" && (len(ways) != 1 || ways[0][0].uri != test.target) {
			t.Errorf("%s: %v", test.name, ways)
		}
	}
}

// TestPathOfStrangers: only a proxy that is trusted may say which way messages go.
func TestPathOfStrangers(t *testing.T) {
	b := newRegistrarBench(nil)
	b.from.trusted = false
	answer := b.registers(t, aRegister("User-Agent:", "Path: <sip:p1;lr>\r\nUser-Agent:"))
	if !strings.HasPrefix(answer, "SIP/2.0 420") || !strings.Contains(answer, "\r\nUnsupported: path\r\n") {
		t.Errorf("%s", answer)
	}
	b.from.trusted = true
	b.registers(t, aRegister("User-Agent:", "Path: <sip:e@[2001:db8::1]:5070;transport=TCP;lr;ob>\r\nUser-Agent:", "r1@", "r2@"))
	ways := b.registrar.ways([]string{"al"}, time.Now())
	if len(ways) != 1 || ways[0][0].hop.uri != "sip:[2001:db8::1]:5070;transport=TCP" || ways[0][0].hop.transport != byTCP ||
		ways[0][0].route != "<sip:e@[2001:db8::1]:5070;transport=TCP;lr;ob>" {
		t.Errorf("%+v", ways)
	}
}

func TestRegistrations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newRegistrarBench(nil)
		seq := 0
		do := func(callID, contact string) []string {
			t.Helper()
			seq++
			answer := b.registers(t, aRegister("Contact: <sip:al@127.0.0.1:40000>", contact, "CSeq: 1", fmt.Sprintf("CSeq: %d", seq), "r1@", callID+"@",
				"z9hG4bKr1", fmt.Sprintf("z9hG4bKr%d", seq)))
			if !strings.HasPrefix(answer, "SIP/2.0 200") {
				t.Fatalf("%s: %s", contact, answer)
			}
			return contactsIn(answer)
		}
		expect := func(what string, got []string, want ...string) {
			t.Helper()
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		told := func(want ...string) {
			t.Helper()
			var got []string
			for _, c := range b.changes {
				word := "kept"
				if c.New {
					word = "new"
				}
				if c.Gone != "" {
					word = "gone: " + c.Gone
				}
				got = append(got, c.Contact.URI+" "+word)
			}
			if b.changes = nil; !slices.Equal(got, want) {
				t.Errorf("told %q, want %q", got, want)
			}
		}
		expect("the first", do("a", "Contact: <sip:1@h>"), "<sip:1@h>;expires=3600")
		told("sip:1@h new")
		if !slices.Equal(b.arrived, []string{"al"}) {
			t.Errorf("arrived: %v", b.arrived)
		}
		time.Sleep(10 * time.Second)
		expect("another", do("b", "Contact: <sip:2@h>;expires=600"), "<sip:1@h>;expires=3590", "<sip:2@h>;expires=600")
		time.Sleep(10 * time.Second)
		expect("again, from another Call-ID", do("c", "Contact: <SIP:1@H>;expires=1200"), "<SIP:1@H>;expires=1200", "<sip:2@h>;expires=590")
		expect("again", do("c", "Contact: <SIP:1@H>"), "<SIP:1@H>;expires=3600", "<sip:2@h>;expires=590")
		told("sip:2@h new", "SIP:1@H new", "SIP:1@H kept")
		expect("a query", do("d", "X-Nothing: x"), "<SIP:1@H>;expires=3600", "<sip:2@h>;expires=590")
		if len(b.arrived) != 3 {
			t.Errorf("arrived: %v", b.arrived)
		}

		// The same device by another URI, and by another flow.
		device := `;+sip.instance="<urn:uuid:1>"`
		expect("a device", do("e", "Contact: <sip:3@h>"+device+";reg-id=1"), "<SIP:1@H>;expires=3600", "<sip:2@h>;expires=590", "<sip:3@h>;expires=3600"+device+";reg-id=1")
		expect("it moved", do("f", "Contact: <sip:4@h>"+device+";reg-id=1"), "<SIP:1@H>;expires=3600", "<sip:2@h>;expires=590", "<sip:4@h>;expires=3600"+device+";reg-id=1")
		told("sip:3@h new", "sip:4@h new")
		time.Sleep(time.Second)
		// The one that was refreshed longest ago gives way.
		expect("one too many", do("g", "Contact: <sip:5@h>"+device+";reg-id=2"),
			"<SIP:1@H>;expires=3599", "<sip:4@h>;expires=3599"+device+";reg-id=1", "<sip:5@h>;expires=3600"+device+";reg-id=2")
		told("sip:5@h new", "sip:2@h gone: "+goneReplaced)
		expect("one less", do("g", "Contact: <sip:5@h>"+device+";reg-id=2;expires=0"), "<SIP:1@H>;expires=3599", "<sip:4@h>;expires=3599"+device+";reg-id=1")
		told("sip:5@h gone: " + goneByItself)

		// Out of order.
		answer := b.registers(t, aRegister("r1@", "f@", "CSeq: 1", "CSeq: 3", "<sip:al@127.0.0.1:40000>", "<sip:4@h>"+device+";reg-id=1;expires=0"))
		if !strings.HasPrefix(answer, "SIP/2.0 400 Registration Out Of Order") {
			t.Errorf("an old request: %s", answer)
		}
		told()

		expect("nobody", do("h", "Contact: *\r\nExpires: 0"))
		told("SIP:1@H gone: "+goneByItself, "sip:4@h gone: "+goneByItself)

		// Time, the operator and the user's end.
		do("i", "Contact: <sip:6@h>;expires=60,<sip:7@h>;expires=120")
		b.changes = nil
		b.registrar.expire(time.Now().Add(59 * time.Second))
		told()
		b.registrar.expire(time.Now().Add(60 * time.Second))
		told("sip:6@h gone: " + goneExpired)
		time.Sleep(120 * time.Second)
		if ways := b.registrar.ways([]string{"al"}, time.Now()); len(ways) > 0 {
			t.Errorf("what has expired is tried: %v", ways)
		}
		b.registrar.expire(time.Now())
		told("sip:7@h gone: " + goneExpired)
		do("j", "Contact: <sip:8@h>,<sip:9@h>")
		b.changes = nil
		dropped := make(chan error, 3)
		if n := b.DropContacts("al", "sip:nobody@h", func(err error) { dropped <- err }); n != 0 {
			t.Errorf("%d dropped", n)
		}
		if n := b.DropContacts("al", "sip:9@h", func(err error) { dropped <- err }); n != 1 || len(dropped) != 2 {
			t.Errorf("%d dropped, told %d", n, len(dropped))
		}
		told("sip:9@h gone: " + goneByHand)
		b.SetUsers([]sms.SIPUser{al()})
		told()
		b.SetUsers(nil)
		told("sip:8@h gone: " + goneUser)
	})
}

// TestRegisterRetransmitted: the answer is that of the first, and tells nobody of another's contacts.
func TestRegisterRetransmitted(t *testing.T) {
	b := newRegistrarBench(nil)
	bo := al("200")
	bo.Name = "bo"
	bo.HA1, bo.HA1SHA256 = "", sha256Hex("bo:example.com:secret")
	b.SetUsers([]sms.SIPUser{al(), bo})
	b.hear(aRegister())
	request := withCredentials(t, aRegister(), b.last(t), "al")
	b.hear(request)
	first := b.last(t)
	b.hear(request)
	if again := b.last(t); !strings.HasPrefix(again, "SIP/2.0 200") || !slices.Equal(contactsIn(again), contactsIn(first)) || len(contactsIn(again)) != 1 {
		t.Errorf("got\n%s\nfirst\n%s", again, first)
	}
	if len(b.changes) != 1 {
		t.Errorf("%d changes", len(b.changes))
	}
	b.hear(strings.Replace(request, `username="al"`, `username="bo"`, 1))
	if answer := b.last(t); !strings.HasPrefix(answer, "SIP/2.0 482") || len(contactsIn(answer)) > 0 {
		t.Errorf("with another's name: %s", answer)
	}
}

// TestRegisterIsNotKept: the user agent is told to come again.
func TestRegisterIsNotKept(t *testing.T) {
	b := newRegistrarBench(nil)
	b.unkept = errors.New("disk full")
	if answer := b.registers(t, aRegister()); !strings.HasPrefix(answer, "SIP/2.0 500") || !strings.Contains(answer, "\r\nRetry-After: ") {
		t.Errorf("%s", answer)
	}
	b.unkept = nil
	if answer := b.registers(t, aRegister("CSeq: 1", "CSeq: 2", "z9hG4bKr1", "z9hG4bKr2")); !strings.HasPrefix(answer, "SIP/2.0 200") {
		t.Errorf("%s", answer)
	}
}

func TestSameURI(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{ // RFC 3261, 19.1.4
		{"sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", true},
		{"sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true},
		{"sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on", true},
		{"sip:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false},
		{"sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", false},
		{"sip:bob@biloxi.com", "sips:bob@biloxi.com", false},
		{"sip:bob@biloxi.com;maddr=10.0.0.1", "sip:bob@biloxi.com", false},
	} {
		a, reason := parseBinding([]byte("<" + test.a + ">"))
		b, reasonB := parseBinding([]byte("<" + test.b + ">"))
		if reason+reasonB != "" || sameURI(&a.parsed, &b.parsed) != test.want || sameURI(&b.parsed, &a.parsed) != test.want {
			t.Errorf("%s and %s: %s %s, want %v", test.a, test.b, reason, reasonB, test.want)
		}
	}
}

func TestRestoreContacts(t *testing.T) {
	now := time.Now()
	ids := sms.NewIDs()
	contact := func(user, uri, received, path string, left time.Duration) sms.Contact {
		return sms.Contact{ID: ids.Next(), User: user, URI: uri, Received: received, Path: path, Q: 1000, Expires: now.Add(left), Updated: now}
	}
	kept := []sms.Contact{
		contact("al", "sip:al@127.0.0.1:1", "udp:127.0.0.1:40000", "", time.Minute),
		contact("al", "sip:al@127.0.0.1:2;transport=tcp", "tcp:127.0.0.1:40001", "", time.Minute),
		contact("al", "sip:al@10.0.0.1:3", "udp:127.0.0.1:40002", "<sip:192.0.2.1;transport=tcp;lr>", time.Minute),
	}
	lost := []sms.Contact{
		contact("al", "sip:al@10.0.0.1:2;transport=tcp", "tcp:127.0.0.1:40001", "", time.Minute), // behind a NAT
		contact("al", "sip:al@x.invalid;transport=ws", "ws:127.0.0.1:40001", "", time.Minute),
		contact("al", "sip:al@127.0.0.1:4", "tls:127.0.0.1:40001", "", time.Minute),
		contact("al", "sip:al@127.0.0.1:5", "udp:127.0.0.1:40000", "", -time.Second),
		contact("bo", "sip:bo@127.0.0.1:6", "udp:127.0.0.1:40000", "", time.Minute),
		contact("al", "sip:al@127.0.0.1:7", "nonsense", "", time.Minute),
	}
	b := newRegistrarBench(nil)
	gone := b.RestoreContacts(append(slices.Clone(kept), lost...))
	if !slices.Equal(gone, lost) {
		t.Errorf("gone: %v", gone)
	}
	if got := b.Contacts("al"); len(got) != len(kept) {
		t.Errorf("%v", got)
	}
	if len(b.changes) > 0 {
		t.Errorf("told %v", b.changes)
	}
	targets := map[string]netip.AddrPort{}
	for _, w := range b.registrar.ways([]string{"al"}, now)[0] {
		if len(w.hop.targets) > 0 {
			targets[w.uri] = w.hop.targets[0].addr
		} else {
			targets[w.uri] = netip.AddrPort{}
		}
	}
	if targets[kept[0].URI].Port() != 40000 || targets[kept[1].URI].Port() != 2 || len(targets) != 3 {
		t.Errorf("%v", targets)
	}
}

// FuzzRegister: whatever a user who is let in asks for, what is kept of it is bounded, and can stand in an answer and a request.
func FuzzRegister(f *testing.F) {
	f.Add("<sip:al@127.0.0.1:40000>;q=0.5;expires=100", "600", "<sip:p1;lr>")
	f.Add("*", "0", "")
	f.Add("\"a,\\\"b\" <sips:x@[::1]:5;transport=tls;x>;+sip.instance=\"<urn:uuid:1>\";reg-id=1, sip:y@z;expires=0", "-1", "<sip:a>, <sip:b>")
	f.Fuzz(func(t *testing.T, contact, expires, path string) {
		b := newRegistrarBench(nil)
		b.hear(aRegister())
		challenge := b.last(t)
		request := withCredentials(t, aRegister("Contact: <sip:al@127.0.0.1:40000>", "Contact: "+contact+"\r\nExpires: "+expires+"\r\nPath: "+path), challenge, "al")
		b.hear(request)
		for _, answer := range b.sent {
			var m message
			if !m.scan([]byte(answer)) || m.status == 0 || m.fault != "" {
				t.Fatalf("the answer is none:\n%q", answer)
			}
			if m.status == 200 && len(m.contacts) != len(b.Contacts("")) {
				t.Fatalf("%d contacts, and the answer is\n%s", len(b.Contacts("")), answer)
			}
		}
		b.sent = nil
		for _, c := range b.Contacts("") {
			if len(c.URI) > maxContactURI || len(c.Path) > maxPath || len(c.Instance) > maxTag {
				t.Fatalf("%+v", c)
			}
			o := &outgoing{m: &sms.Message{To: sms.ParseAddress("100"), Text: "x"}, uri: withoutHeaders(c.URI), contact: true, route: c.Path, hop: &hop{}, to: &target{}}
			var m message
			if out := b.appendRequest(nil, o, byUDP, time.Now()); !m.scan(out) || m.fault != "" || string(m.uri) != withoutHeaders(c.URI) {
				t.Fatalf("the request is none: %s %q", m.fault, out)
			}
		}
	})
}

// BenchmarkRestoreContacts is a start with that many.
func BenchmarkRestoreContacts(b *testing.B) {
	ids, now := sms.NewIDs(), time.Now()
	var users []sms.SIPUser
	var kept []sms.Contact
	for i := range 10_000 {
		u := al()
		u.Name = fmt.Sprintf("+4930%06d", i)
		users = append(users, u)
		kept = append(kept, sms.Contact{
			ID: ids.Next(), User: u.Name, URI: "sip:" + u.Name + "@192.0.2.7:5060", Received: "udp:127.0.0.1:5060", Local: "udp:127.0.0.1:5060", Q: 1000,
			Expires: now.Add(time.Hour),
		})
	}
	for b.Loop() {
		e := newRegistrarBench(nil)
		e.SetUsers(users)
		if gone := e.RestoreContacts(kept); len(gone) > 0 || e.registrar.count() != len(kept) {
			b.Fatal(gone)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(len(kept)), "us/contact")
}

// TestManyContacts: each contact ends at its time, also one that registered again and again, and to look for them costs nothing
// while nobody's time is over. All of them are behind one proxy's connection, which stays open for the last.
func TestManyContacts(t *testing.T) {
	e := newRegistrarBench(nil)
	r, flow, now := e.registrar, &stream{}, time.Now()
	const many = 3000
	contacts := make([]*contact, many)
	for i := range contacts {
		contacts[i] = &contact{flow: flow, Contact: sms.Contact{User: fmt.Sprint(i), Expires: now.Add(time.Minute)}}
		r.put(contacts[i])
	}
	ends := make(map[time.Time]int)
	last := now
	for i, c := range contacts {
		c.Expires = now.Add(time.Minute + time.Duration(i*7919%many)*time.Second)
		r.put(c)
		if i%10 == 3 {
			r.drop(c, goneByHand)
			continue
		}
		ends[c.Expires]++
		if c.Expires.After(last) {
			last = c.Expires
		}
	}
	if !flow.kept.Equal(last) {
		t.Errorf("the connection is kept until %v, its last contact until %v", flow.kept, last)
	}
	if n := testing.AllocsPerRun(1, func() { r.expire(now.Add(59 * time.Second)) }); n > 0 {
		t.Errorf("%v allocations for nothing", n)
	}
	left := r.count()
	for at := now.Add(time.Minute); !at.After(last); at = at.Add(time.Second) {
		r.expire(at)
		if left -= ends[at]; r.count() != left || len(r.users) != left {
			t.Fatalf("after %v there are %d contacts of %d users, want %d", at.Sub(now), r.count(), len(r.users), left)
		}
	}
	if left != 0 || len(r.flows) > 0 || !flow.kept.IsZero() {
		t.Errorf("%d contacts and %d connections are left; the one is kept until %v", left, len(r.flows), flow.kept)
	}
}
