package gateway_test

import (
	"strings"
	"testing"

	"sipsmpp/events"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// Decimal 16 is hexadecimal 10: a receipt for the one that overtakes its response is not taken for the other, however alike the two
// messages are, in memory and in the database.
func TestIDsThatLookLikeEachOther(t *testing.T) {
	ids := map[string]string{"first": "10", "second": "16"}
	r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: func(in gatewaytest.Submit) gatewaytest.Action {
		name, _, _ := strings.Cut(string(in.Octets()), " ")
		a := gatewaytest.Action{MessageID: ids[name], NoReceipt: name == "first"}
		if name == "second" {
			a.ReceiptFirst, a.Delay = true, 100e6
		}
		return a
	}}, nil)
	for _, where := range []string{"memory", "database"} {
		first, _ := r.awaiting(sms.ReceiptFinal, "first in "+where)
		if where == "database" {
			r.restart()
		}
		second, _ := r.awaiting(sms.ReceiptFinal, "second in "+where)
		if e := r.event("E_MESSAGE_REPORT").(events.MessageReport); e.ID != second.ID.String() {
			t.Errorf("%s: the report is of %s, want %s", where, e.ID, second.ID)
		}
		r.none("E_RECEIPT_UNMATCHED")
		record, err := r.gw.Message(r.ctx, first.ID)
		if err != nil || record.State != store.RecordSent {
			t.Errorf("%s: the other is %+v, %v", where, record, err)
		}
		r.receipt("gw", "10")
		r.event("E_MESSAGE_REPORT")
	}
}

// Where it is known that ids are texts, one that only another form would explain is taken for nobody's, unless the numbers agree.
func TestGuessesEndWithCertainty(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: func(in gatewaytest.Submit) gatewaytest.Action {
		id := strings.Fields(string(in.Octets()))[0]
		return gatewaytest.Action{MessageID: id, NoReceipt: true}
	}}, nil)
	for _, id := range []string{"1001", "1002", "1003", "1004", "1005", "1006"} {
		r.awaiting(sms.ReceiptFinal, id)
		r.receipt("gw", id)
		r.event("E_MESSAGE_REPORT")
	}
	m := &sms.Message{Text: "10", Receipt: sms.ReceiptFinal, From: sms.ParseAddress("100"), To: sms.ParseAddress("+4917099999999")}
	if o := r.accept(m); o.Fate != sms.Accepted {
		t.Fatal(o)
	}
	r.receipt("gw", "16") // comes from +4915112345678
	r.event("E_RECEIPT_UNMATCHED")
	alike, _ := r.awaiting(sms.ReceiptFinal, "20")
	r.receipt("gw", "32")
	if e := r.event("E_MESSAGE_REPORT").(events.MessageReport); e.ID != alike.ID.String() {
		t.Errorf("%+v", e)
	}
}
