package server

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

// certificate is what HTTPS needs, from PEM files that are read again when they have changed. While the new ones are no good the
// old ones serve on.
type certificate struct {
	cert, key, ca string
	log           *slog.Logger

	mu     sync.Mutex
	stamp  string
	config *tls.Config
}

// newCertificate reads the files; it fails where they are no good.
func newCertificate(cert, key, clientCA string, log *slog.Logger) (*certificate, error) {
	c := &certificate{cert: cert, key: key, ca: clientCA, log: log}
	stamp := c.stamped()
	config, err := c.read()
	if err != nil {
		return nil, err
	}
	c.config, c.stamp = config, stamp
	return c, nil
}

// serving is the configuration of a listener.
func (c *certificate) serving() *tls.Config {
	base := c.config.Clone()
	base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current(), nil }
	return base
}

// current is what the files say now; nil where there are none.
func (c *certificate) current() *tls.Config {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if stamp := c.stamped(); stamp != c.stamp {
		c.stamp = stamp
		if config, err := c.read(); err != nil {
			c.log.Error("the MI keeps its old certificate: the new one is no good", "error", err)
		} else {
			c.config = config
			c.log.Info("the MI has a new certificate", "file", c.cert)
		}
	}
	return c.config
}

// stamped changes when one of the files does.
func (c *certificate) stamped() string {
	var stamp string
	for _, file := range []string{c.cert, c.key, c.ca} {
		if info, err := os.Stat(file); err == nil {
			stamp += fmt.Sprintf("%d %s;", info.Size(), info.ModTime().Format(time.RFC3339Nano))
		}
	}
	return stamp
}

func (c *certificate) read() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return nil, fmt.Errorf("mi.tls_cert: %w", err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	if c.ca == "" {
		return config, nil
	}
	pem, err := os.ReadFile(c.ca)
	if err != nil {
		return nil, fmt.Errorf("mi.tls_client_ca: %w", err)
	}
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("mi.tls_client_ca: no certificate in " + c.ca)
	}
	config.ClientAuth = tls.VerifyClientCertIfGiven
	return config, nil
}
