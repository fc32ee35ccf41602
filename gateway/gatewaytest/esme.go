package gatewaytest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/linxGnu/gosmpp/pdu"
)

// ESMEConfig says whom an ESME binds to, and how it behaves then.
type ESMEConfig struct {
	Addr             string   // host:port
	Conn             net.Conn // in place of a socket to Addr: one end of a net.Pipe
	SystemID         string
	Password         string
	SystemType       string
	Mode             string // transceiver (also the empty string), transmitter, receiver
	InterfaceVersion uint8  // 0: 0x34

	Window        int                   // most unanswered submit_sm; 0: 10
	AnswerTimeout time.Duration         // for the bind and each submit_sm; 0: 10 s
	EnquireLink   time.Duration         // how often the peer is asked; 0: never
	OnDeliver     func(Incoming) Action // the script; called in order, must not block
	Keep          int                   // how many deliver_sm Next, Take and Delivers know; 0: 10,000; negative: none
}

// ESME is a scripted ESME: one bind.
type ESME struct {
	cfg      ESMEConfig
	link     *link
	info     BindInfo
	inbox    inbox
	schedule *schedule
	running  sync.WaitGroup
	slots    chan struct{}
	bound    chan bindAnswer
	ended    chan struct{} // closed when the reader has ended

	// Of the reader alone.
	out []byte

	mu       sync.Mutex
	sequence uint32
	concat   uint16
	inflight map[uint32]*submission
	sweeping bool
	scratch  []byte
	stats    ESMEStats
}

// ESMEStats counts what an ESME did.
type ESMEStats struct {
	Submits            uint64            // submit_sm that were sent
	Answered           map[uint32]uint64 // by command_status
	Lost               uint64            // submit_sm that were never answered
	Delivers           uint64            // deliver_sm that came
	Receipts           uint64            // those among them that are receipts
	EnquireLinks       uint64            // that came
	EnquireLinkAnswers uint64            // to our own
	Unexpected         uint64            // PDUs that nobody waited for
}

type bindAnswer struct {
	status uint32
	err    error
}

// Answer is what a submit_sm was answered with.
type Answer struct {
	Status    uint32
	MessageID string
	Err       error // no answer came, and why
}

type submission struct {
	sent time.Time
	done func(Answer)
}

// BindError is a bind that was refused.
type BindError struct{ Status uint32 }

func (e *BindError) Error() string {
	return fmt.Sprintf("the bind was refused with command_status %#02x", e.Status)
}

// NewESME connects and binds. A refusal is a *BindError.
func NewESME(ctx context.Context, cfg ESMEConfig) (*ESME, error) {
	if cfg.Window == 0 {
		cfg.Window = 10
	}
	if cfg.AnswerTimeout == 0 {
		cfg.AnswerTimeout = 10 * time.Second
	}
	if cfg.InterfaceVersion == 0 {
		cfg.InterfaceVersion = 0x34
	}
	if cfg.Mode == "" {
		cfg.Mode = "transceiver"
	}
	binding, known := map[string]pdu.BindingType{
		"transceiver": pdu.Transceiver, "transmitter": pdu.Transmitter, "receiver": pdu.Receiver,
	}[cfg.Mode]
	if !known {
		return nil, fmt.Errorf("mode %q: want transceiver, transmitter or receiver", cfg.Mode)
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.AnswerTimeout)
	defer cancel()
	if cfg.Conn == nil {
		var err error
		if cfg.Conn, err = new(net.Dialer).DialContext(ctx, "tcp", cfg.Addr); err != nil {
			return nil, err
		}
	}
	e := &ESME{
		cfg: cfg, link: newLink(cfg.Conn), inbox: newInbox(cfg.Keep), schedule: newSchedule(),
		slots: make(chan struct{}, cfg.Window), bound: make(chan bindAnswer, 1), ended: make(chan struct{}),
		inflight: make(map[uint32]*submission),
		info: BindInfo{
			ID: 1, SystemID: cfg.SystemID, SystemType: cfg.SystemType, Mode: cfg.Mode,
			InterfaceVersion: cfg.InterfaceVersion, Remote: cfg.Conn.RemoteAddr().String(), Since: time.Now(),
		},
	}
	e.running.Go(e.link.write)
	e.running.Go(e.schedule.loop)
	e.running.Go(e.serve)

	req := pdu.NewBindRequest(binding)
	req.SystemID, req.Password, req.SystemType = cfg.SystemID, cfg.Password, cfg.SystemType
	req.InterfaceVersion = cfg.InterfaceVersion
	e.mu.Lock()
	e.link.put(marshalControl(req, e.nextSequence()))
	e.mu.Unlock()
	e.link.flush()
	var answer bindAnswer
	select {
	case answer = <-e.bound:
	case <-e.ended:
		answer.err = fmt.Errorf("the peer closed the socket before it answered the bind: %w", e.link.cause())
	case <-ctx.Done():
		answer.err = fmt.Errorf("the bind was not answered: %w", context.Cause(ctx))
	}
	switch {
	case answer.err != nil:
	case answer.status != StatusOK:
		answer.err = &BindError{answer.status}
	default:
		if cfg.EnquireLink > 0 {
			e.schedule.after(cfg.EnquireLink, e.enquire)
		}
		return e, nil
	}
	e.Drop()
	return nil, answer.err
}

// nextSequence counts from 1 to 0x7FFFFFFF and again; mu is held.
func (e *ESME) nextSequence() uint32 {
	e.sequence = e.sequence%0x7FFFFFFF + 1
	return e.sequence
}

// serve is the reader: it runs until the socket is closed.
func (e *ESME) serve() {
	defer close(e.ended)
	for {
		p, err := e.link.read()
		if err != nil {
			e.link.close(err)
			break
		}
		e.handle(parseHeader(p), p)
	}
	cause := e.link.cause()
	e.mu.Lock()
	lost := e.inflight
	e.inflight = nil
	e.stats.Lost += uint64(len(lost))
	e.mu.Unlock()
	for _, s := range lost {
		e.finish(s, Answer{Err: cause})
	}
	e.inbox.close()
}

func (e *ESME) handle(h header, p []byte) {
	switch h.command {
	case cmdSubmitSM | cmdResponse, cmdGenericNack:
		e.answered(h, p)
	case cmdDeliverSM:
		e.deliver(h, p)
	case cmdEnquireLink:
		e.mu.Lock()
		e.stats.EnquireLinks++
		e.mu.Unlock()
		e.respond(h.command|cmdResponse, StatusOK, h.sequence)
	case cmdEnquireLink | cmdResponse:
		e.mu.Lock()
		e.stats.EnquireLinkAnswers++
		e.mu.Unlock()
	case cmdBindReceiver | cmdResponse, cmdBindTransmitter | cmdResponse, cmdBindTransceiver | cmdResponse:
		select {
		case e.bound <- bindAnswer{status: h.status}:
		default:
			e.stray()
		}
	case cmdUnbind:
		e.respond(h.command|cmdResponse, StatusOK, h.sequence)
		e.link.hangUp(ErrUnbound)
	case cmdUnbind | cmdResponse:
		e.link.close(ErrUnbound)
	case cmdOutbind: // the bind that it asks for was sent when the socket was there (SMPP 3.4, 2.2.1)
	default:
		e.stray()
		if h.command&cmdResponse == 0 {
			e.respond(cmdGenericNack, StatusInvalidID, h.sequence)
		}
	}
}

// ErrUnbound is the end of a bind by unbind, whoever sent it.
var ErrUnbound = errors.New("unbound")

func (e *ESME) stray() {
	e.mu.Lock()
	e.stats.Unexpected++
	e.mu.Unlock()
}

func (e *ESME) respond(command, status, sequence uint32) {
	e.out = appendHeader(e.out[:0], command, status, sequence)
	e.link.put(e.out)
}

// answered takes a submit_sm_resp, or the generic_nack in its place.
func (e *ESME) answered(h header, p []byte) {
	e.mu.Lock()
	s := e.inflight[h.sequence]
	if s == nil {
		e.stats.Unexpected++
		e.mu.Unlock()
		return
	}
	delete(e.inflight, h.sequence)
	if e.stats.Answered == nil {
		e.stats.Answered = make(map[uint32]uint64)
	}
	e.stats.Answered[h.status]++
	e.mu.Unlock()
	body := cursor{b: p[headerLength:]}
	e.finish(s, Answer{Status: h.status, MessageID: string(body.cstring())})
}

func (e *ESME) finish(s *submission, a Answer) {
	<-e.slots
	s.done(a)
}

// deliver answers a deliver_sm.
func (e *ESME) deliver(h header, p []byte) {
	v, err := parseSM(p[headerLength:])
	if err != nil {
		e.stray()
		e.respond(cmdDeliverSM|cmdResponse, StatusInvalidLength, h.sequence)
		return
	}
	e.mu.Lock()
	e.stats.Delivers++
	if v.esmClass&0x3C == 0x04 {
		e.stats.Receipts++
	}
	e.mu.Unlock()
	if e.cfg.OnDeliver == nil && e.cfg.Keep < 0 {
		e.out = appendResponse(e.out[:0], cmdDeliverSM|cmdResponse, StatusOK, h.sequence, nil)
		e.link.put(e.out)
		return
	}
	in := newIncoming(p, time.Now())
	in.Bind = e.info
	var a Action
	if e.cfg.OnDeliver != nil {
		a = e.cfg.OnDeliver(in)
	}
	in.Status = a.Status
	e.inbox.add(in)
	if a.Delay > 0 {
		e.schedule.after(a.Delay, func() {
			e.link.answer(cmdDeliverSM|cmdResponse, h.sequence, a.Status, nil, &a)
			e.link.flush()
		})
		return
	}
	e.link.answer(cmdDeliverSM|cmdResponse, h.sequence, a.Status, nil, &a)
}

// enquire sends enquire_link, and again after the same time.
func (e *ESME) enquire() {
	e.mu.Lock()
	e.link.put(appendHeader(nil, cmdEnquireLink, 0, e.nextSequence()))
	e.mu.Unlock()
	e.link.flush()
	e.schedule.after(e.cfg.EnquireLink, e.enquire)
}

// Submit sends a message and waits for the answers to all of its segments, one for each, in order. An error is that of the
// connection or the message, not the peer's refusal.
func (e *ESME) Submit(ctx context.Context, o Outgoing) ([]Answer, error) {
	segments, err := e.segments(o)
	if err != nil {
		return nil, err
	}
	answers := make([]Answer, len(segments))
	answered := make(chan struct{}, len(segments))
	for i := range segments {
		if err := e.send(ctx, &segments[i], func(a Answer) { answers[i] = a; answered <- struct{}{} }); err != nil {
			return nil, err
		}
	}
	for range segments {
		select {
		case <-answered:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	for _, a := range answers {
		if a.Err != nil {
			return answers, a.Err
		}
	}
	return answers, nil
}

// Send waits for room in the window and sends a message; done is called once for each of its segments, by the reader, and must
// not block. After an error done is not called for what was not sent.
func (e *ESME) Send(ctx context.Context, o Outgoing, done func(Answer)) error {
	segments, err := e.segments(o)
	if err != nil {
		return err
	}
	for i := range segments {
		if err := e.send(ctx, &segments[i], done); err != nil {
			return err
		}
	}
	return nil
}

func (e *ESME) segments(o Outgoing) ([]Outgoing, error) {
	e.mu.Lock()
	e.concat++
	reference := e.concat
	e.mu.Unlock()
	return o.segments(reference)
}

func (e *ESME) send(ctx context.Context, o *Outgoing, done func(Answer)) error {
	select {
	case e.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-e.ended:
		return e.link.cause()
	}
	e.mu.Lock()
	if e.inflight == nil {
		e.mu.Unlock()
		<-e.slots
		return e.link.cause()
	}
	sequence := e.nextSequence()
	e.inflight[sequence] = &submission{sent: time.Now(), done: done}
	e.stats.Submits++
	e.scratch = appendSM(e.scratch[:0], cmdSubmitSM, sequence, o)
	e.link.put(e.scratch)
	sweep := !e.sweeping
	e.sweeping = true
	e.mu.Unlock()
	e.link.flush()
	if sweep {
		e.schedule.after(e.cfg.AnswerTimeout, e.sweep)
	}
	return nil
}

// sweep gives up what was not answered in time.
func (e *ESME) sweep() {
	var late []*submission
	e.mu.Lock()
	oldest, limit := time.Now(), time.Now().Add(-e.cfg.AnswerTimeout)
	for sequence, s := range e.inflight {
		switch {
		case !s.sent.After(limit):
			late = append(late, s)
			delete(e.inflight, sequence)
		case s.sent.Before(oldest):
			oldest = s.sent
		}
	}
	e.stats.Lost += uint64(len(late))
	if e.sweeping = len(e.inflight) > 0; e.sweeping {
		e.schedule.after(oldest.Sub(limit), e.sweep)
	}
	e.mu.Unlock()
	for _, s := range late {
		e.finish(s, Answer{Err: errTimeout})
	}
}

// Write puts octets on the socket as they are.
func (e *ESME) Write(octets []byte) {
	e.link.put(octets)
	e.link.flush()
}

// Next waits for the next deliver_sm that neither Next nor Take gave yet.
func (e *ESME) Next(ctx context.Context) (Incoming, error) {
	got, err := e.inbox.take(ctx, 1)
	if err != nil {
		return Incoming{}, err
	}
	return got[0], nil
}

// Take waits for the next n.
func (e *ESME) Take(ctx context.Context, n int) ([]Incoming, error) { return e.inbox.take(ctx, n) }

// Delivers gives all that are kept, taken or not.
func (e *ESME) Delivers() []Incoming { return e.inbox.all() }

// Done is closed when the bind has ended.
func (e *ESME) Done() <-chan struct{} { return e.ended }

// Ended is why the bind has ended; nil while it stands.
func (e *ESME) Ended() error { return e.link.cause() }

// Stats gives the counts.
func (e *ESME) Stats() ESMEStats {
	e.mu.Lock()
	defer e.mu.Unlock()
	st := e.stats
	st.Answered = make(map[uint32]uint64, len(e.stats.Answered))
	for status, n := range e.stats.Answered {
		st.Answered[status] = n
	}
	return st
}

// Close sends unbind, waits for its answer as long as ctx lasts, and closes.
func (e *ESME) Close(ctx context.Context) error {
	e.mu.Lock()
	e.link.put(appendHeader(nil, cmdUnbind, 0, e.nextSequence()))
	e.mu.Unlock()
	e.link.flush()
	var err error
	select {
	case <-e.ended:
	case <-ctx.Done():
		err = fmt.Errorf("unbind was not answered: %w", context.Cause(ctx))
	}
	e.Drop()
	return err
}

// Drop closes the socket without a word.
func (e *ESME) Drop() {
	e.link.close(ErrClosed)
	<-e.ended
	e.mu.Lock()
	select {
	case <-e.schedule.done:
	default:
		e.schedule.stop()
	}
	e.mu.Unlock()
	e.running.Wait()
}
