package gateway

import (
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"sipsmpp/gateway/certs"
	"sipsmpp/gateway/sms"
)

// MIToken is an entry of `mi.tokens`: who may call the MI, known by a bearer token or a client certificate, and what for.
type MIToken struct {
	Name string `yaml:"name"` // as the log and E_MI_CHANGED call it
	// Hash is the SHA-256 of the token in hexadecimal digits, or file:PATH of a file that holds it. The token itself is nowhere.
	Hash string `yaml:"hash"`
	// Certificate is the common name of a client certificate that one of mi.tls_client_ca signed; in place of Hash.
	Certificate string `yaml:"certificate"`
	Role        string `yaml:"role"` // admin, operator, app, read

	// What an app may do. What is not named it may not.
	Senders     List `yaml:"senders"`     // shell patterns on `from` of message_send
	Connections List `yaml:"connections"` // shell patterns on the names of connections that it may send by and hear of
	Events      List `yaml:"events"`      // shell patterns on the names of events that it may get
	Throughput  int  `yaml:"throughput"`  // messages a second; 0 is no limit
}

// ReadHash gives the hash, read from its file where it is in one.
func (t MIToken) ReadHash() (string, error) {
	hash := t.Hash
	if file, ok := strings.CutPrefix(hash, "file:"); ok {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		hash = strings.TrimSpace(string(data))
	}
	if b, err := hex.DecodeString(hash); err != nil || len(b) != 32 {
		return "", fmt.Errorf("want the SHA-256 of a token, 64 hexadecimal digits: sipsmpp-cli token makes a token and its hash")
	}
	return strings.ToLower(hash), nil
}

// Certificates are the files of HTTPS.
func (c MIConfig) Certificates() certs.Files {
	return certs.Files{Section: "mi", Cert: c.TLSCert, Key: c.TLSKey, CA: c.TLSClientCA, CAKey: "tls_client_ca"}
}

// checkAccess names the faults of who may call the MI.
func (c MIConfig) checkAccess() []sms.Fault {
	var faults []sms.Fault
	fault := func(path, format string, args ...any) {
		faults = append(faults, sms.Fault{Path: path, Reason: fmt.Sprintf(format, args...)})
	}
	faults = append(faults, c.Certificates().Check()...)
	if c.TLSClientCA != "" && c.TLSCert == "" {
		fault("mi.tls_client_ca", "client certificates want HTTPS: set mi.tls_cert and mi.tls_key")
	}
	if c.MaxConnections < 8 {
		fault("mi.max_connections", "%d would lock out who is to rule the gateway: want 8 or more", c.MaxConnections)
	}
	if c.MaxBody < 64<<10 || c.MaxBody > 64<<20 {
		fault("mi.max_body", "%d is not between 65536 and 67108864", c.MaxBody)
	}
	names := make(map[string]bool)
	for i, t := range c.Tokens {
		at := "mi.tokens[" + strconv.Itoa(i) + "]."
		switch {
		case t.Name == "":
			fault(at+"name", "missing: the log says by it who did what")
		case names[t.Name]:
			fault(at+"name", "%q is taken by another token", t.Name)
		}
		names[t.Name] = true
		switch {
		case t.Certificate != "" && t.Hash != "":
			fault(at+"certificate", "want hash or certificate, not both")
		case t.Certificate != "" && c.TLSClientCA == "":
			fault(at+"certificate", "want mi.tls_client_ca, which says whose certificates are believed")
		case t.Certificate == "":
			if _, err := t.ReadHash(); err != nil {
				fault(at+"hash", "%v", err)
			}
		}
		switch t.Role {
		case "admin", "operator", "read":
			if t.Senders != nil || t.Connections != nil || t.Events != nil || t.Throughput != 0 {
				fault(at+"role", "senders, connections, events and throughput are limits of role app")
			}
		case "app":
		default:
			fault(at+"role", "%q is not admin, operator, app or read", t.Role)
		}
		for key, patterns := range map[string]List{"senders": t.Senders, "connections": t.Connections, "events": t.Events} {
			for _, p := range patterns {
				if _, err := path.Match(p, ""); err != nil || p == "" {
					fault(at+key, "%q is no shell pattern", p)
				}
			}
		}
		if t.Throughput < 0 {
			fault(at+"throughput", "is negative")
		}
	}
	return faults
}
