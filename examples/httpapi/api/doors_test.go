package api

import (
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"sipsmpp/examples/httpapi/store"
	"sipsmpp/mi"
)

// doors is a rig whose customer has the user names and passwords of the examples in Kannel's and Jasmin's documentation.
func doors(t *testing.T) *rig {
	r := newRig(t)
	if err := r.db.SetLogin(t.Context(), r.customer.ID, "foo", "bar"); err != nil {
		t.Fatal(err)
	}
	return r
}

// sent gives the last message as the gateway would get it.
func (r *rig) sent() (store.Message, mi.MessageSendParams) {
	r.Helper()
	list := r.messages()
	if len(list) == 0 {
		r.Fatal("nothing was queued")
	}
	p, err := list[0].MI()
	if err != nil {
		r.Fatal(err)
	}
	return list[0], p
}

// The example request of Kannel's user guide, chapter 'Using the HTTP interface to send SMS messages', but for its host.
func TestKannelExample(t *testing.T) {
	r := doors(t)
	got := r.call("GET", "/cgi-bin/sendsms?username=foo&password=bar&to=0123456&text=Hello+world", "", "")
	if got.status != http.StatusAccepted || got.body != "0: Accepted for delivery" {
		t.Fatalf("%+v", got)
	}
	if m, p := r.sent(); m.Recipient != "0123456" || p.Text != "Hello world" || m.Sender != "Acme" || m.Style != "kannel" {
		t.Errorf("%+v %+v", m, p)
	}
}

// The parameters of table 7-17.
func TestKannelParameters(t *testing.T) {
	r := doors(t)
	if err := r.db.SetSender(t.Context(), r.customer.ID, "123*", true); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		query string
		check func(m store.Message, p mi.MessageSendParams) bool
	}{
		{"user=foo&pass=bar&to=1+2+3&from=1234&text=hi", func(m store.Message, p mi.MessageSendParams) bool {
			return m.Sender == "1234" && len(r.messages()) == 3
		}},
		{"to=1&text=Gr%FC%DFe&charset=ISO-8859-1", func(m store.Message, p mi.MessageSendParams) bool { return p.Text == "Grüße" && p.Coding == "" }},
		{"to=1&coding=2&text=%04%1F%04%40", func(m store.Message, p mi.MessageSendParams) bool { return p.Text == "Пр" && p.Coding == "ucs2" }},
		{"to=1&coding=2&charset=UTF-8&text=%D0%9F", func(m store.Message, p mi.MessageSendParams) bool { return p.Text == "П" && p.Coding == "ucs2" }},
		{"to=1&udh=%06%05%04%15%82%00%00&text=%01%02%FF", func(m store.Message, p mi.MessageSendParams) bool {
			return hex.EncodeToString(p.UDH) == "050415820000" && hex.EncodeToString(p.Data) == "0102ff" && *p.DataCoding == 4
		}},
		{"to=1&text=flash&mclass=0", func(m store.Message, p mi.MessageSendParams) bool { return p.Class != nil && *p.Class == 0 }},
		{"to=1&text=voice&mwi=0", func(m store.Message, p mi.MessageSendParams) bool { return *p.DataCoding == 0xD8 }},
		{"to=1&text=x&validity=10&priority=2&pid=127&binfo=CMT", func(m store.Message, p mi.MessageSendParams) bool {
			return p.Validity == 600 && p.Priority == 2 && p.ProtocolID == 127 && p.ServiceType == "CMT"
		}},
		{"to=1&text=x&dlr-mask=7&dlr-url=" + url.QueryEscape("http://www.xyz.com/cgi/dlr.php?myId=123456&type=%d"), func(m store.Message, p mi.MessageSendParams) bool {
			return m.Mask == 7 && m.Callback.URL == "http://www.xyz.com/cgi/dlr.php?myId=123456&type=%d" && p.Receipt == mi.ReceiptAll
		}},
	} {
		if !strings.Contains(tt.query, "user=") {
			tt.query = "username=foo&password=bar&" + tt.query
		}
		got := r.call("GET", "/cgi-bin/sendsms?"+tt.query, "", "")
		if got.status != http.StatusAccepted {
			t.Errorf("%s: %+v", tt.query, got)
			continue
		}
		if m, p := r.sent(); !tt.check(m, p) {
			t.Errorf("%s: %+v\n%+v", tt.query, m, p)
		}
	}
	got := r.call("GET", "/cgi-bin/sendsms?username=foo&password=bar&to=1&text=x&deferred=60", "", "")
	if m, _ := r.sent(); got.body != "3: Queued for later delivery" || m.SendAt < time.Now().Add(59*time.Minute).UnixMilli() {
		t.Errorf("%+v, %+v", got, m)
	}
	// The headers of table 7-11.
	got = r.call("POST", "/cgi-bin/sendsms", "", "Grüße", "Content-Type", "text/plain; charset=UTF-8", "X-Kannel-Username", "foo", "X-Kannel-Password", "bar",
		"X-Kannel-To", "4711", "X-Kannel-UDH", "050415820000", "X-Kannel-Coding", "0")
	if m, p := r.sent(); got.status != http.StatusAccepted || m.Recipient != "4711" || p.Text != "Grüße" || len(p.UDH) != 5 {
		t.Errorf("%+v, %+v %+v", got, m, p)
	}
}

func TestKannelRefuses(t *testing.T) {
	r := doors(t)
	for query, want := range map[string]struct {
		status int
		body   string
	}{
		"username=foo&password=wrong&to=1&text=x":                                    {403, "Authorization failed for sendsms"},
		"username=nobody&password=bar&to=1&text=x":                                   {403, "Authorization failed for sendsms"},
		"username=foo&password=bar&text=x":                                           {400, "Missing receiver number, rejected"},
		"username=foo&password=bar&to=1&text=x&from=Bank":                            {403, `you may not send from "Bank"`},
		"username=foo&password=bar&to=1&text=x&dlr-mask=1&dlr-url=http://127.0.0.1/": {400, ""},
		"username=foo&password=bar&to=1&text=%FF":                                    {400, "text: it is not UTF-8: name its charset"},
		"username=foo&password=bar&to=1&text=x&udh=%05%01":                           {400, "udh: its first octet is not its length"},
		"username=foo&password=bar&to=1&text=x&coding=3":                             {400, "coding: want a whole number from 0 to 2"},
		"username=foo&password=bar&to=1&text=x&charset=klingon":                      {400, "charset: it is not known"},
		"username=foo&password=%ZZ":                                                  {400, ""},
	} {
		got := r.call("GET", "/cgi-bin/sendsms?"+query, "", "")
		if got.status != want.status || want.body != "" && got.body != want.body {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}
	if len(r.messages()) != 0 || r.balance() != "10.00" {
		t.Error("something was changed")
	}
}

// The example requests of Jasmin's HTTP API: example_send_gsm0338.py, example_send_misc.py, example_send_dlr2.py and the JSON body of
// 'Sending with custom TLVs', but for the host. Parameters that they encode are encoded as Python does.
func TestJasminExamples(t *testing.T) {
	r := doors(t)
	if err := r.db.SetLogin(t.Context(), r.customer.ID, "fourat", "secret"); err != nil {
		t.Fatal(err)
	}
	for _, sender := range []string{"Jasmin GW", "ABXOTP"} {
		if err := r.db.SetSender(t.Context(), r.customer.ID, sender, true); err != nil {
			t.Fatal(err)
		}
	}
	const base = "username=foo&password=bar&to=%2B336222172&content=Hello"
	const long = "Very long message ...................................................................................................................................................................................."
	for _, tt := range []struct {
		query string
		check func(m store.Message, p mi.MessageSendParams) bool
	}{
		{base, func(m store.Message, p mi.MessageSendParams) bool {
			return m.Recipient == "+336222172" && p.Text == "Hello" && m.Segments == 1
		}},
		{base + "&from=Jasmin+GW", func(m store.Message, p mi.MessageSendParams) bool { return m.Sender == "Jasmin GW" }},
		{"username=foo&password=bar&to=%2B336222172&content=" + url.QueryEscape(long), func(m store.Message, p mi.MessageSendParams) bool {
			return p.Text == long && m.Segments == 2
		}},
		{"username=foo&password=bar&to=%2B336222172&content=%06%23%061%06F%06%28&coding=8", func(m store.Message, p mi.MessageSendParams) bool {
			return p.Text == "أرنب" && p.Coding == "ucs2"
		}},
		{"username=foo&password=bar&to=%2B336222172&content=%06%23%061%06F%06%28&coding=8&hex-content=0623063106460628", func(m store.Message, p mi.MessageSendParams) bool {
			return p.Text == "أرنب" && p.Coding == "ucs2"
		}},
		{"username=fourat&password=secret&to=%2B24206155423&content=Hello&dlr-url=http%3A%2F%2Fmyserver%2Facknowledgement&dlr-level=2", func(m store.Message, p mi.MessageSendParams) bool {
			return m.Recipient == "+24206155423" && m.Mask == 0
		}},
		{base + "&dlr=yes&dlr-url=http%3A%2F%2Fmyserver%2Facknowledgement&dlr-level=3&dlr-method=GET", func(m store.Message, p mi.MessageSendParams) bool {
			return m.Callback.URL == "http://myserver/acknowledgement" && m.Mask == 27 && !m.Post
		}},
	} {
		got := r.call("GET", "/send?"+tt.query, "", "")
		m, p := r.sent()
		if got.status != http.StatusOK || got.body != `Success "`+m.ID+`"` || !tt.check(m, p) {
			t.Errorf("%s: %+v\n%+v\n%+v", tt.query, got, m, p)
		}
	}
	got := r.call("POST", "/send", "", `{"username": "foo", "password": "bar", "to": "+919216217231", "from": "ABXOTP", "content": "Hello TLV", "dlr": "no",
		"custom_tlvs": {"0x1400": "1707167205648943173", "0x1401:Int8": 1401778070000018542, "0x1402:OctetString": "9c70"}}`)
	if m, p := r.sent(); got.status != http.StatusOK || m.Recipient != "+919216217231" || p.TLVs["0x1400"] != hex.EncodeToString([]byte("1707167205648943173")) ||
		p.TLVs["0x1401"] != "13741dba4c48a46e" || p.TLVs["0x1402"] != hex.EncodeToString([]byte("9c70")) {
		t.Errorf("%+v, %+v %+v", got, m, p)
	}
	got = r.call("POST", "/send", "", base+"&sdt=000000000100000R&validity-period=1440&priority=2&tags=1,702", "Content-Type", "application/x-www-form-urlencoded")
	if m, p := r.sent(); got.status != http.StatusOK || p.Validity != 86400 || p.Priority != 2 || m.SendAt-m.Created < 59_000 || m.SendAt-m.Created > 61_000 {
		t.Errorf("%+v, %+v %+v", got, m, p)
	}
	if got := r.call("GET", "/ping", "", ""); got.body != "Jasmin/PONG" {
		t.Errorf("%+v", got)
	}
	if got := r.call("GET", "/rate?username=foo&password=bar&to=1&content="+url.QueryEscape(long), "", ""); got.body != `{"submit_sm_count": 2, "unit_rate": 0.05}` {
		t.Errorf("%+v", got)
	}
	if got := r.call("GET", "/balance?username=foo&password=bar", "", ""); got.status != 200 || !strings.HasPrefix(got.body, `{"balance": 9.`) {
		t.Errorf("%+v", got)
	}
}

func TestJasminRefuses(t *testing.T) {
	r := doors(t)
	for query, want := range map[string]struct {
		status int
		body   string
	}{
		"username=foo&password=wrong&to=1&content=x":                                {403, `Error "Authentication failure for username:foo"`},
		"username=foo&password=bar&content=x":                                       {400, `Error "Mandatory argument [to] is not found."`},
		"username=foo&password=bar&to=1&content=x&colour=red":                       {400, `Error "Argument [colour] is unknown."`},
		"username=foo&password=bar&to=1&content=x&from=Bank":                        {403, `Error "Authorization failed for username:foo"`},
		"username=foo&password=bar&to=1&content=x&coding=12":                        {400, `Error "Argument [coding] has an invalid value: [12]."`},
		"username=foo&password=bar&to=1&content=x&sdt=tomorrow":                     {400, `Error "Argument [sdt] has an invalid value: [tomorrow]."`},
		"username=foo&password=bar&to=1&content=x&custom_tlvs=7":                    {400, `Error "Argument [custom_tlvs] has an invalid value: [7]."`},
		"username=foo&password=bar&to=1&hex-content=0":                              {400, `Error "Argument [hex-content] has an invalid value: [0]."`},
		"username=foo&password=bar&to=1":                                            {400, `Error "text: want text or data"`},
		"username=foo&password=bar&to=1&content=x&dlr=yes&dlr-url=http://10.0.0.1/": {400, `Error "Argument [dlr-url] has an invalid value: [http://10.0.0.1/]."`},
	} {
		got := r.call("GET", "/send?"+query, "", "")
		if got.status != want.status || got.body != want.body {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}
	poor := r.add("poor", "0")
	if err := r.db.SetLogin(t.Context(), poor.ID, "poor", "x"); err != nil {
		t.Fatal(err)
	}
	if got := r.call("GET", "/send?username=poor&password=x&to=1&content=x", "", ""); got.status != 403 || !strings.HasPrefix(got.body, `Error "Cannot charge submit_sm`) {
		t.Errorf("%+v", got)
	}
	if len(r.messages()) != 0 || r.balance() != "10.00" {
		t.Error("something was changed")
	}
}

func TestSMPPTime(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]string{
		"000000000100000R": "2026-03-01T12:01:00Z",
		"000001000000000R": "2026-03-02T12:00:00Z",
		"260301123000004+": "2026-03-01T11:30:00Z",
		"260301123000004-": "2026-03-01T13:30:00Z",
	} {
		if at, err := smppTime(s, now); err != nil || at.Format(time.RFC3339) != want {
			t.Errorf("%s: %s, %v", s, at, err)
		}
	}
	for _, s := range []string{"", "000000000100000X", "00000000010000R", "aaaaaaaaaaaaaaaR", "-10000000100000R"} {
		if at, err := smppTime(s, now); err == nil {
			t.Errorf("%q: %s", s, at)
		}
	}
}

// FuzzKannel: no parameters make a message that cannot be sent on, and none panic.
func FuzzKannel(f *testing.F) {
	for _, s := range []string{"to=1&text=x", "to=1&udh=%05%04&text=x", "to=1&coding=2&text=%D8%00", "to=1&mwi=4&text=", "to=1&text=x&charset=utf-7&dlr-mask=31&dlr-url=http://a/%25d"} {
		f.Add(s)
	}
	a := New(nil, nil, nil, Options{})
	f.Fuzz(func(t *testing.T, s string) {
		v, err := query(s)
		if err != nil {
			return
		}
		d, err := a.kannelDraft(v)
		if err != nil {
			return
		}
		if n, err := a.segments(d.Params); err == nil && (n < 1 || n > 10) {
			t.Errorf("%d segments of %+v", n, d.Params)
		}
	})
}

// FuzzJasmin: likewise.
func FuzzJasmin(f *testing.F) {
	for _, s := range []string{"to=1&content=x", "to=1&hex-content=00ff&coding=8", "to=1&content=x&sdt=000000000100000R", `to=1&content=x&custom_tlvs={"0x1400:Int8":7}`} {
		f.Add(s)
	}
	a := New(nil, nil, nil, Options{})
	f.Fuzz(func(t *testing.T, s string) {
		v, err := jasminParameters(nil, httptest.NewRequest("GET", "/send?"+url.PathEscape(s), nil))
		if err != nil {
			return
		}
		d, err := a.jasminDraft(v)
		if err != nil {
			return
		}
		if n, err := a.segments(d.Params); err == nil && (n < 1 || n > 10) {
			t.Errorf("%d segments of %+v", n, d.Params)
		}
	})
}
