package sip

import (
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sipsmpp/gateway/guard"
	"sipsmpp/gateway/sms"

	"github.com/icholy/digest"
)

// al is a user whose password is "secret".
func al(numbers ...string) sms.SIPUser {
	return sms.SIPUser{
		Name: "al", Realm: "example.com", Numbers: numbers, Enabled: true,
		HA1:       fmt.Sprintf("%x", md5.Sum([]byte("al:example.com:secret"))),
		HA1SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte("al:example.com:secret"))),
	}
}

// stranger is a bench that hears who is not trusted.
func stranger(users ...sms.SIPUser) *bench {
	b := newBench(Config{Domain: "example.com"})
	b.from.trusted = false
	b.SetUsers(users)
	return b
}

// challengesOf reads the challenges of an answer.
func challengesOf(t testing.TB, answer string) []*digest.Challenge {
	t.Helper()
	var list []*digest.Challenge
	for line := range strings.SplitSeq(answer, "\r\n") {
		if value, ok := strings.CutPrefix(line, "WWW-Authenticate: "); ok {
			c, err := digest.ParseChallenge(value)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, c)
		}
	}
	return list
}

// authorized is a request that answers a challenge.
func authorized(t testing.TB, c *digest.Challenge, seq int, o digest.Options, changes ...string) string {
	t.Helper()
	if o.URI == "" {
		o.URI = "sip:+4915112345678@gw.example.com"
	}
	if o.Method == "" {
		o.Method = "MESSAGE"
	}
	if o.Username == "" {
		o.Username = "al"
	}
	if o.Password == "" {
		o.Password = "secret"
	}
	credentials, err := digest.Digest(c, o)
	if err != nil {
		t.Fatal(err)
	}
	return aMessage(append(changes, "CSeq: 1 ", fmt.Sprintf("CSeq: %d ", seq), "z9hG4bK1", fmt.Sprintf("z9hG4bK-%d", seq),
		"Content-Type:", "Authorization: "+credentials.String()+"\r\nContent-Type:")...)
}

func TestAuthentication(t *testing.T) {
	for i, algorithm := range []string{"SHA-256", "MD5"} {
		b := stranger(al("100"))
		b.hear(aMessage())
		answer := b.last(t)
		challenges := challengesOf(t, answer)
		if !strings.HasPrefix(answer, "SIP/2.0 401 ") || len(challenges) != 2 || challenges[i].Algorithm != algorithm || challenges[i].Stale ||
			challenges[i].Realm != "example.com" {
			t.Fatalf("%s", answer)
		}
		c := challenges[i]
		for _, test := range []struct {
			name    string
			seq     int
			options digest.Options
			changes []string
			want    string
			stale   bool
		}{
			{"good", 2, digest.Options{Count: 1}, nil, "202", false},
			{"again, as a retransmission", 2, digest.Options{Count: 1}, nil, "202", false},
			{"the same count", 3, digest.Options{Count: 1}, nil, "401", true},
			{"a later count", 4, digest.Options{Count: 5}, nil, "202", false},
			{"an overtaken one", 5, digest.Options{Count: 3}, nil, "202", false},
			{"that again", 6, digest.Options{Count: 3}, nil, "401", true},
			{"another password", 7, digest.Options{Count: 6, Password: "public"}, nil, "401", false},
			{"another user", 8, digest.Options{Count: 7, Username: "bo"}, nil, "401", false},
			{"for another recipient", 9, digest.Options{Count: 8, URI: "sip:+491@gw.example.com"}, nil, "401", false},
			{"for another host", 10, digest.Options{Count: 9, URI: "sip:+4915112345678@proxy"}, nil, "202", false},
			{"of another method", 11, digest.Options{Count: 10, Method: "INVITE"}, nil, "401", false},
			{"its own name", 12, digest.Options{Count: 11}, []string{"<sip:100@", "<sip:al@"}, "202", false},
			{"another's From", 13, digest.Options{Count: 12}, []string{"<sip:100@", "<sip:101@"}, "403", false},
			{"another's identity", 14, digest.Options{Count: 13}, []string{"Max-Forwards", "P-Asserted-Identity: <sip:101@a>\r\nMax-Forwards"}, "202", false},
		} {
			b.guard = guard.New() // what it does is another test's
			b.hear(authorized(t, c, test.seq, test.options, test.changes...))
			answer := b.last(t)
			if !strings.HasPrefix(answer, "SIP/2.0 "+test.want) {
				t.Errorf("%s, %s: %s", algorithm, test.name, answer)
			}
			for _, c := range challengesOf(t, answer) {
				if c.Stale != test.stale {
					t.Errorf("%s, %s: stale is %v", algorithm, test.name, c.Stale)
				}
			}
		}
		if len(b.got) != 6 {
			t.Errorf("%d messages", len(b.got))
		}
		for _, m := range b.got {
			if m.Ingress.String() != "sip:al" || m.From.String() != "100" && m.From.String() != "al" {
				t.Errorf("%+v", m)
			}
		}
	}
}

func TestNoncesAgeAndAreSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := stranger(al("100"))
		b.hear(aMessage())
		c := challengesOf(t, b.last(t))[0]
		time.Sleep(nonceTime + time.Second)
		b.hear(authorized(t, c, 2, digest.Options{}))
		again := challengesOf(t, b.last(t))
		if len(again) != 2 || !again[0].Stale {
			t.Fatalf("%+v", again)
		}
		b.hear(authorized(t, again[0], 3, digest.Options{}))
		if answer := b.last(t); !strings.HasPrefix(answer, "SIP/2.0 202") {
			t.Errorf("%s", answer)
		}
		forged := *again[0]
		forged.Nonce = strings.Repeat("A", len(forged.Nonce))
		b.hear(authorized(t, &forged, 4, digest.Options{}))
		if answer := b.last(t); !strings.HasPrefix(answer, "SIP/2.0 401") {
			t.Errorf("%s", answer)
		}
	})
}

// A client that knows no qop gets each nonce for one request.
func TestNoQOP(t *testing.T) {
	b := stranger(al("*"))
	b.hear(aMessage())
	c := challengesOf(t, b.last(t))[1]
	c.QOP = nil
	for seq, want := range map[int]string{2: "202"} {
		b.hear(authorized(t, c, seq, digest.Options{}))
		if answer := b.last(t); !strings.HasPrefix(answer, "SIP/2.0 "+want) {
			t.Errorf("%s", answer)
		}
	}
	b.hear(authorized(t, c, 3, digest.Options{}))
	if answer := b.last(t); !strings.HasPrefix(answer, "SIP/2.0 401") {
		t.Errorf("%s", answer)
	}
}

// Strangers leave nothing behind, and are not even asked where nobody could answer.
func TestStrangers(t *testing.T) {
	disabled, elsewhere := al(), al()
	disabled.Enabled, elsewhere.Realm = false, "elsewhere"
	for _, users := range [][]sms.SIPUser{nil, {disabled}, {elsewhere}} {
		b := stranger(users...)
		b.hear(aMessage())
		if answer := b.last(t); !strings.HasPrefix(answer, "SIP/2.0 403") {
			t.Errorf("%s", answer)
		}
	}
	b := stranger(al())
	for i := range 1000 {
		b.hear(aMessage("Call-ID: c1", fmt.Sprintf("Call-ID: c%d", i)))
		b.last(t)
	}
	kept := len(b.nonces.gens[0])
	for i := range b.answered.shards {
		for _, g := range b.answered.shards[i].gens {
			kept += g.n
		}
	}
	if kept != 0 {
		t.Errorf("%d entries are kept of strangers", kept)
	}
}

func TestNonceCountsAreBounded(t *testing.T) {
	n, now := newNonces(), time.Now()
	first := n.issue(now)
	if !n.use(first, 1, now, now) {
		t.Fatal("the first use of a nonce is refused")
	}
	for i := range 3 * nonceLimit {
		later := now.Add(time.Duration(i+1) * time.Microsecond)
		if !n.use(n.issue(later), 1, later, later) {
			t.Fatal("a new nonce is refused")
		}
	}
	if kept := len(n.gens[0]) + len(n.gens[1]); kept > 2*nonceLimit {
		t.Errorf("%d nonces are kept", kept)
	}
	if n.use(first, 1, now, now) {
		t.Error("a nonce that was forgotten is good again")
	}
}

func TestChallengedByNextHop(t *testing.T) {
	const md5Challenge = `WWW-Authenticate: Digest realm="r", nonce="n1", algorithm=MD5, qop="auth"`
	const shaChallenge = `WWW-Authenticate: Digest realm="r", nonce="n2", algorithm=SHA-256, qop="auth, auth-int"`
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, "sip:gw:pa%73s@192.0.2.10")
		answerTo := func(request string) *digest.Credentials {
			t.Helper()
			for line := range strings.SplitSeq(request, "\r\n") {
				for _, name := range []string{"Authorization: ", "Proxy-Authorization: "} {
					if value, ok := strings.CutPrefix(line, name); ok {
						a, err := digest.ParseCredentials(value)
						if err != nil {
							t.Fatal(err)
						}
						return a
					}
				}
			}
			return nil
		}
		c.text("hello")
		first := c.take()[0]
		if answerTo(first.b) != nil || strings.Contains(first.b, "gw") && strings.Contains(first.b, "pass") {
			t.Errorf("%s", first.b)
		}
		c.reply(first, 401, md5Challenge, shaChallenge)
		synctest.Wait()
		second := c.take()[0]
		a := answerTo(second.b)
		want, _ := digest.Digest(&digest.Challenge{Realm: "r", Nonce: "n2", Algorithm: "SHA-256", QOP: []string{"auth"}},
			digest.Options{Method: "MESSAGE", URI: "sip:+491@192.0.2.10", Count: 1, Username: "gw", Password: "pass", Cnonce: a.Cnonce})
		if a == nil || a.Response != want.Response || a.URI != "sip:+491@192.0.2.10" || !strings.Contains(second.b, "CSeq: 2 MESSAGE") {
			t.Errorf("%s", second.b)
		}
		c.reply(second, 202)
		if o := c.outcome(t); o.Fate != sms.Accepted {
			t.Errorf("%+v", o)
		}
		// The next message brings its answer along; a proxy that has a new nonce gets a new answer, and no third.
		c.outcomes = nil
		c.text("hello again")
		third := c.take()[0]
		if a := answerTo(third.b); a == nil || a.Nc != 2 || a.Nonce != "n2" {
			t.Errorf("%s", third.b)
		}
		for range 2 {
			c.reply(third, 407, "Proxy-"+strings.TrimPrefix(md5Challenge, "WWW-"))
			synctest.Wait()
			if third = c.take()[0]; answerTo(third.b).Nonce != "n1" || !strings.Contains(third.b, "\r\nProxy-Authorization") {
				t.Errorf("%s", third.b)
			}
		}
		c.reply(third, 407, "Proxy-"+strings.TrimPrefix(md5Challenge, "WWW-"))
		if o := c.outcome(t); o.Fate != sms.Refused || o.Severity != sms.Configuration || !strings.Contains(o.Detail, `"gw"`) ||
			strings.Contains(o.Detail, "pass\"") {
			t.Errorf("%+v", o)
		}
	})
}

// FuzzAuthorization: whatever credentials come in, there is one answer, and none of them is let in.
func FuzzAuthorization(f *testing.F) {
	b := stranger(al("*"))
	b.hear(aMessage())
	c := challengesOf(f, b.last(f))[0]
	good, _ := digest.Digest(c, digest.Options{Method: "MESSAGE", URI: "sip:x", Username: "al", Password: "wrong"})
	f.Add(good.String())
	f.Add(`Digest username="al", realm="example.com", nonce="", uri="", response=""`)
	f.Fuzz(func(t *testing.T, value string) {
		b.hear(aMessage("Content-Type", "Authorization: "+value+"\r\nContent-Type"))
		b.sent, b.to = nil, nil
		if len(b.got) > 0 {
			t.Errorf("%q is let in", value)
		}
	})
}

// FuzzChallenge: whatever a next hop asks for, what we answer is one header field.
func FuzzChallenge(f *testing.F) {
	f.Add(`Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth"`)
	f.Fuzz(func(t *testing.T, value string) {
		c := &credentials{user: "gw", password: "pass"}
		if c.learn(&message{status: 401, authenticate: [][]byte{[]byte(value)}}) {
			if field := c.append(nil, "sip:a@b"); strings.ContainsAny(strings.TrimPrefix(string(field), "\r\n"), "\r\n") {
				t.Errorf("%q", field)
			}
		}
	})
}

// BenchmarkAuthorized is BenchmarkReceive for a sender with credentials.
func BenchmarkAuthorized(b *testing.B) {
	e := stranger(al("100"))
	e.hear(aMessage())
	c := challengesOf(b, e.last(b))[0]
	request := []byte(authorized(b, c, 2, digest.Options{}))
	sink := &discard{}
	e.from.by = sink
	var m message
	b.ReportAllocs()
	for b.Loop() {
		m.scan(request)
		e.nonces.gens[0] = map[uint64]nonceCounts{}
		if u, _ := e.authenticate(&m, e.from, time.Now()); u == nil {
			b.Fatal("refused")
		}
	}
}

func sha256Hex(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

// TestGuessing: who is wrong too often is not listened to, even if right, and others are.
func TestGuessing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := stranger(al("100"))
		seq := 1
		try := func(password string) string {
			t.Helper()
			seq++
			b.hear(aMessage("c1@", fmt.Sprintf("q%d@", seq)))
			c := challengesOf(t, b.last(t))[0]
			seq++
			b.hear(authorized(t, c, seq, digest.Options{Count: 1, Password: password}, "c1@", fmt.Sprintf("q%d@", seq)))
			return b.last(t)
		}
		for i := range guard.FreeFailures {
			if answer := try("wrong"); !strings.HasPrefix(answer, "SIP/2.0 401") {
				t.Errorf("%d: %s", i, answer)
			}
		}
		if answer := try("secret"); !strings.HasPrefix(answer, "SIP/2.0 480 Wrong Credentials Too Often\r\n") || !strings.Contains(answer, "\r\nRetry-After: 1\r\n") {
			t.Errorf("%s", answer)
		}
		home := b.from
		b.from.from = netip.MustParseAddrPort("192.0.2.9:5060")
		if answer := try("secret"); !strings.HasPrefix(answer, "SIP/2.0 202") {
			t.Errorf("from elsewhere: %s", answer)
		}
		b.from = home
		time.Sleep(time.Second)
		if answer := try("secret"); !strings.HasPrefix(answer, "SIP/2.0 202") {
			t.Errorf("a second later: %s", answer)
		}
		for range 10 {
			try("wrong")
			time.Sleep(time.Minute)
		}
		changed := al("100")
		changed.HA1 = strings.Repeat("0", 32)
		b.SetUsers([]sms.SIPUser{changed})
		try("wrong")
		if answer := try("secret"); !strings.HasPrefix(answer, "SIP/2.0 202") { // by SHA-256, which is the same
			t.Errorf("with a new password: %s", answer)
		}
	})
}
