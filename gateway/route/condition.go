package route

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"

	"sipsmpp/gateway/sms"
)

// facts are the names that a condition knows.
type facts struct {
	From     string `expr:"from"`
	To       string `expr:"to"`
	Text     string `expr:"text"`
	Binary   bool   `expr:"binary"` // data, not text
	Segments int    `expr:"segments"`
	Ingress  string `expr:"ingress"` // sip, sip:alice, smpp:acme, account:shop, mi
	Peer     string `expr:"peer"`    // network address of the sender
	Ref      string `expr:"ref"`
	Coding   string `expr:"coding"`
	Class    int    `expr:"class"` // -1: none
	Priority int    `expr:"priority"`
	Receipt  string `expr:"receipt"` // false, true, failure, all
	Service  string `expr:"service_type"`
	// Of now, in the time zone of the gateway.
	Hour    int    `expr:"hour"`
	Minute  int    `expr:"minute"`
	Time    string `expr:"time"`    // 17:05
	Weekday string `expr:"weekday"` // monday
	Date    string `expr:"date"`    // 2026-03-01
}

// condition is a compiled `when`.
type condition struct {
	program *vm.Program
	err     error // why it cannot be used
	// What it needs that is not for nothing.
	counts, clock bool
	failed        sync.Once
}

const maxCondition = 4000

func newCondition(text string) (*condition, error) {
	c := &condition{counts: strings.Contains(text, "segments")}
	for _, name := range []string{"hour", "minute", "time", "weekday", "date"} {
		c.clock = c.clock || strings.Contains(text, name)
	}
	if len(text) > maxCondition {
		c.err = fmt.Errorf("longer than %d octets", maxCondition)
		return c, c.err
	}
	program, err := expr.Compile(text, expr.Env(&facts{}), expr.AsBool())
	if err != nil {
		// The library draws the line below the message: only the first is the reason.
		reason, _, _ := strings.Cut(err.Error(), "\n")
		c.err = errors.New(reason + "; known are from, to, text, binary, segments, ingress, peer, ref, coding, class, priority, receipt, " +
			"service_type, hour, minute, time, weekday and date")
		return c, c.err
	}
	c.program = program
	return c, nil
}

// scratch is what one lookup needs, kept for the next.
type scratch struct {
	rules    *Rules
	m        *sms.Message
	from, to []byte
	facts    facts
	vm       *vm.VM
	known    bool // facts are of m
	counted  bool
	clocked  bool
}

func (s *scratch) begin(r *Rules, m *sms.Message) {
	s.rules, s.m = r, m
	s.from = appendAddress(s.from[:0], m.From)
	s.to = appendAddress(s.to[:0], m.To)
	s.known, s.counted, s.clocked = false, false, false
}

// end lets go of the message.
func (s *scratch) end() {
	s.m = nil
	if s.known {
		s.facts = facts{}
	}
}

// holds evaluates the condition of a rule.
func (s *scratch) holds(r *compiled) bool {
	ok, err := s.evaluate(r.when)
	if err != nil {
		r.when.failed.Do(func() {
			if f := s.rules.options.Failed; f != nil {
				f(r.label, err)
			}
		})
	}
	return ok
}

func (s *scratch) evaluate(c *condition) (bool, error) {
	if !s.known {
		m := s.m
		s.known = true
		s.facts = facts{
			From: string(s.from), To: string(s.to), Text: m.Text, Binary: m.IsBinary(), Ingress: m.Ingress.String(), Peer: m.Peer,
			Ref: m.Ref, Coding: m.Alphabet.String(), Class: int(m.Class) - int(sms.Class0), Priority: int(m.Priority),
			Receipt: m.Receipt.String(), Service: m.ServiceType,
		}
	}
	if c.counts && !s.counted {
		s.counted, s.facts.Segments = true, 1
		if count := s.rules.options.Segments; count != nil {
			s.facts.Segments = count(s.m)
		}
	}
	if c.clock && !s.clocked {
		s.clocked = true
		now := time.Now()
		if s.rules.options.Now != nil {
			now = s.rules.options.Now()
		}
		s.facts.Hour, s.facts.Minute, s.facts.Time = now.Hour(), now.Minute(), now.Format("15:04")
		s.facts.Weekday, s.facts.Date = strings.ToLower(now.Weekday().String()), now.Format(time.DateOnly)
	}
	result, err := s.vm.Run(c.program, &s.facts)
	if err != nil {
		reason, _, _ := strings.Cut(err.Error(), "\n")
		return false, errors.New(reason)
	}
	return result == true, nil
}
