package gateway

import (
	"encoding/binary"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

// maxSubmits bounds the submits that are remembered for options.duplicate_window; beyond it the oldest are forgotten.
const maxSubmits = 200_000

// duplicates knows what accounts submitted lately, for those that send a message again which we had answered: an ESME that lost
// its connection before the response came does. The same submit within the account's window is answered as the first was, with
// its id, and goes no further. Its zero value: no account asks for that.
type duplicates struct {
	windows atomic.Pointer[map[string]time.Duration] // by system_id; nil: none
	counts  atomic.Uint64                            // submits that were repetitions

	mu    sync.Mutex
	known map[submitKey]*submit
	order []*submit // as they came; those that were forgotten since are among them
}

// submitKey is a hash of what makes two submits the same.
type submitKey [2]uint64

// submit is one that came, and who waits for its answer beside its sender.
type submit struct {
	key      submitKey
	until    time.Time
	answered bool
	status   wire.Status
	id       sms.ID
	waiting  []func(wire.Status, sms.ID)
}

var submitSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

// set takes the windows of the accounts.
func (d *duplicates) set(rows []sms.AccountConfig) {
	windows := make(map[string]time.Duration)
	for _, row := range rows {
		if row.DuplicateWindow > 0 {
			windows[row.SystemID] = row.DuplicateWindow
		}
	}
	if len(windows) == 0 {
		d.windows.Store(nil)
		return
	}
	d.windows.Store(&windows)
}

// first says whether a submit is to be worked on: it gives what is to be called with its answer. nil: it came before, and is
// answered as that one is or will be.
func (d *duplicates) first(m *sms.Message, answer func(wire.Status, sms.ID)) func(wire.Status, sms.ID) {
	windows := d.windows.Load()
	if windows == nil {
		return answer
	}
	window := (*windows)[m.Ingress.Name]
	if window == 0 {
		return answer
	}
	key := keyOf(m)
	now := time.Now()
	d.mu.Lock()
	if s := d.known[key]; s != nil && (now.Before(s.until) || !s.answered) {
		answered := s.answered
		if !answered {
			s.waiting = append(s.waiting, answer)
		}
		d.mu.Unlock()
		d.counts.Add(1)
		if answered {
			answer(s.status, s.id) // which do not change any more
		}
		return nil
	}
	d.forget(now)
	s := &submit{key: key, until: now.Add(window)}
	if d.known == nil {
		d.known = make(map[submitKey]*submit)
	}
	d.known[key] = s
	d.order = append(d.order, s)
	d.mu.Unlock()
	return func(status wire.Status, id sms.ID) {
		d.mu.Lock()
		s.answered, s.status, s.id = true, status, id
		waiting := s.waiting
		s.waiting = nil
		if status != wire.StatusOK && d.known[key] == s {
			delete(d.known, key) // its sender is to try again
		}
		d.mu.Unlock()
		answer(status, id)
		for _, w := range waiting {
			w(status, id)
		}
	}
}

// forget drops what is over, and the oldest where there are too many. The lock is held.
func (d *duplicates) forget(now time.Time) {
	n := 0
	for ; n < len(d.order); n++ {
		s := d.order[n]
		known := d.known[s.key] == s
		if known && len(d.known) < maxSubmits && (now.Before(s.until) || !s.answered) {
			break
		}
		if known {
			delete(d.known, s.key)
		}
	}
	clear(d.order[:n])
	d.order = d.order[n:]
	if len(d.order) > 2*len(d.known)+64 { // mostly such as were refused, behind one that is remembered for long
		d.order = slices.DeleteFunc(d.order, func(s *submit) bool { return d.known[s.key] != s })
	}
}

// keyOf tells submits apart by all that reaches a recipient, and by which part of a longer message they are.
func keyOf(m *sms.Message) (key submitKey) {
	var b []byte
	field := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	field(m.Ingress.Name)
	field(m.From.Value)
	field(m.To.Value)
	field(m.Text)
	field(string(m.Data))
	field(string(m.UDH))
	field(m.ServiceType)
	b = append(b, byte(m.From.TON), byte(m.To.TON), byte(m.Alphabet), byte(m.Class), m.DataCoding, m.ProtocolID, m.Part.Total, m.Part.Seq)
	b = binary.BigEndian.AppendUint16(b, m.Part.Ref)
	for i, seed := range submitSeeds {
		key[i] = maphash.Bytes(seed, b)
	}
	return key
}
