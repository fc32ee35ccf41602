// Command mailbridge joins text messages and e-mail: a skeleton for any bridge of two ways, to a chat as well.
//
//	mailbridge serve                  # messages to the number become mail, by an SMTP relay
//	mailbridge deliver < message.eml  # a mail to +4915112345678@sms.example.org becomes a message
//
// Let the mail server pipe what comes for sms.example.org into the second; with Postfix, in master.cf:
//
//	sms unix - n n - 4 pipe flags=Rq user=nobody argv=/usr/local/bin/mailbridge -number 4711 -from alice@example.org deliver
//
// Who answers the mail answers the message. Both ways are safe to be tried again: a message's id is its mail's Message-ID, and a
// mail's Message-ID the idempotency_key of its message.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"net/smtp"
	"os"
	"os/signal"
	"strings"
	"time"

	"sipsmpp/clients"
	"sipsmpp/events"
	"sipsmpp/mi"
)

type bridge struct {
	url, number, domain, relay string
	to                         string // who gets the mail
	from                       string // who may send messages by mail
	retry                      time.Duration
}

func main() {
	b := bridge{retry: 10 * time.Second}
	flag.StringVar(&b.url, "url", "http://127.0.0.1:8888/mi", "the gateway's MI")
	flag.StringVar(&b.number, "number", "4711", "the number whose messages are bridged; let the gateway route it to app")
	flag.StringVar(&b.domain, "domain", "sms.example.org", "phones have addresses in this domain")
	flag.StringVar(&b.relay, "relay", "127.0.0.1:25", "SMTP relay")
	flag.StringVar(&b.to, "to", "alice@example.org", "who gets the mail")
	flag.StringVar(&b.from, "from", "alice@example.org", "who may send; let the mail server vouch for it (SPF, DKIM)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch flag.Arg(0) {
	case "serve":
		err = b.serve(ctx)
	case "deliver":
		err = b.deliver(ctx, os.Stdin)
	default:
		err = errors.New("want serve or deliver")
	}
	if err != nil {
		log.Print(err)
		os.Exit(75) // EX_TEMPFAIL: the mail server keeps the mail and tries again
	}
}

// serve makes mail of messages.
func (b bridge) serve(ctx context.Context) error {
	c, err := clients.Dial(b.url, clients.WithToken(os.Getenv("SIPSMPP_TOKEN")))
	if err != nil {
		return err
	}
	defer c.Close()
	d := c.Durable("mailbridge-"+strings.TrimPrefix(b.number, "+"), "E_MESSAGE_RECEIVED,to="+b.number)
	for event, err := range d.Events(ctx) {
		if err != nil {
			return err
		}
		e, ok := event.Event.(events.MessageReceived)
		for ok {
			err := smtp.SendMail(b.relay, nil, "bounces@"+b.domain, []string{b.to}, b.mail(e, event.Time))
			if err == nil {
				break
			}
			log.Printf("the relay does not take the mail; it is tried again: %v", err)
			select {
			case <-time.After(b.retry):
			case <-ctx.Done():
				return nil // it was not acknowledged, and comes again
			}
		}
		d.Ack(event.Seq)
	}
	return nil
}

func (b bridge) mail(e events.MessageReceived, at time.Time) []byte {
	var m strings.Builder
	subject := mime.QEncoding.Encode("utf-8", "Message from "+e.From)
	fmt.Fprintf(&m, "From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\n", (&mail.Address{Address: e.From + "@" + b.domain}).String(), b.to, subject, at.Format(time.RFC1123Z), e.ID, b.domain)
	m.WriteString("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\nAuto-Submitted: auto-generated\r\n\r\n")
	w := quotedprintable.NewWriter(&m)
	_, _ = io.WriteString(w, e.Text+"\n") // a strings.Builder takes everything
	_ = w.Close()
	return []byte(m.String())
}

const maxMail = 1 << 20

// deliver makes a message of a mail.
func (b bridge) deliver(ctx context.Context, r io.Reader) error {
	m, err := mail.ReadMessage(io.LimitReader(r, maxMail))
	if err != nil {
		return err
	}
	from, err := mail.ParseAddress(m.Header.Get("From"))
	if err != nil || !strings.EqualFold(from.Address, b.from) {
		log.Printf("dropped a mail of %q, who may not send", m.Header.Get("From"))
		return nil
	}
	to, err := mail.ParseAddress(m.Header.Get("To"))
	if err != nil {
		return err
	}
	number, ours := strings.CutSuffix(to.Address, "@"+b.domain)
	body := m.Body
	if strings.EqualFold(m.Header.Get("Content-Transfer-Encoding"), "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil || !ours {
		return errors.Join(err, fmt.Errorf("a mail to %s is not for a phone", to.Address))
	}
	c, err := clients.Dial(b.url, clients.WithToken(os.Getenv("SIPSMPP_TOKEN")))
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.MessageSend(ctx, mi.MessageSendParams{From: b.number, To: number, Text: unquoted(string(text)), IdempotencyKey: m.Header.Get("Message-ID")})
	if refused := new(mi.Error); errors.As(err, &refused) && !mi.IsTemporary(err) {
		log.Printf("dropped a mail to %s: %v", number, err) // it would be refused again
		return nil
	}
	return err
}

// unquoted is a mail's text without what it answers.
func unquoted(text string) string {
	var own []string
	for line := range strings.Lines(strings.ReplaceAll(text, "\r\n", "\n")) {
		if strings.HasPrefix(line, ">") || strings.HasPrefix(line, "-- ") {
			break
		}
		own = append(own, line)
	}
	return strings.TrimSpace(strings.Join(own, ""))
}
