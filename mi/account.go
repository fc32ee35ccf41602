package mi

import "encoding/json"

// AccountAddParams is an account. What is left out has its default.
type AccountAddParams struct {
	SystemID   string          `json:"system_id"`
	Password   string          `json:"password"`              // at most 72 octets; SMPP 3.4 has room for 8
	AllowedIPs *string         `json:"allowed_ips,omitempty"` // addresses and networks it may bind from; default from everywhere
	BindModes  *string         `json:"bind_modes,omitempty"`  // transceiver, transmitter, receiver; default all of them
	MaxBinds   *int            `json:"max_binds,omitempty"`   // at a time; default 10
	Window     *int            `json:"window,omitempty"`      // most unanswered requests on each bind, either way; default 100
	Throughput *int            `json:"throughput,omitempty"`  // segments a second that it may submit; default 0: unlimited
	Enabled    *bool           `json:"enabled,omitempty"`     // default true
	Options    json.RawMessage `json:"options,omitempty"`     // an object with what is rare
}

// AccountSetParams is what is to change of an account.
type AccountSetParams struct {
	SystemID   string          `json:"system_id"`
	Password   *string         `json:"password,omitempty"`
	AllowedIPs *string         `json:"allowed_ips,omitempty"`
	BindModes  *string         `json:"bind_modes,omitempty"`
	MaxBinds   *int            `json:"max_binds,omitempty"`
	Window     *int            `json:"window,omitempty"`
	Throughput *int            `json:"throughput,omitempty"`
	Enabled    *bool           `json:"enabled,omitempty"`
	Options    json.RawMessage `json:"options,omitempty"` // takes the place of those before
}

// AccountParams names an account.
type AccountParams struct {
	SystemID string `json:"system_id"`
}

// AccountListParams chooses one account; without a name, all.
type AccountListParams struct {
	SystemID string `json:"system_id,omitempty"`
}

// AccountListResult lists accounts in the order of their names.
type AccountListResult struct {
	Accounts []AccountRow `json:"accounts"`
}

// AccountRow is an account as its row says, but for the password.
type AccountRow struct {
	SystemID   string          `json:"system_id"`
	AllowedIPs List            `json:"allowed_ips"` // none: from everywhere
	BindModes  List            `json:"bind_modes"`
	MaxBinds   int             `json:"max_binds"`
	Window     int             `json:"window"`
	Throughput int             `json:"throughput"` // 0: unlimited
	Enabled    bool            `json:"enabled"`
	Options    json.RawMessage `json:"options"`
	Binds      int             `json:"binds"` // that are up
}
