package sip

import (
	"hash/maphash"
	"sync"
	"time"
)

// The bounds of the table of answers.
const (
	generations     = 3
	generationTime  = 16 * time.Second // so that an answer is known for 32 to 48 s: Timer J is 64*T1 (RFC 3261, 17.2.2)
	generationLimit = 3 << 14          // entries of one generation of a shard; beyond it the next generation begins early
	answeredShards  = 32
)

// requestKey names a request whatever the way that it came by: hashes of Call-ID, CSeq and From tag, the three that tell a
// merged request (RFC 3261, 8.2.2.2). The first is looked up, the second is told, as a tag.
type requestKey [2]uint64

// answer is what became of a request. It holds no octets: the answer is built again from the retransmission.
type answer struct {
	transaction uint64 // hash of the top Via's branch and sent-by (RFC 3261, 17.2.3)
	code        uint16 // 0: it is being worked on
	retryAfter  uint16 // seconds
}

// known says what is known of a request that came.
type known uint8

const (
	isNew      known = iota
	isWorkedOn       // a retransmission of one that has no answer yet
	isAnswered       // a retransmission of one that has
	isMerged         // the same request by another path (RFC 3261, 8.2.2.2)
)

// answered is the server's transactions: what was asked within the last 32 s, and what was answered. It keeps its entries in
// generations, so that no timer is needed to forget one.
type answered struct {
	seeds  [3]maphash.Seed
	shards [answeredShards]answeredShard
}

type answeredShard struct {
	mu   sync.Mutex
	turn time.Time // when the newest generation began
	gens [generations]table
}

func newAnswered() *answered {
	t := &answered{seeds: [3]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed(), maphash.MakeSeed()}}
	now := time.Now()
	for i := range t.shards {
		t.shards[i].turn = now
	}
	return t
}

// key hashes what names a request and its transaction. Scratch is reused and returned.
func (t *answered) key(m *message, scratch []byte) (requestKey, uint64, []byte) {
	b := append(scratch[:0], m.callID...)
	b = append(b, '\n')
	b = append(b, m.cseq...)
	b = append(b, '\n')
	b = append(b, tag(m.from)...)
	k := requestKey{max(1, maphash.Bytes(t.seeds[0], b)), maphash.Bytes(t.seeds[1], b)}
	if hasCookie(m.top.branch) {
		b = append(b[:0], m.top.branch...)
		b = append(b, '\n')
		b = append(b, m.top.host...)
		b = append(b, '\n', byte(m.top.port>>8), byte(m.top.port))
		if string(m.method) == "REGISTER" { // its answer tells of the user that the credentials are of
			for _, value := range m.authorization {
				b = append(append(b, '\n'), value...)
			}
		}
	} else {
		// A client of RFC 2543 is known by what else RFC 3261, 17.2.3 lists.
		b = append(b[:0], m.vias[0]...)
		b = append(b, '\n')
		b = append(b, m.uri...)
		b = append(b, '\n')
		b = append(b, tag(m.to)...)
	}
	return k, maphash.Bytes(t.seeds[2], b), b
}

func hasCookie(branch []byte) bool {
	return len(branch) > len(cookie) && string(branch[:len(cookie)]) == cookie
}

// look says what is known of a request.
func (t *answered) look(k requestKey, transaction uint64, now time.Time) (known, answer) {
	s := &t.shards[k[0]%answeredShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.age(now)
	return s.look(k, transaction)
}

// begin is look, and notes a new request as being worked on.
func (t *answered) begin(k requestKey, transaction uint64, now time.Time) (known, answer) {
	s := &t.shards[k[0]%answeredShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.age(now)
	what, a := s.look(k, transaction)
	if what == isNew {
		s.gens[0].put(newEntry(k[0], transaction, answer{}))
	}
	return what, a
}

// finish notes the answer.
func (t *answered) finish(k requestKey, a answer) {
	s := &t.shards[k[0]%answeredShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gens[0].put(newEntry(k[0], a.transaction, a))
}

func (s *answeredShard) look(k requestKey, transaction uint64) (known, answer) {
	for i := range s.gens {
		e := s.gens[i].get(k[0])
		if e == nil {
			continue
		}
		a := e.answer()
		a.transaction = transaction
		switch same := e.transaction == uint16(transaction); {
		case same && a.code == 0:
			return isWorkedOn, a
		case same:
			return isAnswered, a
		case a.code < 300:
			return isMerged, a
		default:
			// It was refused before, so that nothing came of it: a proxy may try another way to us.
			return isNew, answer{}
		}
	}
	return isNew, answer{}
}

// age begins new generations as time goes by, and drops the oldest.
func (s *answeredShard) age(now time.Time) {
	for n := 0; n < generations && now.Sub(s.turn) >= generationTime; n++ {
		s.next()
		s.turn = s.turn.Add(generationTime)
	}
	if now.Sub(s.turn) >= generationTime {
		s.turn = now
	}
	if s.gens[0].n >= generationLimit {
		s.next()
		s.turn = now
	}
}

func (s *answeredShard) next() {
	oldest := s.gens[generations-1]
	copy(s.gens[1:], s.gens[:generations-1])
	oldest.clear()
	s.gens[0] = oldest
}
