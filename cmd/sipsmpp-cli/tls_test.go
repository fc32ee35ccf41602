package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sipsmpp/events"
	"sipsmpp/gateway"
	"sipsmpp/mi/server"
)

// selfSigned makes a certificate that vouches for itself, with its key, in one PEM file.
func selfSigned(t *testing.T, name string) (file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, block := range []*pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "PRIVATE KEY", Bytes: private}} {
		if err := pem.Encode(&b, block); err != nil {
			t.Fatal(err)
		}
	}
	file = filepath.Join(t.TempDir(), name+".pem")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// With a client certificate no token is needed, for calls and for events alike.
func TestClientCertificate(t *testing.T) {
	ours, anna := selfSigned(t, "gw"), selfSigned(t, "anna")
	core := &fakeCore{hub: events.NewHub("gw", 10)}
	s := server.New(core, server.Options{
		Certificates: gateway.MIConfig{TLSCert: ours, TLSKey: ours, TLSClientCA: anna}.Certificates(), Tokens: []gateway.MIToken{{Name: "anna", Role: "admin", Certificate: "anna"}},
	})
	l, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
		<-served
	})
	url := "https://" + l.Addr().String() + "/mi"
	for _, tt := range []struct {
		args, want string
		code       int
	}{
		{"--ca " + ours + " --cert " + anna + " -x mi version", "sipsmpp", exitGood},
		{"--ca " + ours + " --cert " + anna + " --key " + anna + " -x mi version", "sipsmpp", exitGood},
		{"--ca " + ours + " -x mi version", "a token is wanted", exitFailed},
		{"-x mi version", "--ca FILE says who vouches", exitFailed},
		{"--ca /nonexistent -x mi version", "--ca: open /nonexistent", exitUsage},
		{"--key " + anna + " -x mi version", "--key wants --cert", exitUsage},
	} {
		code, out, errout := cli(t.Context(), "", append([]string{"-u", url}, strings.Fields(tt.args)...)...)
		if code != tt.code || !strings.Contains(out+errout, tt.want) {
			t.Errorf("%s: exit code %d, %s%s", tt.args, code, out, errout)
		}
	}
	core.hub.Publish(events.Reloaded{})
	if code, out, errout := cli(t.Context(), "", "-u", url, "--ca", ours, "--cert", anna, "-x", "diagnose"); !strings.Contains(out, "events looked through") {
		t.Errorf("exit code %d\n%s%s", code, out, errout)
	}
}
