package gateway_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sipsmpp/events"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/sms"
)

// awaiting sends a message whose SMSC gives it an id and no receipt.
func (r *rig) awaiting(request sms.ReceiptRequest, text string) (*sms.Message, []string) {
	r.t.Helper()
	m := &sms.Message{Text: text, Receipt: request}
	o := r.accept(m)
	if o.Fate != sms.Accepted {
		r.t.Fatalf("%+v", o)
	}
	return m, o.SMSCIDs
}

// deliver delivers a receipt and wants it answered with ESME_ROK.
func (r *rig) deliver(d gatewaytest.Deliver) {
	r.t.Helper()
	d.From, d.To = "+4915112345678", "100"
	if status, err := r.smsc.Deliver(r.ctx, d); err != nil || status != 0 {
		r.t.Errorf("%+v: status %#x, %v", d, status, err)
	}
}

// Everything that peers write into a receipt.
func TestReceiptsAsPeersWriteThem(t *testing.T) {
	ids := 0
	r := newRig(t, gatewaytest.SMSCConfig{
		MessageID: func(uint64) string { ids++; return fmt.Sprintf("%08X", 0xA1B2C00+ids) },
		OnSubmit:  with(gatewaytest.Action{NoReceipt: true}),
	}, nil)
	tlv := func(tag uint16, value string) gatewaytest.TLV { return gatewaytest.TLV{Tag: tag, Value: []byte(value)} }
	text := func(format string) func(id string) gatewaytest.Deliver {
		return func(id string) gatewaytest.Deliver {
			return gatewaytest.Deliver{ESMClass: 0x04, ShortMessage: []byte(strings.ReplaceAll(format, "{}", id))}
		}
	}
	const whole = "id:{} sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:DELIVRD err:000 text:"
	class := func(esmClass uint8) func(id string) gatewaytest.Deliver {
		return func(id string) gatewaytest.Deliver {
			d := text(whole)(id)
			if d.ESMClass = esmClass; esmClass&0x40 != 0 {
				d.ShortMessage = append([]byte{3, 1, 1, 0}, d.ShortMessage...)
			}
			return d
		}
	}
	for name, c := range map[string]struct {
		receipt func(id string) gatewaytest.Deliver
		state   string
		error   string
		done    time.Time
	}{
		"as Appendix B has it": {text(whole), "delivered", "000", time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC)},
		"with a reply path":    {class(0x84), "delivered", "000", time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC)},
		"with a UDH":           {class(0x44), "delivered", "000", time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC)},
		"with all of the bits": {class(0xC4), "delivered", "000", time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC)},
		"in another order and case": {text("STAT:UNDELIV ERR:0a1 ID:{} Done Date:260101000102"), "undeliverable", "0a1",
			time.Date(2026, 1, 1, 0, 1, 2, 0, time.UTC)},
		"with 14 digits":         {text("id:{} done date:20260101000102 stat:EXPIRED"), "expired", "", time.Date(2026, 1, 1, 0, 1, 2, 0, time.UTC)},
		"with id and state only": {text("id:{} stat:REJECTD"), "rejected", "", time.Time{}},
		"DELETED":                {text("id:{} stat:DELETED"), "deleted", "", time.Time{}},
		"FAILED":                 {text("id:{} stat:FAILED err:12"), "undeliverable", "12", time.Time{}},
		"in message_payload": {func(id string) gatewaytest.Deliver {
			return gatewaytest.Deliver{ESMClass: 0x04, TLVs: []gatewaytest.TLV{tlv(0x0424, strings.ReplaceAll(whole, "{}", id))}}
		}, "delivered", "000", time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC)},
		"as data_coding 4": {func(id string) gatewaytest.Deliver {
			d := text(whole)(id)
			d.DataCoding = 4
			return d
		}, "delivered", "000", time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC)},
		"in TLVs": {func(id string) gatewaytest.Deliver {
			return gatewaytest.Deliver{ESMClass: 0x04, TLVs: []gatewaytest.TLV{
				tlv(0x001E, id+"\x00"), tlv(0x0427, "\x05"), tlv(0x0423, "\x03\x00\x0B")}}
		}, "undeliverable", "", time.Time{}},
		"in TLVs that contradict the text": {func(id string) gatewaytest.Deliver {
			d := text("id:another stat:UNDELIV")(id)
			d.TLVs = []gatewaytest.TLV{tlv(0x001E, id+"\x00"), tlv(0x0427, "\x02")}
			return d
		}, "delivered", "", time.Time{}},
		"in lower case":      {func(id string) gatewaytest.Deliver { return text(whole)(strings.ToLower(id)) }, "delivered", "000", time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC)},
		"without its zeros":  {func(id string) gatewaytest.Deliver { return text(whole)(strings.TrimLeft(id, "0")) }, "delivered", "000", time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC)},
		"with more of them":  {func(id string) gatewaytest.Deliver { return text(whole)("0000" + id) }, "delivered", "000", time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC)},
		"in decimal instead": {func(id string) gatewaytest.Deliver { return text(whole)(hexToDecimal(id)) }, "delivered", "000", time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC)},
	} {
		t.Run(name, func(t *testing.T) {
			m, ids := r.awaiting(sms.ReceiptFinal, "x")
			r.deliver(c.receipt(ids[0]))
			e := r.event("E_MESSAGE_REPORT").(events.MessageReport)
			if e.ID != m.ID.String() || e.State != c.state || c.error != "" && e.Error != c.error || !time.Time(e.DoneTime).Equal(c.done) {
				t.Errorf("%+v", e)
			}
			r.deliver(c.receipt(ids[0])) // again: no news
			r.none("E_MESSAGE_REPORT")
			r.none("E_RECEIPT_UNMATCHED")
		})
	}
	// An acknowledgement by the recipient is a message, not a receipt.
	for _, esmClass := range []uint8{0x08, 0x10} {
		r.deliver(gatewaytest.Deliver{ESMClass: esmClass, Text: "I have read it"})
		if m := r.message(); m.Text != "I have read it" {
			t.Errorf("esm_class %#x: %+v", esmClass, m)
		}
	}
}

// Ids beyond 64 bits are hexadecimal in the one and decimal in the other, too.
func TestReceiptIDsBeyond64Bits(t *testing.T) {
	const hex, decimal = "123456789ABCDEF0123456789ABCDEF", "1512366075204170929049582354406559215"
	for name, c := range map[string]struct{ response, receipt string }{
		"hex, then decimal": {hex, decimal}, "decimal, then hex": {decimal, strings.ToLower(hex)}, "text": {"a-" + hex, "A-" + hex},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: with(gatewaytest.Action{MessageID: c.response, NoReceipt: true})}, nil)
			m, _ := r.awaiting(sms.ReceiptFinal, "x")
			r.receipt("gw", c.receipt)
			if e := r.event("E_MESSAGE_REPORT").(events.MessageReport); e.ID != m.ID.String() || e.State != "delivered" {
				t.Errorf("%+v", e)
			}
		})
	}
}

// An SMSC that counts has messages whose ids are one another's in another notation: 16 is 10 in hexadecimal, and 0x16 is 22. The
// receipt is for the one that has the id itself, also when its response is not there yet, and in the database.
func TestReceiptIDsOfAnSMSCThatCounts(t *testing.T) {
	actions := map[string]gatewaytest.Action{
		"10": {MessageID: "10", NoReceipt: true}, "16": {MessageID: "16", ReceiptFirst: true, Delay: 300 * time.Millisecond},
		"17": {MessageID: "17", NoReceipt: true}, "23": {MessageID: "23", NoReceipt: true},
		"0000001F": {MessageID: "0000001F", NoReceipt: true}, "slow": {MessageID: "99", Delay: time.Second, NoReceipt: true},
	}
	r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: func(s gatewaytest.Submit) gatewaytest.Action { return actions[s.Text()] }}, nil)
	report := func(m *sms.Message) {
		t.Helper()
		if e := r.event("E_MESSAGE_REPORT").(events.MessageReport); e.ID != m.ID.String() {
			t.Errorf("%+v, want that of %q", e, m.Text)
		}
	}
	r.awaiting(sms.ReceiptFinal, "10")
	early, _ := r.awaiting(sms.ReceiptFinal, "16") // its receipt comes before the response, while 10 waits for its own
	report(early)
	r.none("E_MESSAGE_REPORT")

	older, _ := r.awaiting(sms.ReceiptFinal, "17")
	newer, _ := r.awaiting(sms.ReceiptFinal, "23") // 0x17
	r.restart()
	r.receipt("gw", "17")
	report(older)
	r.receipt("gw", "23")
	report(newer)

	// Another form will do once no response can come that has the id itself.
	hex, _ := r.awaiting(sms.ReceiptFinal, "0000001F")
	slow := &sms.Message{Ingress: sms.MI, Received: time.Now(), From: sms.ParseAddress("100"), To: sms.ParseAddress("+4915112345678"), Text: "slow"}
	r.gw.Accept(slow, func(sms.Outcome) {})
	for len(r.smsc.Submits()) < 6 {
		if _, err := r.smsc.Next(r.ctx); err != nil {
			t.Fatal(err)
		}
	}
	r.receipt("gw", "31")
	r.none("E_RECEIPT_UNMATCHED") // and what came until now is kept
	if !slices.ContainsFunc(r.kept, func(e events.Entry) bool {
		sent, ok := e.Event.(events.MessageSent)
		return ok && sent.ID == slow.ID.String()
	}) {
		t.Error("answered before the response that could have the id")
	}
	report(hex)
	r.none("E_RECEIPT_UNMATCHED")
}

// Intermediate states are told to those who asked for all, each once; of one who asked for failures only those are told.
func TestReceiptsThatWereAskedFor(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: with(gatewaytest.Action{NoReceipt: true})}, nil)
	stat := func(id, stat string, esmClass uint8) {
		t.Helper()
		r.deliver(gatewaytest.Deliver{ESMClass: esmClass, ShortMessage: fmt.Appendf(nil, "id:%s stat:%s", id, stat)})
	}
	for _, c := range []struct {
		request    sms.ReceiptRequest
		registered uint8
		stats      []string
		told       []string
	}{
		{sms.ReceiptAll, 0x11, []string{"ENROUTE", "BUFFRED", "ACCEPTD", "DELIVRD", "DELIVRD"}, []string{"enroute", "accepted", "delivered"}},
		{sms.ReceiptFinal, 0x01, []string{"ENROUTE", "ACCEPTD", "DELIVRD"}, []string{"delivered"}},
		{sms.ReceiptFailure, 0x02, []string{"ENROUTE", "DELIVRD"}, nil},
		{sms.ReceiptFailure, 0x02, []string{"ENROUTE", "UNDELIV"}, []string{"undeliverable"}},
	} {
		m, ids := r.awaiting(c.request, "x")
		submit, err := r.smsc.Next(r.ctx)
		if err != nil || submit.RegisteredDelivery != c.registered {
			t.Errorf("%v: registered_delivery %#x, %v", c.request, submit.RegisteredDelivery, err)
		}
		for _, s := range c.stats {
			esmClass := uint8(0x04)
			if s == "ENROUTE" || s == "BUFFRED" {
				esmClass = 0x20
			}
			stat(ids[0], s, esmClass)
		}
		for _, want := range c.told {
			if e := r.event("E_MESSAGE_REPORT").(events.MessageReport); e.ID != m.ID.String() || e.State != want {
				t.Errorf("%v: %+v, want %s", c.request, e, want)
			}
		}
		r.none("E_MESSAGE_REPORT")
		r.none("E_RECEIPT_UNMATCHED")
	}
}

// The causes of receipts that nobody waits for.
func TestUnmatchedReceiptsHaveACause(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: with(gatewaytest.Action{MessageID: "255", NoReceipt: true})},
		func(c *sms.ConnectionConfig) { c.SMSCIDFormat = "decimal" })
	m, _ := r.awaiting(sms.ReceiptFinal, "x")
	r.receipt("gw", "255")
	e := r.event("E_RECEIPT_UNMATCHED").(events.ReceiptUnmatched)
	if !strings.Contains(e.LikelyCause, m.ID.String()) || !strings.Contains(e.LikelyCause, "smsc_id_format of smsc is decimal") {
		t.Errorf("%+v", e)
	}

	other := r.row("other", r.smsc.Addr())
	other.SystemID = "other"
	r.put(other)
	if _, err := r.gw.Reload(r.ctx); err != nil {
		t.Fatal(err)
	}
	r.event("E_SMPP_BIND_UP")
	r.receipt("other", "FF")
	e = r.event("E_RECEIPT_UNMATCHED").(events.ReceiptUnmatched)
	if e.Connection != "other" || !strings.Contains(e.LikelyCause, "sent by connection smsc") {
		t.Errorf("%+v", e)
	}
	r.receipt("other", "4711")
	if e = r.event("E_RECEIPT_UNMATCHED").(events.ReceiptUnmatched); !strings.Contains(e.LikelyCause, "no recorded message") {
		t.Errorf("%+v", e)
	}
}

// The receipts of messages that went by one bind come by the other.
func TestReceiptByAnotherBind(t *testing.T) {
	var mu sync.Mutex
	submitted, other := map[string]int{}, 0
	r := newRig(t, gatewaytest.SMSCConfig{OnEvent: func(e gatewaytest.Event) {
		mu.Lock()
		defer mu.Unlock()
		switch e.Kind {
		case gatewaytest.EventSubmit:
			submitted[e.MessageID] = e.Bind.ID
		case gatewaytest.EventReceipt:
			if e.Bind.ID != submitted[e.MessageID] {
				other++
			}
		}
	}}, func(c *sms.ConnectionConfig) { c.Binds = 2 })
	r.event("E_SMPP_BIND_UP") // the second
	for range 6 {
		r.report("x")
	}
	mu.Lock()
	defer mu.Unlock()
	if other == 0 {
		t.Error("each receipt came by the bind of its message")
	}
}
