package smpp

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
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

// authority issues certificates for a test, and says where its own is as a PEM file.
type authority struct {
	t           *testing.T
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	file        string
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	var octets []byte
	a.key, octets = a.sign(template, template, nil)
	a.certificate, _ = x509.ParseCertificate(octets)
	a.file = a.write("CERTIFICATE", octets)
	return a
}

// sign makes a key and a certificate for it, signed by a key, or by itself where there is none.
func (a *authority) sign(template, parent *x509.Certificate, by *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	if by == nil {
		by = key
	}
	octets, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		a.t.Fatal(err)
	}
	return key, octets
}

func (a *authority) write(kind string, octets []byte) string {
	a.t.Helper()
	file := filepath.Join(a.t.TempDir(), "pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: octets}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return file
}

// issue gives the files of a certificate for a name.
func (a *authority) issue(name string) (certificate, key string) {
	a.t.Helper()
	k, octets := a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.certificate, a.key)
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write("CERTIFICATE", octets), a.write("PRIVATE KEY", private)
}

// TestTLSFiles has a peer with a certificate for smsc.example that wants one of us.
func TestTLSFiles(t *testing.T) {
	ours, foreign := newAuthority(t), newAuthority(t)
	serverCert, serverKey := ours.issue("smsc.example")
	pair, err := tls.LoadX509KeyPair(serverCert, serverKey)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AddCert(ours.certificate)
	var names sync.Map // of the clients that came
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
		VerifyPeerCertificate: func(_ [][]byte, chains [][]*x509.Certificate) error {
			names.Store(chains[0][0].Subject.CommonName, true)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var peers sync.WaitGroup
	defer peers.Wait()
	defer l.Close()
	peers.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			peers.Go(func() { echo(conn) })
		}
	})
	host, portText, _ := net.SplitHostPort(l.Addr().String())
	port, _ := strconv.Atoi(portText)
	cert, key := ours.issue("gateway")

	try := func(change func(*sms.ConnectionConfig)) (*Connections, *ready) {
		h := &ready{up: make(chan struct{}, 10)}
		c := NewConnections(h, slog.New(slog.DiscardHandler))
		c.Apply([]sms.ConnectionConfig{row(change, func(c *sms.ConnectionConfig) { c.TLS, c.Host, c.Port = true, host, port })})
		return c, h
	}
	good := func(c *sms.ConnectionConfig) {
		c.TLSServerName = "smsc.example"
		c.TLSFiles = sms.TLSFiles{CA: ours.file, Cert: cert, Key: key}
	}
	for reason, change := range map[string]func(*sms.ConnectionConfig){ // "": the peer says no, or just hangs up
		"certificate signed by unknown authority": func(c *sms.ConnectionConfig) { c.TLSFiles.CA = foreign.file },
		"valid for smsc.example, not other.test":  func(c *sms.ConnectionConfig) { c.TLSServerName = "other.test" },
		"":                                        func(c *sms.ConnectionConfig) { c.TLSFiles.Cert, c.TLSFiles.Key = "", "" },
		"options.tls_ca: open ":                   func(c *sms.ConnectionConfig) { c.TLSFiles.CA += ".none" },
		"has no certificate in PEM":               func(c *sms.ConnectionConfig) { c.TLSFiles.CA = key },
		"options.tls_cert and tls_key":            func(c *sms.ConnectionConfig) { c.TLSFiles.Key = cert },
	} {
		c, _ := try(func(c *sms.ConnectionConfig) { good(c); change(c) })
		var last string
		for deadline := time.Now().Add(10 * time.Second); last == "" && time.Now().Before(deadline); runtime.Gosched() {
			last = c.Status()[0].Binds[0].LastError
		}
		if !strings.Contains(last, reason) || strings.Count(last, "tls: ") > 1 {
			t.Errorf("%q, want %s", last, reason)
		}
		c.Close(t.Context())
	}

	insecure, h := try(func(c *sms.ConnectionConfig) { c.TLSInsecure, c.TLSFiles.Cert, c.TLSFiles.Key = true, cert, key })
	<-h.up
	insecure.Close(t.Context())

	c, h := try(good)
	defer c.Close(t.Context())
	<-h.up
	first := c.Status()[0].Binds[0]
	// The next session has what the files hold then, and the one that stands is left alone.
	newCert, newKey := ours.issue("renewed")
	for from, to := range map[string]string{newCert: cert, newKey: key} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	if b := c.Status()[0].Binds[0]; b.ID != first.ID || b.State != BindBound {
		t.Errorf("%+v", b)
	}
	if _, early := names.Load("renewed"); early {
		t.Error("the new certificate was shown by a session that had the old one")
	}
	if err := c.Rebind("acme"); err != nil {
		t.Fatal(err)
	}
	<-h.up
	if _, shown := names.Load("renewed"); !shown {
		t.Error("the new certificate was not shown")
	}
}
