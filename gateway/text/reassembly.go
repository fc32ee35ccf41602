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

// key tells messages in parts from one another: whose they are, between whom, under which reference.
type key struct {
	owner    sms.Leg
	from, to sms.Address
	ref      uint16
	wide     bool
	total    uint8
}

// keyOf is the key of the message that m is a part of.
func keyOf(m *sms.Message) key {
	return key{owner: m.Ingress, from: m.From, to: m.To, ref: m.Part.Ref, wide: m.Part.Wide, total: m.Part.Total}
}

// ErrReassemblyFull is for a part that would take the Reassembler beyond its limits. The peer is to be told to try again later.
var ErrReassemblyFull = errors.New("too many parts are held: answer with a temporary error, and the peer sends this one again")

// ErrPart is for a message that is no part, or whose number is not within its total.
var ErrPart = errors.New("not a part of a message: its part needs a total, and a number from 1 to it")

// The errors for a part that was sent again, because the peer did not get our answer in time, of a message that was given out.
var (
	ErrUnderWay  = errors.New("the message of this part is under way: Join it, and answer as the message is")
	ErrForgotten = errors.New("the message of this part was sent on before: answer with success, and send nothing")
	ErrRefused   = errors.New("the message of this part was refused before: answer with a permanent error")
)

// Limits bound a Reassembler. A zero value takes the default.
type Limits struct {
	Messages  int           // most messages held; 10,000
	Octets    int           // most memory held: of each part what it brought and 512 octets besides; 64 MiB
	Age       time.Duration // how long a message waits for its next part, and is remembered when it was forgotten; 5 minutes
	Forgotten int           // most parts remembered of messages that were forgotten, some 100 octets each; 100,000
}

// Reassembler gathers the parts of messages in memory. It is safe for concurrent use.
//
// A message that was given out is under way until End says what became of it. It stays if it could not be delivered, since its peer
// then sends only the last part again, and Add gives the whole of it again. A message whose next part, or such a repetition, does not
// come within Limits.Age is given by Expired, again each Age. It is never under way twice: a repetition meanwhile joins it.
//
// References come round, with 8 bits soon. A part whose octets differ from those that the message under its key has under its
// number begins a new message; one whose octets are the same is a repetition. The old one takes no more parts; if incomplete, the
// next Expired gives it, for its parts may have been acknowledged.
//
// Of what was forgotten, a hash of each part is remembered for a while, so that a repetition does not begin a message that never
// becomes complete. Yet a new message may have a part in common with the last under its reference, such as the same beginning. So
// a repetition, but of the part that completed the message, is held aside, and becomes part of a new message where a later part
// that is no repetition follows it. It is held nowhere else meanwhile: a crash between the two loses it.
type Reassembler struct {
	limits Limits

	mu     sync.Mutex
	byKey  map[key]*assembly // those that still take parts
	given  map[*sms.Message]*assembly
	all    map[*assembly]struct{}
	begun  uint64 // assemblies until now
	past   past
	octets int
	due    time.Time // no assembly is due before
}

// assembly is a message of which there is at least one part.
type assembly struct {
	number  uint64 // in the order in which they began
	key     key
	parts   []*sms.Message // sorted by Part.Seq
	octets  int
	due     time.Time
	last    uint8        // number of the part that completed it
	repeats bool         // so far each part is one of a message that was forgotten
	given   *sms.Message // what is under way; nil: nothing is
	joined  []func(sms.Outcome)
}

func (a *assembly) complete() bool { return len(a.parts) == int(a.key.total) }

// NewReassembler makes an empty one.
func NewReassembler(l Limits) *Reassembler {
	l = Limits{
		Messages:  cmp.Or(l.Messages, 10_000),
		Octets:    cmp.Or(l.Octets, 64<<20),
		Age:       cmp.Or(l.Age, 5*time.Minute),
		Forgotten: cmp.Or(l.Forgotten, 100_000),
	}
	return &Reassembler{
		limits: l,
		byKey:  make(map[key]*assembly),
		given:  make(map[*sms.Message]*assembly),
		all:    make(map[*assembly]struct{}),
		past:   newPast(l.Forgotten, l.Age),
	}
}

// Add takes one part, as Decode or DecodePart made it: its octets in Data. A part that has Text instead is taken by that.
//
// whole is the assembled message once all parts are in, in any order. It is part 1 in all its fields but these: Text or Data is
// that of all parts; ID and Part are zero; Received is when the first part to arrive did; Segments counts the parts. If part 1
// asks for no receipt, it has the request of the first part that does; Wanted has what all of them want.
//
// held is the part that is held: m, or where m repeats one, that one, whose ID is the one that End will give. If the message is
// complete and was not delivered, a repetition gives whole, too, assembled anew, and takes the place of the part that completed it,
// to which the answer was a refusal. While it is under way, a repetition is ErrUnderWay, with the message that is.
//
// m is kept, and must not be changed afterwards. The errors are ErrReassemblyFull, ErrPart, ErrUnderWay, ErrForgotten and ErrRefused.
func (r *Reassembler) Add(m *sms.Message) (whole, held *sms.Message, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.add(m, false)
}

// Restore takes back parts that were kept elsewhere, oldest first, without regard to the limits of number and octets. It gives the
// messages that are complete. What is no part is passed over.
func (r *Reassembler) Restore(parts []*sms.Message) (whole []*sms.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range parts {
		if w, held, _ := r.add(m, true); w != nil && held == m {
			whole = append(whole, w)
		}
	}
	return whole
}

func (r *Reassembler) add(m *sms.Message, restored bool) (whole, held *sms.Message, err error) {
	if m.Part.Seq == 0 || m.Part.Seq > m.Part.Total {
		return nil, nil, ErrPart
	}
	k := keyOf(m)
	old := r.byKey[k]
	a, at := old, 0 // the message that takes m, and where
	if a != nil {
		var found bool
		at, found = slices.BinarySearchFunc(a.parts, m.Part.Seq, func(p *sms.Message, seq uint8) int { return cmp.Compare(p.Part.Seq, seq) })
		switch {
		case found && !sameOctets(a.parts[at], m):
			a, at = nil, 0 // the reference has come round
		case found && a.repeats:
			return nil, nil, ErrForgotten
		case found && a.given != nil:
			return a.given, a.parts[at], ErrUnderWay
		case found && a.complete():
			if m.Part.Seq == a.last {
				a.parts[at] = m
			}
			return r.give(a), a.parts[at], nil
		case found:
			return nil, a.parts[at], nil
		}
	}
	var repeats error
	if a == nil || a.repeats {
		v, known := r.past.find(r.past.sum(m))
		switch {
		case !known:
		case a == nil && (v.completed || old != nil && !old.complete() && !old.repeats):
			return nil, nil, v.err() // no new message begins with the last part, or while another is under way
		default:
			repeats = v.err()
		}
	}
	if a != nil && a.repeats && repeats == nil && at < len(a.parts) {
		a, at = nil, 0 // what was held aside has no part in a message whose beginning comes only now
	}
	n := memory(m)
	if !restored && (r.octets+n > r.limits.Octets || a == nil && len(r.all) >= r.limits.Messages) {
		return nil, nil, ErrReassemblyFull
	}
	received := m.Received
	if received.IsZero() {
		received = time.Now()
	}
	if a == nil {
		if old != nil && !old.complete() {
			old.due, r.due = time.Time{}, time.Time{}
		}
		r.begun++
		a = &assembly{number: r.begun, key: k, parts: make([]*sms.Message, 0, min(int(k.total), 8)), repeats: repeats != nil}
		r.byKey[k] = a
		r.all[a] = struct{}{}
	}
	a.repeats = repeats != nil
	a.parts = slices.Insert(a.parts, at, m)
	a.octets += n
	r.octets += n
	if due := received.Add(r.limits.Age); due.After(a.due) {
		a.due = due
	}
	if len(r.all) == 1 || a.due.Before(r.due) {
		r.due = a.due
	}
	switch {
	case !a.complete() && a.repeats:
		return nil, nil, repeats
	case !a.complete():
		return nil, m, nil
	case a.repeats:
		if v, known := r.past.find(r.past.sum(a.parts...)); known {
			r.drop(a)
			return nil, nil, v.err()
		}
		a.repeats = false // its parts are of several messages: it is none of them
	}
	a.last = m.Part.Seq
	return r.give(a), m, nil
}

// give gives an assembly out, a message of its own each time, since the one before was seen by others.
func (r *Reassembler) give(a *assembly) *sms.Message {
	a.given = assemble(a.parts, int(a.key.total))
	r.given[a.given] = a
	return a.given
}

// Join lets told be called with what becomes of a message that is under way; false: it ended in this moment, and Add says more.
func (r *Reassembler) Join(whole *sms.Message, told func(sms.Outcome)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.given[whole]
	if a != nil {
		a.joined = append(a.joined, told)
	}
	return a != nil
}

// End says what became of a message that Add, Restore or Expired gave. joined are to be told.
//
// If it was accepted, so that it is with the next hop or on disk now, or refused for good, its parts are dropped; parts are the IDs of
// those that have one, so that what was kept of them elsewhere can go too. After that, a part under the same key begins a new message,
// unless it repeats one of this. With any other outcome the message stays.
func (r *Reassembler) End(whole *sms.Message, o sms.Outcome) (parts []sms.ID, joined []func(sms.Outcome)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.given[whole]
	if a == nil {
		return nil, nil
	}
	joined = a.joined
	delete(r.given, whole)
	a.given, a.joined = nil, nil
	if !o.Taken() && o.Severity != sms.Permanent {
		return nil, joined
	}
	r.drop(a)
	refused := !o.Taken()
	for _, m := range a.parts {
		r.past.put(r.past.sum(m), verdict{completed: m.Part.Seq == a.last, refused: refused})
		if !m.ID.IsZero() {
			parts = append(parts, m.ID)
		}
	}
	if a.complete() {
		r.past.put(r.past.sum(a.parts...), verdict{completed: true, refused: refused})
	}
	return parts, joined
}

func (r *Reassembler) drop(a *assembly) {
	delete(r.all, a)
	if r.byKey[a.key] == a { // not a newer message under the same reference
		delete(r.byKey, a.key)
	}
	r.octets -= a.octets
}

// Expired gives what waited too long: messages assembled of the parts that are there, with Incomplete set where some are not, and
// complete ones that were given out an Age ago and could not be delivered. They take no more parts. Each stays, and is given again an
// Age later, unless it is under way, until End says that it is over. The one that began first is given first.
func (r *Reassembler) Expired(now time.Time) []*sms.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Before(r.due) {
		return nil
	}
	var late []*assembly
	r.due = now.Add(r.limits.Age)
	for a := range r.all {
		if !now.Before(a.due) && a.repeats {
			r.drop(a) // nothing new came with it
			continue
		}
		if !now.Before(a.due) {
			a.due = now.Add(r.limits.Age)
			if !a.complete() && r.byKey[a.key] == a {
				delete(r.byKey, a.key)
			}
			if a.given == nil {
				late = append(late, a)
			}
		}
		if a.due.Before(r.due) {
			r.due = a.due
		}
	}
	slices.SortFunc(late, func(a, b *assembly) int { return cmp.Compare(a.number, b.number) })
	var expired []*sms.Message
	for _, a := range late {
		expired = append(expired, r.give(a))
	}
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
	whole.Wanted = nil
	octets := 0
	for _, m := range parts {
		whole.Wanted = append(whole.Wanted, m.Wanted...)
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
