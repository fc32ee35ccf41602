package gateway_test

import (
	"testing"
	"time"

	"sipsmpp/events"
	"sipsmpp/gateway"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/route"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// deliverPart sends one part of a long message, and gives the status that answers it.
func (r *rig) deliverPart(ref, total, seq byte, text string) uint32 {
	r.t.Helper()
	status, err := r.smsc.Deliver(r.ctx, gatewaytest.Deliver{
		From: "+4915112345678", To: "100", ESMClass: 0x40,
		ShortMessage: append([]byte{5, 0, 3, ref, total, seq}, text...),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return status
}

// deliverParts sends all of them, each once the one before is answered.
func (r *rig) deliverParts(ref byte, texts ...string) {
	r.t.Helper()
	for i, text := range texts {
		if status := r.deliverPart(ref, byte(len(texts)), byte(i+1), text); status != 0 {
			r.t.Fatalf("part %d of %q: status %#x", i+1, texts, status)
		}
	}
}

// partsKept counts the parts that a gateway that stopped left on disk.
func (r *rig) partsKept() int {
	r.t.Helper()
	db, err := store.Open(r.ctx, r.config.DB, store.WithNode(r.config.Node))
	if err != nil {
		r.t.Fatal(err)
	}
	defer db.Close()
	n := 0
	if err := db.Parts(r.ctx, func(*sms.Message) error { n++; return nil }); err != nil {
		r.t.Fatal(err)
	}
	return n
}

// What waits too long for a part that never comes goes on without it, once, also if the gateway was restarted in between.
func TestIncompleteMessageGoesOnOnce(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	for _, seq := range []byte{3, 1, 1} {
		if status := r.deliverPart(7, 3, seq, string("one, two, three"[5*(seq-1):5*seq])); status != 0 {
			t.Fatalf("part %d: status %#x", seq, status)
		}
	}
	r.none("E_MESSAGE_RECEIVED")
	r.stop(r.gw)
	if n := r.partsKept(); n != 2 {
		t.Fatalf("%d parts are on disk, want 2", n)
	}

	r.config.SMPP.ReassemblyTimeout = gateway.Duration(time.Millisecond)
	r.start()
	if m := r.message(); m.Text != "one, three" {
		t.Errorf("%q", m.Text)
	}
	in := r.event("E_MESSAGE_RECEIVED").(events.MessageReceived)
	if !in.Incomplete || in.Segments != 2 || in.Text != "one, three" || in.Ingress != "smpp:smsc" {
		t.Errorf("%+v", in)
	}
	r.event("E_MESSAGE_SENT")
	r.stop(r.gw)
	if n := r.partsKept(); n != 0 {
		t.Errorf("%d parts are still on disk", n)
	}

	r.start()
	r.event("E_SMPP_BIND_UP")
	if n := statistic(r, "core", "parts_waiting"); n != 0 {
		t.Errorf("%d messages were taken back", n)
	}
	if status, err := r.smsc.Deliver(r.ctx, gatewaytest.Deliver{From: "+4915112345678", To: "100", Text: "another"}); err != nil || status != 0 {
		t.Fatalf("status %#x, %v", status, err)
	}
	if m := r.message(); m.Text != "another" {
		t.Errorf("%q was sent again", m.Text)
	}
	if in := r.event("E_MESSAGE_RECEIVED").(events.MessageReceived); in.Incomplete {
		t.Errorf("%+v", in)
	}
	r.none("E_MESSAGE_RECEIVED")
}

// The answer to the last part waits for the delivery. A peer that does not get it in time sends that part again.
func TestPartsAreRepeatedAfterDelivery(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.deliverParts(9, "first ", "second")
	if m := r.message(); m.Text != "first second" {
		t.Errorf("%q", m.Text)
	}
	r.event("E_MESSAGE_RECEIVED")
	for _, seq := range []byte{2, 2, 1, 2} {
		if status := r.deliverPart(9, 2, seq, []string{"first ", "second"}[seq-1]); status != 0 {
			t.Errorf("part %d again: status %#x", seq, status)
		}
	}
	r.none("E_MESSAGE_RECEIVED")
	if n := statistic(r, "core", "parts_waiting"); n != 0 {
		t.Errorf("%d messages wait for parts", n)
	}

	// One that was refused is not accepted by its repetition.
	r.phone.Answer(603)
	for i, want := range []uint32{0, 0x66, 0x65} {
		if status := r.deliverPart(10, 2, min(byte(i)+1, 2), "refused"); status != want {
			t.Errorf("delivery %d: status %#x, want %#x", i+1, status, want)
		}
	}
	r.event("E_MESSAGE_FAILED")
	r.event("E_MESSAGE_RECEIVED")
	r.none("E_MESSAGE_RECEIVED")
	r.stop(r.gw)
	if n := r.partsKept(); n != 0 {
		t.Errorf("%d parts are on disk", n)
	}
}

func TestReferenceIsUsedAgain(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	for _, texts := range [][]string{{"one ", "two"}, {"three ", "four"}, {"three ", "five"}, {"six ", "five"}} {
		r.deliverParts(5, texts...)
		if m := r.message(); m.Text != texts[0]+texts[1] {
			t.Errorf("%q, want %q", m.Text, texts)
		}
	}
	// A message that begins before an older one is complete puts an end to that.
	if status := r.deliverPart(5, 2, 1, "begun, "); status != 0 {
		t.Fatalf("status %#x", status)
	}
	r.deliverParts(5, "complete, ", "too")
	if m := r.message(); m.Text != "complete, too" {
		t.Errorf("%q", m.Text)
	}
	r.stop(r.gw)
	r.config.SMPP.ReassemblyTimeout = gateway.Duration(time.Millisecond)
	r.start()
	if m := r.message(); m.Text != "begun, " {
		t.Errorf("%q", m.Text)
	}
}

// A peer that does not wait for the answer to the last part sends it again while the message is under way. Both are answered as the
// message is, which is delivered once.
func TestPartIsRepeatedWhileItsMessageIsUnderWay(t *testing.T) {
	for _, c := range []struct {
		target string
		status uint32
	}{{"sip", 0}, {"reject 480", 0x64}, {"reject 603", 0x66}} {
		r := newRig(t, gatewaytest.SMSCConfig{}, nil)
		r.rule(route.Rule{Name: "ask", Ingress: "smpp:smsc", Targets: "app?", Options: `{"wait":60}`})
		if status := r.deliverPart(7, 2, 1, "once "); status != 0 {
			t.Fatalf("status %#x", status)
		}
		statuses := make(chan uint32, 3)
		for range 3 {
			err := r.smsc.Send(gatewaytest.Deliver{
				From: "+4915112345678", To: "100", ESMClass: 0x40, ShortMessage: append([]byte{5, 0, 3, 7, 2, 2}, "only"...),
			}, func(status uint32, err error) {
				if err != nil {
					t.Error(err)
				}
				statuses <- status
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		in := r.event("E_MESSAGE_RECEIVED").(events.MessageReceived)
		if status, err := r.smsc.Deliver(r.ctx, gatewaytest.Deliver{From: "+4915112345678", To: "100", ESMClass: 0x04, Text: "id:unknown stat:DELIVRD"}); err != nil || status != 0 {
			t.Fatalf("%#x, %v", status, err) // by now the repetitions have come
		}
		if len(statuses) != 0 {
			t.Error("answered while the message is under way")
		}
		id, err := sms.ParseID(in.ID)
		if err != nil {
			t.Fatal(err)
		}
		target, err := route.ParseTarget(c.target)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.gw.RouteMessage(id, []route.Target{target}); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			select {
			case status := <-statuses:
				if status != c.status {
					t.Errorf("%s: status %#x, want %#x", c.target, status, c.status)
				}
			case <-r.ctx.Done():
				t.Fatal("not answered")
			}
		}
		r.none("E_MESSAGE_RECEIVED")
		if c.status == 0 {
			if m := r.message(); m.Text != "once only" {
				t.Errorf("%q", m.Text)
			}
			if len(r.phone.Received()) != 0 {
				t.Error("delivered twice")
			}
		}
	}
}
