package events

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newDurableRig(t, newFakeJournal(), 0)
		r.publish(1, 2) // before there is any
		d := r.put("crm", "E_MESSAGE_*")
		r.hub.Publish(Unthrottled{Connection: "acme"}) // 3: the filter does not take it
		r.publish(4, 6)
		s := r.take(d, 100)
		r.want(r.got(s), "4 5 6")
		r.ack(s, 5)
		s.Close()
		r.publish(7, 8)

		s = r.take(d, 100)
		r.want(r.got(s), "6 7 8")
		other := r.take(d, 100)
		r.want(r.got(s), ErrTakenOver.Error())
		r.want(r.got(other), "6 7 8")
		if info, err := d.Info(t.Context()); err != nil || info.Waiting != 3 || info.Peer != "test" {
			t.Errorf("%+v, %v", info, err)
		}
		// Another process goes on, with another hub.
		last, _ := r.hub.Seal()
		next := newDurableRig(t, r.journal, last)
		again, _ := next.set.Find("crm")
		next.publish(9, 9)
		s = next.take(again, 100)
		next.want(next.got(s), "6 7 8 9")
		next.ack(s, 9)
		if info, err := again.Info(t.Context()); err != nil || info.Waiting != 0 || !info.Since.IsZero() {
			t.Errorf("%+v, %v", info, err)
		}
		if err := next.set.Delete(t.Context(), "crm"); err != nil {
			t.Error(err)
		}
		next.want(next.got(s), ErrEnded.Error())
		if next.set.Any() || len(r.journal.rows) > 0 {
			t.Error("it is still there")
		}
	})
}

// Who takes a subscription while it is ended, or the node ends, has it for no longer than that.
func TestTakeAtTheEnd(t *testing.T) {
	for i := range 100 {
		r := newDurableRig(t, newFakeJournal(), 0)
		d := r.put("crm", "")
		var takers sync.WaitGroup
		for range 1000 { // so many that they wait for one another
			takers.Go(func() {
				for err := error(nil); err == nil; {
					_, err = d.Take("test", 1)
				}
			})
		}
		if i%2 == 0 {
			r.set.Close()
		} else if err := r.set.Delete(t.Context(), "crm"); err != nil {
			t.Fatal(err)
		}
		takers.Wait()
		if _, connected := d.Standing(); connected {
			t.Fatal("somebody has it still")
		}
	}
}

// A window that is full is waited for, whoever is behind: in memory or in the journal.
func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newDurableRig(t, newFakeJournal(), 0)
		d := r.put("crm", "")
		s := r.take(d, 3)
		r.publish(1, 10)
		r.want(r.got(s), "1 2 3")
		r.ack(s, 1)
		r.want(r.got(s), "4")
		r.ack(s, 4)
		r.want(r.got(s), "5 6 7")
		s.Close()
		s = r.take(d, 3)
		r.want(r.got(s), "5 6 7")
		// Who knows from elsewhere what it has may say so before it was given it.
		r.ack(s, 9)
		r.want(r.got(s), "10")
		if err := s.Ack(11); !errors.Is(err, ErrAck) {
			t.Errorf("acknowledged what is not published: %v", err)
		}
		r.ack(s, 3) // late, and nothing new
		r.ack(s, 10)
		if n := len(r.journal.rows[d.id]); n > 0 {
			t.Errorf("%d rows are left", n)
		}
	})
}

// A subscription stalls while something waits and nothing is acknowledged, whether it is connected or not.
func TestStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newDurableRig(t, newFakeJournal(), 0)
		d := r.put("crm", "")
		stalled := func(want time.Duration) {
			t.Helper()
			synctest.Wait()
			if got := d.Stalled(); got != want {
				t.Errorf("stalled for %s, want %s", got, want)
			}
		}
		time.Sleep(time.Minute)
		stalled(0)
		r.publish(1, 2)
		stalled(0)
		time.Sleep(time.Minute)
		r.publish(3, 3)
		stalled(time.Minute)
		s := r.take(d, 10)
		r.ack(s, 2)
		stalled(0)
		time.Sleep(time.Second)
		stalled(time.Second)
		r.ack(s, 3)
		time.Sleep(time.Second)
		stalled(0)
	})
}

// What does not fit the memory is read from the journal, in order, with nothing twice.
func TestTailBeyondMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newFakeJournal()
		r := newDurableRig(t, j, 0)
		r.set.limits.Events = 10_000
		d := r.put("crm", "")
		const n = maxTail + 500
		r.publish(1, n)
		synctest.Wait()
		if len(d.tail) != maxTail {
			t.Errorf("%d in memory", len(d.tail))
		}
		s := r.take(d, MaxWindow)
		want := make([]string, n)
		for i := range want {
			want[i] = fmt.Sprint(i + 1)
		}
		r.want(r.got(s), strings.Join(want, " "))
		before := j.reads
		r.publish(n+1, n+5)
		r.want(r.got(s), fmt.Sprintf("%d %d %d %d %d", n+1, n+2, n+3, n+4, n+5))
		if j.reads != before {
			t.Error("who keeps up is served from the journal")
		}
	})
}

// At a limit the oldest go, and the subscriber is told how many.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newDurableRig(t, newFakeJournal(), 0)
		d := r.put("crm", "")
		r.publish(1, 45)
		other := r.put("other", "")
		r.publish(46, 60) // ten more than may wait
		synctest.Wait()
		s := r.take(d, 1000)
		all := r.got(s)
		if !strings.HasPrefix(all, "[1-11 11] 12 13") || !strings.HasSuffix(all, " 60") {
			t.Error(all)
		}
		r.ack(s, 20)
		time.Sleep(2 * time.Hour) // all are too old
		s.Close()
		s = r.take(d, 1000)
		r.want(r.got(s), "[21-60 40]")
		// The loss stays until it is heard, and grows.
		s.Close()
		r.publish(61, 61)
		time.Sleep(2 * time.Hour)
		s = r.take(d, 1000)
		r.want(r.got(s), "[21-61 41]")
		so := r.take(other, 1000)
		r.want(r.got(so), "[46-61 16]")

		if _, err := r.set.Put(t.Context(), Spec{Name: "third"}); err != nil {
			t.Error(err)
		}
		if _, err := r.set.Put(t.Context(), Spec{Name: "fourth"}); !errors.Is(err, ErrTooManyDurable) {
			t.Errorf("a fourth of three: %v", err)
		}
		s.Close()
		time.Sleep(25 * time.Hour) // nobody connects to crm and third
		if _, ok := r.set.Find("crm"); ok {
			t.Error("it is not ended though nobody wants it")
		}
		if _, ok := r.set.Find("other"); !ok {
			t.Error("it is ended though its subscriber is connected")
		}
	})
}

func TestPutRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newDurableRig(t, newFakeJournal(), 0)
		r.put("crm", "")
		for name, tt := range map[string]struct {
			spec Spec
			want error
		}{
			"no name":      {Spec{}, ErrDurableName},
			"a bad name":   {Spec{Name: "a b"}, ErrDurableName},
			"a long name":  {Spec{Name: strings.Repeat("x", 129)}, ErrDurableName},
			"another's":    {Spec{Name: "crm", Owner: "shop"}, ErrDurableOwner},
			"another kind": {Spec{Name: "crm", URL: "https://example.org/"}, ErrDurableKind},
		} {
			if _, err := r.set.Put(t.Context(), tt.spec); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		// Another filter holds from here on.
		d := r.put("crm", "E_SMPP_*")
		r.publish(1, 1)
		r.hub.Publish(Unthrottled{})
		if list := r.set.All(); len(list) != 1 || list[0] != d || d.Spec().Filter.String() != "E_SMPP_*" {
			t.Errorf("%v", list)
		}
		synctest.Wait()
		if n := len(r.journal.rows[d.id]); n != 1 {
			t.Errorf("%d events wait", n)
		}
	})
}

// While the journal cannot be written nothing is given, nothing is lost, and the order stays.
func TestUnwritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newFakeJournal()
		r := newDurableRig(t, j, 0)
		d := r.put("crm", "")
		s := r.take(d, 1000)
		r.publish(1, 1)
		r.want(r.got(s), "1")
		j.set(false, nil)
		r.publish(2, 4)
		j.set(false, errors.New("the disk is full"))
		j.step(1) // 2 fails
		j.set(false, nil)
		j.step(2) // 3 and 4, which were queued before that was known, succeed
		r.want(r.got(s), "")
		r.publish(5, 5)
		flushed := make(chan error, 1)
		r.set.Flush(func(err error) { flushed <- err })
		if err := <-flushed; !errors.Is(err, ErrUnwritten) {
			t.Errorf("flushed: %v", err)
		}
		j.set(true, nil)
		time.Sleep(2 * rewritePause)
		r.want(r.got(s), "2 3 4 5")
		r.publish(6, 6)
		r.want(r.got(s), "6")
		r.ack(s, 6)
		r.set.Flush(func(err error) { flushed <- err })
		if err := <-flushed; err != nil || len(j.rows[d.id]) > 0 {
			t.Errorf("%v, %d left", err, len(j.rows[d.id]))
		}
	})
}

// Events that come without a pause keep none waiting: once the journal takes some again it takes all of them.
func TestUnwrittenWhileEventsCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newFakeJournal()
		r := newDurableRig(t, j, 0)
		s := r.take(r.put("crm", ""), 1000)
		j.set(true, errors.New("the disk is full"))
		r.publish(1, 2)
		synctest.Wait()
		j.set(false, nil)
		time.Sleep(rewritePause)
		synctest.Wait()
		r.publish(3, 3) // while those are being written
		j.step(2)
		synctest.Wait()
		flushed := make(chan error, 1)
		r.set.Flush(func(err error) { flushed <- err })
		j.step(len(j.pending))
		if err := <-flushed; err != nil {
			t.Errorf("flushed: %v", err)
		}
		r.want(r.got(s), "1 2 3")
	})
}

// What waits to be written when the node ends is written with the last of it.
func TestUnwrittenAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newFakeJournal()
		r := newDurableRig(t, j, 0)
		d := r.put("crm", "")
		j.set(true, errors.New("the disk is full"))
		r.publish(1, 2)
		synctest.Wait()
		j.set(true, nil)
		r.set.Close()
		synctest.Wait()
		if n := len(j.rows[d.id]); n != 2 {
			t.Errorf("%d of 2 events are in the journal", n)
		}
	})
}

// What waits to be written holds up nobody whom it is not for, and who was held up goes on.
func TestUnwrittenForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newFakeJournal()
		r := newDurableRig(t, j, 0)
		all, some := r.take(r.put("all", ""), 100), r.take(r.put("some", "E_MESSAGE_*"), 100)
		j.set(false, nil)
		r.hub.Publish(Unthrottled{Connection: "acme"})
		r.publish(2, 3)
		j.set(false, errors.New("the disk is full"))
		j.step(1) // the first fails, the others do not
		j.set(false, nil)
		j.step(2)
		r.want(r.got(some), "2 3")
		r.want(r.got(all), "")
		j.set(true, nil)
		time.Sleep(2 * rewritePause)
		r.want(r.got(all), "2 3") // behind the first, which has no attempt
		r.publish(4, 4)
		r.want(r.got(all), "4")
		r.want(r.got(some), "4")
		r.ack(all, 4)
		r.ack(some, 4)
	})
}

// What cannot be written by its own fault is lost, and told; what is beyond the bound too.
func TestUnkeepable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newFakeJournal()
		r := newDurableRig(t, j, 0)
		r.set.limits.Events, r.set.limits.Octets = 100_000, 1<<30
		s := r.take(r.put("crm", ""), MaxWindow)
		j.auto, j.spoiled = false, 2
		r.publish(1, 3)
		j.step(3)
		j.set(true, nil)
		time.Sleep(2 * rewritePause)
		r.want(r.got(s), "1 [2-2 1] 3")

		j.set(true, errors.New("away"))
		r.publish(4, 4)
		synctest.Wait()
		r.publish(5, maxUnwritten+8)
		synctest.Wait()
		j.set(true, nil)
		time.Sleep(2 * rewritePause)
		got := r.got(s)
		if !strings.HasPrefix(got, "[4-9 6]") {
			t.Errorf("%.80s", got)
		}
	})
}

// An event that was noted drops its note with its own write, whether anybody takes it or not.
func TestPublishNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newDurableRig(t, newFakeJournal(), 0)
		s := r.take(r.put("crm", "E_MESSAGE_*"), 10)
		if !r.set.Wants(deferred(1)) || r.set.Wants(Unthrottled{}) {
			t.Error("what it wants")
		}
		r.set.PublishNoted(deferred(1), "first")
		r.set.PublishNoted(Unthrottled{}, "second")
		r.want(r.got(s), "1")
		if fmt.Sprint(r.journal.notes) != "[first second]" {
			t.Errorf("dropped %v", r.journal.notes)
		}
	})
}

// The numbers go on, are reserved before they are used, and end.
func TestSequence(t *testing.T) {
	h := NewHub("gw", 10)
	var upTo []uint64
	h.Continue(100, 10, func(n uint64) { upTo = append(upTo, n) })
	for range 12 {
		h.Publish(deferred(1))
	}
	if fmt.Sprint(upTo) != "[115 120]" {
		t.Errorf("reserved %v", upTo)
	}
	if n := h.Published(); n != 12 {
		t.Errorf("%d published", n)
	}
	if last, reserved := h.Seal(); last != 112 || reserved != 120 {
		t.Errorf("sealed at %d of %d", last, reserved)
	}
	h.Publish(deferred(1))
	if h.Seq() != 112 {
		t.Error("an event behind the end")
	}
	s := h.Subscribe(Filter{}, After(90))
	if got := take(t, s); got[0] != -91 || got[1] != -102 || got[2] != 103 {
		t.Errorf("%v", got)
	}
}

func TestFilterText(t *testing.T) {
	f := mustFilter(t, "E_MESSAGE_*,E_SMPP_*,connection=acme,to=+49*")
	f, err := f.Where("from", "a,b")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []Filter{{}, f, f.Within([]string{"E_*"}, nil, []string{"100"})} {
		text, err := f.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var read Filter
		if err := read.UnmarshalText(text); err != nil || fmt.Sprint(read) != fmt.Sprint(f) || (read.within == nil) != (f.within == nil) {
			t.Errorf("%s: %+v, %v", text, read, err)
		}
		for _, e := range []Event{MessageReceived{From: "a,b", To: "+491"}, MessageReceived{From: "100", To: "+491"}, Unthrottled{"acme"}} {
			if read.Takes(e) != f.Takes(e) {
				t.Errorf("%s: %+v", text, e)
			}
		}
	}
}
