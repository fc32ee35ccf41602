package gateway_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"sipsmpp/events"
	"sipsmpp/gateway"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/sms"
)

// account makes an account `shop` with password `secret`, and what change makes of it.
func (r *rig) account(change func(*gateway.AccountChange)) {
	r.t.Helper()
	password := "secret"
	c := gateway.AccountChange{SystemID: "shop", Password: &password}
	if change != nil {
		change(&c)
	}
	if err := r.gw.AddAccount(r.ctx, c); err != nil {
		r.t.Fatal(err)
	}
}

// esme binds as `shop`.
func (r *rig) esme(change func(*gatewaytest.ESMEConfig)) *gatewaytest.ESME {
	r.t.Helper()
	cfg := gatewaytest.ESMEConfig{Addr: r.gw.SMPPAddrs()[0], SystemID: "shop", Password: "secret"}
	if change != nil {
		change(&cfg)
	}
	e, err := gatewaytest.NewESME(r.ctx, cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(e.Drop)
	return e
}

// submit sends a message and wants its segments to be taken; it gives our ids.
func (r *rig) submit(e *gatewaytest.ESME, o gatewaytest.Outgoing) (ids []string) {
	r.t.Helper()
	if o.To == "" {
		o.From, o.To = "100", "+4915112345678"
	}
	answers, err := e.Submit(r.ctx, o)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, a := range answers {
		if a.Status != gatewaytest.StatusOK {
			r.t.Fatalf("submit_sm_resp has status %#x", a.Status)
		}
		if _, err := sms.ParseID(a.MessageID); err != nil {
			r.t.Fatalf("message_id %q: %v", a.MessageID, err)
		}
		ids = append(ids, a.MessageID)
	}
	return ids
}

// receiptFor waits for a deliver_sm and wants it to be the receipt for one of ids, with this state in text and TLV.
func (r *rig) receiptFor(e *gatewaytest.ESME, ids []string, stat string, state byte) (id string) {
	r.t.Helper()
	in, err := e.Next(r.ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	if in.ESMClass != 0x04 {
		r.t.Fatalf("esm_class %#x, text %q", in.ESMClass, in.Text())
	}
	tlv, _ := in.TLV(0x001e)
	id = strings.TrimRight(string(tlv), "\x00")
	known := false
	for _, want := range ids {
		known = known || want == id
	}
	if !known || !strings.HasPrefix(in.Text(), "id:"+id+" ") || !strings.Contains(in.Text(), "stat:"+stat+" ") {
		r.t.Errorf("receipt %q for %q, want one of %q as %s", in.Text(), id, ids, stat)
	}
	if v, _ := in.TLV(0x0427); len(v) != 1 || v[0] != state {
		r.t.Errorf("message_state %v, want %d", v, state)
	}
	if in.From != "4915112345678" || in.FromTON != 1 || in.FromNPI != 1 || in.To != "100" {
		r.t.Errorf("receipt from %s (%d/%d) to %s", in.From, in.FromTON, in.FromNPI, in.To)
	}
	return id
}

func TestAccountSubmitsAndGetsItsReceipt(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.account(nil)
	e := r.esme(nil)
	up := r.event("E_SMPP_BIND_UP").(events.BindUp)
	if up.Account != "shop" || up.Connection != "" || up.Mode != "transceiver" || up.Bind != "shop#1" {
		t.Errorf("%+v", up)
	}
	ids := r.submit(e, gatewaytest.Outgoing{Text: "Grüße @ €", RegisteredDelivery: 1})
	if got, n := r.received(); got != "Grüße @ €" || n != 1 {
		t.Errorf("the SMSC got %q in %d segments", got, n)
	}
	if in := r.event("E_MESSAGE_RECEIVED").(events.MessageReceived); in.Ingress != "account:shop" || in.ID != ids[0] {
		t.Errorf("%+v", in)
	}
	r.receiptFor(e, ids, "DELIVRD", 2)
	if a := r.gw.Accounts()[0]; a.Received != 1 || len(a.Binds) != 1 {
		t.Errorf("%+v", a)
	}
	if err := e.Close(r.ctx); err != nil {
		t.Error(err)
	}
	if down := r.event("E_SMPP_BIND_DOWN").(events.BindDown); down.Account != "shop" || down.Reason != "unbound by the peer" {
		t.Errorf("%+v", down)
	}
}

// Every part of a long message has its own id, and its own receipt if it asked for one.
func TestAccountSubmitsParts(t *testing.T) {
	for _, long := range []gatewaytest.LongForm{gatewaytest.UDH8, gatewaytest.UDH16, gatewaytest.SAR, gatewaytest.Payload} {
		r := newRig(t, gatewaytest.SMSCConfig{}, nil)
		r.account(nil)
		e := r.esme(nil)
		text := strings.Repeat("Straße ", 60)
		ids := r.submit(e, gatewaytest.Outgoing{Text: text, Long: long, RegisteredDelivery: 1})
		if got, n := r.received(); got != text || n != 3 {
			t.Errorf("the SMSC got %d characters in %d segments", len(got), n)
		}
		for left := ids; len(left) > 0; {
			got := r.receiptFor(e, left, "DELIVRD", 2)
			var rest []string
			for _, id := range left {
				if id != got {
					rest = append(rest, id)
				}
			}
			left = rest
		}
	}
}

func TestAccountWithoutWishGetsNoReceipt(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, func(c *sms.ConnectionConfig) { c.Receipt = sms.ReceiptFinal })
	r.account(nil)
	e := r.esme(nil)
	r.submit(e, gatewaytest.Outgoing{Text: "no receipt, please"})
	r.event("E_MESSAGE_REPORT")
	r.submit(e, gatewaytest.Outgoing{Text: "one receipt, please", RegisteredDelivery: 1})
	r.event("E_MESSAGE_REPORT")
	if _, err := e.Next(r.ctx); err != nil {
		t.Fatal(err)
	}
	if st := e.Stats(); st.Delivers != 1 {
		t.Errorf("%d deliver_sm", st.Delivers)
	}
}

// A receipt waits while nothing is bound that can receive, also across a restart.
func TestReceiptIsKeptForItsAccount(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.account(nil)
	tx := r.esme(func(c *gatewaytest.ESMEConfig) { c.Mode = "transmitter" })
	ids := r.submit(tx, gatewaytest.Outgoing{Text: "one", RegisteredDelivery: 1})
	r.event("E_MESSAGE_REPORT")
	ids = append(ids, r.submit(tx, gatewaytest.Outgoing{Text: "two", RegisteredDelivery: 1})...)
	r.event("E_MESSAGE_REPORT")
	if err := tx.Close(r.ctx); err != nil {
		t.Fatal(err)
	}
	rx := r.esme(func(c *gatewaytest.ESMEConfig) {
		c.Mode = "receiver"
		c.OnDeliver = func(in gatewaytest.Incoming) gatewaytest.Action {
			if strings.Contains(in.Text(), ids[1]) {
				return gatewaytest.Action{Status: gatewaytest.StatusSystemError}
			}
			return gatewaytest.Action{}
		}
	})
	if _, err := rx.Take(r.ctx, 2); err != nil {
		t.Fatal(err)
	}
	if err := rx.Close(r.ctx); err != nil {
		t.Fatal(err)
	}
	r.restart()
	r.sql("UPDATE account_receipt SET next_attempt = 0") // as if its time had come
	rx = r.esme(func(c *gatewaytest.ESMEConfig) { c.Mode = "receiver" })
	r.receiptFor(rx, ids[1:], "DELIVRD", 2)
	if st := rx.Stats(); st.Delivers != 1 {
		t.Errorf("%d receipts came again", st.Delivers)
	}
}

// What SIP took with 200 is delivered.
func TestReceiptOfSIP(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, func(c *sms.ConnectionConfig) { c.SessionType = sms.Receiver })
	r.account(nil)
	e := r.esme(nil)
	ids := r.submit(e, gatewaytest.Outgoing{Text: "to the phone", RegisteredDelivery: 1})
	if m := r.message(); !strings.HasSuffix(m.Text, "to the phone") {
		t.Errorf("%+v", m)
	}
	r.receiptFor(e, ids, "DELIVRD", 2)
}

// What one account submits can go to another, and its receipt comes back.
func TestAccountToAccount(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.account(nil)
	r.account(func(c *gateway.AccountChange) { c.SystemID = "other" })
	r.sql("INSERT INTO route (ingress, targets) VALUES ('account:shop', 'account:other')")
	if _, err := r.gw.ReloadRoutes(r.ctx); err != nil {
		t.Fatal(err)
	}
	shop := r.esme(nil)
	r.submit(shop, gatewaytest.Outgoing{From: "100", To: "200", Text: "while nobody is bound"})
	r.event("E_MESSAGE_DEFERRED")
	other := r.esme(func(c *gatewaytest.ESMEConfig) { c.SystemID, c.Mode = "other", "receiver" })
	if in, err := other.Next(r.ctx); err != nil || in.Text() != "while nobody is bound" {
		t.Errorf("%+v, %v", in, err)
	}
	ids := r.submit(shop, gatewaytest.Outgoing{Text: "from shop to other", RegisteredDelivery: 1})
	in, err := other.Next(r.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if in.Text() != "from shop to other" || in.From != "100" || in.To != "4915112345678" || in.ESMClass != 0 || in.RegisteredDelivery != 0 {
		t.Errorf("%+v", in)
	}
	r.receiptFor(shop, ids, "DELIVRD", 2)
}

func TestBindsThatAreRefused(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	one, modes, ips, no := 1, "transmitter", "192.0.2.0/24", false
	r.account(func(c *gateway.AccountChange) { c.MaxBinds = &one })
	r.account(func(c *gateway.AccountChange) { c.SystemID, c.BindModes = "tx", &modes })
	r.account(func(c *gateway.AccountChange) { c.SystemID = "other" })
	r.account(func(c *gateway.AccountChange) { c.SystemID, c.AllowedIPs = "far", &ips })
	r.account(func(c *gateway.AccountChange) { c.SystemID, c.Enabled = "off", &no })
	r.esme(nil)
	for _, c := range []struct {
		name   string
		cfg    gatewaytest.ESMEConfig
		status uint32
	}{
		{"unknown", gatewaytest.ESMEConfig{SystemID: "nobody", Password: "secret"}, 0x0F},
		{"password", gatewaytest.ESMEConfig{SystemID: "other", Password: "wrong"}, 0x0E},
		{"mode", gatewaytest.ESMEConfig{SystemID: "tx", Password: "secret", Mode: "receiver"}, 0x0D},
		{"address", gatewaytest.ESMEConfig{SystemID: "far", Password: "secret"}, 0x0D},
		{"disabled", gatewaytest.ESMEConfig{SystemID: "off", Password: "secret"}, 0x0D},
		{"one too many", gatewaytest.ESMEConfig{SystemID: "shop", Password: "secret"}, 0x0D},
	} {
		c.cfg.Addr = r.gw.SMPPAddrs()[0]
		_, err := gatewaytest.NewESME(r.ctx, c.cfg)
		var refused *gatewaytest.BindError
		if !errors.As(err, &refused) || refused.Status != c.status {
			t.Errorf("%s: %v, want %#x", c.name, err, c.status)
		}
		if e := r.event("E_SMPP_BIND_REFUSED").(events.BindRefused); e.Account != c.cfg.SystemID || e.CommandStatus != c.status || e.Reason == "" || e.Count != 1 {
			t.Errorf("%s: %+v", c.name, e)
		}
	}
}

// A guess costs more time with each failure, and the account is not locked for others than who guesses.
func TestGuessingIsSlowed(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.account(nil)
	bind := func(password string) uint32 {
		e, err := gatewaytest.NewESME(r.ctx, gatewaytest.ESMEConfig{Addr: r.gw.SMPPAddrs()[0], SystemID: "shop", Password: password})
		var refused *gatewaytest.BindError
		if errors.As(err, &refused) {
			return refused.Status
		}
		if err != nil {
			t.Fatal(err)
		}
		e.Drop()
		return 0
	}
	for i, want := range []uint32{0x0E, 0x0E, 0x0E, 0x0D} {
		if got := bind("guess"); got != want {
			t.Errorf("attempt %d: %#x, want %#x", i+1, got, want)
		}
	}
	if got := bind("secret"); got != 0x0D {
		t.Errorf("while it is blocked, even the right password gets %#x", got)
	}
	password := "another"
	if err := r.gw.SetAccount(r.ctx, gateway.AccountChange{SystemID: "shop", Password: &password}); err != nil {
		t.Fatal(err)
	}
	if got := bind("another"); got != 0 {
		t.Errorf("after the password was changed: %#x", got)
	}
}

func TestAccountThroughput(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	five := 5
	r.account(func(c *gateway.AccountChange) { c.Throughput = &five })
	e := r.esme(nil)
	throttled := 0
	for range 7 {
		answers, err := e.Submit(r.ctx, gatewaytest.Outgoing{From: "100", To: "+4915112345678", Text: "x"})
		if err != nil {
			t.Fatal(err)
		}
		if answers[0].Status == 0x58 {
			throttled++
		}
	}
	if throttled == 0 || throttled > 2 {
		t.Errorf("%d of 7 were throttled", throttled)
	}
}

// What an ESME sends beyond its window is throttled, and does not disturb the rest.
func TestAccountWindow(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{OnSubmit: func(gatewaytest.Submit) gatewaytest.Action {
		return gatewaytest.Action{Delay: 300 * time.Millisecond}
	}}, nil)
	two := 2
	r.account(func(c *gateway.AccountChange) { c.Window = &two })
	e := r.esme(nil)
	status := make(chan uint32, 5)
	for range 5 {
		if err := e.Send(r.ctx, gatewaytest.Outgoing{From: "100", To: "+4915112345678", Text: "x"}, func(a gatewaytest.Answer) { status <- a.Status }); err != nil {
			t.Fatal(err)
		}
	}
	got := map[uint32]int{}
	for range 5 {
		got[<-status]++
	}
	if got[0] != 2 || got[0x58] != 3 {
		t.Errorf("%v", got)
	}
}

// A reload touches only what changed.
func TestAccountReload(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	for _, name := range []string{"shop", "gone", "off"} {
		r.account(func(c *gateway.AccountChange) { c.SystemID = name })
	}
	bind := func(name string) *gatewaytest.ESME {
		e := r.esme(func(c *gatewaytest.ESMEConfig) { c.SystemID = name })
		r.event("E_SMPP_BIND_UP")
		return e
	}
	shop, gone, off := bind("shop"), bind("gone"), bind("off")
	r.sql("DELETE FROM smpp_account WHERE system_id = 'gone'")
	r.sql("UPDATE smpp_account SET enabled = 0 WHERE system_id = 'off'")
	r.sql("UPDATE smpp_account SET window = 0 WHERE system_id = 'shop'")
	_, err := r.gw.ReloadAccounts(r.ctx)
	if err == nil || err.Error() != "smpp_account[system_id=shop].window: 0 is not a window: want 1 to 10000" {
		t.Fatalf("%v", err)
	}
	r.sql("UPDATE smpp_account SET window = 7, throughput = 3 WHERE system_id = 'shop'")
	changes, err := r.gw.ReloadAccounts(r.ctx)
	if err != nil || strings.Join(changes.Changed, " ") != "off shop" || strings.Join(changes.Removed, " ") != "gone" || changes.Unchanged != 0 {
		t.Fatalf("%+v, %v", changes, err)
	}
	<-gone.Done()
	<-off.Done()
	r.submit(shop, gatewaytest.Outgoing{Text: "still here"})
	if changes, err = r.gw.ReloadAccounts(r.ctx); err != nil || changes.Unchanged != 2 || len(changes.Changed) != 0 {
		t.Errorf("%+v, %v", changes, err)
	}
}

func TestAccountChanges(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.account(nil)
	password, long, modes := "secret", strings.Repeat("x", 73), "sender"
	for _, c := range []struct {
		err  error
		want string
	}{
		{r.gw.AddAccount(r.ctx, gateway.AccountChange{SystemID: "shop", Password: &password}), "account_set changes it"},
		{r.gw.AddAccount(r.ctx, gateway.AccountChange{SystemID: "a b", Password: &password}), "want ASCII without blanks"},
		{r.gw.AddAccount(r.ctx, gateway.AccountChange{SystemID: "new", Password: &long}), "longer than 72 octets"},
		{r.gw.SetAccount(r.ctx, gateway.AccountChange{SystemID: "nobody"}), "no such account: nobody"},
		{r.gw.SetAccount(r.ctx, gateway.AccountChange{SystemID: "shop", BindModes: &modes}), "no kind of bind"},
		{r.gw.DeleteAccount(r.ctx, "nobody"), "no such account: nobody"},
		{r.gw.DeleteAccount(r.ctx, "shop"), ""},
	} {
		if c.err == nil && c.want != "" || c.err != nil && (c.want == "" || !strings.Contains(c.err.Error(), c.want)) {
			t.Errorf("%v, want %q", c.err, c.want)
		}
	}
	if rows := r.gw.AccountRows(); len(rows) != 0 {
		t.Errorf("%v", rows)
	}
}
