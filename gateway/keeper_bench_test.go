package gateway_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// many hands n messages to the gateway, a thousand at a time, to as many recipients as there are.
func (r *rig) many(b *testing.B, n, recipients int, want func(sms.Outcome) bool) {
	from := sms.ParseAddress("100")
	room := make(chan struct{}, 1000)
	for i := range n {
		room <- struct{}{}
		m := &sms.Message{
			Ingress: sms.MI, From: from, To: sms.ParseAddress(fmt.Sprintf("+49151%07d", i%recipients)), Text: "Your code is 123456.",
			Received: time.Now(),
		}
		r.gw.Accept(m, func(o sms.Outcome) {
			if !want(o) {
				b.Error(o)
			}
			<-room
		})
	}
	for range cap(room) {
		room <- struct{}{}
	}
}

func deferred(o sms.Outcome) bool { return o.Deferred }

// What it costs to keep a message that nobody takes now.
func BenchmarkKeep(b *testing.B) {
	r := newRig(b, gatewaytest.SMSCConfig{Keep: -1}, nil)
	r.down()
	b.ReportAllocs()
	b.ResetTimer()
	r.many(b, b.N, 10_000, deferred)
}

// What it costs to send one that was kept, with 100 slots in the window and the recipients many or few.
func BenchmarkDrain(b *testing.B) {
	for _, recipients := range []int{1_000_000, 100} {
		b.Run(fmt.Sprint(recipients, "recipients"), func(b *testing.B) {
			r := newRig(b, gatewaytest.SMSCConfig{Keep: -1}, func(c *sms.ConnectionConfig) { c.Window = 100 })
			r.down()
			r.many(b, b.N, recipients, deferred)
			b.ReportAllocs()
			b.ResetTimer()
			r.back()
			r.emptied()
		})
	}
}

// What a million that wait cost at the start, and in memory.
func BenchmarkStartWithMillion(b *testing.B) {
	r := newRig(b, gatewaytest.SMSCConfig{Keep: -1}, nil)
	r.down()
	r.stop(r.gw)
	db, err := store.Open(b.Context(), r.config.DB)
	if err != nil {
		b.Fatal(err)
	}
	const n = 1_000_000
	ids, now := sms.NewIDs(), time.Now()
	room := make(chan struct{}, 2000)
	for i := range n {
		room <- struct{}{}
		m := &sms.Message{
			ID: ids.Next(), Ingress: sms.SIP, From: sms.ParseAddress("100"), To: sms.ParseAddress(fmt.Sprintf("+49151%07d", i)),
			Text: "Your code is 123456.", Received: now,
		}
		db.Insert(&store.Record{Message: m, State: store.RecordDeferred, Deferral: &store.Deferral{
			ID: m.ID, Target: "smpp:smsc", Queue: int64(i) + 1, Next: now, GiveUp: now.Add(72 * time.Hour), Octets: len(m.Text), Changed: now,
		}}, func(err error) {
			if err != nil {
				b.Error(err)
			}
			<-room
		})
	}
	for range cap(room) {
		room <- struct{}{}
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b.ResetTimer()
	for b.Loop() {
		r.start()
		b.StopTimer()
		runtime.GC()
		runtime.ReadMemStats(&after)
		if n := statistic(r, "deferred", "waiting"); n != 1_000_000 {
			b.Errorf("%d wait", n)
		}
		r.stop(r.gw)
		b.StartTimer()
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MB")
}
