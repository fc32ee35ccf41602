// Command smscsim is an SMSC to try, test and measure the gateway with; with `esme` a load generator on the other side of SMPP,
// with `load` both ends of a load run through the gateway, which counts what went in and what came out.
//
// Every run is bounded, ends cleanly with its summary on SIGINT, and says by its exit code whether what it checks was right.
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
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// The exit codes.
const (
	exitGood   = 0
	exitFailed = 1
	exitUsage  = 2
)

// failure is an error of the run itself. All other errors are of the command line.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// failed marks an error as the run's.
func failed(err error) error {
	if err == nil {
		return nil
	}
	return failure{err}
}

// run is main without the process around it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := serveCommand(stdin)
	root.AddCommand(moCommand(), esmeCommand(), loadCommand(), benchCommand(), growCommand(), tortureCommand(), outageCommand(), floorCommand(stdin))
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.Version = version.Number
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.DisableDefaultCmd = true
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitGood
	}
	fmt.Fprintln(stderr, "smscsim:", err)
	if errors.As(err, new(failure)) {
		return exitFailed
	}
	fmt.Fprintln(stderr, "Try `smscsim --help`, or --help after the command.")
	return exitUsage
}

// noArguments refuses what is no flag, with a hint.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%q is no command of %s", args[0], c.CommandPath())
	}
	return nil
}
