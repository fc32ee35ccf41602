package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sipsmpp/gateway/route"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// startTime is how long the gateway may take to start, and to bind.
const startTime = 20 * time.Second

// torturedGateway is the gateway's process, one after the other at the same addresses.
type torturedGateway struct {
	path, dir, db string
	sip, smpp, mi string
	process       *subject // nil: it is not running
}

// prepare writes the gateway's configuration and tables.
func (t *torture) prepare(ctx context.Context) (*torturedGateway, error) {
	path, err := filepath.Abs(t.tortureFlags.gateway)
	if err != nil {
		return nil, err
	}
	g := &torturedGateway{path: path, dir: t.dir, db: t.db}
	if g.db == "" {
		g.db = "sqlite:" + filepath.Join(t.dir, "torture.db")
	}
	for _, address := range []*string{&g.sip, &g.smpp, &g.mi} {
		if *address, err = freePort(); err != nil {
			return nil, err
		}
	}
	lines := append([]string{
		"node: torture",
		fmt.Sprintf("db: %q", g.db),
		fmt.Sprintf("mi: {listen: %q}", g.mi),
		"log: {level: info, format: json}",
		"defer: {first_delay: 200ms, max_delay: 2s}", // so that what is kept at the end is soon tried again
		fmt.Sprintf("smpp: {default_connection: smsc, listen: [%q]}", g.smpp),
		fmt.Sprintf("sip: {listen: [%q], outbound_uri: %q, probe_interval: 1s}", "udp:"+g.sip, "sip:"+t.sink.addr.String()),
	}, t.config...)
	if err := os.WriteFile(t.configFile(), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, g.db)
	if err != nil {
		return nil, err
	}
	return g, errors.Join(fillTorture(ctx, db, t.smsc.Addr()), db.Close())
}

func fillTorture(ctx context.Context, db *store.DB, smsc string) error {
	switch rows, faults, err := db.Connections(ctx); {
	case err != nil:
		return err
	case len(rows)+len(faults) > 0:
		return errors.New("--db: table smpp has rows already: a torture wants an empty database of its own")
	}
	host, portText, err := net.SplitHostPort(smsc)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return err
	}
	c := store.NewConnection("smsc", host, port)
	c.SystemID, c.Password, c.Window, c.ResponseTimeout = loadAccount, loadAccount, 100, 2*time.Second
	if err := db.PutConnection(ctx, c); err != nil {
		return err
	}
	_, err = db.PutRoute(ctx, route.Rule{Name: "wholesale", Enabled: true, Ingress: sms.Account(loadAccount).String(), Targets: "smpp:smsc"})
	return err
}

// freePort finds an address below the ports that the kernel gives away by itself, so that it is still free when the gateway comes
// back.
func freePort() (string, error) {
	var last error
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(20_000+rand.IntN(10_000)))
		l, err := net.Listen("tcp", address)
		if err != nil {
			last = err
			continue
		}
		p, err := net.ListenPacket("udp", address)
		l.Close()
		if err != nil {
			last = err
			continue
		}
		p.Close()
		return address, nil
	}
	return "", fmt.Errorf("no port is free: %w", last)
}

// start starts the process, and waits until it says that it is there.
func (g *torturedGateway) start(ctx context.Context) error {
	s := &subject{cmd: exec.Command(g.path, "-c", "sipsmpp.yaml")}
	s.cmd.Dir = g.dir
	log, err := s.cmd.StderrPipe()
	if err != nil {
		return err
	}
	s.cmd.Stdout = s.cmd.Stderr
	// The log of all processes, one after the other, for whoever looks for what went wrong.
	all, err := os.OpenFile(filepath.Join(g.dir, "gateway.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := s.start(ctx, io.TeeReader(log, careless{all}), s.gatewayReady); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", g.path, err), all.Close())
	}
	s.onEnd(func() { _ = all.Close() })
	g.process = s
	return nil
}

// careless is a log on a disk that may be full.
type careless struct{ w io.Writer }

func (c careless) Write(b []byte) (int, error) {
	_, _ = c.w.Write(b)
	return len(b), nil
}

// resume starts the process unless it runs. One that ended by itself is an error.
func (g *torturedGateway) resume(ctx context.Context) error {
	if g.process != nil {
		return g.process.dead()
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	return g.start(ctx)
}

// kill ends the process by SIGKILL.
func (g *torturedGateway) kill() {
	_ = g.process.cmd.Process.Kill() // one that has ended is noticed by resume
	g.process.reading.Wait()
	_ = g.process.cmd.Wait() // by a signal, as we asked
	g.process = nil
}

// stop ends the process as an operator does.
func (g *torturedGateway) stop() {
	if g.process != nil {
		g.process.stop()
		g.process = nil
	}
}

func (g *torturedGateway) lastLines() string {
	if g.process == nil {
		return "it is not running"
	}
	g.process.mu.Lock()
	defer g.process.mu.Unlock()
	return strings.Join(g.process.tail, "\n")
}
