package sip

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sipsmpp/gateway/sms"
)

func TestTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRegistrarClient(t)
		var all, phone, al, other []Traced
		stops := []func(){
			c.Trace(TraceFilter{}, func(m Traced) { all = append(all, m) }),
			c.Trace(TraceFilter{Peer: "192.0.2.7"}, func(m Traced) { phone = append(phone, m) }),
			c.Trace(TraceFilter{Peer: "192.0.2.7:5071", User: "al"}, func(m Traced) { al = append(al, m) }),
			c.Trace(TraceFilter{User: "+492"}, func(m Traced) { other = append(other, m) }),
		}
		c.phone(t, 5071, "<sip:al@10.0.0.7>", "Subject: secret\r\n words")
		c.text("for somebody else")
		c.take()
		c.Send(&sms.Message{From: sms.ParseAddress("100"), To: sms.ParseAddress("+492"), Text: "secret words"}, c.told)
		synctest.Wait()
		c.reply(c.take()[0], 202)
		synctest.Wait()
		if len(all) != 7 || len(phone) != 4 || len(al) != 4 || len(other) != 2 {
			t.Fatalf("%d, %d, %d, %d", len(all), len(phone), len(al), len(other))
		}
		for _, stop := range stops {
			stop()
		}
		if c.text("x"); len(all) != 7 || c.taps.Watched() {
			t.Error("it goes on")
		}
		register, ok := al[2].Read(false), al[3].Read(false)
		if al[2].Sent || !al[3].Sent || al[2].Peer != "udp:192.0.2.7:5071" || register.StartLine != "REGISTER sip:example.com SIP/2.0" || ok.StartLine != "SIP/2.0 200 OK" {
			t.Errorf("%+v, %+v", register, ok)
		}
		header := strings.Join(register.Header, "\n")
		if !strings.Contains(header, "Subject: (not shown)") || !strings.Contains(header, `response="(not shown)"`) || !strings.Contains(header, `username="al"`) ||
			strings.Contains(header, "secret") {
			t.Errorf("%s", header)
		}
		if !slices.Contains(al[2].Read(true).Header, "Subject: secret   words") {
			t.Errorf("%q", al[2].Read(true).Header)
		}
		hidden, shown := other[0].Read(false), other[0].Read(true)
		if hidden.Body != "" || hidden.Size != 12 || shown.Body != "secret words" || strings.Contains(fmt.Sprint(hidden), "secret") {
			t.Errorf("%+v, %+v", hidden, shown)
		}
	})
}

func TestReadable(t *testing.T) {
	for _, test := range []struct {
		octets string
		want   Readable
	}{
		{"\x00\x01", Readable{Size: 2}},
		{"GET / HTTP/1.1\r\n\r\n", Readable{Size: 18}},
		{"MESSAGE sip:a SIP/2.0\r\nVia: x\r\n", Readable{StartLine: "MESSAGE sip:a SIP/2.0", Header: []string{"Via: x"}}},
		{"SIP/2.0 200 OK\r\nAuthorization: Basic c2VjcmV0\r\n\r\n", Readable{StartLine: "SIP/2.0 200 OK", Header: []string{"Authorization: Basic (not shown)"}}},
		{"SIP/2.0 200 OK\r\nProxy-Authorization: digest Response = abc , qop=auth\r\n\r\n",
			Readable{StartLine: "SIP/2.0 200 OK", Header: []string{`Proxy-Authorization: digest Response = "(not shown)" , qop=auth`}}},
		{"SIP/2.0 200 OK\r\nAuthentication-Info: rspauth=\"abc\"\r\n\r\n", Readable{StartLine: "SIP/2.0 200 OK", Header: []string{`Authentication-Info: rspauth="(not shown)"`}}},
		{"SIP/2.0 200 OK\r\nX: a\x1b[2Jb\r\nnonsense\n", Readable{StartLine: "SIP/2.0 200 OK", Header: []string{"X: a[2Jb"}, Size: 9}},
	} {
		got := Traced{Time: time.Now(), Octets: []byte(test.octets)}.Read(false)
		if got.StartLine != test.want.StartLine || !slices.Equal(got.Header, test.want.Header) || got.Size != test.want.Size || got.Body != "" {
			t.Errorf("%q: %+v, want %+v", test.octets, got, test.want)
		}
	}
}

// FuzzTrace: whatever crosses, to show it ends, and shows no answer to a challenge.
func FuzzTrace(f *testing.F) {
	f.Add([]byte(aMessage("Content-Type", "Authorization: Digest username=\"al\", response=\"5ecret5ecret\"\r\nContent-Type")))
	f.Add([]byte("SIP/2.0 200 OK\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := string(b)
		traced := Traced{Peer: "udp:192.0.2.7:5060", Octets: b}
		for _, text := range []bool{false, true} {
			r := traced.Read(text)
			for _, line := range r.Header {
				if strings.HasPrefix(line, "Authorization: Digest ") && strings.Contains(line, "response=\"5ecret5ecret\"") {
					t.Fatalf("%q", line)
				}
			}
		}
		for _, f := range []TraceFilter{{}, {Peer: "192.0.2.7"}, {User: "al"}} {
			f.chooses(traced)
		}
		if string(b) != before {
			t.Fatal("what is shown to others was changed")
		}
	})
}
