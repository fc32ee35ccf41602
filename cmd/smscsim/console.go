package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"sipsmpp/gateway/gatewaytest"
)

// linesPerSecond is how many events are printed in a second. Under more load the rates are, once a second.
const linesPerSecond = 50

// printer writes for people: a line each, with the time.
type printer struct {
	w     io.Writer
	quiet bool

	mu      sync.Mutex
	printed int // in this second
	skipped int
}

func (p *printer) line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.write(fmt.Sprintf(format, args...))
}

func (p *printer) write(s string) {
	fmt.Fprintf(p.w, "%s %s\n", time.Now().Format("15:04:05.000"), s)
}

// limited prints what describe gives, if this second has room for it.
func (p *printer) limited(describe func() string) {
	if p.quiet {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.printed >= linesPerSecond {
		p.skipped++
		return
	}
	p.printed++
	p.write(describe())
}

// event prints one event of the SMSC.
func (p *printer) event(e gatewaytest.Event) {
	p.limited(func() string { return describeEvent(e) })
}

func describeEvent(e gatewaytest.Event) string {
	who := fmt.Sprintf("#%d %s", e.Bind.ID, e.Bind.SystemID)
	answer := statusText(e.Status)
	if e.Err != nil {
		answer = e.Err.Error()
	}
	switch e.Kind {
	case gatewaytest.EventBind:
		return fmt.Sprintf("bind       %s %s from %s: %s", who, e.Bind.Mode, e.Bind.Remote, answer)
	case gatewaytest.EventUnbind:
		return fmt.Sprintf("unbind     %s after %v: %s", who, time.Since(e.Bind.Since).Round(time.Second), answer)
	case gatewaytest.EventSubmit:
		return fmt.Sprintf("submit_sm  %s %s id=%s: %s", who, describeSM(e.Submit), e.Submit.MessageID, answer)
	case gatewaytest.EventReceipt:
		return fmt.Sprintf("receipt    %s to %s id=%s %s: %s", who, e.Deliver.To, e.MessageID, e.Stat, answer)
	default:
		return fmt.Sprintf("deliver_sm %s %s -> %s, %d octets: %s", who, e.Deliver.From, e.Deliver.To, len(e.Deliver.ShortMessage), answer)
	}
}

// describeSM shows a submit_sm or deliver_sm: numbers, coding, part and text.
func describeSM(in *gatewaytest.Incoming) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s -> %s data_coding=%#02x", in.From, in.To, in.DataCoding)
	if in.ESMClass != 0 {
		fmt.Fprintf(&b, " esm_class=%#02x", in.ESMClass)
	}
	if in.RegisteredDelivery != 0 {
		fmt.Fprintf(&b, " registered_delivery=%#02x", in.RegisteredDelivery)
	}
	if _, total, seq := in.Part(); total > 1 {
		fmt.Fprintf(&b, " part %d/%d", seq, total)
	}
	fmt.Fprintf(&b, " %q", in.Text())
	return b.String()
}

func statusText(status uint32) string {
	if status == gatewaytest.StatusOK {
		return "OK"
	}
	return fmt.Sprintf("refused %#02x", status)
}

// statuses shows counts by command_status, smallest first.
func statuses(m map[uint32]uint64) string {
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%#02x: %d", status, m[status]))
	}
	return strings.Join(parts, ", ")
}

// second prints the rates of the second that ended, where its events were not printed, and begins the next.
func (p *printer) second(now, last gatewaytest.SMSCStats) {
	p.mu.Lock()
	defer p.mu.Unlock()
	traffic := now.Submits != last.Submits || now.Delivers != last.Delivers
	if p.skipped > 0 || p.quiet && traffic {
		refused := sum(now.Refused) - sum(last.Refused)
		p.write(fmt.Sprintf("%d binds, submit_sm %d/s (%d refused), deliver_sm %d/s of them %d receipts, %d queued; %d lines not printed",
			now.Bound, now.Submits-last.Submits, refused, now.Delivers-last.Delivers, now.Receipts-last.Receipts, now.Queued, p.skipped))
	}
	p.printed, p.skipped = 0, 0
}

func sum(m map[uint32]uint64) (n uint64) {
	for _, v := range m {
		n += v
	}
	return n
}

// summary is the last line of a run.
func summary(s gatewaytest.SMSCStats, d time.Duration) string {
	text := fmt.Sprintf("%v: %d binds, %d submit_sm, %d accepted", d.Round(time.Second), s.Binds, s.Submits, s.Accepted)
	if len(s.Refused) > 0 {
		text += " (refused " + statuses(s.Refused) + ")"
	}
	text += fmt.Sprintf("; %d deliver_sm", s.Delivers)
	if len(s.DeliversAnswered) > 0 {
		text += " (answered " + statuses(s.DeliversAnswered) + ")"
	}
	return text + fmt.Sprintf(", %d receipts taken, %d never answered, %d still queued", s.Receipts, s.DeliversLost, s.Queued)
}

// readLines obeys standard input until it ends.
func readLines(ctx context.Context, quit func(), stdin io.Reader, smsc *gatewaytest.SMSC, out *printer) {
	lines := bufio.NewScanner(stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		switch {
		case words[0] == "mo" && len(words) >= 4:
			d := gatewaytest.Deliver{From: words[1], To: words[2], Text: strings.Join(words[3:], " ")}
			// What becomes of it is an event, and printed as one.
			if err := smsc.Send(d, func(uint32, error) {}); err != nil {
				out.line("%v", err)
			}
		case words[0] == "stats":
			out.line("%s", summary(smsc.Stats(), 0))
		case words[0] == "drop":
			smsc.DropConnections()
		case words[0] == "quit":
			quit()
			return
		default:
			out.line("%q is not understood: mo FROM TO TEXT..., stats, drop or quit", lines.Text())
		}
		if ctx.Err() != nil {
			return
		}
	}
}
