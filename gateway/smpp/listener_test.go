package smpp

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"sipsmpp/gateway/smpp/wire"
	"sipsmpp/gateway/sms"
)

// A listener of tls: speaks TLS alone, each connection with the certificate that there is then, and wants one where it is told to.
func TestListenerTLS(t *testing.T) {
	ca := newAuthority(t)
	config := func(name string) *tls.Config {
		certificate, err := tls.LoadX509KeyPair(ca.issue(name))
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AddCert(ca.certificate)
		return &tls.Config{Certificates: []tls.Certificate{certificate}, ClientCAs: pool, RootCAs: pool, ServerName: name}
	}
	var current atomic.Pointer[tls.Config]
	handler := &accountRecorder{}
	a := NewAccounts(handler, slog.New(slog.DiscardHandler), AccountsConfig{
		Listen: []string{"tls:127.0.0.1:0", "127.0.0.1:0"}, InitTimeout: 5 * time.Second, NextID: sms.NewIDs().Next,
		TLS: &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return current.Load(), nil }},
	})
	w := &smscWorld{t: t, accounts: a}
	defer w.close()
	a.Apply([]sms.AccountConfig{{SystemID: "shop", PasswordHash: secretHash, BindModes: sms.BindTransceiver, MaxBinds: 5, Enabled: true}})
	if err := a.Listen(); err != nil {
		t.Fatal(err)
	}
	a.Start()
	bind := func(conn net.Conn) {
		t.Helper()
		p := &peer{t: t, conn: conn, r: wire.NewReader(conn, 0)}
		p.send(wire.CmdBindTransceiver, 0, 1, &wire.Bind{SystemID: "shop", Password: "secret", InterfaceVersion: 0x34})
		p.want(wire.CmdBindTransceiverResp, 1, wire.StatusOK)
		p.send(wire.CmdUnbind, 0, 2, nil)
		p.want(wire.CmdUnbindResp, 2, wire.StatusOK)
		conn.Close()
	}
	secure, plain := a.Addrs()[0].String(), a.Addrs()[1].String()
	dial := func(client *tls.Config) (net.Conn, error) {
		conn, err := tls.Dial("tcp", secure, client)
		if err != nil {
			return nil, err
		}
		return conn, nil
	}
	esme := config("esme.example")
	for _, name := range []string{"old.example", "new.example"} {
		current.Store(config(name))
		esme.ServerName = name
		conn, err := dial(esme)
		if err != nil {
			t.Fatal(err)
		}
		bind(conn)
	}
	conn, err := net.Dial("tcp", plain)
	if err != nil {
		t.Fatal(err)
	}
	bind(conn)

	// Who speaks no TLS, or has no certificate where one is wanted, gets nowhere.
	strict := config("new.example")
	strict.ClientAuth = tls.RequireAndVerifyClientCert
	current.Store(strict)
	if conn, err = dial(esme); err != nil {
		t.Fatal(err)
	}
	bind(conn)
	stranger := &tls.Config{RootCAs: esme.RootCAs, ServerName: "new.example"}
	for _, open := range []func() (net.Conn, error){
		func() (net.Conn, error) { return net.Dial("tcp", secure) },
		func() (net.Conn, error) { return dial(stranger) },
	} {
		conn, err := open()
		if err != nil {
			continue
		}
		octets, _ := wire.Append(nil, wire.Header{Command: wire.CmdEnquireLink, Sequence: 1}, nil)
		_, _ = conn.Write(octets)
		if h, _, err := wire.NewReader(conn, 0).Next(); err == nil && h.Command == wire.CmdEnquireLinkResp {
			t.Error("a stranger gets an answer")
		}
		conn.Close()
	}
}

// Nothing stays open when one of several addresses is taken.
func TestListenOnATakenAddress(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	a := NewAccounts(&accountRecorder{}, slog.New(slog.DiscardHandler), AccountsConfig{Listen: []string{"127.0.0.1:0", taken.Addr().String()}})
	if err := a.Listen(); err == nil || len(a.Addrs()) != 0 {
		t.Errorf("%v, %v", err, a.Addrs())
	}
	(&smscWorld{t: t, accounts: a}).close()
}
