package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sipsmpp/gateway/gatewaytest"
)

// The far ends refuse every message whose number ends so, for good: 0x0B and 404.
const (
	deniedEvery, deniedRest  = 50, 49
	statusInvalidDestination = 0x0B
)

func denied(n int) bool { return n%deniedEvery == deniedRest }

// farSMSC is the SMSC of a torture: it counts what comes out, and sends a receipt until that is taken.
type farSMSC struct {
	*gatewaytest.SMSC
	stories []*story
	pending atomic.Int64 // receipts that are not taken yet
	ended   chan struct{}

	mu   sync.Mutex
	dice *rand.Rand
}

func newFarSMSC(seed uint64, stories []*story) (f *farSMSC, err error) {
	f = &farSMSC{stories: stories, ended: make(chan struct{}), dice: rand.New(rand.NewPCG(seed, 1))}
	f.SMSC, err = gatewaytest.NewSMSC(gatewaytest.SMSCConfig{Keep: -1, OnSubmit: f.submit, Window: 50, AnswerTimeout: 5 * time.Second})
	return f, err
}

// between draws a time.
func (f *farSMSC) between(least, most time.Duration) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return least + time.Duration(f.dice.Int64N(int64(most-least)))
}

// submit is the script.
func (f *farSMSC) submit(in gatewaytest.Submit) gatewaytest.Action {
	a := gatewaytest.Action{NoReceipt: true, Delay: f.between(time.Millisecond, 20*time.Millisecond)}
	for _, s := range f.stories {
		n, ours := s.number(in.Octets())
		if !ours {
			continue
		}
		if denied(n) {
			s.deny(n)
			a.Status = statusInvalidDestination
			return a
		}
		s.exit(n, 0, in.MessageID)
		if in.RegisteredDelivery&3 != 0 {
			f.pending.Add(1)
			time.AfterFunc(a.Delay+f.between(time.Millisecond, 50*time.Millisecond), func() { f.receipt(&in, func() { s.taken(n, in.MessageID) }) })
		}
		return a
	}
	return a
}

// receipt sends the receipt for a message, again and again until it is taken.
func (f *farSMSC) receipt(in *gatewaytest.Submit, taken func()) {
	date := time.Now().UTC().Format("0601021504")
	err := f.Send(gatewaytest.Deliver{
		SystemID: in.Bind.SystemID, From: in.To, FromTON: in.ToTON, FromNPI: in.ToNPI, To: in.From, ToTON: in.FromTON, ToNPI: in.FromNPI,
		ESMClass: 0x04, ShortMessage: fmt.Appendf(nil, "id:%s sub:001 dlvrd:001 submit date:%s done date:%s stat:DELIVRD err:000 text:", in.MessageID, date, date),
	}, func(status uint32, err error) {
		if err == nil && status == gatewaytest.StatusOK {
			taken()
			f.pending.Add(-1)
			return
		}
		f.again(in, taken)
	})
	if err != nil {
		f.again(in, taken)
	}
}

func (f *farSMSC) again(in *gatewaytest.Submit, taken func()) {
	time.AfterFunc(200*time.Millisecond, func() {
		select {
		case <-f.ended:
		default:
			f.receipt(in, taken)
		}
	})
}

func (f *farSMSC) close() {
	close(f.ended)
	f.Close()
}

// away and back let the SMSC go and come.
func (f *farSMSC) away() error {
	err := f.Refuse(gatewaytest.RefuseListen)
	f.DropConnections()
	return err
}

func (f *farSMSC) back() error { return f.Refuse(gatewaytest.RefuseNothing) }

// farSink is the SIP next hop of a torture.
type farSink struct {
	story *story
	addr  *net.UDPAddr
	how   atomic.Int32 // a final status; 0: it is mute

	mu      sync.Mutex
	conn    *net.UDPConn
	running sync.WaitGroup
}

// listen opens the sink at addr, port 0 the first time.
func (k *farSink) listen(addr *net.UDPAddr) error {
	conn, err := net.ListenUDP("udp", addr)
	if err != nil {
		return err
	}
	k.addr = conn.LocalAddr().(*net.UDPAddr)
	k.mu.Lock()
	k.conn = conn
	k.mu.Unlock()
	k.running.Go(func() { k.read(conn) })
	return nil
}

func (k *farSink) close() {
	k.mu.Lock()
	k.conn.Close()
	k.mu.Unlock()
	k.running.Wait()
}

func (k *farSink) read(conn *net.UDPConn) {
	b, answer := make([]byte, 64<<10), []byte(nil)
	for {
		n, source, err := conn.ReadFromUDP(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		status := int(k.how.Load())
		if err != nil || status == 0 {
			continue
		}
		_, body, _ := bytes.Cut(b[:n], []byte("\r\n\r\n"))
		number, ours := k.story.number(body)
		if ours && status < 300 && denied(number) {
			status = http.StatusNotFound
			k.story.deny(number)
		}
		to, ok := respond(answer[:0], b[:n], status, source)
		if !ok {
			continue
		}
		if ours && status < 300 && bytes.HasPrefix(b[:n], []byte("MESSAGE ")) {
			k.story.exit(number, transaction(b[:n]), "")
		}
		answer = to
		_, _ = conn.WriteToUDP(answer, source) // what is lost is asked for again
	}
}

// sender sends the messages of one story, at its rate, until ctx ends; then it waits for what was begun.
type sender struct {
	*story
	rate    float64
	to      string // host:port of the gateway
	timeout time.Duration
	numbers numbers
}

// numbers are so many recipients from one on, in turn.
type numbers struct{ first, count int }

func (r numbers) of(n int) string { return fmt.Sprintf("+49151%07d", r.first+n%r.count) }

// each calls send at the rate.
func (s *sender) each(ctx context.Context, send func()) {
	pace := pacer{rate: s.rate}
	for {
		if _, err := pace.wait(ctx); err != nil {
			return
		}
		send()
	}
}

const tortureText = 60

// bySIP sends MESSAGE requests, each again until it is answered (RFC 3261, 17.1.2).
func (s *sender) bySIP(ctx context.Context) error {
	gateway, err := net.ResolveUDPAddr("udp", s.to)
	if err != nil {
		return err
	}
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	var answers sync.Map // number -> chan struct{}
	var reading, waiting sync.WaitGroup
	branch := []byte("z9hG4bK" + s.run)
	reading.Go(func() {
		b := make([]byte, 64<<10)
		for {
			size, _, err := conn.ReadFromUDP(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if status, n, ok := readResponse(b[:max(size, 0)], branch); ok && status >= 200 {
				state := stateAccepted
				if status >= 300 {
					state = stateRefused
				}
				s.settle(n, state, "")
				if answered, there := answers.LoadAndDelete(n); there {
					close(answered.(chan struct{}))
				}
			}
		}
	})
	s.each(ctx, func() {
		n := s.begin()
		request := s.request(conn.LocalAddr().String(), n)
		answered := make(chan struct{})
		answers.Store(n, answered)
		waiting.Go(func() {
			ended := time.After(s.timeout)
			for interval := timerT1; ; interval = min(2*interval, timerT2) {
				_, _ = conn.WriteToUDP(request, gateway) // what is lost is sent again
				select {
				case <-answered:
					return
				case <-ended:
					s.settle(n, stateUnanswered, "")
					return
				case <-time.After(interval):
				}
			}
		})
	})
	waiting.Wait()
	conn.Close()
	reading.Wait()
	return nil
}

func (s *sender) request(local string, n int) []byte {
	text, to := markText(s.run, n, tortureText), s.numbers.of(n)
	id := fmt.Sprintf("%s%0*d", s.run, numberWidth, n)
	return fmt.Appendf(nil, "MESSAGE sip:%s@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s;rport\r\nMax-Forwards: 70\r\n"+
		"From: <sip:+4915112345678@%s>;tag=%s\r\nTo: <sip:%s@%s>\r\nCall-ID: %s@%s\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\n"+
		"Content-Length: %d\r\n\r\n%s", to, s.to, local, id, local, id, to, s.to, id, local, len(text), text)
}

// account is the ESME of a torture: it binds again whenever it can, and takes its receipts until it is stopped.
type account struct {
	*sender
	current atomic.Pointer[gatewaytest.ESME]
	stopped chan struct{}
	running sync.WaitGroup
}

func newAccount(s *sender) *account {
	a := &account{sender: s, stopped: make(chan struct{})}
	a.running.Go(a.bind)
	return a
}

func (a *account) stop() {
	close(a.stopped)
	a.running.Wait()
}

func (a *account) bind() {
	for {
		esme, err := gatewaytest.NewESME(context.Background(), gatewaytest.ESMEConfig{
			Addr: a.to, SystemID: loadAccount, Password: loadAccount, Window: 100, AnswerTimeout: a.timeout, Keep: -1, OnDeliver: a.receipt,
		})
		if err == nil {
			a.current.Store(esme)
			select {
			case <-esme.Done():
			case <-a.stopped:
			}
			a.current.Store(nil)
			esme.Drop()
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-a.stopped:
			return
		}
	}
}

// send sends submit_sm while a bind is up.
func (a *account) send(ctx context.Context) error {
	a.each(ctx, func() {
		esme := a.current.Load()
		if esme == nil {
			return
		}
		n := a.begin()
		o := gatewaytest.Outgoing{From: "+4915112345678", To: a.numbers.of(n), Text: markText(a.run, n, tortureText), RegisteredDelivery: 1}
		if err := esme.Send(context.WithoutCancel(ctx), o, func(answer gatewaytest.Answer) {
			switch {
			case answer.Err != nil:
				a.settle(n, stateUnanswered, "")
			case answer.Status != gatewaytest.StatusOK:
				a.settle(n, stateRefused, "")
			default:
				a.settle(n, stateAccepted, answer.MessageID)
			}
		}); err != nil {
			a.settle(n, stateUnanswered, "")
		}
	})
	return nil
}

// receipt takes a deliver_sm: the final state of a message.
func (a *account) receipt(in gatewaytest.Incoming) gatewaytest.Action {
	text := string(in.Octets())
	_, id, _ := strings.Cut(text, "id:")
	id, _, _ = strings.Cut(id, " ")
	_, stat, _ := strings.Cut(text, "stat:")
	stat, _, _ = strings.Cut(stat, " ")
	if id != "" {
		a.report(id, stat)
	}
	return gatewaytest.Action{}
}

// bySMSC lets the SMSC send deliver_sm. It waits by itself while nobody is bound.
func (s *sender) bySMSC(ctx context.Context, smsc *farSMSC) error {
	s.each(ctx, func() {
		n := s.begin()
		d := gatewaytest.Deliver{From: "+4915112345678", To: s.numbers.of(n), Text: markText(s.run, n, tortureText)}
		done := func(status uint32, err error) {
			switch {
			case err != nil:
				s.settle(n, stateUnanswered, "")
			case status != gatewaytest.StatusOK:
				s.settle(n, stateRefused, "")
			default:
				s.settle(n, stateAccepted, "")
			}
		}
		if err := smsc.Send(d, done); err != nil {
			done(0, err)
		}
	})
	return nil
}

// byMI calls message_send, again with the same idempotency_key until it is answered.
func (s *sender) byMI(ctx context.Context) error {
	client := &http.Client{Timeout: s.timeout, Transport: &http.Transport{MaxIdleConnsPerHost: 64, MaxConnsPerHost: 64}}
	var waiting sync.WaitGroup
	s.each(ctx, func() {
		n := s.begin()
		waiting.Go(func() {
			for ended := time.Now().Add(s.timeout); time.Now().Before(ended); time.Sleep(50 * time.Millisecond) {
				id, code, err := s.call(client, n)
				switch {
				case err != nil:
					continue
				case code != 0:
					s.settle(n, stateRefused, "")
				default:
					s.settle(n, stateAccepted, id)
				}
				return
			}
			s.settle(n, stateUnanswered, "")
		})
	})
	waiting.Wait()
	client.CloseIdleConnections()
	return nil
}

// call sends message n: the id that the gateway gave it, or the code of the error that it answered with.
func (s *sender) call(client *http.Client, n int) (id string, code int, err error) {
	body := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"message_send","params":{"from":"+4915112345678","to":%q,"text":%q,"receipt":true,"idempotency_key":"%s-%d"}}`,
		n, s.numbers.of(n), markText(s.run, n, tortureText), s.run, n)
	resp, err := client.Post("http://"+s.to+"/mi", "application/json", bytes.NewReader(body))
	if err != nil {
		return "", 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return "", 0, err
	}
	var parsed struct {
		Result struct{ ID string }
		Error  *struct{ Code int }
	}
	switch err := json.Unmarshal(answer, &parsed); {
	case err != nil:
		return "", resp.StatusCode, nil
	case parsed.Error != nil:
		return "", parsed.Error.Code, nil
	}
	return parsed.Result.ID, 0, nil
}
