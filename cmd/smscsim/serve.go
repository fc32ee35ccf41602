package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"sipsmpp/gateway/gatewaytest"
)

// serveFlags are those of the simulator itself.
type serveFlags struct {
	smsc            gatewaytest.SMSCConfig
	idFormat        string
	receiptIDFormat string
	errorStatus     string
	quiet           bool
	control         string
	mo              moFlags
}

// moFlags are a stream of messages from phones.
type moFlags struct {
	rate           float64
	from, to, text string
}

func serveCommand(stdin io.Reader) *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use:   "smscsim",
		Short: "An SMSC to try, test and measure the gateway with",
		Long: `smscsim is a simulated SMSC: it accepts binds and submit_sm, answers, sends receipts where registered_delivery asks for
them, and prints a line for each thing that happens. A line on its standard input sends a message as from a phone:

    mo FROM TO TEXT...        also: stats, drop (close every socket), quit

and so does ` + "`smscsim mo FROM TO TEXT...`" + ` or POST /mo?from=&to=&text=[&count=&rate=] to the address of --control, where
GET /stats gives the counts as JSON.`,
		Example: `  smscsim --listen 127.0.0.1:2776 --receipt-delay 2s
  smscsim --receipt-stat DELIVRD=95,UNDELIV=5 --error-rate 0.01 --error-status 0x14 --throttle-above 100`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return serve(c.Context(), f, stdin, c.OutOrStdout()) },
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.smsc.Addr, "listen", "127.0.0.1:2776", "host:port that ESMEs bind to")
	fl.StringVar(&f.smsc.SystemID, "system-id", "", "the only system_id that may bind (default any)")
	fl.StringVar(&f.smsc.Password, "password", "", "the password that a bind must give (default any)")
	fl.DurationVar(&f.smsc.Latency, "latency", 0, "time before a submit_sm_resp")
	fl.DurationVar(&f.smsc.ReceiptDelay, "receipt-delay", 0, "time between response and receipt")
	fl.StringVar(&f.smsc.ReceiptStat, "receipt-stat", "DELIVRD", "final `states` in receipts, with weights: DELIVRD=95,UNDELIV=5")
	fl.Float64Var(&f.smsc.ErrorRate, "error-rate", 0, "`share` of submit_sm that is refused, 0 to 1")
	fl.StringVar(&f.errorStatus, "error-status", "0x45", "`command_status` that they are refused with")
	fl.IntVar(&f.smsc.ThrottleAbove, "throttle-above", 0, "submit_sm per second above which they are refused with 0x58 (default never)")
	fl.IntVar(&f.smsc.Window, "window", 10, "most unanswered deliver_sm on a bind")
	fl.DurationVar(&f.smsc.EnquireLink, "enquire-link", 0, "how often a bind is asked (default never)")
	fl.StringVar(&f.idFormat, "id-format", "decimal", "SMSC ids in responses: decimal, hex or uuid")
	fl.StringVar(&f.receiptIDFormat, "receipt-id-format", "", "SMSC ids in receipts, where they differ: decimal or hex")
	fl.BoolVar(&f.quiet, "quiet", false, "print no line for each event, only the rates under load")
	fl.StringVar(&f.control, "control", "127.0.0.1:2779", "host:port of the HTTP control; empty for none")
	fl.Float64Var(&f.mo.rate, "mo-rate", 0, "messages from phones per second, all the time")
	fl.StringVar(&f.mo.from, "mo-from", "+4915112345678", "their sender")
	fl.StringVar(&f.mo.to, "mo-to", "12345", "their recipient")
	fl.StringVar(&f.mo.text, "mo-text", "message {n} from a phone", "their text; {n} is replaced by their number")
	return c
}

// configure fills in what flags say in words.
func (f *serveFlags) configure() error {
	status, err := strconv.ParseUint(f.errorStatus, 0, 32)
	if err != nil || status == 0 {
		return fmt.Errorf("--error-status %q: want a command_status above 0, as 0x45", f.errorStatus)
	}
	f.smsc.ErrorStatus = uint32(status)
	// Ids go on from the clock, so that those of two runs are not the same.
	first := uint64(time.Now().Unix()) * 1_000_000
	numbers := map[string]func(uint64) string{
		"decimal": func(n uint64) string { return strconv.FormatUint(n, 10) },
		"hex":     func(n uint64) string { return fmt.Sprintf("%X", n) },
	}
	base := map[string]int{"decimal": 10, "hex": 16}
	switch format := numbers[f.idFormat]; {
	case f.idFormat == "uuid":
		f.smsc.MessageID = func(uint64) string { return uuid() }
	case format == nil:
		return fmt.Errorf("--id-format %q: want decimal, hex or uuid", f.idFormat)
	default:
		f.smsc.MessageID = func(n uint64) string { return format(first + n) }
	}
	if f.receiptIDFormat == "" {
		return nil
	}
	format := numbers[f.receiptIDFormat]
	if format == nil || base[f.idFormat] == 0 {
		return fmt.Errorf("--receipt-id-format %q: want decimal or hex, beside an --id-format that is one of them", f.receiptIDFormat)
	}
	f.smsc.ReceiptID = func(id string) string {
		n, _ := strconv.ParseUint(id, base[f.idFormat], 64) // it is one that MessageID made
		return format(n)
	}
	return nil
}

// uuid is a random one (RFC 9562, 5.4).
func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	b[6], b[8] = b[6]&0x0F|0x40, b[8]&0x3F|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// serve runs the simulator until ctx ends or standard input says quit.
func serve(ctx context.Context, f serveFlags, stdin io.Reader, stdout io.Writer) error {
	if err := f.configure(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out := &printer{w: stdout, quiet: f.quiet}
	f.smsc.Keep = -1
	if !f.quiet {
		f.smsc.OnEvent = out.event
	}
	smsc, err := gatewaytest.NewSMSC(f.smsc)
	if errors.As(err, new(*net.OpError)) {
		return failed(err)
	} else if err != nil {
		return err // a flag's value
	}
	defer hangUp(smsc)
	out.line("listening on %s", smsc.Addr())

	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	if f.control != "" {
		addr, stop, err := serveControl(ctx, f.control, smsc)
		if err != nil {
			return failed(fmt.Errorf("%w: name another address with --control, or none", err))
		}
		defer stop()
		out.line("control on http://%s", addr)
	}
	if f.mo.rate > 0 {
		running.Go(func() { sendMO(ctx, smsc, f.mo, 0) })
	}
	go readLines(ctx, cancel, stdin, smsc, out) // not waited for: a read of the terminal ends with the process
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	began := time.Now()
	for last := smsc.Stats(); ; {
		select {
		case <-ctx.Done():
			hangUp(smsc)
			out.line("%s", summary(smsc.Stats(), time.Since(began)))
			return nil
		case <-tick.C:
			now := smsc.Stats()
			out.second(now, last)
			last = now
		}
	}
}

// hangUp ends an SMSC as a peer expects it: with unbind, and without waiting long for the answer.
func hangUp(smsc *gatewaytest.SMSC) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = smsc.Refuse(gatewaytest.RefuseListen) // closing a listener: there is nothing to do about an error
	smsc.Unbind()
	_ = smsc.WaitBinds(ctx, 0) // who does not answer is closed all the same
	smsc.Close()
}
