package sip

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificates are those of sip.tls_*, read again when their files change: looked at once a second at the most, and only when
// somebody connects.
type certificates struct {
	certFile, keyFile, caFile string
	log                       *slog.Logger

	mu       sync.Mutex
	looked   time.Time
	modified [3]time.Time
	cert     *tls.Certificate // nil: there is none
	pool     *x509.CertPool   // nil: the system's
}

func newCertificates(cfg *Config, log *slog.Logger) (*certificates, error) {
	c := &certificates{certFile: cfg.TLSCert, keyFile: cfg.TLSKey, caFile: cfg.TLSCA, log: log}
	return c, c.read()
}

// read reads the files. On an error what was read before stays.
func (c *certificates) read() error {
	var cert *tls.Certificate
	var pool *x509.CertPool
	if c.certFile != "" {
		pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
		if err != nil {
			return err
		}
		cert = &pair
	}
	if c.caFile != "" {
		pem, err := os.ReadFile(c.caFile)
		if err != nil {
			return err
		}
		if pool = x509.NewCertPool(); !pool.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s has no certificate in PEM", c.caFile)
		}
	}
	c.cert, c.pool, c.modified = cert, pool, c.times()
	return nil
}

func (c *certificates) times() (t [3]time.Time) {
	for i, name := range [3]string{c.certFile, c.keyFile, c.caFile} {
		if info, err := os.Stat(name); err == nil {
			t[i] = info.ModTime()
		}
	}
	return t
}

// current gives what the files have now.
func (c *certificates) current() (*tls.Certificate, *x509.CertPool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= time.Second {
		c.looked = now
		if c.times() != c.modified {
			if err := c.read(); err != nil {
				c.log.Error("the certificates of sip.tls_cert, tls_key and tls_ca changed and cannot be read; those before stay in use", "error", err)
			} else {
				c.log.Info("the certificates of sip.tls_cert, tls_key and tls_ca were read again")
			}
		}
	}
	return c.cert, c.pool
}

// serverTLS is how peers connect to us.
func (e *Endpoint) serverTLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			cert, pool := e.certificates.current()
			if cert == nil {
				return nil, errors.New("there is no certificate")
			}
			c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*cert}}
			if e.cfg.TLSVerifyClient {
				c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, pool
			}
			return c, nil
		},
	}
}

// clientTLS is how we connect to a next hop: its certificate must be good for the host of its URI.
func (e *Endpoint) clientTLS(h *hop) *tls.Config {
	cert, pool := e.certificates.current()
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: h.host, RootCAs: pool}
	if cert != nil {
		c.Certificates = []tls.Certificate{*cert}
	}
	return c
}
