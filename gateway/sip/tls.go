package sip

import "crypto/tls"

// serverTLS is how peers connect to us.
func (e *Endpoint) serverTLS() *tls.Config {
	c := &tls.Config{}
	if e.cfg.TLSVerifyClient {
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return e.certificates.Server(c)
}

// clientTLS is how we connect to a next hop: its certificate must be good for the host of its URI.
func (e *Endpoint) clientTLS(h *hop) *tls.Config {
	cert, pool := e.certificates.Current()
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: h.host, RootCAs: pool}
	if cert != nil {
		c.Certificates = []tls.Certificate{*cert}
	}
	return c
}
