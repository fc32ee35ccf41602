package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sipsmpp/gateway/gatewaytest"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "floor" { // a run of load started its own program again
		os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

// simulator is a running smscsim: what it prints, line by line, and its standard input.
type simulator struct {
	smsc, control string
	lines         *bufio.Scanner
	stdin         io.Writer
	stop          func() (code int, rest string)
}

// startSimulator runs smscsim on free ports.
func startSimulator(t *testing.T, args ...string) *simulator {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	outR, outW := io.Pipe()
	inR, inW := io.Pipe()
	finished := make(chan int, 1)
	var stderr bytes.Buffer
	go func() {
		code := run(ctx, append([]string{"--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"}, args...), inR, outW, &stderr)
		outW.Close()
		finished <- code
	}()
	s := &simulator{lines: bufio.NewScanner(outR), stdin: inW}
	s.stop = func() (int, string) {
		cancel()
		inW.Close()
		var rest strings.Builder
		for s.lines.Scan() {
			rest.WriteString(s.lines.Text() + "\n")
		}
		return <-finished, rest.String() + stderr.String()
	}
	s.smsc = strings.TrimPrefix(s.await(t, "listening on "), "listening on ")
	s.control = strings.TrimPrefix(s.await(t, "control on http://"), "control on http://")
	return s
}

// await reads lines up to one that holds text, and gives it from there on.
func (s *simulator) await(t *testing.T, text string) string {
	t.Helper()
	for s.lines.Scan() {
		if i := strings.Index(s.lines.Text(), text); i >= 0 {
			return s.lines.Text()[i:]
		}
	}
	t.Fatalf("%q was never printed", text)
	return ""
}

func TestServe(t *testing.T) {
	s := startSimulator(t, "--id-format", "hex", "--receipt-id-format", "decimal", "--receipt-stat", "UNDELIV")
	type answers struct {
		a   []gatewaytest.Answer
		err error
	}
	bound := make(chan *gatewaytest.ESME, 1)
	go func() {
		e, err := gatewaytest.NewESME(t.Context(), gatewaytest.ESMEConfig{Addr: s.smsc, SystemID: "alice"})
		if err != nil {
			t.Error(err)
		}
		bound <- e
	}()
	s.await(t, "bind       #1 alice transceiver from 127.0.0.1:")
	e := <-bound
	answered := make(chan answers, 1)
	go func() {
		a, err := e.Submit(t.Context(), gatewaytest.Outgoing{From: "100", To: "+491", Text: "Grüße €", RegisteredDelivery: 1})
		answered <- answers{a, err}
	}()
	line := s.await(t, "submit_sm")
	a := <-answered
	if a.err != nil || !strings.Contains(line, `100 -> 491 data_coding=0x00 registered_delivery=0x01 "Grüße €" id=`+a.a[0].MessageID+": OK") {
		t.Errorf("%s\n%+v", line, a)
	}
	if line := s.await(t, "receipt"); !strings.Contains(line, "to 100 id=") || !strings.HasSuffix(line, "UNDELIV: OK") || strings.Contains(line, a.a[0].MessageID) {
		t.Errorf("%s", line)
	}
	if _, err := e.Next(t.Context()); err != nil { // the receipt
		t.Fatal(err)
	}

	if _, err := io.WriteString(s.stdin, "mo +4915112345678 12345 from the terminal\n"); err != nil {
		t.Fatal(err)
	}
	s.await(t, "deliver_sm #1 alice 4915112345678 -> 12345, 17 octets: OK")
	if in, err := e.Next(t.Context()); err != nil || in.Text() != "from the terminal" || in.FromTON != 1 {
		t.Errorf("%+v, %v", in, err)
	}

	moDone := make(chan int, 1)
	var stdout, stderr bytes.Buffer
	go func() {
		moDone <- run(t.Context(), []string{"mo", "--control", s.control, "+491", "12345", "by", "HTTP"}, strings.NewReader(""), &stdout, &stderr)
	}()
	s.await(t, "deliver_sm")
	if code := <-moDone; code != exitGood || !strings.Contains(stdout.String(), `"command_status":0`) {
		t.Errorf("mo: exit %d: %s%s", code, &stdout, &stderr)
	}
	if _, err := io.WriteString(s.stdin, "nonsense\n"); err != nil {
		t.Fatal(err)
	}
	s.await(t, `"nonsense" is not understood`)

	var stats gatewaytest.SMSCStats
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + s.control + "/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&stats); err != nil || stats.Submits != 1 || stats.Receipts != 1 || stats.Delivers != 3 {
		t.Errorf("%+v, %v", stats, err)
	}
	go e.Drop()
	s.await(t, "unbind     #1 alice")
	if code, rest := s.stop(); code != exitGood || !strings.Contains(rest, "1 binds, 1 submit_sm, 1 accepted; 3 deliver_sm (answered 0x00: 3), 1 receipts taken") {
		t.Errorf("exit %d: %s", code, rest)
	}
}

func TestControlFaults(t *testing.T) {
	s := startSimulator(t, "--quiet")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, c := range []struct {
		query, origin string
		code          int
	}{
		{"from=1&to=2", "", http.StatusBadRequest},
		{"from=1&to=2&text=x&count=0", "", http.StatusBadRequest},
		{"from=1&to=2&text=x&count=9999999", "", http.StatusBadRequest},
		{"from=1&to=2&text=x&rate=fast", "", http.StatusBadRequest},
		{"from=1&to=2&text=x", "http://evil.example", http.StatusForbidden},
		{"from=1&to=2&text=x", "", http.StatusBadGateway}, // nobody is bound
		{"from=1&to=2&text=x&count=3&rate=100", "", http.StatusAccepted},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.control+"/mo?"+c.query, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.origin != "" {
			req.Header.Set("Origin", c.origin)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.code {
			t.Errorf("%s: %s", c.query, resp.Status)
		}
	}
	e, err := gatewaytest.NewESME(t.Context(), gatewaytest.ESMEConfig{Addr: s.smsc})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Drop()
	if got, err := e.Take(t.Context(), 3); err != nil || got[2].Text() != "x" {
		t.Errorf("%v, %v", got, err)
	}
	if code, rest := s.stop(); code != exitGood {
		t.Errorf("exit %d: %s", code, rest)
	}
	<-e.Done()
	if err := e.Ended(); !errors.Is(err, gatewaytest.ErrUnbound) {
		t.Errorf("the bind ended with %v, not with unbind", err)
	}
}

func TestConstantMO(t *testing.T) {
	s := startSimulator(t, "--quiet", "--mo-rate", "500", "--mo-from", "+491", "--mo-to", "77", "--mo-text", "number {n}")
	e, err := gatewaytest.NewESME(t.Context(), gatewaytest.ESMEConfig{Addr: s.smsc})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Drop()
	got, err := e.Take(t.Context(), 10)
	if err != nil || got[9].Text() != "number 10" || got[9].To != "77" {
		t.Errorf("%v, %v", got, err)
	}
	if code, rest := s.stop(); code != exitGood {
		t.Errorf("exit %d: %s", code, rest)
	}
}

func TestESME(t *testing.T) {
	smsc, err := gatewaytest.NewSMSC(gatewaytest.SMSCConfig{OnSubmit: func(in gatewaytest.Submit) (a gatewaytest.Action) {
		if in.To == "7" {
			a.Status = 0x0B
		}
		return a
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer smsc.Close()
	esme := func(args ...string) (int, string) {
		var out bytes.Buffer
		code := run(t.Context(), append([]string{"esme", "--connect", smsc.Addr()}, args...), strings.NewReader(""), &out, &out)
		return code, out.String()
	}
	code, out := esme("--count", "300", "--binds", "2", "--receipt", "--text", "number {n}")
	if code != exitGood || !strings.Contains(out, "300 submit_sm in") || !strings.Contains(out, "0x00: 300") ||
		!strings.Contains(out, "time to the answer: p50 ") || !strings.Contains(out, "300 deliver_sm, 300 of them receipts; 0 never answered") {
		t.Errorf("exit %d: %s", code, out)
	}
	if code, out := esme("--count", "10", "--to", "{n}"); code != exitFailed || !strings.Contains(out, "1 messages were refused") || !strings.Contains(out, "0x0b: 1") {
		t.Errorf("exit %d: %s", code, out)
	}
	if code, out := esme("--rate", "1000", "--duration", "50ms", "--quiet"); code != exitGood || strings.Contains(out, "\n0 submit_sm") {
		t.Errorf("exit %d: %s", code, out)
	}
	if code, out := esme("--mode", "rx", "--duration", "10ms"); code != exitGood {
		t.Errorf("exit %d: %s", code, out)
	}
	smsc.Close()
	if code, out := esme(); code != exitFailed || !strings.Contains(out, "refused") {
		t.Errorf("exit %d: %s", code, out)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range []string{
		"nonsense", "--nonsense", "--error-status none", "--id-format roman", "--id-format uuid --receipt-id-format hex", "esme --mode both",
		"esme --window 0", "--receipt-stat DELIVRD=x", "--error-rate 2", "load --direction up", "load --length 10", "load --pid 999999999", "load --sip-status 100", "mo 1 2",
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), strings.Fields(args), strings.NewReader(""), &stdout, &stderr); code != exitUsage || stderr.Len() == 0 {
			t.Errorf("%s: exit %d: %s", args, code, &stderr)
		}
	}
	for _, args := range []string{"--listen 127.0.0.1:2776:1", "mo --control 127.0.0.1:1 1 2 x"} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), strings.Fields(args), strings.NewReader(""), &stdout, &stderr); code != exitFailed {
			t.Errorf("%s: exit %d: %s", args, code, &stderr)
		}
	}
	for _, args := range []string{"--help", "esme --help", "load --help", "mo --help"} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), strings.Fields(args), strings.NewReader(""), &stdout, &stderr); code != exitGood || !strings.Contains(stdout.String(), "Usage:") {
			t.Errorf("%s: exit %d: %s", args, code, &stdout)
		}
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	for i := range 100_000 {
		h.add(time.Duration(i+1) * time.Microsecond)
	}
	for q, want := range map[float64]time.Duration{0.5: 50 * time.Millisecond, 0.99: 99 * time.Millisecond, 0.999: 99900 * time.Microsecond} {
		if got := h.quantile(q); got < want || got > want+want/50 {
			t.Errorf("the %v quantile is %v, want %v", q, got, want)
		}
	}
	for _, d := range []time.Duration{0, 1, 63, 64, 127, 128, 1 << 40, 1<<63 - 1} {
		var h histogram
		h.add(d)
		if got := h.quantile(0.5); got != d {
			t.Errorf("%d alone gives %d", d, got)
		}
	}
}

func FuzzSink(f *testing.F) {
	f.Add([]byte("MESSAGE sip:1@x SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1;rport\r\nTo: x\r\n\r\nsmscsim 00000000 0000000001 x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		readResponse(b, []byte("z9hG4bK"))
		readMark(b, "00000000")
		transaction(b)
		respond(nil, b, 200, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5060})
	})
}
