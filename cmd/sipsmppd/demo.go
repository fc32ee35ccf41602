package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"sipsmpp/cmd/internal/version"
	"sipsmpp/events"
	"sipsmpp/gateway"
	"sipsmpp/gateway/gatewaytest"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// The people of the demonstration.
const (
	demoPhone   = "100"            // the SIP side
	demoHandset = "+4915112345678" // the SMPP side
)

// demoStepTime is how long a step of the demonstration may take before it is called failed.
const demoStepTime = 10 * time.Second

func demoCommand() *cobra.Command {
	var outbound string
	var once bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Start the gateway beside a simulated SMSC, and send one message each way",
		Long: `demo starts the gateway with a simulated SMSC and a simulated SIP phone beside it, in a temporary database, sends one message
each way, prints each step and each event as it happens, and keeps running, so that a softphone, curl or sipsmpp-cli can be
pointed at it. Everything listens on 127.0.0.1 only.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo(cmd.Context(), cmd.OutOrStdout(), outbound, once)
		},
	}
	cmd.Flags().StringVar(&outbound, "outbound-uri", "", "where messages to SIP go after the first: a softphone's sip:HOST:PORT (default the simulated phone)")
	cmd.Flags().BoolVar(&once, "once", false, "end after one message each way")
	return cmd
}

// demonstration is the screen that everybody in the demo writes to.
type demonstration struct {
	mu  sync.Mutex
	out io.Writer
}

func (d *demonstration) say(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintf(d.out, format+"\n", args...)
}

// step prints what one of the participants did.
func (d *demonstration) step(who, format string, args ...any) {
	d.say("  %-8s %s", who, fmt.Sprintf(format, args...))
}

func demo(ctx context.Context, out io.Writer, outbound string, once bool) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	screen := &demonstration{out: out}
	dir, err := os.MkdirTemp("", "sipsmpp-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	reported := make(chan struct{}, 1)
	smsc, err := gatewaytest.NewSMSC(gatewaytest.SMSCConfig{
		Addr:         free("tcp", "127.0.0.1:2776"),
		SystemID:     "demo",
		Password:     "demo-secret",
		ReceiptDelay: 300 * time.Millisecond,
		OnEvent:      func(e gatewaytest.Event) { showSMSC(screen, e) },
	})
	if err != nil {
		return fmt.Errorf("the simulated SMSC: %w", err)
	}
	defer smsc.Close()

	phone, err := gatewaytest.NewUserAgent("127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("the simulated phone: %w", err)
	}
	defer phone.Close()
	if outbound == "" {
		outbound = "sip:" + phone.Addr()
	}

	config := gateway.Config{
		Node: "demo",
		DB:   "sqlite:" + filepath.Join(dir, "demo.db"),
		SMPP: gateway.SMPPConfig{Listen: []string{free("tcp", "127.0.0.1:2775")}},
		SIP:  gateway.SIPConfig{OutboundURI: gateway.List{outbound}},
		MI:   gateway.MIConfig{Listen: free("tcp", "127.0.0.1:8888")},
	}
	sipAddr := freeSIP("127.0.0.1:5060")
	config.SIP.Listen = []string{"udp:" + sipAddr, "tcp:" + sipAddr}
	if err := demoTable(ctx, config.DB, smsc.Addr()); err != nil {
		return err
	}
	screen.say("sipsmpp %s, a demonstration. Everything is on this host, and gone afterwards.\n", version.Number)
	screen.step("gateway", "SIP on %s (UDP and TCP), MI and events on %s", sipAddr, config.MI.Listen)
	screen.step("gateway", "accounts bind to %s: sipsmpp-cli -x mi account_add SYSTEM_ID PASSWORD makes one", config.SMPP.Listen[0])
	screen.step("SMSC", "a simulated one on %s, connection %q of table smpp", smsc.Addr(), "demo")
	screen.step("phone", "a simulated one on %s", phone.Addr())
	screen.say("")

	log := slog.New(slog.NewTextHandler(&lines{screen}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	d, err := start(ctx, config, nil, log, new(slog.LevelVar), stop)
	if err != nil {
		return err
	}
	bound := make(chan struct{}, 1)
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		showEvents(ctx, d.gateway.Events(), screen, bound, reported)
	}()
	err = demoMessages(ctx, screen, d, phone, smsc, sipAddr, outbound == "sip:"+phone.Addr(), bound, reported)
	if err == nil && !once {
		screen.say(demoHints(config, sipAddr))
		go showPhone(ctx, phone, screen)
		select {
		case <-ctx.Done():
		case err = <-d.failed:
		}
	}
	err = errors.Join(err, d.close())
	stop()
	<-shown
	return err
}

// demoTable makes a database with one connection: the simulated SMSC.
func demoTable(ctx context.Context, url, smsc string) error {
	host, portText, err := net.SplitHostPort(smsc)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, url)
	if err != nil {
		return err
	}
	c := store.NewConnection("demo", host, port)
	c.SystemID, c.Password, c.Receipt = "demo", "demo-secret", sms.ReceiptFinal
	return errors.Join(db.PutConnection(ctx, c), db.Close())
}

// demoMessages sends one message each way, and waits for what must come of it.
func demoMessages(ctx context.Context, screen *demonstration, d *daemon, phone *gatewaytest.UserAgent, smsc *gatewaytest.SMSC,
	sipAddr string, phoneIsNextHop bool, bound, reported <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, 3*demoStepTime)
	defer cancel()
	if err := wait(ctx, bound, "the bind to the simulated SMSC"); err != nil {
		return err
	}

	const hello = "Hello from SIP: é, €, Привет, 汉字 and 👋"
	screen.say("\nSIP to SMPP, and the delivery receipt back:\n")
	screen.step("phone", "MESSAGE sip:%s@%s: %q", demoHandset, sipAddr, hello)
	code, err := phone.Send(ctx, "sip:"+demoHandset+"@"+sipAddr, demoPhone, hello)
	if err != nil {
		return fmt.Errorf("the simulated phone: %w", err)
	}
	screen.step("phone", "the gateway answered %d", code)
	if err := wait(ctx, reported, "the delivery receipt"); err != nil {
		return err
	}
	if !phoneIsNextHop {
		return nil
	}

	const reply = "Hello from SMPP: a long answer, so that it comes in two segments and arrives as one message. " +
		"It says é, € and ñ in the GSM alphabet, and each segment carries a user data header that nobody sees."
	screen.say("\nSMPP to SIP:\n")
	screen.step("SMSC", "deliver_sm from %s to %s: %q", demoHandset, demoPhone, reply)
	delivered := make(chan error, 1)
	go func() {
		_, err := smsc.Deliver(ctx, gatewaytest.Deliver{From: demoHandset, To: demoPhone, Text: reply})
		delivered <- err
	}()
	select {
	case m := <-phone.Received():
		screen.step("phone", "MESSAGE from %s: %q", m.From, m.Text)
	case <-ctx.Done():
		return errors.New("the message did not reach the simulated phone")
	}
	if err := <-delivered; err != nil {
		return fmt.Errorf("the simulated SMSC: %w", err)
	}
	return nil
}

func wait(ctx context.Context, happened <-chan struct{}, what string) error {
	select {
	case <-happened:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s did not come within %v", what, 3*demoStepTime)
	}
}

func demoHints(config gateway.Config, sipAddr string) string {
	cli := "go run ./cmd/sipsmpp-cli"
	if config.MI.Listen != "127.0.0.1:8888" {
		cli += " -u http://" + config.MI.Listen + "/mi"
	}
	return fmt.Sprintf(`
It goes on running. From a second terminal:

  %[1]s -x mi smpp_list
  %[1]s -x mi message_send from=%[2]s to=%[3]s text="hi" receipt=true
  %[1]s -x events 'E_MESSAGE_*'
  curl -s -H 'Content-Type: application/json' -d '{"jsonrpc":"2.0","id":1,"method":"which"}' http://%[4]s/mi

or send a MESSAGE to sip:%[3]s@%[5]s with a softphone. Ctrl-C ends it.
`, cli, demoPhone, demoHandset, config.MI.Listen, sipAddr)
}

// showEvents prints each event by its name, and says when the first bind is up and the first report is in.
func showEvents(ctx context.Context, hub *events.Hub, screen *demonstration, bound, reported chan<- struct{}) {
	subscription := hub.Subscribe(events.Filter{}, events.After(0))
	for {
		entries, err := subscription.Next(ctx)
		if err != nil {
			return
		}
		for _, e := range entries {
			screen.step("event", "%s %s", e.Event.Name(), eventParams(e))
			switch e.Event.(type) {
			case events.BindUp:
				tell(bound)
			case events.MessageReport:
				tell(reported)
			}
		}
	}
}

func tell(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// eventParams is what an event says beside seq, time and node.
func eventParams(e events.Entry) string {
	_, rest, _ := strings.Cut(string(e.JSON), `"node":"demo",`)
	return "{" + strings.TrimSuffix(rest, "}")
}

// showSMSC prints what the simulated SMSC sees.
func showSMSC(screen *demonstration, e gatewaytest.Event) {
	switch e.Kind {
	case gatewaytest.EventBind:
		screen.step("SMSC", "bind of %s as %s: status %d", e.Bind.SystemID, e.Bind.Mode, e.Status)
	case gatewaytest.EventSubmit:
		_, total, seq := e.Submit.Part()
		screen.step("SMSC", "submit_sm from %s to %s, data_coding %d, part %d of %d: %q, SMSC id %s",
			e.Submit.From, e.Submit.To, e.Submit.DataCoding, seq, total, e.Submit.Text(), e.Submit.MessageID)
	case gatewaytest.EventReceipt:
		screen.step("SMSC", "its receipt for SMSC id %s, stat %s, was answered with status %d", e.MessageID, e.Stat, e.Status)
	case gatewaytest.EventDeliver:
		screen.step("SMSC", "its deliver_sm was answered with status %d", e.Status)
	}
}

// showPhone prints what reaches the simulated phone later on.
func showPhone(ctx context.Context, phone *gatewaytest.UserAgent, screen *demonstration) {
	for {
		select {
		case m := <-phone.Received():
			screen.step("phone", "MESSAGE from %s: %q", m.From, m.Text)
		case <-ctx.Done():
			return
		}
	}
}

// lines lets the log share the screen.
type lines struct{ screen *demonstration }

func (l *lines) Write(b []byte) (int, error) {
	l.screen.step("log", "%s", strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}

// free gives the address if nobody listens there, else one whose port the system chooses.
func free(network, addr string) string {
	host, _, _ := net.SplitHostPort(addr)
	for _, a := range []string{addr, net.JoinHostPort(host, "0")} {
		if l, err := net.Listen(network, a); err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	return addr
}

// freeSIP is free for an address that is needed on UDP and TCP.
func freeSIP(addr string) string {
	for range 10 {
		tcp := free("tcp", addr)
		if p, err := net.ListenPacket("udp", tcp); err == nil {
			p.Close()
			return tcp
		}
		addr = "127.0.0.1:0"
	}
	return addr
}
