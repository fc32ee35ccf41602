package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"sipsmpp/cmd/internal/version"
	"sipsmpp/gateway"
	"sipsmpp/mi"
	"sipsmpp/mi/server"
)

// shutdownTime is how long what is in flight may take when the daemon is told to end.
const shutdownTime = 15 * time.Second

// reloadTime is how long a reload may wait for the database.
const reloadTime = time.Minute

// daemon is a running gateway with its management interface.
type daemon struct {
	gateway *gateway.Gateway
	mi      *server.Server
	miAddr  net.Addr
	failed  chan error // what the MI's listeners ended with
}

// serve runs the gateway until ctx ends or the MI asks for it. reread reads the configuration again.
func serve(ctx context.Context, config gateway.Config, reread func() (gateway.Config, error), stderr io.Writer) error {
	level := new(slog.LevelVar)
	log, err := logger(config.Log, level, stderr)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	d, err := start(ctx, config, reread, log, level, stop)
	if err != nil {
		return err
	}
	log.Info("started", "version", version.Number, "node", d.gateway.Node(), "sip", d.gateway.SIPAddrs(), "smpp", d.gateway.SMPPAddrs(), "mi", d.miAddr.String())
	systemd := newNotifier(log)
	watching, unwatch := context.WithCancel(context.WithoutCancel(ctx)) // the end is watched over too
	defer unwatch()
	go systemd.watch(watching, d.prove)
	go tuneCollector(watching)
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	systemd.ready("serving")
	byHand := onTerminal(stderr)
	for {
		select {
		case <-hangup:
			if byHand && !onTerminal(stderr) {
				log.Info("the terminal was closed")
				stop()
				continue
			}
			systemd.reloading()
			within, cancel := context.WithTimeout(ctx, reloadTime)
			systemd.ready(reloaded(d.mi.Reload(within, "SIGHUP")))
			cancel()
		case err := <-d.failed:
			return errors.Join(err, d.close())
		case <-ctx.Done():
			log.Info("stopping", "within", shutdownTime)
			systemd.stopping()
			return d.close()
		}
	}
}

// start opens everything, in an order in which a failure takes back what was opened before it.
func start(ctx context.Context, config gateway.Config, reread func() (gateway.Config, error), log *slog.Logger, level *slog.LevelVar, stop func()) (*daemon, error) {
	g, err := gateway.New(ctx, config, log)
	if err != nil {
		return nil, err
	}
	d := &daemon{gateway: g, failed: make(chan error, 2)} // of each listener
	d.mi = server.New(g, server.Options{
		Origins:      config.MI.Origins,
		Tokens:       config.MI.Tokens,
		Certificates: config.MI.Certificates(),
		Metrics:      metricsHandler(g, func() []gateway.Statistic { return d.mi.Statistics() }),
		Version:      version.Number,
		Level:        level,
		Log:          log,
		Stop:         stop,

		MaxConnections: config.WithDefaults().MI.MaxConnections,
		MaxBody:        config.WithDefaults().MI.MaxBody,
		Config:         config.WithDefaults(),
		Reread:         reread,
	})
	if err := d.listen(config.WithDefaults().MI); err != nil {
		return nil, errors.Join(err, d.close())
	}
	if err := g.Start(ctx); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// listen opens the MI's listeners and serves them.
func (d *daemon) listen(config gateway.MIConfig) error {
	l, err := d.mi.Listen(config.Listen)
	if err != nil {
		return err
	}
	d.miAddr = l.Addr()
	go func() { d.failed <- d.mi.Serve(l) }()
	if config.Socket == "" {
		return nil
	}
	s, err := d.mi.ListenSocket(config.Socket)
	if err != nil {
		return err
	}
	go func() { d.failed <- d.mi.ServeSocket(s) }()
	return nil
}

// prove returns unless something hangs that the gateway cannot do without.
func (d *daemon) prove() {
	d.gateway.Connections()
	d.gateway.Accounts()
	d.gateway.Statistics()
	d.gateway.Events().Seq()
}

// reloaded is the status of systemctl after a reload.
func reloaded(r mi.ReloadResult) string {
	if len(r.Faults) > 0 {
		return fmt.Sprintf("serving; the last reload found %d faults: %s: %s", len(r.Faults), r.Faults[0].Path, r.Faults[0].Reason)
	}
	return "serving; reloaded " + time.Now().Format(time.RFC3339)
}

func (d *daemon) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	err := d.gateway.Close(ctx) // first: the events of the end still go out
	return errors.Join(err, d.mi.Close(ctx))
}

func logger(config gateway.LogConfig, level *slog.LevelVar, out io.Writer) (*slog.Logger, error) {
	if err := level.UnmarshalText([]byte(config.Level)); err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	options := &slog.HandlerOptions{Level: level}
	if config.Format == "json" {
		return slog.New(slog.NewJSONHandler(out, options)), nil
	}
	return slog.New(slog.NewTextHandler(out, options)), nil
}
