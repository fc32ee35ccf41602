package gateway_test

import (
	"errors"
	"testing"
	"time"

	"sipsmpp/gateway"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// once sends a message with a key and waits for what became of it, or of the one that came first.
func (r *rig) once(text, key string) gateway.Once {
	r.t.Helper()
	done := make(chan gateway.Once, 1)
	r.gw.AcceptOnce(keyed(text, key), func(o gateway.Once) { done <- o })
	select {
	case o := <-done:
		return o
	case <-r.ctx.Done():
		r.t.Fatal("nothing was told")
		panic("unreachable")
	}
}

func keyed(text, key string) *sms.Message {
	return &sms.Message{
		Ingress: sms.MI, From: sms.ParseAddress("100"), To: sms.ParseAddress("+4915112345678"), Text: text, Received: time.Now(),
		IdempotencyKey: key,
	}
}

// The message that came first with a key is sent, and all that come later are told what became of it: while it is under way, when
// it is over, and after a restart, whichever records are kept.
func TestIdempotencyKey(t *testing.T) {
	for _, records := range []string{"all", "pending"} {
		t.Run(records, func(t *testing.T) {
			r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: with(gatewaytest.Action{Delay: 50 * time.Millisecond})}, nil)
			r.stop(r.gw)
			r.config.Records.Messages = records
			r.start()
			r.event("E_SMPP_BIND_UP")

			told := make(chan gateway.Once, 3)
			for range 3 {
				r.gw.AcceptOnce(keyed("x", "k1"), func(o gateway.Once) { told <- o })
			}
			first := <-told
			for range 2 {
				if o := <-told; o.ID != first.ID || o.Outcome.Fate != sms.Accepted {
					t.Errorf("%+v, and before %+v", o, first)
				}
			}
			again := r.once("x", "k1")
			if again.ID != first.ID || again.Record == nil || again.Record.State != store.RecordDone || len(again.Record.Segments) != 1 {
				t.Errorf("when it was over: %+v", again)
			}
			if o := r.once("another text", "k1"); !errors.Is(o.Err, gateway.ErrKeyTaken) {
				t.Errorf("another message with the same key: %+v", o)
			}
			if o := r.once("x", "k2"); o.ID == first.ID || o.Outcome.Fate != sms.Accepted {
				t.Errorf("another key: %+v", o)
			}
			r.restart()
			if o := r.once("x", "k1"); o.ID != first.ID || o.Record == nil {
				t.Errorf("after a restart: %+v", o)
			}
			if n := r.smsc.Stats().Submits; n != 2 {
				t.Errorf("the SMSC got %d messages, want 2", n)
			}
		})
	}
}

// A message that was refused frees its key.
func TestIdempotencyKeyOfARefusedMessage(t *testing.T) {
	refuse := true
	r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: func(gatewaytest.Submit) gatewaytest.Action {
		if refuse {
			refuse = false
			return gatewaytest.Action{Status: 0x0B}
		}
		return gatewaytest.Action{}
	}}, nil)
	if o := r.once("x", "k"); o.Outcome.Fate != sms.Refused {
		t.Fatalf("%+v", o)
	}
	if o := r.once("x", "k"); o.Outcome.Fate != sms.Accepted {
		t.Errorf("%+v", o)
	}
}

// While the record of a message cannot be written its key stays taken, also when the message was answered.
func TestIdempotencyKeyWithoutTheDatabase(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.sql("ALTER TABLE message_segment RENAME TO message_segment_gone") // what is not there can be looked for all the same
	first := r.once("x", "k")
	if first.Outcome.Fate != sms.Accepted {
		t.Fatalf("%+v", first)
	}
	again := func(when string) {
		if o := r.once("x", "k"); o.ID != first.ID {
			t.Errorf("%s: %+v, and before %+v", when, o, first)
		}
		if o := r.once("another text", "k"); !errors.Is(o.Err, gateway.ErrKeyTaken) {
			t.Errorf("%s, another message with the same key: %+v", when, o)
		}
	}
	again("before its record is written")
	r.sql("ALTER TABLE message_segment_gone RENAME TO message_segment")
	r.state(first.ID.String(), store.RecordDone)
	again("after that")
	if n := r.smsc.Stats().Submits; n != 1 {
		t.Errorf("the SMSC got %d messages, want 1", n)
	}
}
