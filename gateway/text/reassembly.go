package text

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	"sipsmpp/gateway/sms"
)

// Key tells messages in parts from one another: whose they are, between whom, under which reference.
type Key struct {
	Owner    sms.Leg
	From, To sms.Address
	Ref      uint16
	Wide     bool
	Total    uint8
}

// KeyOf is the key of the message that m is a part of.
func KeyOf(m *sms.Message) Key {
	return Key{Owner: m.Ingress, From: m.From, To: m.To, Ref: m.Part.Ref, Wide: m.Part.Wide, Total: m.Part.Total}
}

// ErrReassemblyFull is for a part that would take the Reassembler beyond its limits. The peer is to be told to try again later.
var ErrReassemblyFull = errors.New("too many parts are held: answer with a temporary error, and the peer sends this one again")

// ErrPart is for a message that is no part, or whose number is not within its total.
var ErrPart = errors.New("not a part of a message: its part needs a total, and a number from 1 to it")

// Limits bound a Reassembler. A zero value takes the default.
type Limits struct {
	Messages int           // most messages held; 10,000
	Octets   int           // most memory held: of each part what it brought and 512 octets besides; 64 MiB
	Age      time.Duration // how long a message waits for its next part; 5 minutes
}

// Reassembler gathers the parts of messages in memory. It is safe for concurrent use.
//
// A message stays until Forget, also when it is complete: if it could not be delivered, its peer sends only the last part again,
// and Add then gives the whole of it again. A message whose next part, or whose Forget, does not come within Limits.Age is given
// by Expired, again each Age until Forget.
//
// References come round, with 8 bits soon. A part whose octets differ from those that the message under its key has under its number
// begins a new message; one whose octets are the same is a repetition. The old one takes no more parts; if incomplete, the next Expired gives it, for its parts may have been
// acknowledged.
type Reassembler struct {
	limits Limits

	mu     sync.Mutex
	byKey  map[Key]*assembly // those that still take parts
	given  map[*sms.Message]*assembly
	all    map[*assembly]struct{}
	octets int
	due    time.Time // no assembly is due before
}

// assembly is a message of which there is at least one part.
type assembly struct {
	key    Key
	parts  []*sms.Message // sorted by Part.Seq
	octets int
	due    time.Time
	given  []*sms.Message // each time that it was given out, the last mostGiven
}

func (a *assembly) complete() bool { return len(a.parts) == int(a.key.Total) }

// NewReassembler makes an empty one.
func NewReassembler(l Limits) *Reassembler {
	return &Reassembler{
		limits: Limits{
			Messages: cmp.Or(l.Messages, 10_000),
			Octets:   cmp.Or(l.Octets, 64<<20),
			Age:      cmp.Or(l.Age, 5*time.Minute),
		},
		byKey: make(map[Key]*assembly),
		given: make(map[*sms.Message]*assembly),
		all:   make(map[*assembly]struct{}),
	}
}

// Add takes one part, as Decode or DecodePart made it: its octets in Data. A part that has Text instead is taken by that.
//
// whole is the assembled message once all parts are in, in any order. It is part 1 in all its fields but these: Text or Data is
// that of all parts; ID and Part are zero; Received is when the first part to arrive did; Segments counts the parts. If part 1
// asks for no receipt, it has the request of the first part that does.
//
// dup says that the part was there already. If the message is complete and not yet forgotten, whole is given then too, assembled
// anew: its peer was told to try again, or did not wait for the answer.
//
// m is kept, and must not be changed afterwards. The errors are ErrReassemblyFull and ErrPart.
func (r *Reassembler) Add(m *sms.Message) (whole *sms.Message, dup bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.add(m, false)
}

// Restore takes back parts that were kept elsewhere, without regard to the limits of number and octets. It gives the messages
// that are complete. What is no part is passed over.
func (r *Reassembler) Restore(parts []*sms.Message) (whole []*sms.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range parts {
		if w, dup, _ := r.add(m, true); w != nil && !dup {
			whole = append(whole, w)
		}
	}
	return whole
}

func (r *Reassembler) add(m *sms.Message, restored bool) (whole *sms.Message, dup bool, err error) {
	if m.Part.Seq == 0 || m.Part.Seq > m.Part.Total {
		return nil, false, ErrPart
	}
	key := KeyOf(m)
	a := r.byKey[key]
	var at int
	if a != nil {
		var found bool
		at, found = slices.BinarySearchFunc(a.parts, m.Part.Seq, func(p *sms.Message, seq uint8) int { return cmp.Compare(p.Part.Seq, seq) })
		if found && sameOctets(a.parts[at], m) {
			if !a.complete() {
				return nil, true, nil
			}
			return r.give(a), true, nil
		}
		if found {
			a, at = nil, 0 // the reference has come round
		}
	}
	n := memory(m)
	if !restored && (r.octets+n > r.limits.Octets || a == nil && len(r.all) >= r.limits.Messages) {
		return nil, false, ErrReassemblyFull
	}
	received := m.Received
	if received.IsZero() {
		received = time.Now()
	}
	if a == nil {
		if old := r.byKey[key]; old != nil && !old.complete() {
			old.due, r.due = time.Time{}, time.Time{}
		}
		a = &assembly{key: key, parts: make([]*sms.Message, 0, min(int(key.Total), 8))}
		r.byKey[key] = a
		r.all[a] = struct{}{}
	}
	a.parts = slices.Insert(a.parts, at, m)
	a.octets += n
	r.octets += n
	if due := received.Add(r.limits.Age); due.After(a.due) {
		a.due = due
	}
	if len(r.all) == 1 || a.due.Before(r.due) {
		r.due = a.due
	}
	if !a.complete() {
		return nil, false, nil
	}
	return r.give(a), false, nil
}

// mostGiven bounds what is remembered of a message whose peer sends the last part over and over.
const mostGiven = 8

// give gives an assembly out, a message of its own each time, since the one given before may still be on its way.
func (r *Reassembler) give(a *assembly) *sms.Message {
	whole := assemble(a.parts, int(a.key.Total))
	if len(a.given) == mostGiven {
		delete(r.given, a.given[0])
		a.given = slices.Delete(a.given, 0, 1)
	}
	a.given = append(a.given, whole)
	r.given[whole] = a
	return whole
}

// Forget drops what Add, Restore or Expired gave as this message: it is with the next hop or on disk now. It gives the IDs of the parts
// that it was made of, those that have one, so that what was kept of them elsewhere can go too. Of a message that is not known,
// or was forgotten before, there are none. After that, a part under the same key begins a new message.
func (r *Reassembler) Forget(whole *sms.Message) (parts []sms.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.given[whole]
	if a == nil {
		return nil
	}
	for _, given := range a.given {
		delete(r.given, given)
	}
	delete(r.all, a)
	if r.byKey[a.key] == a { // not a newer message under the same reference
		delete(r.byKey, a.key)
	}
	r.octets -= a.octets
	for _, m := range a.parts {
		if !m.ID.IsZero() {
			parts = append(parts, m.ID)
		}
	}
	return parts
}

// Expired gives what waited too long: messages assembled of the parts that are there, with Incomplete set where some are not, and
// complete ones that were given out an Age ago and not forgotten. They take no more parts. Each stays, and is given again an Age
// later, until Forget.
func (r *Reassembler) Expired(now time.Time) []*sms.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Before(r.due) {
		return nil
	}
	var expired []*sms.Message
	r.due = now.Add(r.limits.Age)
	for a := range r.all {
		if !now.Before(a.due) {
			a.due = now.Add(r.limits.Age)
			if !a.complete() && r.byKey[a.key] == a {
				delete(r.byKey, a.key)
			}
			expired = append(expired, r.give(a))
		}
		if a.due.Before(r.due) {
			r.due = a.due
		}
	}
	slices.SortFunc(expired, func(a, b *sms.Message) int { return a.Received.Compare(b.Received) })
	return expired
}

// Len counts the messages held.
func (r *Reassembler) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all)
}

// memory is about what a part takes, so that many parts with little in them are bounded too.
func memory(m *sms.Message) int {
	n := 512 + len(m.Data) + len(m.Text) + len(m.UDH)
	for _, tlv := range m.TLVs {
		n += len(tlv.Value)
	}
	return n
}

func sameOctets(a, b *sms.Message) bool {
	return a.Text == b.Text && bytes.Equal(a.Data, b.Data)
}

// assemble makes one message of parts, which are sorted.
func assemble(parts []*sms.Message, total int) *sms.Message {
	whole := *parts[0]
	whole.ID = sms.ID{}
	whole.Part = sms.Part{}
	whole.Segments = len(parts)
	whole.Incomplete = len(parts) < total
	octets := 0
	for _, m := range parts {
		octets += len(m.Data) + len(m.Text)
		if m.Received.Before(whole.Received) {
			whole.Received = m.Received
		}
		if whole.Receipt == sms.ReceiptNone {
			whole.Receipt = m.Receipt
		}
	}
	joined := make([]byte, 0, octets)
	if whole.IsBinary() {
		for _, m := range parts {
			joined = append(joined, m.Data...)
		}
		whole.Text, whole.Data = "", joined
		return &whole
	}
	whole.UDH = others(whole.UDH, false)
	// Characters may be divided between parts, so octets are joined as far as they follow one another in the same coding.
	texts := make([]byte, 0, octets)
	for i := 0; i < len(parts); {
		first, tables := parts[i], shiftsOf(parts[i].UDH)
		if first.Text != "" {
			texts = append(texts, first.Text...)
			i++
			continue
		}
		joined = joined[:0]
		for next := first.Part.Seq; i < len(parts); i++ {
			m := parts[i]
			if m.Part.Seq != next || m.Text != "" || m.Alphabet != first.Alphabet ||
				m.Alphabet == sms.AlphabetOther && m.DataCoding != first.DataCoding || shiftsOf(m.UDH) != tables {
				break
			}
			joined = append(joined, m.Data...)
			next++
		}
		texts = append(texts, decodeIn(joined, first.Alphabet, first.DataCoding, tables)...)
	}
	whole.Text, whole.Data = string(texts), nil
	return &whole
}
