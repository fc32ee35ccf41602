package main

import (
	"net"
	"testing"
	"time"
)

// What the generator and the sink cost for each message beside the system calls.

func BenchmarkRequest(b *testing.B) {
	conn, err := net.Dial("udp", "127.0.0.1:5060")
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	f := loadFlags{sip: "127.0.0.1:5060", from: "+4915112345678", to: "+4915187654321", length: 80}
	m := &mt{flow: newFlow(&f, "mt", time.Now()), conn: conn.(*net.UDPConn)}
	t := m.request()
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		t.fill(t.datagram, n)
	}
}

func BenchmarkReadResponse(b *testing.B) {
	response := []byte("SIP/2.0 202 Accepted\r\nVia: SIP/2.0/UDP 127.0.0.1:40000;branch=z9hG4bK1a2b3c4d0000000042;rport=40000\r\n\r\n")
	branch := []byte("z9hG4bK1a2b3c4d")
	b.ReportAllocs()
	for b.Loop() {
		if status, n, ok := readResponse(response, branch); status != 202 || n != 42 || !ok {
			b.Fatal(status, n, ok)
		}
	}
}

func BenchmarkRespond(b *testing.B) {
	request := []byte("MESSAGE sip:1@x SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\nFrom: <sip:a@x>;tag=1\r\n" +
		"To: <sip:1@x>\r\nCall-ID: 1\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\nx")
	source := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5060}
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		var ok bool
		if out, ok = respond(out[:0], request, 202, source); !ok {
			b.Fatal("no answer")
		}
	}
}

func BenchmarkLedger(b *testing.B) {
	l := newFlow(&loadFlags{}, "mt", time.Now())
	text := []byte(markText(l.name, 0, 80))
	b.ReportAllocs()
	b.ResetTimer()
	for n := range min(b.N, maxEntries) {
		putNumber(text[markLength-numberWidth:markLength], n)
		_, e := l.ledger.open(0)
		l.outstanding.Add(1)
		l.arrive(text, 0)
		l.settle(e, 202, true)
	}
}
