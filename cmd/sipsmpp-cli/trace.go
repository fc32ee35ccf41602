package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"sipsmpp/mi"
)

// trace shows the PDUs of a connection or account as they come: for an hour at most, unless told otherwise.
func (s *session) trace(ctx context.Context, words []string) error {
	for i, w := range words {
		if name, _, _ := strings.Cut(w, "="); i == 0 && name == w {
			words = append([]string{"name=" + w}, words[1:]...)
		}
	}
	params, err := parameters(words)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(params)
	if err != nil {
		return err
	}
	p, fault := mi.SMPPTrace.Decode(raw)
	if fault != nil {
		return usage("trace NAME [seconds=N] [count=N] [text=true]: %v", fault)
	}
	if p.Seconds == 0 {
		p.Seconds = 3600
	}
	if p.Count == 0 {
		p.Count = 10_000
	}
	for pdu, err := range s.client.Trace(ctx, p) {
		if err != nil {
			return err
		}
		if _, err := s.out.Write(readable(pdu)); err != nil {
			return err
		}
	}
	return nil
}

// readable is a PDU as people read it: one line of what it is, and one for each field.
func readable(p mi.TracedPDU) []byte {
	var b bytes.Buffer
	arrow := "<-"
	if p.Direction == "sent" {
		arrow = "->"
	}
	fmt.Fprintf(&b, "%s %s %s %s seq=%d", time.Time(p.Time).Local().Format("15:04:05.000"), arrow, p.Peer, p.Command, p.Sequence)
	if p.Status != "" {
		fmt.Fprintf(&b, " %s", p.Status)
	}
	b.WriteByte('\n')
	for _, f := range p.Fields {
		fmt.Fprintf(&b, "    %-24s %s\n", f.Name, printable(f.Value))
	}
	return b.Bytes()
}

// printable keeps what a peer sent from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, s)
}
