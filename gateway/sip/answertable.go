package sip

// entry is what is known of one request, in 12 octets: some million of them are known at full rate.
type entry struct {
	low, high   uint32 // of the key; both 0: nothing stands here
	transaction uint16 // the hash's end: it tells a retransmission from a merged request, whose keys are the same
	said        uint16 // the answer: six bits of seconds to wait, ten of code
}

const mostSeconds = 1<<6 - 1 // that an entry remembers to tell

func newEntry(key, transaction uint64, a answer) entry {
	return entry{uint32(key), uint32(key >> 32), uint16(transaction), min(a.retryAfter, mostSeconds)<<10 | a.code}
}

func (e *entry) key() uint64 { return uint64(e.high)<<32 | uint64(e.low) }

// answer is what was answered; its code is 0 where the request is being worked on.
func (e *entry) answer() answer { return answer{code: e.said & (1<<10 - 1), retryAfter: e.said >> 10} }

// table is a hash table that is filled and emptied as a whole. Its keys are hashes already.
type table struct {
	entries []entry // a power of two of them, of which three in four are used at the most
	n       int
}

const smallTable = 64 // entries that a table has at least, once it has any

// find gives the entry of a key, or where it would stand.
func (t *table) find(key uint64) *entry {
	mask := uint64(len(t.entries) - 1)
	for i := key / answeredShards & mask; ; i = (i + 1) & mask {
		if e := &t.entries[i]; e.key() == key || e.key() == 0 {
			return e
		}
	}
}

// get gives the entry of a key; nil: there is none.
func (t *table) get(key uint64) *entry {
	if t.n == 0 {
		return nil
	}
	if e := t.find(key); e.key() != 0 {
		return e
	}
	return nil
}

// put makes an entry, or takes the place of the one with its key.
func (t *table) put(new entry) {
	if 4*(t.n+1) > 3*len(t.entries) {
		old := t.entries
		t.entries = make([]entry, max(smallTable, 2*len(old)))
		for _, e := range old {
			if e.key() != 0 {
				*t.find(e.key()) = e
			}
		}
	}
	e := t.find(new.key())
	if e.key() == 0 {
		t.n++
	}
	*e = new
}

// clear empties it. It keeps the room that it needed, for the next time.
func (t *table) clear() {
	if 8*t.n < len(t.entries) {
		t.entries = nil
	}
	clear(t.entries)
	t.n = 0
}
