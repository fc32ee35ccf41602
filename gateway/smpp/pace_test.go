package smpp

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

// A peer that takes 20 segments a second and says so with 0x58 gets about that, over two binds together, and is found again at
// its full rate when it takes more.
func TestPaceFindsWhatThePeerTakes(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row(func(c *sms.ConnectionConfig) { c.Binds, c.Window, c.QueueTimeout = 2, 50, time.Hour }))
		var mu sync.Mutex
		takes, second, inSecond, refused, accepted := 20, time.Now(), 0, 0, 0
		verdict := func() wire.Status {
			mu.Lock()
			defer mu.Unlock()
			if now := time.Now(); now.Sub(second) >= time.Second {
				second, inSecond = now, 0
			}
			if inSecond++; inSecond > takes {
				refused++
				return wire.StatusThrottled
			}
			accepted++
			return wire.StatusOK
		}
		a, b := w.net.next().accept(), w.net.next().accept()
		for _, p := range []*peer{a, b} {
			go func() {
				for {
					h, _, err := p.r.Next()
					if err != nil {
						return
					}
					status := wire.StatusOK
					if h.Command == wire.CmdSubmitSM {
						status = verdict()
					}
					octets, _ := wire.Append(nil, wire.Header{Command: h.Command.Resp(), Status: status, Sequence: h.Sequence}, nil)
					if _, err := p.conn.Write(octets); err != nil {
						return
					}
				}
			}()
		}
		keepBusy := func(seconds int) {
			for range seconds * 10 {
				for range 20 - min(20, w.status().Queued) {
					w.send("x")
				}
				time.Sleep(100 * time.Millisecond)
			}
		}
		keepBusy(10) // to find out
		mu.Lock()
		refused, accepted = 0, 0
		mu.Unlock()
		keepBusy(20)
		mu.Lock()
		if accepted < 20*10 || accepted > 20*20 || refused > 30 {
			t.Errorf("in 20 s %d were accepted and %d refused, of %d that the peer takes", accepted, refused, 20*takes)
		}
		mu.Unlock()
		if to := w.status().ThrottledTo; to < 5 || to > 40 {
			t.Errorf("throttled to %v a second", to)
		}
		mu.Lock()
		takes, refused = 1000, 0
		mu.Unlock()
		keepBusy(30)
		s := w.status()
		mu.Lock()
		defer mu.Unlock()
		if refused != 0 || s.ThrottledTo != 0 || len(w.handler.freed) == 0 {
			t.Errorf("%d refused, throttled to %v, told %d times", refused, s.ThrottledTo, len(w.handler.freed))
		}
		if last := w.handler.throttles[len(w.handler.throttles)-1]; last.Connection != "acme" || last.Throughput < 5 || last.Throughput > 40 {
			t.Errorf("%+v", last)
		}
	})
}

func TestCongestionStateIsHeeded(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row(func(c *sms.ConnectionConfig) { c.Throughput = 100 }))
		p := w.net.next().accept()
		say := func(status wire.Status, state byte) {
			t.Helper()
			w.send("x")
			sequence, _ := p.submit()
			p.send(wire.CmdSubmitSMResp, status, sequence, &wire.SMResp{
				MessageID: "1", TLVs: wire.TLVs{{Tag: wire.TagCongestionState, Value: []byte{state}}},
			})
			synctest.Wait()
		}
		full := func() float64 { return w.status().ThrottledTo }
		say(wire.StatusOK, 79)
		if full() != 0 {
			t.Fatalf("slowed down to %v by high load", full())
		}
		for range 20 { // some traffic, to be slowed down
			say(wire.StatusOK, 0)
		}
		say(wire.StatusOK, 100)
		half := full()
		if half < 8 || half > 15 {
			t.Fatalf("slowed down to %v of some twenty a second by congestion", half)
		}
		say(wire.StatusOK, 100) // in the same second
		if full() != half || len(w.handler.throttles) != 1 || w.handler.throttles[0].Congestion != 100 || w.handler.throttles[0].Throughput != half {
			t.Fatalf("%v, %+v", full(), w.handler.throttles)
		}
		time.Sleep(time.Second)
		say(wire.StatusTemporaryAppError, 90) // in a refusal too
		if got := full(); got != half*0.9 {
			t.Fatalf("%v, want a tenth less than %v", got, half)
		}
		time.Sleep(time.Second)
		say(wire.StatusOK, 80)
		if got := full(); got != half*0.9 {
			t.Fatalf("%v, want what was just right", got)
		}
		for range 100 {
			time.Sleep(time.Second)
			say(wire.StatusOK, 10)
		}
		if full() != 0 || len(w.handler.freed) != 1 {
			t.Fatalf("still at %v", full())
		}
	})
}

func TestStatusesMoveToAnotherClass(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row(func(c *sms.ConnectionConfig) {
			c.Statuses = "0x08=permanent,0x45=configuration,0x58=temporary,0x400=throttled"
			c.QueueTimeout = time.Minute
		}))
		p := w.net.next().accept()
		for _, c := range []struct {
			status   wire.Status
			severity sms.Severity
		}{
			{0x08, sms.Permanent}, {0x45, sms.Configuration}, {0x58, sms.Temporary}, {0x0B, sms.Permanent}, {0x64, sms.Temporary},
			{0x401, sms.Temporary}, {0x400, sms.Throttled},
		} {
			i := w.send("x")
			sequence, _ := p.submit()
			p.send(wire.CmdSubmitSMResp, c.status, sequence, nil)
			w.wantFate(i, sms.Refused, c.severity, sms.CauseRefused)
		}
		if n := len(w.handler.throttles); n != 1 || w.handler.throttles[0].Status != 0x400 {
			t.Errorf("%+v", w.handler.throttles)
		}
	})
}
