// Command sipsmpp-cli is the admin's tool: it calls the gateway's management interface and follows its events, as opensips-cli
// does with OpenSIPS.
//
//	sipsmpp-cli -x mi smpp_list
//	sipsmpp-cli -x mi message_send from=100 to=+4915112345678 text="hi"
//	sipsmpp-cli -x events 'E_MESSAGE_*'
//	sipsmpp-cli -x trace acme text=true
//	sipsmpp-cli -x top
//	sipsmpp-cli -x diagnose
//	sipsmpp-cli
package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"sipsmpp/clients"
	"sipsmpp/cmd/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
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

// usageError is a command that was not written as it must be.
type usageError struct{ error }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// defaultURL is where a gateway serves the MI unless its configuration says otherwise.
const defaultURL = "http://127.0.0.1:8888/mi"

const long = `sipsmpp-cli calls the management interface (MI) of a sipsmpp gateway and follows its events.

  -x mi METHOD [name=value ...]   call a method, its parameters by name, and print the result
  -x mi METHOD [value ...]        the same, its parameters by position
  -x mi                           list the methods
  -x events [PATTERN]             print events whose names match, one a line, until interrupted; durable=NAME: they wait while
                                  nobody prints them, and go on where they were printed
  -x trace NAME [name=value ...]  show the PDUs of a connection or account; seconds=, count=, text=true as in smpp_trace
  -x trace sip [name=value ...]   show the messages of the SIP side; peer=ADDRESS, user=NAME or number choose among them
  -x top [NAME] [seconds=N]       watch connections and accounts at work: what goes through them, how full their windows are
  -x diagnose                     look at everything, and say what is wrong and what to do; exit code 1 if messages suffer
  -x token, or token              make a bearer token for mi.tokens, and its hash

Without -x it is an interactive prompt with history and completion by Tab, or reads such commands from standard input.

-x mi prints JSON, the prompt tables: --json and --table choose. Events are coloured lines on a terminal, and JSON to a file or pipe.

A name that is given twice is a list: statistics=smpp: statistics=sip:. What begins with '-' and is no flag comes after --.
An error of the MI goes to standard error. Exit codes: 0, 1 (it failed), 2 (wrong usage).`

const example = `  sipsmpp-cli -x mi smpp_list
  sipsmpp-cli -x mi message_send from=100 to=+4915112345678 text="hi" receipt=true
  sipsmpp-cli -x mi help message_send
  sipsmpp-cli -u unix:/run/sipsmpp/mi.sock -x events 'E_MESSAGE_*,E_SMPP_*'`

// run is the command; it gives the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errout io.Writer) int {
	var execute, asksJSON, asksTable bool
	var url, token string
	var files tlsFiles
	command := &cobra.Command{
		Use:               "sipsmpp-cli [-u URL] [--token TOKEN] [-x mi METHOD [PARAMETER ...] | -x events [PATTERN] [durable=NAME] | -x trace NAME | -x top | -x diagnose]",
		Short:             "call a sipsmpp gateway's management interface and follow its events",
		Long:              long,
		Example:           example,
		Version:           version.Number,
		Args:              cobra.ArbitraryArgs,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE: func(command *cobra.Command, args []string) error {
			var opts []clients.Option
			if token != "" {
				opts = append(opts, clients.WithToken(token))
			}
			config, err := files.config()
			if err != nil {
				return usageError{err}
			}
			if config != nil {
				opts = append(opts, clients.WithTLS(config))
			}
			c, err := clients.Dial(url, opts...)
			if err != nil {
				return usageError{err}
			}
			defer func() { _ = c.Close() }()
			s := &session{client: c, out: newScreen(out), errout: errout}
			switch {
			case asksJSON && asksTable:
				return usage("--json and --table exclude one another")
			case asksJSON:
				s.format = asJSON
			case asksTable:
				s.format = asTable
			}
			if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
				s.keys = f
			}
			switch {
			case execute && len(args) == 0:
				return usage("-x wants a command: %s", strings.Join(commands, ", "))
			case execute:
				return s.run(command.Context(), args)
			case len(args) == 1 && args[0] == "token":
				return s.token(nil)
			case len(args) > 0:
				return usage("%q: commands want -x: sipsmpp-cli -x mi METHOD", args[0])
			}
			return s.prompt(command.Context(), in)
		},
	}
	flags := command.Flags()
	flags.BoolVarP(&execute, "execute", "x", false, "run one command and exit")
	flags.BoolVar(&asksJSON, "json", false, "print JSON, for programs")
	flags.BoolVar(&asksTable, "table", false, "print tables, for people")
	flags.StringVarP(&url, "url", "u", cmp.Or(os.Getenv("SIPSMPP_URL"), defaultURL), "where the MI is: http://, https://, ws://, wss:// or unix:PATH; default $SIPSMPP_URL")
	flags.StringVar(&files.ca, "ca", "", "PEM file with who vouches for the gateway's certificate; default who the system trusts")
	flags.StringVar(&files.cert, "cert", "", "PEM file with our certificate, in place of a token (mi.tls_client_ca)")
	flags.StringVar(&files.key, "key", "", "PEM file with its key; default the file of --cert")
	flags.StringVar(&token, "token", os.Getenv("SIPSMPP_TOKEN"), "bearer token (mi.tokens); default $SIPSMPP_TOKEN")
	flags.Lookup("token").DefValue = "" // it must not be shown
	command.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	command.SetArgs(args)
	command.SetIn(in)
	command.SetOut(out)
	command.SetErr(errout)
	return report(errout, command.ExecuteContext(ctx))
}

// report tells of an error and gives the exit code for it.
func report(w io.Writer, err error) int {
	var wrong usageError
	switch {
	case err == nil:
		return exitGood
	case errors.As(err, &wrong):
		_, _ = fmt.Fprintf(w, "sipsmpp-cli: %v\nsipsmpp-cli --help tells how to use it.\n", err)
		return exitUsage
	}
	_, _ = fmt.Fprintf(w, "sipsmpp-cli: %v\n%s", err, hint(err))
	return exitFailed
}

// hint is a line with what to do where the gateway is not reached; of other errors none.
func hint(err error) string {
	var network *net.OpError
	switch {
	case errors.As(err, &network) && network.Op == "dial":
		return "Is sipsmppd running there? -u URL, or $SIPSMPP_URL, names another place.\n"
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return "--ca FILE says who vouches for the gateway's certificate.\n"
	}
	return ""
}
