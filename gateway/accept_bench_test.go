package gateway_test

import (
	"testing"
	"time"

	"sipsmpp/gateway"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/sms"
)

// What a message costs that a connection takes at once: in memory alone, and with the record of every message.
func BenchmarkAccept(b *testing.B) {
	for _, records := range []string{"pending", "all"} {
		b.Run("records "+records, func(b *testing.B) { benchAccept(b, records) })
	}
}

func benchAccept(b *testing.B, records string) {
	r := newRig(b, gatewaytest.SMSCConfig{Keep: -1}, func(c *sms.ConnectionConfig) { c.Window = 100 },
		func(c *gateway.Config) { c.Records.Messages = records })
	from, to := sms.ParseAddress("100"), sms.ParseAddress("+4915112345678")
	room := make(chan struct{}, 100)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		room <- struct{}{}
		m := &sms.Message{Ingress: sms.MI, From: from, To: to, Text: "Your code is 123456.", Received: time.Now()}
		r.gw.Accept(m, func(o sms.Outcome) {
			if o.Fate != sms.Accepted {
				b.Error(o)
			}
			<-room
		})
	}
	for range cap(room) {
		room <- struct{}{}
	}
}
