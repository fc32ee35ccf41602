package sip

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"sipsmpp/gateway/sms"
)

// Notification is an IMDN that came in (RFC 5438): it tells what became of a message that we sent.
type Notification struct {
	MessageID string // what we gave the message as imdn.Message-ID: its ID
	State     sms.State
	Status    string // as the notification has it: delivered, failed, forbidden, error, displayed, ...
	Peer      string // who sent it: network address
	Received  time.Time
}

// imdnDocument is the body of a notification (RFC 5438, 11).
type imdnDocument struct {
	XMLName   xml.Name      `xml:"imdn"`
	MessageID string        `xml:"message-id"`
	Delivery  *imdnElements `xml:"delivery-notification>status"`
	Process   *imdnElements `xml:"processing-notification>status"`
	Display   *imdnElements `xml:"display-notification>status"`
}

type imdnElements struct {
	Elements []struct{ XMLName xml.Name } `xml:",any"`
}

// status is the one element of a status that tells.
func (e *imdnElements) status() string {
	if e == nil || len(e.Elements) == 0 {
		return ""
	}
	return e.Elements[0].XMLName.Local
}

// parseIMDN reads a notification. It is false for what is none.
func parseIMDN(b []byte) (*Notification, bool) {
	var d imdnDocument
	if err := xml.Unmarshal(b, &d); err != nil {
		return nil, false
	}
	n := &Notification{MessageID: printable(strings.TrimSpace(d.MessageID))}
	if n.MessageID == "" || len(n.MessageID) > maxCPIMValue {
		return nil, false
	}
	delivery, process, display := d.Delivery.status(), d.Process.status(), d.Display.status()
	switch n.Status = delivery; delivery {
	case "delivered":
		n.State = sms.StateDelivered
	case "failed":
		n.State = sms.StateUndeliverable
	case "forbidden":
		n.State = sms.StateRejected
	case "error": // of its own state the next hop knows nothing (RFC 5438, 11.1.2)
		n.State = sms.StateUndeliverable
	case "":
		switch n.Status = process + display; {
		case display == "displayed":
			n.State = sms.StateDelivered // who has seen it has it
		case process == "processed":
			n.State = sms.StateAccepted
		case process == "stored":
			n.State = sms.StateEnroute
		default:
			n.State = sms.StateUnknown
		}
	default:
		n.State = sms.StateUnknown
	}
	return n, n.Status != ""
}

// imdnStatus is a final state as a notification has it (RFC 5438, 11.1.2).
func imdnStatus(s sms.State) string {
	switch s {
	case sms.StateDelivered:
		return "delivered"
	case sms.StateRejected:
		return "forbidden"
	case sms.StateUndeliverable, sms.StateExpired, sms.StateDeleted:
		return "failed"
	}
	return "error"
}

// Report is what a sender on SIP is told of its message.
type Report struct {
	ID       sms.ID      // of the request with the report
	Notify   *sms.Notify // who is told, and how
	From, To sms.Address // of the message: the report goes from To to From
	State    sms.State
	Done     time.Time // when the message reached its state; zero: now
}

// Report sends a report to the sender of a message, by way of the next hops: a notification in CPIM to who asked for one, else a
// text. Nothing is asked for it in turn. done is told the outcome once, as with Send.
func (e *Endpoint) Report(r Report, done func(sms.Outcome)) {
	m := &sms.Message{ID: r.ID, From: r.To, To: r.From}
	if r.Notify.MessageID == "" {
		m.Text = reportText(r)
		e.send(m, r.Notify.URI, "", done)
		return
	}
	from, to := r.Notify.To, r.Notify.From
	if from == "" {
		from = "<" + e.uriOf(r.To) + ">"
	}
	if to == "" {
		to = "<" + r.Notify.URI + ">"
	}
	now := time.Now().UTC()
	if r.Done.IsZero() {
		r.Done = now
	}
	var content bytes.Buffer
	content.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\r\n" + `<imdn xmlns="urn:ietf:params:xml:ns:imdn">` + "\r\n")
	element := func(name, value string) {
		content.WriteString("<" + name + ">")
		_ = xml.EscapeText(&content, []byte(value)) // a buffer takes everything
		content.WriteString("</" + name + ">\r\n")
	}
	element("message-id", r.Notify.MessageID)
	sent := r.Notify.DateTime
	if sent == "" {
		sent = r.Done.UTC().Format(time.RFC3339)
	}
	element("datetime", sent)
	element("recipient-uri", uriIn(from))
	fmt.Fprintf(&content, "<delivery-notification>\r\n<status><%s/></status>\r\n</delivery-notification>\r\n</imdn>\r\n", imdnStatus(r.State))
	m.Text = fmt.Sprintf("From: %s\r\nTo: %s\r\nDateTime: %s\r\nNS: imdn <%s>\r\nimdn.Message-ID: %s\r\n\r\n"+
		"Content-type: message/imdn+xml\r\nContent-Disposition: notification\r\nContent-length: %d\r\n\r\n%s",
		from, to, now.Format(time.RFC3339), imdnNamespace, r.ID, content.Len(), content.Bytes())
	e.send(m, r.Notify.URI, "message/cpim", done)
}

// uriIn is the URI of a CPIM address: `MR SANDERS <im:piglet@100akerwood.com>`.
func uriIn(address string) string {
	if i := strings.LastIndexByte(address, '<'); i >= 0 {
		address, _, _ = strings.Cut(address[i+1:], ">")
	}
	return strings.TrimSpace(address)
}

func (e *Endpoint) uriOf(a sms.Address) string {
	b := appendUser([]byte("sip:"), a)
	return string(append(append(b, '@'), e.domain...))
}

// reportText is a report in words.
func reportText(r Report) string {
	switch r.State {
	case sms.StateDelivered:
		return "Your message to " + r.To.String() + " was delivered."
	case sms.StateExpired:
		return "Your message to " + r.To.String() + " could not be delivered in time."
	case sms.StateRejected:
		return "Your message to " + r.To.String() + " was rejected."
	case sms.StateUnknown:
		return "Nobody told whether your message to " + r.To.String() + " was delivered."
	}
	return "Your message to " + r.To.String() + " could not be delivered."
}

// appendAsking appends the text of a message as CPIM that asks for notifications of its delivery.
func (e *Endpoint) appendAsking(b []byte, m *sms.Message, text string, now time.Time) []byte {
	b = append(b, "From: <"...)
	b = append(b, e.uriOf(m.From)...)
	b = append(b, ">\r\nTo: <"...)
	b = append(b, e.uriOf(m.To)...)
	b = append(b, ">\r\nDateTime: "...)
	b = now.UTC().AppendFormat(b, time.RFC3339)
	b = append(b, "\r\nNS: imdn <"+imdnNamespace+">\r\nimdn.Message-ID: "...)
	b, _ = m.ID.AppendText(b)
	b = append(b, "\r\nimdn.Disposition-Notification: "...)
	if m.Receipt != sms.ReceiptFailure {
		b = append(b, "positive-delivery, "...)
	}
	b = append(b, "negative-delivery\r\n\r\nContent-Type: text/plain;charset=UTF-8\r\n\r\n"...)
	return append(b, text...)
}
