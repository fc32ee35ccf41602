package clients_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"sipsmpp/clients"
	"sipsmpp/events"
	"sipsmpp/mi"
)

// exampleGateway is a gateway for the examples, at http://127.0.0.1:8888 in real life.
func exampleGateway() (url string, publish func(events.Event), stop func()) {
	directory, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	hub, urls, end, err := startGateway(filepath.Join(directory, "mi.sock"))
	if err != nil {
		log.Fatal(err)
	}
	return urls[0], func(e events.Event) { hub.Publish(e) }, func() {
		if err := errors.Join(end(), os.RemoveAll(directory)); err != nil {
			log.Fatal(err)
		}
	}
}

// A message is sent, and the gateway tells what became of it.
func Example() {
	url, _, stop := exampleGateway()
	defer stop()
	ctx := context.Background()

	c, err := clients.Dial(url) // http://127.0.0.1:8888
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	sent, err := c.MessageSend(ctx, mi.MessageSendParams{From: "100", To: "+4915112345678", Text: "hi", Receipt: mi.ReceiptFinal})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sent.State, "by", sent.Connection, "in", sent.Segments, "segment")
	// Output: sent by acme in 1 segment
}

// The code of a refusal is matched by errors.Is; its data says more.
func ExampleDetails() {
	url, _, stop := exampleGateway()
	defer stop()
	ctx := context.Background()
	c, err := clients.Dial(url)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	_, err = c.MessageSend(ctx, mi.MessageSendParams{From: "100", To: "1", Text: "refuse"})
	switch {
	case err == nil:
		fmt.Println("it was taken")
	case mi.IsTemporary(err), errors.Is(err, clients.ErrNotSent):
		fmt.Println("try again later")
	case errors.Is(err, mi.ErrForbidden):
		failure, _ := clients.Details[mi.SendFailure](err)
		fmt.Printf("refused by %s with status %#x\n", failure.Protocol, failure.Status)
	default:
		fmt.Println("it may have been sent:", err)
	}
	// Output: refused by smpp with status 0xb
}

// Events are followed in a loop, and told apart by their type.
func ExampleClient_Events() {
	url, publish, stop := exampleGateway()
	defer stop()
	ctx := context.Background()
	c, err := clients.Dial(url)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	publish(events.MessageReceived{ID: "m1", Ingress: "smpp:acme", From: "+4915112345678", To: "100", Text: "hello"})
	publish(events.MessageReport{ID: "m2", State: "delivered"})

	for n, err := range c.Events(ctx, "E_MESSAGE_*", clients.After(0)) { // 0: from the oldest that the gateway keeps
		if err != nil {
			log.Fatal(err)
		}
		switch e := n.Event.(type) {
		case events.MessageReceived:
			fmt.Printf("%d: %s wrote %q\n", n.Seq, e.From, e.Text)
		case events.MessageReport:
			fmt.Printf("%d: message %s was %s\n", n.Seq, e.ID, e.State)
			return
		case events.EventsLost:
			fmt.Println("missed", e.Count)
		}
	}
	// Output:
	// 1: +4915112345678 wrote "hello"
	// 2: message m2 was delivered
}
