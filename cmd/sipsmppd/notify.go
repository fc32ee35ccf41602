package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// notifier tells systemd what becomes of the daemon, by datagrams to $NOTIFY_SOCKET (sd_notify(3)). A nil one tells nobody.
type notifier struct {
	conn net.Conn
	log  *slog.Logger
}

// newNotifier is nil where nobody asked to be told. The environment is not passed on to children.
func newNotifier(log *slog.Logger) *notifier {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return nil
	}
	_ = os.Unsetenv("NOTIFY_SOCKET")
	conn, err := net.Dial("unixgram", socket) // "@" before it is an abstract one, to Go as to systemd
	if err != nil {
		log.Warn("systemd is told nothing", "socket", socket, "error", err)
		return nil
	}
	return &notifier{conn, log}
}

func (n *notifier) tell(state string) {
	if n == nil {
		return
	}
	if _, err := n.conn.Write([]byte(state)); err != nil {
		n.log.Warn("systemd was not told", "state", state, "error", err)
	}
}

// ready says that the daemon serves; status is what systemctl shows.
func (n *notifier) ready(status string) {
	n.tell("READY=1\nSTATUS=" + strings.ReplaceAll(status, "\n", " ")) // a line end would begin another variable
}

// reloading says that a reload began, which the next ready ends (Type=notify-reload wants the time).
func (n *notifier) reloading() {
	if usec := monotonic(); usec > 0 {
		n.tell("RELOADING=1\nMONOTONIC_USEC=" + strconv.FormatInt(usec, 10))
	}
}

func (n *notifier) stopping() { n.tell("STOPPING=1\nSTATUS=what is in flight is let finish") }

// watch says twice in each period of systemd's watchdog that the daemon lives ($WATCHDOG_USEC), once alive returned: where it hangs
// nothing is said, and systemd starts the daemon anew.
func (n *notifier) watch(ctx context.Context, alive func()) {
	if n == nil {
		return
	}
	period, err := watchdogPeriod()
	if err != nil {
		n.log.Warn("systemd's watchdog is told nothing", "error", err)
	}
	if period == 0 {
		return
	}
	tick := time.NewTicker(period / 2)
	defer tick.Stop()
	for {
		alive()
		n.tell("WATCHDOG=1")
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// watchdogPeriod is 0 where there is no watchdog, or one for another process.
func watchdogPeriod() (time.Duration, error) {
	text := os.Getenv("WATCHDOG_USEC")
	if pid := os.Getenv("WATCHDOG_PID"); text == "" || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0, nil
	}
	usec, err := strconv.ParseInt(text, 10, 64)
	if err != nil || usec <= 0 {
		return 0, fmt.Errorf("WATCHDOG_USEC=%q is no time", text)
	}
	return time.Duration(usec) * time.Microsecond, nil
}
