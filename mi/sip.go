package mi

// The methods of the SIP side.
var (
	SIPList       = declare[None, SIPListResult]("sip_list", "lists the SIP listeners, the next hops and how they are doing").reads()
	SIPUserAdd    = declare[SIPUserAddParams, string]("sip_user_add", "makes a user who may send by SIP with a password, from any network").operates()
	SIPUserSet    = declare[SIPUserSetParams, string]("sip_user_set", "changes a SIP user; what is not given stays as it is").operates()
	SIPUserDelete = declare[SIPUserNameParams, string]("sip_user_delete", "drops a SIP user").operates()
	SIPUserList   = declare[None, SIPUserListResult]("sip_user_list", "lists the SIP users, without their passwords").reads()
	SIPUserReload = declare[None, SIPUserReloadResult]("sip_user_reload", "reads table sip_user again; with a bad row nothing changes").operates()
)

// SIPUserAddParams is a SIP user.
type SIPUserAddParams struct {
	Username string `json:"username"`
	Password string `json:"password"`
	Numbers  List   `json:"numbers,omitempty"` // what it may send from, beside its own name; "*" is anything
	Enabled  *bool  `json:"enabled,omitempty"` // default true
}

// SIPUserSetParams changes a SIP user.
type SIPUserSetParams struct {
	Username string  `json:"username"`
	Password *string `json:"password,omitempty"`
	Numbers  *List   `json:"numbers,omitempty"`
	Enabled  *bool   `json:"enabled,omitempty"`
}

// SIPUserNameParams names a SIP user.
type SIPUserNameParams struct {
	Username string `json:"username"`
}

// SIPUserListResult lists the SIP users by name.
type SIPUserListResult struct {
	Users []SIPUser `json:"users"`
}

// SIPUser is one SIP user.
type SIPUser struct {
	Username string `json:"username"`
	Realm    string `json:"realm"` // that its password was set for
	Numbers  List   `json:"numbers"`
	Enabled  bool   `json:"enabled"`
}

// SIPUserReloadResult counts the SIP users. Where a row is bad the error is CodeBadValue and its data a list of Fault.
type SIPUserReloadResult struct {
	Users int `json:"users"`
}

// SIPListResult is the SIP side.
type SIPListResult struct {
	Listeners   List      `json:"listeners"`   // udp:127.0.0.1:5060
	NextHops    []NextHop `json:"next_hops"`   // those of sip.outbound_uri in their order, then those that rules named
	Connections int       `json:"connections"` // that peers opened
	InProgress  int       `json:"in_progress"` // requests that wait for our answer
	InFlight    int       `json:"in_flight"`   // messages that wait for a next hop's answer
}

// NextHop is one next hop of messages to SIP.
type NextHop struct {
	URI       string `json:"uri"`
	State     string `json:"state"`            // up; down: it does not answer; aside: it asked to be left alone, by 503
	Reason    string `json:"reason,omitempty"` // why it is down
	Since     Time   `json:"since,omitzero"`   // when it went down or came up again
	Aside     Time   `json:"aside_until,omitzero"`
	Heard     Time   `json:"last_answer,omitzero"`
	Addresses List   `json:"addresses"` // in the order to try them; none before the first look-up
}
