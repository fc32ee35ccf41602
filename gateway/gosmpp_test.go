package gateway_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/linxGnu/gosmpp"
	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"

	"sipsmpp/events"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/route"
	"sipsmpp/gateway/sms"
)

// gosmppSession is an ESME that we did not write: gosmpp's own session, with its own reader and window.
type gosmppSession struct {
	*gosmpp.Session
	closing  atomic.Bool
	mu       sync.Mutex
	ids      map[int32]string // our id by the sequence number of the submit_sm
	refused  []data.CommandStatusType
	receipts map[string]int
	texts    []string
	changed  chan struct{}
}

func (r *rig) gosmpp() *gosmppSession {
	r.t.Helper()
	s := &gosmppSession{ids: map[int32]string{}, receipts: map[string]int{}, changed: make(chan struct{}, 1)}
	got := func(p pdu.PDU, _ bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch p := p.(type) {
		case *pdu.SubmitSMResp:
			if p.CommandStatus != data.ESME_ROK {
				s.refused = append(s.refused, p.CommandStatus)
			}
			s.ids[p.SequenceNumber] = p.MessageID
		case *pdu.DeliverSM:
			text, err := p.Message.GetMessage()
			if err != nil {
				r.t.Error(err)
			}
			if p.EsmClass&0x3C == 0x04 {
				s.receipts[strings.TrimPrefix(strings.Fields(text)[0], "id:")]++
			} else {
				s.texts = append(s.texts, text)
			}
		}
		select {
		case s.changed <- struct{}{}:
		default:
		}
	}
	var err error
	s.Session, err = gosmpp.NewSession(
		gosmpp.TRXConnector(gosmpp.NonTLSDialer, gosmpp.Auth{SMSC: r.gw.SMPPAddrs()[0], SystemID: "shop", Password: "secret"}),
		gosmpp.Settings{
			ReadTimeout: 30 * time.Second, WriteTimeout: 5 * time.Second, OnPDU: got,
			OnSubmitError: func(_ pdu.PDU, err error) { r.t.Error(err) },
			OnReceivingError: func(err error) {
				if !s.closing.Load() {
					r.t.Error(err)
				}
			},
		}, -1)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// until waits for a condition that holds under the lock.
func (s *gosmppSession) until(r *rig, what string, is func() bool) {
	r.t.Helper()
	for {
		s.mu.Lock()
		done := is()
		s.mu.Unlock()
		if done {
			return
		}
		select {
		case <-s.changed:
		case <-r.ctx.Done():
			r.t.Fatalf("%s did not come: %d ids, refused %v, receipts %v, texts %q", what, len(s.ids), s.refused, s.receipts, s.texts)
		}
	}
}

func TestGosmppAsESME(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.account(nil)
	s := r.gosmpp()
	r.event("E_SMPP_BIND_UP")
	texts := map[string]bool{}
	const count = 60
	for i := range count {
		sm := pdu.NewSubmitSM().(*pdu.SubmitSM)
		text, coding := fmt.Sprintf("%d: plain", i), data.Encoding(data.GSM7BIT)
		if i%3 == 0 {
			text, coding = fmt.Sprintf("%d: Привет 👋", i), data.UCS2
		}
		texts[text] = true
		if err := sm.Message.SetMessageWithEncoding(text, coding); err != nil {
			t.Fatal(err)
		}
		var err error
		if sm.SourceAddr, err = pdu.NewAddressWithTonNpiAddr(0, 0, "100"); err != nil {
			t.Fatal(err)
		}
		if sm.DestAddr, err = pdu.NewAddressWithTonNpiAddr(1, 1, "4915112345678"); err != nil {
			t.Fatal(err)
		}
		sm.RegisteredDelivery = 1
		if err := s.Transceiver().Submit(sm); err != nil {
			t.Fatal(err)
		}
	}
	submits, err := r.smsc.Take(r.ctx, count)
	if err != nil {
		t.Fatal(err)
	}
	for _, submit := range submits {
		if text := submit.Text(); !texts[text] {
			t.Errorf("the SMSC got %q", text)
		} else {
			delete(texts, text)
		}
	}
	s.until(r, "every receipt", func() bool { return len(s.receipts) == count })
	for _, id := range s.ids {
		if s.receipts[id] != 1 {
			t.Errorf("%d receipts of %q", s.receipts[id], id)
		}
	}
	if len(s.refused) != 0 || len(s.ids) != count {
		t.Errorf("%d answers, %v", len(s.ids), s.refused)
	}
	// Messages to it, in the codings that it knows.
	r.rule(route.Rule{Name: "to the shop", To: "100", Targets: "account:shop"})
	for _, text := range []string{"hello @", "Привет"} {
		if o := r.accept(&sms.Message{From: sms.ParseAddress("+4915112345678"), To: sms.ParseAddress("100"), Text: text}); o.Fate != sms.Accepted {
			t.Errorf("%+v", o)
		}
	}
	s.until(r, "the messages", func() bool { return len(s.texts) == 2 })
	if s.texts[0] != "hello @" || s.texts[1] != "Привет" {
		t.Errorf("%q", s.texts)
	}
	s.closing.Store(true)
	_ = s.Close() // its two goroutines close the socket in a race
	if down := r.event("E_SMPP_BIND_DOWN").(events.BindDown); down.Account != "shop" {
		t.Errorf("%+v", down)
	}
}
