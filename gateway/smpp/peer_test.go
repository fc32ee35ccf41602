package smpp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

// network hands the sockets that connections open to the scripted peers of a test.
type network struct {
	t      *testing.T
	mu     sync.Mutex
	dials  []time.Time
	refuse error
	socket chan net.Conn
}

func newNetwork(t *testing.T) *network { return &network{t: t, socket: make(chan net.Conn, 2000)} }

func (n *network) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dials = append(n.dials, time.Now())
	if n.refuse != nil {
		return nil, n.refuse
	}
	ours, theirs := net.Pipe()
	n.socket <- theirs
	return ours, nil
}

// dialed is how many sockets were asked for.
func (n *network) dialed() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.dials)
}

// stop makes dials fail; nil lets them work again.
func (n *network) stop(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refuse = err
}

// peer is a scripted SMSC: the test reads each PDU and writes what it likes.
type peer struct {
	t    *testing.T
	conn net.Conn
	r    *wire.Reader
}

// next waits for the next socket.
func (n *network) next() *peer {
	n.t.Helper()
	conn := <-n.socket
	return &peer{n.t, conn, wire.NewReader(conn, 0)}
}

// read reads a PDU and wants it to be of that command. Its body is a copy.
func (p *peer) read(want wire.CommandID) (wire.Header, wire.Body) {
	p.t.Helper()
	h, octets, err := p.r.Next()
	if err != nil {
		p.t.Fatalf("want %v, got %v", want, err)
	}
	if h.Command != want {
		p.t.Fatalf("want %v, got %v", want, h.Command)
	}
	body := wire.NewBody(h.Command)
	if err := body.DecodeBody(append([]byte(nil), octets...)); err != nil {
		p.t.Fatalf("%v: %v", h.Command, err)
	}
	return h, body
}

// submit reads a submit_sm.
func (p *peer) submit() (uint32, *wire.SM) {
	p.t.Helper()
	h, body := p.read(wire.CmdSubmitSM)
	return h.Sequence, body.(*wire.SM)
}

// want reads a response and wants its status and sequence number.
func (p *peer) want(command wire.CommandID, sequence uint32, status wire.Status) {
	p.t.Helper()
	h, _ := p.read(command)
	if h.Sequence != sequence || h.Status != status {
		p.t.Fatalf("%v: sequence %d, %v; want %d, %v", command, h.Sequence, h.Status, sequence, status)
	}
}

// closed wants the socket to be closed by the gateway.
func (p *peer) closed() {
	p.t.Helper()
	if h, _, err := p.r.Next(); err == nil {
		p.t.Fatalf("want the end, got %v", h.Command)
	} else if !errors.Is(err, io.EOF) {
		p.t.Fatalf("want the end, got %v", err)
	}
}

// quiet says that nothing comes from the gateway now.
func (p *peer) quiet() bool {
	p.conn.SetReadDeadline(time.Now().Add(time.Nanosecond))
	defer p.conn.SetReadDeadline(time.Time{})
	_, err := p.conn.Read(nil)
	return err != nil
}

func (p *peer) write(octets []byte) {
	p.t.Helper()
	if _, err := p.conn.Write(octets); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) send(command wire.CommandID, status wire.Status, sequence uint32, body wire.Body) {
	p.t.Helper()
	octets, err := wire.Append(nil, wire.Header{Command: command, Status: status, Sequence: sequence}, body)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(octets)
}

// accept answers the bind with yes, and waits until the gateway knows.
func (p *peer) accept() *peer {
	p.t.Helper()
	p.yes()
	synctest.Wait()
	return p
}

// yes answers the bind.
func (p *peer) yes() {
	p.t.Helper()
	h, _, err := p.r.Next()
	if err != nil {
		p.t.Fatal(err)
	}
	p.send(h.Command.Resp(), wire.StatusOK, h.Sequence, &wire.BindResp{SystemID: "smsc"})
}

// swallow reads, and answers nothing.
func (p *peer) swallow() {
	for _, _, err := p.r.Next(); err == nil; _, _, err = p.r.Next() {
	}
}

// respond answers a submit_sm with yes.
func (p *peer) respond(sequence uint32, id string) {
	p.t.Helper()
	p.send(wire.CmdSubmitSMResp, wire.StatusOK, sequence, &wire.SMResp{MessageID: id})
}

// unbinds answers the gateway's unbind.
func (p *peer) unbinds() {
	p.t.Helper()
	h, _ := p.read(wire.CmdUnbind)
	p.send(wire.CmdUnbindResp, wire.StatusOK, h.Sequence, nil)
	p.closed()
}

// serve plays a good SMSC until the socket ends: it binds, answers every submit_sm with yes, and unbinds.
func (p *peer) serve() {
	for id := 1; ; id++ {
		h, _, err := p.r.Next()
		if err != nil {
			return
		}
		var body wire.Body
		switch h.Command {
		case wire.CmdSubmitSM:
			body = &wire.SMResp{MessageID: "id"}
		case wire.CmdBindTransceiver:
			body = &wire.BindResp{SystemID: "smsc"}
		case wire.CmdEnquireLink, wire.CmdUnbind:
		default:
			continue
		}
		octets, _ := wire.Append(nil, wire.Header{Command: h.Command.Resp(), Sequence: h.Sequence}, body)
		if _, err := p.conn.Write(octets); err != nil {
			return
		}
	}
}

// recorder is a Handler that keeps what it was told, and answers messages and receipts with yes unless told to hold.
type recorder struct {
	mu        sync.Mutex
	messages  []*sms.Message
	receipts  []sms.Receipt
	held      []func(wire.Status)
	hold      bool
	ups       []BindStatus
	downs     []string
	inFlight  []int
	throttles []Throttle
	alerts    []string
	freed     []time.Time
}

func (r *recorder) Message(m *sms.Message, answer func(wire.Status)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, m)
	r.answer(answer)
}

func (r *recorder) answer(answer func(wire.Status)) {
	if r.hold {
		r.held = append(r.held, answer)
		return
	}
	answer(wire.StatusOK)
}

func (r *recorder) Receipt(_ sms.Leg, receipt sms.Receipt, answer func(wire.Status)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.receipts = append(r.receipts, receipt)
	r.answer(answer)
}

func (r *recorder) Alert(connection string, mobile sms.Address, availability uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.alerts = append(r.alerts, fmt.Sprintf("%s %v %d", connection, mobile, availability))
}

func (r *recorder) BindUp(b BindStatus) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ups = append(r.ups, b)
}

func (r *recorder) BindDown(_ BindStatus, reason string, inFlight int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.downs = append(r.downs, reason)
	r.inFlight = append(r.inFlight, inFlight)
}

func (r *recorder) Throttled(t Throttle) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.throttles = append(r.throttles, t)
}

func (r *recorder) Unthrottled(string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.freed = append(r.freed, time.Now())
}

// outcomes takes the outcomes of messages, each once.
type outcomes struct {
	t   *testing.T
	mu  sync.Mutex
	got map[int]sms.Outcome
	at  map[int]time.Time
}

func (o *outcomes) done(i int) func(sms.Outcome) {
	return func(outcome sms.Outcome) {
		o.mu.Lock()
		defer o.mu.Unlock()
		if _, twice := o.got[i]; twice {
			o.t.Errorf("message %d ends twice: %+v", i, outcome)
		}
		o.got[i] = outcome
		o.at[i] = time.Now()
	}
}

// world is what most tests need: connections on a scripted network.
type world struct {
	t       *testing.T
	net     *network
	handler *recorder
	conns   *Connections
	out     *outcomes
	sent    int
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, net: newNetwork(t), handler: &recorder{}}
	w.out = &outcomes{t: t, got: make(map[int]sms.Outcome), at: make(map[int]time.Time)}
	w.conns = NewConnections(w.handler, slog.New(slog.DiscardHandler), WithDial(w.net.dial))
	return w
}

// row is a connection as the tests want it: two slots, nothing else unusual.
func row(change ...func(*sms.ConnectionConfig)) sms.ConnectionConfig {
	cfg := sms.ConnectionConfig{
		Name: "acme", Host: "192.0.2.1", Port: 2775, SystemID: "gateway", Password: "a long password", Enabled: true,
		SessionType: sms.Transceiver, Binds: 1, Window: 2, EnquireLink: 30 * time.Second, ResponseTimeout: 10 * time.Second,
		Alphabet: sms.AlphabetGSM7, LongMessage: sms.LongUDH16,
	}
	for _, f := range change {
		f(&cfg)
	}
	return cfg
}

// apply applies rows.
func (w *world) apply(rows ...sms.ConnectionConfig) Changes { return w.conns.Apply(rows) }

// send submits a text by acme and gives the message's number.
func (w *world) send(text string, change ...func(*sms.Message)) int {
	m := &sms.Message{From: sms.ParseAddress("100"), To: sms.ParseAddress("+4915112345678"), Text: text}
	for _, f := range change {
		f(m)
	}
	w.sent++
	w.conns.Submit("acme", m, w.out.done(w.sent))
	return w.sent
}

// outcome wants message i to have ended.
func (w *world) outcome(i int) sms.Outcome {
	w.t.Helper()
	synctest.Wait()
	w.out.mu.Lock()
	defer w.out.mu.Unlock()
	o, ok := w.out.got[i]
	if !ok {
		w.t.Fatalf("message %d has not ended", i)
	}
	return o
}

// wantFate wants message i to have ended so.
func (w *world) wantFate(i int, fate sms.Fate, severity sms.Severity, cause sms.Cause) {
	w.t.Helper()
	if o := w.outcome(i); o.Fate != fate || o.Severity != severity || o.Cause != cause {
		w.t.Fatalf("message %d: %v, %v, %v (%s); want %v, %v, %v", i, o.Fate, o.Severity, o.Cause, o.Detail, fate, severity, cause)
	}
}

// open wants message i not to have ended.
func (w *world) open(i int) {
	w.t.Helper()
	synctest.Wait()
	w.out.mu.Lock()
	defer w.out.mu.Unlock()
	if o, ended := w.out.got[i]; ended {
		w.t.Fatalf("message %d has ended: %+v", i, o)
	}
}

// status is that of the connection acme.
func (w *world) status() ConnectionStatus {
	w.t.Helper()
	synctest.Wait()
	for _, s := range w.conns.Status() {
		if s.Name == "acme" {
			return s
		}
	}
	w.t.Fatal("there is no acme")
	return ConnectionStatus{}
}

// kill ends everything at once, so that no goroutine outlives a test.
func (w *world) kill() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w.conns.Close(ctx)
	for i := 1; i <= w.sent; i++ {
		w.outcome(i)
	}
}

// inTime runs a test in a bubble of fake time, with everything gone at its end.
func inTime(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.kill()
		test(t, w)
	})
}

// dialed gives one socket, and none after it.
func dialed(conn net.Conn) func(context.Context, string, string) (net.Conn, error) {
	var once sync.Once
	return func(ctx context.Context, _, _ string) (got net.Conn, err error) {
		err = errors.New("connection refused")
		once.Do(func() { got, err = conn, nil })
		return got, err
	}
}
