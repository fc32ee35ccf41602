package gateway

import (
	"slices"
	"strings"

	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// best is the one of the database's matches, which are the newest first, that a receipt is likeliest for; nil: there is none. It is
// certain where it has the id in its likeliest form and had no receipt yet.
func (in *incoming) best(matches []store.Match) (best *store.Match, certain bool) {
	for i, id := range in.keys {
		for m := range matches {
			if m := &matches[m]; m.Key == id && (i == 0 || in.may(m.To)) {
				return m, i == 0 && !told(m)
			}
		}
	}
	return nil, false
}

// told says that the segment had its receipt.
func told(m *store.Match) bool {
	return slices.ContainsFunc(m.Segments, func(s store.Segment) bool { return s.Part == m.Part && s.State.Final() })
}

// may says that a message with this recipient, which has the id in another form than the likeliest, may be meant: only where the
// numbers agree, since any id of an SMSC that counts is another's in another form. A receipt without numbers that tell anything may be
// anybody's until it is known how the SMSC writes its ids.
func (in *incoming) may(to sms.Address) bool {
	from, dest := digits(in.receipt.From), digits(in.receipt.To)
	if len(from) < tellingly && len(dest) < tellingly {
		return !in.learner.Certain()
	}
	return agree(from, digits(to)) || agree(dest, digits(to))
}

// Numbers agree by their last digits: an SMSC may write them with a prefix that we did not, and the other way round.
const (
	agreeing  = 9
	tellingly = 6 // fewer say nothing
)

// digits is a number without what peers add or leave out before it.
func digits(a sms.Address) string { return strings.TrimLeft(a.Value, "+0") }

// agree compares the number that a receipt comes from, which is the recipient's (SMPP 3.4, appendix B), or the one that it goes to,
// since some peers do not swap the two.
func agree(a, b string) bool {
	n := min(len(a), len(b), agreeing)
	return n >= tellingly && a[len(a)-n:] == b[len(b)-n:]
}
