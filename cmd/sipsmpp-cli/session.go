package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"sipsmpp/clients"
	"sipsmpp/mi"
)

// session runs commands against one gateway.
type session struct {
	client *clients.Client
	out    *screen
	errout io.Writer
	keys   *os.File // the terminal that somebody types on; nil: none
	format format

	prompting bool     // somebody sits at the prompt
	methods   []string // of the gateway, once asked
}

// format is how results are written: for whom looks, unless it was said.
type format int

const (
	asItIs  format = iota // tables at the prompt, JSON for -x mi; events by where they go
	asJSON                // --json
	asTable               // --table
)

// forPeople says that what is followed (events, PDUs) is written for people.
func (s *session) forPeople() bool {
	return s.format == asTable || s.format == asItIs && s.out.isTerminal()
}

// commands are what can be run, beside the methods.
var commands = []string{"mi", "events", "trace", "top", "diagnose", "token"}

// run runs one command: `mi METHOD ...`, `events [FILTER] [durable=NAME]`, `trace NAME ...`, `top ...`, `diagnose`.
func (s *session) run(ctx context.Context, words []string) error {
	switch command, rest := words[0], words[1:]; command {
	case "mi":
		if len(rest) == 0 {
			return s.listMethods(ctx)
		}
		return s.call(ctx, rest[0], rest[1:])
	case "token":
		return s.token(rest)
	case "events":
		return s.events(ctx, rest)
	case "trace":
		return s.trace(ctx, rest)
	case "top":
		return s.top(ctx, rest)
	case "diagnose":
		return s.diagnose(ctx, rest)
	default:
		if _, ok := mi.Lookup(command); ok {
			return usage("%s is a method: -x mi %[1]s", command)
		}
		return usage("%q is no command: want %s", command, strings.Join(commands, ", "))
	}
}

func (s *session) call(ctx context.Context, method string, words []string) error {
	params, err := parameters(words)
	if err != nil {
		return err
	}
	result, err := s.client.Invoke(ctx, method, params)
	if err != nil {
		return err
	}
	if s.format == asTable || s.format == asItIs && s.prompting {
		return s.show(method, result)
	}
	return s.showJSON(result)
}

// show writes a result for people.
func (s *session) show(method string, result json.RawMessage) error {
	if d, ok := mi.Lookup(method); ok && views[d.Name] != nil {
		return views[d.Name](s.out, result)
	}
	v, err := parseValue(result)
	if err != nil {
		return err
	}
	v.show(s.out, "")
	return nil
}

func (s *session) showJSON(result json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Indent(&b, result, "", "    "); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err := b.WriteTo(s.out)
	return err
}

// parameters makes words the parameters of a call: name=value by name, bare words by position. Values stay strings, which the
// gateway reads as what they are to be.
func parameters(words []string) (any, error) {
	named := make(map[string]any)
	bare := []string{}
	for _, w := range words {
		name, value, ok := strings.Cut(w, "=")
		if !ok || !isName(name) {
			bare = append(bare, w)
			continue
		}
		switch before := named[name].(type) {
		case nil:
			named[name] = value
		case string:
			named[name] = []string{before, value}
		case []string:
			named[name] = append(before, value)
		}
	}
	switch {
	case len(bare) == 0:
		return named, nil
	case len(named) == 0:
		return bare, nil
	}
	return nil, usage("%q has no name, others have: give all parameters as name=value, or none", bare[0])
}

func isName(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return s != ""
}

// token makes a token for a new caller of the MI. It asks no gateway.
func (s *session) token(words []string) error {
	if len(words) > 0 {
		return usage("token takes nothing: it makes one and prints it with its hash")
	}
	token, hash := mi.NewToken()
	_, err := fmt.Fprintf(s.out, "token: %s\nhash:  %s\n\nThe caller gets the token; mi.tokens gets the hash, a name and a role:\n\n"+
		"mi:\n  tokens:\n    - {name: NAME, role: read, hash: %s}\n", token, hash, hash)
	return err
}

// which asks the gateway for its methods, once. Each has one name here.
func (s *session) which(ctx context.Context) ([]string, error) {
	if s.methods == nil {
		result, err := clients.Call(ctx, s.client, mi.Which, mi.WhichParams{})
		if err != nil {
			return nil, err
		}
		for _, name := range result.Names {
			if d, ok := mi.Lookup(name); !ok || d.Name == name { // OpenSIPS' other names would only stand in the way
				s.methods = append(s.methods, name)
			}
		}
	}
	return s.methods, nil
}

func (s *session) listMethods(ctx context.Context) error {
	names, err := s.which(ctx)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	for _, name := range names {
		if d, ok := mi.Lookup(name); ok {
			fmt.Fprintf(&b, "%s\n    %s\n", d.Usage(), d.Summary)
		} else {
			fmt.Fprintln(&b, name) // of a newer gateway
		}
	}
	_, err = b.WriteTo(s.out)
	return err
}
