package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"sipsmpp/gateway/gatewaytest"
)

// fakeGateway does as a gateway does, and to each n-th message as badly as it is told.
type fakeGateway struct {
	every                      int
	lose, double, refuse, mute bool

	interrupt bool // the run is interrupted then
	onHit     func()

	conn *net.UDPConn
	esme *gatewaytest.ESME
	sink *net.UDPAddr
}

// start binds, trying until the SMSC is there, and serves until stop.
func (g *fakeGateway) start(ctx context.Context, smsc string) (stop func(), err error) {
	for g.esme == nil {
		g.esme, err = gatewaytest.NewESME(ctx, gatewaytest.ESMEConfig{Addr: smsc, Window: 500, Keep: -1, OnDeliver: g.toSIP})
		if ctx.Err() != nil {
			return nil, err
		}
	}
	var running sync.WaitGroup
	running.Go(func() { g.toSMPP(ctx) })
	return func() { g.conn.Close(); running.Wait(); g.esme.Drop() }, nil
}

func (g *fakeGateway) toSMPP(ctx context.Context) {
	b := make([]byte, 4096)
	for n := 1; ; n++ {
		size, source, err := g.conn.ReadFromUDP(b)
		if err != nil {
			return
		}
		if !bytes.HasPrefix(b[:size], []byte("MESSAGE ")) {
			n--
			continue // an answer of the sink
		}
		hit := g.every > 0 && n%g.every == 0
		if hit && g.onHit != nil {
			g.onHit()
		}
		status, copies := 202, 1
		switch {
		case hit && g.mute:
			continue
		case hit && g.lose:
			copies = 0
		case hit && g.double:
			copies = 2
		case hit && g.refuse:
			status, copies = 480, 0
		}
		_, body, _ := bytes.Cut(b[:size], []byte("\r\n\r\n"))
		for range copies {
			if err := g.esme.Send(ctx, gatewaytest.Outgoing{Text: string(body)}, func(gatewaytest.Answer) {}); err != nil {
				return
			}
		}
		if answer, ok := respond(nil, b[:size], status, source); ok {
			_, _ = g.conn.WriteToUDP(answer, source) // a datagram may be lost
		}
	}
}

func (g *fakeGateway) toSIP(in gatewaytest.Incoming) (a gatewaytest.Action) {
	text := in.Text()
	number, _ := readNumber([]byte(text[markLength-numberWidth : markLength]))
	hit, copies := g.every > 0 && (number+1)%g.every == 0, 1
	switch {
	case hit && g.lose:
		copies = 0
	case hit && g.double:
		copies = 2
	case hit && g.refuse:
		copies, a.Status = 0, 0x14
	}
	for i := range copies {
		request := fmt.Sprintf("MESSAGE sip:1@x SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK%d-%d;rport\r\nFrom: <sip:a@x>;tag=1\r\n"+
			"To: <sip:1@x>\r\nCall-ID: 1\r\nCSeq: 1 MESSAGE\r\nContent-Length: %d\r\n\r\n%s", i, number, len(text), text)
		for range 2 { // a retransmission is no double
			_, _ = g.conn.WriteToUDP([]byte(request), g.sink) // a datagram may be lost
		}
	}
	return a
}

// loadThrough runs a load through a fake gateway and gives its exit code and report.
func loadThrough(t *testing.T, g *fakeGateway, args ...string) (int, flowResult, result, string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if g.interrupt {
		g.onHit = cancel
	}
	loopback := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}
	var err error
	if g.conn, err = net.ListenUDP("udp", loopback); err != nil {
		t.Fatal(err)
	}
	_ = g.conn.SetReadBuffer(socketBuffer) // the kernel gives what it allows; its default drops some of 200
	sink, err := net.ListenUDP("udp", loopback)
	if err != nil {
		t.Fatal(err)
	}
	g.sink = sink.LocalAddr().(*net.UDPAddr)
	sink.Close() // the run opens it again
	smsc := freeAddr(t)
	var stdout, stderr bytes.Buffer
	finished := make(chan int, 1)
	go func() {
		finished <- run(ctx, append([]string{"load", "--json", "--smsc-listen", smsc, "--sip-sink", g.sink.String(),
			"--sip", g.conn.LocalAddr().String(), "--drain", "50ms", "--window", "50", "--pid", fmt.Sprint(os.Getpid())}, args...),
			strings.NewReader(""), &stdout, &stderr)
	}()
	stop, err := g.start(t.Context(), smsc)
	if err != nil {
		t.Fatal(err)
	}
	code := <-finished
	stop()
	var r result
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil || len(r.Flows) != 1 {
		t.Fatalf("%v: %s%s", err, &stdout, &stderr)
	}
	return code, r.Flows[0], r, stderr.String()
}

// freeAddr is a host:port that was free just now.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestLoad(t *testing.T) {
	for _, c := range []struct {
		name string
		g    fakeGateway
		args []string
		code int
		want count
	}{
		{"mt", fakeGateway{}, []string{"--count", "2000"}, exitGood, count{Sent: 2000, Accepted: 2000, Arrived: 2000}},
		{"mt open loop", fakeGateway{}, []string{"--count", "300", "--rate", "3000"}, exitGood, count{Sent: 300, Accepted: 300, Arrived: 300}},
		{"mt loses", fakeGateway{every: 100, lose: true}, []string{"--count", "500"}, exitFailed, count{Sent: 500, Accepted: 500, Arrived: 495, Lost: 5}},
		{"mt doubles", fakeGateway{every: 100, double: true}, []string{"--count", "500"}, exitFailed, count{Sent: 500, Accepted: 500, Arrived: 500, Doubled: 5}},
		{"mt refuses", fakeGateway{every: 100, refuse: true}, []string{"--count", "500"}, exitGood, count{Sent: 500, Accepted: 495, Refused: 5, Arrived: 495}},
		{"mt is silent", fakeGateway{every: 2, mute: true}, []string{"--count", "10", "--timeout", "100ms"}, exitGood,
			count{Sent: 10, Accepted: 5, Unanswered: 5, Arrived: 5}},
		{"mt is sent again", fakeGateway{every: 3, mute: true}, []string{"--count", "3", "--retransmit"}, exitGood,
			count{Sent: 3, Accepted: 3, Arrived: 3}},
		{"mt is all silent", fakeGateway{every: 1, mute: true}, []string{"--count", "3", "--timeout", "50ms"}, exitFailed, count{Sent: 3, Unanswered: 3}},
		{"mo", fakeGateway{}, []string{"--direction", "mo", "--count", "1000"}, exitGood, count{Sent: 1000, Accepted: 1000, Arrived: 1000}},
		{"mo loses", fakeGateway{every: 100, lose: true}, []string{"--direction", "mo", "--count", "500"}, exitFailed,
			count{Sent: 500, Accepted: 500, Arrived: 495, Lost: 5}},
		{"mo doubles", fakeGateway{every: 100, double: true}, []string{"--direction", "mo", "--count", "500"}, exitFailed,
			count{Sent: 500, Accepted: 500, Arrived: 500, Doubled: 5}},
		{"mo refuses", fakeGateway{every: 100, refuse: true}, []string{"--direction", "mo", "--count", "500"}, exitGood,
			count{Sent: 500, Accepted: 495, Refused: 5, Arrived: 495}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			code, r, all, stderr := loadThrough(t, &c.g, c.args...)
			if code != c.code || r.Count != c.want {
				t.Errorf("exit %d, %+v\n%s", code, r.Count, stderr)
			}
			if m := all.Process.Memory; m.First == 0 || m.Last == 0 || m.Highest < m.Last || c.want.Arrived > 0 && (r.Transit.P50 <= 0 || r.Transit.Max < r.Transit.P50 || r.Rate <= 0) {
				t.Errorf("%+v", r)
			}
			if strings.HasPrefix(c.name, "mo") && r.Repeats != uint64(c.want.Arrived) {
				t.Errorf("%d retransmissions were told apart, want %d", r.Repeats, c.want.Arrived)
			}
		})
	}
}

// An interrupted run says what it did, and takes nothing for lost that was on its way.
func TestLoadIsInterrupted(t *testing.T) {
	for _, pace := range []string{"--window", "--rate"} {
		code, r, _, stderr := loadThrough(t, &fakeGateway{every: 100, interrupt: true}, "--duration", "1m", pace, "1000")
		c := r.Count
		if code != exitGood || c.Sent < 100 || c.Accepted != c.Sent || c.Arrived != c.Sent || r.Seconds > 30 {
			t.Errorf("%s: exit %d, %+v\n%s", pace, code, r, stderr)
		}
	}
}

func TestLoadWithoutAGateway(t *testing.T) {
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"load", "--smsc-listen", "127.0.0.1:0", "--bind-wait", "10ms"}, strings.NewReader(""), &stdout, &stderr)
	if code != exitFailed || !strings.Contains(stderr.String(), "did not bind") {
		t.Errorf("exit %d: %s", code, &stderr)
	}
}

func TestRespond(t *testing.T) {
	source := &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 5099}
	for name, c := range map[string]struct{ request, answer string }{
		"message": {
			"MESSAGE sip:1@x SIP/2.0\r\nv: SIP/2.0/UDP a;rport;branch=1\r\nVIA: SIP/2.0/UDP b;rport\r\nMax-Forwards: 70\r\nf : <sip:a@x>;tag=1\r\n" +
				"To: <sip:1@x>\r\nCall-ID: i\r\nCSeq: 1 MESSAGE\r\nContent-Length: 7\r\n\r\nFrom: x",
			"SIP/2.0 480 Counted\r\nv: SIP/2.0/UDP a;rport=5099;received=10.0.0.1;branch=1\r\nVIA: SIP/2.0/UDP b;rport\r\nf : <sip:a@x>;tag=1\r\n" +
				"To: <sip:1@x>;tag=smscsim\r\nCall-ID: i\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n",
		},
		"options":  {"OPTIONS sip:x SIP/2.0\r\nTo: x;tag=2\r\n\r\n", "SIP/2.0 200 Counted\r\nTo: x;tag=2\r\nContent-Length: 0\r\n\r\n"},
		"ack":      {"ACK sip:x SIP/2.0\r\nTo: x\r\n\r\n", ""},
		"response": {"SIP/2.0 200 OK\r\n\r\n", ""},
		"nothing":  {"\r\n\r\n", ""},
	} {
		got, ok := respond(nil, []byte(c.request), 480, source)
		if string(got) != c.answer || ok != (c.answer != "") {
			t.Errorf("%s: %v %q", name, ok, got)
		}
	}
}
