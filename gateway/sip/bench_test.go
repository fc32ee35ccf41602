package sip

import (
	"testing"
	"time"
)

// The stages of a MESSAGE that comes in, each by itself; BenchmarkReceive is all of them.

func BenchmarkScan(b *testing.B) {
	datagram := []byte(aMessage())
	var m message
	b.ReportAllocs()
	for b.Loop() {
		if !m.scan(datagram) {
			b.Fatal("it is no SIP")
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	e := newBench(Config{})
	datagram := []byte(aMessage())
	now := time.Now()
	if !e.in.m.scan(datagram) {
		b.Fatal("it is no SIP")
	}
	b.ReportAllocs()
	for b.Loop() {
		if m, _, r := e.decode(&e.in.m, e.from, now); m == nil || r.code != 0 {
			b.Fatal(r)
		}
	}
}

// BenchmarkAnswered is what the table of answers costs a new request: a look, its entry, and its answer.
func BenchmarkAnswered(b *testing.B) {
	t := newAnswered()
	now := time.Now()
	b.ReportAllocs()
	for i := uint64(1); b.Loop(); i++ {
		k := requestKey{i * 0x9E3779B97F4A7C15, i}
		if what, _ := t.look(k, i, now); what != isNew {
			b.Fatal(what)
		}
		t.begin(k, i, now)
		t.finish(k, answer{transaction: i, code: 202})
	}
}

func BenchmarkAnswer(b *testing.B) {
	e := newBench(Config{})
	if !e.in.m.scan([]byte(aMessage())) {
		b.Fatal("it is no SIP")
	}
	b.ReportAllocs()
	for b.Loop() {
		p := newPacket()
		p.b = appendStatusLine(p.b, 202, "")
		p.b = appendEcho(p.b, &e.in.m, e.from, 4711)
		p.b = appendEnd(p.b, 202, 0, "")
		p.free()
	}
}
