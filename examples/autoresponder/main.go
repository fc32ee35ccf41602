// Command autoresponder answers every message to a number with a text.
//
//	sipsmpp-cli -x mi route_add targets=app to_match=4711
//	autoresponder -number 4711 -text "We are open from 9 to 5."
//
// It follows a durable subscription: what comes while it is away is answered when it is back. The answer to a message is sent under the
// message's id as idempotency_key, so that nobody gets two of them, whenever either program ends.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"maps"
	"os"
	"os/signal"
	"strings"
	"time"

	"sipsmpp/clients"
	"sipsmpp/events"
	"sipsmpp/mi"
)

func main() {
	url := flag.String("url", "http://127.0.0.1:8888/mi", "the gateway's MI")
	number := flag.String("number", "4711", "messages to this number are answered")
	text := flag.String("text", "Thank you for your message.", "the answer")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *url, *number, *text); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, url, number, text string) error {
	c, err := clients.Dial(url, clients.WithToken(os.Getenv("SIPSMPP_TOKEN")))
	if err != nil {
		return err
	}
	defer c.Close()
	answered := make(map[string]time.Time) // by sender: two machines must not talk to each other all night
	d := c.Durable("autoresponder-"+strings.TrimPrefix(number, "+"), "E_MESSAGE_RECEIVED,to="+number)
	for event, err := range d.Events(ctx) {
		if err != nil {
			return err
		}
		maps.DeleteFunc(answered, func(_ string, at time.Time) bool { return time.Since(at) > time.Minute })
		if e, ok := event.Event.(events.MessageReceived); ok && answered[e.From].IsZero() {
			if answer(ctx, c, e, text) != nil {
				return nil // we are to end; it was not acknowledged, and comes again
			}
			answered[e.From] = time.Now()
		}
		d.Ack(event.Seq)
	}
	return nil
}

// answer sends the answer, again and again while the gateway cannot take it.
func answer(ctx context.Context, c *clients.Client, e events.MessageReceived, text string) error {
	for {
		_, err := c.MessageSend(ctx, mi.MessageSendParams{From: e.To, To: e.From, Text: text, IdempotencyKey: "answer-" + e.ID})
		if err == nil {
			return nil
		}
		if refused := new(mi.Error); errors.As(err, &refused) && !mi.IsTemporary(err) {
			log.Printf("%s gets no answer: %v", e.From, err)
			return nil
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
