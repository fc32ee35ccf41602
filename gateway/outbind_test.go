package gateway_test

import (
	"net"
	"strings"
	"testing"

	"sipsmpp/events"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/smpp"
	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

// By a connection of session_type 4 we are the SMSC: the peer binds on the socket that we opened, and gets messages as deliver_sm. Its
// answer is all that the sender of a message hears.
func TestOutbindDelivers(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	row := r.row("esme", listener.Addr().String())
	row.SessionType = sms.Outbind
	r.put(row)
	if _, err := r.gw.Reload(r.ctx); err != nil {
		t.Fatal(err)
	}
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	esme, err := gatewaytest.NewESME(r.ctx, gatewaytest.ESMEConfig{Conn: conn, SystemID: "gw", Password: "secret", Mode: "receiver"})
	if err != nil {
		t.Fatal(err)
	}
	defer esme.Drop()
	if up := r.event("E_SMPP_BIND_UP").(events.BindUp); up.Connection != "esme" || up.Mode != "receiver" || up.Peer != listener.Addr().String() {
		t.Errorf("%+v", up)
	}
	for _, text := range []string{"Grüße @ €", strings.Repeat("Straße ", 60), "Привет"} {
		o := r.accept(&sms.Message{Text: text, Connection: "esme", Receipt: sms.ReceiptFinal})
		if o.Fate != sms.Accepted || o.Egress != sms.Connection("esme") {
			t.Fatalf("%+v", o)
		}
		in, err := esme.Take(r.ctx, o.Segments)
		if err != nil {
			t.Fatal(err)
		}
		if got := gatewaytest.JoinText(in...); got != text || in[0].From != "100" || in[0].To != "4915112345678" || in[0].ToTON != 1 {
			t.Errorf("%q from %s to %s", got, in[0].From, in[0].To)
		}
		if report := r.event("E_MESSAGE_REPORT").(events.MessageReport); report.State != "delivered" {
			t.Errorf("%+v", report)
		}
	}
	// A message without a connection of its own still goes to the only SMSC, since an ESME is no way to others.
	if code := r.send("by the SMSC"); code != 202 {
		t.Errorf("%d", code)
	}
	if text, _ := r.received(); text != "by the SMSC" {
		t.Errorf("%q", text)
	}
}

// A peer that says outbind on our listener gets our bind, and what it sends then comes from the connection.
func TestPeerSaysOutbind(t *testing.T) {
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	row := r.row("smsc", "127.0.0.1:1")
	row.SessionType, row.ByOutbind = sms.Receiver, true
	row.SystemID = "asked"
	r.put(row)
	if changes, err := r.gw.Reload(r.ctx); err != nil || len(changes.Changed) != 1 {
		t.Fatalf("%+v, %v", changes, err)
	}
	r.event("E_SMPP_BIND_DOWN")
	says := func(password string) {
		conn, err := net.Dial("tcp", r.gw.SMPPAddrs()[0])
		if err != nil {
			t.Fatal(err)
		}
		octets, err := wire.Append(nil, wire.Header{Command: wire.CmdOutbind, Sequence: 1}, &wire.Outbind{SystemID: "asked", Password: password})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(octets); err != nil {
			t.Fatal(err)
		}
		r.smsc.Attach(conn)
	}
	says("guess")
	if refused := r.event("E_SMPP_BIND_REFUSED").(events.BindRefused); refused.Account != "asked" || !strings.Contains(refused.Reason, "outbind") {
		t.Errorf("%+v", refused)
	}
	says("secret")
	if up := r.event("E_SMPP_BIND_UP").(events.BindUp); up.Connection != "smsc" || up.Mode != "receiver" {
		t.Errorf("%+v", up)
	}
	if c := r.gw.Connections()[0]; c.State != smpp.ConnectionBound || c.SessionType != sms.Receiver {
		t.Errorf("%+v", c)
	}
	long := strings.Repeat("долго ", 40)
	if status, err := r.smsc.Deliver(r.ctx, gatewaytest.Deliver{From: "+4915112345678", To: "100", Text: long}); err != nil || status != 0 {
		t.Fatalf("%#x, %v", status, err)
	}
	if m := r.message(); m.Text != long {
		t.Errorf("%q", m.Text)
	}
	if in := r.event("E_MESSAGE_RECEIVED").(events.MessageReceived); in.Ingress != "smpp:smsc" {
		t.Errorf("%+v", in)
	}
}

// An account that submits by a transmitter alone is called for its receipts, and gets those that waited for it.
func TestOutbindBringsAnAccountItsReceipts(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	r := newRig(t, gatewaytest.SMSCConfig{}, nil)
	r.account(nil)
	tx := r.esme(func(c *gatewaytest.ESMEConfig) { c.Mode = "transmitter" })
	r.event("E_SMPP_BIND_UP")
	ids := r.submit(tx, gatewaytest.Outgoing{Text: "x", RegisteredDelivery: 1})
	row := r.row("shop-receipts", listener.Addr().String())
	row.SessionType, row.Account, row.SystemID = sms.Outbind, "shop", "ours"
	r.put(row)
	if _, err := r.gw.Reload(r.ctx); err != nil {
		t.Fatal(err)
	}
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	rx := r.esme(func(c *gatewaytest.ESMEConfig) { c.Conn, c.Mode = conn, "receiver" })
	for range 2 {
		if up := r.event("E_SMPP_BIND_UP").(events.BindUp); up.Connection != "shop-receipts" && up.Account != "shop" || up.Mode != "receiver" {
			t.Errorf("%+v", up)
		}
	}
	r.receiptFor(rx, ids, "DELIVRD", 2)
}
