package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/term"

	"sipsmpp/mi"
)

const promptText = "(sipsmpp-cli): "

// prompt runs the commands that a person types, or that come from a file or a pipe, until there are no more. Only a pipe's
// last error makes it fail.
func (s *session) prompt(ctx context.Context, in io.Reader, errout io.Writer) error {
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return s.interactive(ctx, f, errout)
	}
	var last error
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		done, err := s.line(ctx, lines.Text())
		if done || ctx.Err() != nil {
			break
		}
		if err != nil {
			report(errout, err)
			last = fmt.Errorf("the last command that failed was: %s", lines.Text())
		}
	}
	return errors.Join(last, lines.Err())
}

// interactive reads lines from a terminal, which is raw only while a line is edited, so that a command can be interrupted.
func (s *session) interactive(ctx context.Context, f *os.File, errout io.Writer) error {
	terminal := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{f, s.out}, promptText)
	terminal.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		if key != '\t' {
			return "", 0, false
		}
		completed, candidates := s.complete(ctx, line[:pos])
		if len(candidates) > 1 && completed == line[:pos] {
			_, _ = fmt.Fprintln(terminal, strings.Join(candidates, "  "))
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
	go func() {
		<-terminated
		_ = term.Restore(fd, cooked)
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
		interruptible, stop := signal.NotifyContext(context.WithoutCancel(ctx), os.Interrupt)
		done, err := s.line(interruptible, line)
		stop()
		if done {
			return nil
		}
		if err != nil {
			report(errout, err)
		}
	}
}

// line runs one line of the prompt. A method may be called without `mi` before it.
func (s *session) line(ctx context.Context, line string) (done bool, err error) {
	words, err := split(line)
	if err != nil || len(words) == 0 || strings.HasPrefix(words[0], "#") {
		return false, err
	}
	switch words[0] {
	case "exit", "quit":
		return true, nil
	case "mi", "events", "token":
		return false, s.run(ctx, words)
	}
	return false, s.call(ctx, words[0], words[1:])
}

// complete completes what stands before the cursor as far as it is sure, and gives the candidates for the word that is typed.
func (s *session) complete(ctx context.Context, typed string) (completed string, candidates []string) {
	begin := strings.LastIndexByte(typed, ' ') + 1
	words, word := strings.Fields(typed[:begin]), typed[begin:]
	names, err := s.which(ctx)
	if err != nil {
		return typed, nil
	}
	if len(words) > 0 && words[0] == "mi" {
		words = words[1:]
	} else if len(words) == 0 {
		names = append([]string{"mi", "events", "exit"}, names...)
	}
	end := " "
	if len(words) > 0 {
		d, ok := mi.Lookup(words[0])
		if !ok {
			return typed, nil
		}
		names, end = nil, ""
		if d.Name == mi.Which.Name || d.Name == mi.Help.Name {
			names, end = slices.Clone(s.methods), " "
		}
		for _, p := range d.Params {
			if !slices.ContainsFunc(words[1:], func(w string) bool { return strings.HasPrefix(w, p.Name+"=") }) {
				names = append(names, p.Name+"=")
			}
		}
	}
	for _, name := range names {
		if strings.HasPrefix(name, word) {
			candidates = append(candidates, name)
		}
	}
	switch len(candidates) {
	case 0:
		return typed, nil
	case 1:
		if strings.HasSuffix(candidates[0], "=") {
			end = ""
		}
		return typed[:begin] + candidates[0] + end, candidates
	}
	common := candidates[0]
	for _, c := range candidates[1:] {
		for !strings.HasPrefix(c, common) {
			common = common[:len(common)-1]
		}
	}
	return typed[:begin] + common, candidates
}
