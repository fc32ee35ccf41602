package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"sipsmpp/gateway/gatewaytest"
)

// moWait is how long a single message may wait to be taken.
const moWait = 10 * time.Second

// What becomes of a single message otherwise.
var (
	errNobodyBound = errors.New("nobody is bound")
	errNobodyTook  = fmt.Errorf("nobody took it within %v: what is bound must be a receiver or transceiver, and answer", moWait)
)

// maxMO is how many messages one POST /mo may ask for.
const maxMO = 1_000_000

// serveControl serves /mo and /stats until stop, which waits for the streams that were started.
func serveControl(ctx context.Context, addr string, smsc *gatewaytest.SMSC) (string, func(), error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, smsc.Stats()) })
	mux.HandleFunc("POST /mo", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") != "" { // a page in somebody's browser
			writeJSON(w, http.StatusForbidden, map[string]string{"error": "not for browsers"})
			return
		}
		f, count, err := parseMO(r.URL.Query())
		if err != nil {
			writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
			return
		}
		if count > 1 {
			running.Go(func() { sendMO(ctx, smsc, f, count) })
			writeJSON(w, http.StatusAccepted, map[string]int{"queued": count})
			return
		}
		if smsc.Stats().Bound == 0 {
			writeJSON(w, http.StatusBadGateway, map[string]string{"error": errNobodyBound.Error()})
			return
		}
		ctx, cancel := context.WithTimeoutCause(r.Context(), moWait, errNobodyTook)
		defer cancel()
		status, err := smsc.Deliver(ctx, gatewaytest.Deliver{From: f.from, To: f.to, Text: f.text})
		if err != nil {
			writeJSON(w, http.StatusBadGateway, map[string]string{"error": err.Error()})
			return
		}
		writeJSON(w, http.StatusOK, map[string]uint32{"command_status": status})
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	running.Go(func() { _ = server.Serve(l) }) // ends with Close below
	return l.Addr().String(), func() {
		cancel()
		server.Close()
		running.Wait()
	}, nil
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // who asked has gone
}

func parseMO(q url.Values) (f moFlags, count int, err error) {
	f, count = moFlags{from: q.Get("from"), to: q.Get("to"), text: q.Get("text")}, 1
	if f.from == "" || f.to == "" || f.text == "" {
		return f, 0, errors.New("from, to and text must be given")
	}
	if s := q.Get("count"); s != "" {
		if count, err = strconv.Atoi(s); err != nil || count < 1 || count > maxMO {
			return f, 0, fmt.Errorf("count %q: want 1 to %d", s, maxMO)
		}
	}
	if s := q.Get("rate"); s != "" {
		if f.rate, err = strconv.ParseFloat(s, 64); err != nil || !(f.rate >= 0) {
			return f, 0, fmt.Errorf("rate %q: want messages per second", s)
		}
	}
	return f, count, nil
}

// maxWaitingMO bounds what a stream of messages has unanswered, so that one that nobody takes does not fill the memory.
const maxWaitingMO = 10_000

// sendMO sends messages as from phones at a rate, as many as count says, 0 for ever, until ctx ends.
func sendMO(ctx context.Context, smsc *gatewaytest.SMSC, f moFlags, count int) {
	pace := pacer{rate: f.rate}
	slots := make(chan struct{}, maxWaitingMO)
	for n := 1; count == 0 || n <= count; n++ {
		if _, err := pace.wait(ctx); err != nil {
			return
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		text := strings.ReplaceAll(f.text, "{n}", strconv.Itoa(n))
		if smsc.Send(gatewaytest.Deliver{From: f.from, To: f.to, Text: text}, func(uint32, error) { <-slots }) != nil {
			return
		}
	}
}

func moCommand() *cobra.Command {
	var control string
	var count int
	var rate float64
	c := &cobra.Command{
		Use:     "mo FROM TO TEXT...",
		Short:   "Let a running smscsim send a message as from a phone",
		Example: `  smscsim mo +4915112345678 12345 hello from a phone`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 3 {
				return errors.New("want a sender, a recipient and a text")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			q := url.Values{"from": {args[0]}, "to": {args[1]}, "text": {strings.Join(args[2:], " ")},
				"count": {strconv.Itoa(count)}, "rate": {strconv.FormatFloat(rate, 'f', -1, 64)}}
			return postMO(c.Context(), control, q, c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&control, "control", "127.0.0.1:2779", "host:port of its HTTP control")
	c.Flags().IntVar(&count, "count", 1, "how many")
	c.Flags().Float64Var(&rate, "rate", 0, "per second (default as fast as they are answered)")
	return c
}

func postMO(ctx context.Context, control string, q url.Values, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+control+"/mo?"+q.Encode(), nil)
	if err != nil {
		return fmt.Errorf("--control %q: %w", control, err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return failed(fmt.Errorf("%w: is smscsim running, with this --control?", err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return failed(err)
	}
	var answer struct {
		Error  string
		Status uint32 `json:"command_status"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return failed(fmt.Errorf("%s is no smscsim: it answered %s", control, resp.Status))
	}
	switch {
	case answer.Error != "":
		return failed(errors.New(answer.Error))
	case answer.Status != 0:
		return failed(fmt.Errorf("the deliver_sm was refused with %#02x", answer.Status))
	}
	fmt.Fprintf(stdout, "%s", body)
	return nil
}
