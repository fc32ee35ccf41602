package certs

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// write makes a certificate with a serial number, in two files of a directory.
func write(t *testing.T, dir string, serial int64) (cert, key string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(nil, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	octets, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: octets}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestReadAgain(t *testing.T) {
	dir := t.TempDir()
	cert, key := write(t, dir, 1)
	var log strings.Builder
	c, err := Open(Files{Section: "smpp", Cert: cert, Key: key, CA: cert, CAKey: "tls_client_ca"}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	secure := c.Server(&tls.Config{})
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = tls.Server(conn, secure).Handshake()
			_ = conn.Close()
		}
	}()
	shown := func() int64 {
		t.Helper()
		conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if n := shown(); n != 1 {
		t.Errorf("certificate %d", n)
	}
	write(t, dir, 22)
	if n := shown(); n != 22 {
		t.Errorf("certificate %d after the files changed", n)
	}
	// One that is no good is told of once.
	log.Reset()
	if err := os.WriteFile(cert, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if n := shown(); n != 22 {
			t.Errorf("certificate %d after a file was spoilt", n)
		}
	}
	for _, path := range []string{"smpp.tls_cert: ", "smpp.tls_client_ca: "} {
		if n := strings.Count(log.String(), path); n != 1 {
			t.Errorf("%s is told of %d times:\n%s", path, n, log.String())
		}
	}
}

func TestFaults(t *testing.T) {
	dir := t.TempDir()
	cert, key := write(t, dir, 1)
	for _, test := range []struct {
		files Files
		want  string // the keys that are at fault
	}{
		{Files{}, ""},
		{Files{Cert: cert, Key: key, CA: cert}, ""},
		{Files{Cert: cert}, "x.tls_key"},
		{Files{Key: key}, "x.tls_cert"},
		{Files{Cert: key, Key: cert, CA: key}, "x.tls_cert x.tls_ca"},
		{Files{Cert: cert, Key: "/nonexistent", CA: "/nonexistent"}, "x.tls_cert x.tls_ca"},
	} {
		test.files.Section, test.files.CAKey = "x", "tls_ca"
		var got []string
		for _, f := range append(test.files.Check(), test.files.CheckFiles()...) {
			got = append(got, f.Path)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%+v: %v, want %s", test.files, got, test.want)
		}
	}
	if _, err := Open(Files{Section: "x", Cert: "/nonexistent", Key: key}, slog.New(slog.DiscardHandler)); err == nil || !strings.HasPrefix(err.Error(), "x.tls_cert: open /nonexistent") {
		t.Errorf("%v", err)
	}
	if _, err := new(Certificates).Server(&tls.Config{}).GetConfigForClient(nil); err == nil {
		t.Error("a listener without a certificate")
	}
}
