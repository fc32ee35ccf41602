package mi

import (
	"encoding/json"
	"slices"
	"strings"
)

// Role is what the holder of a token may do (mi.tokens).
type Role string

// The roles. An operator may do what the others may, an admin everything.
const (
	RoleAdmin    Role = "admin"
	RoleOperator Role = "operator" // runs the gateway: connections, routes, messages
	RoleApp      Role = "app"      // a program that sends messages and follows events, within its token's limits
	RoleRead     Role = "read"     // looks, and changes nothing
)

// ParseRole reads the name of a role.
func ParseRole(s string) (Role, bool) {
	r := Role(s)
	return r, slices.Contains([]Role{RoleAdmin, RoleOperator, RoleApp, RoleRead}, r)
}

// A method that is declared without any of the three below is the admin's alone and changes something.

// reads says that a method changes nothing, and that role read may call it, and the others that are named.
func (m Method[P, R]) reads(others ...Role) Method[P, R] {
	m.Changes = false
	m.Roles = append([]Role{RoleAdmin, RoleOperator, RoleRead}, others...)
	return m
}

// operates says that operators may call a method, and the others that are named.
func (m Method[P, R]) operates(others ...Role) Method[P, R] {
	m.Roles = append([]Role{RoleAdmin, RoleOperator}, others...)
	return m
}

// told says that what a method does is told by an event of its own, so that E_MI_CHANGED is not needed.
func (m Method[P, R]) told() Method[P, R] {
	m.Changes = false
	return m
}

// changesWith says that a method that only reads changes something where that parameter is given, and that it is then the
// operator's.
func (m Method[P, R]) changesWith(parameter string) Method[P, R] {
	m.With = parameter
	return m
}

// May says whether a role may call the method with those parameters, as they came.
func (d *Declaration) May(role Role, params json.RawMessage) bool {
	if d.With != "" && d.given(d.With, params) {
		return role == RoleAdmin || role == RoleOperator
	}
	return slices.Contains(d.Roles, role)
}

// IsChange says whether a call with those parameters changes something of the gateway's.
func (d *Declaration) IsChange(params json.RawMessage) bool {
	return d.Changes || d.With != "" && d.given(d.With, params)
}

func (d *Declaration) given(parameter string, params json.RawMessage) bool {
	return d.named(params)[parameter] != nil
}

// named gives the parameters of a call by their names, as far as they can be read.
func (d *Declaration) named(params json.RawMessage) map[string]json.RawMessage {
	given, fault := d.spread(params)
	if fault != nil {
		return nil
	}
	named := make(map[string]json.RawMessage)
	for i, p := range d.Params {
		if given[i] != nil && string(given[i]) != "null" {
			named[p.Name] = given[i]
		}
	}
	return named
}

// Shown gives the parameters of a call by their names for a log or an event: what is secret reads "***". Of the URL of a webhook the
// query is left out, in which a secret may be.
func (d *Declaration) Shown(params json.RawMessage) json.RawMessage {
	named := d.named(params)
	for name := range named {
		if isSecret(name) {
			named[name] = json.RawMessage(`"***"`)
		}
		var socket string
		if name == "socket" && json.Unmarshal(named[name], &socket) == nil {
			if address, _, hasQuery := strings.Cut(socket, "?"); hasQuery {
				named[name], _ = json.Marshal(address + "?...") // a string always marshals
			}
		}
	}
	shown, err := json.Marshal(named)
	if err != nil || named == nil {
		return json.RawMessage("{}")
	}
	return shown
}

// isSecret says that what a parameter of that name holds must not be shown.
func isSecret(name string) bool {
	return strings.Contains(name, "password") || strings.Contains(name, "secret") || strings.Contains(name, "token")
}

// RolesText is who may call the method, for people.
func (d *Declaration) RolesText() string {
	names := make([]string, len(d.Roles))
	for i, r := range d.Roles {
		names[i] = string(r)
	}
	text := strings.Join(names, ", ")
	if d.With != "" {
		text += "; with " + d.With + ": admin, operator"
	}
	return text
}
