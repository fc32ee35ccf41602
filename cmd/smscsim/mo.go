package main

import (
	"bytes"
	"context"
	"errors"
	"hash/fnv"
	"net"
	"strconv"
	"sync"

	"golang.org/x/net/ipv4"

	"sipsmpp/gateway/gatewaytest"
)

// mo lets the SMSC send deliver_sm; a SIP sink counts.
type mo struct {
	*flow
	smsc    *gatewaytest.SMSC
	conn    *net.UDPConn
	batch   *ipv4.PacketConn
	running sync.WaitGroup
}

func (m *mo) listen() (string, error) {
	addr, err := net.ResolveUDPAddr("udp", m.sink)
	if err != nil {
		return "", err
	}
	if m.conn, err = net.ListenUDP("udp", addr); err != nil {
		return "", err
	}
	_ = m.conn.SetReadBuffer(socketBuffer)  // the kernel gives what it allows
	_ = m.conn.SetWriteBuffer(socketBuffer) // likewise
	m.batch = ipv4.NewPacketConn(m.conn)
	m.running.Go(m.read)
	return m.conn.LocalAddr().String(), nil
}

func (m *mo) connect(context.Context) error { return nil }

func (m *mo) stop() {
	if m.conn == nil {
		return
	}
	m.conn.Close()
	m.running.Wait()
}

func (m *mo) send(ctx context.Context) error { return m.deliver(ctx, m.smsc) }

// deliver sends the messages of a flow as deliver_sm.
func (l *flow) deliver(ctx context.Context, smsc *gatewaytest.SMSC) error {
	return l.sendAll(ctx, func(n int, e *entry) error {
		d := gatewaytest.Deliver{From: l.from, To: l.to, Text: markText(l.name, n, l.length)}
		return smsc.Send(d, func(status uint32, err error) {
			if err != nil {
				l.giveUp(e)
				return
			}
			l.settle(e, status, status == gatewaytest.StatusOK)
		})
	}, func() error { return nil })
}

// read is the sink: it answers every request, and counts the messages.
func (m *mo) read() {
	requests, answers := readBatch(), make([]ipv4.Message, batchSize)
	for i := range answers {
		answers[i].Buffers = [][]byte{nil}
	}
	for {
		n, err := m.batch.ReadBatch(requests, 0)
		if err != nil {
			return
		}
		answered := 0
		for i := range max(n, 0) {
			b := requests[i].Buffers[0][:requests[i].N]
			source, _ := requests[i].Addr.(*net.UDPAddr)
			answer := &answers[answered]
			to, ok := respond(answer.Buffers[0][:0], b, m.sinkStatus, source)
			if !ok {
				continue
			}
			answer.Buffers[0], answer.Addr = to, source
			answered++
			if bytes.HasPrefix(b, []byte("MESSAGE ")) {
				_, body, _ := bytes.Cut(b, []byte("\r\n\r\n"))
				m.arrive(body, transaction(b))
			}
		}
		for from := 0; from < answered; {
			n, err := m.batch.WriteBatch(answers[from:answered], 0)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			from += max(n, 1) // what cannot be sent is lost, as it may be on the way
		}
	}
}

// transaction is a number for the branch of a request, not 0: a retransmission has the same.
func transaction(b []byte) uint32 {
	_, rest, _ := bytes.Cut(b, []byte("branch="))
	end := bytes.IndexAny(rest, ";,\r\n ")
	h := fnv.New32a()
	_, _ = h.Write(rest[:max(end, 0)]) // a hash takes everything
	return h.Sum32() | 1
}

// respond appends the response to a request (RFC 3261, 8.2.6): false where there is none to give. OPTIONS is always answered
// with 200, so that a gateway that probes its next hop is content.
func respond(out, request []byte, status int, source *net.UDPAddr) ([]byte, bool) {
	line, rest, ok := bytes.Cut(request, []byte("\r\n"))
	if !ok || source == nil || !bytes.HasSuffix(line, []byte(" SIP/2.0")) || bytes.HasPrefix(line, []byte("ACK ")) {
		return nil, false
	}
	if bytes.HasPrefix(line, []byte("OPTIONS ")) {
		status = 200
	}
	out = append(strconv.AppendInt(append(out, "SIP/2.0 "...), int64(status), 10), " Counted\r\n"...)
	for top := true; len(rest) > 0; {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		if len(line) == 0 {
			break
		}
		switch {
		case isHeader(line, "via", "v"):
			before, after, asked := bytes.Cut(line, []byte(";rport"))
			if top && asked && !bytes.HasPrefix(after, []byte("=")) { // RFC 3581, 4
				out = strconv.AppendInt(append(append(out, before...), ";rport="...), int64(source.Port), 10)
				out = source.AddrPort().Addr().Unmap().AppendTo(append(out, ";received="...))
				line = after
			}
			top = false
			out = append(append(out, line...), "\r\n"...)
		case isHeader(line, "to", "t"):
			out = append(out, line...)
			if !bytes.Contains(line, []byte(";tag=")) {
				out = append(out, ";tag=smscsim"...)
			}
			out = append(out, "\r\n"...)
		case isHeader(line, "from", "f"), isHeader(line, "call-id", "i"), isHeader(line, "cseq", ""):
			out = append(append(out, line...), "\r\n"...)
		}
	}
	return append(out, "Content-Length: 0\r\n\r\n"...), true
}

// isHeader says that a line is that header field, by its name or its compact form (RFC 3261, 7.3.3), both in lower case.
func isHeader(line []byte, name, compact string) bool {
	i := bytes.IndexByte(line, ':')
	if i < 0 {
		return false
	}
	is := bytes.TrimRight(line[:i], " \t")
	if len(is) != len(name) && len(is) != len(compact) {
		return false
	}
	for i, c := range is {
		if c |= 0x20; len(is) == len(name) && c != name[i]|0x20 || len(is) != len(name) && c != compact[i] {
			return false
		}
	}
	return true
}
