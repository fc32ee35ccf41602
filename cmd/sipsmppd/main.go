// Command sipsmppd is the gateway's daemon: flags, signals, wiring. What it carries and how is in package gateway.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"sipsmpp/cmd/internal/version"
	"sipsmpp/gateway"
)

// usageError is a wrong use of the command: exit code 2.
type usageError struct{ error }

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		<-signals // a second one ends it at once
		os.Exit(1)
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the whole command, and gives its exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := command()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "sipsmppd: %v\n(sipsmppd --help says more)\n", err)
		return 2
	default:
		fmt.Fprintf(stderr, "sipsmppd: %v\n", err)
		return 1
	}
}

func command() *cobra.Command {
	var file string
	var check bool
	root := &cobra.Command{
		Use:   "sipsmppd [-c FILE] [-t]",
		Short: "A gateway between SIP MESSAGE and SMPP",
		Long: `sipsmppd carries messages between SIP endpoints and SMPP peers.

It reads its configuration from FILE, else from ./sipsmpp.yaml if there is one, and else listens on loopback only. Its SMPP
connections are rows of table smpp. SIGINT and SIGTERM end it when what is in flight is answered, a second one at once; SIGHUP
reads everything again that counts without a restart, as MI method reload does. To close the terminal that it runs in ends it, too.`,
		Version:       version.Number,
		Args:          noArguments,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := readConfig(file)
			if check {
				return checkAll(cmd.Context(), config, err, cmd.OutOrStdout())
			}
			if err != nil {
				return err
			}
			reread := func() (gateway.Config, error) { return readConfig(file) }
			return serve(cmd.Context(), config, reread, cmd.ErrOrStderr())
		},
	}
	root.Flags().StringVarP(&file, "config", "c", "", "the configuration, YAML")
	root.Flags().BoolVarP(&check, "test", "t", false, "check the configuration and the database, and exit")
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(demoCommand())
	return root
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%q is no command of %s", args[0], cmd.CommandPath())}
	}
	return nil
}
