package smpp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

func TestReloadLeavesWhatDidNotChange(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		if c := w.apply(row()); !slices.Equal(c.Added, []string{"acme"}) || c.Unchanged != 0 {
			t.Fatalf("%+v", c)
		}
		p := w.net.next().accept()
		i := w.send("x")
		seq, _ := p.submit()
		if c := w.apply(row()); c.Unchanged != 1 || c.Added != nil || c.Changed != nil || c.Removed != nil {
			t.Fatalf("%+v", c)
		}
		p.respond(seq, "1")
		w.wantFate(i, sms.Accepted, 0, 0)
		if s := w.status(); w.net.dialed() != 1 || s.Binds[0].ID != "acme#1" || len(w.handler.downs) != 0 {
			t.Fatalf("%+v", s)
		}
	})
}

// A change waits for the answers to what is in flight, unbinds, and only then binds anew; what was queued goes by the new bind.
func TestReloadOfAChange(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row(func(c *sms.ConnectionConfig) { c.Window = 1 }))
		p := w.net.next().accept()
		one := w.send("one")
		queued := w.send("ü€") // it is encoded anew for what the new row says
		seq, _ := p.submit()
		c := w.apply(row(func(c *sms.ConnectionConfig) { c.Window, c.Alphabet = 3, sms.AlphabetLatin1 }))
		if !slices.Equal(c.Changed, []string{"acme"}) {
			t.Fatalf("%+v", c)
		}
		after := w.send("after")
		w.open(queued)
		s := w.status()
		if w.net.dialed() != 1 || s.Queued != 2 || len(s.Binds) != 2 || s.Binds[1].State != BindUnbinding || s.Binds[0].ID != "acme#2" {
			t.Fatalf("%+v", s)
		}
		p.send(wire.CmdDeliverSM, 0, 9, deliver("new work"))
		p.want(wire.CmdDeliverSMResp, 9, wire.StatusSystemError)
		time.Sleep(2 * time.Second)
		p.respond(seq, "1")
		p.unbinds()
		w.wantFate(one, sms.Accepted, 0, 0)
		if len(w.handler.downs) != 1 || w.handler.downs[0] != "unbound by us" || w.handler.inFlight[0] != 0 {
			t.Fatalf("%q %v", w.handler.downs, w.handler.inFlight)
		}

		p = w.net.next().accept()
		seq, sm := p.submit()
		if sm.DataCoding != 8 {
			t.Fatalf("%+v", sm)
		}
		p.respond(seq, "2")
		seq, _ = p.submit()
		p.respond(seq, "3")
		w.wantFate(queued, sms.Accepted, 0, 0)
		w.wantFate(after, sms.Accepted, 0, 0)
		if s := w.status(); s.Sent != 3 || len(s.Binds) != 1 || s.Binds[0].Window != 3 {
			t.Fatalf("%+v", s)
		}
	})
}

func TestReloadFinishesWhatWasBegun(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row(func(c *sms.ConnectionConfig) { c.Window = 1 }))
		p := w.net.next().accept()
		i := w.send(strings.Repeat("x", 400))
		seq, _ := p.submit()
		w.apply()
		for range 2 {
			p.respond(seq, "id")
			seq, _ = p.submit()
		}
		p.respond(seq, "id")
		p.unbinds()
		w.wantFate(i, sms.Accepted, 0, 0)
		if len(w.conns.Names()) != 0 {
			t.Fatal(w.conns.Names())
		}
	})
}

func TestReloadWaitsNoLongerThanResponseTimeout(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.handler.hold = true
		w.apply(row())
		p := w.net.next().accept()
		start := time.Now()
		p.send(wire.CmdDeliverSM, 0, 1, deliver("never answered by us"))
		i := w.send("never answered by them")
		p.submit()
		time.Sleep(3 * time.Second)
		p.send(wire.CmdDeliverSM, 0, 2, deliver("they live"))
		synctest.Wait()
		w.apply()
		p.unbinds()
		if d := time.Since(start); d != 13*time.Second {
			t.Fatalf("unbound after %v", d)
		}
		w.wantFate(i, sms.Unknown, sms.Temporary, sms.CauseNoAnswer)
	})
}

// Our answers to what the peer sent are waited for, too.
func TestReloadWaitsForOurAnswers(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.handler.hold = true
		w.apply(row())
		p := w.net.next().accept()
		p.send(wire.CmdDeliverSM, 0, 1, deliver("x"))
		synctest.Wait()
		w.apply()
		time.Sleep(time.Second)
		go w.handler.held[0](wire.StatusOK)
		p.want(wire.CmdDeliverSMResp, 1, wire.StatusOK)
		p.unbinds()
	})
}

func TestRemoved(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row(func(c *sms.ConnectionConfig) { c.Window = 1 }))
		p := w.net.next().accept()
		one := w.send("one")
		queued := w.send("queued")
		seq, _ := p.submit()
		if c := w.apply(); !slices.Equal(c.Removed, []string{"acme"}) {
			t.Fatalf("%+v", c)
		}
		w.wantFate(queued, sms.NotSent, sms.Temporary, sms.CauseNotReady)
		w.wantFate(w.send("after"), sms.NotSent, sms.Configuration, sms.CauseNotReady)
		p.respond(seq, "1")
		p.unbinds()
		w.wantFate(one, sms.Accepted, 0, 0)
	})
}

// done is called without a lock: what it is told may lead to a reload, or to the next try of the same message.
func TestDoneMayCallBack(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		for _, end := range []func(){
			func() { w.apply() },
			func() { _ = w.conns.Disable("acme") },
			func() { w.conns.Close(t.Context()) },
		} {
			w.apply(row(func(c *sms.ConnectionConfig) { c.Window = 1 }))
			p := w.net.next().accept()
			go p.swallow()
			synctest.Wait()
			var told atomic.Int32
			m := &sms.Message{To: sms.ParseAddress("1"), Text: "x"}
			for range 3 { // one is sent and two wait
				w.conns.Submit("acme", m, func(sms.Outcome) {
					told.Add(1)
					w.conns.Submit("acme", m, func(sms.Outcome) { told.Add(1) })
					w.conns.Status()
					_ = w.conns.Rebind("acme")
					w.apply()
				})
			}
			go end()
			time.Sleep(time.Hour)
			if n := told.Load(); n != 6 {
				t.Fatalf("told %d times", n)
			}
		}
	})
}

func TestNewBindsThatFailEndTheWait(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		go w.net.next().serve()
		synctest.Wait()
		w.net.stop(errors.New("connection refused"))
		w.apply(row(func(c *sms.ConnectionConfig) { c.Port = 2776 }))
		i := w.send("x")
		w.wantFate(i, sms.NotSent, sms.Temporary, sms.CauseNotReady)
		if o := w.outcome(i); o.Detail != "connection refused" {
			t.Fatalf("%+v", o)
		}
	})
}

func TestEnableDisableRebind(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		for _, f := range []func(string) error{w.conns.Enable, w.conns.Disable, w.conns.Rebind} {
			if err := f("nobody"); !errors.Is(err, ErrUnknownConnection) {
				t.Fatal(err)
			}
		}
		w.apply(row())
		do := func(f func(string) error) {
			t.Helper()
			if err := f("acme"); err != nil {
				t.Fatal(err)
			}
		}
		p := w.net.next().accept()
		do(w.conns.Enable) // it is
		do(w.conns.Disable)
		p.unbinds()
		if s := w.status(); s.State != ConnectionDisabled || s.Enabled || len(s.Binds) != 0 {
			t.Fatalf("%+v", s)
		}
		do(w.conns.Disable)
		do(w.conns.Rebind) // nothing to bind
		if c := w.apply(row()); c.Unchanged != 1 || w.net.dialed() != 1 {
			t.Fatalf("%+v", c)
		}
		do(w.conns.Enable)
		p = w.net.next().accept()
		do(w.conns.Rebind)
		i := w.send("waits for the new bind")
		p.unbinds()
		p = w.net.next().accept()
		seq, _ := p.submit()
		p.respond(seq, "1")
		w.wantFate(i, sms.Accepted, 0, 0)

		p.conn.Close()
		synctest.Wait()
		start := time.Now()
		do(w.conns.Rebind) // does not wait for the next try
		w.net.next().accept()
		if time.Since(start) != 0 {
			t.Fatalf("rebound after %v", time.Since(start))
		}
	})
}

// What was queued before a reload leaves before what comes during it.
func TestReloadKeepsTheOrder(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row(func(c *sms.ConnectionConfig) { c.Window, c.QueueTimeout = 1, time.Minute }))
		p := w.net.next().accept()
		w.send("0")
		w.send("1")
		w.send("2")
		seq, _ := p.submit()
		w.conns.mu.Lock()
		_, after := w.conns.apply([]sms.ConnectionConfig{row(func(c *sms.ConnectionConfig) { c.Window, c.QueueTimeout = 2, time.Minute })})
		w.conns.mu.Unlock()
		w.send("3")
		for _, f := range after {
			f()
		}
		p.respond(seq, "0")
		p.unbinds()
		p = w.net.next().accept()
		for i := 1; i <= 3; i++ {
			seq, sm := p.submit()
			if text := string(sm.ShortMessage); text != strconv.Itoa(i) {
				t.Errorf("%s left as number %d", text, i)
			}
			p.respond(seq, strconv.Itoa(i))
		}
	})
}

func TestReloadTwiceWhileOldBindsFinish(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		p := w.net.next().accept()
		one := w.send("one")
		seq, _ := p.submit()
		w.apply(row(func(c *sms.ConnectionConfig) { c.Window = 3 }))
		two := w.send("two")
		w.apply(row(func(c *sms.ConnectionConfig) { c.Window = 4 }))
		w.open(two)
		p.respond(seq, "1")
		p.unbinds()
		p = w.net.next().accept()
		seq, _ = p.submit()
		p.respond(seq, "2")
		w.wantFate(one, sms.Accepted, 0, 0)
		w.wantFate(two, sms.Accepted, 0, 0)
		if s := w.status(); w.net.dialed() != 2 || s.Binds[0].Window != 4 {
			t.Fatalf("%+v", s)
		}
	})
}

func TestReloadOfThreeAmongMany(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		rows := make([]sms.ConnectionConfig, 500)
		for i := range rows {
			rows[i] = row(func(c *sms.ConnectionConfig) { c.Name = fmt.Sprintf("c%03d", i) })
		}
		serve := func(n int) {
			for range n {
				go w.net.next().serve()
			}
			synctest.Wait()
		}
		w.apply(rows...)
		serve(500)
		rows[100].Window = 7
		rows[200].Password = "another"
		changed := append(slices.Clone(rows[:300]), rows[301:]...)
		changed = append(changed, row())
		c := w.apply(changed...)
		if !slices.Equal(c.Changed, []string{"c100", "c200"}) || !slices.Equal(c.Removed, []string{"c300"}) ||
			!slices.Equal(c.Added, []string{"acme"}) || c.Unchanged != 497 {
			t.Fatalf("%+v", c)
		}
		serve(3)
		if w.net.dialed() != 503 || len(w.handler.downs) != 3 {
			t.Fatalf("%d dials, %d binds down", w.net.dialed(), len(w.handler.downs))
		}
		for _, s := range w.conns.Status() {
			if s.State != ConnectionBound {
				t.Fatalf("%+v", s)
			}
		}
	})
}

func TestClose(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row(func(c *sms.ConnectionConfig) { c.Window = 1 }))
		p := w.net.next().accept()
		one := w.send("one")
		queued := w.send("queued")
		seq, _ := p.submit()
		closed := make(chan struct{})
		go func() {
			w.conns.Close(context.Background())
			close(closed)
		}()
		w.wantFate(queued, sms.NotSent, sms.Temporary, sms.CauseShutdown)
		w.wantFate(w.send("after"), sms.NotSent, sms.Temporary, sms.CauseShutdown)
		p.respond(seq, "1")
		p.unbinds()
		<-closed
		w.wantFate(one, sms.Accepted, 0, 0)
		if c := w.apply(row(func(c *sms.ConnectionConfig) { c.Name = "late" })); len(c.Added) != 0 {
			t.Fatalf("%+v", c)
		}
	})
}

func TestCloseWithADeadline(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		p := w.net.next().accept()
		i := w.send("x")
		p.submit()
		start := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		w.conns.Close(ctx)
		if d := time.Since(start); d != 3*time.Second {
			t.Fatalf("closed after %v", d)
		}
		p.closed()
		w.wantFate(i, sms.Unknown, sms.Temporary, sms.CauseNoAnswer)
	})
}

// Sockets come and go while many goroutines submit and rows change: every message ends once.
func TestEveryMessageEndsOnce(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row(func(c *sms.ConnectionConfig) { c.Binds, c.Window = 3, 5 }))
		stop := make(chan struct{})
		go func() {
			for i := 0; ; i++ {
				select {
				case conn := <-w.net.socket:
					p := &peer{t, conn, wire.NewReader(conn, 0)}
					go func() {
						if i%2 == 1 {
							p.serve()
							return
						}
						p.yes() // it binds, takes some messages, and dies without a word
						time.AfterFunc(20*time.Millisecond, func() { conn.Close() })
						p.swallow()
					}()
				case <-stop:
					return
				}
			}
		}()
		synctest.Wait()
		for i := range 2000 {
			w.send(strings.Repeat("x", 1+i%500))
			if i%10 == 0 {
				time.Sleep(time.Millisecond)
			}
			if i%300 == 0 {
				w.apply(row(func(c *sms.ConnectionConfig) { c.Binds, c.Window = 3, 5+i }))
			}
		}
		time.Sleep(time.Minute)
		close(stop)
		accepted := 0
		for i := 1; i <= w.sent; i++ {
			if w.outcome(i).Fate == sms.Accepted {
				accepted++
			}
		}
		if accepted == 0 || accepted == w.sent {
			t.Fatalf("%d of %d accepted: the test shows nothing", accepted, w.sent)
		}
	})
}

func TestPartly(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row(func(c *sms.ConnectionConfig) { c.Binds = 2 }))
		w.net.next().accept()
		p := w.net.next()
		h, _ := p.read(wire.CmdBindTransceiver)
		p.send(h.Command.Resp(), wire.StatusAlreadyBound, h.Sequence, nil)
		s := w.status()
		if s.State != ConnectionPartly || len(s.Binds) != 2 || s.Binds[0].ID == s.Binds[1].ID {
			t.Fatalf("%+v", s)
		}
	})
}

func TestUnbindIsNeverAnswered(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.apply(row())
		p := w.net.next().accept()
		start := time.Now()
		w.apply()
		p.read(wire.CmdUnbind)
		p.closed()
		if d := time.Since(start); d != 10*time.Second {
			t.Fatalf("closed after %v", d)
		}
		synctest.Wait()
		if len(w.handler.downs) != 1 || !strings.Contains(w.handler.downs[0], "did not answer the unbind") {
			t.Fatalf("%q", w.handler.downs)
		}
	})
}

func TestQueueKeepsTheOrder(t *testing.T) {
	var q queue
	in, out := 0, 0
	for range 1000 {
		for range 3 {
			q.push(&submission{next: in})
			in++
		}
		for range 2 {
			if got := q.front().next; got != out {
				t.Fatalf("%d, want %d", got, out)
			}
			q.pop()
			out++
		}
	}
	if rest := q.take(); q.len() != 0 || len(rest) != in-out || rest[0].next != out || cap(rest) > 3*len(rest) {
		t.Fatalf("%d of %d left, room for %d", len(rest), in-out, cap(rest))
	}
}
