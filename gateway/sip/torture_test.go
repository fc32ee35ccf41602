package sip

import (
	"slices"
	"strings"
	"testing"
)

// anOptions is an OPTIONS , changed by what a torture message changes.
func anOptions(changes ...string) string {
	s := "OPTIONS sip:user@example.com SIP/2.0\nTo: <sip:user@example.com>\nFrom: <sip:caller@example.com>;tag=323\n" +
		"Max-Forwards: 70\nCall-ID: torture@192.0.2.1\nCSeq: 60 OPTIONS\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKkdjuw\nl: 0\n\n"
	return strings.NewReplacer(changes...).Replace(s)
}

// TestTorture: the messages that RFC 4475 describes get what it asks of a user agent that knows MESSAGE and OPTIONS alone: where the
// RFC's own method is one that we do not know, that it is refused for the method says that it parsed.
func TestTorture(t *testing.T) {
	to := "To: <sip:user@example.com>"
	cl := "l: 0\n\n"
	for _, test := range []struct {
		name, message string
		want          []string // any of these; none: no answer
	}{
		{"3.1.1.1 wsinv: white space, folded lines, compact forms, in any case", `INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0
TO :
 sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n
from   : "J Rosenberg \\\""       <sip:jdrosen@example.com>
  ;
  tag = 98asjd8
MaX-fOrWaRdS: 0068
Call-ID: wsinv.ndaksdj@192.0.2.1
Content-Length   : 3
cseq: 0009
  INVITE
Via  : SIP  /   2.0
 /UDP
    192.0.2.2;branch=390skdjuw
s :
NewFangledHeader:   newfangled value
 continued newfangled value
UnknownHeaderWithUnusualValue: ;;,,;;,;
Content-Type: application/sdp
Route:
 <sip:services.example.com;lr;unknownwith=value;unknown-no-value>
v:  SIP  / 2.0  / TCP     spindle.example.com   ;
  branch  =   z9hG4bK9ikj8  ,
 SIP  /    2.0   / UDP  192.168.255.111   ; branch=
 z9hG4bK30239
m:"Quoted string \"\"" <sip:jdrosen@example.com> ; newparam =
      newvalue ;
  secondparam ; q = 0.33

v=0`, []string{"405"}},
		{"3.1.1.2 intmeth: a method of every character that one may have",
			strings.ReplaceAll(anOptions("sip:user@example.com SIP", "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP"),
				"OPTIONS", "!interesting-Method0123456789_*+`.%indeed'~"), []string{"501"}},
		{"3.1.1.3 esc01: escaped characters in a URI", anOptions("sip:user@example.com SIP", "sip:sips%3Auser%40example.com@example.net SIP"), []string{"200"}},
		{"3.1.1.4 escnull: an escaped null", anOptions(to, "To: sip:null-%00-null@example.com"), []string{"200"}},
		{"3.1.1.5 esc02: a percent in a method is no escape", strings.ReplaceAll(anOptions(), "OPTIONS", "RE%47IST%45R"), []string{"501"}},
		{"3.1.1.6 lwsdisp: no blank between display name and <", anOptions("From: <", "From: caller<"), []string{"200"}},
		{"3.1.1.7 longreq: long values", anOptions(to, "To: \"I have a user name of "+strings.Repeat("extreme", 60)+" proportion\" <sip:user@example.com>",
			"l: 0", "Unknown-"+strings.Repeat("Long", 70)+"-Name: unknown-"+strings.Repeat("long", 70)+"-value\nl: 0"), []string{"200"}},
		{"3.1.1.8 dblreq: octets after the message", anOptions() + "INVITE sip:joe@example.com SIP/2.0\nt: sip:joe@example.com\n\n", []string{"200"}},
		{"3.1.1.9 semiuri: parameters in the user part", anOptions("sip:user@example.com SIP", "sip:user;par=u%40example.net@example.com SIP"), []string{"200"}},
		{"3.1.1.10 transports: every transport in Via", anOptions("Via: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKkdjuw",
			"Via: SIP/2.0/UDP t1.example.com;branch=z9hG4bKkdjuw\nVia: SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf\n"+
				"Via: SIP/2.0/TLS t3.example.com;branch=z9hG4bK2980unddj\nVia: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en\n"+
				"Via: SIP/2.0/TCP t5.example.com;branch=z9hG4bK0a9idfnee"), []string{"200"}},
		{"3.1.1.11 mpart01: a MESSAGE with several parts", strings.ReplaceAll(anOptions(cl,
			"Content-Type: multipart/mixed;boundary=7a9cbec02ceef655\n\n--7a9cbec02ceef655\nContent-Type: text/plain\nContent-Transfer-Encoding: binary\n\n"+
				"Hello\n--7a9cbec02ceef655\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: binary\n\n\x00\x01\n--7a9cbec02ceef655--\n"),
			"OPTIONS", "MESSAGE"), []string{"202"}},
		{"3.1.1.12 unreason: a reason phrase in UTF-8", strings.Replace(anOptions(), "OPTIONS sip:user@example.com SIP/2.0", "SIP/2.0 200 = 2**3 * 5**2 но сто девяносто девять - простое", 1), nil},
		{"3.1.1.13 noreason: no reason phrase", strings.Replace(anOptions(), "OPTIONS sip:user@example.com SIP/2.0", "SIP/2.0 100 ", 1), nil},

		{"3.1.2.1 badinv01: separators that separate nothing", anOptions("Via: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKkdjuw", "Via: SIP/2.0/UDP 192.0.2.15;;,;,,"), []string{"400", "200"}},
		{"3.1.2.2 clerr: Content-Length larger than the body", anOptions("l: 0", "Content-Length: 9999"), []string{"400"}},
		{"3.1.2.3 ncl: negative Content-Length", anOptions("l: 0", "Content-Length: -999"), []string{"400"}},
		{"3.1.2.4 scalar02: a CSeq beyond all bounds", anOptions("CSeq: 60", "CSeq: 36893488147419103232"), []string{"400"}},
		{"3.1.2.4 scalar02: a Max-Forwards beyond all bounds", anOptions("Max-Forwards: 70", "Max-Forwards: 36893488147419103232"), []string{"400"}},
		{"3.1.2.5 scalarlg: a response with scalars beyond all bounds", strings.Replace(anOptions("CSeq: 60", "CSeq: 9292394834772304023312"), "OPTIONS sip:user@example.com SIP/2.0", "SIP/2.0 503 Service Unavailable", 1), nil},
		{"3.1.2.6 quotbal: a quote that does not end", anOptions(to, "To: \"Mr. J. User <sip:j.user@example.com>"), []string{"400", "200"}},
		{"3.1.2.7 ltgtruri: a Request-URI in <>", anOptions("OPTIONS sip:user@example.com SIP", "OPTIONS <sip:user@example.com> SIP"), []string{"400"}},
		{"3.1.2.8 lwsruri: white space in the Request-URI", anOptions("sip:user@example.com SIP", "sip:user@example.com; lr SIP"), []string{"400"}},
		{"3.1.2.9 lwsstart: several blanks in the start line", anOptions("OPTIONS sip:user@example.com SIP", "OPTIONS  sip:user@example.com  SIP"), []string{"400"}},
		{"3.1.2.10 trws: blanks after the start line", anOptions("example.com SIP/2.0", "example.com SIP/2.0  "), []string{"400"}},
		{"3.1.2.11 escruri: header fields in the Request-URI", strings.ReplaceAll(anOptions("sip:user@example.com SIP", "sip:user@example.com?Route=%3Csip:example.com%3E SIP", cl,
			"Content-Type: text/plain\nl: 2\n\nhi"), "OPTIONS", "MESSAGE"), []string{"400", "202"}},
		{"3.1.2.14 badaspec: blanks within <>", anOptions(to, "To: \"Watson, Thomas\" < sip:t.watson@example.org >"), []string{"400", "200"}},
		{"3.1.2.15 baddn: a display name with a comma, unquoted", anOptions("From: <sip:caller@example.com>", "From: Bell, Alexander <sip:a.g.bell@example.com>"), []string{"400", "200"}},
		{"3.1.2.12 baddate: a Date that is not GMT", anOptions("l: 0", "Date: Fri, 01 Jan 2010 16:00:00 EST\nl: 0"), []string{"400", "200"}},
		{"3.1.2.16 badvers: another version of SIP", anOptions("example.com SIP/2.0", "example.com SIP/7.0"), []string{"505"}},
		{"3.1.2.17 mismatch01: another method in CSeq", anOptions("CSeq: 60 OPTIONS", "CSeq: 8 INVITE"), []string{"400"}},
		{"3.1.2.18 mismatch02: the same, with a method that nobody knows", anOptions("CSeq: 60 OPTIONS", "CSeq: 8 INVITE", "OPTIONS sip", "NEWMETHOD sip"), []string{"400", "501"}},
		{"3.1.2.19 bigcode: a response code beyond all bounds", strings.Replace(anOptions(), "OPTIONS sip:user@example.com SIP/2.0", "SIP/2.0 4294967301 better not break the receiver", 1), nil},

		{"3.2.1 badbranch: a branch that is the cookie alone", anOptions("z9hG4bKkdjuw", "z9hG4bK"), []string{"200"}},

		{"3.3.1 insuf: fields are missing", "INVITE sip:user@example.com SIP/2.0\nCSeq: 193942 INVITE\nVia: SIP/2.0/UDP 192.0.2.95;branch=z9hG4bKkdj.insuf\nl: 0\n\n", []string{"400"}},
		{"3.3.2 unkscm: a scheme that nobody knows", anOptions("OPTIONS sip:user@example.com SIP", "OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP"), []string{"416"}},
		{"3.3.3 novelsc: a scheme of something else", anOptions("OPTIONS sip:user@example.com SIP", "OPTIONS soap.beep://192.0.2.103:3002 SIP"), []string{"416"}},
		{"3.3.4 unksm2: such schemes in To and From", anOptions(to, "To: isbn:2983792873", "From: <sip:caller@example.com>", "From: <http://www.example.com>"), []string{"200"}},
		{"3.3.5 bext01: extensions that nobody knows", anOptions("l: 0", "Require: nothingSupportsThis, nothingSupportsThisEither\nl: 0"), []string{"420"}},
		{"3.3.6 invut: a type of body that nobody knows", strings.ReplaceAll(anOptions(cl, "Content-Type: application/unknownformat\n\n<audio>"), "OPTIONS", "MESSAGE"), []string{"415"}},
		{"3.3.8 multi01: fields twice that may be there once", anOptions("Call-ID: torture@192.0.2.1", "Call-ID: multi01.98asdh@192.0.2.1\nCall-ID: multi01.98asdh@192.0.2.2"), []string{"400"}},
		{"3.3.9 mcl01: two lengths", anOptions("l: 0", "Content-Length: 13\nContent-Length: 5"), []string{"400"}},
		{"3.3.10 bcast: a response to nobody", strings.Replace(anOptions("192.0.2.2;", "255.255.255.255;"), "OPTIONS sip:user@example.com SIP/2.0", "SIP/2.0 200 OK", 1), nil},
		{"3.3.11 zeromf: who is asked himself minds no Max-Forwards", anOptions("Max-Forwards: 70", "Max-Forwards: 0"), []string{"200"}},
		{"3.3.15 sdp01: an INVITE that takes no SDP", strings.ReplaceAll(anOptions("l: 0", "Accept: text/nobodyKnowsThis\nl: 0"), "OPTIONS", "INVITE"), []string{"405", "406"}},
		{"3.4.1 inv2543: as RFC 2543 had it", "INVITE sip:UserB@example.com SIP/2.0\nVia: SIP/2.0/UDP iftgw.example.com\nFrom: <sip:+13035551111@ift.client.example.net;user=phone>\n" +
			"Record-Route: <sip:UserB@example.com;maddr=ss1.example.com>\nTo: sip:+16505552222@ss1.example.net;user=phone\n" +
			"Call-ID: inv2543.1717@ift.client.example.com\nCSeq: 56 INVITE\n\n", []string{"405"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(Config{})
			b.hear(strings.ReplaceAll(test.message, "\n", "\r\n"))
			answer := b.last(t)
			code := ""
			if len(answer) > 11 {
				code = answer[8:11]
			}
			if test.want == nil && answer != "" || test.want != nil && !slices.Contains(test.want, code) {
				t.Errorf("%s\nwant %v", answer, test.want)
			}
			b.from.addr.Port++ // it lives
			b.hear(aMessage())
			if answer := b.last(t); !strings.HasPrefix(answer, "SIP/2.0 202") {
				t.Errorf("the next message is answered %s", answer)
			}
		})
	}
	// 3.3.7 regaut01: credentials of a scheme that nobody knows are none.
	b := stranger(al())
	b.hear(aMessage("Max-Forwards", "Authorization: NoOneKnowsThisScheme opaque-data=here\r\nMax-Forwards"))
	if answer := b.last(t); !strings.HasPrefix(answer, "SIP/2.0 401") {
		t.Errorf("%s", answer)
	}
}
