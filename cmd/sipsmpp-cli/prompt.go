package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/term"

	"sipsmpp/clients"
	"sipsmpp/mi"
)

const promptText = "(sipsmpp-cli): "

const promptHelp = `METHOD [name=value ...]         call a method; mi lists them, and help METHOD tells of one
events [FILTER] [durable=NAME]  follow events: events E_MESSAGE_*,connection=acme
trace NAME, trace sip           follow the PDUs of a connection or account, or the messages of the SIP side
top [NAME]                      watch connections and accounts at work
diagnose                        look at everything, and say what is wrong and what to do
token                           make a bearer token
set output=json, output=table   show results as they are, or in tables
clear, exit

Tab completes, the arrows bring back what was typed, Ctrl-C ends what is shown.
`

// prompt runs the commands that a person types, or that come from a file or a pipe, until there are no more. Only a pipe's
// last error makes it fail.
func (s *session) prompt(ctx context.Context, in io.Reader) error {
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return s.interactive(ctx, f)
	}
	var last error
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		done, err := s.line(ctx, lines.Text())
		if done || ctx.Err() != nil {
			break
		}
		if err != nil {
			report(s.errout, err)
			last = fmt.Errorf("the last command that failed was: %s", lines.Text())
		}
	}
	return errors.Join(last, lines.Err())
}

// interactive reads lines from a terminal, which is raw only while a line is edited, so that a command can be interrupted.
func (s *session) interactive(ctx context.Context, f *os.File) error {
	terminal := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{f, s.out.Writer}, promptText)
	ctx = context.WithoutCancel(ctx) // an interruption ends a command, not the prompt
	s.keys, s.prompting = f, true
	typed := openHistory()
	terminal.History = typed
	defer typed.write()
	terminal.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		if key != '\t' {
			return "", 0, false
		}
		completed, candidates := s.complete(ctx, line[:pos])
		if len(candidates) > 1 && completed == line[:pos] {
			showCandidates(terminal, s.out, candidates)
		}
		return completed + line[pos:], len(completed), true
	}
	fd := int(f.Fd())
	cooked, err := term.GetState(fd)
	if err != nil {
		return err
	}
	// The terminal must not stay raw where the prompt is ended from outside.
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	left := make(chan struct{})
	defer func() {
		signal.Stop(terminated)
		close(left)
	}()
	go func() {
		select {
		case <-terminated:
		case <-left:
			return
		}
		_ = term.Restore(fd, cooked)
		typed.write()
		signal.Reset(syscall.SIGTERM)
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
	}()
	for {
		state, err := term.MakeRaw(fd)
		if err != nil {
			return err
		}
		if width, height, err := term.GetSize(fd); err == nil && width > 0 {
			_ = terminal.SetSize(width, height) // it only affects how long lines wrap
		}
		line, err := terminal.ReadLine()
		if restored := term.Restore(fd, state); restored != nil {
			return restored
		}
		if errors.Is(err, io.EOF) {
			_, _ = fmt.Fprintln(s.out)
			return nil
		}
		if err != nil && !errors.Is(err, term.ErrPasteIndicator) {
			return err
		}
		interruptible, stop := signal.NotifyContext(ctx, os.Interrupt)
		done, err := s.line(interruptible, line)
		stop()
		if done {
			return nil
		}
		if err != nil {
			_, _ = fmt.Fprintln(s.errout, s.out.paint(red, explain(err)))
		}
	}
}

// explain is an error as somebody reads it who has just typed the command: what is wrong with which parameter, or each fault.
func explain(err error) string {
	refusal := new(mi.Error)
	if !errors.As(err, &refusal) {
		return strings.TrimSuffix(printable(err.Error())+"\n"+hint(err), "\n")
	}
	var fault mi.ParamFault
	if json.Unmarshal(refusal.Data, &fault) == nil && fault.Parameter != "" {
		return printable(fault.Parameter + ": " + fault.Reason)
	}
	text := printable(refusal.Message)
	if more, ok := clients.Details[string](err); ok {
		text += ": " + printable(more)
	}
	faults, _ := clients.Details[[]mi.Fault](err)
	if len(faults) == 0 {
		result, _ := clients.Details[mi.ReloadResult](err)
		faults = result.Faults
	}
	for _, f := range faults {
		text += "\n  " + printable(f.Path+": "+f.Reason)
	}
	if failure, ok := clients.Details[mi.SendFailure](err); ok && failure.Fate != "" {
		text += "\n  " + printable(failure.Fate+": "+failure.Reason)
	}
	return text
}

// line runs one line of the prompt. A method may be called without `mi` before it.
func (s *session) line(ctx context.Context, line string) (done bool, err error) {
	words, err := split(line)
	if err != nil || len(words) == 0 || strings.HasPrefix(words[0], "#") {
		return false, err
	}
	switch {
	case words[0] == "exit", words[0] == "quit":
		return true, nil
	case len(words) == 1 && words[0] == "help":
		s.out.printf("%s", promptHelp)
		return false, nil
	case words[0] == "clear":
		s.out.printf("%s%s", drawFrom, clearRest)
		return false, nil
	case words[0] == "set":
		return false, s.set(words[1:])
	case slices.Contains(commands, words[0]):
		return false, s.run(ctx, words)
	}
	return false, s.call(ctx, words[0], words[1:])
}

// set chooses how results are shown from now on.
func (s *session) set(words []string) error {
	switch strings.Join(words, " ") {
	case "output=json":
		s.format = asJSON
	case "output=table":
		s.format = asTable
	default:
		return usage("want set output=json or set output=table")
	}
	return nil
}

// showCandidates shows what Tab found, in as many columns as there is room for.
func showCandidates(terminal io.Writer, s *screen, candidates []string) {
	v := value{kind: list}
	for _, c := range candidates {
		v.members = append(v.members, value{text: c})
	}
	v.showNames(&screen{Writer: terminal, file: s.file})
}
