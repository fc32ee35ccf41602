package route

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"sipsmpp/gateway/sms"
)

// Target is one place where a message may go:
//
//	smpp:NAME            a connection
//	account:SYSTEM_ID    an account that is bound to us
//	sip                  the next hops of sip.outbound_uri
//	sip:USER@HOST:PORT   a SIP URI; USER may have {to} and {from}, and without USER it is the recipient
//	app                  the applications: the event is the delivery
//	app?                 the applications decide: see Waits
//	reject CODE          nobody: CODE is a SIP response code, or a command_status as 0x0000000B
type Target struct {
	Leg    sms.Leg
	URI    string // of the next hop, without user: sip:HOST:PORT;transport=tcp; empty: the configured ones
	User   string // of the SIP URI; empty: the recipient
	Waits  bool   // Leg is App, which says by message_route or message_reject where the message goes
	Wait   time.Duration
	Weight int // of strategy weighted; 0 is 1

	Reject   bool
	Protocol sms.Protocol // whose Status it is
	Status   uint32

	// FailUnknown ends the message where the fate of an attempt is unknown; else the next target has its turn, and the message may
	// arrive twice.
	FailUnknown bool
	HoldUnknown bool // it is kept until somebody says by message_retry or message_cancel what becomes of it
}

const (
	maxTargets  = 32
	maxWeight   = 1000
	defaultWait = 10 * time.Second
)

func (t Target) String() string {
	switch {
	case t.Reject && t.Protocol == sms.ProtocolSMPP:
		return fmt.Sprintf("reject 0x%08X", t.Status)
	case t.Reject:
		return fmt.Sprintf("reject %d", t.Status)
	case t.URI != "" && t.User != "":
		return "sip:" + t.User + "@" + strings.TrimPrefix(t.URI, "sip:")
	case t.URI != "":
		return t.URI
	case t.Waits:
		return "app?"
	}
	return t.Leg.String()
}

// returns says that the target is the leg that a message came in by. A SIP URI is not: whoever writes one says where to.
func (t Target) returns(ingress sms.Leg) bool {
	if t.Reject || t.URI != "" || t.Leg.Kind != ingress.Kind {
		return false
	}
	return t.Leg.Kind == sms.LegSIP || t.Leg.Name == ingress.Name
}

// Recipient is who a message goes to by this target.
func (t Target) Recipient(m *sms.Message) sms.Address {
	if t.User == "" || t.User == "{to}" {
		return m.To
	}
	return sms.ParseAddress(strings.NewReplacer("{to}", m.To.String(), "{from}", m.From.String()).Replace(t.User))
}

// Outcome is what a target that rejects makes of a message.
func (t Target) Outcome() sms.Outcome {
	o := sms.Outcome{
		Fate: sms.Refused, Severity: sms.Permanent, Cause: sms.CauseRefused, Protocol: t.Protocol, Status: t.Status,
		Detail: "the route rejects it",
	}
	if t.Protocol == sms.ProtocolSIP && (t.Status == 408 || t.Status == 480 || t.Status == 486 || t.Status/100 == 5) {
		o.Severity = sms.Temporary
	}
	return o
}

// ParseTarget reads one target as Target's comment lists them.
func ParseTarget(s string) (Target, error) {
	const want = "want smpp:NAME, account:SYSTEM_ID, sip, sip:USER@HOST:PORT, app, app? or reject CODE"
	s = strings.TrimSpace(s)
	word, rest, _ := strings.Cut(s, " ")
	switch {
	case s == "":
		return Target{}, errors.New("a target is empty: " + want)
	case s == "sip":
		return Target{Leg: sms.SIP}, nil
	case s == "app":
		return Target{Leg: sms.App}, nil
	case s == "app?":
		return Target{Leg: sms.App, Waits: true, Wait: defaultWait}, nil
	case word == "reject":
		return parseReject(strings.TrimSpace(rest))
	case strings.HasPrefix(s, "sip:"):
		return parseSIPTarget(s)
	}
	if leg, ok := sms.ParseLeg(s); ok && (leg.Kind == sms.LegConnection || leg.Kind == sms.LegAccount) {
		return Target{Leg: leg}, nil
	}
	return Target{}, fmt.Errorf("%q is no target: %s", s, want)
}

func parseReject(code string) (Target, error) {
	t := Target{Reject: true, Protocol: sms.ProtocolSIP, Status: 403}
	if code == "" {
		return t, nil
	}
	if hex, ok := strings.CutPrefix(strings.ToLower(code), "0x"); ok {
		n, err := strconv.ParseUint(hex, 16, 32)
		if err != nil || n == 0 {
			return t, fmt.Errorf("%q is no command_status: want one as 0x0000000B", code)
		}
		t.Protocol, t.Status = sms.ProtocolSMPP, uint32(n)
		return t, nil
	}
	n, err := strconv.Atoi(code)
	if err != nil || n < 400 || n > 699 {
		return t, fmt.Errorf("%q is no code to reject with: want a SIP response code from 400 to 699, or a command_status as 0x0000000B", code)
	}
	t.Status = uint32(n)
	return t, nil
}

func parseSIPTarget(s string) (Target, error) {
	t := Target{Leg: sms.SIP}
	user, host, found := strings.Cut(strings.TrimPrefix(s, "sip:"), "@")
	if !found {
		user, host = "", user
	}
	switch rest := strings.NewReplacer("{to}", "", "{from}", "").Replace(user); {
	case host == "" || strings.ContainsAny(host, " @{}<>\"?"):
		return t, fmt.Errorf("%q is no SIP URI of a target: want sip:{to}@HOST:PORT;transport=udp", s)
	case strings.ContainsAny(rest, "{} <>\"@;?"):
		return t, fmt.Errorf("%q: its user part may have {to} and {from}, and what may stand in a SIP user without being escaped", s)
	}
	t.URI, t.User = "sip:"+host, user
	return t, nil
}

// targets are those of one rule, in each order that its strategy makes.
type targets struct {
	list   []Target
	orders [][]Target // order i begins with target i and goes round from there
	turns  []int      // which order has its turn: round_robin and weighted
	least  bool       // least_loaded
	turn   atomic.Uint32
}

func parseTargets(s string, checkURI func(string) error) (*targets, error) {
	t := &targets{}
	for word := range strings.SplitSeq(s, ",") {
		word = strings.TrimSpace(word)
		weight := 0
		if text, n, ok := strings.Cut(word, " weight="); ok {
			var err error
			if weight, err = strconv.Atoi(n); err != nil || weight < 1 || weight > maxWeight {
				return nil, fmt.Errorf("%q: want a weight from 1 to %d", word, maxWeight)
			}
			word = text
		}
		one, err := ParseTarget(word)
		if err != nil {
			return nil, err
		}
		one.Weight = weight
		if one.URI != "" && checkURI != nil {
			if err := checkURI(one.URI); err != nil {
				return nil, err
			}
		}
		if n := len(t.list); n > 0 && (t.list[n-1].Reject || t.list[n-1].Leg.Kind == sms.LegApp && !t.list[n-1].Waits) {
			return nil, fmt.Errorf("nothing comes to %s: %s before it ends the way of every message", one, t.list[n-1])
		}
		if one.Waits && len(t.list) > 0 {
			return nil, errors.New("app? comes first: the applications are asked when the message comes in")
		}
		t.list = append(t.list, one)
	}
	if len(t.list) > maxTargets {
		return nil, fmt.Errorf("%d targets: the most is %d", len(t.list), maxTargets)
	}
	return t, nil
}

// arrange makes what the strategy needs.
func (t *targets) arrange(strategy string) error {
	switch strings.ToLower(strings.TrimSpace(strategy)) {
	case "", "failover":
		for _, one := range t.list {
			if one.Weight > 0 {
				return errors.New("targets have weights: want weighted")
			}
		}
	case "round_robin":
		t.turns = make([]int, len(t.list))
		for i := range t.turns {
			t.turns[i] = i
		}
	case "weighted":
		t.turns = spread(t.list)
	case "least_loaded":
		t.least = true
	default:
		return fmt.Errorf("%q is not known: want failover, round_robin, weighted or least_loaded", strategy)
	}
	if n := len(t.list); (len(t.turns) > 0 || t.least) && n > 1 {
		for _, one := range t.list {
			if one.Reject || one.Leg.Kind == sms.LegApp {
				return fmt.Errorf("%s takes every message, so that there is nothing to share: use failover", one)
			}
		}
	}
	t.rotate()
	return nil
}

// rotate makes the orders: failover needs but one.
func (t *targets) rotate() {
	n := 1
	if t.turns != nil || t.least {
		n = len(t.list)
	}
	t.orders = nil
	for i := range n {
		t.orders = append(t.orders, append(append([]Target(nil), t.list[i:]...), t.list[:i]...))
	}
}

// set gives the targets what the options say of them.
func (t *targets) set(o options) {
	for i := range t.list {
		if t.list[i].Waits && o.Wait > 0 {
			t.list[i].Wait = time.Duration(o.Wait) * time.Second
		}
		t.list[i].FailUnknown, t.list[i].HoldUnknown = o.Unknown == "fail", o.Unknown == "hold"
	}
	t.rotate()
}

// spread gives each target its share of turns, as evenly as they go: the smooth weighted round robin of nginx.
func spread(list []Target) []int {
	total := 0
	weights, current := make([]int, len(list)), make([]int, len(list))
	for i, t := range list {
		weights[i] = max(t.Weight, 1)
	}
	divisor := 0
	for _, w := range weights {
		divisor = gcd(divisor, w)
	}
	for i := range weights {
		weights[i] /= divisor
		total += weights[i]
	}
	turns := make([]int, 0, total)
	for range total {
		best := 0
		for i, w := range weights {
			current[i] += w
			if current[i] > current[best] {
				best = i
			}
		}
		current[best] -= total
		turns = append(turns, best)
	}
	return turns
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// order gives the targets in the order in which this message tries them.
func (t *targets) order(load func(sms.Leg) int) []Target {
	switch {
	case len(t.orders) == 1:
		return t.orders[0]
	case t.turns != nil:
		return t.orders[t.turns[(t.turn.Add(1)-1)%uint32(len(t.turns))]]
	case load == nil:
		return t.orders[0]
	}
	best, least := 0, load(t.list[0].Leg)
	for i, one := range t.list[1:] {
		if l := load(one.Leg); l < least {
			best, least = i+1, l
		}
	}
	return t.orders[best]
}
