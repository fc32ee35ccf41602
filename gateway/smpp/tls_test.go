package smpp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"sipsmpp/gateway/sms"
)

// listenTLS is an echo that speaks TLS, and who vouches for it: its certificate is for example.com and 127.0.0.1.
func listenTLS(t *testing.T) (address string, roots *x509.CertPool) {
	donor := httptest.NewTLSServer(nil)
	certificates := donor.TLS.Certificates
	roots = x509.NewCertPool()
	roots.AddCert(donor.Certificate())
	donor.Close()

	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: certificates})
	if err != nil {
		t.Fatal(err)
	}
	var peers sync.WaitGroup
	t.Cleanup(func() { l.Close(); peers.Wait() })
	peers.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			peers.Go(func() { echo(conn) })
		}
	})
	return l.Addr().String(), roots
}

func TestTLS(t *testing.T) {
	address, roots := listenTLS(t)
	failed := make(chan struct{}, 1)
	h := &ready{up: make(chan struct{}, 1)}
	var dialer net.Dialer
	c := NewConnections(h, slog.New(slog.DiscardHandler), WithDial(
		func(ctx context.Context, network, peer string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if strings.HasPrefix(peer, "wrong.test") {
				conn = tellClose{conn, failed}
			}
			return conn, err
		}))
	c.roots = roots
	defer c.Close(t.Context())
	c.Apply([]sms.ConnectionConfig{row(func(c *sms.ConnectionConfig) { c.TLS, c.Host = true, "example.com" })})
	<-h.up
	got := make(chan sms.Outcome)
	c.Submit("acme", &sms.Message{To: sms.ParseAddress("1"), Text: "x"}, func(o sms.Outcome) { got <- o })
	if o := <-got; o.Fate != sms.Accepted {
		t.Fatalf("%+v", o)
	}

	// A certificate for another name is none.
	c.Apply([]sms.ConnectionConfig{row(func(c *sms.ConnectionConfig) { c.TLS, c.Host = true, "wrong.test" })})
	<-failed
	for deadline := time.Now().Add(5 * time.Second); ; {
		if b := c.Status()[0].Binds[0]; strings.Contains(b.LastError, "wrong.test") && b.State == BindWaiting {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v", c.Status()[0])
		}
	}
}

// tellClose tells when a socket is closed.
type tellClose struct {
	net.Conn
	closed chan struct{}
}

func (c tellClose) Close() error {
	err := c.Conn.Close()
	select {
	case c.closed <- struct{}{}:
	default:
	}
	return err
}
