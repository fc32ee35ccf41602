package gatewaytest

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"
)

// messageStates are the values of message_state for the words in a receipt's text (SMPP 3.4, 5.2.28 and appendix B).
var messageStates = map[string]byte{
	"ENROUTE": 1, "DELIVRD": 2, "EXPIRED": 3, "DELETED": 4, "UNDELIV": 5, "ACCEPTD": 6, "UNKNOWN": 7, "REJECTD": 8,
}

// distribution draws a word, each as often as its weight says.
type distribution struct {
	words []string
	upTo  []float64
}

// parseDistribution reads `DELIVRD` or `DELIVRD=95,UNDELIV=5`; the empty text is DELIVRD.
func parseDistribution(s string) (d distribution, err error) {
	if s == "" {
		s = "DELIVRD"
	}
	sum := 0.0
	for entry := range strings.SplitSeq(s, ",") {
		word, number, weighted := strings.Cut(strings.TrimSpace(entry), "=")
		weight := 1.0
		if weighted {
			weight, err = strconv.ParseFloat(number, 64)
		}
		if err != nil || word == "" || !(weight >= 0) {
			return d, fmt.Errorf("receipt state %q: want STATE=WEIGHT, as in DELIVRD=95,UNDELIV=5", entry)
		}
		sum += weight
		d.words, d.upTo = append(d.words, word), append(d.upTo, sum)
	}
	if sum == 0 {
		return d, fmt.Errorf("receipt states %q: one of the weights must be above 0", s)
	}
	return d, nil
}

func (d distribution) draw(dice *rand.Rand) string {
	at := dice.Float64() * d.upTo[len(d.upTo)-1]
	for i, limit := range d.upTo {
		if at < limit {
			return d.words[i]
		}
	}
	return d.words[len(d.words)-1]
}

// receiptWanted says whether a state must be told for a registered_delivery (SMPP 3.4, 5.2.17; 3 is that of 5.0).
func receiptWanted(registered byte, stat string) bool {
	switch registered & 0x03 {
	case 1:
		return true
	case 2:
		return stat != "DELIVRD"
	case 3:
		return stat == "DELIVRD"
	}
	return false
}

// receipt makes the deliver_sm that tells the state of a message to its sender (SMPP 3.4, appendix B).
func (s *SMSC) receipt(in *Submit, stat string, esmClass byte) *delivery {
	id := in.MessageID
	if s.cfg.ReceiptID != nil {
		id = s.cfg.ReceiptID(id)
	}
	d := &delivery{id: id, stat: stat, out: Outgoing{
		From: in.To, FromTON: in.ToTON, FromNPI: in.ToNPI, To: in.From, ToTON: in.FromTON, ToNPI: in.FromNPI,
		ServiceType: in.ServiceType, ESMClass: esmClass,
	}}
	if !s.cfg.ReceiptNoText {
		dlvrd, fault := "000", "001"
		switch stat {
		case "DELIVRD":
			dlvrd, fault = "001", "000"
		case "ENROUTE", "ACCEPTD":
			fault = "000"
		}
		const date = "0601021504"
		b := make([]byte, 0, 160)
		b = append(append(b, "id:"...), id...)
		b = append(append(b, " sub:001 dlvrd:"...), dlvrd...)
		b = in.At.UTC().AppendFormat(append(b, " submit date:"...), date)
		b = time.Now().UTC().AppendFormat(append(b, " done date:"...), date)
		b = append(append(b, " stat:"...), stat...)
		b = append(append(b, " err:"...), fault...)
		b = append(b, " text:"...)
		if octets := in.Octets(); in.DataCoding == 0 {
			b = append(b, octets[:min(len(octets), 20)]...)
		}
		d.out.ShortMessage = b
	}
	if !s.cfg.ReceiptNoTLVs {
		d.out.TLVs = []TLV{{TagReceiptedMessageID, append([]byte(id), 0)}}
		if state := messageStates[stat]; state != 0 {
			d.out.TLVs = append(d.out.TLVs, TLV{TagMessageState, []byte{state}})
		}
	}
	return d
}

// sendReceipt queues the receipt for a message after a while.
func (s *SMSC) sendReceipt(in *Submit, stat string, times int, after time.Duration) {
	send := func() {
		for range times {
			s.queueReceipt(in, stat, 0x04)
		}
	}
	if after > 0 {
		s.schedule.after(after, send)
		return
	}
	send()
}

// queueReceipt queues a receipt, or counts it as lost.
func (s *SMSC) queueReceipt(in *Submit, stat string, esmClass byte) {
	d := s.receipt(in, stat, esmClass)
	if err := s.enqueue(in.Bind.SystemID, d); err != nil {
		d.finish(s, in.Bind, 0, err)
	}
}

// gather makes one answer of n: the first command_status that is not 0, or the first error.
func gather(n int, done func(status uint32, err error)) func(uint32, error) {
	var (
		mu    sync.Mutex
		worst uint32
		first error
	)
	return func(status uint32, err error) {
		mu.Lock()
		if worst == 0 {
			worst = status
		}
		if first == nil {
			first = err
		}
		n--
		last := n == 0
		mu.Unlock()
		if last {
			done(worst, first)
		}
	}
}
