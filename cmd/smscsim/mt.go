package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
)

// batchSize is the most datagrams of one system call.
const batchSize = 64

// socketBuffer is asked for both ways, so that the kernel drops nothing between two reads.
const socketBuffer = 4 << 20

// mt sends MESSAGE requests to the gateway; the SMSC counts.
type mt struct {
	*flow
	conn    *net.UDPConn
	gateway net.Addr // of many senders; nil: the socket is connected
	batch   *ipv4.PacketConn
	running sync.WaitGroup
	done    chan struct{}
}

func (m *mt) listen() (string, error) { return "", nil }

func (m *mt) connect(ctx context.Context) error {
	if m.senders > 0 {
		return m.connectMany()
	}
	conn, err := new(net.Dialer).DialContext(ctx, "udp", m.sip)
	if err != nil {
		return err
	}
	m.conn = conn.(*net.UDPConn)
	m.start()
	return nil
}

// connectMany opens one socket for all senders: it takes what is sent to any address at its port, and each datagram names the address
// that it is sent from.
func (m *mt) connectMany() error {
	to, err := net.ResolveUDPAddr("udp4", m.sip)
	if err != nil {
		return err
	}
	if m.conn, err = net.ListenUDP("udp4", nil); err != nil {
		return err
	}
	m.gateway = to
	m.start()
	return nil
}

func (m *mt) start() {
	_ = m.conn.SetReadBuffer(socketBuffer)  // the kernel gives what it allows
	_ = m.conn.SetWriteBuffer(socketBuffer) // likewise
	m.batch, m.done = ipv4.NewPacketConn(m.conn), make(chan struct{})
	m.running.Go(m.read)
	m.running.Go(m.watch)
}

func (m *mt) stop() {
	if m.conn == nil {
		return
	}
	close(m.done)
	m.conn.Close()
	m.running.Wait()
}

// template is a MESSAGE and where its number stands in it.
type template struct {
	datagram []byte
	numbers  []int
	to       []int // where the last digits of the recipient's number stand
	from     int   // where the sender's number stands, of many; 0: there is one
}

// request makes the template: a request like that of a proxy (RFC 3428, 4), of fixed length.
func (m *mt) request() template {
	const zero = "0000000000"
	local, from := m.conn.LocalAddr().String(), m.from
	if m.senders > 0 {
		local, from = fmt.Sprintf("127.0.0.1:%d", m.conn.LocalAddr().(*net.UDPAddr).Port), "+88"+zero
	}
	text := markText(m.name, 0, m.length)
	t := template{datagram: fmt.Appendf(nil, "MESSAGE sip:%s@%s SIP/2.0\r\n"+
		"Via: SIP/2.0/UDP %s;branch=z9hG4bK%s%s;rport\r\n"+
		"Max-Forwards: 70\r\n"+
		"From: <sip:%s@%s>;tag=%s%s\r\n"+
		"To: <sip:%s@%s>\r\n"+
		"Call-ID: %s%s@%s\r\n"+
		"CSeq: 1 MESSAGE\r\n"+
		"Content-Type: text/plain\r\n"+
		"Content-Length: %d\r\n\r\n%s",
		m.to, m.sip, local, m.name, zero, from, local, m.name, zero, m.to, m.sip, m.name, zero, local, len(text), text)}
	for _, before := range []string{m.name, textMark + m.name + " "} {
		for at := 0; ; {
			i := bytes.Index(t.datagram[at:], []byte(before+zero))
			if i < 0 {
				break
			}
			at += i + len(before)
			t.numbers = append(t.numbers, at)
		}
	}
	if number := strings.TrimRight(m.to, "0123456789"); len(m.to)-len(number) > recipientDigits {
		for at := 0; ; {
			i := bytes.Index(t.datagram[at:], []byte("sip:"+m.to+"@"))
			if i < 0 {
				break
			}
			at += i + len("sip:"+m.to) - recipientDigits
			t.to = append(t.to, at)
		}
	}
	if m.senders > 0 {
		t.from = bytes.Index(t.datagram, []byte(from)) + len("+88")
	}
	return t
}

// fill writes the request for message n over b, a copy of the template.
func (t *template) fill(b []byte, n int) {
	for _, at := range t.numbers {
		putNumber(b[at:at+numberWidth], n)
	}
	for _, at := range t.to {
		putNumber(b[at:at+recipientDigits], n%10_000)
	}
}

// recipientDigits is how many of its last digits tell one recipient of a load from another: a load has ten thousand, since messages to
// one go one after the other once one of them has to wait.
const recipientDigits = 4

func (m *mt) send(ctx context.Context) error {
	t := m.request()
	messages := make([]ipv4.Message, batchSize)
	for i := range messages {
		messages[i].Buffers = [][]byte{bytes.Clone(t.datagram)}
	}
	gathered := 0
	flush := func() error {
		for from := 0; from < gathered; {
			n, err := m.batch.WriteBatch(messages[from:gathered], 0)
			if err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
				return err
			}
			// The gateway's port was closed when an earlier datagram came: this one will show as unanswered.
			from += max(n, 1)
		}
		gathered = 0
		return nil
	}
	var sources [][]byte // control messages, by sender
	for i := range m.senders {
		ip, _ := senderOf(i)
		sources = append(sources, (&ipv4.ControlMessage{Src: ip}).Marshal())
	}
	return m.sendAll(ctx, func(n int, _ *entry) error {
		t.fill(messages[gathered].Buffers[0], n)
		if m.senders > 0 {
			i := n % m.senders
			_, number := senderOf(i)
			copy(messages[gathered].Buffers[0][t.from:], number)
			messages[gathered].OOB, messages[gathered].Addr = sources[i], m.gateway
		}
		if gathered++; gathered == batchSize {
			return flush()
		}
		return nil
	}, flush)
}

// read takes the answers.
func (m *mt) read() {
	messages := readBatch()
	branch := []byte("z9hG4bK" + m.name)
	for {
		n, err := m.batch.ReadBatch(messages, 0)
		if err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		for i := range max(n, 0) {
			b := messages[i].Buffers[0][:messages[i].N]
			if status, number, ok := readResponse(b, branch); ok && status >= 200 {
				if e := m.ledger.get(number); e != nil {
					m.settle(e, status, status < 300)
				}
			}
		}
	}
}

func readBatch() []ipv4.Message {
	messages := make([]ipv4.Message, batchSize)
	for i := range messages {
		messages[i].Buffers = [][]byte{make([]byte, 4096)}
	}
	return messages
}

// readResponse gives the status of a response and the number in its branch.
func readResponse(b, branch []byte) (status uint32, number int, ok bool) {
	const version = "SIP/2.0 "
	if len(b) < len(version)+3 || string(b[:len(version)]) != version {
		return 0, 0, false
	}
	code, ok := readNumber(b[len(version) : len(version)+3])
	at := bytes.Index(b, branch)
	if !ok || at < 0 || len(b) < at+len(branch)+numberWidth {
		return 0, 0, false
	}
	number, ok = readNumber(b[at+len(branch) : at+len(branch)+numberWidth])
	return uint32(code), number, ok
}

// The timers of a client's transaction over UDP (RFC 3261, 17.1.2.2).
const (
	timerT1 = 500 * time.Millisecond
	timerT2 = 4 * time.Second
)

// watch gives up what is not answered in time, and sends again before that where it is asked to.
func (m *mt) watch() {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	t := m.request()
	again := bytes.Clone(t.datagram)
	for oldest := 0; ; {
		select {
		case <-m.done:
			return
		case <-tick.C:
		}
		now := m.now()
		moved := true
		for n := oldest; ; n++ {
			e := m.ledger.get(n)
			if e == nil {
				break
			}
			if e.state.Load() != stateWaiting {
				if moved {
					oldest = n + 1
				}
				continue
			}
			moved = false
			age := now - time.Duration(e.sent.Load())
			if age < timerT1 && age < m.timeout {
				break // those after it are younger
			}
			switch {
			case age >= m.timeout:
				m.giveUp(e)
			case m.retransmit && age >= resendAt(e.tries):
				e.tries++
				t.fill(again, n)
				m.sentAgain.Add(1)
				if m.gateway == nil {
					_, _ = m.conn.Write(again) // what is lost is sent again
				} else {
					_, _ = m.conn.WriteTo(again, m.gateway) // likewise
				}
			}
		}
	}
}

// resendAt is the age at which a request is sent for the time after tries: after T1, then twice as long each, at most T2.
func resendAt(tries int32) (age time.Duration) {
	step := timerT1
	for range tries {
		age += step
		step = min(2*step, timerT2)
	}
	return age + step
}
