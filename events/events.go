// Package events is the contract of the gateway's events, and the hub that fans them out.
//
// Each type of event is declared here once, with its name and parameters; the hub, the MI's events_list and the Go client are
// built on that declaration. On the wire an event is a JSON-RPC notification, one for each event:
//
//	{"jsonrpc":"2.0","method":"E_SMPP_BIND_UP","params":{"seq":17,"time":"2026-03-01T12:00:00.000Z","node":"gw1","connection":"acme",...}}
//
// The hub keeps the last events in a ring. To publish never blocks on a viewer: a subscription is a cursor into the ring, and
// one that fell behind by more than the ring holds is told so by E_EVENTS_LOST and goes on. The ring lives as long as the process.
//
// A durable subscription has a queue of its own in a journal on disk: what it takes is queued to be written in the order of the
// numbers, before Publish returns, and waits there until its subscriber has acknowledged it. With none, none of that costs anything.
package events

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Event is one of the types below, or a pointer to one, or Raised. A published event must not be changed any more.
type Event interface {
	Name() string // as it goes out in `method`: E_SMPP_BIND_UP
}

// BindUp says that a bind is bound, of a connection or of an account.
type BindUp struct {
	Connection string `json:"connection,omitempty"`
	Account    string `json:"account,omitempty"`
	Bind       string `json:"bind"`
	Mode       string `json:"mode"` // transceiver, transmitter, receiver
	Peer       string `json:"peer"` // host:port
}

// BindDown says that a bind is no longer bound.
type BindDown struct {
	Connection string `json:"connection,omitempty"`
	Account    string `json:"account,omitempty"`
	Bind       string `json:"bind"`
	Mode       string `json:"mode"`
	Peer       string `json:"peer"`
	Reason     string `json:"reason"`
	InFlight   int    `json:"in_flight"` // requests that were sent and not answered
}

// BindRefused says that an ESME was not let in. It is told at most every 10 s for one address and name.
type BindRefused struct {
	Account       string `json:"account"` // as the peer gave it: there may be none of this name
	Peer          string `json:"peer"`    // host:port
	CommandStatus uint32 `json:"command_status"`
	Reason        string `json:"reason"`
	Count         uint64 `json:"count"` // how often, since it was told last
}

// Reloaded says what smpp_reload changed, by name of the connection.
type Reloaded struct {
	Added   List `json:"added"`
	Changed List `json:"changed"`
	Removed List `json:"removed"`
}

// GatewayReloaded says what a reload of everything changed, as faults name it: smpp[name=acme], log.level.
type GatewayReloaded struct {
	Who     string `json:"who"`     // SIGHUP, or the name of the token; local where there is none
	Changed List   `json:"changed"` // rows and keys, 100 at most
	Restart List   `json:"restart"` // keys that count after a restart only
	Faults  List   `json:"faults"`  // why a part stays as it is
}

// Throttled says that a connection pauses, because its peer said that we send too fast.
type Throttled struct {
	Connection    string `json:"connection"`
	CommandStatus uint32 `json:"command_status"` // SMPP 3.4, 5.1.3; 0 where a congestion_state said it
	Until         Time   `json:"until,omitzero"` // nothing goes out before
	// CongestionState is what the peer says of itself: 90 and more is too much (SMPP 5.0, 4.8.4.18).
	CongestionState uint32  `json:"congestion_state,omitempty"`
	Throughput      float64 `json:"throughput,omitempty"` // segments per second, for now
}

// Unthrottled says that a connection that was throttled is as fast again as its row lets it be.
type Unthrottled struct {
	Connection string `json:"connection"`
}

// Alert says that a mobile can be reached again, or not: an SMSC's alert_notification.
type Alert struct {
	Connection string `json:"connection"`
	Address    string `json:"address"` // the mobile's
	State      string `json:"state"`   // available, denied, unavailable
}

// MessageReceived says that a message came in. It has either Text or Data.
type MessageReceived struct {
	ID       string `json:"id"`
	Ref      string `json:"ref,omitempty"`
	Ingress  string `json:"ingress"` // sip, smpp:NAME, account:SYSTEM_ID, mi
	From     string `json:"from"`
	To       string `json:"to"`
	Text     string `json:"text,omitempty"`
	Data     Hex    `json:"data,omitempty"`
	Coding   string `json:"coding,omitempty"`
	Segments int    `json:"segments,omitempty"` // how many it came in, where the ingress knows
	Awaits   string `json:"awaits,omitempty"`   // decision: an application is to say by message_route or message_reject where it goes
	// Incomplete says that parts of it never came: it goes on without them.
	Incomplete bool `json:"incomplete,omitempty"`
	// TLVs are the optional parameters that came with it, by the name that the connection or the specification gives them, or by
	// their tag: 0x1400.
	TLVs map[string]Hex `json:"tlvs,omitempty"`
}

// MessageSent says that the next hop accepted a message.
type MessageSent struct {
	ID         string `json:"id"`
	Ref        string `json:"ref,omitempty"`
	From       string `json:"from"`
	To         string `json:"to"`
	Egress     string `json:"egress"`
	Connection string `json:"connection,omitempty"`
	SMSCIDs    List   `json:"smsc_ids"` // of its segments, in order
	Segments   int    `json:"segments,omitempty"`
	Attempt    int    `json:"attempt"`
}

// MessageDeferred says that a message waits in the database for its next attempt.
type MessageDeferred struct {
	ID          string `json:"id"`
	Ref         string `json:"ref,omitempty"`
	From        string `json:"from"`
	To          string `json:"to"`
	Reason      string `json:"reason"`
	Attempt     int    `json:"attempt"`
	NextAttempt Time   `json:"next_attempt,omitzero"`
}

// DeferredFull says that messages are refused because as many wait for a target as may. It is told at most every 10 s for a target.
type DeferredFull struct {
	Target   string `json:"target"` // the legs: smpp:acme
	Messages int    `json:"messages"`
	Octets   int64  `json:"octets"`
	Refused  uint64 `json:"refused"` // since it was told last
	Reason   string `json:"reason"`
}

// MessageFailed says that a message was not delivered to any next hop, and will not be tried again.
type MessageFailed struct {
	ID       string `json:"id"`
	Ref      string `json:"ref,omitempty"`
	From     string `json:"from"`
	To       string `json:"to"`
	Reason   string `json:"reason"`
	Protocol string `json:"protocol,omitempty"` // whose Code it is: smpp, sip
	Code     uint32 `json:"code,omitempty"`     // the next hop's own: a command_status, a SIP response code
}

// MessageReport says what the SMSC's receipts told of a message.
type MessageReport struct {
	ID       string `json:"id"`
	Ref      string `json:"ref,omitempty"`
	From     string `json:"from"`
	To       string `json:"to"`
	State    string `json:"state"` // delivered, undeliverable, expired, rejected, deleted, accepted, enroute, unknown
	Error    string `json:"error,omitempty"`
	DoneTime Time   `json:"done_time,omitzero"`
	SMSCIDs  List   `json:"smsc_ids"`
}

// MessageLoop says that a message came round in a circle; E_MESSAGE_FAILED follows.
type MessageLoop struct {
	ID      string `json:"id"`
	Ref     string `json:"ref,omitempty"`
	Ingress string `json:"ingress"`
	From    string `json:"from"`
	To      string `json:"to"`
	Rule    string `json:"rule,omitempty"` // that sends it there
	Reason  string `json:"reason"`
}

// ReceiptUnmatched says that a receipt came for which no message is known.
type ReceiptUnmatched struct {
	Connection  string `json:"connection,omitempty"`
	Account     string `json:"account,omitempty"`
	SMSCID      string `json:"smsc_id"`
	State       string `json:"state"`
	LikelyCause string `json:"likely_cause,omitempty"`
}

// MIChanged says that somebody changed something by the management interface.
type MIChanged struct {
	Who    string          `json:"who"` // the name of the token; local where there is none
	Method string          `json:"method"`
	Params json.RawMessage `json:"params,omitempty"` // by name; secrets read "***"
}

// MIRefused says that somebody called the management interface with an unknown token. It is told at most every 10 s.
type MIRefused struct {
	Remote string `json:"remote"` // host:port, the last one
	Count  uint64 `json:"count"`  // how often, since it was told last
}

// SIPPeerDown says that a next hop of messages to SIP does not answer.
type SIPPeerDown struct {
	Peer   string `json:"peer"` // its URI, as sip.outbound_uri or a rule has it
	Reason string `json:"reason"`
}

// SIPPeerUp says that it answers again.
type SIPPeerUp struct {
	Peer string `json:"peer"`
}

// SIPRegistered says that a user is reached by a contact that is new, or from elsewhere. A registration that only goes on is not told.
type SIPRegistered struct {
	User      string `json:"user"` // its name in table sip_user
	Contact   string `json:"contact"`
	Received  string `json:"received"` // where it is reached: tcp:192.0.2.7:40123
	Expires   Time   `json:"expires"`
	UserAgent string `json:"user_agent,omitempty"`
}

// SIPUnregistered says that a contact is gone.
type SIPUnregistered struct {
	User    string `json:"user"`
	Contact string `json:"contact"`
	Reason  string `json:"reason"`
}

// EventsLost tells one subscriber that it missed events. It is not published and passes every filter. Its own seq is ToSeq, so
// that to resume after the last seq that came is always right. Count is of all events, whatever the subscriber's filter; to a durable
// subscription, of those that it would have got.
//
// A subscriber that asked to resume after a sequence number that the node has not reached (the node was restarted) gets it with
// FromSeq 1 and what is kept follows; Count is then 0 where nothing of the new sequence is lost.
type EventsLost struct {
	Count   uint64 `json:"count"`
	FromSeq uint64 `json:"from_seq"`
	ToSeq   uint64 `json:"to_seq"`
}

// The names of the declared events.
func (BindUp) Name() string           { return "E_SMPP_BIND_UP" }
func (BindDown) Name() string         { return "E_SMPP_BIND_DOWN" }
func (BindRefused) Name() string      { return "E_SMPP_BIND_REFUSED" }
func (Reloaded) Name() string         { return "E_SMPP_RELOADED" }
func (GatewayReloaded) Name() string  { return "E_RELOADED" }
func (Throttled) Name() string        { return "E_SMPP_THROTTLED" }
func (Unthrottled) Name() string      { return "E_SMPP_UNTHROTTLED" }
func (Alert) Name() string            { return "E_SMPP_ALERT" }
func (MessageReceived) Name() string  { return "E_MESSAGE_RECEIVED" }
func (MessageSent) Name() string      { return "E_MESSAGE_SENT" }
func (MessageDeferred) Name() string  { return "E_MESSAGE_DEFERRED" }
func (DeferredFull) Name() string     { return "E_DEFERRED_FULL" }
func (MessageFailed) Name() string    { return "E_MESSAGE_FAILED" }
func (MessageReport) Name() string    { return "E_MESSAGE_REPORT" }
func (MessageLoop) Name() string      { return "E_MESSAGE_LOOP" }
func (ReceiptUnmatched) Name() string { return "E_RECEIPT_UNMATCHED" }
func (MIChanged) Name() string        { return "E_MI_CHANGED" }
func (MIRefused) Name() string        { return "E_MI_REFUSED" }
func (SIPPeerDown) Name() string      { return "E_SIP_PEER_DOWN" }
func (SIPPeerUp) Name() string        { return "E_SIP_PEER_UP" }
func (SIPRegistered) Name() string    { return "E_SIP_REGISTERED" }
func (SIPUnregistered) Name() string  { return "E_SIP_UNREGISTERED" }
func (EventsLost) Name() string       { return "E_EVENTS_LOST" }

// Declaration is one declared type of event.
type Declaration struct {
	Name    string
	Summary string
	Params  []string // names of its parameters beside seq, time and node, in order
	decode  func(params []byte) (Event, error)
	typ     reflect.Type
}

func declare[E Event](summary string) Declaration {
	var prototype E
	d := Declaration{Name: prototype.Name(), Summary: summary, typ: reflect.TypeFor[E](), decode: func(params []byte) (Event, error) {
		var e E
		err := json.Unmarshal(params, &e)
		return e, err
	}}
	for field := range reflect.TypeFor[E]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		d.Params = append(d.Params, name)
	}
	return d
}

var declarations = []Declaration{
	declare[BindUp]("a bind is bound"),
	declare[BindDown]("a bind is no longer bound"),
	declare[BindRefused]("an ESME was not let in"),
	declare[Reloaded]("smpp_reload changed the connections"),
	declare[GatewayReloaded]("everything was read again that counts without a restart"),
	declare[Throttled]("a connection pauses: its peer said that we send too fast"),
	declare[Unthrottled]("a connection that was throttled is as fast again as its row lets it be"),
	declare[Alert]("an SMSC says that a mobile can be reached again, or not"),
	declare[MessageReceived]("a message came in"),
	declare[MessageSent]("the next hop accepted a message"),
	declare[MessageDeferred]("a message waits for its next attempt"),
	declare[DeferredFull]("messages are refused: as many wait for a target as may"),
	declare[MessageFailed]("a message was not delivered to any next hop"),
	declare[MessageReport]("the SMSC told what became of a message"),
	declare[MessageLoop]("a message came round in a circle"),
	declare[ReceiptUnmatched]("a receipt came for which no message is known"),
	declare[MIChanged]("somebody changed something by the management interface"),
	declare[MIRefused]("somebody called the management interface with an unknown token"),
	declare[SIPPeerDown]("a next hop of messages to SIP does not answer"),
	declare[SIPPeerUp]("a next hop of messages to SIP answers again"),
	declare[SIPRegistered]("a SIP user is reached by a new contact"),
	declare[SIPUnregistered]("a contact of a SIP user is gone"),
	declare[EventsLost]("this subscriber was too slow"),
}

// All are the declared types of event, in the order of the contract. The caller must not change them.
func All() []Declaration { return declarations }

// Lookup finds a declaration by its event's name.
func Lookup(name string) (Declaration, bool) {
	for _, d := range declarations {
		if d.Name == name {
			return d, true
		}
	}
	return Declaration{}, false
}

// IsParameter says that a declared event has a parameter of that name.
func IsParameter(name string) bool {
	for _, d := range declarations {
		if slices.Contains(d.Params, name) {
			return true
		}
	}
	return false
}

// Raised is an event of an application, as raise_event publishes it.
type Raised struct {
	name   string
	params json.RawMessage // an object
}

// Limits on what an application may raise.
const (
	maxRaisedName   = 64
	maxRaisedParams = 64 << 10
)

// What NewRaised's errors are.
var (
	ErrRaisedName   = errors.New("bad name of an event")
	ErrRaisedParams = errors.New("bad parameters of an event")
)

// NewRaised makes an event of a name (E_ and capitals, digits or '_'; none of the declared) and of parameters: a JSON object,
// or an array, which goes out as parameter `params`, or nothing.
func NewRaised(name string, params json.RawMessage) (Raised, error) {
	if err := checkRaisedName(name); err != nil {
		return Raised{}, err
	}
	if len(params) > maxRaisedParams {
		return Raised{}, fmt.Errorf("%w: they have %d octets, the most is %d", ErrRaisedParams, len(params), maxRaisedParams)
	}
	params = bytes.TrimSpace(params)
	switch {
	case len(params) == 0 || string(params) == "null":
		return Raised{name: name, params: json.RawMessage("{}")}, nil
	case params[0] == '[' && json.Valid(params):
		return Raised{name: name, params: fmt.Appendf(nil, `{"params":%s}`, params)}, nil
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(params, &fields) != nil {
		return Raised{}, fmt.Errorf("%w: want a JSON object or array", ErrRaisedParams)
	}
	for _, own := range []string{"seq", "time", "node"} {
		if _, taken := fields[own]; taken {
			return Raised{}, fmt.Errorf("%w: %q is given by the gateway: choose another name", ErrRaisedParams, own)
		}
	}
	compact, err := json.Marshal(fields) // each name once
	return Raised{name: name, params: compact}, err
}

func checkRaisedName(name string) error {
	if _, ours := Lookup(name); ours {
		return fmt.Errorf("%w: %s is the gateway's own: choose another", ErrRaisedName, name)
	}
	rest, ok := strings.CutPrefix(name, "E_")
	for i := range len(rest) {
		c := rest[i]
		ok = ok && (c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_')
	}
	if !ok || rest == "" || len(name) > maxRaisedName {
		return fmt.Errorf("%w: %.80q: want E_ and capitals, digits or '_', %d at most", ErrRaisedName, name, maxRaisedName)
	}
	return nil
}

// Name is as the application gave it.
func (r Raised) Name() string { return r.name }

// MarshalJSON gives the parameters.
func (r Raised) MarshalJSON() ([]byte, error) { return r.params, nil }

// List is a list of strings that is [] in JSON, never null. A []string can be assigned to it.
type List []string

// MarshalJSON writes an array.
func (l List) MarshalJSON() ([]byte, error) {
	if l == nil {
		return []byte("[]"), nil
	}
	return json.Marshal([]string(l))
}

// Hex are octets that are hexadecimal digits in JSON.
type Hex []byte

// MarshalText writes two lower-case digits for each octet.
func (h Hex) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText reads digits in either case.
func (h *Hex) UnmarshalText(b []byte) (err error) {
	*h, err = hex.AppendDecode(nil, b)
	return err
}

// Time is a time in UTC with milliseconds in JSON. Its zero is left out.
type Time time.Time

const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// IsZero says that there is no time.
func (t Time) IsZero() bool { return time.Time(t).IsZero() }

// MarshalJSON writes RFC 3339 with milliseconds.
func (t Time) MarshalJSON() ([]byte, error) {
	b := append(make([]byte, 0, len(timeLayout)+2), '"')
	b = time.Time(t).UTC().AppendFormat(b, timeLayout)
	return append(b, '"'), nil
}

// UnmarshalJSON reads RFC 3339.
func (t *Time) UnmarshalJSON(b []byte) error { return (*time.Time)(t).UnmarshalJSON(b) }
