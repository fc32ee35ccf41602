package text

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sipsmpp/gateway/sms"
)

var start = time.Date(2025, 11, 23, 12, 0, 0, 0, time.UTC)

// part makes part seq of total with the octets s, in GSM, one second of arrival after another.
func part(ref uint16, total, seq uint8, s string) *sms.Message {
	return &sms.Message{
		ID:       sms.ID{byte(ref), seq, 1},
		Ingress:  sms.Connection("acme"),
		From:     sms.ParseAddress("+491701234567"),
		To:       sms.ParseAddress("4711"),
		Data:     []byte(s),
		Alphabet: sms.AlphabetGSM7,
		Part:     sms.Part{Ref: ref, Total: total, Seq: seq},
		Received: start,
	}
}

// add adds a part and wants the text of a whole message, or none where want is empty.
func add(t *testing.T, r *Reassembler, m *sms.Message, want string, wantDup bool) *sms.Message {
	t.Helper()
	whole, held, err := r.Add(m)
	if err != nil || held == nil || (held != m) != wantDup || (whole != nil) != (want != "") || whole != nil && whole.Text != want {
		t.Fatalf("part %+v: %+v, %+v, %v; want %q, %v", m.Part, whole, held, err, want, wantDup)
	}
	if held.Part != m.Part || !sameOctets(held, m) {
		t.Fatalf("part %+v: another is held: %+v", m.Part, held)
	}
	return whole
}

// refuse adds a part that is not taken.
func refuse(t *testing.T, r *Reassembler, m *sms.Message, want error) {
	t.Helper()
	if whole, held, err := r.Add(m); whole != nil || held != nil || !errors.Is(err, want) {
		t.Fatalf("part %+v: %+v, %+v, %v; want the error %v", m.Part, whole, held, err, want)
	}
}

// forget ends a message as one whose fate is known.
func forget(r *Reassembler, whole *sms.Message, fate sms.Fate) []sms.ID {
	ids, _ := r.End(whole, sms.Outcome{Fate: fate, Severity: sms.Permanent})
	return ids
}

// temporary is the outcome after which a peer sends a message again.
var temporary = sms.Outcome{Fate: sms.NotSent, Severity: sms.Temporary}

func TestReassembler(t *testing.T) {
	r := NewReassembler(Limits{})
	one, two, three := part(7, 3, 1, "one "), part(7, 3, 2, "two "), part(7, 3, 3, "three")
	one.TLVs = []sms.TLV{{Tag: 0x1400, Value: []byte{1}}}
	one.Received, two.Received, three.Received = start.Add(time.Second), start, start.Add(2*time.Second)
	two.Receipt = sms.ReceiptFinal
	add(t, r, two, "", false)
	add(t, r, three, "", false)
	repeated := part(7, 3, 2, "two ")
	repeated.ID = sms.ID{9}
	if _, held, _ := r.Add(repeated); held != two {
		t.Errorf("a repetition: %+v is held, and not the first", held)
	}
	whole := add(t, r, one, "one two three", false)
	if !whole.ID.IsZero() || whole.Part.IsSet() || whole.Segments != 3 || whole.Incomplete || !whole.Received.Equal(start) ||
		whole.Data != nil || len(whole.TLVs) != 1 || whole.Receipt != sms.ReceiptFinal || whole.From != one.From || whole.Ingress != one.Ingress {
		t.Errorf("assembled: %+v", whole)
	}
	// The delivery failed: the peer sends the last part again, which has an ID of its own now, or another.
	again := whole
	for i := range 5 {
		if parts, joined := r.End(again, temporary); parts != nil || joined != nil {
			t.Errorf("%v, %d", parts, len(joined))
		}
		before := again
		if i%2 == 0 {
			one = part(7, 3, 1, "one ")
			one.ID = sms.ID{8, byte(i)}
			again = add(t, r, one, "one two three", false)
		} else {
			again = add(t, r, part(7, 3, 3, "three"), "one two three", true)
		}
		if again == before {
			t.Error("a message that others saw is given again, not another like it")
		}
	}
	if r.Len() != 1 || len(r.given) != 1 {
		t.Errorf("%d messages held, %d under way", r.Len(), len(r.given))
	}
	if ids := forget(r, again, sms.Accepted); !slices.Equal(ids, []sms.ID{one.ID, two.ID, three.ID}) {
		t.Errorf("forgot %v", ids)
	}
	if ids := forget(r, again, sms.Accepted); ids != nil || r.Len() != 0 || r.octets != 0 || len(r.given) != 0 || len(r.byKey) != 0 {
		t.Errorf("not forgotten: %v, %+v", ids, r)
	}
	// After that the same reference is a new message.
	add(t, r, part(7, 3, 1, "another "), "", false)
}

func TestReassemblerInterleaved(t *testing.T) {
	r := NewReassembler(Limits{})
	variants := []func(m *sms.Message){
		func(m *sms.Message) {},
		func(m *sms.Message) { m.Part.Ref = 8 },
		func(m *sms.Message) { m.Part.Wide = true },
		func(m *sms.Message) { m.Part.Total = 3 },
		func(m *sms.Message) { m.From = sms.ParseAddress("+1") },
		func(m *sms.Message) { m.To = sms.ParseAddress("+1") },
		func(m *sms.Message) { m.To.TON = sms.TONNational },
		func(m *sms.Message) { m.Ingress = sms.Connection("other") },
		func(m *sms.Message) { m.Ingress = sms.Account("acme") },
	}
	for seq := uint8(1); seq <= 3; seq++ {
		for i, change := range variants {
			m := part(7, 2, seq, fmt.Sprintf("%d:%d ", i, seq))
			change(m)
			want := ""
			switch {
			case seq > m.Part.Total:
				continue
			case seq == 2 && m.Part.Total == 2:
				want = fmt.Sprintf("%d:1 %d:2 ", i, i)
			case seq == 3:
				want = fmt.Sprintf("%d:1 %d:2 %d:3 ", i, i, i)
			}
			add(t, r, m, want, false)
		}
	}
}

// TestReassemblerAnyOrder gives parts in any order, some twice, over the alphabets, with characters divided between them.
func TestReassemblerAnyOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		const text = "a€b😀c"
		m := sms.Message{Text: strings.Repeat(text, 1+rnd.IntN(20)), Alphabet: sms.AlphabetUCS2}
		octets := appendIn(nil, m.Text, sms.AlphabetUCS2)
		if rnd.IntN(2) == 0 {
			m.Text, m.Alphabet = strings.ReplaceAll(m.Text, "😀", "^"), sms.AlphabetGSM7
			octets = appendIn(nil, m.Text, sms.AlphabetGSM7)
		}
		total := min(1+rnd.IntN(9), len(octets))
		parts := make([]*sms.Message, total)
		for i := range parts {
			parts[i] = part(1, uint8(total), uint8(i+1), string(octets[len(octets)*i/total:len(octets)*(i+1)/total]))
			parts[i].Alphabet = m.Alphabet
		}
		r := NewReassembler(Limits{})
		order := append(rnd.Perm(total), rnd.IntN(total))
		var whole *sms.Message
		for n, i := range order {
			w, held, err := r.Add(parts[i])
			if err != nil || held != parts[i] || (w != nil) != (n >= total-1) {
				t.Fatalf("part %d of %d: %v, %v, %v", n+1, total, w, held, err)
			}
			if whole = w; w != nil {
				r.End(w, temporary)
			}
		}
		if whole.Text != m.Text || whole.Alphabet != m.Alphabet || whole.Segments != total {
			t.Fatalf("got %+v\nwant %q", whole, m.Text)
		}
	}
}

func TestReassemblerReusedReference(t *testing.T) {
	r := NewReassembler(Limits{})
	add(t, r, part(7, 2, 1, "old 1 "), "", false)
	add(t, r, part(7, 2, 1, "new 1 "), "", false)
	if r.Len() != 2 {
		t.Fatalf("%d messages held", r.Len())
	}
	expired := r.Expired(start) // the old one, at once
	if len(expired) != 1 || expired[0].Text != "old 1 " || !expired[0].Incomplete {
		t.Fatalf("expired: %+v", expired)
	}
	complete := add(t, r, part(7, 2, 2, "new 2"), "new 1 new 2", false)
	forget(r, expired[0], sms.Accepted) // does not touch the new one
	// A third message begins before the second, complete, is forgotten; that does not touch the third.
	add(t, r, part(7, 2, 2, "third 2"), "", false)
	if got := r.Expired(start); got != nil {
		t.Fatalf("a complete message that was just given expired: %+v", got)
	}
	if ids := forget(r, complete, sms.Accepted); len(ids) != 2 {
		t.Fatalf("forgot %v", ids)
	}
	add(t, r, part(7, 2, 1, "third 1 "), "third 1 third 2", false)
}

func TestReassemblerExpired(t *testing.T) {
	r := NewReassembler(Limits{Age: time.Minute})
	add(t, r, part(1, 3, 3, " three"), "", false)
	late := part(1, 3, 1, "one")
	late.Received = start.Add(30 * time.Second) // each part gives the next an Age
	add(t, r, late, "", false)
	second := part(2, 2, 1, "x")
	second.Received = start.Add(10 * time.Second)
	add(t, r, second, "", false)
	for at, want := range map[time.Duration]int{0: 0, 69 * time.Second: 0} {
		if got := r.Expired(start.Add(at)); len(got) != want {
			t.Fatalf("after %v: %+v", at, got)
		}
	}
	if got := r.Expired(start.Add(70 * time.Second)); len(got) != 1 || got[0].Text != "x" || forget(r, got[0], sms.Accepted) == nil {
		t.Fatalf("after 70 s: %+v", got)
	}
	got := r.Expired(start.Add(90 * time.Second))
	if len(got) != 1 || got[0].Text != "one three" || !got[0].Incomplete || got[0].Segments != 2 || !got[0].Received.Equal(start) {
		t.Fatalf("after 90 s: %+v", got)
	}
	// It is given again until it is forgotten, not while it is under way, and a late part does not go in.
	add(t, r, part(1, 3, 2, "two"), "", false)
	if again := r.Expired(start.Add(200 * time.Second)); len(again) != 1 || again[0].Text != "two" {
		t.Fatalf("while it is under way: %+v", again)
	} else {
		r.End(again[0], temporary)
	}
	r.End(got[0], temporary)
	again := r.Expired(start.Add(270 * time.Second))
	if len(again) != 2 || again[0].Text != "one three" || again[1].Text != "two" {
		t.Fatalf("after 270 s: %+v", again)
	}
	for _, m := range again {
		forget(r, m, sms.Accepted)
	}
	// So is a complete one.
	add(t, r, part(5, 2, 1, "a"), "", false)
	whole := add(t, r, part(5, 2, 2, "b"), "ab", false)
	if got := r.Expired(start.Add(time.Minute)); got != nil {
		t.Fatalf("while it is under way: %+v", got)
	}
	r.End(whole, temporary)
	if got = r.Expired(start.Add(2 * time.Minute)); len(got) != 1 || got[0].Text != "ab" || got[0].Incomplete {
		t.Fatalf("complete: %+v", got)
	}
	if ids := forget(r, got[0], sms.Accepted); len(ids) != 2 {
		t.Errorf("forgot %v", ids)
	}
	if r.Len() != 0 || r.Expired(start.AddDate(1, 0, 0)) != nil {
		t.Error("something is left")
	}
}

func TestReassemblerLimits(t *testing.T) {
	r := NewReassembler(Limits{Messages: 2, Octets: 3*512 + 10})
	full := func(m *sms.Message) {
		t.Helper()
		refuse(t, r, m, ErrReassemblyFull)
	}
	add(t, r, part(1, 2, 1, "12345"), "", false)
	add(t, r, part(2, 2, 1, "123"), "", false)
	full(part(3, 2, 1, ""))    // a third message
	full(part(1, 2, 1, "x"))   // the same, by its reference reused
	full(part(2, 2, 2, "123")) // an octet too many
	tlvs := part(2, 2, 2, "")  // the same
	tlvs.UDH = []byte{0x70, 0}
	tlvs.TLVs = []sms.TLV{{Value: []byte{1}}}
	full(tlvs)
	add(t, r, part(2, 2, 1, "123"), "", true)
	whole := add(t, r, part(2, 2, 2, "12"), "12312", false)
	forget(r, whole, sms.Accepted)
	add(t, r, part(3, 2, 1, "1"), "", false)
	add(t, r, part(3, 2, 2, ""), "1", false)
	full(part(1, 2, 2, "")) // a fourth part
	if got := r.Restore([]*sms.Message{part(4, 2, 1, "beyond the "), {}, part(4, 2, 1, "beyond the "), part(4, 2, 2, "limits")}); len(got) != 1 || got[0].Text != "beyond the limits" {
		t.Fatalf("restored %+v", got)
	}
	for _, p := range []sms.Part{{}, {Total: 2}, {Total: 2, Seq: 3}} {
		m := part(9, 2, 1, "")
		m.Part = p
		refuse(t, r, m, ErrPart)
	}
}

func TestAssemble(t *testing.T) {
	as := func(a sms.Alphabet, m *sms.Message) *sms.Message { m.Alphabet = a; return m }
	udh := func(h []byte, m *sms.Message) *sms.Message { m.UDH = h; return m }
	text := func(s string, m *sms.Message) *sms.Message { m.Text, m.Data = s, nil; return m }
	coding := func(dc uint8, m *sms.Message) *sms.Message { m.DataCoding, m.HasDataCoding = dc, true; return m }
	for _, tt := range []struct {
		name      string
		parts     []*sms.Message
		wantText  string
		wantData  string
		wantUDH   string
		wantAlpha sms.Alphabet
	}{
		{"escape parted from its character", []*sms.Message{part(1, 2, 1, "a\x1b"), part(1, 2, 2, "\x65b")}, "a€b", "", "", sms.AlphabetGSM7},
		{"surrogates parted", []*sms.Message{as(sms.AlphabetUCS2, part(1, 2, 1, "\xd8\x3d")), as(sms.AlphabetUCS2, part(1, 2, 2, "\xde\x00"))}, "😀", "", "", sms.AlphabetUCS2},
		{"an octet parted from its pair", []*sms.Message{as(sms.AlphabetUCS2, part(1, 2, 1, "\x04")), as(sms.AlphabetUCS2, part(1, 2, 2, "\x2f"))}, "Я", "", "", sms.AlphabetUCS2},
		{"not joined over a part that never came", []*sms.Message{as(sms.AlphabetUCS2, part(1, 3, 1, "\xd8\x3d")), as(sms.AlphabetUCS2, part(1, 3, 3, "\xde\x00"))}, "\ufffd\ufffd", "", "", sms.AlphabetUCS2},
		{"each part in its own alphabet", []*sms.Message{part(1, 2, 1, "\x00"), as(sms.AlphabetUCS2, part(1, 2, 2, "\x04\x2f"))}, "@Я", "", "", sms.AlphabetGSM7},
		{"each part in its own character set", []*sms.Message{coding(6, as(sms.AlphabetOther, part(1, 2, 1, "\xcf"))), coding(7, as(sms.AlphabetOther, part(1, 2, 2, "\xe0")))}, "Яא", "", "", sms.AlphabetOther},
		{"a character set that there is not", []*sms.Message{as(sms.AlphabetOther, part(1, 2, 1, "a\xcf")), as(sms.AlphabetOther, part(1, 2, 2, "b"))}, "a\ufffdb", "", "", sms.AlphabetOther},
		{"Turkish, ports kept", []*sms.Message{udh([]byte{0x24, 1, 1, 0x70, 1, 9}, part(1, 2, 1, "\x1b")), udh([]byte{0x24, 1, 1}, part(1, 2, 2, "\x67"))}, "ğ", "", "\x70\x01\x09", sms.AlphabetGSM7},
		{"parts that are text", []*sms.Message{text("Hello ", part(1, 2, 1, "")), text("Я", part(1, 2, 2, ""))}, "Hello Я", "", "", sms.AlphabetGSM7},
		{"binary", []*sms.Message{udh([]byte{0x24, 1, 1}, as(sms.AlphabetBinary, part(1, 2, 1, "\x00\x1b"))), as(sms.AlphabetBinary, part(1, 2, 2, "\xff"))}, "", "\x00\x1b\xff", "\x24\x01\x01", sms.AlphabetBinary},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := assemble(tt.parts, int(tt.parts[0].Part.Total))
			if got.Text != tt.wantText || string(got.Data) != tt.wantData || string(got.UDH) != tt.wantUDH || got.Alphabet != tt.wantAlpha {
				t.Errorf("%q %x %x %v", got.Text, got.Data, got.UDH, got.Alphabet)
			}
		})
	}
}

// A repetition of a part while its message is under way does not send the message twice: it hears what the first hears.
func TestReassemblerUnderWay(t *testing.T) {
	r := NewReassembler(Limits{})
	var told []sms.Outcome
	join := func(m *sms.Message, want *sms.Message) {
		t.Helper()
		whole, held, err := r.Add(m)
		if !errors.Is(err, ErrUnderWay) || whole != want || held.ID != (sms.ID{7, m.Part.Seq, 1}) {
			t.Fatalf("%+v, %+v, %v", whole, held, err)
		}
		if !r.Join(whole, func(o sms.Outcome) { told = append(told, o) }) {
			t.Fatal("it is not under way")
		}
	}
	again := func(seq uint8, s string) *sms.Message {
		m := part(7, 2, seq, s)
		m.ID = sms.ID{99}
		return m
	}
	add(t, r, part(7, 2, 1, "a"), "", false)
	whole := add(t, r, part(7, 2, 2, "b"), "ab", false)
	join(again(2, "b"), whole)
	join(again(1, "a"), whole)
	_, joined := r.End(whole, temporary)
	for _, f := range joined {
		f(temporary)
	}
	if len(told) != 2 || told[0].Severity != sms.Temporary || told[1].Severity != sms.Temporary {
		t.Errorf("%+v", told)
	}
	if r.Join(whole, func(sms.Outcome) { t.Error("told") }) {
		t.Error("what has ended is joined")
	}
	whole = add(t, r, part(7, 2, 2, "b"), "ab", false)
	join(again(2, "b"), whole)
	ids, joined := r.End(whole, sms.Outcome{Fate: sms.Accepted})
	if len(ids) != 2 || len(joined) != 1 {
		t.Errorf("%v, %d", ids, len(joined))
	}
	refuse(t, r, again(2, "b"), ErrForgotten)
}

func TestReassemblerConcurrently(t *testing.T) {
	r := NewReassembler(Limits{})
	const senders, total = 8, 5
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for ref := range uint16(50) {
				for seq := uint8(1); seq <= total; seq++ {
					m := part(ref, total, seq, "x")
					m.From.Value = fmt.Sprint(i)
					whole, held, err := r.Add(m)
					if held != m || err != nil || (whole != nil) != (seq == total) {
						t.Errorf("sender %d, part %d: %v, %v, %v", i, seq, whole, held, err)
					}
					if whole != nil && len(forget(r, whole, sms.Accepted)) != total {
						t.Error("not forgotten")
					}
				}
				r.Expired(start)
			}
		})
	}
	wg.Wait()
	if r.Len() != 0 {
		t.Errorf("%d messages left", r.Len())
	}
}

func BenchmarkReassemblerAdd(b *testing.B) {
	b.ReportAllocs()
	r := NewReassembler(Limits{})
	parts := [3]*sms.Message{}
	for i := range parts {
		parts[i] = part(1, 3, uint8(i+1), strings.Repeat("a", 153))
	}
	n := 0
	for b.Loop() {
		m := parts[n%3]
		binary.BigEndian.PutUint64(m.Data, uint64(n)) // of a message that was forgotten: nobody holds it any more
		whole, _, err := r.Add(m)
		if err != nil {
			b.Fatal(err)
		}
		if n++; whole != nil {
			forget(r, whole, sms.Accepted)
		}
	}
}
