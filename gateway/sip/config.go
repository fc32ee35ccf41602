package sip

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"sipsmpp/gateway/certs"
	"sipsmpp/gateway/gather"
	"sipsmpp/gateway/sms"

	"github.com/emiago/sipgo/sip"
)

// Config says where the endpoint listens, whom it believes and where it sends. The zero value listens on loopback, trusts
// loopback and has no next hop.
type Config struct {
	// Listen are the listeners: "udp:127.0.0.1:5060", "tcp:127.0.0.1:5060". Port 0 takes a free one. None: those two. On a host
	// with several addresses name the one for each udp: listener; on 0.0.0.0 the kernel picks the source address of an answer.
	Listen []string
	// OutboundURI are the next hops of messages to SIP: "sip:host:port;transport=udp". The first that can be reached is used.
	// The transport is udp where the URI names none, the port 5060. Its other parameters, such as user=phone, go into the
	// Request-URI.
	OutboundURI []string
	// OutboundUser and OutboundPassword are our credentials with next hops that ask for some; the user and password of a URI,
	// sip:user:password@host, are those of that next hop. The password may be file:PATH.
	OutboundUser, OutboundPassword string
	// UDPSafe are the networks that datagrams of any size arrive in. Elsewhere a request over 1300 octets goes by TCP
	// (RFC 3261, 18.1.1), also to a next hop or a contact whose transport is UDP. Nil: loopback.
	UDPSafe []netip.Prefix
	// Domain is the host part of the From of what is sent. Empty: the first listener's host.
	Domain string
	// Trusted are the networks that may send without credentials, and whose P-Asserted-Identity is believed. Nil: loopback.
	Trusted []netip.Prefix

	// Realm is what users give their credentials for. Empty: Domain. The hashes of table sip_user are made for it.
	Realm string
	// Algorithms are those of digest that are offered to senders who need credentials, the best first. Nil: SHA-256, MD5.
	Algorithms []string
	// Reports is what a sender gets who asked for no notification: ReportsNone (or empty), or ReportsText.
	Reports string

	MaxBody        int // octets of a request's body; 413 beyond. 0: 20,000
	MaxInProgress  int // requests handed over and not answered yet; 503 beyond. 0: 10,000
	MaxPending     int // messages sent and not answered yet; not sent beyond. 0: 10,000
	MaxConnections int // connections that peers opened to us, half of it for who is not trusted. 0: 1,000
	// TLSCert and TLSKey are PEM files with our certificate: on tls: and wss: listeners, and towards next hops that ask for one.
	// They, and TLSCA, are read again when they change. TLSCA has who vouches for next hops, and for peers where
	// TLSVerifyClient wants their certificate; empty: whom the system trusts.
	TLSCert, TLSKey, TLSCA string
	TLSVerifyClient        bool

	HandshakeTimeout time.Duration // of TLS and WebSocket. 0: 5 s
	IdleTimeout      time.Duration // after which a connection without a message is closed. 0: 10 minutes

	// OneAtATime lets a message to an address wait until the one before it is answered, also by next hops of OutboundURI; else these
	// are trunks, which carry as much as they are given. Contacts of registered users always get one at a time (RFC 3428, 8).
	OneAtATime bool

	// Registrar lets users register. A registration holds for the time that it asks for, within MinExpires and MaxExpires; a user
	// may have MaxContacts.
	Registrar              bool
	MaxContacts            int           // 0: 10
	MinExpires, MaxExpires time.Duration // 0: 1 minute, 1 hour

	// ProbeInterval is how often OPTIONS asks each next hop of OutboundURI whether it is there. 0: never.
	ProbeInterval time.Duration

	// Gather has the batches that are worked on elsewhere in the gateway: what comes of one leaves when it ends. Nil: there are no
	// others.
	Gather *gather.Group

	T1     time.Duration // RFC 3261, 17.1.1.1: estimate of the round trip. 0: 500 ms
	T2     time.Duration // the longest time between retransmissions. 0: 4 s
	TimerF time.Duration // how long an answer is waited for (RFC 3261, 17.1.2.2). 0: 32 s
}

// The values of Config.Reports.
const (
	ReportsNone = "none" // nothing
	ReportsText = "text" // a text that says what became of the message
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func (c Config) withDefaults() Config {
	if len(c.Listen) == 0 {
		c.Listen = []string{"udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"}
	}
	if c.Trusted == nil {
		c.Trusted = loopback
	}
	if c.Gather == nil {
		c.Gather = new(gather.Group)
	}
	if c.UDPSafe == nil {
		c.UDPSafe = loopback
	}
	if len(c.Algorithms) == 0 {
		c.Algorithms = []string{"SHA-256", "MD5"}
	}
	for _, d := range []struct {
		value *int
		or    int
	}{
		{&c.MaxBody, 20_000}, {&c.MaxInProgress, 10_000}, {&c.MaxPending, 10_000}, {&c.MaxConnections, 1_000}, {&c.MaxContacts, 10},
	} {
		if *d.value == 0 {
			*d.value = d.or
		}
	}
	for _, d := range []struct {
		value *time.Duration
		or    time.Duration
	}{
		{&c.HandshakeTimeout, 5 * time.Second}, {&c.IdleTimeout, 10 * time.Minute}, {&c.T1, 500 * time.Millisecond}, {&c.T2, 4 * time.Second},
		{&c.TimerF, 32 * time.Second}, {&c.MinExpires, time.Minute}, {&c.MaxExpires, time.Hour},
	} {
		if *d.value == 0 {
			*d.value = d.or
		}
	}
	return c
}

// Check gives every fault of the configuration, each by its path: sip.listen[1], sip.outbound_uri[0]. It opens nothing and asks
// no name server.
func Check(cfg Config) []sms.Fault {
	cfg = cfg.withDefaults()
	var faults []sms.Fault
	fault := func(path, format string, args ...any) {
		faults = append(faults, sms.Fault{Path: path, Reason: fmt.Sprintf(format, args...)})
	}
	udp := false
	for i, s := range cfg.Listen {
		network, _, err := parseListen(s)
		if err != nil {
			fault(fmt.Sprintf("sip.listen[%d]", i), "%v", err)
		}
		udp = udp || network == byUDP
		if err == nil && network.secure() && cfg.TLSCert == "" {
			fault(fmt.Sprintf("sip.listen[%d]", i), "%q needs a certificate: set sip.tls_cert and sip.tls_key", s)
		}
	}
	for i, s := range cfg.OutboundURI {
		path := fmt.Sprintf("sip.outbound_uri[%d]", i)
		h, err := parseHop(s)
		switch {
		case err != nil:
			fault(path, "%v", err)
		case h.transport == byUDP && !udp:
			fault(path, "goes by udp, and sip.listen has no udp: listener to send from; add one, or ;transport=tcp here")
		}
	}
	faults = append(faults, cfg.files().Check()...)
	if cfg.TLSVerifyClient && cfg.TLSCA == "" {
		fault("sip.tls_ca", "is missing: sip.tls_verify_client needs who vouches for the peers")
	}
	if cfg.OutboundPassword != "" && cfg.OutboundUser == "" {
		fault("sip.outbound_user", "is missing beside sip.outbound_password")
	}
	if _, err := cfg.password(); err != nil {
		fault("sip.outbound_password", "%v", err)
	}
	if n := len(cfg.OutboundURI); n > maxHops {
		fault("sip.outbound_uri", "has %d next hops; at most %d are possible", n, maxHops)
	}
	if strings.ContainsFunc(cfg.Domain, func(r rune) bool { return !isHostRune(r) }) {
		fault("sip.domain", "%q is no host name or address", cfg.Domain)
	}
	if strings.ContainsFunc(cfg.Realm, func(r rune) bool { return r < ' ' || r == 0x7f || r == '"' || r == '\\' }) {
		fault("sip.realm", "%q has quotes, backslashes or control characters", cfg.Realm)
	}
	for i, a := range cfg.Algorithms {
		if a != "SHA-256" && a != "MD5" {
			fault(fmt.Sprintf("sip.auth_algorithms[%d]", i), "%q is neither SHA-256 nor MD5", a)
		}
	}
	switch cfg.Reports {
	case "", ReportsNone, ReportsText:
	default:
		fault("sip.reports", "%q is neither none nor text", cfg.Reports)
	}
	for path, networks := range map[string][]netip.Prefix{"sip.trusted": cfg.Trusted, "sip.udp_safe": cfg.UDPSafe} {
		for i, p := range networks {
			if !p.IsValid() {
				fault(fmt.Sprintf("%s[%d]", path, i), "is no network: want an address and a prefix length, 10.0.0.0/8")
			}
		}
	}
	for _, n := range []struct {
		path  string
		value int
	}{
		{"sip.max_body", cfg.MaxBody}, {"sip.max_in_progress", cfg.MaxInProgress}, {"sip.max_pending", cfg.MaxPending},
		{"sip.max_connections", cfg.MaxConnections}, {"sip.max_contacts", cfg.MaxContacts},
	} {
		if n.value < 0 {
			fault(n.path, "%d is below 0", n.value)
		}
	}
	for _, d := range []struct {
		path  string
		value time.Duration
	}{
		{"sip.handshake_timeout", cfg.HandshakeTimeout}, {"sip.idle_timeout", cfg.IdleTimeout}, {"sip.probe_interval", cfg.ProbeInterval}, {"sip.t1", cfg.T1}, {"sip.t2", cfg.T2}, {"sip.timer_f", cfg.TimerF},
	} {
		if d.value < 0 {
			fault(d.path, "%v is below 0", d.value)
		}
	}
	// RFC 3261, 10.3 and 20.23: a registrar refuses what is too short, and never what is an hour.
	if cfg.MinExpires < time.Second || cfg.MinExpires > time.Hour {
		fault("sip.min_expires", "%v is none of 1s to 1h", cfg.MinExpires)
	}
	if cfg.MaxExpires < cfg.MinExpires {
		fault("sip.max_expires", "%v is below sip.min_expires", cfg.MaxExpires)
	}
	return faults
}

// files are those of certificates.
func (c Config) files() certs.Files {
	return certs.Files{Section: "sip", Cert: c.TLSCert, Key: c.TLSKey, CA: c.TLSCA, CAKey: "tls_ca"}
}

// password is OutboundPassword, read from its file if it names one.
func (c Config) password() (string, error) {
	path, file := strings.CutPrefix(c.OutboundPassword, "file:")
	if !file {
		return c.OutboundPassword, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err // names the file
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// parseListen parts "udp:127.0.0.1:5060" into transport and address.
func parseListen(s string) (network transport, address string, err error) {
	name, address, _ := strings.Cut(s, ":")
	network, ok := parseTransport(name)
	if !ok {
		return 0, "", fmt.Errorf("%q: want udp:ADDRESS:PORT, or tcp:, tls:, ws: or wss: before it", s)
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0, "", fmt.Errorf("%q: want %s:ADDRESS:PORT, an IPv6 address in brackets", s, network)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return 0, "", fmt.Errorf("%q: port %q is none of 0 to 65535", s, port)
	}
	return network, address, nil
}

// parseHop reads one URI of sip.outbound_uri.
func parseHop(s string) (*hop, error) {
	var uri sip.Uri
	err := sip.ParseUri(s, &uri)
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		s = "sip:" + s[i+1:] // what is told of the next hop must not tell the password
	}
	if err != nil || uri.Scheme != "sip" || uri.Host == "" ||
		strings.ContainsFunc(uri.Host, func(r rune) bool { return !isHostRune(r) }) {
		return nil, fmt.Errorf("%q: want sip:HOST:PORT;transport=udp", s)
	}
	if len(uri.Headers) > 0 {
		return nil, fmt.Errorf("%q: has headers; a next hop is sip:HOST:PORT;transport=udp", s)
	}
	if uri.Port < 0 || uri.Port > 65535 {
		return nil, fmt.Errorf("%q: port %d is none of 1 to 65535", s, uri.Port)
	}
	h := &hop{uri: s, host: strings.Trim(uri.Host, "[]"), port: uri.Port}
	if uri.User != "" {
		h.credentials = &credentials{user: unescape(uri.User), password: unescape(uri.Password)}
	}
	var tail strings.Builder
	tail.WriteString(uri.Host)
	if uri.Port > 0 {
		fmt.Fprintf(&tail, ":%d", uri.Port)
	}
	h.address = tail.String()
	for _, p := range uri.UriParams {
		switch strings.ToLower(p.K) {
		case "transport":
			var ok bool
			if h.transport, ok = parseTransport(strings.ToLower(p.V)); !ok {
				return nil, fmt.Errorf("%q: transport %q is none of udp, tcp, tls, ws, wss", s, p.V)
			}
		case "user":
			h.userPhone = strings.EqualFold(p.V, "phone")
		case "lr":
			return nil, fmt.Errorf("%q: a loose route is not a next hop here: leave ;lr out", s)
		default:
			h.params += ";" + cleanToken(p.K)
			if p.V != "" {
				h.params += "=" + cleanToken(p.V)
			}
		}
	}
	if h.portGiven = h.port != 0; !h.portGiven {
		h.port = h.transport.defaultPort()
	}
	return h, nil
}

func isHostRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._:[]", r)
}

// cleanToken takes what may not stand in a URI parameter out of it.
func cleanToken(s string) string {
	return strings.Map(func(r rune) rune {
		if isHostRune(r) || strings.ContainsRune("+%!~*'()/&$", r) {
			return r
		}
		return -1
	}, s)
}
