package gateway_test

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/unicode"

	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/sms"
)

// rawSIP is a SIP peer that writes its requests itself, by TCP.
type rawSIP struct {
	r    *rig
	conn net.Conn
	in   *textproto.Reader
	n    int
}

func (r *rig) dialSIP() *rawSIP {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.sipTCP)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
	return &rawSIP{r: r, conn: conn, in: textproto.NewReader(bufio.NewReader(conn))}
}

// aRequest is a MESSAGE whose parts may be replaced.
type aRequest struct {
	uri, from, contentType, body string
	fields                       []string
}

// send gives the status of the answer, and its header.
func (w *rawSIP) send(q aRequest) (int, textproto.MIMEHeader) {
	w.r.t.Helper()
	w.n++
	for _, d := range []struct {
		value *string
		or    string
	}{{&q.uri, "sip:+4915112345678@gw"}, {&q.from, "<sip:100@example.com>"}, {&q.contentType, "text/plain"}} {
		if *d.value == "" {
			*d.value = d.or
		}
	}
	fields := append([]string{
		"MESSAGE " + q.uri + " SIP/2.0", fmt.Sprintf("Via: SIP/2.0/TCP x;branch=z9hG4bK%d", w.n), "From: " + q.from + ";tag=1", "To: <sip:x@gw>",
		fmt.Sprintf("Call-ID: list-%d", w.n), "CSeq: 1 MESSAGE", "Content-Type: " + q.contentType, fmt.Sprintf("Content-Length: %d", len(q.body)),
	}, q.fields...)
	if _, err := fmt.Fprintf(w.conn, "%s\r\n\r\n%s", strings.Join(fields, "\r\n"), q.body); err != nil {
		w.r.t.Fatal(err)
	}
	line, err := w.in.ReadLine()
	if err != nil {
		w.r.t.Fatal(err)
	}
	header, err := w.in.ReadMIMEHeader()
	if err != nil {
		w.r.t.Fatal(err)
	}
	var code int
	if _, err := fmt.Sscanf(line, "SIP/2.0 %d ", &code); err != nil {
		w.r.t.Fatalf("%q: %v", line, err)
	}
	return code, header
}

// TestAddressesFromSIP: what numbers and names of SIP become in SMPP (TON and NPI), end to end.
func TestAddressesFromSIP(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	w := r.dialSIP()
	for _, c := range []struct {
		uri, from string
		fields    []string
		to        string // address/TON/NPI
		source    string
	}{
		{"sip:+4915112345678@gw", "<sip:+4930123@x>", nil, "4915112345678/1/1", "4930123/1/1"},
		{"sip:+49-151.123(45)678@gw;user=phone", "<sip:100@x>", nil, "4915112345678/1/1", "100/0/0"},
		{"sip:%2B4915112345678@gw", "<sip:100@x>", nil, "4915112345678/1/1", "100/0/0"},
		{"tel:+49-151-12345678", "<tel:+4930123>", nil, "4915112345678/1/1", "4930123/1/1"},
		{"tel:12345678;phone-context=+49151", "<sip:100@x>", nil, "4915112345678/1/1", "100/0/0"},
		{"tel:0151;phone-context=example.com", "<sip:100@x>", nil, "0151/0/0", "100/0/0"},
		{"sip:12345@gw", "<sip:100@x>", nil, "12345/0/0", "100/0/0"}, // a short code stays
		{"sip:12345@gw", "\"ACME\" <sip:ACME@x>", nil, "12345/0/0", "ACME/5/0"},
		{"sip:12345@gw", "<sip:ACME%20Bank@x>", nil, "12345/0/0", "ACME Bank/5/0"},
		{"sip:12345@gw", "<sip:100@x>", []string{"P-Asserted-Identity: \"Al\" <sip:+4930999@x>"}, "12345/0/0", "4930999/1/1"},
	} {
		code, header := w.send(aRequest{uri: c.uri, from: c.from, body: "hi", fields: c.fields})
		if code != 202 || header.Get("Contact") != "" || header.Get("Content-Length") != "0" {
			t.Errorf("%s from %s: %d, %v", c.uri, c.from, code, header)
			continue
		}
		got, err := r.smsc.Next(r.ctx)
		if err != nil {
			t.Fatal(err)
		}
		to, source := fmt.Sprintf("%s/%d/%d", got.To, got.ToTON, got.ToNPI), fmt.Sprintf("%s/%d/%d", got.From, got.FromTON, got.FromNPI)
		if to != c.to || source != c.source {
			t.Errorf("%s from %s: to %s from %s, want %s from %s", c.uri, c.from, to, source, c.to, c.source)
		}
	}
	// A name that is too long for a telephone, or has what the alphabet does not.
	for _, from := range []string{"<sip:ACME%20Banking%20Corp@x>", "<sip:%E6%B1%89@x>"} {
		if code, _ := w.send(aRequest{from: from, body: "hi"}); code != 488 {
			t.Errorf("from %s: %d", from, code)
		}
	}
}

// TestAddressesOfAConnection: the columns of its row win where they are not 0.
func TestAddressesOfAConnection(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, func(c *sms.ConnectionConfig) {
		c.SourceTON, c.SourceNPI, c.DestTON, c.DestNPI = 3, 8, 2, 1
	})
	if code := r.send("hi"); code != 202 {
		t.Fatal(code)
	}
	got, err := r.smsc.Next(r.ctx)
	if err != nil || got.FromTON != 3 || got.FromNPI != 8 || got.ToTON != 2 || got.ToNPI != 1 || got.To != "4915112345678" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestAddressesToSIP: an alphanumeric sender becomes a From that parses, and is a display name too.
func TestAddressesToSIP(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	for from, want := range map[string]string{
		"+4915112345678": "sip:+4915112345678@127.0.0.1", "12345": "sip:12345@127.0.0.1", "ACME @ <x>;y": "sip:ACME%20%40%20%3Cx%3E%3By@127.0.0.1",
	} {
		if status, err := r.smsc.Deliver(r.ctx, gatewaytest.Deliver{From: from, To: "100", Text: "hi"}); status != 0 || err != nil {
			t.Errorf("%s: %#x, %v", from, status, err)
			continue
		}
		if m := r.message(); m.From != want || m.To != "sip:100@"+r.phone.Addr() {
			t.Errorf("%s: %+v, want %s", from, m, want)
		}
	}
}

// TestBodiesFromSIP: charsets and wrappings, end to end.
func TestBodiesFromSIP(t *testing.T) {
	const text = "Grüße, 汉字"
	utf16, err := unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	w := r.dialSIP()
	multipart := func(parts ...string) string { return "--b\r\n" + strings.Join(parts, "\r\n--b\r\n") + "\r\n--b--\r\n" }
	plain := "Content-Type: text/plain;charset=utf-8\r\n\r\n" + text
	for _, c := range []struct {
		contentType, body string
		want              string // empty: 415
	}{
		{"text/plain", text, text},
		{"text/plain;charset=UTF-8", text, text},
		{"text/plain;charset=iso-8859-1", "Gr\xfc\xdfe", "Grüße"},
		{"text/plain; charset=\"windows-1252\"", "\x80", "€"},
		{"text/plain;charset=koi8-r", "\xf0\xd2\xc9\xd7\xc5\xd4", "Привет"},
		{"text/plain;charset=utf-16", utf16, text},
		{"text/plain;charset=klingon", text, ""},
		{"message/cpim", "From: <im:a@b>\r\n\r\n" + plain, text},
		{"multipart/mixed;boundary=b", multipart("Content-Type: application/sdp\r\n\r\nv=0", plain), text},
		{"multipart/mixed;boundary=b", multipart("Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(text))), text},
		{"multipart/mixed;boundary=b", multipart("Content-Type: text/html\r\n\r\nx"), ""},
		{"text/html", "x", ""},
		{"application/json", "{}", ""},
	} {
		code, header := w.send(aRequest{contentType: c.contentType, body: c.body})
		if c.want == "" {
			if code != 415 || !strings.Contains(header.Get("Accept"), "text/plain") {
				t.Errorf("%s: %d, %v", c.contentType, code, header)
			}
			continue
		}
		if code != 202 {
			t.Errorf("%s: %d", c.contentType, code)
			continue
		}
		if got, _ := r.received(); got != c.want {
			t.Errorf("%s: %q, want %q", c.contentType, got, c.want)
		}
	}
	if code, _ := w.send(aRequest{body: strings.Repeat("x", 20_001)}); code != 413 {
		t.Errorf("a body over the limit: %d", code)
	}
}

// TestExpiresFromSIP: Expires and Date become validity_period, and what is expired is not sent.
func TestExpiresFromSIP(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	w := r.dialSIP()
	date := func(d time.Duration) string {
		return "Date: " + time.Now().Add(d).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
	}
	for _, c := range []struct {
		fields []string
		want   time.Duration // of validity_period, about; 0: none
		code   int
	}{
		{nil, 0, 202},
		{[]string{"Expires: 7200"}, 2 * time.Hour, 202},
		{[]string{"Expires: 7200", date(-time.Hour)}, time.Hour, 202},
		{[]string{"Expires: 7200", date(-3 * time.Hour)}, 0, 408},
	} {
		code, _ := w.send(aRequest{body: "hi", fields: c.fields})
		if code != c.code {
			t.Errorf("%v: %d, want %d", c.fields, code, c.code)
		}
		if code != 202 {
			continue
		}
		got, err := r.smsc.Next(r.ctx)
		if err != nil {
			t.Fatal(err)
		}
		var months, days, hours, minutes, seconds int
		if c.want == 0 {
			if got.ValidityPeriod != "" {
				t.Errorf("%v: validity_period %q", c.fields, got.ValidityPeriod)
			}
			continue
		}
		_, err = fmt.Sscanf(got.ValidityPeriod, "00%02d%02d%02d%02d%02d000R", &months, &days, &hours, &minutes, &seconds)
		validity := time.Duration(24*days+hours)*time.Hour + time.Duration(minutes)*time.Minute + time.Duration(seconds)*time.Second
		if err != nil || months != 0 || validity > c.want || validity < c.want-10*time.Second {
			t.Errorf("%v: validity_period %q, %v, want %v", c.fields, got.ValidityPeriod, err, c.want)
		}
	}
	if n := len(r.smsc.Submits()); n != 3 {
		t.Errorf("%d were sent", n)
	}
}

// TestRefusedBySMPP and TestRefusedBySIP: the permanent lines of both mapping tables, end to end; codes_test.go has every line.
func TestRefusedBySMPP(t *testing.T) {
	var status uint32
	r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: func(gatewaytest.Submit) gatewaytest.Action { return gatewaytest.Action{Status: status} }}, nil)
	w := r.dialSIP()
	for _, c := range []struct {
		code     int
		statuses []uint32
	}{{404, []uint32{0x0B, 0x50, 0x51}}, {403, []uint32{0x0A, 0x48, 0x49, 0x66}}, {413, []uint32{0x01}}} {
		for _, status = range c.statuses {
			if code, _ := w.send(aRequest{body: "hi"}); code != c.code {
				t.Errorf("%#x: %d, want %d", status, code, c.code)
			}
		}
	}
}

func TestRefusedBySIP(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	for want, codes := range map[uint32][]int{
		0x0B: {404, 410, 484, 604}, 0x01: {413}, 0x65: {415, 488, 482, 483}, 0x66: {403, 603, 606}, 0: {200, 202},
	} {
		for _, code := range codes {
			r.phone.Answer(code)
			if status, err := r.smsc.Deliver(r.ctx, gatewaytest.Deliver{From: "+4915112345678", To: "100", Text: "hi"}); status != want || err != nil {
				t.Errorf("SIP %d: %#x, %v, want %#x", code, status, err, want)
			}
			r.message()
		}
	}
}
