package mi

// The methods of the SIP side.
var (
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
