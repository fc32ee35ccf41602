package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"time"

	"sipsmpp/mi"
)

// trace shows the PDUs of a connection or account, or the messages of the SIP side, as they come: for an hour at most, unless told
// otherwise.
func (s *session) trace(ctx context.Context, words []string) error {
	if len(words) > 0 && words[0] == "sip" {
		p, err := traceParams(mi.SIPTrace, words[1:], "trace sip [peer=ADDRESS] [user=NAME] [seconds=N] [count=N] [text=true]")
		if err != nil {
			return err
		}
		atMost(&p.Seconds, &p.Count)
		return follow(s, s.client.TraceSIP(ctx, p), readableSIP)
	}
	for i, w := range words {
		if name, _, _ := strings.Cut(w, "="); i == 0 && name == w {
			words = append([]string{"name=" + w}, words[1:]...)
		}
	}
	p, err := traceParams(mi.SMPPTrace, words, "trace NAME [seconds=N] [count=N] [text=true]")
	if err != nil {
		return err
	}
	atMost(&p.Seconds, &p.Count)
	return follow(s, s.client.Trace(ctx, p), readable)
}

func traceParams[P, R any](method mi.Method[P, R], words []string, want string) (p P, err error) {
	params, err := parameters(words)
	if err != nil {
		return p, err
	}
	raw, err := json.Marshal(params)
	if err != nil {
		return p, err
	}
	p, fault := method.Decode(raw)
	if fault != nil {
		return p, usage("%s: %v", want, fault)
	}
	return p, nil
}

// atMost is how long is traced where nobody says.
func atMost(seconds, count *uint32) {
	if *seconds == 0 {
		*seconds = 3600
	}
	if *count == 0 {
		*count = 10_000
	}
}

// follow writes what comes until it ends: for people, or with --json an object a line.
func follow[T any](s *session, list iter.Seq2[T, error], readable func(T) []byte) error {
	for v, err := range list {
		if err != nil {
			return err
		}
		line := readable(v)
		if s.format == asJSON {
			if line, err = json.Marshal(v); err != nil {
				return err
			}
			line = append(line, '\n')
		}
		if _, err := s.out.Write(line); err != nil {
			return err
		}
	}
	return nil
}

// arrow shows which way something went.
func arrow(direction string) string {
	if direction == "sent" {
		return "->"
	}
	return "<-"
}

// readable is a PDU as people read it: one line of what it is, and one for each field.
func readable(p mi.TracedPDU) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s %s %s seq=%d", time.Time(p.Time).Local().Format("15:04:05.000"), arrow(p.Direction), p.Peer, p.Command, p.Sequence)
	if p.Status != "" {
		fmt.Fprintf(&b, " %s", p.Status)
	}
	b.WriteByte('\n')
	for _, f := range p.Fields {
		fmt.Fprintf(&b, "    %-24s %s\n", f.Name, printable(f.Value))
	}
	return b.Bytes()
}

// readableSIP is a SIP message as people read it: one line of when and whence, and then itself.
func readableSIP(m mi.TracedSIP) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s %s", time.Time(m.Time).Local().Format("15:04:05.000"), arrow(m.Direction), m.Peer)
	if m.StartLine == "" {
		b.WriteString(" no SIP")
	}
	if m.Body == "" && m.Octets > 0 {
		fmt.Fprintf(&b, ", %d octets of body not shown", m.Octets)
	}
	b.WriteByte('\n')
	for _, line := range append([]string{m.StartLine}, m.Header...) {
		if line != "" {
			fmt.Fprintf(&b, "    %s\n", printable(line))
		}
	}
	if m.Body != "" {
		b.WriteByte('\n')
		for line := range strings.Lines(m.Body) {
			fmt.Fprintf(&b, "    %s\n", printable(strings.TrimRight(line, "\r\n")))
		}
	}
	return b.Bytes()
}
