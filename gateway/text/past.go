package text

import (
	"hash/maphash"
	"time"

	"sipsmpp/gateway/sms"
)

// past remembers parts that were forgotten, as hashes alone, the last ones for a time. It is a Reassembler's own.
type past struct {
	most  int
	age   time.Duration
	seed  maphash.Seed
	epoch time.Time
	known map[uint64]verdict
	order []pastPart // oldest first, from head
	head  int
}

type pastPart struct {
	sum uint64
	at  time.Duration
}

// verdict is what became of the message.
type verdict struct {
	at        time.Duration // since the epoch
	completed bool          // it is of the part that completed the message, or of all parts: the answer to it told the outcome
	refused   bool
}

func (v verdict) err() error {
	if v.completed && v.refused {
		return ErrRefused
	}
	return ErrForgotten
}

func newPast(most int, age time.Duration) past {
	return past{most: most, age: age, seed: maphash.MakeSeed(), epoch: time.Now(), known: make(map[uint64]verdict)}
}

// sum is the hash of parts together, in any order: of their key, their numbers and their octets.
func (p *past) sum(parts ...*sms.Message) (sum uint64) {
	for _, m := range parts {
		var h maphash.Hash
		h.SetSeed(p.seed)
		maphash.WriteComparable(&h, keyOf(m))
		_ = h.WriteByte(m.Part.Seq) // never fails
		maphash.WriteComparable(&h, len(m.Data))
		_, _ = h.Write(m.Data)
		_, _ = h.WriteString(m.Text)
		sum ^= h.Sum64()
	}
	return sum
}

func (p *past) find(sum uint64) (verdict, bool) {
	v, known := p.known[sum]
	if !known || time.Since(p.epoch)-v.at >= p.age {
		return verdict{}, false
	}
	return v, true
}

func (p *past) put(sum uint64, v verdict) {
	v.at = time.Since(p.epoch)
	for len(p.order) > p.head {
		oldest := p.order[p.head]
		if len(p.order)-p.head < p.most && v.at-oldest.at < p.age {
			break
		}
		if p.known[oldest.sum].at == oldest.at { // not put again since
			delete(p.known, oldest.sum)
		}
		p.head++
	}
	if p.head > len(p.order)/2 {
		p.order, p.head = append(p.order[:0], p.order[p.head:]...), 0
	}
	p.known[sum] = v
	p.order = append(p.order, pastPart{sum, v.at})
}
