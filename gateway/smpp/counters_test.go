package smpp

import (
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

// count gives Counters whose fields are n, 2n, 3n...
func count(n uint64) (c Counters) {
	for v, i := reflect.ValueOf(&c).Elem(), 0; i < v.NumField(); i++ {
		v.Field(i).SetUint(n * uint64(i+1))
	}
	return c
}

func TestCountersAdd(t *testing.T) {
	c := count(1)
	c.Add(count(10))
	if c != count(11) {
		t.Fatalf("%+v", c)
	}
}

// TestTotalsNeverFall: what a connection counted stays in the sum when its row is gone, also what is counted after that.
func TestTotalsNeverFall(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		p := w.net.next().accept()
		first, second := w.send("one"), w.send("two")
		seq, _ := p.submit()
		p.respond(seq, "1")
		w.outcome(first)
		seq, _ = p.submit()
		if got := w.conns.Totals(); got.Sent != 1 || got.Bound != 1 {
			t.Fatalf("%+v", got)
		}
		w.apply() // the second is in flight
		if got := w.conns.Totals(); got.Sent != 1 || got.Bound != 1 {
			t.Fatalf("while it ends: %+v", got)
		}
		p.respond(seq, "2")
		w.outcome(second)
		if got := w.conns.Totals(); got.Sent != 2 {
			t.Fatalf("after the end of what was in flight: %+v", got)
		}
		p.unbinds()
		synctest.Wait()
		if got := w.conns.Totals(); got.Sent != 2 || got.Bound != 1 || len(w.conns.totals.going) != 0 {
			t.Fatalf("after its end: %+v, %d on their way", got, len(w.conns.totals.going))
		}
		w.apply(row()) // the same name again counts from zero
		w.net.next().accept()
		if got := w.conns.Totals(); got.Sent != 2 || got.Bound != 2 || w.status().Bound != 1 {
			t.Fatalf("with the name again: %+v, and its own %+v", got, w.status())
		}
	})
}

func TestResponseTime(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row(func(c *sms.ConnectionConfig) { c.Window = 3 }))
		p := w.net.next().accept()
		began := time.Now()
		quick, slow, never := w.send("quick"), w.send("slow"), w.send("never")
		one, _ := p.submit()
		two, _ := p.submit()
		p.submit()
		time.Sleep(40 * time.Millisecond)
		p.respond(one, "1")
		time.Sleep(3 * time.Second)
		p.send(wire.CmdSubmitSMResp, wire.StatusSystemError, two, nil)
		for _, i := range []int{quick, slow} {
			if o := w.outcome(i); !o.Begun.Equal(began) {
				t.Errorf("%+v began at %v, want %v", o, o.Begun, began)
			}
		}
		w.kill()
		w.outcome(never)
		s := w.conns.ResponseTimes()["acme"]
		if s.Count != 2 || s.Sum != 40*time.Millisecond+3040*time.Millisecond {
			t.Fatalf("%d answers in %v: what was not answered is not counted", s.Count, s.Sum)
		}
	})
}
