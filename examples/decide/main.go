// Command decide says where messages go, for a gateway whose rules ask the applications:
//
//	sipsmpp-cli -x mi route_add targets='app?, smpp:backup' options='{"wait":5}'
//	decide -routes 'routes.csv'
//
// routes.csv has lines of a prefix and a target (+49,smpp:acme), the longest prefix decides; a target may be `reject 603`. Read your own
// tables in its place, ask a number portability service, look at the hour: what it must do is to answer in time. What it does not answer
// goes to the rule's next target, so that the gateway does not stand still where this program does.
package main

import (
	"context"
	"encoding/csv"
	"errors"
	"flag"
	"log"
	"os"
	"os/signal"
	"strings"

	"sipsmpp/clients"
	"sipsmpp/events"
	"sipsmpp/mi"
)

func main() {
	url := flag.String("url", "http://127.0.0.1:8888/mi", "the gateway's MI")
	file := flag.String("routes", "routes.csv", "lines of a prefix and a target")
	flag.Parse()
	routes, err := readRoutes(*file)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *url, routes); err != nil {
		log.Fatal(err)
	}
}

func readRoutes(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.FieldsPerRecord, r.TrimLeadingSpace, r.Comment = 2, true, '#'
	lines, err := r.ReadAll()
	routes := make(map[string]string)
	for _, l := range lines {
		routes[l[0]] = l[1]
	}
	return routes, err
}

func run(ctx context.Context, url string, routes map[string]string) error {
	c, err := clients.Dial(url, clients.WithToken(os.Getenv("SIPSMPP_TOKEN")))
	if err != nil {
		return err
	}
	defer c.Close()
	// Nothing durable: what waited while we were away is decided without us.
	for event, err := range c.Events(ctx, "E_MESSAGE_RECEIVED,awaits=decision") {
		if err != nil {
			return err
		}
		if e, ok := event.Event.(events.MessageReceived); ok {
			go decide(ctx, c, e, routes) // a slow answer holds up nobody else's
		}
	}
	return nil
}

func decide(ctx context.Context, c *clients.Client, e events.MessageReceived, routes map[string]string) {
	target := targetOf(e.To, routes)
	var err error
	switch code, reject := strings.CutPrefix(target, "reject"); {
	case target == "":
		return // the rule's next target has its turn
	case reject:
		err = c.MessageReject(ctx, mi.MessageRejectParams{ID: e.ID, Code: strings.TrimSpace(code)})
	default:
		err = c.MessageRoute(ctx, mi.MessageRouteParams{ID: e.ID, Target: target})
	}
	if err != nil && !errors.Is(err, mi.ErrNotFound) { // not found: we were too late
		log.Printf("message %s: %v", e.ID, err)
	}
}

// targetOf is the target of the longest prefix.
func targetOf(number string, routes map[string]string) string {
	for n := len(number); n > 0; n-- {
		if target, ok := routes[number[:n]]; ok {
			return target
		}
	}
	return ""
}
