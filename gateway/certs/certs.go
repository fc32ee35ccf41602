// Package certs reads our certificate, and who vouches for those of others, from PEM files: once, and again when the files have
// changed. While what they have is no good, what was read before stays in use.
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"sync"

	"sipsmpp/gateway/sms"
)

// Files are those of one section of the configuration. One that is empty is none.
type Files struct {
	Section   string // sip, smpp, mi
	Cert, Key string // our certificate, with who vouches for it, and its key: tls_cert and tls_key
	CA        string // who vouches for others
	CAKey     string // the key that names CA: tls_ca, tls_client_ca
}

// Check names what is missing, and looks into no file.
func (f Files) Check() []sms.Fault {
	if (f.Cert == "") == (f.Key == "") {
		return nil
	}
	missing := "tls_key"
	if f.Cert == "" {
		missing = "tls_cert"
	}
	return []sms.Fault{{Path: f.Section + "." + missing, Reason: "is missing: a certificate and its key belong together"}}
}

// CheckFiles names what is wrong with the files as they are now.
func (f Files) CheckFiles() []sms.Fault {
	_, _, faults := f.read()
	return faults
}

// Stamps gives of each file, by its key, what changes when the file does.
func (f Files) Stamps() map[string]string {
	stamps := make(map[string]string)
	for key, file := range map[string]string{"tls_cert": f.Cert, "tls_key": f.Key, f.CAKey: f.CA} {
		if file == "" {
			continue
		}
		stamps[f.Section+"."+key] = "missing"
		if info, err := os.Stat(file); err == nil {
			stamps[f.Section+"."+key] = fmt.Sprintf("%d %d", info.Size(), info.ModTime().UnixNano())
		}
	}
	return stamps
}

func (f Files) read() (cert *tls.Certificate, pool *x509.CertPool, faults []sms.Fault) {
	fault := func(key string, err error) {
		faults = append(faults, sms.Fault{Path: f.Section + "." + key, Reason: err.Error()})
	}
	if f.Cert != "" && f.Key != "" {
		pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			fault("tls_cert", err)
		}
		cert = &pair
	}
	if f.CA != "" {
		pem, err := os.ReadFile(f.CA)
		if pool = x509.NewCertPool(); err == nil && !pool.AppendCertsFromPEM(pem) {
			err = fmt.Errorf("%s has no certificate in PEM", f.CA)
		}
		if err != nil {
			fault(f.CAKey, err)
		}
	}
	return cert, pool, faults
}

// Certificates are what the files have. They are safe for any number of goroutines.
type Certificates struct {
	files Files
	log   *slog.Logger

	mu     sync.Mutex
	stamps map[string]string // of the files when they were read last
	cert   *tls.Certificate  // nil: there is none
	pool   *x509.CertPool    // nil: whom the system trusts
}

// Open reads the files. The error has every fault, each by its key.
func Open(files Files, log *slog.Logger) (*Certificates, error) {
	c := &Certificates{files: files, log: log, stamps: files.Stamps()}
	var faults []sms.Fault
	c.cert, c.pool, faults = files.read()
	errs := make([]error, len(faults))
	for i, f := range faults {
		errs[i] = f
	}
	return c, errors.Join(errs...)
}

// Current is what the files have now: our certificate, nil where there is none, and who vouches for others, nil where the system says.
func (c *Certificates) Current() (*tls.Certificate, *x509.CertPool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stamps := c.files.Stamps()
	if maps.Equal(stamps, c.stamps) {
		return c.cert, c.pool
	}
	c.stamps = stamps
	cert, pool, faults := c.files.read()
	for _, f := range faults {
		c.log.Error("a certificate changed and is no good; the one before stays in use", "fault", f.Error())
	}
	if len(faults) == 0 {
		c.cert, c.pool = cert, pool
		c.log.Info("the certificates were read again", "section", c.files.Section)
	}
	return c.cert, c.pool
}

var errNone = errors.New("there is no certificate")

// Server makes of config that of a listener: each connection has the certificate that there is then, and those of clients are believed
// that the CA vouches for.
func (c *Certificates) Server(config *tls.Config) *tls.Config {
	config.MinVersion = tls.VersionTLS12
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		cert, pool := c.Current()
		if cert == nil {
			return nil, errNone
		}
		its := config.Clone()
		its.Certificates, its.ClientCAs = []tls.Certificate{*cert}, pool
		return its, nil
	}
	return config
}
