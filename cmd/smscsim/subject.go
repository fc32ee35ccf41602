package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"sipsmpp/gateway/route"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// subject is a process that this one started to stand between the two ends: the gateway or the floor.
type subject struct {
	cmd   *exec.Cmd
	stdin io.Closer     // the floor ends when it is closed
	dir   string        // temporary; empty where there is none
	sip   string        // host:port of its SIP side
	mi    string        // host:port of its MI
	smpp  string        // host:port that accounts bind to
	took  time.Duration // from its start until it was ready

	ended   chan struct{} // closed when it has said its last line
	reading sync.WaitGroup
	mu      sync.Mutex
	tail    []string // its last lines
}

// tailLines is how many lines of a process are kept for an error.
const tailLines = 20

// stopTime is how long a process has to end.
const stopTime = 15 * time.Second

// startSubject starts what the flags say between the two ends.
func (r *rig) startSubject(ctx context.Context, e ends) (*subject, error) {
	if r.floor {
		return r.startFloor(ctx, e)
	}
	return r.startGateway(ctx, e)
}

// startFloor starts this program again as the floor.
func (r *rig) startFloor(ctx context.Context, e ends) (*subject, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"floor", "--smsc", e.smsc, "--peer", e.peer, "--sip-sink", e.sink}
	if r.receipts {
		args = append(args, "--receipts")
	}
	if r.has("esme") {
		args = append(args, "--account")
	}
	s := &subject{cmd: exec.Command(self, args...)}
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.cmd.Stderr = s.cmd.Stdout
	if err := s.start(ctx, out, func(line []byte) bool {
		addresses, found := bytes.CutPrefix(line, []byte(floorReady))
		s.sip, s.smpp, _ = strings.Cut(string(addresses), " ")
		return found
	}); err != nil {
		return nil, fmt.Errorf("the floor: %w", err)
	}
	return s, nil
}

// startGateway starts sipsmppd in a temporary directory, on free ports.
func (r *rig) startGateway(ctx context.Context, e ends) (*subject, error) {
	path, err := filepath.Abs(r.gateway)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "smscsim-load-")
	if err != nil {
		return nil, err
	}
	s := &subject{dir: dir, cmd: exec.Command(path, "-c", "sipsmpp.yaml")}
	s.cmd.Dir = dir
	log, err := s.cmd.StderrPipe()
	if err == nil {
		s.cmd.Stdout = s.cmd.Stderr
		err = r.configure(ctx, dir, e)
	}
	if err == nil {
		err = s.start(ctx, log, s.gatewayReady)
	}
	if err == nil && r.has("esme") {
		if err = addAccount(ctx, s.mi, r.peerWindow()); err != nil {
			s.stop()
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", r.gateway, err), os.RemoveAll(dir))
	}
	return s, nil
}

// gatewayReady finds the addresses in the gateway's word that it started.
func (s *subject) gatewayReady(line []byte) bool {
	var started struct {
		Msg       string
		SIP, SMPP []string
		MI        string
	}
	if json.Unmarshal(line, &started) != nil || started.Msg != "started" || len(started.SIP) == 0 {
		return false
	}
	s.sip, s.mi = strings.TrimPrefix(started.SIP[0], "udp:"), started.MI
	if len(started.SMPP) > 0 {
		s.smpp = started.SMPP[0]
	}
	return true
}

// configure writes the gateway's configuration and tables.
func (r *rig) configure(ctx context.Context, dir string, e ends) error {
	lines := []string{
		"node: load",
		"db: sqlite:load.db",
		"records: pending",
		"mi: {listen: '127.0.0.1:0'}",
		"log: {level: info, format: json}",
		"smpp: {default_connection: smsc, listen: ['127.0.0.1:0']}",
	}
	sip := "sip: {listen: ['udp:127.0.0.1:0']}"
	if e.sink != "" {
		sip = "sip: {listen: ['udp:127.0.0.1:0'], outbound_uri: 'sip:" + e.sink + "'}"
	}
	lines = append(lines, sip)
	// What the flags add takes the place of what is here under the same key.
	for _, added := range r.config {
		key, _, _ := strings.Cut(added, ":")
		for i, line := range lines {
			if strings.HasPrefix(line, key+":") {
				lines[i] = ""
			}
		}
		lines = append(lines, added)
	}
	if err := os.WriteFile(filepath.Join(dir, "sipsmpp.yaml"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	db, err := store.Open(ctx, "sqlite:"+filepath.Join(dir, "load.db"))
	if err != nil {
		return err
	}
	return errors.Join(r.fillTables(ctx, db, filepath.Join(dir, "load.db"), e), db.Close())
}

func (r *rig) fillTables(ctx context.Context, db *store.DB, path string, e ends) error {
	peers := make(map[string]sms.ConnectionConfig)
	for name, addr := range map[string]string{"smsc": e.smsc, "peer": e.peer} {
		if addr == "" {
			continue
		}
		host, portText, err := net.SplitHostPort(addr)
		if err != nil {
			return err
		}
		port, err := strconv.Atoi(portText)
		if err != nil {
			return err
		}
		c := store.NewConnection(name, host, port)
		c.SystemID, c.Password, c.Window = loadAccount, loadAccount, r.peerWindow()
		if r.receipts && name == "smsc" {
			c.Receipt = sms.ReceiptFinal
		}
		if err := db.PutConnection(ctx, c); err != nil {
			return err
		}
		peers[name] = c
	}
	if err := r.crowd.fill(ctx, db, path, func(name string) sms.ConnectionConfig {
		c := peers["smsc"]
		c.Name, c.Window = name, 10
		return c
	}); err != nil {
		return err
	}
	if e.peer == "" {
		return nil
	}
	_, err := db.PutRoute(ctx, route.Rule{Name: "relay", Enabled: true, Ingress: "smpp:peer", Targets: "smpp:smsc"})
	return err
}

// addAccount makes the account of the load.
func addAccount(ctx context.Context, mi string, window int) error {
	body := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":1,"method":"account_add","params":{"system_id":%q,"password":%q,"window":%d}}`,
		loadAccount, loadAccount, window)
	code, err := callMI(ctx, http.DefaultClient, mi, body)
	http.DefaultClient.CloseIdleConnections()
	if err == nil && code != 0 {
		err = fmt.Errorf("its MI answers error %d", code)
	}
	if err != nil {
		return fmt.Errorf("account_add: %w", err)
	}
	return nil
}

// start starts the process, and reads its lines until ready is content with one.
func (s *subject) start(ctx context.Context, lines io.Reader, ready func(line []byte) bool) error {
	// An interrupt at the terminal is for us: the process is to go on until what is on its way has come out.
	s.cmd.SysProcAttr = childAttributes()
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return err
	}
	started := make(chan struct{})
	s.ended = make(chan struct{})
	s.reading.Go(func() {
		defer close(s.ended)
		scanner := bufio.NewScanner(lines)
		for waiting := true; scanner.Scan(); {
			if waiting && ready(scanner.Bytes()) {
				waiting = false
				close(started)
			}
			s.mu.Lock()
			if s.tail = append(s.tail, scanner.Text()); len(s.tail) > tailLines {
				s.tail = s.tail[1:]
			}
			s.mu.Unlock()
		}
	})
	var why error
	select {
	case <-started:
		s.took = time.Since(began)
		return nil
	case <-s.ended:
		why = errors.New("it ended before it was ready")
	case <-ctx.Done():
		why = fmt.Errorf("it is not ready: %w", context.Cause(ctx))
	}
	s.stop()
	return fmt.Errorf("%w; its last lines: %s", why, strings.Join(s.tail, "\n"))
}

// onEnd calls f when the process ends by itself, or by stop.
func (s *subject) onEnd(f func()) {
	s.reading.Go(func() { <-s.ended; f() })
}

// dead is why the process is no longer there; nil while it is.
func (s *subject) dead() error {
	select {
	case <-s.ended:
		return fmt.Errorf("the process ended in the middle of the run; its last lines: %s", strings.Join(s.tail, "\n"))
	default:
		return nil
	}
}

// stop ends the process and waits for it.
func (s *subject) stop() {
	if s.stdin != nil {
		s.stdin.Close()
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // one that has ended needs none
	kill := time.AfterFunc(stopTime, func() { _ = s.cmd.Process.Kill() })
	s.reading.Wait() // its last line, which its end follows
	_ = s.cmd.Wait() // by a signal, as we asked
	kill.Stop()
	if s.dir != "" {
		_ = os.RemoveAll(s.dir) // what stays there is temporary
	}
}
