package gatewaytest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
)

// UAMessage is a MESSAGE that a UserAgent got.
type UAMessage struct {
	From        string // the URI of From: sip:+4915112345678@example.com
	To          string // the Request-URI
	Text        string // the body as it is
	ContentType string
	MaxForwards int
}

// UserAgent is a SIP user agent for tests and the demo. It is built on sipgo's own server and client, so that the two ends of a
// test are not the same code; those keep 4 KB for each request for 32 s, so it is no load generator.
type UserAgent struct {
	ua       *sipgo.UserAgent
	client   *sipgo.Client
	addr     netip.AddrPort
	sockets  []io.Closer
	received chan UAMessage
	code     atomic.Int64
	tasks    sync.WaitGroup
}

// quiet turns off sipgo's own logger, which is one for the process and warns of its own bookkeeping.
var quiet = sync.OnceFunc(func() { sip.SetDefaultLogger(slog.New(slog.DiscardHandler)) })

// NewUserAgent listens on addr, by UDP and by TCP at the same port; port 0 takes a free one. It answers every MESSAGE with 200,
// until Answer says otherwise.
func NewUserAgent(addr string) (*UserAgent, error) {
	packets, listener, err := listenBoth(addr)
	if err != nil {
		return nil, err
	}
	u := &UserAgent{
		addr:     packets.LocalAddr().(*net.UDPAddr).AddrPort(),
		sockets:  []io.Closer{packets, listener},
		received: make(chan UAMessage, 1024),
	}
	u.code.Store(200)
	quiet()
	log := slog.New(slog.DiscardHandler)
	if u.ua, err = sipgo.NewUA(
		sipgo.WithUserAgentHostname(u.addr.Addr().String()),
		sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(log)),
		sipgo.WithUserAgentTransactionLayerOptions(sip.WithTransactionLayerLogger(log)),
	); err != nil {
		return nil, errors.Join(err, packets.Close(), listener.Close())
	}
	server, err := sipgo.NewServer(u.ua, sipgo.WithServerLogger(log))
	if err != nil {
		return nil, errors.Join(err, u.Close())
	}
	if u.client, err = sipgo.NewClient(u.ua, sipgo.WithClientLogger(log), sipgo.WithClientAddr(u.addr.String())); err != nil {
		return nil, errors.Join(err, u.Close())
	}
	server.OnMessage(u.message)
	server.OnOptions(func(req *sip.Request, tx sip.ServerTransaction) {
		_ = tx.Respond(sip.NewResponseFromRequest(req, 200, "OK", nil))
	})
	u.tasks.Go(func() { _ = server.ServeUDP(packets) }) // ends when Close closes the socket
	u.tasks.Go(func() { _ = server.ServeTCP(listener) })
	return u, nil
}

// listenBoth opens both transports at one port. A free port of the one may be taken in the other, so it tries some.
func listenBoth(addr string) (net.PacketConn, net.Listener, error) {
	for attempt := 0; ; attempt++ {
		packets, err := net.ListenPacket("udp", addr)
		if err != nil {
			return nil, nil, err
		}
		listener, err := net.Listen("tcp", packets.LocalAddr().String())
		if err == nil {
			return packets, listener, nil
		}
		_ = packets.Close()
		if attempt == 10 || !strings.HasSuffix(addr, ":0") {
			return nil, nil, err
		}
	}
}

func (u *UserAgent) message(req *sip.Request, tx sip.ServerTransaction) {
	code := int(u.code.Load())
	m := UAMessage{To: req.Recipient.String(), Text: string(req.Body())}
	if from := req.From(); from != nil {
		m.From = from.Address.String()
	}
	if h := req.MaxForwards(); h != nil {
		m.MaxForwards = int(h.Val())
	}
	if h := req.ContentType(); h != nil {
		m.ContentType = h.Value()
	}
	select {
	case u.received <- m:
	default:
		code = 503 // nobody reads Received
	}
	_ = tx.Respond(sip.NewResponseFromRequest(req, code, "", nil)) // a sender that is gone does not matter here
}

// Addr is the host and port of both transports.
func (u *UserAgent) Addr() string { return u.addr.String() }

// Received are the messages that came, in the order that they were answered. 1,024 wait; beyond that MESSAGE gets 503.
func (u *UserAgent) Received() <-chan UAMessage { return u.received }

// Answer sets the response code that a MESSAGE gets from now on.
func (u *UserAgent) Answer(code int) { u.code.Store(int64(code)) }

// Send sends text to the URI to, "sip:+4915112345678@127.0.0.1:5060;transport=tcp", and gives the final response code. from is
// the user part of From, or a whole URI. The error is that of the transport or of ctx; then there was no response.
func (u *UserAgent) Send(ctx context.Context, to, from, text string) (code int, err error) {
	return u.SendBody(ctx, to, from, "text/plain;charset=UTF-8", text)
}

// SendBody is Send for a body of any type.
func (u *UserAgent) SendBody(ctx context.Context, to, from, contentType, body string) (code int, err error) {
	req, err := u.request(to, from, contentType, body)
	if err != nil {
		return 0, err
	}
	res, err := u.client.Do(ctx, req)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, nil
}

// SendAs is Send with credentials, which answer a challenge once.
func (u *UserAgent) SendAs(ctx context.Context, user, password, to, from, text string) (code int, err error) {
	req, err := u.request(to, from, "text/plain;charset=UTF-8", text)
	if err != nil {
		return 0, err
	}
	res, err := u.client.Do(ctx, req)
	if err == nil && (res.StatusCode == 401 || res.StatusCode == 407) {
		res, err = u.client.DoDigestAuth(ctx, req, res, sipgo.DigestAuth{Username: user, Password: password})
	}
	if err != nil {
		return 0, err
	}
	return res.StatusCode, nil
}

func (u *UserAgent) request(to, from, contentType, body string) (*sip.Request, error) {
	var recipient, sender sip.Uri
	if err := sip.ParseUri(to, &recipient); err != nil {
		return nil, fmt.Errorf("to %q: %w", to, err)
	}
	if !strings.HasPrefix(from, "sip:") && !strings.HasPrefix(from, "sips:") && !strings.HasPrefix(from, "tel:") {
		from = "sip:" + from + "@" + u.addr.Addr().String()
	}
	if err := sip.ParseUri(from, &sender); err != nil {
		return nil, fmt.Errorf("from %q: %w", from, err)
	}
	req := sip.NewRequest(sip.MESSAGE, recipient)
	header := &sip.FromHeader{Address: sender}
	header.Params.Add("tag", sip.GenerateTagN(16))
	req.AppendHeader(header)
	req.AppendHeader(sip.NewHeader("Content-Type", contentType))
	req.SetBody([]byte(body))
	return req, nil
}

// Close ends it.
func (u *UserAgent) Close() error {
	err := u.ua.Close()
	for _, s := range u.sockets {
		if e := s.Close(); e != nil && !errors.Is(e, net.ErrClosed) {
			err = errors.Join(err, e)
		}
	}
	u.tasks.Wait()
	return err
}
