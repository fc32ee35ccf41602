package sip

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sipsmpp/gateway/sms"
)

// TestComingAndGoing: users come, go, are dropped and written to all at once, each message has one outcome, and nothing is left of them.
func TestComingAndGoing(t *testing.T) {
	e := open(t, Config{Domain: "example.com", Registrar: true, T1: 10 * time.Millisecond, TimerF: 100 * time.Millisecond}, nil)
	e.SetUsers([]sms.SIPUser{al("100")})
	end := time.Now().Add(400 * time.Millisecond)
	var all sync.WaitGroup
	var sent, told, registered atomic.Int64
	for i := range 8 {
		all.Go(func() {
			for seq := 2; time.Now().Before(end); seq++ {
				conn, r := dialTCP(t, e)
				phone := &handset{t: t, conn: conn, r: r, via: "TCP"}
				contact := fmt.Sprintf("sip:al%d@x.invalid", i)
				request := func(seq int) string {
					return phone.request(seq, "sip:al@127.0.0.1:40000", contact, "r1@", fmt.Sprintf("%d-%d@", i, seq))
				}
				phone.write(request(1))
				phone.write(withCredentials(t, request(2), phone.read(), "al"))
				phone.read() // the 200, or a message that overtook it
				registered.Add(1)
				_ = conn.Close()
			}
		})
	}
	for range 2 {
		all.Go(func() {
			for time.Now().Before(end) {
				sent.Add(1)
				e.Send(&sms.Message{From: sms.ParseAddress("+491"), To: sms.ParseAddress("100"), Text: "hi"}, func(sms.Outcome) { told.Add(1) })
				time.Sleep(100 * time.Microsecond)
			}
		})
	}
	all.Go(func() {
		for time.Now().Before(end) {
			for _, c := range e.Contacts("al") {
				e.DropContacts("al", c.ID.String(), func(error) {})
			}
			e.registrar.expire(time.Now())
			e.SetUsers([]sms.SIPUser{al("100")})
			time.Sleep(time.Millisecond)
		}
	})
	all.Wait()
	for limit := time.Now().Add(5 * time.Second); sent.Load() != told.Load() || len(e.Contacts("")) > 0; {
		if time.Now().After(limit) {
			t.Fatalf("%d messages, %d outcomes, %d contacts", sent.Load(), told.Load(), len(e.Contacts("")))
		}
		time.Sleep(time.Millisecond)
	}
	inFlight := e.Stats().InFlight
	e.registrar.mu.Lock()
	flows := len(e.registrar.flows)
	e.registrar.mu.Unlock()
	if flows > 0 || registered.Load() < 10 || inFlight > 0 {
		t.Errorf("%d flows are left; %d came; %d in flight", flows, registered.Load(), inFlight)
	}
	for i := range e.lanes.shards {
		if n := len(e.lanes.shards[i].m); n > 0 {
			t.Errorf("%d lanes are left", n)
		}
	}
}
