package mi

// What is read again while the gateway runs, all of it.
var (
	Reload     = declare[None, ReloadResult]("reload", "reads everything again that counts without a restart: the configuration's tokens, origins, log level and default connection, the tables, the certificates; a part with a fault stays as it is").operates()
	ConfigDiff = declare[None, ReloadResult]("config_diff", "tells what reload would change, and which keys of the configuration want a restart").reads()
)

// ReloadResult is what reload changed, or what it would change (config_diff). Where reload found faults it is the data of error
// CodeBadValue: a part with a fault stays as it is, whole, and the others were reloaded.
type ReloadResult struct {
	Config       []ConfigChange   `json:"config"`       // keys whose value in the file is another than the running one
	Certificates List             `json:"certificates"` // keys of the files that changed
	Connections  SMPPReloadResult `json:"connections"`
	Accounts     SMPPReloadResult `json:"accounts"`
	Routes       SMPPReloadResult `json:"routes"` // by id
	SIPUsers     SMPPReloadResult `json:"sip_users"`
	Faults       []Fault          `json:"faults"`
}

// ConfigChange is a key of the configuration. Secrets read "***".
type ConfigChange struct {
	Key     string `json:"key"`     // sip.listen; mi.tokens[name=anna]
	Running string `json:"running"` // as people write it; empty: none
	File    string `json:"file"`
	Restart bool   `json:"restart"` // it counts after a restart only
}
