package gatewaytest

import (
	"testing"
)

// benchmarkSubmit is messages through both peers, a window of 200: read as the time of the ESME and the SMSC together.
func benchmarkSubmit(b *testing.B, cfg SMSCConfig, o Outgoing) {
	s, err := NewSMSC(cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	e, err := NewESME(b.Context(), ESMEConfig{Addr: s.Addr(), Window: 200, Keep: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Drop()
	segments, err := o.segments(1)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	answered := make(chan struct{}, 200)
	go func() {
		for range b.N {
			if err := e.send(b.Context(), &segments[0], func(Answer) { answered <- struct{}{} }); err != nil {
				b.Error(err)
				return
			}
		}
	}()
	for range b.N {
		<-answered
	}
}

var benchmarkMessage = Outgoing{From: "+4915112345678", To: "12345", Text: "a message of the length that many messages have, about 80 characters or so it is"}

func BenchmarkSubmit(b *testing.B) { benchmarkSubmit(b, SMSCConfig{Keep: -1}, benchmarkMessage) }

func BenchmarkSubmitScripted(b *testing.B) {
	benchmarkSubmit(b, SMSCConfig{Keep: -1, OnSubmit: func(Submit) Action { return Action{} }}, benchmarkMessage)
}

func BenchmarkSubmitOctets(b *testing.B) {
	benchmarkSubmit(b, SMSCConfig{Keep: -1, OnOctets: func(octets []byte) uint64 { return uint64(len(octets)) }}, benchmarkMessage)
}

func BenchmarkSubmitReceipt(b *testing.B) {
	o := benchmarkMessage
	o.RegisteredDelivery = 1
	benchmarkSubmit(b, SMSCConfig{Keep: -1}, o)
}

func BenchmarkDeliver(b *testing.B) {
	s, err := NewSMSC(SMSCConfig{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	e, err := NewESME(b.Context(), ESMEConfig{Addr: s.Addr(), Keep: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Drop()
	b.ReportAllocs()
	b.ResetTimer()
	slots, done := make(chan struct{}, 1000), make(chan struct{})
	go func() {
		defer close(done)
		for range b.N {
			slots <- struct{}{}
			if err := s.Send(benchmarkMessage, func(uint32, error) { <-slots }); err != nil {
				b.Error(err)
				return
			}
		}
	}()
	<-done
	for range cap(slots) {
		slots <- struct{}{}
	}
}

func BenchmarkParseSM(b *testing.B) {
	segments, _ := benchmarkMessage.segments(1)
	p := appendSM(nil, cmdSubmitSM, 1, &segments[0])
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseSM(p[headerLength:]); err != nil {
			b.Fatal(err)
		}
	}
}
