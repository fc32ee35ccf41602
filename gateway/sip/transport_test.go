package sip

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sipsmpp/gateway/sms"

	"github.com/gorilla/websocket"
)

// certify writes a certificate of its own authority for localhost, and gives the names of its files.
func certify(t testing.TB, dir string, serial int64) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// openAll is an endpoint with one listener of each transport.
func openAll(t *testing.T, cfg Config, h handlerFunc) *Endpoint {
	t.Helper()
	cfg.TLSCert, cfg.TLSKey = certify(t, t.TempDir(), 1)
	cfg.TLSCA = cfg.TLSCert
	cfg.Listen = []string{"udp:127.0.0.1:0", "tcp:127.0.0.1:0", "tls:127.0.0.1:0", "ws:127.0.0.1:0", "wss:127.0.0.1:0"}
	return open(t, cfg, h)
}

// TestTransports: one endpoint's message reaches another by each transport, also a large one, and is answered.
func TestTransports(t *testing.T) {
	got := make(chan *sms.Message, 1)
	server := openAll(t, Config{}, func(m *sms.Message, answer func(int, time.Duration)) {
		got <- m
		answer(202, 0)
	})
	for by := byUDP; by < transports; by++ {
		port := addrPort(server.Addrs()[by]).Port()
		client := open(t, Config{
			OutboundURI: []string{fmt.Sprintf("sip:127.0.0.1:%d;transport=%s", port, by)}, TLSCA: server.cfg.TLSCA,
			Listen: []string{"udp:127.0.0.1:0"},
		}, nil)
		for _, text := range []string{"grüß dich", strings.Repeat("long ", 1000)} {
			if by == byUDP && len(text) > maxDatagram {
				continue // by TCP, and nobody is there at that port
			}
			done := make(chan sms.Outcome, 1)
			client.Send(&sms.Message{From: sms.ParseAddress("100"), To: sms.ParseAddress("+491"), Text: text}, func(o sms.Outcome) { done <- o })
			if o := <-done; o.Fate != sms.Accepted {
				t.Fatalf("by %s: %+v", by, o)
			}
			if m := <-got; m.Text != text || !strings.HasPrefix(m.Peer, by.String()+":127.0.0.1:") {
				t.Errorf("by %s: %+v", by, m)
			}
		}
	}
	if n := server.Stats().Connections; n != 4 {
		t.Errorf("%d connections", n)
	}
}

func TestTLSNames(t *testing.T) {
	server := openAll(t, Config{}, nil)
	port := addrPort(server.Addrs()[byTLS]).Port()
	for _, cfg := range []Config{
		{OutboundURI: []string{fmt.Sprintf("sip:127.0.0.1:%d;transport=tls", port)}},                                  // an authority that nobody knows
		{OutboundURI: []string{fmt.Sprintf("sip:127.0.0.2:%d;transport=tls", port)}, TLSCA: server.cfg.TLSCA},         // another's name
		{OutboundURI: []string{fmt.Sprintf("sip:127.0.0.1:%d;transport=wss", port)}, TLSCA: server.cfg.TLSCA},         // no WebSocket there
		{OutboundURI: []string{fmt.Sprintf("sip:127.0.0.1:%d;transport=ws", addrPort(server.Addrs()[byTCP]).Port())}}, // nor there
	} {
		cfg.Listen, cfg.HandshakeTimeout = []string{"udp:127.0.0.1:0"}, 200*time.Millisecond
		client := open(t, cfg, nil)
		done := make(chan sms.Outcome, 1)
		client.Send(&sms.Message{From: sms.ParseAddress("100"), To: sms.ParseAddress("+491"), Text: "x"}, func(o sms.Outcome) { done <- o })
		if o := <-done; o.Fate != sms.NotSent || o.Cause != sms.CauseNotReady {
			t.Errorf("%v: %+v", cfg.OutboundURI, o)
		}
	}
}

func TestCertificatesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	cert, key := certify(t, dir, 1)
	e := open(t, Config{TLSCert: cert, TLSKey: key, Listen: []string{"tls:127.0.0.1:0"}}, nil)
	serial := func() int64 {
		t.Helper()
		conn, err := tls.Dial("tcp", e.Addrs()[0].String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	change := func(at time.Time) {
		t.Helper()
		for _, name := range []string{cert, key} {
			if err := os.Chtimes(name, at, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := serial(); n != 1 {
		t.Errorf("certificate %d", n)
	}
	certify(t, dir, 2)
	change(time.Now().Add(time.Minute))
	if n := serial(); n != 2 {
		t.Errorf("certificate %d after the files changed", n)
	}
	if err := os.WriteFile(key, []byte("half written"), 0o600); err != nil {
		t.Fatal(err)
	}
	change(time.Now().Add(2 * time.Minute))
	if n := serial(); n != 2 {
		t.Errorf("certificate %d after a file was spoilt", n)
	}
}

func TestClientCertificates(t *testing.T) {
	e := openAll(t, Config{TLSVerifyClient: true}, nil)
	pair, err := tls.LoadX509KeyPair(e.cfg.TLSCert, e.cfg.TLSKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, certificates := range [][]tls.Certificate{nil, {pair}} {
		conn, err := tls.Dial("tcp", e.Addrs()[byTLS].String(), &tls.Config{InsecureSkipVerify: true, Certificates: certificates})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprint(conn, aMessage())
		line, _ := bufio.NewReader(conn).ReadString('\n')
		if strings.HasPrefix(line, "SIP/2.0 202") != (len(certificates) > 0) {
			t.Errorf("with %d certificates: %q", len(certificates), line)
		}
		_ = conn.Close()
	}
}

// A handshake that does not go on holds up nobody, and ends.
func TestStalledHandshakes(t *testing.T) {
	e := openAll(t, Config{HandshakeTimeout: 100 * time.Millisecond}, nil)
	for by := byTLS; by < transports; by++ {
		conn, err := net.Dial("tcp", e.Addrs()[by].String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := bufio.NewReader(conn).ReadByte(); err == nil || strings.Contains(err.Error(), "timeout") {
			t.Errorf("by %s: %v", by, err)
		}
	}
}

func TestWebSocket(t *testing.T) {
	e := openAll(t, Config{MaxBody: 100}, nil)
	address := "ws://" + e.Addrs()[byWS].String() + "/"
	dial := func(subprotocol string, header http.Header) (*websocket.Conn, *http.Response, error) {
		return (&websocket.Dialer{Subprotocols: []string{subprotocol}}).Dial(address, header)
	}
	if _, response, err := dial("xmpp", nil); err == nil || response == nil || response.StatusCode != 400 {
		t.Errorf("subprotocol xmpp: %v", err)
	}
	ws, _, err := dial("sip", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	ask := func(ws *websocket.Conn, request string) string {
		t.Helper()
		if err := ws.WriteMessage(websocket.TextMessage, []byte(request)); err != nil {
			t.Fatal(err)
		}
		_, answer, err := ws.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		return string(answer)
	}
	for request, want := range map[string]string{
		aMessage("Content-Length: 5\r\n", ""): "SIP/2.0 202 ", // RFC 7118, 5: it may be left out
		method("INVITE", "c1@", "c2@"):        "SIP/2.0 405 ",
		aMessage("c1@", "c3@", "Content-Length: 5", "Content-Length: 200", "hello", strings.Repeat("x", 200)): "SIP/2.0 413 ",
		"\r\n\r\n": "\r\n",
	} {
		if answer := ask(ws, request); !strings.HasPrefix(answer, want) {
			t.Errorf("%q, want %s", answer, want)
		}
	}
	// What is no SIP has no answer, and the connection lives.
	if err := ws.WriteMessage(websocket.BinaryMessage, []byte("\x00\x01")); err != nil {
		t.Fatal(err)
	}
	if answer := ask(ws, aMessage("c1@", "c4@")); !strings.HasPrefix(answer, "SIP/2.0 202 ") {
		t.Errorf("%q", answer)
	}
	// A page in a browser is not whom we trust, though it runs on this very host.
	page, _, err := dial("sip", http.Header{"Origin": {"https://evil.example"}})
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	if answer := ask(page, aMessage("c1@", "c5@")); !strings.HasPrefix(answer, "SIP/2.0 403 ") {
		t.Errorf("%q", answer)
	}
	// What is too large ends the connection.
	if err := ws.WriteMessage(websocket.TextMessage, make([]byte, maxHead+101)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.ReadMessage(); err == nil {
		t.Error("a message beyond all bounds is read")
	}
}

func TestTooManyWebSockets(t *testing.T) {
	e := openAll(t, Config{MaxConnections: 4, Trusted: []netip.Prefix{}}, nil)
	for i := range 3 {
		ws, _, err := (&websocket.Dialer{Subprotocols: []string{"sip"}}).Dial("ws://"+e.Addrs()[byWS].String()+"/", nil)
		if (err == nil) != (i < 2) {
			t.Errorf("connection %d: %v", i, err)
		}
		if err == nil {
			defer ws.Close()
		}
	}
}
