package gateway

import "strings"

// kind is what a statistic's values are.
type kind uint8

const (
	gaugeKind     kind = iota // goes up and down
	counterKind               // only grows, until it is reset
	histogramKind             // durations, by bucket
)

// family is one statistic, of which there may be several values that differ in their labels. It has two names: the one of
// get_statistics, which are OpenSIPS' way of naming, and the one of Prometheus.
type family struct {
	group, name string // GROUP:NAME, with labels GROUP:LABEL-NAME
	metric      string
	kind        kind
	labels      []string
	// total is the group under which get_statistics tells the sum over all labels as well; Prometheus adds up by itself. Where it is
	// exact, the sum is read by itself, since some of what it counts has no label any more.
	total string
	exact bool
	help  string
}

// families are all of them, in the order in which they are told.
var families []*family

func declare(k kind, statistic, metric, help string, labels ...string) *family {
	group, name, _ := strings.Cut(statistic, ":")
	f := &family{group: group, name: name, metric: metric, kind: k, labels: labels, help: help}
	families = append(families, f)
	return f
}

// summed says that get_statistics tells the sum over all labels as well, as GROUP:NAME.
func (f *family) summed(group string) *family {
	f.total = group
	return f
}

// totalled says the same of a sum that is read by itself.
func (f *family) totalled(group string) *family {
	f.total, f.exact = group, true
	return f
}

func gauge(statistic, metric, help string, labels ...string) *family {
	return declare(gaugeKind, statistic, metric, help, labels...)
}

func counter(statistic, metric, help string, labels ...string) *family {
	return declare(counterKind, statistic, metric+"_total", help, labels...)
}

func histogram(statistic, metric, help string, labels ...string) *family {
	return declare(histogramKind, statistic, metric+"_seconds", help, labels...)
}

// Every statistic that there is. docs/metrics.md explains them; a test compares the two.
var (
	uptime = gauge("core:uptime", "sipsmpp_uptime_seconds", "seconds since the start")

	messagesReceived = counter("core:messages_received", "sipsmpp_messages_received",
		"messages that came in", "ingress").summed("core")
	messagesSent = counter("core:messages_sent", "sipsmpp_messages_sent",
		"messages that a next hop accepted", "egress").summed("core")
	messagesFailed = counter("core:messages_failed", "sipsmpp_messages_failed",
		"messages that no next hop accepted", "cause").summed("core")
	messagesUnrecorded = counter("core:messages_unrecorded", "sipsmpp_messages_unrecorded",
		"messages whose record the database did not take")
	messagesAwaiting = gauge("core:messages_awaiting", "sipsmpp_messages_awaiting_decision",
		"messages that wait for an application to decide")
	partsWaiting = gauge("core:parts_waiting", "sipsmpp_messages_incomplete",
		"long messages that wait for their missing parts")
	answerTime = histogram("core:answer_time", "sipsmpp_message_answer",
		"from a message's arrival to the answer that its sender gets", "ingress")
	forwardTime = histogram("core:forward_time", "sipsmpp_message_forward",
		"from a message's arrival to its first octets to the next hop", "ingress", "egress")

	receiptsReceived  = counter("receipt:received", "sipsmpp_receipts_received", "delivery receipts that came")
	receiptsMatched   = counter("receipt:matched", "sipsmpp_receipts_matched", "delivery receipts that found their message")
	receiptsUnmatched = counter("receipt:unmatched", "sipsmpp_receipts_unmatched", "delivery receipts whose message nobody knows")
	reportsOverdue    = counter("receipt:overdue", "sipsmpp_reports_overdue", "reports that did not come in time and were closed")
	receiptsEarly     = gauge("receipt:early", "sipsmpp_receipts_early",
		"delivery receipts that wait for the response that names their message")
	reportsAwaited = gauge("receipt:awaited", "sipsmpp_segments_awaiting_receipt",
		"segments whose receipt is awaited and that are kept in memory")
	reportTime = histogram("receipt:report_time", "sipsmpp_report", "from a message's arrival to its final report", "leg")

	binds = gauge("connection:binds", "sipsmpp_connection_binds",
		"binds that a connection asks for, by their state", "connection", "state").summed("smpp")
	bindsBound        = gauge("smpp:binds_bound", "sipsmpp_smpp_binds_bound", "binds of connections that are up")
	connectionEnabled = gauge("connection:enabled", "sipsmpp_connection_enabled",
		"1: the connection is to be bound", "connection")
	window = gauge("connection:window", "sipsmpp_connection_window",
		"slots of the windows of binds that are up", "connection").summed("smpp")
	inFlight = gauge("connection:in_flight", "sipsmpp_connection_in_flight",
		"segments that wait for their response: slots in use", "connection").summed("smpp")
	queued = gauge("connection:queued", "sipsmpp_connection_queued",
		"messages that wait for a slot", "connection").summed("smpp")
	slowed = gauge("connection:slowed", "sipsmpp_connection_slowed",
		"1: it sends slower than it may because the peer asked for that", "connection")
	segmentsSent = counter("connection:segments_sent", "sipsmpp_connection_segments_sent",
		"segments that the peer accepted", "connection").totalled("smpp")
	segmentsRefused = counter("connection:segments_refused", "sipsmpp_connection_segments_refused",
		"segments that the peer refused", "connection").totalled("smpp")
	segmentsUnanswered = counter("connection:segments_unanswered", "sipsmpp_connection_segments_unanswered",
		"segments that the peer did not answer", "connection").totalled("smpp")
	segmentsReceived = counter("connection:segments_received", "sipsmpp_connection_segments_received",
		"segments that came from the peer", "connection").totalled("smpp")
	connectionReceipts = counter("connection:receipts_received", "sipsmpp_connection_receipts_received",
		"delivery receipts that came from the peer", "connection").totalled("smpp")
	throttled = counter("connection:throttled", "sipsmpp_connection_throttled",
		"refusals that said that we send too fast", "connection").totalled("smpp")
	unexpected = counter("connection:responses_unexpected", "sipsmpp_connection_responses_unexpected",
		"responses that nobody waited for", "connection").totalled("smpp")
	malformed = counter("connection:malformed", "sipsmpp_connection_malformed",
		"PDUs and receipts that could not be read", "connection").totalled("smpp")
	bindsEstablished = counter("connection:binds_established", "sipsmpp_connection_binds_established",
		"binds that came up", "connection").totalled("smpp")
	responseTime = histogram("connection:response_time", "sipsmpp_connection_response",
		"from a segment to the peer's response", "connection")

	accountBinds = gauge("account:binds_bound", "sipsmpp_account_binds",
		"binds that the account holds", "account").summed("account")
	accountInFlight = gauge("account:in_flight", "sipsmpp_account_in_flight",
		"segments that wait for the account's response", "account").summed("account")
	accountQueued = gauge("account:queued", "sipsmpp_account_queued",
		"messages to the account that wait for a slot", "account").summed("account")
	accountReceived = counter("account:segments_received", "sipsmpp_account_segments_received",
		"segments that the account submitted and that were looked at", "account").totalled("account")
	accountLimited = counter("account:limited", "sipsmpp_account_limited",
		"PDUs that were refused because the account sent more than its throughput", "account").totalled("account")
	accountSent = counter("account:segments_sent", "sipsmpp_account_segments_sent",
		"segments that the account accepted, receipts too", "account").totalled("account")
	accountRefused = counter("account:segments_refused", "sipsmpp_account_segments_refused",
		"segments that the account refused", "account").totalled("account")
	accountUnanswered = counter("account:segments_unanswered", "sipsmpp_account_segments_unanswered",
		"segments that the account did not answer", "account").totalled("account")
	accountThrottled = counter("account:throttled", "sipsmpp_account_throttled",
		"refusals of the account that said that we send too fast", "account").totalled("account")
	accountMalformed = counter("account:malformed", "sipsmpp_account_malformed",
		"PDUs of the account that could not be read", "account").totalled("account")
	accountEstablished = counter("account:binds_established", "sipsmpp_account_binds_established",
		"binds of the account that came up", "account").totalled("account")
	accountTime = histogram("account:response_time", "sipsmpp_account_response",
		"from a segment to the account's response", "account")
	accountsRefused = counter("account:binds_refused", "sipsmpp_account_binds_refused",
		"binds that were refused, those of unknown names too")
	receiptsDelivered = counter("account:receipts_delivered", "sipsmpp_account_receipts_delivered",
		"receipts that accounts took")
	receiptsRefused = counter("account:receipts_refused", "sipsmpp_account_receipts_refused",
		"receipts that accounts refused or did not answer; they are sent again")
	receiptsExpired = counter("account:receipts_expired", "sipsmpp_account_receipts_expired",
		"receipts that no bind of their account took in time")

	routeMessages = counter("route:messages", "sipsmpp_route_messages", "messages that the rule decided", "rule")
	routeSent     = counter("route:sent", "sipsmpp_route_sent", "messages of the rule that a next hop accepted", "rule")
	routeFailed   = counter("route:failed", "sipsmpp_route_failed", "messages of the rule that no next hop accepted", "rule")

	sipRequests = counter("transport:requests", "sipsmpp_sip_requests",
		"requests that came in, retransmissions too", "transport").summed("sip")
	sipRetransmissions = counter("transport:retransmissions", "sipsmpp_sip_retransmissions",
		"requests that had come before", "transport").summed("sip")
	sipAnswered = counter("transport:answered", "sipsmpp_sip_answered",
		"requests that got a 2xx", "transport").summed("sip")
	sipRefused = counter("transport:refused", "sipsmpp_sip_refused",
		"requests that got another final response", "transport").summed("sip")
	sipOverload = counter("transport:overload", "sipsmpp_sip_overload",
		"requests and connections refused because there were too many", "transport").summed("sip")
	sipUnauthorized = counter("transport:unauthorized", "sipsmpp_sip_unauthorized",
		"credentials that were wrong", "transport").summed("sip")
	sipMalformed = counter("transport:malformed", "sipsmpp_sip_malformed",
		"what came and was no SIP, or could not be answered", "transport").summed("sip")
	sipDropped = counter("transport:dropped", "sipsmpp_sip_dropped",
		"messages that did not leave: a queue was full, or the kernel did not take them", "transport").summed("sip")
	sipSent   = counter("transport:sent", "sipsmpp_sip_sent", "requests to next hops", "transport").summed("sip")
	sipResent = counter("transport:resent", "sipsmpp_sip_resent",
		"retransmissions to next hops", "transport").summed("sip")
	sipAccepted = counter("transport:accepted", "sipsmpp_sip_accepted",
		"messages that a next hop took", "transport").summed("sip")
	sipFailed = counter("transport:failed", "sipsmpp_sip_failed",
		"messages that no next hop took", "transport").summed("sip")
	sipTimeouts = counter("transport:timeouts", "sipsmpp_sip_timeouts",
		"requests that no next hop answered", "transport").summed("sip")
	sipTime = histogram("transport:response_time", "sipsmpp_sip_response",
		"from a MESSAGE to the next hop's final response", "transport")
	sipInProgress  = gauge("sip:in_progress", "sipsmpp_sip_in_progress", "requests that wait for our answer")
	sipInFlight    = gauge("sip:in_flight", "sipsmpp_sip_in_flight", "messages that wait for a next hop's answer")
	sipConnections = gauge("sip:connections", "sipsmpp_sip_connections", "connections that peers opened")
	sipContacts    = gauge("sip:contacts", "sipsmpp_sip_contacts", "contacts of registered users")
	nextHopUp      = gauge("next_hop:up", "sipsmpp_sip_next_hop_up",
		"1: the next hop answers; 0: it does not, or asked to be left alone", "next_hop")

	eventSeq        = gauge("event:seq", "sipsmpp_event_seq", "number of the last event")
	eventsPublished = counter("event:published", "sipsmpp_events_published", "events that were published")
	eventsLost      = counter("event:lost", "sipsmpp_events_lost",
		"events that subscribers were too slow for, counted for each of them")
	durableWaiting = gauge("durable:waiting", "sipsmpp_durable_waiting",
		"events that a durable subscription has not acknowledged", "subscription")
	durableConnected = gauge("durable:connected", "sipsmpp_durable_connected",
		"1: a durable subscription has its subscriber; 0: it is away. Of a webhook always 1", "subscription")
	durableStalled = gauge("durable:stalled", "sipsmpp_durable_stalled_seconds",
		"for how long events have waited of which a durable subscription acknowledged none; since the start at most", "subscription")
	eventsUnwritten = gauge("event:unwritten", "sipsmpp_events_unwritten",
		"events for durable subscriptions that wait in memory because the database does not take them")
	eventLag = histogram("event:lag", "sipsmpp_event_lag",
		"how old the oldest event of a batch is when a subscriber gets it")

	dbUp      = gauge("db:up", "sipsmpp_db_up", "1: the database took the last transaction")
	dbQueued  = gauge("db:queued", "sipsmpp_db_queued", "writes that wait for the database")
	dbLookups = gauge("db:lookups", "sipsmpp_db_lookups_queued", "lookups that wait for the database")
	dbWritten = counter("db:written", "sipsmpp_db_writes", "writes that were committed")
	dbFailed  = counter("db:failed", "sipsmpp_db_writes_failed", "writes that the database did not take")
	dbTime    = histogram("db:commit_time", "sipsmpp_db_commit", "how long a transaction took")
)
