package gatewaytest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// SMSCConfig says how an SMSC behaves. The zero value accepts every bind and every message at once, on a free port of 127.0.0.1.
// Nothing of it changes once the SMSC runs; what a test switches on the way is a method or comes from OnSubmit.
type SMSCConfig struct {
	Addr               string // host:port; empty: 127.0.0.1:0; "none": no listener, see Attach
	SystemID, Password string // what a bind must give; empty: anything

	Latency      time.Duration // before a submit_sm_resp
	ReceiptDelay time.Duration // after the response, before the receipt; receipts leave only where registered_delivery asks
	// ReceiptStat is the final state in receipts, `DELIVRD` where it is empty, or several with their weights:
	// `DELIVRD=95,UNDELIV=5`.
	ReceiptStat   string
	ReceiptNoTLVs bool                   // receipts have text alone: no receipted_message_id, no message_state
	ReceiptNoText bool                   // receipts have TLVs alone
	ReceiptID     func(id string) string // how a receipt names what the response named id: hex in the one, decimal in the other
	MessageID     func(n uint64) string  // the SMSC id of the n-th message, from 1; nil: n in decimal
	ErrorRate     float64                // share of submit_sm that is refused, 0 to 1
	ErrorStatus   uint32                 // with what; 0: 0x45
	ThrottleAbove int                    // submit_sm per second, of all binds, above which they are refused with 0x58; 0: never
	Window        int                    // most unanswered deliver_sm on a bind; 0: 100
	AnswerTimeout time.Duration          // for a deliver_sm_resp; 0: 10 s
	EnquireLink   time.Duration          // how often a bind is asked; 0: never
	OnSubmit      func(Submit) Action    // the script; called in order for each bind, must not block
	// OnOctets is told of the user data of each submit_sm, as Incoming.Octets has it, and gives its SMSC id; 0: the configured
	// one. It costs less than OnSubmit, and must neither block nor keep the octets.
	OnOctets func(octets []byte) (id uint64)
	OnBind   func(BindInfo) uint32 // the command_status of a bind; called after SystemID and Password matched
	OnEvent  func(Event)           // told of what happens, in order for each bind; must not block
	Keep     int                   // how many submit_sm Next, Take and Submits know; 0: 10,000; negative: none
	Seed     uint64                // of what is drawn: errors and receipt states
}

// Event is one thing that happened at an SMSC.
type Event struct {
	Kind      EventKind
	Bind      BindInfo
	Submit    *Submit   // EventSubmit
	Deliver   *Outgoing // EventDeliver, EventReceipt: the segment that was sent
	MessageID string    // EventReceipt: as the receipt names it
	Stat      string    // EventReceipt
	Status    uint32    // what it was answered with
	Err       error     // why a bind ended, or why no answer came
}

// EventKind says what happened.
type EventKind uint8

// The kinds of event.
const (
	EventBind    EventKind = iota // Status not 0: it was refused
	EventUnbind                   // a bind ended, with unbind or without
	EventSubmit                   // a submit_sm came
	EventDeliver                  // a deliver_sm was answered, or will not be
	EventReceipt                  // a receipt was answered, or will not be
)

// BindInfo is what a peer bound with.
type BindInfo struct {
	ID               int // counts the sockets of an SMSC, from 1
	SystemID         string
	Password         string
	SystemType       string
	Mode             string // transceiver, transmitter, receiver
	InterfaceVersion uint8
	AddrTON, AddrNPI uint8
	AddressRange     string
	Remote           string
	Since            time.Time
}

// Refusal is how an SMSC turns its peers away.
type Refusal int32

// The refusals.
const (
	RefuseNothing  Refusal = iota
	RefusePassword         // binds are refused with 0x0E
	RefuseSystemID         // binds are refused with 0x0F
	RefuseBind             // binds are refused with 0x0D
	RefuseAnswer           // sockets are accepted and read, and nothing is answered, not even to those bound before
	RefuseSocket           // sockets are accepted and closed
	RefuseListen           // nobody listens: a connect is refused
)

// SMSC is a scripted SMSC.
type SMSC struct {
	cfg      SMSCConfig
	addr     string
	stats    counters
	stat     distribution
	inbox    inbox
	schedule *schedule
	running  sync.WaitGroup
	ids      atomic.Uint64
	refusal  atomic.Int32
	curious  bool // somebody wants each submit_sm whole
	concat   atomic.Uint32

	mu       sync.Mutex
	listener net.Listener
	sockets  int
	sessions map[*session]struct{}
	groups   map[string]*group
	anybody  queue // deliveries to whoever binds first
	changed  chan struct{}
	closed   bool

	diceMu   sync.Mutex
	dice     *rand.Rand
	second   time.Time // when the second began that throttling counts
	inSecond int
}

// NewSMSC starts an SMSC.
func NewSMSC(cfg SMSCConfig) (*SMSC, error) {
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	if cfg.Window == 0 {
		cfg.Window = 100
	}
	if cfg.AnswerTimeout == 0 {
		cfg.AnswerTimeout = 10 * time.Second
	}
	if cfg.ErrorStatus == 0 {
		cfg.ErrorStatus = StatusSubmitFailed
	}
	if cfg.ErrorRate < 0 || cfg.ErrorRate > 1 {
		return nil, fmt.Errorf("error rate %v: want a share between 0 and 1", cfg.ErrorRate)
	}
	stat, err := parseDistribution(cfg.ReceiptStat)
	if err != nil {
		return nil, err
	}
	s := &SMSC{
		cfg: cfg, stat: stat, inbox: newInbox(cfg.Keep), schedule: newSchedule(),
		curious:  cfg.Keep >= 0 || cfg.OnSubmit != nil || cfg.OnEvent != nil,
		sessions: make(map[*session]struct{}), groups: make(map[string]*group),
		dice: rand.New(rand.NewPCG(cfg.Seed, 0)),
	}
	if cfg.Addr != "none" {
		l, err := net.Listen("tcp", cfg.Addr)
		if err != nil {
			return nil, err
		}
		s.addr = l.Addr().String()
		s.listen(l)
	}
	s.running.Go(s.schedule.loop)
	return s, nil
}

func (s *SMSC) listen(l net.Listener) {
	s.listener = l
	s.running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if Refusal(s.refusal.Load()) == RefuseSocket {
				conn.Close()
				continue
			}
			s.Attach(conn)
		}
	})
}

// Addr is the host:port that it listens on.
func (s *SMSC) Addr() string { return s.addr }

// Attach serves a peer on a connection that was made elsewhere: one end of a net.Pipe, or a socket that the SMSC opened to send
// outbind on.
func (s *SMSC) Attach(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		conn.Close()
		return
	}
	s.sockets++
	c := &session{smsc: s, link: newLink(conn), inflight: make(map[uint32]*delivery)}
	c.info = BindInfo{ID: s.sockets, Remote: conn.RemoteAddr().String()}
	s.sessions[c] = struct{}{}
	s.stats.sockets.Add(1)
	s.running.Go(c.link.write)
	s.running.Go(c.serve)
}

// Refuse changes how peers are turned away. Binds that stand stay, but for RefuseAnswer, which answers them nothing any more.
func (s *SMSC) Refuse(how Refusal) error {
	s.refusal.Store(int32(how))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addr == "" || s.closed {
		return nil
	}
	if how == RefuseListen {
		if s.listener != nil {
			s.listener.Close()
			s.listener = nil
		}
		return nil
	}
	if s.listener == nil {
		l, err := net.Listen("tcp", s.addr)
		if err != nil {
			return err
		}
		s.listen(l)
	}
	return nil
}

// DropConnections closes every socket without a word.
func (s *SMSC) DropConnections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.sessions {
		c.link.close(errHangUp)
	}
}

// Enquire sends enquire_link on every bind. Who answers it has read the answer to its bind, which came before.
func (s *SMSC) Enquire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.sessions {
		if c.isBound {
			c.link.put(appendHeader(nil, cmdEnquireLink, 0, c.nextSequence()))
			c.link.flush()
		}
	}
}

// Unbind sends unbind on every bind; a socket closes when its peer has answered.
func (s *SMSC) Unbind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.sessions {
		if c.isBound {
			c.link.put(appendHeader(nil, cmdUnbind, 0, c.nextSequence()))
			c.link.flush()
		}
	}
}

// Write puts octets on every socket as they are: what no PDU of an SMSC would be.
func (s *SMSC) Write(octets []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.sessions {
		c.link.put(octets)
		c.link.flush()
	}
}

// Close closes the listener and every socket, and returns when nothing runs any more. What waits gets ErrClosed.
func (s *SMSC) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	if s.listener != nil {
		s.listener.Close()
	}
	for c := range s.sessions {
		c.link.close(ErrClosed)
	}
	waiting := s.anybody.drain()
	for _, g := range s.groups {
		waiting = append(waiting, g.queue.drain()...)
	}
	s.notify()
	s.mu.Unlock()
	s.inbox.close()
	s.schedule.stop()
	s.running.Wait()
	for _, d := range waiting {
		d.finish(s, BindInfo{}, 0, ErrClosed)
	}
}

// Binds lists what is bound, in no order.
func (s *SMSC) Binds() []BindInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	var binds []BindInfo
	for c := range s.sessions {
		if c.isBound {
			binds = append(binds, c.info)
		}
	}
	return binds
}

// WaitBinds waits until n binds stand; with 0, until none does.
func (s *SMSC) WaitBinds(ctx context.Context, n int) error {
	return s.wait(ctx, func() bool {
		bound := 0
		for c := range s.sessions {
			if c.isBound {
				bound++
			}
		}
		return bound == n || n > 0 && bound > n
	})
}

// wait waits until what is guarded by mu makes is true.
func (s *SMSC) wait(ctx context.Context, is func() bool) error {
	for {
		s.mu.Lock()
		if is() {
			s.mu.Unlock()
			return nil
		}
		if s.closed {
			s.mu.Unlock()
			return ErrClosed
		}
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// notify wakes who waits; mu is held.
func (s *SMSC) notify() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// Next waits for the next submit_sm that neither Next nor Take gave yet.
func (s *SMSC) Next(ctx context.Context) (Submit, error) {
	got, err := s.inbox.take(ctx, 1)
	if err != nil {
		return Submit{}, err
	}
	return got[0], nil
}

// Take waits for the next n.
func (s *SMSC) Take(ctx context.Context, n int) ([]Submit, error) { return s.inbox.take(ctx, n) }

// Submits gives all that are kept, taken or not.
func (s *SMSC) Submits() []Submit { return s.inbox.all() }

func (s *SMSC) tell(e Event) {
	if s.cfg.OnEvent != nil {
		s.cfg.OnEvent(e)
	}
}

var errTimeout = errors.New("no answer in time")
