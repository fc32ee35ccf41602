package mi

// The methods of the registrar.
var (
	SIPContacts      = declare[SIPContactsParams, SIPContactsResult]("sip_contacts", "lists where the registered SIP users are reached").reads()
	SIPContactDelete = declare[SIPContactDeleteParams, SIPContactDeleteResult]("sip_contact_delete", "drops the contacts of a SIP user, or one of them").operates()
)

// SIPContactsParams choose one user; without a name, all.
type SIPContactsParams struct {
	Username string `json:"username,omitempty"`
}

// SIPContactsResult lists contacts by the names of their users, and of each in the order in which they registered.
type SIPContactsResult struct {
	Registrar bool         `json:"registrar"` // users can register: sip.registrar
	Contacts  []SIPContact `json:"contacts"`
}

// SIPContact is where a user is reached.
type SIPContact struct {
	ID        string  `json:"id"`
	Username  string  `json:"username"`
	Contact   string  `json:"contact"`        // its URI, as the user agent gave it
	Received  string  `json:"received"`       // where it registered from, and is reached unless Path says otherwise: tcp:192.0.2.7:40123
	Path      string  `json:"path,omitempty"` // the proxies on the way, as a Route
	Q         float64 `json:"q"`              // from 0 to 1; the greater is tried first
	Instance  string  `json:"instance,omitempty"`
	RegID     uint32  `json:"reg_id,omitempty"`
	UserAgent string  `json:"user_agent,omitempty"`
	Since     Time    `json:"since"`
	Updated   Time    `json:"updated"` // when it registered last
	Expires   Time    `json:"expires"`
}

// SIPContactDeleteParams name the contacts of a user, or one of them.
type SIPContactDeleteParams struct {
	Username string `json:"username"`
	Contact  string `json:"contact,omitempty"` // its URI or id
}

// SIPContactDeleteResult counts contacts.
type SIPContactDeleteResult struct {
	Deleted int `json:"deleted"`
}
