package gateway_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"sipsmpp/events"
	"sipsmpp/gateway"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// rig is a gateway between a simulated SMSC and a simulated SIP user agent, on real sockets.
type rig struct {
	t      testing.TB
	ctx    context.Context
	config gateway.Config
	gw     *gateway.Gateway
	smsc   *gatewaytest.SMSC
	phone  *gatewaytest.UserAgent
	sip    string // host:port of the gateway's SIP side, UDP
	sipTCP string
	events *events.Subscription
	kept   []events.Entry // taken from events and asked for by nobody yet
}

// newRig starts a gateway whose connection `smsc` is bound to a simulated SMSC. change may alter its row, configure the
// configuration.
func newRig(t testing.TB, smsc gatewaytest.SMSCConfig, change func(*sms.ConnectionConfig), configure ...func(*gateway.Config)) *rig {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience(t))
	t.Cleanup(cancel)
	r := &rig{t: t, ctx: ctx}
	var err error
	if r.smsc, err = gatewaytest.NewSMSC(smsc); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.smsc.Close)
	if r.phone, err = gatewaytest.NewUserAgent("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.phone.Close() })
	r.config = gateway.Config{
		Node: "test",
		DB:   "sqlite:" + filepath.Join(t.TempDir(), "test.db"),
		SMPP: gateway.SMPPConfig{Listen: []string{"127.0.0.1:0"}},
		SIP: gateway.SIPConfig{
			Listen:      []string{"udp:127.0.0.1:0", "tcp:127.0.0.1:0"},
			OutboundURI: gateway.List{"sip:" + r.phone.Addr()},
		},
	}
	for _, f := range configure {
		f(&r.config)
	}
	row := r.row("smsc", r.smsc.Addr())
	if change != nil {
		change(&row)
	}
	r.put(row)
	r.start()
	if row.Enabled && row.SessionType != sms.Outbind {
		r.event("E_SMPP_BIND_UP")
	}
	return r
}

// patience is how long a rig may take.
func patience(t testing.TB) time.Duration {
	if _, bench := t.(*testing.B); bench {
		return 5 * time.Minute
	}
	return 20 * time.Second
}

// refuses keeps nothing: what no target takes is refused.
func refuses(c *gateway.Config) { c.Defer.Enabled = new(false) }

// row is a row of table smpp for a simulated SMSC.
func (r *rig) row(name, addr string) sms.ConnectionConfig {
	host, portText, _ := net.SplitHostPort(addr)
	port, _ := strconv.Atoi(portText)
	c := store.NewConnection(name, host, port)
	c.SystemID, c.Password = "gw", "secret"
	c.ResponseTimeout = 2 * time.Second
	return c
}

// put writes rows into table smpp.
func (r *rig) put(rows ...sms.ConnectionConfig) {
	r.t.Helper()
	db, err := store.Open(r.ctx, r.config.DB)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, row := range rows {
		if err := db.PutConnection(r.ctx, row); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		r.t.Fatal(err)
	}
}

// sql changes the database as an operator does.
func (r *rig) sql(statement string) {
	r.t.Helper()
	db, err := sqlx.Open("sqlite", strings.TrimPrefix(r.config.DB, "sqlite:")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		r.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(r.ctx, statement); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) start() {
	r.t.Helper()
	log := slog.New(slog.NewTextHandler(testWriter{r.t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	gw, err := gateway.New(r.ctx, r.config, log)
	if err != nil {
		r.t.Fatal(err)
	}
	r.gw, r.events, r.kept = gw, gw.Events().Subscribe(events.Filter{}, events.After(0)), nil
	r.t.Cleanup(func() { r.stop(gw) })
	if err := gw.Start(r.ctx); err != nil {
		r.t.Fatal(err)
	}
	r.sip = strings.TrimPrefix(gw.SIPAddrs()[0], "udp:")
	r.sipTCP = strings.TrimPrefix(gw.SIPAddrs()[1], "tcp:")
}

func (r *rig) stop(gw *gateway.Gateway) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if err := gw.Close(ctx); err != nil {
		r.t.Error(err)
	}
}

// restart ends the gateway and starts another on the same database.
func (r *rig) restart() {
	r.t.Helper()
	r.stop(r.gw)
	r.start()
	r.event("E_SMPP_BIND_UP")
}

// event waits for the next event of a name, and gives it. Others are kept for those who ask for them later.
func (r *rig) event(name string) events.Event {
	r.t.Helper()
	for {
		for i, e := range r.kept {
			if e.Event.Name() == name {
				r.kept = append(r.kept[:i:i], r.kept[i+1:]...)
				return e.Event
			}
		}
		entries, err := r.events.Next(r.ctx)
		if err != nil {
			r.t.Fatalf("no event %s came; those that did: %s", name, r.names())
		}
		r.kept = append(r.kept, entries...)
	}
}

// none fails if an event of that name is among those that came until now.
func (r *rig) none(name string) {
	r.t.Helper()
	r.gw.Events().Publish(events.Reloaded{}) // a mark: what comes before it came until now
	r.event("E_SMPP_RELOADED")
	for _, e := range r.kept {
		if e.Event.Name() == name {
			r.t.Errorf("%s came: %s", name, e.JSON)
		}
	}
}

func (r *rig) names() string {
	var names []string
	for _, e := range r.kept {
		names = append(names, e.Event.Name())
	}
	return strings.Join(names, " ")
}

// send sends a MESSAGE by the simulated phone and gives the gateway's answer.
func (r *rig) send(text string) int {
	r.t.Helper()
	to := "sip:+4915112345678@" + r.sip
	if len(text) > 800 { // RFC 3261, 18.1.1: too long for UDP
		to = "sip:+4915112345678@" + r.sipTCP + ";transport=tcp"
	}
	code, err := r.phone.Send(r.ctx, to, "100", text)
	if err != nil {
		r.t.Fatal(err)
	}
	return code
}

// accept hands a message to the gateway's door as the MI does, and waits for its outcome.
func (r *rig) accept(m *sms.Message) sms.Outcome {
	r.t.Helper()
	m.Ingress, m.Received = sms.MI, time.Now()
	if m.To.IsZero() {
		m.From, m.To = sms.ParseAddress("100"), sms.ParseAddress("+4915112345678")
	}
	done := make(chan sms.Outcome, 2)
	r.gw.Accept(m, func(o sms.Outcome) { done <- o })
	select {
	case o := <-done:
		return o
	case <-r.ctx.Done():
		r.t.Fatal("no outcome came")
		panic("unreachable")
	}
}

// received gives the text of the next message that the SMSC got, joined, and how many segments it came in.
func (r *rig) received() (string, int) {
	r.t.Helper()
	first, err := r.smsc.Next(r.ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	_, total, _ := first.Part()
	rest, err := r.smsc.Take(r.ctx, int(total)-1)
	if err != nil {
		r.t.Fatal(err)
	}
	return gatewaytest.JoinText(append([]gatewaytest.Submit{first}, rest...)...), int(total)
}

// message gives the next MESSAGE that reached the simulated phone.
func (r *rig) message() gatewaytest.UAMessage {
	r.t.Helper()
	select {
	case m := <-r.phone.Received():
		return m
	case <-r.ctx.Done():
		r.t.Fatal("no MESSAGE came")
		panic("unreachable")
	}
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	fmt.Fprintf(w.t.Output(), "%s", b)
	return len(b), nil
}
