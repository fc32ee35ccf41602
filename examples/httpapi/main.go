// Command httpapi is an HTTP interface for customers of a small SMS provider, beside a sipsmpp gateway. It is a program of its own: it
// calls the gateway's management interface and listens to its events, and links nothing of it but the client.
//
//	httpapi customer add acme --price 0.05 --balance 10 --sender Acme
//	httpapi key add acme
//	httpapi serve
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"sipsmpp/clients"
	"sipsmpp/examples/httpapi/api"
	"sipsmpp/examples/httpapi/hook"
	"sipsmpp/examples/httpapi/link"
	"sipsmpp/examples/httpapi/store"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "httpapi:", err)
		os.Exit(1)
	}
}

// command is the whole command line.
func command() *cobra.Command {
	var path string
	root := &cobra.Command{
		Use:           "httpapi",
		Short:         "An HTTP interface for customers beside a sipsmpp gateway",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().StringVarP(&path, "config", "c", "", "the configuration; ./httpapi.yaml unless given, where there is one")
	root.AddCommand(&cobra.Command{
		Use:   "serve",
		Short: "Serve the customers",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			settings, err := load(path)
			if err != nil {
				return err
			}
			return serve(c.Context(), settings, slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil)), nil)
		},
	})
	root.AddCommand(adminCommands(&path)...)
	return root
}

// What a request and a shutdown may take.
const (
	readTimeout     = 30 * time.Second
	shutdownTimeout = 20 * time.Second
)

// serve runs the application until ctx ends: then it answers what came in, finishes what is under way, and closes. listening is told
// the address, unless it is nil.
func serve(ctx context.Context, c config, log *slog.Logger, listening func(net.Addr)) (err error) {
	db, err := store.Open(ctx, c.DB)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var options []clients.Option
	if c.GatewayToken != "" {
		options = append(options, clients.WithToken(c.GatewayToken))
	}
	gateway, err := clients.Dial(c.Gateway, options...)
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	defer func() { err = errors.Join(err, gateway.Close()) }()
	joined := link.New(db, link.FromClient(gateway), log, link.Options{
		Subscription: c.Subscription, GiveUp: c.GiveUp, ReportWait: c.ReportWait, CallTimeout: c.CallTimeout, RefundUndelivered: c.Refund == refundUndelivered,
	})
	proxies, err := c.prefixes()
	if err != nil {
		return err
	}
	customers := api.New(db, log, joined.Kick, api.Options{
		Currency: c.Currency, MaxRecipients: c.Limits.Recipients, MaxSegments: c.Limits.Segments, PrivateWebhooks: c.Webhooks.Private, Proxies: proxies,
	})
	hooks := hook.New(db, log, hook.Options{Private: c.Webhooks.Private, Timeout: c.Webhooks.Timeout, Schedule: c.Webhooks.Retries})

	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{
		Handler: customers.Handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: readTimeout, WriteTimeout: 2 * readTimeout,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var running sync.WaitGroup
	running.Go(func() { joined.Run(working) })
	running.Go(func() { hooks.Run(working) })
	running.Go(func() { forget(working, db, log, c.Keep) })
	served := make(chan error, 1)
	go func() {
		if c.TLSCert != "" {
			served <- server.ServeTLS(listener, c.TLSCert, c.TLSKey)
			return
		}
		served <- server.Serve(listener)
	}()
	log.Info("serving", "listen", listener.Addr().String(), "gateway", c.Gateway)
	if listening != nil {
		listening(listener.Addr())
	}
	select {
	case err = <-served: // it should not
	case <-ctx.Done():
		log.Info("going down")
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		err = server.Shutdown(last)
		<-served
	}
	stop()
	running.Wait()
	return err
}

// What is kept of what is done.
const (
	keepRequests = 24 * time.Hour
	keepHooks    = 30 * 24 * time.Hour
)

// forget drops what need not be kept any longer.
func forget(ctx context.Context, db *store.DB, log *slog.Logger, messages time.Duration) {
	tick := time.NewTicker(10 * time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := db.Forget(ctx, keepRequests, min(keepHooks, messages), messages); err != nil && ctx.Err() == nil {
				log.Error("old records cannot be dropped", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}
