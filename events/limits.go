package events

import (
	"bytes"
	"context"
	"time"
)

// Waiting is an event that waits in the journal, as what is to be dropped is decided by it.
type Waiting struct {
	Seq  uint64
	Time time.Time
	JSON []byte
}

// Cut says what Journal.Trim drops: everything up to a number, in whose place stands a loss. Count 0 drops nothing.
type Cut struct {
	UpTo   uint64
	Count  int
	Octets int64
	Time   time.Time
	Loss   []byte // the notification in its place
}

// beyond says that more waits than may.
func (d *Durable) beyond() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.isBeyond()
}

func (d *Durable) isBeyond() bool {
	return d.count > d.set.limits.Events || d.octets > d.set.limits.Octets
}

// over says that the subscription has expired, or that nobody wants it any more.
func (d *Durable) over(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.spec.Expires.IsZero() && !now.Before(d.spec.Expires) {
		return true
	}
	return d.spec.URL == "" && d.session == nil && now.Sub(d.seen) > d.set.limits.Abandoned
}

// trim drops the oldest events beyond the limits.
func (d *Durable) trim(ctx context.Context) error {
	for {
		cut, err := d.set.journal.Trim(ctx, d.id, d.cut)
		if err != nil || cut.Count == 0 {
			return err
		}
		d.mu.Lock()
		d.count = max(0, d.count-cut.Count+1)
		d.octets = max(0, d.octets-cut.Octets+int64(len(cut.Loss)))
		d.forget(cut.UpTo)
		d.signal()
		d.mu.Unlock()
	}
}

// cut decides what of the oldest events is dropped. Where there are too many, a hundredth more goes, so that it is not done for
// each event that comes.
func (d *Durable) cut(oldest []Waiting) (c Cut) {
	limits := d.set.limits
	old := time.Now().Add(-limits.Age)
	d.mu.Lock()
	count, octets := d.count+1, d.octets // with the loss
	if d.isBeyond() {
		limits.Events -= limits.Events / 100
		limits.Octets -= limits.Octets / 100
	}
	d.mu.Unlock()
	lost := EventsLost{}
	for _, w := range oldest {
		if count <= limits.Events && octets <= limits.Octets && !w.Time.Before(old) {
			break
		}
		from, n := w.Seq, uint64(1)
		if l, ok := lossIn(w.JSON); ok {
			from, n = l.FromSeq, l.Count
		}
		if c.Count == 0 {
			lost.FromSeq = from
		}
		lost.Count += n
		lost.ToSeq, c.UpTo, c.Time = w.Seq, w.Seq, w.Time
		c.Count++
		c.Octets += int64(len(w.JSON))
		count--
		octets -= int64(len(w.JSON))
	}
	if c.Count == 1 && lost.Count > 1 {
		return Cut{} // a loss alone: it stays until somebody has heard it
	}
	if c.Count > 0 {
		c.Time = time.Now()
		c.Loss = d.set.hub.lossNotification(lost, c.Time)
	}
	return c
}

// lossIn reads E_EVENTS_LOST.
func lossIn(notification []byte) (lost EventsLost, ok bool) {
	if nameIn(notification) != lost.Name() {
		return lost, false
	}
	n, err := Parse(notification)
	if err == nil {
		lost, ok = n.Event.(EventsLost)
	}
	return lost, ok
}

// nameIn is the name of the event in a notification of ours, which begins with it.
func nameIn(notification []byte) string {
	rest, _ := bytes.CutPrefix(notification, []byte(notificationStart))
	name, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(name)
}

// lossNotification is E_EVENTS_LOST as it goes out.
func (h *Hub) lossNotification(lost EventsLost, at time.Time) []byte {
	h.encoding.Lock()
	defer h.encoding.Unlock()
	return h.notification(&Entry{Seq: lost.ToSeq, Time: at, Event: lost})
}
