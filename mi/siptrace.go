package mi

// SIPTrace shows what crosses the SIP side.
var SIPTrace = declare[SIPTraceParams, SIPTraceResult]("sip_trace", "shows the SIP messages of a peer or a user, readable, for some seconds").operates()

// SIPTraceEvent is the method of the notification in which a live trace shows one message; its params are a TracedSIP. It goes to the
// one who asked, and to nobody else.
const SIPTraceEvent = "E_SIP_TRACE"

// SIPTraceParams say what to trace, and until when: whichever of Seconds and Count ends first.
type SIPTraceParams struct {
	Peer    string `json:"peer,omitempty"`    // an address, 192.0.2.7 or 192.0.2.7:5060; every peer unless given
	User    string `json:"user,omitempty"`    // a name or number in Request-URI, From, To or credentials; everybody unless given
	Seconds uint32 `json:"seconds,omitempty"` // as of smpp_trace
	Count   uint32 `json:"count,omitempty"`   // likewise
	Text    bool   `json:"text,omitempty"`    // shows what messages say, too; what a password could be guessed by is never shown
	Live    bool   `json:"live,omitempty"`    // as of smpp_trace, by notifications E_SIP_TRACE
}

// SIPTraceResult is what crossed the SIP side meanwhile.
type SIPTraceResult struct {
	Messages []TracedSIP `json:"messages"`
	Lost     uint64      `json:"lost,omitempty"` // messages that came too fast to be shown
}

// TracedSIP is a SIP message, readable.
type TracedSIP struct {
	Time      Time   `json:"time"`
	Peer      string `json:"peer"`       // transport and address: udp:192.0.2.7:5060
	Direction string `json:"direction"`  // sent, received
	StartLine string `json:"start_line"` // MESSAGE sip:100@example.com SIP/2.0; empty: it was no SIP
	Header    List   `json:"header"`     // the fields in their order, unfolded
	Octets    int    `json:"octets"`     // of the body
	Body      string `json:"body,omitempty"`
}
