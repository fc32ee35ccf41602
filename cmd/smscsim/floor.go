package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/spf13/cobra"
	"golang.org/x/net/ipv4"
)

// floorReady begins the line by which the floor says that it is ready; the address of its SIP side follows.
const floorReady = "ready "

// floorFlags are those of the process that stands in for the gateway.
type floorFlags struct {
	smsc, peer, sink string
	receipts         bool
	account          bool
}

// floorCommand is what `load --floor` starts. It is of no use by itself.
func floorCommand(stdin io.Reader) *cobra.Command {
	var f floorFlags
	c := &cobra.Command{
		Use:    "floor",
		Short:  "Do a gateway's bare input and output, as load --floor wants it; until standard input ends",
		Hidden: true,
		Args:   noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return failed(runFloor(c.Context(), f, stdin, c.OutOrStdout()))
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.smsc, "smsc", "127.0.0.1:2776", "host:port of the SMSC")
	fl.StringVar(&f.peer, "peer", "", "host:port of the SMSC whose deliver_sm go to the first")
	fl.StringVar(&f.sink, "sip-sink", "", "host:port that gets the MESSAGE requests")
	fl.BoolVar(&f.receipts, "receipts", false, "ask for receipts")
	fl.BoolVar(&f.account, "account", false, "listen for an ESME whose submit_sm go to the SMSC")
	return c
}

// floor does what every gateway must, and nothing else: a datagram in, one look at it, a PDU out; the PDU of the answer in, the
// datagram of the answer out; and the other way. What one system call brought leaves in one. It keeps no message, repeats
// nothing, checks nothing and routes nothing, so that no gateway costs less here.
type floor struct {
	floorFlags
	batch *ipv4.PacketConn
	local string
	sink  *net.UDPAddr
	smsc  *floorLink
	peer  *floorLink // where submit_sm come from that came by SMPP; nil without, and until the ESME is there
	tag   string     // of our branches

	sequence atomic.Uint32
	waiting  [floorSlots]floorSlot // submit_sm without an answer, by sequence_number
}

// floorSlots is more than any window.
const floorSlots = 1 << 14

// floorSlot is what is known of a submit_sm: the answer that goes to SIP, or the number of the deliver_sm that it came by.
type floorSlot struct {
	taken  atomic.Bool // by who sent it, until its answer is out
	answer []byte
	source *net.UDPAddr // nil: it came by the peer
	number uint32
}

func runFloor(ctx context.Context, f floorFlags, stdin io.Reader, stdout io.Writer) error {
	local := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}
	conn, err := net.ListenUDP("udp4", local)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetReadBuffer(socketBuffer)  // the kernel gives what it allows
	_ = conn.SetWriteBuffer(socketBuffer) // likewise
	fl := &floor{floorFlags: f, batch: ipv4.NewPacketConn(conn), local: conn.LocalAddr().String(), tag: "z9hG4bKfloor"}
	if f.sink != "" {
		if fl.sink, err = net.ResolveUDPAddr("udp4", f.sink); err != nil {
			return err
		}
	}
	if fl.smsc, err = bindFloor(ctx, f.smsc); err != nil {
		return err
	}
	defer fl.smsc.conn.Close()
	if f.peer != "" {
		if fl.peer, err = bindFloor(ctx, f.peer); err != nil {
			return err
		}
		defer fl.peer.conn.Close()
	}
	var esmes net.Listener
	esmeAddr := ""
	if f.account {
		if esmes, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return err
		}
		defer esmes.Close()
		esmeAddr = esmes.Addr().String()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	serve := func(f func()) { running.Go(func() { defer cancel(); f() }) }
	serve(fl.readSIP)
	answers := fl.newAnswers()
	serve(func() {
		fl.smsc.read(func(p []byte) { fl.fromSMSC(p, answers) }, func() error { return fl.flush(answers) })
	})
	switch {
	case fl.peer != nil:
		serve(fl.readPeer)
	case f.account:
		serve(func() {
			conn, err := esmes.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { conn.Close() })
			fl.peer = &floorLink{conn: conn}
			fl.readPeer()
		})
	}
	go func() { // not waited for: a read of standard input ends with the process
		_, _ = io.Copy(io.Discard, stdin)
		cancel()
	}()
	fmt.Fprintf(stdout, "%s%s %s\n", floorReady, fl.local, esmeAddr)
	<-ctx.Done()
	conn.Close()
	fl.smsc.conn.Close()
	if f.account {
		esmes.Close()
	} else if fl.peer != nil {
		fl.peer.conn.Close()
	}
	running.Wait()
	return nil
}

// slot takes the slot of a new submit_sm; nil where it is still taken, which no window comes to.
func (f *floor) slot() (*floorSlot, uint32) {
	n := f.sequence.Add(1)
	s := &f.waiting[n%floorSlots]
	if s.taken.Load() {
		return nil, 0
	}
	return s, n
}

// readSIP takes what comes by UDP: requests, of which each becomes a submit_sm, and answers, of which each becomes a
// deliver_sm_resp. The PDUs of one batch leave in one write.
func (f *floor) readSIP() {
	messages := readBatch()
	tag := []byte(f.tag)
	var out []byte
	for {
		n, err := f.batch.ReadBatch(messages, 0)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		out = out[:0]
		for i := range max(n, 0) {
			b := messages[i].Buffers[0][:messages[i].N]
			source, _ := messages[i].Addr.(*net.UDPAddr)
			if status, number, ok := readResponse(b, tag); ok {
				out = appendFloorResponse(out, floorDeliverSM, floorStatus(status), uint32(number))
				continue
			}
			s, sequence := f.slot()
			if s == nil {
				continue
			}
			var ok bool
			if s.answer, ok = respond(s.answer[:0], b, 202, source); !ok {
				continue
			}
			s.source = source
			s.taken.Store(true)
			out = appendFloorSubmit(out, sequence, b, f.registered())
		}
		if len(out) > 0 {
			if _, err := f.smsc.conn.Write(out); err != nil {
				return
			}
		}
	}
}

// floorAnswers are datagrams that leave together, and the slots that are free then.
type floorAnswers struct {
	messages []ipv4.Message
	requests [][]byte     // their octets, where they are requests
	slots    []*floorSlot // whose octets they are, where they are answers; else nil
	n        int
	pdus     []byte // deliver_sm_resp to the same SMSC
	relayed  []byte // responses to the peer
}

func (f *floor) newAnswers() *floorAnswers {
	a := &floorAnswers{
		messages: make([]ipv4.Message, batchSize), requests: make([][]byte, batchSize), slots: make([]*floorSlot, batchSize),
	}
	for i := range a.messages {
		a.messages[i].Buffers = [][]byte{nil}
	}
	return a
}

// fromSMSC takes one PDU of the SMSC.
func (f *floor) fromSMSC(p []byte, a *floorAnswers) {
	status, sequence := binary.BigEndian.Uint32(p[8:]), binary.BigEndian.Uint32(p[12:])
	switch binary.BigEndian.Uint32(p[4:]) {
	case floorSubmitSM | floorResp:
		s := &f.waiting[sequence%floorSlots]
		if !s.taken.Load() {
			return
		}
		if s.source == nil {
			if f.account { // the ESME's answer is the SMSC's, with its id
				start := len(a.relayed)
				a.relayed = append(a.relayed, p...)
				binary.BigEndian.PutUint32(a.relayed[start+12:], s.number)
			} else {
				a.relayed = appendFloorResponse(a.relayed, floorDeliverSM, status, s.number)
			}
			s.taken.Store(false)
			return
		}
		if status != 0 {
			copy(s.answer[len("SIP/2.0 "):], "480")
		}
		a.messages[a.n].Buffers[0], a.messages[a.n].Addr, a.slots[a.n] = s.answer, s.source, s
		a.n++
	case floorDeliverSM:
		v, ok := scanFloorSM(p)
		if !ok || v.receipt || f.sink == nil {
			a.pdus = appendFloorResponse(a.pdus, floorDeliverSM, 0, sequence)
			return
		}
		a.requests[a.n] = f.appendRequest(a.requests[a.n][:0], sequence, v)
		a.messages[a.n].Buffers[0], a.messages[a.n].Addr, a.slots[a.n] = a.requests[a.n], f.sink, nil
		a.n++
	case floorEnquireLink:
		a.pdus = appendFloorHeader(a.pdus, floorEnquireLink|floorResp, 0, sequence)
	}
	if a.n == batchSize {
		_ = f.flush(a) // an error comes again when the rest is read
	}
}

// flush writes what was gathered.
func (f *floor) flush(a *floorAnswers) error {
	for from := 0; from < a.n; {
		n, err := f.batch.WriteBatch(a.messages[from:a.n], 0)
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		from += max(n, 1) // what cannot be sent is lost, as it may be on the way
	}
	for _, s := range a.slots[:a.n] {
		if s != nil {
			s.taken.Store(false)
		}
	}
	a.n = 0
	var err error
	if len(a.pdus) > 0 {
		_, err = f.smsc.conn.Write(a.pdus)
		a.pdus = a.pdus[:0]
	}
	if len(a.relayed) > 0 && err == nil {
		_, err = f.peer.conn.Write(a.relayed)
		a.relayed = a.relayed[:0]
	}
	return err
}

// readPeer takes what comes from where messages come by SMPP.
func (f *floor) readPeer() {
	var out []byte
	f.peer.read(func(p []byte) { out = f.fromPeer(out, p) }, func() (err error) {
		if len(out) > 0 {
			_, err = f.smsc.conn.Write(out)
			out = out[:0]
		}
		return err
	})
}

// fromPeer appends the submit_sm that a deliver_sm or submit_sm of the peer becomes: the body is the same.
func (f *floor) fromPeer(out, p []byte) []byte {
	switch command := binary.BigEndian.Uint32(p[4:]); command {
	case floorDeliverSM, floorSubmitSM:
	case floorEnquireLink, floorBind:
		answer := appendFloorResponse(nil, command, 0, binary.BigEndian.Uint32(p[12:]))
		if command == floorEnquireLink {
			answer = appendFloorHeader(nil, command|floorResp, 0, binary.BigEndian.Uint32(p[12:]))
		}
		_, _ = f.peer.conn.Write(answer) // the reader sees the end
		return out
	default:
		return out
	}
	v, ok := scanFloorSM(p)
	s, sequence := f.slot()
	if !ok || s == nil {
		return out
	}
	s.source, s.number = nil, binary.BigEndian.Uint32(p[12:])
	s.taken.Store(true)
	start := len(out)
	out = append(out, p...)
	binary.BigEndian.PutUint32(out[start+4:], floorSubmitSM)
	binary.BigEndian.PutUint32(out[start+12:], sequence)
	out[start+v.registered] = f.registered()
	return out
}

// registered is the registered_delivery of what goes out.
func (f *floor) registered() byte {
	if f.receipts {
		return 1
	}
	return 0
}

// appendRequest appends the MESSAGE that a deliver_sm becomes. The sequence_number in its branch comes back with the answer.
func (f *floor) appendRequest(out []byte, sequence uint32, v floorSM) []byte {
	out = append(append(out, "MESSAGE sip:"...), v.to...)
	out = append(append(append(out, '@'), f.floorFlags.sink...), " SIP/2.0\r\nVia: SIP/2.0/UDP "...)
	out = append(append(append(append(out, f.local...), ";branch="...), f.tag...), "0000000000"...)
	number := out[len(out)-numberWidth:]
	putNumber(number, int(sequence))
	out = append(append(out, ";rport\r\nMax-Forwards: 70\r\nFrom: <sip:"...), v.from...)
	out = append(append(append(append(out, '@'), f.local...), ">;tag="...), number...)
	out = append(append(append(append(out, "\r\nTo: <sip:"...), v.to...), '@'), f.floorFlags.sink...)
	out = append(append(append(append(out, ">\r\nCall-ID: "...), number...), '@'), f.local...)
	out = append(out, "\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\nContent-Length: "...)
	out = strconv.AppendInt(out, int64(len(v.text)), 10)
	return append(append(out, "\r\n\r\n"...), v.text...)
}
