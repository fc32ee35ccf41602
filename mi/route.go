package mi

import "encoding/json"

// The methods of table route.
var (
	RouteList   = declare[RouteListParams, RouteListResult]("route_list", "lists the rules that decide, by id").reads()
	RouteAdd    = declare[RouteAddParams, RouteAddResult]("route_add", "adds a rule, which decides at once").operates()
	RouteSet    = declare[RouteSetParams, string]("route_set", "changes a rule at once; what is left out stays").operates()
	RouteDelete = declare[RouteDeleteParams, string]("route_delete", "drops a rule at once").operates()
	RouteReload = declare[None, RouteReloadResult]("route_reload", "reads table route again and lets it decide at once; with a bad row nothing changes").operates()
	RouteTest   = declare[RouteTestParams, RouteTestResult]("route_test", "tells where a message would go and why, and sends nothing").reads()

	MessageRoute  = declare[MessageRouteParams, string]("message_route", "decides a message that awaits it: it goes to `target`").operates()
	MessageReject = declare[MessageRejectParams, string]("message_reject", "decides a message that awaits it: its sender is refused").operates()
)

// Route is one rule, its columns as they stand in table route.
type Route struct {
	ID          int64           `json:"id"`
	Name        string          `json:"name,omitempty"`
	Description string          `json:"description,omitempty"`
	Priority    int             `json:"priority"`
	Enabled     bool            `json:"enabled"`
	Ingress     string          `json:"ingress"`
	FromMatch   string          `json:"from_match"`
	ToMatch     string          `json:"to_match"`
	When        string          `json:"when"`
	Targets     string          `json:"targets"`
	Strategy    string          `json:"strategy"`
	Options     json.RawMessage `json:"options,omitempty"`
	Fault       string          `json:"fault,omitempty"` // why it is not used
}

// RouteListParams choose one rule, or a page of them.
type RouteListParams struct {
	ID    int64 `json:"id,omitempty"`
	After int64 `json:"after,omitempty"` // `next` of the page before
	Limit int   `json:"limit,omitempty"` // 1000 unless given, 10000 at most
}

// RouteListResult is one page. Next is 0 on the last.
type RouteListResult struct {
	Routes []Route `json:"routes"`
	Total  int     `json:"total"`
	Next   int64   `json:"next"`
}

// RouteAddParams is a new rule. What is left out is any, always, and enabled.
type RouteAddParams struct {
	Targets     string          `json:"targets"`
	ToMatch     string          `json:"to_match,omitempty"`
	FromMatch   string          `json:"from_match,omitempty"`
	Ingress     string          `json:"ingress,omitempty"`
	When        string          `json:"when,omitempty"`
	Priority    int             `json:"priority,omitempty"` // the greatest decides
	Strategy    string          `json:"strategy,omitempty"` // failover, round_robin, weighted, least_loaded
	Options     json.RawMessage `json:"options,omitempty"`
	Name        string          `json:"name,omitempty"`
	Description string          `json:"description,omitempty"`
	Enabled     *bool           `json:"enabled,omitempty"`
}

// RouteAddResult is the id of the new rule.
type RouteAddResult struct {
	ID int64 `json:"id"`
}

// RouteSetParams changes a rule; an empty value empties the column.
type RouteSetParams struct {
	ID          int64           `json:"id"`
	Targets     *string         `json:"targets,omitempty"`
	ToMatch     *string         `json:"to_match,omitempty"`
	FromMatch   *string         `json:"from_match,omitempty"`
	Ingress     *string         `json:"ingress,omitempty"`
	When        *string         `json:"when,omitempty"`
	Priority    *int            `json:"priority,omitempty"`
	Strategy    *string         `json:"strategy,omitempty"`
	Options     json.RawMessage `json:"options,omitempty"` // whole; {} empties it
	Name        *string         `json:"name,omitempty"`
	Description *string         `json:"description,omitempty"`
	Enabled     *bool           `json:"enabled,omitempty"`
}

// RouteDeleteParams names a rule.
type RouteDeleteParams struct {
	ID int64 `json:"id"`
}

// RouteReloadResult counts rules. Where a row is bad the error is CodeBadValue and its data a list of Fault.
type RouteReloadResult struct {
	Rules     int `json:"rules"`
	Enabled   int `json:"enabled"`
	Added     int `json:"added"`
	Changed   int `json:"changed"`
	Removed   int `json:"removed"`
	Unchanged int `json:"unchanged"`
}

// RouteTestParams is a message, as for message_send, and the leg that it comes in by. What a decision does not depend on is not heeded.
type RouteTestParams struct {
	MessageSendParams
	Ingress string `json:"ingress,omitempty"` // sip, sip:USER, smpp:NAME, account:SYSTEM_ID; mi unless given
}

// RouteTestResult is a decision.
type RouteTestResult struct {
	ID      int64         `json:"id,omitempty"` // of the rule
	Rule    string        `json:"rule"`         // its name or #id, `default`, `asked for`; empty: no route
	Targets []RouteTarget `json:"targets"`      // to try in order
	Loop    bool          `json:"loop,omitempty"`
	// The message as it would go out.
	From     string  `json:"from"`
	To       string  `json:"to"`
	Coding   string  `json:"coding,omitempty"`
	Segments int     `json:"segments,omitempty"`
	Receipt  Receipt `json:"receipt"`
	// Contacts are those of the recipient, where it is a registered user of SIP and the target `sip`.
	Contacts List   `json:"contacts,omitempty"`
	Fault    string `json:"fault,omitempty"` // why it cannot go to the first target
	// Others are rules that did not decide, those first that came closest; Asked is how many did not.
	Others []RouteOther `json:"others"`
	Asked  int          `json:"asked"`
}

// RouteTarget is a target and how it stands.
type RouteTarget struct {
	Target string `json:"target"`
	State  string `json:"state"` // of a connection: bound, partly, down, disabled, invalid, cannot send, unknown; of sip: registered, away, no next hop, ready; else ready, rejects, ...
}

// RouteOther is a rule that did not decide.
type RouteOther struct {
	ID   int64  `json:"id"`
	Rule string `json:"rule"`
	Why  string `json:"why"`
}

// MessageRouteParams decides a message whose E_MESSAGE_RECEIVED says that it awaits a decision.
type MessageRouteParams struct {
	ID     string `json:"id"`
	Target string `json:"target"` // as in a rule, several separated by commas: smpp:acme, sip
}

// MessageRejectParams refuses such a message.
type MessageRejectParams struct {
	ID   string `json:"id"`
	Code string `json:"code,omitempty"` // a SIP response code from 400 to 699, or a command_status as 0x0000000B; 403 unless given
}
