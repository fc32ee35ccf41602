package sip

import (
	"encoding/xml"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sipsmpp/gateway/sms"
)

const cpimHead = "From: Al <im:100@example.com>\r\nTo: <im:+4915112345678@example.com>\r\nDateTime: 2026-01-02T03:04:05Z\r\n" +
	"NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: m1\r\nimdn.Disposition-Notification: positive-delivery, negative-delivery\r\n"

// aCPIM is a MESSAGE with a CPIM body of that header and content.
func aCPIM(head, content string) string {
	return withBody("message/cpim", head+"\r\n"+content)
}

func withBody(contentType, body string) string {
	return aMessage("Content-Type: text/plain", "Content-Type: "+contentType, "Content-Length: 5\r\n", "", "hello", body)
}

const plain = "Content-Type: text/plain\r\n\r\nhello"

func imdn(id, kind, status string) string {
	return "Content-Type: message/imdn+xml\r\nContent-Disposition: notification\r\n\r\n" +
		`<?xml version="1.0" encoding="UTF-8"?><imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>` + id +
		`</message-id><datetime>2026-01-02T03:04:05Z</datetime><` + kind + `><status><` + status + `/></status></` + kind + `></imdn>`
}

func TestAskedReports(t *testing.T) {
	asked := &sms.Notify{
		URI: "sip:100@example.com", MessageID: "m1", From: "Al <im:100@example.com>", To: "<im:+4915112345678@example.com>",
		DateTime: "2026-01-02T03:04:05Z", Positive: true, Negative: true,
	}
	negative := *asked
	negative.Positive = false
	text := &sms.Notify{URI: "sip:100@example.com", Positive: true, Negative: true}
	for _, test := range []struct {
		name, request, reports string
		receipt                sms.ReceiptRequest
		notify                 *sms.Notify
	}{
		{"nothing", aMessage(), "", sms.ReceiptNone, nil},
		{"nothing, sip.reports none", aMessage(), ReportsNone, sms.ReceiptNone, nil},
		{"nothing, sip.reports text", aMessage(), ReportsText, sms.ReceiptFinal, text},
		{"both", aCPIM(cpimHead, plain), "", sms.ReceiptFinal, asked},
		{"both, sip.reports text", aCPIM(cpimHead, plain), ReportsText, sms.ReceiptFinal, asked},
		{"negative", aCPIM(strings.Replace(cpimHead, "positive-delivery,", "", 1), plain), "", sms.ReceiptFailure, &negative},
		{"another prefix", aCPIM(strings.NewReplacer("NS: imdn", "NS: n", "imdn.", "n.").Replace(cpimHead), plain), "", sms.ReceiptFinal, asked},
		{"no prefix", aCPIM(strings.NewReplacer("NS: imdn ", "NS: ", "imdn.", "").Replace(cpimHead), plain), "", sms.ReceiptFinal, asked},
		{"namespace not named", aCPIM(strings.Replace(cpimHead, "urn:ietf:params:imdn", "urn:x", 1), plain), "", sms.ReceiptNone, nil},
		{"no Message-ID", aCPIM(strings.Replace(cpimHead, "imdn.Message-ID", "imdn.X", 1), plain), "", sms.ReceiptNone, nil},
		{"display alone", aCPIM(strings.Replace(cpimHead, "positive-delivery, negative-delivery", "display", 1), plain), "", sms.ReceiptNone, nil},
	} {
		b := newBench(Config{Reports: test.reports})
		b.hear(test.request)
		if answer := b.last(t); !strings.HasPrefix(answer, "SIP/2.0 202") || len(b.got) != 1 {
			t.Errorf("%s: %s", test.name, answer)
			continue
		}
		m := b.got[0]
		if m.Text != "hello" || m.Receipt != test.receipt || (m.Notify == nil) != (test.notify == nil) ||
			m.Notify != nil && *m.Notify != *test.notify {
			t.Errorf("%s: %+v %+v", test.name, m, m.Notify)
		}
	}
}

func TestNotifications(t *testing.T) {
	for _, test := range []struct {
		name, request string
		status        string
		state         sms.State
	}{
		{"delivered", aCPIM(cpimHead, imdn("abc", "delivery-notification", "delivered")), "delivered", sms.StateDelivered},
		{"failed", aCPIM(cpimHead, imdn("abc", "delivery-notification", "failed")), "failed", sms.StateUndeliverable},
		{"forbidden", aCPIM(cpimHead, imdn("abc", "delivery-notification", "forbidden")), "forbidden", sms.StateRejected},
		{"error", aCPIM(cpimHead, imdn("abc", "delivery-notification", "error")), "error", sms.StateUndeliverable},
		{"a new one", aCPIM(cpimHead, imdn("abc", "delivery-notification", "lost")), "lost", sms.StateUnknown},
		{"processed", aCPIM(cpimHead, imdn("abc", "processing-notification", "processed")), "processed", sms.StateAccepted},
		{"stored", aCPIM(cpimHead, imdn("abc", "processing-notification", "stored")), "stored", sms.StateEnroute},
		{"displayed", aCPIM(cpimHead, imdn("abc", "display-notification", "displayed")), "displayed", sms.StateDelivered},
		{"not in CPIM", withBody("message/imdn+xml", strings.SplitN(imdn("abc", "delivery-notification", "delivered"), "\r\n\r\n", 2)[1]), "delivered", sms.StateDelivered},
		{"no id", aCPIM(cpimHead, imdn("", "delivery-notification", "delivered")), "", 0},
		{"no status", aCPIM(cpimHead, imdn("abc", "x", "delivered")), "", 0},
		{"no XML", aCPIM(cpimHead, imdn("<", "x", "delivered")), "", 0},
	} {
		b := newBench(Config{Reports: ReportsText})
		b.hear(test.request)
		answer := b.last(t)
		if test.status == "" {
			if !strings.HasPrefix(answer, "SIP/2.0 415") || len(b.notes) > 0 {
				t.Errorf("%s: %s", test.name, answer)
			}
			continue
		}
		if len(b.got) != 0 || len(b.notes) != 1 || !strings.HasPrefix(answer, "SIP/2.0 202") {
			t.Errorf("%s: %d messages, %d notifications, %s", test.name, len(b.got), len(b.notes), answer)
			continue
		}
		if n := b.notes[0]; n.MessageID != "abc" || n.State != test.state || n.Status != test.status || n.Peer != "udp:127.0.0.1:40000" {
			t.Errorf("%s: %+v", test.name, n)
		}
	}
}

// TestUnaskedNotification: linphone notifies of every message, by its Call-ID. Nobody waits for that.
func TestUnaskedNotification(t *testing.T) {
	b := newBench(Config{Domain: "example.com"})
	id := "01m89yxs9g000f5w48za8770z6@example.com"
	b.hear(withBody("message/imdn+xml", strings.SplitN(imdn(id, "delivery-notification", "delivered"), "\r\n\r\n", 2)[1]))
	if answer := b.last(t); !strings.HasPrefix(answer, "SIP/2.0 200") || len(b.notes)+len(b.got) > 0 {
		t.Errorf("%s %v", answer, b.notes)
	}
}

// TestReport: the report that a sender asked for is read back as what it says, and asks for nothing.
func TestReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, hopA)
		ids := sms.NewIDs()
		report := func(state sms.State, n *sms.Notify) string {
			c.Report(Report{
				ID: ids.Next(), Notify: n, From: sms.ParseAddress("100"), To: sms.ParseAddress("+491"), State: state, Done: time.Now(),
			}, c.told)
			synctest.Wait()
			sent := c.take()
			if len(sent) != 1 {
				t.Fatalf("%d requests", len(sent))
			}
			c.reply(sent[0], 200)
			if o := c.outcome(t); o.Fate != sms.Accepted {
				t.Errorf("%+v", o)
			}
			c.outcomes = nil
			return sent[0].b
		}
		asked := &sms.Notify{URI: "sip:al@example.org:5070", MessageID: "a<b>&c", From: "Al <im:al@example.org>", To: "<im:+491@x>", DateTime: "then"}
		for state, status := range map[sms.State]string{
			sms.StateDelivered: "delivered", sms.StateUndeliverable: "failed", sms.StateExpired: "failed", sms.StateDeleted: "failed",
			sms.StateRejected: "forbidden", sms.StateUnknown: "error",
		} {
			request := report(state, asked)
			var m message
			if !strings.HasPrefix(request, "MESSAGE sip:al@example.org:5070 SIP/2.0\r\n") || !m.scan([]byte(request)) || m.fault != "" ||
				string(m.to) != "<sip:al@example.org:5070>" || !strings.Contains(string(m.from), "sip:%2B491@") && !strings.Contains(string(m.from), "sip:+491@") {
				t.Fatalf("%s", request)
			}
			header, kind, _, content, ok := parseCPIM(m.body)
			if !ok || header.from != asked.To || header.to != asked.From || header.positive || header.negative || header.messageID == "" {
				t.Errorf("%+v", header)
			}
			var d imdnDocument
			if err := xml.Unmarshal(content, &d); err != nil || kind != "message/imdn+xml" || d.MessageID != asked.MessageID || d.Delivery.status() != status {
				t.Errorf("%v: %s %s %v", state, kind, content, err)
			}
			for _, part := range []string{"<datetime>then</datetime>", "<recipient-uri>im:+491@x</recipient-uri>", "xmlns=\"urn:ietf:params:xml:ns:imdn\""} {
				if !strings.Contains(string(content), part) {
					t.Errorf("no %s in %s", part, content)
				}
			}
		}
		text := report(sms.StateExpired, &sms.Notify{})
		if !strings.HasPrefix(text, "MESSAGE sip:100@") || !strings.HasSuffix(text, "\r\n\r\nYour message to +491 could not be delivered in time.") ||
			!strings.Contains(text, "Content-Type: text/plain;") {
			t.Errorf("%s", text)
		}
	})
}

// TestAsking: a message whose report is wanted asks for it, and is sent again as it is to who takes no CPIM.
func TestAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, hopA)
		m := &sms.Message{ID: sms.NewIDs().Next(), From: sms.ParseAddress("100"), To: sms.ParseAddress("+491"), Text: "grüß dich", Receipt: sms.ReceiptFinal}
		c.Send(m, c.told)
		synctest.Wait()
		first := c.take()
		if len(first) != 1 {
			t.Fatalf("%d requests", len(first))
		}
		// We are the other end, too.
		b := newBench(Config{})
		b.hear(first[0].b)
		if len(b.got) != 1 || b.got[0].Text != m.Text || b.got[0].Receipt != sms.ReceiptFinal || b.got[0].Notify.MessageID != m.ID.String() {
			t.Fatalf("%s: %+v", first[0].b, b.got)
		}
		c.reply(first[0], 415)
		synctest.Wait()
		second := c.take()
		if len(second) != 1 || !strings.HasSuffix(second[0].b, "\r\n\r\ngrüß dich") || !strings.Contains(second[0].b, "text/plain") {
			t.Fatalf("%v", second)
		}
		c.reply(second[0], 415)
		if o := c.outcome(t); o.Fate != sms.Refused || o.Status != 415 {
			t.Errorf("%+v", o)
		}
	})
}

// FuzzBody: whatever a body is, reading it ends, and what is kept of it can be quoted in a report.
func FuzzBody(f *testing.F) {
	f.Add("message/cpim", cpimHead+"\r\n"+plain)
	f.Add("message/cpim", cpimHead+"\r\n"+imdn("abc", "delivery-notification", "delivered"))
	f.Add("multipart/mixed;boundary=b", "--b\r\n\r\nhello\r\n--b--\r\n")
	f.Add("text/plain;charset=utf-16", "\xff\xfeh\x00")
	f.Fuzz(func(t *testing.T, kind, body string) {
		c, ok := decodeBody(kind, []byte(body))
		if ok && c.notification != nil && (c.notification.MessageID == "" || c.notification.Status == "") {
			t.Errorf("%+v", c.notification)
		}
		if c.cpim == nil {
			return
		}
		for _, s := range []string{c.cpim.from, c.cpim.to, c.cpim.dateTime, c.cpim.messageID} {
			if strings.ContainsAny(s, "\r\n\x00") || len(s) > maxCPIMValue {
				t.Errorf("%q", s)
			}
		}
	})
}

// BenchmarkCPIM is BenchmarkReceive for a message in CPIM that asks for a report.
func BenchmarkCPIM(b *testing.B) {
	body := []byte(cpimHead + "\r\n" + plain)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := decodeBody("message/cpim", body); !ok {
			b.Fatal("not taken")
		}
	}
}
