package mi

import "encoding/json"

// The methods of the gateway.
var (
	SMPPList    = declare[SMPPListParams, SMPPListResult]("smpp_list", "lists the SMPP connections with their binds, and the accounts that are bound").reads()
	SMPPReload  = declare[None, SMPPReloadResult]("smpp_reload", "reads table smpp again and applies what changed; with a bad row nothing changes").operates()
	SMPPEnable  = declare[NameParams, string]("smpp_enable", "lets a connection bind that was disabled").operates()
	SMPPDisable = declare[NameParams, string]("smpp_disable", "unbinds a connection until smpp_enable, a change of its row or a restart").operates()
	SMPPAdd     = declare[SMPPAddParams, SMPPReloadResult]("smpp_add", "adds a row to table smpp, and the connection with it").operates()
	SMPPSet     = declare[SMPPSetParams, SMPPReloadResult]("smpp_set", "changes the row of a connection in table smpp, and the connection with it").operates()
	SMPPDelete  = declare[NameParams, SMPPReloadResult]("smpp_delete", "drops the row of a connection from table smpp, and the connection with it").operates()
	SMPPRebind  = declare[NameParams, string]("smpp_rebind", "unbinds a connection once what is in flight is answered, and binds it again at once").operates()

	AccountAdd    = declare[AccountAddParams, string]("account_add", "makes an account: an ESME that may bind to the gateway with this password").operates()
	AccountSet    = declare[AccountSetParams, string]("account_set", "changes an account; what is left out stays, and so do its binds unless it is disabled").operates()
	AccountDelete = declare[AccountParams, string]("account_delete", "drops an account, unbinds it, and forgets the receipts that wait for it").operates()
	AccountList   = declare[AccountListParams, AccountListResult]("account_list", "lists the accounts as their rows say").reads()
	AccountReload = declare[None, SMPPReloadResult]("account_reload", "reads table smpp_account again and applies what changed; with a bad row nothing changes").operates()

	SMPPTrace   = declare[SMPPTraceParams, SMPPTraceResult]("smpp_trace", "shows the PDUs of a connection or account, readable, for some seconds").operates()
	MessageSend = declare[MessageSendParams, MessageSendResult]("message_send", "sends a message and answers when the next hop took it").operates(RoleApp).told()
	MessageShow = declare[MessageShowParams, Message]("message_show", "tells what is recorded of a message: its attempts, its segments, its report").reads(RoleApp)
	MessageList = declare[MessageListParams, MessageListResult]("message_list", "lists recorded messages, the newest first").reads()

	MessageRetry  = declare[MessageShowParams, string]("message_retry", "tries a deferred message now, also one that is held; what waits for the same recipient goes first").operates(RoleApp)
	MessageCancel = declare[MessageShowParams, string]("message_cancel", "takes a deferred message back: it is not tried any more, and its report says deleted").operates(RoleApp)
)

// The methods of OpenSIPS' core, with its results.
var (
	Which   = declare[WhichParams, WhichResult]("which", "lists the methods, or the parameters that one method takes").reads(RoleApp)
	Help    = declare[HelpParams, HelpResult]("help", "tells what a method does").reads(RoleApp)
	Version = declare[None, VersionResult]("version", "tells the version of the gateway").reads(RoleApp)
	Uptime  = declare[None, UptimeResult]("uptime", "tells since when the gateway runs, and for how long").reads(RoleApp)
	PS      = declare[None, PSResult]("ps", "lists the processes of the gateway").reads()
	Kill    = declare[None, string]("kill", "ends the gateway, as SIGTERM does")

	LogLevel = declare[LogLevelParams, LogLevelResult]("log_level", "tells or sets the level from which on lines are logged").reads().changesWith("level")

	GetStatistics   = declare[StatisticsParams, Statistics]("get_statistics", "tells values of statistics: of `all`, of a group (`smpp:`), or of one").reads()
	ListStatistics  = declare[ListStatisticsParams, map[string]string]("list_statistics", "lists the statistics and their types").reads()
	ResetStatistics = declare[StatisticsParams, string]("reset_statistics", "sets statistics to zero").operates()

	EventsList       = declare[None, EventsListResult]("events_list", "lists the events that the gateway publishes").reads(RoleApp)
	EventSubscribe   = declare[EventSubscribeParams, string]("event_subscribe", "sends events to udp:host:port, tcp:host:port, webhook:URL or the connection that asks, for `expire` seconds; 0 ends it").reads(RoleApp).changesWith("socket")
	Ack              = declare[AckParams, string]("ack", "acknowledges the events of a durable subscription that came by the connection that asks").reads(RoleApp)
	SubscribersList  = declare[SubscribersListParams, SubscribersListResult]("subscribers_list", "lists who receives events").reads()
	SubscriberDelete = declare[SubscriberDeleteParams, string]("subscriber_delete", "ends a durable subscription and drops the events that wait for it").operates(RoleApp)
	RaiseEvent       = declare[RaiseEventParams, string]("raise_event", "publishes an event of an application").operates().told()
)

// SMPPListParams chooses one connection or account; without a name, all.
type SMPPListParams struct {
	Name string `json:"name,omitempty"`
}

// NameParams names a connection.
type NameParams struct {
	Name string `json:"name"`
}

// SMPPListResult lists connections in the order of their names.
type SMPPListResult struct {
	Connections []Connection `json:"connections"`
	Accounts    []Account    `json:"accounts"`
}

// Connection is one SMPP peer that the gateway reaches.
type Connection struct {
	Name           string `json:"name"`
	Peer           string `json:"peer"`         // host:port
	SessionType    string `json:"session_type"` // transceiver, transmitter, receiver, outbind
	Enabled        bool   `json:"enabled"`
	State          string `json:"state"`           // bound, partly, down, disabled, invalid
	Fault          string `json:"fault,omitempty"` // what is wrong with its row, where State is invalid
	Binds          []Bind `json:"binds"`
	Queued         int    `json:"queued"`   // messages that wait for a window slot
	Deferred       int    `json:"deferred"` // messages in the database that wait for it, or for one of several
	ThrottledUntil Time   `json:"throttled_until,omitzero"`
	// ThrottledTo is the segments per second that it is slowed down to, because its peer said that we send too fast.
	ThrottledTo float64 `json:"throttled_to,omitzero"`
	Counters
}

// Account is an ESME that may bind to the gateway.
type Account struct {
	SystemID string `json:"system_id"`
	Enabled  bool   `json:"enabled"`
	Binds    []Bind `json:"binds"`
	Queued   int    `json:"queued"`   // messages to it that wait for a window slot
	Deferred int    `json:"deferred"` // messages in the database that wait for it, or for one of several
	Counters
}

// Counters count segments since the gateway started or the statistics were reset.
type Counters struct {
	Sent       uint64 `json:"sent"` // that the peer accepted
	Refused    uint64 `json:"refused"`
	Unanswered uint64 `json:"unanswered"`
	Received   uint64 `json:"received"`
	Receipts   uint64 `json:"receipts"`
	Throttled  uint64 `json:"throttled"`
	Unexpected uint64 `json:"unexpected"` // responses that nobody waited for
	Malformed  uint64 `json:"malformed"`  // PDUs and receipts of the peer that do not parse
	Limited    uint64 `json:"limited"`    // PDUs of an account that were refused because it sent more than its throughput
	Bound      uint64 `json:"bound"`      // binds that came up
}

// Bind is one SMPP session.
type Bind struct {
	ID        string `json:"id"`
	Mode      string `json:"mode"`  // transceiver, transmitter, receiver
	State     string `json:"state"` // connecting, binding, bound, waiting, unbinding
	Since     Time   `json:"since,omitzero"`
	Remote    string `json:"remote"` // host:port
	Local     string `json:"local"`
	Window    int    `json:"window"`
	InFlight  int    `json:"in_flight"`
	LastError string `json:"last_error"`
	RetryAt   Time   `json:"retry_at,omitzero"` // while State is waiting
}

// SMPPReloadResult names the connections that a reload touched, and counts those that it did not. Where a row is bad the error
// is CodeBadValue and its data a list of Fault.
type SMPPReloadResult struct {
	Added     List `json:"added"`
	Changed   List `json:"changed"`
	Removed   List `json:"removed"`
	Unchanged int  `json:"unchanged"`
}

// Fault is one thing wrong with one value of a table.
type Fault struct {
	Path   string `json:"path"` // smpp[name=acme].port
	Reason string `json:"reason"`
}

// MessageSendParams is a message: Text, or Data in a DataCoding.
type MessageSendParams struct {
	From       string  `json:"from"` // a number, with '+' where it is international, or a name
	To         string  `json:"to"`
	Text       string  `json:"text,omitempty"`
	Data       Hex     `json:"data,omitempty"`
	DataCoding *uint8  `json:"data_coding,omitempty"` // SMPP 3.4, 5.2.19
	Connection string  `json:"connection,omitempty"`  // by name; else the routes decide
	Receipt    Receipt `json:"receipt,omitempty"`
	Validity   uint32  `json:"validity,omitempty"` // seconds
	Ref        string  `json:"ref,omitempty"`      // the sender's own reference, which events repeat
	// IdempotencyKey makes it safe to ask again: the message that came first with it is the one that is sent, and its result the
	// answer to each, for as long as records are kept. 255 characters at most.
	IdempotencyKey string `json:"idempotency_key,omitempty"`
	Coding         string `json:"coding,omitempty"` // of Text: auto (default), gsm7, latin1, ascii, ucs2
	Class          *uint8 `json:"class,omitempty"`  // message class 0 (flash) to 3 (3GPP TS 23.038, 4)
	ServiceType    string `json:"service_type,omitempty"`
	ProtocolID     uint8  `json:"protocol_id,omitempty"`
	Priority       uint8  `json:"priority,omitempty"`
	UDH            Hex    `json:"udh,omitempty"` // information elements without the length octet
	// TLVs are optional parameters by name or tag: {"0x1400": "0102", "operator_id": "text:acme"}. A value is hexadecimal digits;
	// what is none, and what stands behind `text:`, is a text.
	TLVs  TLVs  `json:"tlvs,omitempty"`
	Defer *bool `json:"defer,omitempty"` // false: refuse it rather than keep it if nobody takes it now
}

// MessageSendResult tells what became of a message that was not refused.
type MessageSendResult struct {
	ID         string `json:"id"`
	State      string `json:"state"`            // sent, deferred; where an idempotency_key came before, how far its message got: reported, done, failed too
	Reason     string `json:"reason,omitempty"` // why it is deferred: nobody took it now, and it is kept and tried again
	Segments   int    `json:"segments"`
	Coding     string `json:"coding"`
	Connection string `json:"connection"`
	SMSCIDs    List   `json:"smsc_ids"` // of its segments, in order
}

// SendFailure is the data of the error of a message_send that no next hop accepted.
type SendFailure struct {
	ID       string `json:"id"`
	Fate     string `json:"fate"` // not sent, unknown (sent, no answer), refused
	Reason   string `json:"reason"`
	Protocol string `json:"protocol,omitempty"` // whose Status it is: smpp, sip
	Status   uint32 `json:"status,omitempty"`   // the command_status or response code of the peer
}

// MessageShowParams names a message.
type MessageShowParams struct {
	ID string `json:"id"`
}

// MessageListParams chooses messages; each that is left out takes all.
type MessageListParams struct {
	State      string `json:"state,omitempty"`
	Connection string `json:"connection,omitempty"`
	From       string `json:"from,omitempty"`
	To         string `json:"to,omitempty"`
	Since      Time   `json:"since,omitzero"`
	Limit      int    `json:"limit,omitempty"`  // 100 unless given, 1000 at most
	Before     string `json:"before,omitempty"` // `next` of the page before this one
}

// MessageListResult is one page. Next is empty on the last.
type MessageListResult struct {
	Messages []Message `json:"messages"`
	Next     string    `json:"next"`
}

// WhichParams names a method, or none.
type WhichParams struct {
	Command string `json:"command,omitempty"`
}

// HelpParams names a method, or none.
type HelpParams struct {
	Command string `json:"mi_cmd,omitempty"`
}

// VersionResult is the name and version of the server.
type VersionResult struct {
	Server string `json:"Server"`
}

// UptimeResult gives times as OpenSIPS does: like C's ctime, and seconds as `17 [sec]`.
type UptimeResult struct {
	Now     string `json:"Now"`
	UpSince string `json:"Up since"`
	UpTime  string `json:"Up time"`
	Time    Time   `json:"Time"` // Now for programs
}

// PSResult lists processes.
type PSResult struct {
	Processes []Process `json:"Processes"`
}

// Process is one process of the operating system. The gateway is one.
type Process struct {
	ID   int    `json:"ID"`
	PID  int    `json:"PID"`
	Type string `json:"Type"`
}

// LogLevelParams sets a level; without one it only asks.
type LogLevelParams struct {
	Level string `json:"level,omitempty"` // error, warning, info, debug, or OpenSIPS' numbers -1, 1, 3, 4
}

// LogLevelResult has Processes where it was asked, and New where it was set.
type LogLevelResult struct {
	Processes []ProcessLogLevel `json:"Processes,omitempty"`
	New       *int              `json:"New global log level,omitempty"`
}

// ProcessLogLevel is the level of one process: -1 error, 1 warning, 3 info, 4 debug.
type ProcessLogLevel struct {
	PID   int    `json:"PID"`
	Level int    `json:"Log level"`
	Type  string `json:"Type"`
}

// StatisticsParams names statistics: `all`, a group with a colon behind it (`smpp:`), or one (`smpp:sent`, or `sent`).
type StatisticsParams struct {
	Statistics []string `json:"statistics"`
}

// Statistics are values by `group:name`.
type Statistics map[string]uint64

// ListStatisticsParams names statistics as StatisticsParams does; none are all.
type ListStatisticsParams struct {
	Statistics []string `json:"statistics,omitempty"`
}

// EventsListResult lists the events that the gateway publishes itself.
type EventsListResult struct {
	Events []EventType `json:"Events"`
}

// EventType is one type of event.
type EventType struct {
	Name   string `json:"name"`
	ID     int    `json:"id"`
	Params List   `json:"params"` // beside seq, time and node
}

// EventSubscribeParams says which events go where.
type EventSubscribeParams struct {
	Event  string  `json:"event"`            // shell patterns, separated by commas
	Socket string  `json:"socket,omitempty"` // udp:host:port, tcp:host:port, webhook:https://...; without it the WebSocket or Unix socket that asks
	Expire *uint32 `json:"expire,omitempty"` // seconds; 3600 unless given, 0 ends it; what is durable has no end unless it is given
	After  *uint64 `json:"after,omitempty"`  // without Socket: resume behind this seq; 0 is all that is kept
	// Durable is the name of a durable subscription. A webhook is one by itself, called by its URL unless this names it.
	Durable string `json:"durable,omitempty"`
	Secret  string `json:"secret,omitempty"` // of a webhook: what its requests are signed with
	Window  int    `json:"window,omitempty"` // of a durable one without Socket: most events that are not acknowledged; 1000 unless given
}

// SubscriberDeleteParams names a durable subscription.
type SubscriberDeleteParams struct {
	Name string `json:"name"`
}

// AckParams acknowledges everything up to Seq. Durable names the subscription where the connection has more than one.
type AckParams struct {
	Seq     uint64 `json:"seq"`
	Durable string `json:"durable,omitempty"`
}

// SubscribersListParams chooses an event, or one subscriber to it.
type SubscribersListParams struct {
	Event  string `json:"event,omitempty"`
	Socket string `json:"socket,omitempty"`
}

// SubscribersListResult lists the subscribers by what they subscribed to.
type SubscribersListResult struct {
	Events []Subscribed `json:"Events"`
}

// Subscribed is what some subscribe to.
type Subscribed struct {
	Name        string       `json:"name"` // as subscribed to: E_MESSAGE_*
	Subscribers []Subscriber `json:"Subscribers"`
}

// Subscriber is who receives events.
type Subscriber struct {
	Socket string `json:"socket"` // udp:host:port, tcp:host:port, ws:host:port, unix, webhook:URL; durable where nobody is connected
	Expire string `json:"expire"` // seconds that are left, or never
	// Lag is how many events were published that it has not taken; of a durable one, how many wait that it has not acknowledged.
	Lag        uint64  `json:"lag,omitzero"`
	LagSeconds float64 `json:"lag_seconds,omitzero"` // since when the oldest of them waits
	Durable    string  `json:"durable,omitempty"`    // name of a durable subscription
	Owner      string  `json:"owner,omitempty"`      // of a durable one: the name of the token that it belongs to
	LastError  string  `json:"last_error,omitempty"` // why it cannot be reached
	RetryAt    Time    `json:"retry_at,omitzero"`    // when that is tried again
}

// RaiseEventParams is an event: Event is E_ and capitals, digits or '_'; Params an object or a list.
type RaiseEventParams struct {
	Event  string          `json:"event"`
	Params json.RawMessage `json:"params,omitempty"`
}
