package sip

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"sipsmpp/gateway/sms"
)

// fork is a message on its way to a user's contacts. Those with the greatest q get it first, all of them at once, so that each
// telephone of the user shows it; where none of them takes it, the next ones have their turn. The first that takes it decides.
//
// All have the same Call-ID, CSeq and From tag, by which a user agent knows a message that reaches it by two contacts
// (RFC 3261, 8.2.2.2).
type fork struct {
	e       *Endpoint
	m       *sms.Message
	kind    string
	done    func(sms.Outcome)
	fromTag uint64
	callID  [2]uint64

	mu      sync.Mutex
	groups  [][]way // that were not tried
	open    int     // attempts of this group that are under way
	told    bool
	failure sms.Outcome // the most hopeful
	failed  bool
}

// way is how a contact is reached now.
type way struct {
	uri, route string
	hop        *hop
}

// sendToContacts sends m to the contacts of users. With none it is refused as a registrar does that knows the user and not where
// it is: 480, to try again.
func (e *Endpoint) sendToContacts(users []string, m *sms.Message, kind string, done func(sms.Outcome)) {
	f := &fork{
		e: e, m: m, kind: kind, done: done, fromTag: rand.Uint64(), callID: [2]uint64{rand.Uint64(), rand.Uint64()},
		groups: e.registrar.ways(users, time.Now()),
	}
	if len(f.groups) == 0 {
		away := outcomeOf(480)
		away.Detail = users[0] + " is not registered"
		done(away)
		return
	}
	f.next()
}

// next starts the attempts of the next group.
func (f *fork) next() {
	f.mu.Lock()
	group := f.groups[0]
	f.groups = f.groups[1:]
	f.open = len(group)
	f.mu.Unlock()
	for _, w := range group {
		f.e.admit(&outgoing{
			m: f.m, done: f.ended, uri: w.uri, route: w.route, only: w.hop, contact: true, kind: f.kind,
			fromTag: f.fromTag, callID: f.callID, request: make([]byte, 0, usualHead+len(f.m.Text)),
		})
	}
}

// ended takes the outcome of one attempt.
func (f *fork) ended(o sms.Outcome) {
	f.mu.Lock()
	f.open--
	again, tell := false, false
	switch {
	case f.told:
	case o.Fate == sms.Accepted:
		f.told, tell = true, true
	default:
		if !f.failed || hope(o) > hope(f.failure) {
			f.failure, f.failed = o, true
		}
		if f.open > 0 {
			break
		}
		if again = len(f.groups) > 0; !again {
			o, f.told, tell = f.failure, true, true
		}
	}
	f.mu.Unlock()
	if again {
		f.next()
	}
	if tell {
		f.done(o)
	}
}

// hope is how much sense there is in trying again: of several failures the most hopeful is the message's, since one contact that
// will never take it says nothing of the others.
func hope(o sms.Outcome) int {
	switch {
	case o.Fate == sms.Unknown: // it may even have arrived
		return 3
	case o.Severity == sms.Temporary || o.Severity == sms.Throttled:
		return 2
	case o.Severity == sms.Configuration:
		return 1
	}
	return 0
}

// group puts contacts in the order to try them: by q, of those of one device the one that registered last before its others
// (RFC 5626, 5.3: a device is reached by one flow at a time).
func group(contacts []*contact) [][]*contact {
	slices.SortStableFunc(contacts, func(a, b *contact) int {
		return cmp.Or(cmp.Compare(b.Q, a.Q), b.Updated.Compare(a.Updated))
	})
	var groups [][]*contact
	var others []*contact
	devices := make(map[string]bool)
	for _, c := range contacts {
		switch n := len(groups); {
		case c.Instance != "" && devices[c.Instance]:
			others = append(others, c)
		case n > 0 && groups[n-1][0].Q == c.Q:
			groups[n-1] = append(groups[n-1], c)
		default:
			groups = append(groups, []*contact{c})
		}
		if c.Instance != "" {
			devices[c.Instance] = true
		}
	}
	for _, c := range others {
		groups = append(groups, []*contact{c})
	}
	return groups
}
