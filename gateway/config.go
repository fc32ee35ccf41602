package gateway

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"sipsmpp/gateway/sip"
	"sipsmpp/gateway/sms"
	"sipsmpp/gateway/store"
)

// Config is the configuration: the YAML file as a struct. Its zero value works: WithDefaults fills in what is missing.
type Config struct {
	Node string `yaml:"node"` // name of this gateway in events and metrics
	DB   string `yaml:"db"`   // URL, or file:PATH of a file that holds it

	SIP     SIPConfig     `yaml:"sip"`
	SMPP    SMPPConfig    `yaml:"smpp"`
	Defer   DeferConfig   `yaml:"defer"`
	Records RecordsConfig `yaml:"records"`
	Events  EventsConfig  `yaml:"events"`
	MI      MIConfig      `yaml:"mi"`
	Log     LogConfig     `yaml:"log"`
}

// SIPConfig is section `sip`.
type SIPConfig struct {
	Listen      []string `yaml:"listen"`       // udp:HOST:PORT; tcp:, tls:, ws: and wss: before it
	OutboundURI List     `yaml:"outbound_uri"` // next hops for messages to SIP; a list fails over
	Domain      string   `yaml:"domain"`       // host part of the From of messages that come from SMPP
	Trusted     []string `yaml:"trusted"`      // CIDRs that may send without credentials
	// Realm is what the users of table sip_user give their credentials for; Domain where it is empty.
	Realm          string   `yaml:"realm"`
	AuthAlgorithms []string `yaml:"auth_algorithms"` // of digest, the best first: SHA-256, MD5
	// OutboundUser and OutboundPassword are our credentials with next hops that ask for some.
	OutboundUser     string   `yaml:"outbound_user"`
	OutboundPassword string   `yaml:"outbound_password"` // may be file:PATH
	Reports          string   `yaml:"reports"`           // what a SIP sender gets who asked for no notification: none, text
	MaxBody          int      `yaml:"max_body"`          // octets; a larger body gets 413
	UDPSafe          []string `yaml:"udp_safe"`          // CIDRs that datagrams of any size arrive in; elsewhere what is over 1300 octets goes by TCP
	OneAtATime       bool     `yaml:"one_at_a_time"`     // a message to SIP waits until the one before it to the same address is answered
	// Registrar lets the users of table sip_user register, and be reached where they are.
	Registrar   bool     `yaml:"registrar"`
	MaxContacts int      `yaml:"max_contacts"` // of one user
	MinExpires  Duration `yaml:"min_expires"`  // the shortest that a registration may hold, and the longest
	MaxExpires  Duration `yaml:"max_expires"`
	// TLSCert and TLSKey are PEM files with our certificate, TLSCA one with who vouches for others. They are read again when they
	// change.
	TLSCert         string `yaml:"tls_cert"`
	TLSKey          string `yaml:"tls_key"`
	TLSCA           string `yaml:"tls_ca"`
	TLSVerifyClient bool   `yaml:"tls_verify_client"` // peers need a certificate that TLSCA vouches for

	MaxConnections   int      `yaml:"max_connections"`   // that peers opened, half of them for who is not trusted
	IdleTimeout      Duration `yaml:"idle_timeout"`      // after which a connection without a message is closed
	HandshakeTimeout Duration `yaml:"handshake_timeout"` // of TLS and WebSocket
	ProbeInterval    Duration `yaml:"probe_interval"`    // how often OPTIONS asks a next hop whether it is there; negative: never
	MaxPending       int      `yaml:"max_pending"`       // messages to SIP that wait for their answer
	// MaxInProgress bounds the requests that wait for their answer; one more gets 503 with Retry-After.
	MaxInProgress int `yaml:"max_in_progress"`
}

// SMPPConfig is section `smpp`.
type SMPPConfig struct {
	Listen         []string `yaml:"listen"`          // HOST:PORT where accounts bind, with tls: before it for TLS
	MaxConnections int      `yaml:"max_connections"` // most sockets of accounts
	TLSCert        string   `yaml:"tls_cert"`        // PEM files: our certificate on listeners of tls:, with who vouches for it,
	TLSKey         string   `yaml:"tls_key"`         // its key,
	TLSClientCA    string   `yaml:"tls_client_ca"`   // and who must vouch for those of the accounts; none: nobody asks

	DefaultConnection string `yaml:"default_connection"` // where messages from SIP go when no rule matches
	// ReassemblyTimeout is how long the parts of a message wait for one that is missing.
	ReassemblyTimeout Duration `yaml:"reassembly_timeout"`
}

// RecordsConfig is section `records`: what is kept of messages in the database. `records: pending` says the same as
// `records: {messages: pending}`.
type RecordsConfig struct {
	Messages string   `yaml:"messages"` // which have a record: all, or pending
	Keep     Duration `yaml:"keep"`     // how long a record stays, from the time that its message came
	Text     *bool    `yaml:"text"`     // false: what a message says is left out of its record; nil: true
	// ReportTimeout is how long a report is awaited: see Gateway.reportDue.
	ReportTimeout Duration `yaml:"report_timeout"`
}

// MIConfig is section `mi`.
type MIConfig struct {
	Listen  string   `yaml:"listen"`
	Socket  string   `yaml:"socket"`  // Unix socket for the MI, file mode 0600
	Origins []string `yaml:"origins"` // web pages that may call the MI, as their Origin says: https://admin.example.org
	// Webhooks are what the URLs of webhooks begin with, * for all; with none there can be none.
	Webhooks []string `yaml:"webhooks"`
	// Tokens are who may call it. With none it serves loopback only, and everybody there.
	Tokens      []MIToken `yaml:"tokens"`
	TLSCert     string    `yaml:"tls_cert"` // PEM files, read again when they change: with them the MI is HTTPS
	TLSKey      string    `yaml:"tls_key"`
	TLSClientCA string    `yaml:"tls_client_ca"` // PEM; client certificates that it signed are believed

	MaxConnections int `yaml:"max_connections"` // TCP connections, WebSockets among them
	MaxBody        int `yaml:"max_body"`        // octets of a request or a batch
}

// LogConfig is section `log`.
type LogConfig struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // text, json
}

// Duration is a time.Duration that YAML writes as 30s or 5m.
type Duration time.Duration

// Which messages have a record: every one, or those that the gateway itself has still to do with.
const (
	recordsAll     = "all"
	recordsPending = "pending"
)

// UnmarshalText reads the short form.
func (c *RecordsConfig) UnmarshalText(b []byte) error {
	c.Messages = string(b)
	return nil
}

// UnmarshalText reads 30s, 5m, 1h30m.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// List is a list of strings; YAML may give a single one without brackets.
type List []string

// UnmarshalYAML reads one string or a list of them.
func (l *List) UnmarshalYAML(unmarshal func(any) error) error {
	var one string
	if unmarshal(&one) == nil {
		*l = List{one}
		return nil
	}
	return unmarshal((*[]string)(l))
}

// WithDefaults gives a copy in which the keys that are missing have their values; some of section sip get theirs in package sip.
func (c Config) WithDefaults() Config {
	if c.Node == "" {
		c.Node, _ = os.Hostname()
	}
	if c.Node == "" {
		c.Node = "sipsmpp"
	}
	or(&c.DB, "sqlite:sipsmpp.db")
	if len(c.SIP.Listen) == 0 {
		c.SIP.Listen = []string{"udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"}
	}
	if c.SIP.Domain == "" {
		_, address, _ := strings.Cut(c.SIP.Listen[0], ":")
		c.SIP.Domain, _, _ = net.SplitHostPort(address)
	}
	if c.SIP.Trusted == nil {
		c.SIP.Trusted = []string{"127.0.0.0/8", "::1/128"}
	}
	if c.SIP.UDPSafe == nil {
		c.SIP.UDPSafe = []string{"127.0.0.0/8", "::1/128"}
	}
	or(&c.SIP.MaxContacts, 10)
	or(&c.SIP.MinExpires, Duration(time.Minute))
	or(&c.SIP.MaxExpires, Duration(time.Hour))
	or(&c.SIP.ProbeInterval, Duration(30*time.Second))
	or(&c.SIP.Reports, sip.ReportsNone)
	or(&c.SIP.MaxBody, 20_000)
	or(&c.SIP.MaxInProgress, 10_000)
	if c.SMPP.Listen == nil {
		c.SMPP.Listen = []string{"127.0.0.1:2775"}
	}
	or(&c.SMPP.MaxConnections, 1000)
	or(&c.SMPP.ReassemblyTimeout, Duration(5*time.Minute))
	or(&c.Records.Messages, recordsAll)
	c.Defer.withDefaults()
	or(&c.Records.Keep, Duration(30*24*time.Hour))
	or(&c.Records.ReportTimeout, min(Duration(7*24*time.Hour), c.Records.Keep))
	c.Events.setDefaults()
	or(&c.MI.Listen, "127.0.0.1:8888")
	or(&c.MI.MaxConnections, 8192)
	or(&c.MI.MaxBody, 1<<20)
	or(&c.Log.Level, "info")
	or(&c.Log.Format, "text")
	return c
}

// or gives a value to what has none.
func or[T comparable](value *T, def T) {
	var zero T
	if *value == zero {
		*value = def
	}
}

// ReadDB gives the database's URL, read from its file where it is in one.
func (c Config) ReadDB() (string, error) {
	path, file := strings.CutPrefix(c.DB, "file:")
	if !file {
		return c.DB, nil
	}
	b, err := os.ReadFile(path)
	return strings.TrimSpace(string(b)), err
}

// Check names every fault of a configuration that has its defaults, each by its path.
func (c Config) Check() []sms.Fault {
	var faults []sms.Fault
	fault := func(path, reason string) { faults = append(faults, sms.Fault{Path: path, Reason: reason}) }

	url, err := c.ReadDB()
	if err == nil {
		err = store.CheckURL(url)
	}
	if err != nil {
		fault("db", err.Error())
	}
	sipConfig, sipFaults := c.sip()
	faults = append(faults, sipFaults...)
	faults = append(faults, sip.Check(sipConfig)...)
	faults = append(faults, c.SMPP.check()...)
	if c.SMPP.ReassemblyTimeout < 0 {
		fault("smpp.reassembly_timeout", "is negative: want a time such as 5m")
	}
	if c.Records.Messages != recordsAll && c.Records.Messages != recordsPending {
		fault("records.messages", strconv.Quote(c.Records.Messages)+" is not all or pending")
	}
	faults = append(faults, c.Defer.check()...)
	if c.Records.Keep < Duration(time.Hour) {
		fault("records.keep", "a report may come that late: want an hour or more, such as 720h")
	}
	if c.Records.ReportTimeout < Duration(time.Second) || c.Records.ReportTimeout > c.Records.Keep {
		fault("records.report_timeout", "want at least 1s, and no more than records.keep, after which nothing is known of the message")
	}
	if host, _, err := net.SplitHostPort(c.MI.Listen); err != nil {
		fault("mi.listen", strconv.Quote(c.MI.Listen)+" is not HOST:PORT")
	} else if !loopback(host) && len(c.MI.Tokens) == 0 {
		fault("mi.listen", "without mi.tokens the MI serves loopback only, since whoever reaches it rules the gateway: set mi.tokens, or listen on 127.0.0.1")
	}
	faults = append(faults, c.Events.check()...)
	faults = append(faults, c.MI.checkWebhooks()...)
	faults = append(faults, c.MI.checkAccess()...)
	switch c.Log.Level {
	case "debug", "info", "warn", "error":
	default:
		fault("log.level", strconv.Quote(c.Log.Level)+" is not debug, info, warn or error")
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		fault("log.format", strconv.Quote(c.Log.Format)+" is not text or json")
	}
	return faults
}

// checkAddress says whether a text is HOST:PORT.
func checkAddress(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	return err
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// sip is the section in the terms of package sip.
func (c Config) sip() (sip.Config, []sms.Fault) {
	var faults []sms.Fault
	networks := func(path string, list []string) (prefixes []netip.Prefix) {
		prefixes = []netip.Prefix{}
		for i, s := range list {
			p, err := netip.ParsePrefix(s)
			if err != nil {
				if a, aErr := netip.ParseAddr(s); aErr == nil {
					p, err = netip.PrefixFrom(a, a.BitLen()), nil
				}
			}
			if err != nil {
				faults = append(faults, sms.Fault{
					Path:   path + "[" + strconv.Itoa(i) + "]",
					Reason: strconv.Quote(s) + " is not a network: want 192.0.2.0/24 or an address",
				})
				continue
			}
			prefixes = append(prefixes, p)
		}
		return prefixes
	}
	trusted, safe := networks("sip.trusted", c.SIP.Trusted), networks("sip.udp_safe", c.SIP.UDPSafe)
	return sip.Config{
		Listen:           c.SIP.Listen,
		OutboundURI:      c.SIP.OutboundURI,
		Domain:           c.SIP.Domain,
		Trusted:          trusted,
		UDPSafe:          safe,
		OneAtATime:       c.SIP.OneAtATime,
		Registrar:        c.SIP.Registrar,
		MaxContacts:      c.SIP.MaxContacts,
		MinExpires:       time.Duration(c.SIP.MinExpires),
		MaxExpires:       time.Duration(c.SIP.MaxExpires),
		Reports:          c.SIP.Reports,
		Realm:            c.SIP.Realm,
		Algorithms:       c.SIP.AuthAlgorithms,
		OutboundUser:     c.SIP.OutboundUser,
		OutboundPassword: c.SIP.OutboundPassword,
		MaxBody:          c.SIP.MaxBody,
		MaxInProgress:    c.SIP.MaxInProgress,
		MaxPending:       c.SIP.MaxPending,
		MaxConnections:   c.SIP.MaxConnections,
		ProbeInterval:    max(0, time.Duration(c.SIP.ProbeInterval)),
		IdleTimeout:      time.Duration(c.SIP.IdleTimeout),
		HandshakeTimeout: time.Duration(c.SIP.HandshakeTimeout),
		TLSCert:          c.SIP.TLSCert,
		TLSKey:           c.SIP.TLSKey,
		TLSCA:            c.SIP.TLSCA,
		TLSVerifyClient:  c.SIP.TLSVerifyClient,
	}, faults
}
