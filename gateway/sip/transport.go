package sip

// transport is one of those that SIP goes by.
type transport uint8

// The transports, as an index of target.sentBy.
const (
	byUDP transport = iota
	byTCP
	byTLS
	byWS
	byWSS
	transports
)

var (
	transportNames = [transports]string{"udp", "tcp", "tls", "ws", "wss"}
	viaNames       = [transports]string{"UDP ", "TCP ", "TLS ", "WS ", "WSS "}
)

func (t transport) String() string { return transportNames[t] }

// secure says that it is TLS below.
func (t transport) secure() bool { return t == byTLS || t == byWSS }

// parseTransport reads a name in lower case.
func parseTransport(name string) (transport, bool) {
	for i, n := range transportNames {
		if n == name {
			return transport(i), true
		}
	}
	return 0, false
}

// defaultPort is the port of a URI that names none (RFC 3261, 19.1.2; RFC 7118, 5.2).
func (t transport) defaultPort() int {
	return [transports]int{5060, 5060, 5061, 80, 443}[t]
}
