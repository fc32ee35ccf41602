package smpp

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
)

// ofTLS says of an error that it is one of TLS, as most do themselves.
func ofTLS(err error) error {
	if strings.HasPrefix(err.Error(), "tls: ") {
		return err
	}
	return fmt.Errorf("tls: %w", err)
}

// tlsConfig is how a session of the connection speaks TLS. The files are read here, so that each new session has what they hold
// then, and a session that stands keeps what it began with.
func (c *connection) tlsConfig() (*tls.Config, error) {
	files := c.cfg.TLSFiles
	config := &tls.Config{ServerName: c.cfg.TLSServerName, InsecureSkipVerify: c.cfg.TLSInsecure, RootCAs: c.all.roots}
	if config.ServerName == "" {
		config.ServerName = c.cfg.Host
	}
	if files.CA != "" {
		pem, err := os.ReadFile(files.CA)
		if err != nil {
			return nil, fmt.Errorf("options.tls_ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("options.tls_ca: %s has no certificate in PEM", files.CA)
		}
	}
	if files.Cert != "" {
		certificate, err := tls.LoadX509KeyPair(files.Cert, files.Key)
		if err != nil {
			return nil, fmt.Errorf("options.tls_cert and tls_key: %w", err)
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	return config, nil
}
